"""Labels by intervention: from gains of remedies to what was wrong. Pure functions of stored outcomes.

One label belongs to a cell and a rate; its K seeds are the sample that the label is tested on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curvebench.generation.portable_math import log
from curvebench.materiality import FAMILIES, best_members, mean_and_half_width
from curvebench.remedies import counts_for_labels, family_members
from curvebench.spec import (
    DIAGNOSES,
    FAMILY_OF_DIAGNOSIS,
    INDETERMINATE,
    OTHER,
    Action,
    Bool,
    Diagnosis,
    Float,
    Int,
    Remedy,
)

HEALTHY = DIAGNOSES.index(Diagnosis.HEALTHY)

_PRICE = {Action.RESUME: 0, Action.RESTART: 1, Action.CHANGE_OUTPUT: 2}
"""Order of the families by what they cost a user; of two that help alike the cheaper names the label."""

EASY, MEDIUM = 0.4, 0.15
"""Difficulty: how far the test of the label's family lies beyond the threshold, in gain (healthy: a fifth of it)."""


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of a label; the names are those in the recipe and in the file.

    Attributes:
        material_gain: mean gain from which on a remedy matters.
        confidence: of the one-sided t-interval of the mean.
        tie: differences of outcomes below this share of the cap are no gain.
        accept_share: share of the best family's l = -ln(1 - gain) that another family needs to be accepted.
        largest_ratio: l is capped at the logarithm of this.
    """

    material_gain: float = 0.1
    confidence: float = 0.9
    tie: float = 0.005
    accept_share: float = 0.8
    largest_ratio: float = 100.0

    def to_dict(self) -> dict[str, float]:
        """Name -> value, as stored with a data set."""
        return dict(vars(self))


@dataclass(frozen=True)
class Labels:
    """Labels of m (cell, rate)s.

    Attributes:
        diagnosis: (m,) one of `LABELS`.
        accepted: (m, 6) whether each diagnosis is accepted as right.
        best_gain: (m,) largest mean gain of any remedy that counts for labels; 0 where none was tried.
        onset: (m,) for late_* the earliest fraction whose resumption is material, else NaN.
        difficulty: (m,) easy, medium or hard.
    """

    diagnosis: NDArray[np.str_]
    accepted: Bool
    best_gain: Float
    onset: Float
    difficulty: NDArray[np.str_]


def label_rates(
    gains: Float, remedies: Sequence[Remedy], thresholds: Thresholds, is_useless: Bool, is_complete: Bool
) -> Labels:
    """Label m (cell, rate)s from the gains of their K seeds.

    Args:
        gains: (m, K, n_remedies), NaN where untried.
        remedies: in the order of the last axis.
        thresholds: of the tests.
        is_useless: (m,) whether all seeds ended at the cap though something can be learned.
        is_complete: (m,) whether the sweep of the cell is complete; if not the label is indeterminate.

    Returns:
        The labels, in the same order.
    """
    means, spreads = mean_and_half_width(gains, thresholds.confidence)
    best_of = best_members(means, spreads, remedies)
    mean, lower, upper = best_of.mean, best_of.lower, best_of.upper
    material = lower >= thresholds.material_gain
    immaterial = ~(upper >= thresholds.material_gain)
    accepted = _accepted(mean, material, thresholds)
    choice = _cheapest(accepted, mean)

    diagnosis = np.array(FAMILIES, dtype="U20")[choice]
    any_material, all_immaterial = material.any(axis=1), immaterial.all(axis=1)
    diagnosis[~any_material] = INDETERMINATE
    diagnosis[all_immaterial] = Diagnosis.HEALTHY.value
    diagnosis[is_useless & ~any_material] = OTHER
    diagnosis[~is_complete] = INDETERMINATE

    all_accepted = np.zeros((len(gains), len(DIAGNOSES)), dtype=bool)
    all_accepted[:, [DIAGNOSES.index(name) for name in FAMILIES]] = accepted
    all_accepted[:, HEALTHY] = diagnosis == Diagnosis.HEALTHY
    all_accepted[np.isin(diagnosis, (OTHER, INDETERMINATE))] = False

    counted = np.where(np.isnan(means), -np.inf, means)[:, counts_for_labels(remedies)]
    best = counted.max(axis=1, initial=-np.inf)
    chosen_lower = np.take_along_axis(lower, choice[:, None], axis=1)[:, 0]
    return Labels(
        diagnosis=diagnosis,
        accepted=all_accepted,
        best_gain=np.where(np.isfinite(best), best, 0.0),
        onset=_onset(diagnosis, means - spreads, remedies, thresholds.material_gain),
        difficulty=_difficulty(diagnosis, chosen_lower, upper, thresholds.material_gain),
    )


def _accepted(mean: Float, material: Bool, thresholds: Thresholds) -> Bool:
    """(m, 5) families that are material and reach their share of the best material one, in l = -ln(1 - gain)."""
    smallest = 1.0 / thresholds.largest_ratio
    length = -log(np.maximum(1.0 - np.where(material, mean, 0.0), smallest))
    best = np.max(np.where(material, length, 0.0), axis=1, keepdims=True)
    return np.asarray(material & (length >= thresholds.accept_share * best))


def _cheapest(accepted: Bool, mean: Float) -> Int:
    """(m,) index of the cheapest accepted family; of equally cheap ones the better; 0 where none is accepted."""
    price = np.array([_PRICE[FAMILY_OF_DIAGNOSIS[name][0]] for name in FAMILIES], dtype=np.float64)
    gain = np.where(np.isfinite(mean), mean, -1.0)
    cheapest: Int = np.argmin(np.where(accepted, price - 0.25 * gain, np.inf), axis=1)
    return cheapest


def _onset(diagnosis: NDArray[np.str_], lower: Float, remedies: Sequence[Remedy], material_gain: float) -> Float:
    onset = np.full(len(diagnosis), np.nan)
    for name in (Diagnosis.LATE_LR_TOO_HIGH, Diagnosis.LATE_LR_TOO_LOW):
        members = family_members(remedies, name)
        for member in sorted(members, key=lambda i: -remedies[i].at):
            onset[(diagnosis == name) & (lower[:, member] >= material_gain)] = remedies[member].at
    return onset


def _difficulty(diagnosis: NDArray[np.str_], lower: Float, upper: Float, material_gain: float) -> NDArray[np.str_]:
    """By the distance of the test from its threshold; what is not scored is hard."""
    healthy_margin = 5.0 * (material_gain - upper.max(axis=1))
    margin = np.where(diagnosis == Diagnosis.HEALTHY, healthy_margin, lower - material_gain)
    margin = np.where(np.isin(diagnosis, (OTHER, INDETERMINATE)), -np.inf, margin)
    return np.select([margin >= EASY, margin >= MEDIUM], ["easy", "medium"], "hard").astype("U8")


INJECTED_DECADES = 0.5
"""A rate this far from the cell's best was meant to be wrong."""

INJECTED_DECAY = 300.0
"""A rate that falls by this much was meant to have decayed too early."""

INJECTED_HIGH = 2.0
"""A rate that ends less than this far below its peak was meant to be too high late."""


def injected_cause(fits: Bool, log10_lr_over_best: Float, decay: Float) -> NDArray[np.str_]:
    """The cause by construction, as a benchmark by fault injection would name it: what was changed in a tuned cell.

    Args:
        fits: (n,) whether the output fits the targets.
        log10_lr_over_best: (n,) decades between the rate and the cell's best.
        decay: (n,) peak rate over the rate at the end.

    Returns:
        (n,) one of `DIAGNOSES`.

    >>> injected_cause(np.array([True, False]), np.array([2.0, 0.0]), np.array([1.0, 1.0])).tolist()
    ['lr_too_high', 'output_mismatch']
    """
    conditions: Mapping[str, Bool] = {
        Diagnosis.OUTPUT_MISMATCH: ~fits,
        Diagnosis.LR_TOO_HIGH: log10_lr_over_best >= INJECTED_DECADES,
        Diagnosis.LR_TOO_LOW: log10_lr_over_best <= -INJECTED_DECADES,
        Diagnosis.LATE_LR_TOO_HIGH: decay < INJECTED_HIGH,
        Diagnosis.LATE_LR_TOO_LOW: decay >= INJECTED_DECAY,
    }
    names = [str(name) for name in conditions]
    return np.select(list(conditions.values()), names, str(Diagnosis.HEALTHY)).astype("U20")
