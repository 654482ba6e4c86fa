"""AutoTrainer, check by check."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from oracles.odd_curves import odd_curves
from oracles.plain_rules import channels_of, comparisons_with_anything

from curvebench.diagnosers.published.autotrainer import (
    DYING_RELU,
    EXPLODE,
    NOT_CONVERGE,
    UNSTABLE,
    AutoTrainer,
    swing_ends,
)
from curvebench.diagnosers.published.finding import NOTHING, by_epochs

T = np.linspace(0, 1, 32)
CONVERGES = 0.05 + np.exp(-8 * T)


def accuracies(losses: np.ndarray, first: float) -> list:
    return [0.0 if first == 0 else (first - loss) / abs(first) for loss in losses]


def n_swings(accuracy: list) -> int:
    """Local maxima and minima of what has been seen, paired in their order."""
    maxima, minima = [], []
    for before, here, after in zip(accuracy, accuracy[1:], accuracy[2:], strict=False):
        if here >= before and here >= after:
            maxima.append(here)
        if here <= before and here <= after:
            minima.append(here)
    return sum(high - low >= 0.03 for high, low in zip(maxima, minima, strict=False))


def best_gain(accuracy: list) -> float:
    return max([0.0] + [after - before for before, after in pairwise(accuracy)])


def plain(curve: np.ndarray) -> str:
    channels = channels_of(curve, "telemetry")
    log = {name: values[0] for name, values in by_epochs({k: v[None] for k, v in channels.items()}).items()}
    n_epochs = len(log["train_loss"])
    all_train = accuracies(log["train_loss"], channels["train_loss"][0])
    all_val = accuracies(log["val_loss"], channels["val_loss"][0])
    n_dead = 0
    for seen in range(3, n_epochs + 1, 3):
        losses = [*log["train_loss"][:seen], *log["val_loss"][:seen]]
        if any(not math.isfinite(loss) or loss >= 1e3 for loss in losses):
            return EXPLODE
        n_dead += log["grad_norm"][seen - 1] == 0
        if seen < 0.3 * n_epochs - 3:
            continue
        train, val = all_train[:seen], all_val[:seen]
        is_poor = max(train) < 0.6 and max(val) < 0.6
        is_slow = best_gain(train) < 0.01 and best_gain(val) < 0.01
        if n_dead and (is_poor or is_slow):
            return DYING_RELU
        if is_poor and is_slow:
            return NOT_CONVERGE
        if n_swings(train) >= 0.2 * seen:
            return UNSTABLE
    return NOTHING


@settings(max_examples=300)
@given(odd_curves(3))
def test_it_is_what_one_curve_at_a_time_finds(curve):
    with comparisons_with_anything():
        assert AutoTrainer().findings(curve[None]).tolist() == [plain(curve)]


def test_a_hundred_thousand_points():
    X = np.stack([np.exp(-np.linspace(0, 5, 100_000)), 1 + 0.5 * np.sin(np.linspace(0, 60, 100_000))])
    X = X[:, None].repeat(3, axis=1)
    assert AutoTrainer().findings(X).tolist() == [plain(curve) for curve in X] == [NOTHING, UNSTABLE]


@pytest.mark.parametrize(
    ("train", "val", "gradient", "expected"),
    [
        (CONVERGES, CONVERGES, 1.0, NOTHING),
        (CONVERGES, np.where(T > 0.5, np.inf, CONVERGES), 1.0, EXPLODE),
        (CONVERGES * 1e4, CONVERGES, 1.0, EXPLODE),
        (np.ones(32), np.ones(32), 0.0, DYING_RELU),
        (1 - 0.1 * T, 1 - 0.1 * T, 1.0, NOT_CONVERGE),
        (1 - 0.5 * T, 1 - 0.5 * T, 1.0, NOTHING),
        (0.3 + 0.1 * np.tile([1, -1], 16), CONVERGES, 1.0, UNSTABLE),
    ],
)
def test_each_problem(train, val, gradient, expected):
    telemetry = np.stack([train, val, np.full(32, gradient)])
    assert AutoTrainer().findings(telemetry[None]).tolist() == [expected]


def test_swings_are_counted_when_they_are_complete():
    accuracy = np.random.default_rng(0).normal(0, 0.05, (30, 20)).round(2)
    counted = swing_ends(accuracy).cumsum(axis=1)
    for row, found in zip(accuracy, counted, strict=True):
        assert found.tolist() == [n_swings(row[: n + 1].tolist()) for n in range(20)]
