"""Where a cell's learning rates are placed: a coarse pass, extension of its ends, refinement. Pure functions.

Rates lie on the group's log grid and are named by their index on it. A cell's outcomes so far are a mapping from
index to the mean over the seeds of the capped objective, as a share of the cap: 1 means nothing was learned.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from curvebench.generation.portable_math import log10, power10_of


@dataclass(frozen=True)
class Grid:
    """The log grid of rates that all cells of a group share.

    Attributes:
        log10_lowest: log10 of the rate at index 0.
        points_per_decade: density.
        n_points: indices 0 .. n_points - 1 are the range in which sweeps start; they may be extended on both sides.
        coarse_every: the coarse pass tries every so many points.
        max_extensions: coarse points that may be added at each end.
    """

    log10_lowest: float
    points_per_decade: int
    n_points: int
    coarse_every: int
    max_extensions: int

    def rate(self, index: int) -> float:
        """The learning rate at an index, negative ones included."""
        return power10_of(self.log10_lowest + index / self.points_per_decade)

    @property
    def coarse(self) -> list[int]:
        """Indices of the coarse pass, ascending."""
        return list(range(0, self.n_points, self.coarse_every))

    @property
    def bounds(self) -> tuple[int, int]:
        """Lowest and highest index that a sweep may reach."""
        reach = self.max_extensions * self.coarse_every
        return -reach, self.coarse[-1] + reach


def make_grid(
    lowest: float, highest: float, offset: float, points_per_decade: int, coarse_every: int, max_extensions: int
) -> Grid:
    """The grid from a lowest to about a highest rate, moved up by an offset: grid steps, fewer than a coarse one."""
    log10_lowest = float(log10(lowest))
    n_points = round((float(log10(highest)) - log10_lowest) * points_per_decade) + 1
    return Grid(log10_lowest + offset / points_per_decade, points_per_decade, n_points, coarse_every, max_extensions)


def offset_through(rate: float, lowest: float, points_per_decade: int, coarse_every: int) -> float:
    """The offset for `make_grid` with which the coarse pass tries a certain rate, at or above the lowest.

    >>> grid = make_grid(1e-4, 1.0, offset_through(0.02, 1e-4, 6, 3), 6, 3, 0)
    >>> [round(grid.rate(k), 6) for k in grid.coarse]
    [0.0002, 0.000632, 0.002, 0.006325, 0.02, 0.063246, 0.2, 0.632456, 2.0]
    """
    steps = (float(log10(rate)) - float(log10(lowest))) * points_per_decade
    return round(steps, 12) % coarse_every  # rounded, or the last bit of a whole number would cost a coarse step


USELESS = 0.995
"""Share of the cap from which on a run has learned nothing; goes with the tie threshold of gains."""


def best_index(shares: Mapping[int, float]) -> int:
    """The index of the best rate; of equal ones the lowest."""
    return min(sorted(shares), key=lambda index: shares[index])


def largest_stable_index(shares: Mapping[int, float]) -> int:
    """The largest index at which something was learned; the best one if nothing was anywhere."""
    return max((index for index, share in shares.items() if share < USELESS), default=best_index(shares))


def is_complete(shares: Mapping[int, float]) -> bool:
    """Whether the sweep brackets its best rate and its top learns nothing (it diverged or swings)."""
    if all(share >= USELESS for share in shares.values()):
        return True
    return best_index(shares) > min(shares) and shares[max(shares)] >= USELESS


def extensions(shares: Mapping[int, float], grid: Grid) -> list[int]:
    """Coarse points to try next at the ends: below a best rate at the lower edge, above a top that still learns."""
    low, high = grid.bounds
    wanted = []
    if all(share >= USELESS for share in shares.values()):
        return []
    if best_index(shares) == min(shares) and min(shares) - grid.coarse_every >= low:
        wanted.append(min(shares) - grid.coarse_every)
    if shares[max(shares)] < USELESS and max(shares) + grid.coarse_every <= high:
        wanted.append(max(shares) + grid.coarse_every)
    return wanted


def refinements(shares: Mapping[int, float], grid: Grid) -> list[int]:
    """Points between coarse ones: around the best rate, and from there to the largest stable one and just beyond."""
    if all(share >= USELESS for share in shares.values()):
        return []
    best, stable = best_index(shares), largest_stable_index(shares)
    reach = grid.coarse_every - 1
    return [k for k in range(best - reach, stable + reach + 1) if k not in shares and min(shares) < k < max(shares)]
