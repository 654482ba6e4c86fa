"""How a log becomes what diagnosers are shown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curvebench.diagnosis import N_POINTS, curve_of, seen_by_diagnosers
from curvebench.diagnosis.sampling import evenly_sampled
from curvebench.spec import OPTIMIZERS, TRACKS, InputError, UsageError


def plain_even(steps, values, n_points):
    """The slow twin for logs of no more points than wanted: look left and right of every place, draw the line."""
    made = []
    for i in range(n_points):
        at = steps[0] + (steps[-1] - steps[0]) * i / (n_points - 1)
        right = next((k for k, step in enumerate(steps) if step >= at), len(steps) - 1)
        if steps[right] == at or right == 0:
            made.append(values[right] if np.isfinite(values[right]) else np.nan)
        elif np.isfinite(values[right - 1 : right + 1]).all():
            share = (at - steps[right - 1]) / (steps[right] - steps[right - 1])
            made.append(values[right - 1] + share * (values[right] - values[right - 1]))
        else:
            made.append(np.nan)
    return np.array(made)


@given(st.data())
def test_of_few_points_as_one_would_draw_it(data):
    n = data.draw(st.integers(1, 9))
    steps = np.cumsum(np.array(data.draw(st.lists(st.integers(1, 9), min_size=n, max_size=n)), dtype=float))
    losses = np.array(
        data.draw(st.lists(st.floats(0, 100) | st.just(np.nan) | st.just(np.inf), min_size=n, max_size=n))
    )
    np.testing.assert_allclose(evenly_sampled(steps, losses, 13), plain_even(steps, losses, 13), atol=1e-9)


def test_of_many_points_means():
    losses = np.arange(4 * N_POINTS, dtype=float)
    np.testing.assert_allclose(
        evenly_sampled(np.arange(len(losses)) * 7.0, losses), losses.reshape(N_POINTS, 4).mean(axis=1)
    )


def test_as_many_points_as_wanted_stay():
    losses = np.geomspace(3, 0.1, N_POINTS)
    np.testing.assert_allclose(evenly_sampled(np.arange(N_POINTS) * 10.0, losses), losses, rtol=1e-12)


def test_time_is_steps_not_lines():
    """A log that was written often at first and then seldom."""
    steps = np.concatenate([np.arange(100.0), np.linspace(200, 10_000, 50)])
    sampled = evenly_sampled(steps, np.exp(-steps / 5_000))
    np.testing.assert_allclose(
        sampled, np.exp(-np.linspace(0, 10_000, 150) / 5_000)[np.arange(128) * 150 // 128], atol=0.03
    )


def test_the_channels_of_every_track():
    n = 10
    curve = replace(
        curve_of(np.geomspace(2, 1, n)),
        val_loss=np.array([np.nan] * 3 + [2.0] * 7),
        grad_norm=np.ones(n),
        learning_rate=np.full(n, 0.1),
    )
    X = seen_by_diagnosers(curve, "config", "adam")
    assert (X.shape, X.dtype) == ((1, len(TRACKS["config"]), N_POINTS), np.float32)
    assert (X[0, 1] == 2.0).all(), "before its first value a loss stands at that"
    assert (X[0, 4] == OPTIMIZERS.index("adam")).all()
    assert seen_by_diagnosers(curve).shape == (1, 1, N_POINTS)


def test_what_a_log_lacks_is_said():
    with pytest.raises(UsageError, match="this log has no val_loss; choose a diagnoser"):
        seen_by_diagnosers(curve_of([2.0, 1.0]), "telemetry")
    X = seen_by_diagnosers(curve_of([2.0, 1.0]), "telemetry", may_lack=("val_loss", "grad_norm"))
    assert np.isfinite(X[0, 0]).all()
    assert np.isnan(X[0, 1:]).all()
    with pytest.raises(UsageError, match="There is no optimiser 'adm'"):
        seen_by_diagnosers(curve_of([2.0, 1.0]), "curve", "adm")


@pytest.mark.parametrize("losses", [[], [[1.0, 2.0]], "abc", None])
def test_what_is_no_run(losses):
    with pytest.raises(InputError, match="list of losses"):
        curve_of(losses)
