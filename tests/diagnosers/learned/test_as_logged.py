"""The learner for curves as people log them: what it makes of a curve before it looks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curvebench.diagnosers.learned.as_logged import (
    LOWEST_RATE,
    N_POINTS,
    N_RATES,
    UNKNOWN,
    AsLogged,
    log_lines,
    logged_anew,
    logged_in,
    proportions,
    running_mean,
    shape_of_rate,
)
from curvebench.diagnosers.learned.series import at_points


def curves(n_points: int, n: int = 5) -> np.ndarray:
    return np.random.default_rng(1).uniform(0.5, 2.0, (n, 2, n_points))


def test_means_leave_out_the_loss_before_any_update():
    X = curves(129)
    means = X[:, :, 1:].reshape(5, 2, 4, 32).mean(axis=3)
    np.testing.assert_allclose(logged_in(X, 4, mean=True), at_points(means, N_POINTS))
    changed = X.copy()
    changed[:, :, 0] = 99.0
    np.testing.assert_array_equal(logged_in(changed, 4, mean=True), logged_in(X, 4, mean=True))


def test_samples_are_points_of_the_curve():
    X = curves(128)
    np.testing.assert_allclose(logged_in(X, 8, mean=False), at_points(X[:, :, ::16], N_POINTS))


@given(st.integers(1, 200), st.integers(1, 200), st.booleans())
def test_any_curve_can_be_logged_in_any_number_of_points(n_given, n_points, mean):
    X = curves(n_given, 2)
    made = logged_in(X, n_points, mean=mean)
    assert made.shape == (2, 2, N_POINTS)
    assert X.min() - 1e-9 <= made.min() <= made.max() <= X.max() + 1e-9


def test_logged_anew_is_the_same_again_and_of_one_length():
    X = curves(100)
    X[0, 0, 50:] = np.nan
    first, second = (logged_anew(X, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert first.shape == (5, 2, N_POINTS)
    assert np.isnan(first[0, 0, -1])
    assert np.isfinite(first[1:]).all()


def test_a_log_has_as_many_lines_as_asked_for():
    X = curves(128)
    assert log_lines(X, 7, mean=True).shape == (5, 2, 7)
    np.testing.assert_array_equal(log_lines(X, 8, mean=False), X[:, :, ::16])


def test_some_are_rounded_as_they_are_printed():
    made = logged_anew(np.random.default_rng(1).uniform(0.5, 2.0, (400, 4, 128)), np.random.default_rng(0))
    ends = made[:, 0, -1]
    rounded = [np.isclose(ends * 10**d, np.round(ends * 10**d), atol=1e-6).mean() for d in (2, 3, 4)]
    assert rounded == sorted(rounded)
    assert 0.1 < rounded[0] < 0.4 < rounded[2] < 0.8


@given(st.floats(1e-3, 1e3), st.floats(0, 100))
def test_proportions_know_neither_unit_nor_floor(unit, floor):
    rng = np.random.default_rng(0)
    losses = np.exp(-np.linspace(0, 4, N_POINTS)) + 0.02 * rng.random((3, N_POINTS))
    np.testing.assert_allclose(proportions(unit * (losses + floor))[:, 1:], proportions(losses)[:, 1:], atol=1e-3)


def test_the_share_of_straight_points_tells_how_few_were_logged():
    losses = np.random.default_rng(0).uniform(1, 2, (1, 1, 127))
    shares = [float(proportions(logged_in(losses, n, mean=False)[:, 0])[0, 0]) for n in (4, 8, 31, 127)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.9
    assert shares[-1] < 0.1


def test_proportions_of_strange_curves_are_finite():
    strange = np.stack([np.full(N_POINTS, v) for v in (np.nan, np.inf, 0.0, 1.0, -1e30, 3e38)])
    strange = np.concatenate([strange, np.where(np.arange(N_POINTS) < 60, 1.0, strange)])
    assert proportions(strange).shape == (12, 9)
    assert np.isfinite(proportions(strange)).all()


def test_settings_are_not_noised():
    X = np.full((40, 5, 64), 0.1)
    made = logged_anew(X, np.random.default_rng(0))
    np.testing.assert_allclose(made[:, 3:], 0.1)
    assert (np.abs(made[:, :3] - 0.1) > 1e-6).any()


def plain_running_mean(values, weight):
    made, past = [], None
    for value in values:
        if np.isfinite(value):
            past = value if past is None else weight * past + (1 - weight) * value
            made.append(past)
        else:
            made.append(value)
    return made


@given(st.lists(st.floats(0, 9) | st.just(np.nan) | st.just(np.inf), min_size=1, max_size=12), st.floats(0, 0.95))
def test_the_running_mean_is_the_plain_one(values, weight):
    X = np.array(values)[None, None]
    np.testing.assert_allclose(
        running_mean(X, np.array([weight]))[0, 0], plain_running_mean(values, weight), rtol=1e-9, atol=1e-12
    )


def test_no_weight_changes_nothing():
    X = curves(30)
    assert running_mean(X, np.zeros(5)) == pytest.approx(X)


def test_the_shape_of_the_rate_has_no_unit():
    rates = np.array([[1e-3] * 24, [0.0, *[np.nan] * 23], np.geomspace(1, 1e-12, 24), np.geomspace(1, 0.01, 24)])
    shape = shape_of_rate(rates)
    assert shape.shape == (4, N_RATES)
    assert (shape[0] == 0).all()
    assert (shape[1] == UNKNOWN).all()
    assert shape[2].min() == -LOWEST_RATE
    np.testing.assert_allclose(shape_of_rate(1000 * rates[3:]), shape[3:])
    np.testing.assert_allclose(shape[3, [0, -1]], [-1 / 23, -2 + 1 / 23])


def test_only_loss_and_rate_are_looked_at():
    X = np.abs(np.random.default_rng(0).normal(1, 0.1, (6, 5, 30)))
    other = X.copy()
    other[:, [1, 2, 4]] = np.nan
    other[:, 3] *= 10
    np.testing.assert_allclose(AsLogged().features(X), AsLogged().features(other), atol=1e-12)
    other[:, 3] = np.nan
    assert np.isfinite(AsLogged().features(other)).all()
    assert (AsLogged().features(X) != AsLogged().features(other)).any()
