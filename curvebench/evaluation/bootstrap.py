"""Intervals of scores: problem instances are drawn again with replacement, family by family.

Runs of one problem instance (its data and targets) resemble each other, so the instances are what is resampled, not
the runs (a cluster bootstrap: Davison & Hinkley 1997, section 3.8). The number of instances of each family stays as
it is. The draws depend on the instances alone, so they are the same for every diagnoser, who can be compared in pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from curvebench.spec import Float, Int

SEED = 20240229
"""Of the generator of the draws; fixed, so that a score and its interval are a function of answers and data."""

CONFIDENCE_LEVEL = 0.95


def strata(family: NDArray[np.str_]) -> Int:
    """Number of the stratum of each instance.

    An instance that is the only one of its family can't be drawn against another, so these are pooled into one stratum.

    Args:
        family: (n_instances,) text.

    Returns:
        (n_instances,) int.

    >>> strata(np.array(["moons", "teacher", "sine", "teacher"])).tolist()
    [0, 1, 0, 1]
    """
    _, index, count = np.unique(family, return_inverse=True, return_counts=True)
    _, stratum = np.unique(np.where(count[index] == 1, -1, index), return_inverse=True)
    return np.asarray(stratum, dtype=np.intp)


def draw_weights(stratum: Int, n_draws: int, seed: int = SEED) -> NDArray[np.int64]:
    """How often each instance is drawn, stratum by stratum with replacement.

    Args:
        stratum: (n_instances,) int.
        n_draws: number of bootstrap samples.
        seed: of the generator.

    Returns:
        (n_draws, n_instances) int64; in every stratum a draw's weights sum to the number of its instances.
    """
    generator = np.random.default_rng(seed)
    weights = np.zeros((n_draws, len(stratum)), dtype=np.int64)
    for s in np.unique(stratum):
        members = np.flatnonzero(stratum == s)
        weights[:, members] = generator.multinomial(len(members), np.full(len(members), 1 / len(members)), size=n_draws)
    return weights


def intervals(
    sums: Float,
    weights: Int,
    scores_from_sums: Callable[[Float], Mapping[str, Float]],
    level: float = CONFIDENCE_LEVEL,
) -> dict[str, tuple[float, float]]:
    """Percentile intervals of scores that are functions of sums over instances.

    Args:
        sums: (n_instances, n_sums).
        weights: (n_draws, n_instances), as from `draw_weights`.
        scores_from_sums: (n_draws, n_sums) -> score -> (n_draws,).
        level: share of the draws inside.

    Returns:
        Score -> (lower, upper); from the draws where the score is defined, NaN where there are none.
    """
    drawn = scores_from_sums(drawn_sums(sums, weights))
    return {name: interval(values, level) for name, values in drawn.items()}


def drawn_sums(sums: Float, weights: Int) -> NDArray[np.float64]:
    """(n_draws, n_sums), the sums over the instances of each draw, (n_instances, n_sums)."""
    # One product per column: equal columns give bitwise equal sums, which a single matrix product does not promise.
    columns = [weights.astype(np.float64) @ column for column in np.ascontiguousarray(sums.T)]
    return np.stack(columns, axis=1)


def interval(values: Float, level: float = CONFIDENCE_LEVEL) -> tuple[float, float]:
    """Percentile interval of the drawn values, (n_draws,), that are not NaN; NaN where all are."""
    defined = values[~np.isnan(values)]
    if not len(defined):
        return float("nan"), float("nan")
    lower, upper = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(lower), float(upper)
