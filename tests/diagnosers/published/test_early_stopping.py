"""Early stopping, check by check."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from oracles.odd_curves import odd_curves
from oracles.plain_rules import channels_of, comparisons_with_anything, stalls

from curvebench.diagnosers.published.early_stopping import NOT_FINITE, STOPPED, EarlyStopping
from curvebench.diagnosers.published.finding import NOTHING, by_epochs


def plain(curve: np.ndarray) -> str:
    channels = channels_of(curve, "telemetry")
    if not np.isfinite(channels["val_loss"]).all():
        return NOT_FINITE
    epochs = by_epochs({name: values[None] for name, values in channels.items()})["val_loss"][0]
    return STOPPED if stalls(epochs, 3, lambda loss, best: loss < best) else NOTHING


@settings(max_examples=200)
@given(odd_curves(3))
def test_it_is_what_one_curve_at_a_time_finds(curve):
    with comparisons_with_anything():
        assert EarlyStopping().findings(curve[None]).tolist() == [plain(curve)]


def test_a_hundred_thousand_points():
    X = np.exp(-np.linspace([0, 0], [9, 0], 100_000)).T[:, None].repeat(3, axis=1)
    assert EarlyStopping().findings(X).tolist() == [plain(curve) for curve in X] == [NOTHING, STOPPED]


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([3, 2, 1, 1, 1], NOTHING),
        ([3, 2, 1, 1, 1, 1], STOPPED),
        ([3, 2, 1, 2, 2, 0.9], NOTHING),
        ([3, 2, 1, 1, 1, 1, np.inf], NOT_FINITE),
    ],
)
def test_three_checks_in_a_row(losses, expected):
    telemetry = np.stack([np.linspace(1, 0, len(losses)), losses, np.ones(len(losses))])
    assert EarlyStopping().findings(telemetry[None]).tolist() == [expected]
