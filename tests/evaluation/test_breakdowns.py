"""Scores broken down, against loops and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from curvebench.evaluation.breakdowns import (
    BASE_RATES,
    SEVERITY_EDGES,
    by_base_rate,
    by_severity,
    gain_left,
    reliability,
)
from curvebench.evaluation.evaluate import examine
from curvebench.evaluation.scores import HEALTHY, Judged, scores, scores_from_sums, sums_by_instance
from curvebench.spec import Action


def make_judged(n: int = 500, seed: int = 0) -> Judged:
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(6, 0.4), n)
    label = rng.integers(0, 6, n)
    return Judged(
        label=label,
        accepted=np.eye(6, dtype=bool)[label] | (rng.random((n, 6)) < 0.1),
        prediction=probabilities.argmax(axis=1),
        probabilities=probabilities,
        net_gain=rng.normal(0.1, 0.5, n),
        oracle_net_gain=rng.uniform(0.0, 0.9, n),
    )


def test_reliability_is_what_sklearn_says():
    judged = make_judged()
    found = reliability(judged)
    right = [judged.accepted[i, p.argmax()] for i, p in enumerate(judged.probabilities)]
    accuracy, confidence = calibration_curve(right, judged.probabilities.max(axis=1), n_bins=10)
    np.testing.assert_allclose([a for a in found.accuracy if a is not None], accuracy)
    np.testing.assert_allclose([c for c in found.confidence if c is not None], confidence)
    assert sum(found.count) == 500
    assert [n == 0 for n in found.count] == [a is None for a in found.accuracy] == [c is None for c in found.confidence]


def test_calibration_error_by_hand_and_from_sums():
    judged = make_judged()
    found = reliability(judged)
    expected = sum(
        n / 500 * abs(a - c) for n, a, c in zip(found.count, found.accuracy, found.confidence, strict=True) if n
    )
    np.testing.assert_allclose(scores(judged)["expected_calibration_error"], expected)
    sums = sums_by_instance(judged, np.arange(500) % 7, 7).sum(axis=0, keepdims=True)
    np.testing.assert_allclose(scores_from_sums(sums)["expected_calibration_error"], expected)


def test_who_is_right_as_often_as_he_says_has_no_error():
    n = 1000
    label = np.zeros(n, dtype=int)
    label[:300] = 1
    probabilities = np.tile([0.7, 0.3, 0, 0, 0, 0], (n, 1))
    ones = np.ones(n)
    calm = Judged(label, np.eye(6, dtype=bool)[label], np.zeros(n, dtype=int), probabilities, ones, ones)
    assert scores(calm)["expected_calibration_error"] == pytest.approx(0.0, abs=1e-12)


def test_severity_by_loops():
    judged = make_judged()
    best_gain = np.random.default_rng(1).uniform(0, 1, 500)
    best_gain[:6] = SEVERITY_EDGES
    found = by_severity(judged, best_gain)
    for i, bin_ in enumerate(found):
        low, high = bin_.severity
        rows = [
            r
            for r in range(500)
            if judged.label[r] != HEALTHY and (low <= best_gain[r] < high or (i == 4 and best_gain[r] == high))
        ]
        right = [judged.accepted[r, judged.prediction[r]] for r in rows]
        assert (bin_.n, bin_.accuracy) == (len(rows), pytest.approx(np.mean(right)))
        assert bin_.value == pytest.approx(judged.net_gain[rows].sum() / judged.oracle_net_gain[rows].sum())
    assert sum(b.n for b in found) == (judged.label != HEALTHY).sum()
    assert by_severity(judged, np.zeros(500))[-1].accuracy is None


def test_base_rates_by_drawing_runs():
    judged = make_judged(4000)
    healthy, alarm = judged.label == HEALTHY, judged.prediction != HEALTHY
    rng = np.random.default_rng(2)
    for found in by_base_rate(judged):
        n_faulty = round(found.share_of_faulty * 200_000)
        false = rng.choice(alarm[healthy], 200_000 - n_faulty).sum()
        true = rng.choice(alarm[~healthy], n_faulty).sum()
        assert found.false_alarms_per_100_alarms == pytest.approx(100 * false / (false + true), abs=1.0)
    assert [b.share_of_faulty for b in by_base_rate(judged)] == list(BASE_RATES)


def test_base_rates_that_are_not_defined():
    judged = make_judged(50)
    silent = Judged(**{**vars(judged), "prediction": np.full(50, HEALTHY)})
    only_healthy = judged.take(judged.label == HEALTHY)
    for case in (silent, only_healthy):
        assert {b.false_alarms_per_100_alarms for b in by_base_rate(case)} == {None}


@pytest.mark.parametrize("fraction", [0.25, 0.5, 0.75, 1.0])
def test_gain_left_by_loops(make_dataset, fraction):
    dataset = make_dataset(n_cells=24, n_points=16)
    (examination,) = examine(dataset, "chance", {"test": None}, n_bootstrap=1)
    judgement, meta = examination.judgement, dataset.meta
    gains = dataset["remedy_gain"].astype(float)
    cost = [{Action.NONE: 0.0, Action.RESUME: 1 - r.at}.get(r.action, 1.0) * meta.cost_weight for r in meta.remedies]
    left = 0.0
    for row, prediction in zip(judgement.rows, judgement.judged.prediction, strict=True):
        if prediction == HEALTHY:
            continue
        pair = np.flatnonzero(
            (dataset["cell"] == dataset["cell"][row]) & (dataset["base_lr"] == dataset["base_lr"][row])
        )
        others = pair[pair != row]
        best, action = 0.0, 0
        for a, remedy in enumerate(meta.remedies):
            is_past = remedy.action is Action.RESUME and remedy.at < fraction
            if is_past or remedy.action is Action.TRAIN_LONGER or np.isnan(gains[pair, a]).any():
                continue
            if gains[others, a].mean() - cost[a] > best + 1e-6:
                best, action = gains[others, a].mean() - cost[a], a
        left += gains[row, action] - cost[action] if action else 0.0
    expected = left / judgement.judged.oracle_net_gain.sum()
    assert gain_left(dataset, judgement, fraction) == pytest.approx(expected, rel=1e-6)


def test_what_is_left_shrinks_with_time(make_dataset):
    dataset = make_dataset(n_cells=24, n_points=16)
    (examination,) = examine(dataset, "oracle", {"test": None}, n_bootstrap=1)
    left = [gain_left(dataset, examination.judgement, f) for f in (0.25, 0.5, 0.75, 1.0)]
    assert left[0] == pytest.approx(1.0, abs=0.02)
    assert left == sorted(left, reverse=True)
    assert left[-1] < left[0]
