"""SageMaker Debugger's rules, step by step."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from oracles.odd_curves import odd_curves
from oracles.plain_rules import channels_of, comparisons_with_anything, stalls

from curvebench.diagnosers.published.finding import NOTHING
from curvebench.diagnosers.published.sagemaker import (
    EXPLODING,
    NOT_DECREASING,
    OVERFIT,
    OVERTRAINING,
    VANISHED,
    SageMakerDebugger,
)

FALLING = np.linspace(9.0, 1.0, 50)


def plain(curve: np.ndarray) -> str:
    train, val, gradient = channels_of(curve, "telemetry").values()
    fired = set()
    for step in range(len(train)):
        if not np.isfinite([train[step], val[step], gradient[step]]).all():
            fired.add(EXPLODING)
        if gradient[step] < 1e-7:
            fired.add(VANISHED)
        if step > 0 and step % 10 == 0 and val[step] >= val[step - 10]:
            fired.add(NOT_DECREASING)
        if (val[step] - train[step]) / train[step] > 0.1:
            fired.add(OVERFIT)
    if stalls(train, 5, lambda a, best: a < best - 0.1) and stalls(val, 10, lambda a, best: a < best - 0.1):
        fired.add(OVERTRAINING)
    for rule in (EXPLODING, VANISHED, NOT_DECREASING, OVERTRAINING, OVERFIT):
        if rule in fired:
            return rule
    return NOTHING


@settings(max_examples=200)
@given(odd_curves(3))
def test_it_is_what_one_curve_at_a_time_finds(curve):
    with comparisons_with_anything():
        assert SageMakerDebugger().findings(curve[None]).tolist() == [plain(curve)]


def test_a_hundred_thousand_points():
    rng = np.random.default_rng(0)
    X = np.stack([np.linspace(9, 1, 100_000)] * 3) * np.array([1.0, 0.0])[:, None, None] + rng.random((2, 3, 1))
    X[1] = np.exp(-np.linspace(0, 1, 100_000))
    assert SageMakerDebugger().findings(X).tolist() == [plain(curve) for curve in X]


@pytest.mark.parametrize(
    ("train", "val", "gradient", "expected"),
    [
        (FALLING, FALLING, 1.0, NOTHING),
        (FALLING, np.where(FALLING < 2, np.nan, FALLING), 1.0, EXPLODING),
        (FALLING, FALLING, 1e-8, VANISHED),
        (FALLING, FALLING[::-1], 1.0, NOT_DECREASING),
        (FALLING / 1000, FALLING / 1000, 1.0, OVERTRAINING),
        (FALLING, FALLING * 1.2, 1.0, OVERFIT),
        (FALLING, FALLING * 1.05, 1.0, NOTHING),
    ],
)
def test_each_rule(train, val, gradient, expected):
    telemetry = np.stack([train, val, np.full(50, gradient)])
    assert SageMakerDebugger().findings(telemetry[None]).tolist() == [expected]
