"""UMLAUT, epoch by epoch."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from oracles.odd_curves import odd_curves
from oracles.plain_rules import channels_of, comparisons_with_anything

from curvebench.diagnosers.published.finding import NOTHING, by_epochs
from curvebench.diagnosers.published.umlaut import (
    LOSS_NOT_A_NUMBER,
    OVERFITTING,
    RATE_TOO_HIGH,
    RATE_TOO_LOW,
    Umlaut,
)

FALLING = np.linspace(1.0, 0.1, 40)


def plain(curve: np.ndarray) -> str:
    """All messages of all epochs, of which the most serious is named."""
    channels = channels_of(curve, "config")
    log = {name: values[0] for name, values in by_epochs({k: v[None] for k, v in channels.items()}).items()}
    messages = set()
    if any(not math.isfinite(loss) for loss in channels["train_loss"]):
        messages.add(LOSS_NOT_A_NUMBER)
    for epoch, rate in enumerate(log["learning_rate"]):
        if rate > 0.01:
            messages.add(RATE_TOO_HIGH)
        if rate < 1e-7:
            messages.add(RATE_TOO_LOW)
        if epoch > 0:
            change = log["train_loss"][epoch] - log["train_loss"][epoch - 1]
            val_change = log["val_loss"][epoch] - log["val_loss"][epoch - 1]
            if val_change > 0 and change <= 0:
                messages.add(OVERFITTING)
    for message in (LOSS_NOT_A_NUMBER, RATE_TOO_HIGH, RATE_TOO_LOW, OVERFITTING):
        if message in messages:
            return message
    return NOTHING


@settings(max_examples=200)
@given(odd_curves(5))
def test_it_is_what_one_curve_at_a_time_finds(curve):
    with comparisons_with_anything():
        assert Umlaut().findings(curve[None]).tolist() == [plain(curve)]


def test_a_hundred_thousand_points():
    rng = np.random.default_rng(0)
    X = np.exp(rng.normal(-6, 1, (2, 5, 100_000)))
    assert Umlaut().findings(X).tolist() == [plain(curve) for curve in X]


@pytest.mark.parametrize(
    ("train", "val", "rate", "expected"),
    [
        (np.where(FALLING < 0.5, np.nan, FALLING), FALLING, 0.1, LOSS_NOT_A_NUMBER),
        (np.where(FALLING < 0.5, np.inf, FALLING), FALLING, 1e-3, LOSS_NOT_A_NUMBER),
        (FALLING, FALLING, 0.011, RATE_TOO_HIGH),
        (FALLING, FALLING, 0.01, NOTHING),
        (FALLING, FALLING, 0.9e-7, RATE_TOO_LOW),
        (FALLING, FALLING[::-1], 1e-3, OVERFITTING),
        (FALLING[::-1], FALLING[::-1], 1e-3, NOTHING),
    ],
)
def test_each_message(train, val, rate, expected):
    curve = np.stack([train, val, np.ones(40), np.full(40, rate), np.zeros(40)])
    assert Umlaut().findings(curve[None]).tolist() == [expected]
