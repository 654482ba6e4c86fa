"""From where on nothing is said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from curvebench.data.shipped import locate
from curvebench.data.store import load
from curvebench.diagnosis import default_diagnoser, default_library
from curvebench.diagnosis.calibration import (
    COUNTS,
    MOST_UNLIKE,
    THRESHOLDS,
    Answers,
    ask,
    by_novelty,
    calibrated,
    draft,
    judged,
    leaning,
    novelty_quantiles,
    within,
)
from curvebench.diagnosis.verdict import ONLY_THE_LABEL
from curvebench.spec import DIAGNOSES, InputError

MINI = load(locate("mini"))
DRAFT = draft([MINI], "model")


def made_up(n: int = 8000, seed: int = 0) -> Answers:
    """Probabilities that mean what they say, but too few points are worth nothing."""
    rng = np.random.default_rng(seed)
    n_points, probability = rng.choice(COUNTS, n), rng.uniform(0.2, 1.0, n)
    is_right = rng.random(n) < np.where(n_points < 4, 0.3, probability)
    together = np.maximum(probability, rng.uniform(0.2, 1.0, n))
    return Answers(
        n_points=n_points,
        is_shown=rng.random((n, 3)) < 0.5,
        probability=probability,
        novelty=rng.uniform(0, 2, n),
        is_right=is_right,
        together=together,
        is_way_right=is_right | (rng.random(n) < together),
        weight=np.full(n, 1 / n),
    )


def test_data_sets_count_alike_however_many_runs_they_have():
    large, small = made_up(9000), made_up(300, seed=1)
    small = replace(small, is_right=np.ones(300, dtype=bool))
    alone = [judged(answers, 0.5) for answers in (large, small)]
    together = judged(Answers.joined([large, small]), 0.5)
    shares = np.array([point.coverage for point in alone])
    assert together.coverage == pytest.approx(shares.mean())
    assert together.accuracy == pytest.approx(shares @ [point.accuracy for point in alone] / shares.sum())


def test_the_limits_reach_the_accuracy_with_the_most_coverage():
    answers = made_up()
    limits = calibrated(answers, DRAFT)
    known = answers.select(answers.novelty <= limits.max_novelty)
    assert np.mean(answers.novelty > limits.max_novelty) == pytest.approx(MOST_UNLIKE, abs=1e-3)

    def reached(count, threshold):
        point = judged(known.select(known.n_points == count), threshold)
        return point.accuracy is not None and point.accuracy >= 0.8

    def n_judged(least, threshold):
        return int(((known.n_points >= least) & (known.probability >= threshold)).sum())

    pairs = [
        (least, threshold)
        for least in COUNTS
        for threshold in THRESHOLDS
        if all(reached(count, threshold) for count in COUNTS if count >= least)
    ]
    assert (limits.min_points, limits.min_probability) in pairs
    assert n_judged(limits.min_points, limits.min_probability) == max(n_judged(*pair) for pair in pairs)
    leanings = [leaning(within(answers, limits), limits.min_probability, threshold) for threshold in THRESHOLDS]
    reaching = [point for point in leanings if point.accuracy is not None and point.accuracy >= 0.8]
    assert limits.min_together == min(point.min_probability for point in reaching)
    assert limits.min_points == 4, "three points were made to be worth nothing"
    assert judged(within(answers, limits), limits.min_probability).accuracy >= 0.8
    asked = within(answers, limits)
    is_allowed = (asked.probability > 0) & (asked.together > 0)
    np.testing.assert_array_equal(is_allowed, (answers.n_points >= 4) & (answers.novelty <= limits.max_novelty))
    assert judged(asked, 0.5).coverage < judged(answers.select(is_allowed), 0.5).coverage, "a share of all logs"


def test_accuracy_is_a_plain_share():
    answers = made_up(500)
    point = judged(answers, 0.7)
    chosen = [right for p, right in zip(answers.probability, answers.is_right, strict=True) if p >= 0.7]
    assert point.coverage == pytest.approx(len(chosen) / 500)
    assert point.accuracy == pytest.approx(sum(chosen) / len(chosen))
    assert judged(answers, 1.1).accuracy is None


def test_by_novelty_every_log_is_told_once():
    answers = made_up(500)
    points = by_novelty(answers, [0.5, 1.5], 0.6)
    rows = [answers.novelty < 0.5, (answers.novelty >= 0.5) & (answers.novelty < 1.5), answers.novelty >= 1.5]
    assert points == [judged(answers.select(row), 0.6) for row in rows]


def test_a_leaning_is_for_logs_that_are_not_judged():
    answers = made_up(500)
    point = leaning(answers, 0.7, 0.8)
    rows = (answers.probability < 0.7) & (answers.together >= 0.8)
    assert point.coverage == pytest.approx(rows.mean())
    assert point.accuracy == pytest.approx(answers.is_way_right[rows].mean())


def test_what_cannot_be_reached_is_said():
    answers = made_up()
    hopeless = replace(answers, is_right=np.zeros(len(answers.n_points), dtype=bool))
    with pytest.raises(InputError, match="No probability is high enough"):
        calibrated(hopeless, DRAFT)


def test_what_is_accepted_beside_a_label_is_counted_on_train():
    logs = load(locate("mini-logs"))
    limits = draft([MINI, logs], "model")
    for i, label in enumerate(DIAGNOSES):
        for j in range(6):
            shares = []
            for dataset in (MINI, logs):
                train = dataset.split("train")
                accepted = [train["accepted"][row, j] for row in range(len(train)) if train.labels[row] == label]
                shares.append(sum(accepted) / len(accepted))
            assert limits.acceptance[i][j] == pytest.approx(sum(shares) / 2, abs=1e-3)
    healthy = logs.select(logs.labels == "healthy")
    alone = draft([healthy], "model").acceptance
    np.testing.assert_array_equal(alone, np.eye(6), "no run says what is accepted beside the others")
    with_nothing_new = draft([MINI, healthy], "model").acceptance
    np.testing.assert_array_equal(with_nothing_new[:-1], DRAFT.acceptance[:-1], "who has no such run has no say")
    assert calibrated(made_up(), limits).acceptance == limits.acceptance


def test_asking_about_real_runs():
    few = MINI.select(np.flatnonzero(MINI["split"] == "test")[::10])
    answers = ask(few, "test", default_diagnoser(), default_library(), DRAFT)
    alone = ask(few, "test", default_diagnoser(), default_library(), replace(DRAFT, acceptance=ONLY_THE_LABEL))
    more = answers.probability - alone.probability
    assert more.min() >= -1e-9
    assert more.max() > 0.05
    np.testing.assert_array_equal(answers.is_right, alone.is_right)
    assert len(answers.n_points) == len(few) * len(COUNTS) / 2
    asked = [int((answers.n_points == count).sum()) for count in COUNTS]
    assert max(asked) - min(asked) <= 4
    assert 0.1 < answers.is_right.mean() < 1
    np.testing.assert_allclose(answers.is_shown.mean(axis=0), [0.5, 0.25, 0.5], atol=0.1)
    with pytest.raises(InputError, match="no runs to calibrate on"):
        ask(few, "train", default_diagnoser(), default_library(), DRAFT)


def test_rates_are_those_of_other_networks():
    class Looks:
        track = "config"

        def predict_proba(self, X):
            seen.append(X[:, 3].max(axis=1))
            return np.full((len(X), 6), 1 / 6)

    seen: list[np.ndarray] = []
    few = MINI.select(np.flatnonzero(MINI["split"] == "test")[::10])
    ask(few, "test", Looks(), default_library(), DRAFT)
    logged, shown = np.log10(few["learning_rate"].max(axis=1)), np.log10(np.concatenate(seen))
    assert len(np.intersect1d(shown.round(4), logged.round(4))) < 0.1 * len(logged)
    assert logged.min() - 2.1 < shown.min() < logged.min() - 0.5


def test_quantiles_of_novelty_are_those_of_logs_that_count_differently():
    small = Answers.joined([made_up(200), made_up(50, seed=1)])
    repeated = np.sort(np.concatenate([small.novelty[:200], np.repeat(small.novelty[200:], 4)]))
    shares = [0.1011, 0.5011, 0.9011, 0.9991]
    plain = [float(repeated[int(np.ceil(share * 400)) - 1]) for share in shares]
    assert novelty_quantiles(small, shares) == plain


def test_nobody_is_right_about_runs_that_nothing_helps():
    class AlwaysHealthy:
        def predict_proba(self, X):
            return np.tile([0, 0, 0, 0, 0, 1.0], (len(X), 1))

    rows = np.flatnonzero((MINI["split"] == "test") & (MINI.labels == "healthy"))[:4]
    few = MINI.select(rows)
    assert ask(few, "test", AlwaysHealthy(), default_library(), DRAFT).is_right.all()
    columns = dict(few.columns) | {"diagnosis": np.full(4, "other")}
    other = type(few)(columns, few.meta)
    assert not ask(other, "test", AlwaysHealthy(), default_library(), DRAFT).is_right.any()
