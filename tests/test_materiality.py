"""The test of a family of remedies, held against the plain loops of the oracle."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles.plain_labels import family_of
from oracles.plain_labels import mean_and_half_width as plain_mean_and_half_width

from curvebench.materiality import FAMILIES, best_members, mean_and_half_width
from curvebench.spec import NO_REMEDY, Action, Remedy

REMEDIES = (
    NO_REMEDY,
    Remedy(Action.RESTART, 0.1),
    Remedy(Action.RESTART, 10.0),
    Remedy(Action.RESTART, 100.0),
    Remedy(Action.RESUME, 0.1, 0.25),
    Remedy(Action.RESUME, 0.1, 0.5),
    Remedy(Action.RESUME, 10.0, 0.75),
    Remedy(Action.CHANGE_OUTPUT),
    Remedy(Action.TRAIN_LONGER),
)


@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(2, 6), st.sampled_from([0.8, 0.9, 0.975]))
def test_best_members_are_those_of_the_plain_loops(seed, m, n_seeds, confidence):
    rng = np.random.default_rng(seed)
    gains = rng.uniform(-1, 1, (m, n_seeds, len(REMEDIES)))
    gains[rng.random(gains.shape) < 0.1] = np.nan
    means, half_widths = mean_and_half_width(gains, confidence)
    found = best_members(means, half_widths, REMEDIES)
    for i in range(m):
        for f, family in enumerate(FAMILIES):
            tried = {
                j: plain_mean_and_half_width(gains[i, :, j].tolist(), confidence)
                for j, remedy in enumerate(REMEDIES)
                if family_of(remedy) == family and not np.isnan(gains[i, :, j]).any()
            }
            if not tried:
                assert found.index[i, f] == -1
                assert found.upper[i, f] == -np.inf
                continue
            best = max(tried, key=lambda j: tried[j][0])
            mean, half = tried[best]
            assert found.index[i, f] == best
            assert (found.mean[i, f], found.lower[i, f], found.upper[i, f]) == pytest.approx(
                (mean, mean - half, mean + half)
            )


def test_a_family_without_remedies_is_never_material():
    means, half_widths = mean_and_half_width(np.ones((2, 3, 1)), 0.9)
    found = best_members(means, half_widths, (NO_REMEDY,))
    assert (found.index == -1).all()
    assert (found.lower == -np.inf).all()
