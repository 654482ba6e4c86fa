"""The test of the slope, beside scipy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from oracles.odd_curves import odd_curves
from oracles.plain_rules import comparisons_with_anything
from scipy import stats

from curvebench.diagnosers.published.finding import NOTHING
from curvebench.diagnosers.published.sasa import STATIONARY, Sasa, slope_statistic, t_quantile

T = np.linspace(0, 1, 128)
NOISE = np.random.default_rng(0).normal(0, 1, 128)


def p_value_of_falling(losses: np.ndarray) -> float:
    """That of the latest eighth; one where nothing is compared, or nothing changes."""
    latest = losses[-(len(losses) // 8) :]
    if not np.isfinite(latest).all() or (latest == latest[0]).all():
        return 1.0
    return float(stats.linregress(np.arange(len(latest)), latest / np.abs(latest).max(), alternative="less").pvalue)


def plain(losses: np.ndarray) -> str:
    return STATIONARY if len(losses) >= 64 and not p_value_of_falling(losses) < 0.05 else NOTHING


@settings(max_examples=200)
@given(odd_curves(1))
def test_it_is_what_scipy_finds(curve):
    losses = curve[0].astype(np.float64)
    with comparisons_with_anything():
        assume(len(losses) < 64 or not 0.048 < p_value_of_falling(losses) < 0.052)  # the quantile is an expansion
        assert Sasa().findings(curve[None]).tolist() == [plain(losses)]


def test_a_hundred_thousand_points():
    rng = np.random.default_rng(0)
    losses = np.linspace([1, 1], [0, 2], 100_000).T + rng.normal(0, 0.1, (2, 100_000))
    assert Sasa().findings(losses[:, None]).tolist() == [plain(row) for row in losses] == [NOTHING, STATIONARY]


def test_the_statistic_is_that_of_scipy():
    losses = np.random.default_rng(0).normal(0, 1, (20, 16)) - 0.1 * np.arange(16)
    expected = [(line := stats.linregress(np.arange(16), row)).slope / line.stderr for row in losses]
    np.testing.assert_allclose(slope_statistic(losses), expected, rtol=1e-9)


@pytest.mark.parametrize("n_freedom", [6, 7, 10, 14, 30, 1000])
def test_the_quantile_is_that_of_scipy(n_freedom):
    assert t_quantile(0.95, n_freedom) == pytest.approx(stats.t.ppf(0.95, n_freedom), abs=1e-3)


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        (np.exp(-3 * T), NOTHING),
        (np.exp(-3 * T) * (1 + 0.001 * NOISE), NOTHING),
        (1 + 0.1 * NOISE, STATIONARY),
        (np.ones(128), STATIONARY),
        (1 + T, STATIONARY),
        (np.where(T > 0.9, np.nan, 1.0), STATIONARY),
        (1 + 0.1 * NOISE[:63], NOTHING),
    ],
)
def test_what_is_stationary(losses, expected):
    assert Sasa().findings(losses[None, None]).tolist() == [expected]
