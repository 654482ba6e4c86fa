"""Does a family of remedies help? The test that labels are made of, and that an audit repeats with fresh seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from curvebench.remedies import family_members
from curvebench.spec import DIAGNOSES, Diagnosis, Float, Int, Remedy
from curvebench.t_quantiles import t_quantile

FAMILIES = tuple(name for name in DIAGNOSES if name != Diagnosis.HEALTHY)
"""The diagnoses that stand for a family of remedies."""


@dataclass(frozen=True)
class BestMembers:
    """The test of families: in each the member with the best mean gain, and only that one.

    Arrays are (m, n_families). Where no member was tried with every seed, all gains are -inf: never material.

    Attributes:
        index: the member's index into the remedies; -1 where none was tried.
        mean: its mean gain over the seeds.
        lower: lower end of its one-sided t-interval.
        upper: upper end.
    """

    index: Int
    mean: Float
    lower: Float
    upper: Float


def mean_and_half_width(gains: Float, confidence: float) -> tuple[Float, Float]:
    """Mean gain over the seeds and the half width of its one-sided t-interval.

    Args:
        gains: (m, K, n_remedies), NaN where untried.
        confidence: one of `curvebench.t_quantiles.CONFIDENCES`.

    Returns:
        Two arrays (m, n_remedies) float64; NaN unless all seeds were tried. Summed in order, so that bits are portable.
    """
    n_seeds = gains.shape[1]
    values = [gains[:, seed].astype(np.float64) for seed in range(n_seeds)]
    mean = _ordered_total(values) / n_seeds
    variance = _ordered_total([(value - mean) * (value - mean) for value in values]) / (n_seeds - 1)
    return mean, t_quantile(confidence, n_seeds) * np.sqrt(variance / n_seeds)


def _ordered_total(values: Sequence[Float]) -> Float:
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total


def best_members(means: Float, half_widths: Float, remedies: Sequence[Remedy]) -> BestMembers:
    """Test the best member of each of `FAMILIES`.

    Args:
        means: (m, n_remedies), as from `mean_and_half_width`.
        half_widths: (m, n_remedies).
        remedies: in the order of the last axis.
    """
    tests = [_best_member(means, half_widths, family_members(remedies, name)) for name in FAMILIES]
    index, mean, half_width = (np.stack(part, axis=1) for part in zip(*tests, strict=True))
    return BestMembers(index, mean, mean - half_width, mean + half_width)


def _best_member(means: Float, half_widths: Float, members: Int) -> tuple[Int, Float, Float]:
    """Index, mean and half width of the member with the best mean, (m,) each."""
    m = len(means)
    if len(members) == 0:
        return np.full(m, -1), np.full(m, -np.inf), np.zeros(m)
    candidates = np.where(np.isnan(means[:, members]), -np.inf, means[:, members])
    best = np.argmax(candidates, axis=1)
    mean = candidates[np.arange(m), best]
    half_width = np.nan_to_num(half_widths[:, members][np.arange(m), best])
    return np.where(np.isfinite(mean), members[best], -1), mean, half_width
