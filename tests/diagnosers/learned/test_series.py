"""Curves of one length."""

from __future__ import annotations

import numpy as np
import pytest

from curvebench.diagnosers.learned.series import constants, log_channels, resampled
from curvebench.spec import TRACKS


@pytest.mark.parametrize(("n_given", "n_wanted"), [(1, 5), (2, 3), (7, 20), (12, 12), (30, 10), (31, 10)])
def test_a_straight_line_stays_one(n_given, n_wanted):
    line = np.linspace(0, 1, n_given)[None]
    seen = resampled(line, n_wanted)
    assert seen.shape == (1, n_wanted)
    if n_given <= n_wanted and n_given > 1:
        np.testing.assert_allclose(seen[0], np.linspace(0, 1, n_wanted), atol=1e-12)
    assert (np.diff(seen[0]) >= 0).all()


def test_fewer_points_are_means_of_pieces():
    values = np.random.default_rng(0).normal(size=(3, 31))
    expected = [[v[k * 31 // 10 : (k + 1) * 31 // 10].mean() for k in range(10)] for v in values]
    np.testing.assert_allclose(resampled(values, 10), expected, atol=1e-12)
    np.testing.assert_array_equal(resampled(values, 31), values)


@pytest.mark.parametrize("track", TRACKS)
def test_channels_and_constants_of_each_track(track):
    X = np.ones((2, len(TRACKS[track]), 6))
    if track == "config":
        X[:, 3], X[:, 4] = [[1.0] * 3 + [0.1] * 3, [np.nan] * 6], [[2.0], [0.0]]
    assert len(log_channels(X)) == min(len(TRACKS[track]), 4)
    fixed = constants(X)
    assert fixed.shape == (2, 6 if track == "config" else 0)
    if track == "config":
        np.testing.assert_allclose(log_channels(X)[3][0], [0, 0, 0, -1, -1, -1])
        assert fixed.tolist() == [[0, 0, 0, 1, 0, 0], [-30, 1, 0, 0, 0, 0]]
    assert constants(X[:0]).shape == (0, fixed.shape[1])
