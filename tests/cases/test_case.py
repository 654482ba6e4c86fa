"""A case as a logged curve, and as what a diagnoser is shown."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curvebench.cases.case import MAX_POINTS, Case
from curvebench.spec import CHANNELS


def case_of(loss, **fields):
    return Case("a", "healthy", np.array(loss, float), **fields)


def shown(case):
    return dict(zip(CHANNELS, case.channels("config"), strict=True))


@given(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=MAX_POINTS))
def test_a_short_series_is_shown_as_it_was_printed(loss):
    np.testing.assert_array_equal(case_of(loss).channels("curve"), np.float32([loss]))


def test_a_long_series_is_shown_in_means():
    loss = np.arange(1.0, 1001.0)
    channel = case_of(loss).channels("curve")[0]
    assert channel.shape == (MAX_POINTS,)
    np.testing.assert_allclose(channel[0], np.mean(loss[:7]), rtol=1e-6)
    np.testing.assert_allclose(channel[-1], np.mean(loss[-7:]), rtol=1e-2)
    assert (np.diff(channel) > 0).all()


def test_what_nobody_printed_is_nan():
    channels = shown(case_of([2.0, 1.0]))
    for name in CHANNELS[1:]:
        assert np.isnan(channels[name]).all()


def test_steps_say_when_points_were():
    """The moments are 0, 4, 8 and 12; at 0, 1 and 2 and at 12 something was printed: two lie on the last line."""
    case = case_of([9.0, 7.0, 5.0, 1.0], steps=np.array([0.0, 1.0, 2.0, 12.0]))
    np.testing.assert_allclose(case.channels("curve")[0], [9.0, 5 - 4 * 2 / 10, 5 - 4 * 6 / 10, 1.0])


@pytest.mark.parametrize(
    ("val_loss", "expected"),
    [
        ([4, 3, 2, 1], [4, 3, 2, 1]),
        ([5, 1], [5, 5, 5, 1]),
        ([7], [7, 7, 7, 7]),
        ([9, 8, 7, 6, 5, 4, 3], [9, 7, 5, 3]),
    ],
)
def test_validation_losses_lie_evenly_over_the_same_time(val_loss, expected):
    case = case_of([1.0] * 4, val_loss=np.array(val_loss, float))
    np.testing.assert_array_equal(shown(case)["val_loss"], np.float32(expected))


@pytest.mark.parametrize(
    ("url", "source"),
    [
        ("https://github.com/a/b/blob/main/x.json", "https://github.com/a/b"),
        ("https://gitlab.com/a/b/-/blob/main/x.json", "https://gitlab.com/a/b"),
        ("https://github.com/a/b/issues/1", "https://github.com/a/b/issues/1"),
        ("https://github.com/a/b/issues/2", "https://github.com/a/b/issues/2"),
        ("a notebook", "a notebook"),
        ("", "case a"),
    ],
)
def test_files_of_one_repository_are_one_source(url, source):
    assert case_of([1.0], source_url=url).source == source
