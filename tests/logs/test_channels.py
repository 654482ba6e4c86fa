"""What a diagnoser sees of a logged curve, against a slow twin that draws the lines."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curvebench.logs.channels import channels_of, evenly_sampled
from curvebench.logs.curve import Curve
from curvebench.spec import CHANNELS, TRACKS

LOSSES = st.one_of(st.floats(-1e3, 1e3), st.sampled_from([math.nan, math.inf, -math.inf]))


def curve_of(loss, steps=None, **beside):
    steps = np.arange(len(loss)) if steps is None else steps
    return Curve("", "csv", "step", np.array(steps, float), np.array(loss, float), **beside)


def plain_even(steps, values, n_points):
    """The slow twin for logs of no more points than wanted: look left and right of every place, draw the line."""
    made = []
    for i in range(n_points):
        at = steps[0] + (steps[-1] - steps[0]) * i / (n_points - 1)
        right = next((k for k, step in enumerate(steps) if step >= at - 1e-6), len(steps) - 1)
        if abs(steps[right] - at) < 1e-6 or right == 0:
            made.append(values[right])
            continue
        share = (at - steps[right - 1]) / (steps[right] - steps[right - 1])
        ends = [float(values[right - 1]), float(values[right])]
        lost = [value for value in ends if not math.isfinite(value)]
        made.append(sum(lost) if lost else ends[0] + share * (ends[1] - ends[0]))
    return np.array(made)


@given(st.lists(st.tuples(st.integers(1, 9), LOSSES), min_size=1, max_size=9))
def test_of_few_points_as_one_would_draw_it(points):
    steps = np.cumsum([float(step) for step, _ in points])
    losses = np.array([value for _, value in points])
    np.testing.assert_allclose(evenly_sampled(steps, losses, 13), plain_even(steps, losses, 13), atol=1e-4)


def test_of_many_points_means():
    losses = np.arange(4 * 128, dtype=float)
    shown = evenly_sampled(np.arange(len(losses)) * 7.0, losses, 128)
    np.testing.assert_allclose(shown, losses.reshape(128, 4).mean(axis=1))
    losses[[9, 400]] = np.nan, np.inf
    shown = evenly_sampled(np.arange(len(losses)) * 7.0, losses, 128)
    assert np.isnan(shown[2])
    assert shown[100] == np.inf
    assert np.isfinite(np.delete(shown, [2, 100])).all()


def test_time_is_steps_not_lines():
    """A log that was written often at first and then seldom."""
    steps = np.concatenate([np.arange(100.0), np.linspace(200, 10_000, 50)])
    sampled = evenly_sampled(steps, np.exp(-steps / 5_000), 128)
    np.testing.assert_allclose(
        sampled, np.exp(-np.linspace(0, 10_000, 150) / 5_000)[np.arange(128) * 150 // 128], atol=0.03
    )


@given(st.lists(LOSSES, min_size=1, max_size=40), st.floats(1e-3, 1e6), st.floats(-1e6, 1e6))
def test_even_steps_are_shown_as_they_were_logged(loss, every, first):
    steps = first + every * np.arange(len(loss))
    np.testing.assert_array_equal(channels_of(curve_of(loss, steps), "curve", len(loss))[0], np.float32(loss))


@pytest.mark.parametrize("n_points", [1, 2, 7, 128])
def test_a_single_value_is_repeated(n_points):
    assert channels_of(curve_of([2.5]), "curve", n_points).tolist() == [[2.5] * n_points]


def test_one_moment_is_the_mean_of_all():
    assert channels_of(curve_of([1.0, 2.0, 6.0]), "curve", 1).tolist() == [[3.0]]


def test_what_stands_beside_begins_with_its_first_value():
    rate, validation = np.array([0.1, 0.1, 0.01, 0.001]), np.array([np.nan, 3.0, 3.0, 2.0])
    curve = curve_of([4.0, 3.0, 2.0, 1.0], learning_rate=rate, val_loss=validation)
    shown = dict(zip(CHANNELS, channels_of(curve, "config", 7), strict=True))
    np.testing.assert_allclose(shown["learning_rate"], [0.1, 0.1, 0.1, 0.055, 0.01, 0.0055, 0.001], rtol=1e-6)
    np.testing.assert_array_equal(shown["val_loss"], [3, 3, 3, 3, 3, 2.5, 2])
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
