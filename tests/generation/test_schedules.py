"""Schedules: ends, bounds and monotony of every shape, and torch's own schedulers where it has them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curvebench.generation.schedules import CYCLIC, SHAPES, schedule_shape

shapes = st.sampled_from(sorted(set(SHAPES) - CYCLIC))
cyclic = st.sampled_from(sorted(CYCLIC))
decays = st.floats(1.0, 1e6)


@given(shapes, st.integers(1, 400), decays, st.floats(0.0, 0.5))
def test_every_shape_is_a_share_that_never_rises_after_the_warmup(name, n_steps, decay, warmup):
    shape = schedule_shape(name, n_steps, decay, warmup)
    assert shape.shape == (n_steps,)
    assert shape.dtype == np.float64
    assert np.all(shape > 0.0)
    assert np.all(shape <= 1.0)
    n_warmup = int(warmup * n_steps)
    assert shape[n_warmup] == pytest.approx(1.0, rel=1e-12)
    assert np.all(np.diff(shape[n_warmup:]) <= 0.0)
    assert np.all(np.diff(shape[: n_warmup + 1]) > 0.0)


@given(shapes.filter(lambda name: name != "constant"), st.integers(2, 400), decays, st.floats(0.0, 0.4))
def test_every_shape_but_the_constant_has_fallen_by_its_decay_at_the_last_update(name, n_steps, decay, warmup):
    shape = schedule_shape(name, n_steps, decay, warmup)
    assert shape[-1] * decay == pytest.approx(1.0, rel=1e-9)


def test_the_constant_ignores_its_decay():
    assert schedule_shape("constant", 5, decay=100.0).tolist() == [1.0] * 5


@given(shapes, st.integers(1, 200), decays, st.floats(0.0, 0.5))
def test_the_warmup_rises_in_equal_parts_and_shifts_the_rest(name, n_steps, decay, warmup):
    n_warmup = int(warmup * n_steps)
    shape = schedule_shape(name, n_steps, decay, warmup)
    np.testing.assert_allclose(shape[:n_warmup], np.arange(1, n_warmup + 1) / (n_warmup + 1), rtol=1e-12)
    np.testing.assert_array_equal(shape[n_warmup:], schedule_shape(name, n_steps - n_warmup, decay))


@pytest.mark.parametrize(("decay", "n_drops"), [(1.5, 1), (2.0, 1), (4.0, 2), (6.0, 3), (8.0, 3), (64.0, 6), (1e6, 20)])
def test_steps_halve_the_rate_as_nearly_as_the_decay_allows(decay, n_drops):
    shape = schedule_shape("step", 10 * (n_drops + 1) + 1, decay)
    levels, counts = np.unique(shape, return_counts=True)
    assert len(levels) == n_drops + 1
    np.testing.assert_allclose(levels[1:] / levels[:-1], decay ** (1 / n_drops), rtol=1e-9)
    assert counts.tolist() == [11, *[10] * n_drops], "levels of equal length; the last one has the end too"


@given(shapes, st.integers(2, 300), decays, st.floats(0.0, 0.5), st.floats(0.01, 1.0))
def test_a_decay_that_stops_keeps_the_rate_that_it_had_reached(name, n_steps, decay, warmup, until):
    whole, stopped = (schedule_shape(name, n_steps, decay, warmup, until=end) for end in (1.0, until))
    n_warmup = int(warmup * n_steps)
    n_rest = n_steps - 1 - n_warmup
    goes_on = np.arange(n_steps) - n_warmup <= until * n_rest
    np.testing.assert_array_equal(stopped[goes_on], whole[goes_on])
    if n_rest > 0 and not goes_on.all():
        assert len(np.unique(stopped[~goes_on])) == 1, "constant from there on"
        between = whole[np.flatnonzero(goes_on)[-1]], whole[np.flatnonzero(~goes_on)[0]]
        assert between[0] * (1 + 1e-12) >= stopped[-1] >= between[1] * (1 - 1e-12)


@given(cyclic, st.integers(1, 400), st.floats(1.001, 1e6), st.floats(1.0, 10.0))
def test_cyclic_shapes_stay_between_bottom_and_peak(name, n_steps, decay, cycles):
    shape = schedule_shape(name, n_steps, decay, cycles=cycles)
    assert np.all(shape <= 1.0)
    assert np.all(shape * decay >= 1.0 - 1e-9)


@pytest.mark.parametrize("cycles", [1.0, 2.0, 5.0])
def test_restarts_are_cosines_one_after_the_other(cycles):
    n = 100
    shape = schedule_shape("cosine_restarts", int(cycles) * n + 1, 30.0, cycles=cycles)
    one = schedule_shape("cosine", n + 1, 30.0)
    for k in range(int(cycles)):
        np.testing.assert_allclose(shape[k * n : (k + 1) * n], one[:-1], rtol=1e-9)
    assert shape[-1] == pytest.approx(1 / 30), "the last one reaches the bottom"


def test_a_training_that_ends_within_a_cycle_ends_high():
    assert schedule_shape("triangular", 501, 30.0, cycles=2.5)[-1] == pytest.approx(1.0)
    assert schedule_shape("cosine_restarts", 501, 30.0, cycles=2.0001)[-1] > 0.99


def test_triangles_rise_and_fall_along_straight_lines():
    shape = schedule_shape("triangular", 9, 5.0, cycles=2.0)
    np.testing.assert_allclose(shape, [0.2, 0.6, 1.0, 0.6, 0.2, 0.6, 1.0, 0.6, 0.2])


@pytest.mark.parametrize("n_steps", [1, 2, 3])
@pytest.mark.parametrize("name", SHAPES)
def test_the_shortest_trainings(name, n_steps):
    shape = schedule_shape(name, n_steps, 10.0, 0.5)
    assert np.all((shape > 0) & (shape <= 1))


@given(st.integers(2, 300), decays)
def test_inverse_time_is_one_over_a_line(n_steps, decay):
    reciprocal = 1.0 / schedule_shape("inverse_time", n_steps, decay)
    np.testing.assert_allclose(reciprocal, np.linspace(1.0, decay, n_steps), rtol=1e-9)


# ------------------------------------------------------------------------------------------ against torch


def rates_of(make_scheduler, n_steps: int) -> np.ndarray:
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    scheduler = make_scheduler(torch.optim.lr_scheduler, optimizer)
    rates = []
    for _ in range(n_steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return np.array(rates)


@pytest.mark.parametrize("decay", [1.0, 3.0, 1e3, 1e6])
@pytest.mark.parametrize("n_steps", [2, 40, 333])
def test_exponential_is_torchs(decay, n_steps):
    expected = rates_of(lambda lr, o: lr.ExponentialLR(o, gamma=decay ** (-1 / (n_steps - 1))), n_steps)
    np.testing.assert_allclose(schedule_shape("exponential", n_steps, decay), expected, rtol=1e-10)


@pytest.mark.parametrize("decay", [1.0, 3.0, 1e3, 1e6])
@pytest.mark.parametrize("n_steps", [2, 40, 333])
def test_cosine_is_torchs(decay, n_steps):
    expected = rates_of(lambda lr, o: lr.CosineAnnealingLR(o, T_max=n_steps - 1, eta_min=1 / decay), n_steps)
    np.testing.assert_allclose(schedule_shape("cosine", n_steps, decay), expected, rtol=1e-9)


@pytest.mark.parametrize("n_drops", range(1, 20))
def test_step_is_torchs_where_the_steps_divide_evenly(n_drops):
    distance = 7
    n_steps = distance * (n_drops + 1) + 1
    expected = rates_of(lambda lr, o: lr.StepLR(o, step_size=distance, gamma=0.5), n_steps - 1)
    np.testing.assert_allclose(schedule_shape("step", n_steps, 2.0**n_drops)[:-1], expected, rtol=1e-12)


@pytest.mark.parametrize("decay", [1.0, 10.0, 100.0])
@pytest.mark.parametrize("quarter", [1, 10, 57])
def test_milestones_are_torchs_at_a_half_and_three_quarters(decay, quarter):
    n_steps, milestones = 4 * quarter + 1, [2 * quarter, 3 * quarter]
    expected = rates_of(lambda lr, o: lr.MultiStepLR(o, milestones, gamma=decay**-0.5), n_steps)
    np.testing.assert_allclose(schedule_shape("milestones", n_steps, decay), expected, rtol=1e-12)


@pytest.mark.parametrize("n_steps", [10, 41])
def test_warmup_is_torchs_linear_one(n_steps):
    n_warmup = int(0.3 * n_steps)

    def make(lr, optimizer):
        return lr.LinearLR(optimizer, start_factor=1 / (n_warmup + 1), total_iters=n_warmup)

    np.testing.assert_allclose(schedule_shape("constant", n_steps, warmup=0.3), rates_of(make, n_steps), rtol=1e-12)
