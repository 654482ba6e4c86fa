"""Sweeps: where rates are placed, on hand-made outcomes and on simulated cells."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curvebench.generation.sweep import (
    USELESS,
    Grid,
    best_index,
    extensions,
    is_complete,
    largest_stable_index,
    make_grid,
    offset_through,
    refinements,
)

GRID = Grid(log10_lowest=-3.0, points_per_decade=6, n_points=13, coarse_every=3, max_extensions=2)


def sweep(share_of, grid: Grid) -> dict[int, float]:
    """The sweep of one cell by its own rule: coarse pass, extensions, refinement."""
    shares = {k: share_of(k) for k in grid.coarse}
    for _ in range(grid.max_extensions):
        shares |= {k: share_of(k) for k in extensions(shares, grid)}
    return shares | {k: share_of(k) for k in refinements(shares, grid)}


def valley(best: float, stable: float, width: float = 12.0):
    """Convex in the index up to the largest stable rate, useless beyond."""
    return lambda k: 1.0 if k > stable else min(1.0, 0.05 + ((k - best) / width) ** 2)


# ------------------------------------------------------------------------------------------------- grid


def test_a_grid_is_logarithmic_and_reaches_from_its_lowest_to_its_highest_rate():
    grid = make_grid(0.001, 10.0, offset=0.0, points_per_decade=6, coarse_every=3, max_extensions=2)
    assert grid.n_points == 25
    assert grid.rate(0) == pytest.approx(0.001, rel=1e-12)
    assert grid.rate(24) == pytest.approx(10.0, rel=1e-12)
    assert grid.rate(-6) == pytest.approx(0.0001, rel=1e-12)
    for k in range(-6, 30):
        assert grid.rate(k + 1) / grid.rate(k) == pytest.approx(10 ** (1 / 6), rel=1e-12)
    assert grid.coarse == [0, 3, 6, 9, 12, 15, 18, 21, 24]
    assert grid.bounds == (-6, 30)


@given(st.floats(-8, 1), st.floats(0.2, 8), st.floats(0, 1), st.integers(1, 24), st.integers(1, 6))
def test_the_coarse_pass_tries_a_certain_rate(low, decades, where, density, coarse_every):
    lowest, highest, rate = (10.0**x for x in (low, low + decades, low + where * decades))
    offset = offset_through(rate, lowest, density, coarse_every)
    grid = make_grid(lowest, highest, offset, density, coarse_every, 0)
    assert 0 <= offset < coarse_every
    nearest = min((grid.rate(k) for k in [*grid.coarse, grid.coarse[-1] + coarse_every]), key=lambda r: abs(r - rate))
    assert nearest == pytest.approx(rate, rel=1e-9)


def test_an_offset_moves_the_grid_by_part_of_a_step():
    here, there = (make_grid(0.01, 1.0, offset, 6, 3, 2) for offset in (0.0, 0.25))
    assert there.rate(5) / here.rate(5) == pytest.approx(10 ** (0.25 / 6), rel=1e-12)
    assert (here.n_points, here.bounds) == (there.n_points, there.bounds)


@given(st.floats(-6, 1), st.floats(0.1, 4), st.floats(0, 1, exclude_max=True), st.integers(1, 24), st.integers(1, 24))
def test_grids_cover_the_range_within_half_a_step(low, decades, offset, density, coarse_every):
    grid = make_grid(10**low, 10 ** (low + decades), offset, density, coarse_every, 1)
    assert grid.log10_lowest == pytest.approx(low + offset / density, abs=1e-12)
    assert abs((grid.n_points - 1) / density - decades) <= 0.5 / density + 1e-9
    assert grid.coarse[0] == 0
    assert grid.n_points - grid.coarse_every <= grid.coarse[-1] < grid.n_points


# -------------------------------------------------------------------------------------- by hand


def test_best_and_largest_stable_rate():
    shares = {9: 0.2, 0: 0.9, 3: 0.2, 12: 1.0, 6: 1.0, 15: 0.9}
    assert best_index(shares) == 3, "of equal ones the lowest"
    assert largest_stable_index(shares) == 15
    assert largest_stable_index({0: 1.0, 3: 1.0}) == 0, "the best where nothing was learned"
    assert largest_stable_index({0: 0.5, 3: USELESS, 6: math.nextafter(USELESS, 0)}) == 6


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ({0: 0.9, 3: 0.5, 6: 1.0}, True),
        ({0: 0.5, 3: 0.9, 6: 1.0}, False),  # best at the lower edge
        ({0: 0.9, 3: 0.5, 6: 0.9}, False),  # the top still learns
        ({0: 0.9, 3: 0.9, 6: 0.5}, False),
        ({0: 1.0, 3: 0.5, 6: 1.0}, True),
        ({0: 1.0, 3: 1.0}, True),  # nothing to be found
        ({0: 0.5}, False),
    ],
)
def test_complete_is_bracketed_and_ends_in_failure(shares, expected):
    assert is_complete(shares) is expected


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ({0: 0.9, 3: 0.5, 6: 1.0}, []),
        ({0: 0.5, 3: 0.9, 6: 1.0}, [-3]),
        ({0: 0.9, 3: 0.5, 6: 0.6}, [9]),
        ({0: 0.5, 3: 0.6, 6: 0.7}, [-3, 9]),
        ({-6: 0.5, 0: 0.9, 3: 1.0}, []),  # the lower end is reached
        ({0: 0.9, 18: 0.5}, []),  # the upper end is reached
        ({0: 1.0, 3: 1.0}, []),
    ],
)
def test_ends_are_extended_where_the_sweep_is_open(shares, expected):
    assert GRID.bounds == (-6, 18)
    assert extensions(shares, GRID) == expected


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        # around the best (6), up to the largest stable one (6), and between it and the first useless one
        ({0: 0.9, 3: 0.5, 6: 0.2, 9: 1.0, 12: 1.0}, [4, 5, 7, 8]),
        # the largest stable one (9) is not the best (3)
        ({0: 0.9, 3: 0.2, 6: 0.5, 9: 0.6, 12: 1.0}, [1, 2, 4, 5, 7, 8, 10, 11]),
        # nothing beyond the ends of the sweep
        ({0: 0.2, 3: 0.5, 6: 0.6}, [1, 2, 4, 5]),
        ({0: 1.0, 3: 1.0}, []),
        # what was tried is not tried again
        ({0: 0.9, 3: 0.5, 5: 0.3, 6: 0.2, 7: 0.3, 9: 1.0}, [4, 8]),
    ],
)
def test_refinement_lies_around_the_best_and_up_to_the_largest_stable_rate(shares, expected):
    assert refinements(shares, GRID) == expected


def test_a_dense_grid_needs_no_refinement():
    grid = Grid(-3.0, 6, 5, coarse_every=1, max_extensions=2)
    assert refinements({0: 0.9, 1: 0.2, 2: 0.3, 3: 1.0}, grid) == []


# ------------------------------------------------------------------------------------------- simulated


@given(best=st.floats(-4, 14), room=st.floats(0.6, 6))
def test_a_cell_within_reach_is_bracketed_and_refined(best, room):
    share_of = valley(best, min(max(best + room, 0.0), 17.0))
    shares = sweep(share_of, GRID)
    assert is_complete(shares)
    low, high = GRID.bounds
    truly_best = min(range(low, high + 1), key=share_of)
    truly_stable = max(k for k in range(low, high + 1) if share_of(k) < USELESS)
    assert best_index(shares) == truly_best
    assert largest_stable_index(shares) == truly_stable
    for k in range(best_index(shares) - 1, largest_stable_index(shares) + 2):
        assert k in shares, "no gap between the best, the largest stable and the first useless rate"


def test_a_sweep_is_cheaper_than_the_whole_grid():
    shares = sweep(valley(6.0, 8.0), GRID)
    assert len(shares) == len(GRID.coarse) + 4


def test_a_cell_beyond_reach_stays_incomplete():
    low, high = GRID.bounds
    for best, reached in ((-30.0, low), (60.0, high)):
        shares = sweep(valley(best, 100.0, width=100.0), GRID)
        assert reached in shares
        assert not is_complete(shares)


def test_a_cell_where_nothing_learns_is_left_alone():
    shares = sweep(lambda k: 1.0, GRID)
    assert sorted(shares) == GRID.coarse
    assert is_complete(shares)


@given(st.data(), st.integers(1, 4), st.integers(0, 3))
def test_only_new_points_within_bounds_are_proposed(data, coarse_every, max_extensions):
    grid = Grid(-3.0, 6, 13, coarse_every, max_extensions)
    low, high = grid.bounds
    share = st.sampled_from([0.1, 0.3, 0.5, 0.9, 0.994, 0.995, 1.0])
    shares = data.draw(st.dictionaries(st.integers(low, high), share, min_size=1))
    extended, refined = extensions(shares, grid), refinements(shares, grid)
    for proposed in (extended, refined):
        assert len(set(proposed)) == len(proposed)
        assert not set(proposed) & set(shares)
    assert all(low <= k < min(shares) or max(shares) < k <= high for k in extended)
    assert all(min(shares) < k < max(shares) for k in refined)
