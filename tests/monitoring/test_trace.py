"""The curve in constant memory against one that keeps every loss."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curvebench.monitoring.trace import CAPACITY, N_POINTS, Trace
from curvebench.spec import CHANNELS, OPTIMIZERS, UsageError

LOSSES = st.floats(1e-3, 1e3) | st.sampled_from([0.0, -1.0, math.nan, math.inf])
MOVES = st.lists(st.tuples(st.integers(-400, 400), st.integers(1, 60), st.integers(0, 2**32)), max_size=12)
"""Stretches of training: a leap in steps, how many losses follow, a seed for them."""


class KeepsAll:
    """The twin: a list of everything that counts, resampled when it is asked for."""

    def __init__(self) -> None:
        self.told: list[tuple[int, float, tuple[float, ...]]] = []
        self.width = 1

    def add(self, step: int, loss: float, beside: tuple[float, ...]) -> None:
        if self.told and step < self.told[-1][0]:
            origin = self.told[0][0]
            if step <= origin:
                self.__init__()
            else:
                piece = (step - origin - 1) // self.width
                self.told = [t for t in self.told if t[0] == origin or (t[0] - origin - 1) // self.width < piece]
        known = self.told[-1][2] if self.told else (math.nan,) * 3
        if self.told and step < self.last:  # what was known stays known, though its loss is forgotten
            known = self.known
        self.known = tuple(k if math.isnan(b) else b for k, b in zip(known, beside, strict=True))
        self.last, self.latest = step, loss
        self.told.append((step, loss, self.known))
        while self.piece(step) >= CAPACITY:
            self.width *= 2

    def piece(self, step: int) -> int:
        return (step - self.told[0][0] - 1) // self.width

    def curve(self, n_planned: int) -> list[list[float]]:
        is_planned = n_planned > 0
        origin, first, first_beside = self.told[0]
        n_steps = self.told[-1][0] - origin
        n_planned = max(n_planned, n_steps)
        n_parts = min(N_POINTS - 1, n_planned // self.width)
        points = [[first, *first_beside]]
        for part in range(n_parts):
            begin, end = (
                math.floor(i * (n_planned / n_parts) / self.width + 0.5) * self.width for i in (part, part + 1)
            )
            if min(end, n_planned) > n_steps:
                break
            within = [t for t in self.told if begin < t[0] - origin <= end]
            if within:
                finite = [loss for _, loss, _ in within if math.isfinite(loss)]
                lost = [loss for _, loss, _ in within if not math.isfinite(loss)]
                points.append([sum(finite) / len(finite) if finite else lost[-1], *within[-1][2]])
        if not math.isfinite(self.latest):
            n_all = N_POINTS if is_planned else 2 * len(points)
            points += [[self.latest, *self.known]] * max(1, n_all - len(points))
        return points


@settings(max_examples=150)
@given(MOVES, st.integers(1, 40), st.integers(0, 30_000), st.integers(-5, 5))
def test_the_curve_is_that_of_all_losses(moves, stride, n_planned, start):
    trace, twin = Trace(), KeepsAll()
    step = start
    for leap, n, seed in moves:
        rng = np.random.default_rng(seed)
        step += leap * stride
        for _ in range(n):
            loss = float(rng.choice([rng.lognormal(), math.nan, math.inf], p=[0.9, 0.05, 0.05]))
            beside = tuple(float(x) for x in np.where(rng.random(3) < 0.7, math.nan, rng.random(3)))
            trace.add(step, loss, beside)
            twin.add(step, loss, beside)
            step += int(rng.integers(0, stride + 1))
    if moves:
        found = trace.curve(n_planned)
        assert found.dtype == np.float32
        assert trace.width == twin.width
        np.testing.assert_allclose(found[:-1].T, np.array(twin.curve(n_planned), dtype=np.float32), rtol=1e-6)


@settings(max_examples=30)
@given(st.integers(300, 20_000), st.floats(0.1, 1.0))
def test_points_stand_at_most_half_a_piece_from_where_they_should(n_planned, share):
    """A loss that is its own step shows where each point stands: the mean step of its part."""
    trace = Trace()
    n_steps = int(share * n_planned)
    for step in range(n_steps + 1):
        trace.add(step, float(step))
    places = trace.curve(n_planned)[0, 1:]
    exact = n_planned / (N_POINTS - 1)
    expected = (np.arange(len(places)) + 0.5) * exact + 0.5
    assert np.abs(places - expected).max() <= trace.width / 2 + 0.5 + 1e-3 * trace.width
    assert trace.width <= max(1, 2 * n_steps / CAPACITY)
    assert abs(len(places) - n_steps / exact) <= 1 + trace.width / exact


def test_a_training_as_long_as_those_of_the_data_sets_is_shown_as_they_are():
    rng = np.random.default_rng(0)
    curve = rng.random((4, N_POINTS)).astype(np.float32)
    trace = Trace()
    for step, (loss, *beside) in enumerate(curve.T.tolist()):
        trace.add(10 * step, loss, tuple(beside))
    X = trace.curve(10 * (N_POINTS - 1), "adam")
    assert X.shape == (len(CHANNELS), N_POINTS)
    np.testing.assert_array_equal(X[:4], curve)
    assert set(X[4]) == {OPTIMIZERS.index("adam")}


def test_a_quarter_of_a_training_is_a_quarter_of_the_points():
    trace = Trace()
    for step in range(251):
        trace.add(step, 1.0)
    assert trace.curve(1000).shape[1] == round(0.25 * N_POINTS)
    assert trace.curve(None).shape[1] == N_POINTS


def test_a_loss_that_is_lost_now_is_seen_at_once_and_forgotten_when_it_was_one_of_many():
    trace = Trace()
    for step in range(100_000):
        trace.add(step, 1.0)
    trace.add(100_000, math.inf)
    assert trace.curve(10**6)[0, -1] == math.inf
    for step in range(100_001, 150_000):
        trace.add(step, 1.0)
    assert np.isfinite(trace.curve(10**6)[0]).all()


def test_memory_is_constant():
    trace = Trace()
    before = len(json.dumps(trace.state_dict()))
    for step in range(0, 10**12, 10**9):
        trace.add(step, 1.0)
    assert len(json.dumps(trace.state_dict())) - before < 50
    assert trace.curve().shape[1] == N_POINTS


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 5000), LOSSES), max_size=40), st.lists(LOSSES, max_size=20))
def test_a_state_is_the_whole_of_it(told, rest):
    one, other = Trace(), Trace()
    for step, loss in told:
        one.add(step, loss, (math.nan, loss, 0.1))
    text = json.dumps(one.state_dict(), allow_nan=False)
    other.load_state_dict(json.loads(text))
    for step, loss in enumerate(rest, start=2500):
        one.add(step, loss)
        other.add(step, loss)
    assert json.dumps(one.state_dict()) == json.dumps(other.state_dict())


@pytest.mark.parametrize("broken", [{}, {"origin": "x"}, {"last": None}, {"sums": "AAAA"}, {"lost": 3}])
def test_what_is_no_state_is_refused_and_changes_nothing(broken):
    trace = Trace()
    trace.add(1, 2.0)
    before = trace.state_dict()
    with pytest.raises(UsageError, match="no state of a monitor"):
        trace.load_state_dict(before | broken if broken else {})
    assert trace.state_dict() == before


def test_a_step_that_no_number_counts_is_refused():
    with pytest.raises(UsageError, match="no number of updates"):
        Trace().add(2**60, 1.0)


def test_a_part_of_which_nothing_was_told_is_no_point():
    trace = Trace()
    trace.add(0, 1.0)
    trace.add(300, math.nan)
    trace.add(299, math.inf)  # back by one: the only piece with a loss begins anew
    assert trace.curve(3000)[0].tolist() == [1.0, *[math.inf] * (N_POINTS - 1)]
    assert trace.curve()[0].tolist() == [1.0, *[math.inf] * 3]
