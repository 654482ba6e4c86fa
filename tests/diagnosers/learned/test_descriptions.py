"""What classifiers of tables see: levels and moves, against loops that anybody can read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from curvebench.diagnosers.features import log_curves
from curvebench.diagnosers.learned import describe, features_of_channels
from curvebench.diagnosers.learned.descriptions import LAGS, N_LEVELS
from curvebench.diagnosers.learned.series import resampled
from curvebench.spec import TRACKS


def described_slowly(curve: np.ndarray) -> list[float]:
    """What `describe` adds to the simple features of one training loss."""
    logs = log_curves([curve])[0]
    told = list(resampled(logs[None], N_LEVELS)[0])
    for lag in LAGS:
        moves = [logs[i + lag] - logs[i] for i in range(len(logs) - lag)]
        for quarter in range(4):
            part = moves[quarter * len(moves) // 4 : (quarter + 1) * len(moves) // 4]
            told += [np.std(part), np.mean(part), np.median(np.abs(part))]
    bends = [logs[i] - 2 * logs[i + 1] + logs[i + 2] for i in range(len(logs) - 2)]
    return told + [np.std(bends[k * len(bends) // 8 : (k + 1) * len(bends) // 8]) for k in range(8)]


@pytest.mark.parametrize("n_points", [24, 50, 128])
def test_against_a_slow_twin(n_points):
    X = np.exp(np.random.default_rng(0).normal(0, 1, (4, 1, n_points)))
    expected = [[*simple, *described_slowly(x[0])] for simple, x in zip(features_of_channels(X), X, strict=True)]
    np.testing.assert_allclose(describe(X), expected, atol=1e-12)


@given(arrays(np.float32, st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 40))))
def test_any_curve_is_described_by_as_many_finite_numbers(X):
    seen = describe(X)
    assert seen.shape == (len(X), describe(np.ones((1, X.shape[1], 9))).shape[1])
    assert np.isfinite(seen).all()
    np.testing.assert_array_equal(describe(X[:1]), seen[:1])


def test_any_channel_may_be_described_alone():
    X = np.exp(np.random.default_rng(0).normal(0, 1, (5, len(TRACKS["telemetry"]), 30)))
    alone = np.concatenate([describe(X[:, [channel]]) for channel in range(X.shape[1])], axis=1)
    np.testing.assert_array_equal(np.sort(describe(X), axis=1), np.sort(alone, axis=1))


def test_the_unit_of_the_loss_plays_no_part():
    X = np.exp(np.random.default_rng(0).normal(0, 1, (5, 1, 30)))
    np.testing.assert_allclose(describe(1000 * X), describe(X), atol=1e-9)
