"""The learner for curves as people log them: what it makes of a curve before it looks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curvebench.diagnosers.learned.as_logged import (
    LOWEST_RATE,
    N_RATES,
    NOWHERE,
    UNKNOWN,
    UNKNOWN_CURVE,
    UNKNOWN_RATE,
    AsLogged,
    gaps,
    highest_rate,
    levels,
    proportions,
    shape_of_rate,
    slopes,
)
from curvebench.diagnosers.learned.relogged import (
    N_POINTS,
    log_lines,
    logged_anew,
    logged_in,
    quieter,
    running_mean,
    with_other_rates,
)
from curvebench.diagnosers.learned.series import at_points
from curvebench.spec import DIAGNOSES


def curves(n_points: int, n: int = 5) -> np.ndarray:
    return np.random.default_rng(1).uniform(0.5, 2.0, (n, 2, n_points))


def test_means_leave_out_the_loss_before_any_update():
    X = curves(129)
    lines = X[:, :, 1:].reshape(5, 2, 4, 32).mean(axis=3)
    lines[:, 1] = X[:, 1, [32, 64, 96, 128]]  # a validation loss is not a mean
    np.testing.assert_allclose(logged_in(X, 4, mean=True), at_points(lines, N_POINTS))
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


def test_quieter_curves_keep_their_course():
    rng = np.random.default_rng(0)
    course = np.exp(-np.linspace(0, 3, 100))
    X = course * np.exp(0.2 * rng.standard_normal((4, 2, 100)))
    np.testing.assert_allclose(quieter(X, np.ones(4)), X)
    quiet = quieter(X, np.full(4, 0.1))
    noise = [np.diff(np.log(curves), n=2, axis=2).std() for curves in (X, quiet)]
    assert noise[1] < 0.2 * noise[0]
    np.testing.assert_allclose(quieter(np.tile(course, (1, 1, 1)), np.zeros(1))[0, 0], course, rtol=1e-9)
    assert np.abs(np.log(quiet / course)).mean() < 0.6 * np.abs(np.log(X / course)).mean()


@pytest.mark.parametrize("lost", [np.nan, np.inf, 0.0, -1.0])
def test_what_is_lost_stays_as_it_was_in_a_quieter_curve(lost):
    X = np.random.default_rng(0).uniform(0.5, 2, (2, 1, 60))
    X[0, 0, 30:] = lost
    quiet = quieter(X, np.full(2, 0.1))
    np.testing.assert_array_equal(quiet[0, 0, 30:], X[0, 0, 30:])
    assert (quiet[1] != X[1]).all()
    assert (quiet[0, 0, :13] != X[0, 0, :13]).all()


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


def test_how_high_the_rate_is_is_one_number():
    X = np.abs(np.random.default_rng(0).normal(1, 0.1, (6, 5, 30)))
    other = X.copy()
    other[:, 3] *= 10
    differences = AsLogged().features(other) - AsLogged().features(X)
    np.testing.assert_allclose(np.sort(np.abs(differences).max(axis=0))[-2:], [0, 1], atol=1e-4)
    rates = np.array([[0.0, 1e-3, np.nan], [np.nan] * 3, [0.0] * 3, [-1.0, np.inf, 10.0]])
    np.testing.assert_allclose(highest_rate(rates)[:, 0], [-3, UNKNOWN_RATE, UNKNOWN_RATE, 1])


def test_other_networks_have_other_rates_and_the_same_curves():
    X = np.abs(np.random.default_rng(0).normal(1, 0.1, (2000, 5, 3)))
    made = with_other_rates(X, np.random.default_rng(1))
    np.testing.assert_array_equal(made[:, [0, 1, 2, 4]], X[:, [0, 1, 2, 4]])
    decades = np.log10(made[:, 3] / X[:, 3])
    np.testing.assert_allclose(decades, decades[:, :1] * np.ones(3))
    np.testing.assert_allclose([decades.min(), decades.mean(), decades.max()], [-2, -0.75, 0.5], atol=0.05)


def test_the_unit_of_a_loss_is_seen_and_so_is_chance():
    losses = np.array([[2.3026] * 40, [0.35] * 40, [np.nan] * 40, [50.0] * 20 + [np.inf] * 20, [0.0] * 40])
    seen = levels(losses)
    assert np.isfinite(seen).all()
    assert seen[0, 5] < 1e-4 < 0.1 < seen[1, 5]
    np.testing.assert_allclose(seen[1, :5], np.log10(0.35))
    np.testing.assert_allclose(levels(10 * losses[:2])[:, :5], seen[:2, :5] + 1)
    np.testing.assert_allclose(seen[3, [0, 2, 3, 4]], np.log10(50.0))
    np.testing.assert_array_equal(seen[[2, 4], :5], NOWHERE)


def test_levels_are_the_plain_ones():
    losses = np.random.default_rng(0).uniform(0.1, 5, (1, 60))
    logs = np.log10(losses[0])
    plain = [logs[0], np.median(logs[-3:]), logs.min(), np.median(logs), logs.max()]
    np.testing.assert_allclose(levels(losses)[0, :5], plain)
    chance = np.log10(np.log([2, 3, 4, 5, 10, 100, 1000]))
    np.testing.assert_allclose(levels(losses)[0, 5:], [min(abs(at - chance)) for at in (np.median(logs), logs[0])])


def test_a_gap_has_no_unit_and_a_gradient_no_size():
    rng = np.random.default_rng(0)
    losses, val, norm = rng.uniform(0.5, 2, (3, 4, N_POINTS))
    np.testing.assert_allclose(gaps(7 * losses, 7 * val), gaps(losses, val), atol=1e-9)
    np.testing.assert_allclose(slopes(7 * losses, 1000 * norm), slopes(losses, norm), atol=1e-9)
    twice = gaps(losses, 2 * losses)
    np.testing.assert_allclose(twice[:, :12], np.log10(2))
    rising = gaps(losses, np.tile(np.linspace(1, 10, N_POINTS), (4, 1)))
    np.testing.assert_array_equal(rising[:, 25], 0)
    assert (rising[:, 24] > 0.9).all()


@pytest.mark.parametrize("lost", [np.nan, np.inf, -np.inf, 0.0, -1.0])
def test_features_of_whatever_is_logged_are_finite(lost):
    X = np.abs(np.random.default_rng(0).normal(1, 0.1, (5, 5, 30)))
    for channel in range(4):
        X[channel, channel] = lost
    X[4, :, 15:] = lost
    assert np.isfinite(AsLogged().features(X)).all()


def test_what_a_log_lacks_says_nothing_and_the_optimiser_never_does():
    X = np.abs(np.random.default_rng(0).normal(1, 0.1, (6, 5, 30)))
    seen = AsLogged().features(X)
    other = X.copy()
    other[:, 4] = np.nan
    np.testing.assert_array_equal(AsLogged().features(other), seen)
    for channel, unknown in ((1, [UNKNOWN_CURVE]), (2, [UNKNOWN_CURVE]), (3, [UNKNOWN, UNKNOWN_RATE])):
        other = X.copy()
        other[:, channel] = np.nan
        hidden = AsLogged().features(other)
        differs = (hidden != seen).any(axis=0)
        assert np.unique(hidden[:, differs]).tolist() == unknown


def test_trees_use_what_a_log_has_and_do_without(monkeypatch):
    """Runs that only the validation loss tells apart."""
    monkeypatch.setattr("curvebench.diagnosers.learned.as_logged.N_ITERATIONS", 20)
    rng = np.random.default_rng(0)
    X = np.exp(-np.linspace(0, 2, 40)) * rng.uniform(0.9, 1.1, (400, 5, 40))
    is_overfit = np.arange(400) % 2 == 0
    X[is_overfit, 1] *= np.linspace(1, 30, 40)
    labels = np.where(is_overfit, "lr_too_high", "healthy")
    fitted = AsLogged().fit(X, labels)
    with_it, without = X.copy(), X.copy()
    without[:, 1:] = np.nan
    told = np.where(fitted.predict_proba(with_it)[:, 0] > 0.5, "lr_too_high", "healthy")
    assert (told == labels).mean() > 0.99
    assert np.abs(fitted.predict_proba(without)[:, 0] - 0.5).mean() < 0.2


@pytest.mark.parametrize(("low", "is_told"), [(1e-7, True), (0.5, False)])
def test_rates_that_networks_of_other_sizes_train_alike_with_are_not_told_apart(monkeypatch, low, is_told):
    monkeypatch.setattr("curvebench.diagnosers.learned.as_logged.N_ITERATIONS", 40)
    X = np.exp(-np.linspace(0, 2, 40)) * np.random.default_rng(0).uniform(0.9, 1.1, (400, 5, 40))
    is_low = np.arange(400) % 2 == 0
    X[:, 3] = np.where(is_low, low, 1.0)[:, None]
    fitted = AsLogged().fit(X, np.where(is_low, "lr_too_low", "healthy"))
    probability = fitted.predict_proba(X)[:, DIAGNOSES.index("lr_too_low")]
    assert (np.abs(probability - is_low).max() < 0.2) == is_told
