"""Features: what each says of curves that everybody knows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from curvebench.diagnosers.features import FEATURES, LIMIT, log_curves

T = np.linspace(0, 1, 100)
STRAIGHT = 10.0 ** (-2 * T)
"""Two decades down, straight on a logarithmic axis."""

LEVEL = np.where(T < 0.1, 10 ** (-10 * T), 0.1)
ROUGH = STRAIGHT * np.where(np.arange(100) % 2, 1.1, 1 / 1.1)
SPIKE = np.where(np.arange(100) == 20, 100.0, STRAIGHT)
DIES = np.where(T > 0.5, np.nan, STRAIGHT)

SAYS = {
    "final-over-first": (STRAIGHT, -1.9),
    "final-over-min": (1 / STRAIGHT[::-1], 0.1),
    "min-over-first": (STRAIGHT, -2.0),
    "max-over-first": (SPIKE, 2.0),
    "not-finite": (DIES, 1.0),
    "time-of-min": (STRAIGHT[::-1], 0.0),
    "time-of-max": (SPIKE, 0.2),
    "first-tenth": (STRAIGHT, -0.2),
    "first-quarter": (STRAIGHT, -0.5),
    "first-half": (STRAIGHT, -1.0),
    "second-half": (LEVEL, 0.0),
    "last-quarter": (STRAIGHT, -0.4),
    "early-slope": (STRAIGHT, -2 / 3),
    "middle-slope": (STRAIGHT, -2 / 3),
    "late-slope": (LEVEL, 0.0),
    "bend": (LEVEL, -0.5),
    "mean": (STRAIGHT, -1.0),
    "half-done": (LEVEL, 0.05),
    "nearly-done": (STRAIGHT, 0.86),
    "largest-rise": (SPIKE, 2 + 19 * 2 / 99),
    "largest-fall": (SPIKE, -2 - 21 * 2 / 99),
    "rises": (ROUGH, 0.5),
    "late-rises": (STRAIGHT, 0.0),
    "above-start": (STRAIGHT[::-1], 0.99),
    "near-final": (LEVEL, 0.9),
    "tail-spread": (LEVEL, 0.0),
    "early-noise": (STRAIGHT, -6.0),
    "late-noise": (ROUGH, np.log10(2 * np.log10(1.21) / 6**0.5)),
    "noise-over-time": (ROUGH, 0.0),
    "step-correlation": (STRAIGHT, 0.99),
}


def values(curves: np.ndarray) -> dict[str, np.ndarray]:
    return {name: feature.of(log_curves(curves)) for name, feature in FEATURES.items()}


def test_every_feature_is_told_here():
    assert SAYS.keys() == FEATURES.keys()
    assert len(FEATURES) >= 20


@pytest.mark.parametrize("name", SAYS)
def test_a_feature_says_what_it_means(name):
    curve, expected = SAYS[name]
    assert values(curve[None])[name][0] == pytest.approx(expected, abs=0.025)


@pytest.mark.parametrize("factor", [1e-30, 7.0, 1e20])
def test_the_unit_of_the_loss_plays_no_part(factor):
    curves = np.stack([STRAIGHT, LEVEL, ROUGH, SPIKE, DIES])
    plain, scaled = values(curves), values(curves * factor)
    for name in FEATURES:
        np.testing.assert_allclose(scaled[name], plain[name], atol=1e-9, err_msg=name)


@given(
    arrays(
        np.float32,
        st.tuples(st.integers(1, 3), st.sampled_from([1, 2, 3, 5, 33])),
        elements=st.floats(width=32),
    )
)
def test_all_are_finite_for_whatever_is_given(curves):
    for name, of_curves in values(curves).items():
        assert of_curves.shape == (len(curves),), name
        assert np.isfinite(of_curves).all(), name
        assert of_curves.dtype == np.float64, name


def test_what_is_not_finite_stands_at_the_upper_limit():
    logs = log_curves([[np.nan, 1.0, 2.0], [1.0, np.inf, -np.inf], [1e-40, 1.0, 0.0]])
    assert logs[0, 0] == logs[1, 1] == logs[1, 2] == LIMIT
    assert np.abs(logs).max() == LIMIT
