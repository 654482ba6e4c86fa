"""From where on nothing is said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from curvebench.data.shipped import locate
from curvebench.data.store import load
from curvebench.diagnosis import default_diagnoser, default_library
from curvebench.diagnosis.calibration import COUNTS, Answers, ask, calibrated, frontier, judged, leaning, within
from curvebench.spec import InputError

MINI = load(locate("mini"))


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
    limits = calibrated(answers, [MINI], "model")
    known = answers.select(answers.novelty <= limits.max_novelty)
    reaching = [p for p in frontier(known) if p.accuracy is not None and p.accuracy >= 0.8]
    assert limits.min_probability == min(p.min_probability for p in reaching)
    assert judged(known, limits.min_probability).coverage == max(p.coverage for p in reaching)
    assert np.mean(answers.novelty > limits.max_novelty) == pytest.approx(0.02, abs=1e-3)
    assert limits.min_points == 4
    assert set(within(answers, limits).n_points) == {count for count in COUNTS if count >= 4}


def test_accuracy_is_a_plain_share():
    answers = made_up(500)
    point = judged(answers, 0.7)
    chosen = [right for p, right in zip(answers.probability, answers.is_right, strict=True) if p >= 0.7]
    assert point.coverage == pytest.approx(len(chosen) / 500)
    assert point.accuracy == pytest.approx(sum(chosen) / len(chosen))
    assert judged(answers, 1.1).accuracy is None


def test_a_leaning_is_for_logs_that_are_not_judged():
    answers = made_up(500)
    point = leaning(answers, 0.7)
    rows = (answers.probability < 0.7) & (answers.together >= 0.7)
    assert point.coverage == pytest.approx(rows.mean())
    assert point.accuracy == pytest.approx(answers.is_way_right[rows].mean())


def test_what_cannot_be_reached_is_said():
    answers = made_up()
    hopeless = replace(answers, is_right=np.zeros(len(answers.n_points), dtype=bool))
    with pytest.raises(InputError, match="No probability is high enough"):
        calibrated(hopeless, [MINI], "model")


def test_asking_about_real_runs():
    few = MINI.select(np.flatnonzero(MINI["split"] == "test")[::10])
    answers = ask(few, "test", default_diagnoser(), default_library())
    assert len(answers.n_points) == len(few) * len(COUNTS) / 2
    asked = [int((answers.n_points == count).sum()) for count in COUNTS]
    assert max(asked) - min(asked) <= 4
    assert 0.1 < answers.is_right.mean() < 1
    np.testing.assert_allclose(answers.is_shown.mean(axis=0), [0.5, 0.25, 0.5], atol=0.1)
    with pytest.raises(InputError, match="no runs to calibrate on"):
        ask(few, "train", default_diagnoser(), default_library())


def test_nobody_is_right_about_runs_that_nothing_helps():
    class AlwaysHealthy:
        def predict_proba(self, X):
            return np.tile([0, 0, 0, 0, 0, 1.0], (len(X), 1))

    rows = np.flatnonzero((MINI["split"] == "test") & (MINI.labels == "healthy"))[:4]
    few = MINI.select(rows)
    assert ask(few, "test", AlwaysHealthy(), default_library()).is_right.all()
    columns = dict(few.columns) | {"diagnosis": np.full(4, "other")}
    other = type(few)(columns, few.meta)
    assert not ask(other, "test", AlwaysHealthy(), default_library()).is_right.any()
