"""Pflug's sum, term by term."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from oracles.odd_curves import odd_curves
from oracles.plain_rules import channels_of, comparisons_with_anything

from curvebench.diagnosers.published.chee_toulis import STATIONARY, CheeToulis
from curvebench.diagnosers.published.finding import NOTHING

T = np.linspace(0, 1, 128)


def plain(curve: np.ndarray) -> str:
    losses = channels_of(curve, "telemetry")["val_loss"]
    n_points, total = len(losses), 0.0
    for step in range(min(n_points // 10, n_points - 3) + 2, n_points):
        if step >= 2:
            total += (losses[step] - losses[step - 1]) * (losses[step - 1] - losses[step - 2])
        if total < 0:
            return STATIONARY
    return NOTHING


@settings(max_examples=200)
@given(odd_curves(3))
def test_it_is_what_one_curve_at_a_time_finds(curve):
    with comparisons_with_anything():
        expected = plain(curve) if curve.shape[1] >= 3 else NOTHING
        assert CheeToulis().findings(curve[None]).tolist() == [expected]


def test_a_hundred_thousand_points():
    X = np.random.default_rng(0).normal(0, 1, (2, 3, 100_000))
    X[1] = np.linspace(1, 0, 100_000)
    assert CheeToulis().findings(X).tolist() == [plain(curve) for curve in X] == [STATIONARY, NOTHING]


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        (np.exp(-3 * T), NOTHING),
        (1 + 0.1 * np.tile([1, -1], 64), STATIONARY),
        (np.ones(128), NOTHING),
        (np.r_[np.tile([1.0, 2.0], 6), np.linspace(1, 0, 116)], NOTHING),  # what happens in the burn-in does not count
    ],
)
def test_what_is_stationary(losses, expected):
    assert CheeToulis().findings(np.stack([losses] * 3)[None]).tolist() == [expected]
