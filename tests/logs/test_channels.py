"""What a diagnoser sees of a logged curve, against a slow twin that walks from moment to moment."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curvebench.logs.channels import channels_of
from curvebench.logs.curve import Curve
from curvebench.spec import CHANNELS, TRACKS

LOSSES = st.one_of(st.floats(-1e3, 1e3), st.sampled_from([math.nan, math.inf, -math.inf]))


def curve_of(loss, steps=None, **beside):
    steps = np.arange(len(loss)) if steps is None else steps
    return Curve("", "csv", "step", np.array(steps, float), np.array(loss, float), **beside)


def slow_loss(steps, loss, n_points):
    """Whole numbers only, so that no step lies between two moments by rounding."""
    span = steps[-1] - steps[0]
    shown = []
    for i in range(n_points):
        # step s is of moment i if (i - 1) * span < (s - first) * (n_points - 1) <= i * span
        scaled = [(s - steps[0]) * (n_points - 1) for s in steps]
        inside = [v for at, v in zip(scaled, loss, strict=True) if (i - 1) * span < at <= i * span]
        if inside:
            shown.append(sum(inside) / len(inside))
            continue
        left = max(k for k, at in enumerate(scaled) if at <= i * span)
        share = (i * span - scaled[left]) / (scaled[left + 1] - scaled[left])
        on_line = loss[left] + share * (loss[left + 1] - loss[left])
        shown.append(on_line if math.isfinite(on_line) else loss[left])
    return shown


@given(st.lists(st.tuples(st.integers(1, 9), LOSSES), min_size=2, max_size=30), st.integers(2, 40))
def test_losses_are_those_of_the_slow_twin(points, n_points):
    steps = np.cumsum([step for step, _ in points]).tolist()
    loss = [value for _, value in points]
    shown = channels_of(curve_of(loss, steps), "curve", n_points)
    assert shown.dtype == np.float32
    np.testing.assert_allclose(shown[0], slow_loss(steps, loss, n_points), rtol=1e-5, atol=1e-4)


@given(st.lists(LOSSES, min_size=1, max_size=40), st.floats(1e-3, 1e6), st.floats(-1e6, 1e6))
def test_even_steps_are_shown_as_they_were_logged(loss, every, first):
    steps = first + every * np.arange(len(loss))
    np.testing.assert_array_equal(channels_of(curve_of(loss, steps), "curve", len(loss))[0], np.float32(loss))


@pytest.mark.parametrize("n_points", [1, 2, 7, 128])
def test_a_single_value_is_repeated(n_points):
    assert channels_of(curve_of([2.5]), "curve", n_points).tolist() == [[2.5] * n_points]


def test_one_moment_is_the_mean_of_all():
    assert channels_of(curve_of([1.0, 2.0, 6.0]), "curve", 1).tolist() == [[3.0]]


def test_what_stands_beside_is_the_last_that_was_known():
    rate, validation = np.array([0.1, 0.1, 0.01, 0.001]), np.array([np.nan, 3.0, 3.0, 2.0])
    curve = curve_of([4.0, 3.0, 2.0, 1.0], learning_rate=rate, val_loss=validation)
    shown = dict(zip(CHANNELS, channels_of(curve, "config", 7), strict=True))
    np.testing.assert_array_equal(shown["learning_rate"], np.float32([0.1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.001]))
    np.testing.assert_array_equal(shown["val_loss"], [np.nan, np.nan, 3, 3, 3, 3, 2])
    assert np.isnan(shown["grad_norm"]).all()
    assert np.isnan(shown["optimizer"]).all()


@pytest.mark.parametrize("track", TRACKS)
def test_a_track_has_its_channels(track):
    assert channels_of(curve_of([1.0, 0.5]), track, 9).shape == (len(TRACKS[track]), 9)


def test_what_single_precision_cannot_hold_is_infinite():
    assert channels_of(curve_of([1.0, 1e300]), "curve", 2)[0].tolist() == [1.0, math.inf]


@pytest.mark.parametrize("steps", [[5.0, 5.0, 5.0], [-1.7e308, 0.0, 1.7e308]])
def test_steps_that_tell_no_time_are_counted(steps):
    assert channels_of(curve_of([3.0, 2.0, 1.0], steps), "curve", 3)[0].tolist() == [3.0, 2.0, 1.0]
