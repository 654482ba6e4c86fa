"""Patience, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.odd_curves import odd_curves
from oracles.plain_rules import comparisons_with_anything, stalls

from curvebench.diagnosers.published.patience import has_stalled

CRITERIA = {
    "relative": lambda loss, best: loss < best * (1 - 1e-4),
    "absolute": lambda loss, best: loss < best - 0.1,
    "any": lambda loss, best: loss < best,
}


@settings(max_examples=200)
@given(odd_curves(3), st.integers(1, 12), st.sampled_from(sorted(CRITERIA)))
def test_it_is_what_a_callback_counts(curve, n_checks, criterion):
    is_better, losses = CRITERIA[criterion], curve.astype(np.float64)
    with comparisons_with_anything():
        found = has_stalled(losses, n_checks, is_better)
        assert found.tolist() == [stalls(row, n_checks, is_better) for row in losses]


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([3, 2, 1, 1, 1], False),
        ([3, 2, 1, 1, 1, 1], True),
        ([3, 1, 2, 2, 0.5, 0.4], False),
        ([3, 1, 2, 2, 2, 0.4], True),
        ([np.nan, np.nan, np.nan], True),
        ([np.inf, np.inf, 5.0], False),
    ],
)
def test_three_checks_in_a_row(losses, expected):
    assert has_stalled(np.array([losses], dtype=float), 3, CRITERIA["any"]).tolist() == [expected]
