"""What remedies gain and cost, which tried remedy stands for a prescribed one, and which would have been best."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from curvebench.spec import DIAGNOSES, FAMILY_OF_DIAGNOSIS, Action, Bool, Diagnosis, Float, InputError, Int, Remedy

TIE = 0.005
"""Outcomes closer than this share of the cap are equal."""

COST_WEIGHT = 0.02
"""Gain that one whole extra training has to bring in to be worth its cost."""

EARLIEST_RESUME_FOR_LABELS = 0.5
"""A resumption from before half of training is nearly a restart; it says nothing about the late rate."""

UNMATCHED = -1
"""Index that stands for a prescription without a tried remedy of its action and direction."""

DEFAULT_FACTOR, DEFAULT_AT = 10.0, 0.5
"""What a diagnosis stands for where no training run says better: ten times up or down, from the middle."""

_SAME, _DECIMALS = 1e-6, 6
"""Factors (as natural logarithms), fractions of training and gains that differ by less are equal."""


# ------------------------------------------------------------------------------------------ gain and cost


def gain(j_none: ArrayLike, j_remedy: ArrayLike, cap: ArrayLike, tie: float = TIE) -> NDArray[np.float64]:
    """Gain of a remedy in [-1, 1]: 0.5 means that the final loss was halved, -0.5 that it doubled.

    With outcomes capped, g = 1 - Ja / Jnone if Ja <= Jnone, else -(1 - Jnone / Ja); zero where both are at the
    cap or closer to each other than `tie` times the cap. The arguments are broadcast against each other.

    Args:
        j_none: outcome of the run itself, loss >= 0; inf where it diverged.
        j_remedy: outcome after the remedy, loss >= 0; inf where it diverged, NaN where it was not tried.
        cap: loss of the best constant prediction.
        tie: share of the cap below which a difference is none.

    Returns:
        Gains, float64; NaN where either outcome is NaN.

    >>> gain(1.0, [0.5, 2.0, np.inf, 1.001, np.nan], cap=4.0).tolist()
    [0.5, -0.5, -0.75, 0.0, nan]
    """
    limit = np.asarray(cap, dtype=np.float64)
    none, remedy = _capped(j_none, limit), _capped(j_remedy, limit)
    none, remedy, limit = np.broadcast_arrays(none, remedy, limit)
    larger = np.fmax(none, remedy)
    magnitude = np.abs(none - remedy) / np.where(larger > 0, larger, 1.0)
    is_equal = (np.abs(none - remedy) < tie * limit) | ((none >= limit) & (remedy >= limit))
    return np.where(is_equal, 0.0, np.where(remedy <= none, magnitude, -magnitude))


def _capped(outcome: ArrayLike, cap: Float) -> NDArray[np.float64]:
    """The outcome, at most the cap; infinite counts as the cap, NaN (untried) stays."""
    values = np.asarray(outcome, dtype=np.float64)
    return np.where(np.isinf(values), cap, np.minimum(values, cap))


def extra_training(remedies: Sequence[Remedy]) -> NDArray[np.float64]:
    """Training that each remedy costs, in whole trainings, (n_remedies,) float64.

    >>> extra_training([Remedy(Action.NONE), Remedy(Action.RESTART, 10), Remedy(Action.RESUME, 0.1, 0.75)]).tolist()
    [0.0, 1.0, 0.25]
    """
    return np.array([_extra_training(remedy) for remedy in remedies], dtype=np.float64)


def _extra_training(remedy: Remedy) -> float:
    match remedy.action:
        case Action.NONE:
            return 0.0
        case Action.RESUME:
            return 1.0 - remedy.at
        case _:
            return 1.0


def net_gain(gains: Float, remedies: Sequence[Remedy], cost_weight: float = COST_WEIGHT) -> NDArray[np.float64]:
    """Gains less what the extra training costs.

    Args:
        gains: (n, n_remedies), NaN where untried.
        remedies: in the order of the second axis.
        cost_weight: gain per extra training.

    Returns:
        (n, n_remedies) float64, NaN where untried.
    """
    return np.asarray(gains, dtype=np.float64) - cost_weight * extra_training(remedies)


# ------------------------------------------------------------------------------------ families of remedies


def direction(remedy: Remedy) -> int:
    """-1 where the remedy lowers the learning rate, +1 where it raises it, else 0."""
    if remedy.action not in (Action.RESTART, Action.RESUME) or abs(math.log(remedy.factor)) < _SAME:
        return 0
    return 1 if remedy.factor > 1 else -1


def is_prescribable(remedy: Remedy) -> bool:
    """Whether an advisor may prescribe it: training longer is an outcome to look at, no remedy."""
    return (
        remedy.action is not Action.TRAIN_LONGER
        and math.isfinite(remedy.factor)
        and remedy.factor > 0
        and 0 <= remedy.at < 1
    )


def counts_for_labels(remedies: Sequence[Remedy]) -> Bool:
    """Which remedies may name a diagnosis, (n_remedies,) bool: restart, change of output, resume from 0.5 on."""
    return np.array([_counts(remedy) for remedy in remedies], dtype=np.bool_)


def _counts(remedy: Remedy) -> bool:
    match remedy.action:
        case Action.RESTART:
            return direction(remedy) != 0
        case Action.RESUME:
            return direction(remedy) != 0 and remedy.at >= EARLIEST_RESUME_FOR_LABELS
        case Action.CHANGE_OUTPUT:
            return True
        case _:
            return False


def family_members(remedies: Sequence[Remedy], diagnosis: str) -> Int:
    """Indices of the remedies that count for labels and that the diagnosis stands for, ascending.

    >>> remedies = [Remedy(Action.NONE), Remedy(Action.RESTART, 0.1), Remedy(Action.RESTART, 10.0)]
    >>> family_members(remedies, "lr_too_high").tolist()
    [1]
    """
    family = FAMILY_OF_DIAGNOSIS[Diagnosis(diagnosis)]
    counts = counts_for_labels(remedies)
    members = [i for i, remedy in enumerate(remedies) if counts[i] and _family(remedy) == family]
    return np.array(members, dtype=np.intp)


def diagnosis_of(remedy: Remedy) -> str:
    """The diagnosis that stands for the family of a remedy; healthy where no family is its own.

    >>> diagnosis_of(Remedy(Action.RESUME, 0.1, 0.5))
    'late_lr_too_high'
    """
    family = _family(remedy)
    return next((str(d) for d in DIAGNOSES if FAMILY_OF_DIAGNOSIS[Diagnosis(d)] == family), str(Diagnosis.HEALTHY))


@dataclass(frozen=True)
class Trial:
    """A (cell, rate) of a data set, and the remedies to be tried on it anew.

    Attributes:
        cell: name of the cell.
        base_lr: the rate, as stored.
        remedies: indices into the data set's remedies; none (index 0) is always tried.
    """

    cell: str
    base_lr: float
    remedies: tuple[int, ...]


# ------------------------------------------------------------------------- from prescription to tried remedy


@dataclass(frozen=True)
class Treatment:
    """What became of prescriptions, one for each run.

    Attributes:
        index: (n,) int, the remedy that was read off; 0 for none, `UNMATCHED` where nothing fits.
        is_snapped: (n,) bool, whether another remedy than the prescribed stands in for it.
        net_gain: (n,) float64, gain less cost; where nothing fits, no gain, and the prescription's cost in full.
    """

    index: Int
    is_snapped: Bool
    net_gain: NDArray[np.float64]

    @property
    def is_unmatched(self) -> Bool:
        """(n,) bool, whether no tried remedy had the action and direction of the prescription."""
        return np.equal(self.index, UNMATCHED)


def snap(prescribed: Sequence[Remedy], remedies: Sequence[Remedy], tried: Bool) -> tuple[Int, Bool]:
    """The tried remedy that is nearest to what was prescribed, for each run.

    Only remedies of the same action that move the rate the same way stand in for each other. Of these the nearest
    factor wins (as a ratio), among equally near factors the nearest point of resumption, then the milder factor,
    then the cheaper remedy, then the lower index.

    Args:
        prescribed: n remedies with positive factors.
        remedies: what the columns of `tried` stand for; index 0 is none.
        tried: (n, n_remedies) bool.

    Returns:
        Index (n,) into `remedies`, `UNMATCHED` (-1) where no remedy of that action and direction was tried; and
        (n,) bool, whether the index is that of another remedy than the prescribed one.
    """
    index = np.full(len(prescribed), UNMATCHED, dtype=np.intp)
    is_snapped = np.zeros(len(prescribed), dtype=np.bool_)
    is_tried = np.asarray(tried, dtype=np.bool_)
    members = _members_by_family(remedies)
    for remedy, rows in _rows_by_remedy(prescribed).items():
        if remedy.action is Action.NONE:
            index[rows] = 0
        elif family := members.get(_family(remedy)):
            order, is_exact = _by_nearness(remedy, family)
            is_candidate = is_tried[np.ix_(rows, order)]
            nearest, is_matched = is_candidate.argmax(axis=1), is_candidate.any(axis=1)
            index[rows] = np.where(is_matched, order[nearest], UNMATCHED)
            is_snapped[rows] = is_matched & ~is_exact[nearest]
    return index, is_snapped


def _rows_by_remedy(prescribed: Sequence[Remedy]) -> dict[Remedy, Int]:
    rows: dict[Remedy, list[int]] = {}
    for row, remedy in enumerate(prescribed):
        rows.setdefault(remedy, []).append(row)
    return {remedy: np.array(same, dtype=np.intp) for remedy, same in rows.items()}


@dataclass(frozen=True)
class _Member:
    """A remedy of a family: its index, log factor, point of resumption (0 if it has none) and cost."""

    index: int
    log_factor: float
    at: float
    cost: float


def _member(index: int, remedy: Remedy) -> _Member:
    log_factor = math.log(remedy.factor) if direction(remedy) else 0.0
    at = remedy.at if remedy.action is Action.RESUME else 0.0
    return _Member(index, log_factor, at, _extra_training(remedy))


def _family(remedy: Remedy) -> tuple[Action, int]:
    return remedy.action, direction(remedy)


def _members_by_family(remedies: Sequence[Remedy]) -> dict[tuple[Action, int], list[_Member]]:
    """The remedies of every family that has a diagnosis."""
    families: dict[tuple[Action, int], list[_Member]] = {family: [] for family in FAMILY_OF_DIAGNOSIS.values()}
    for index, remedy in enumerate(remedies):
        if (family := _family(remedy)) in families:
            families[family].append(_member(index, remedy))
    return families


def _by_nearness(prescribed: Remedy, family: Sequence[_Member]) -> tuple[Int, Bool]:
    """Indices of a family, nearest to the prescribed remedy first, and which of them are that remedy itself."""
    wanted = _member(UNMATCHED, prescribed)
    distances = sorted(
        (
            round(abs(member.log_factor - wanted.log_factor), _DECIMALS),
            round(abs(member.at - wanted.at), _DECIMALS),
            round(abs(member.log_factor), _DECIMALS),
            member.cost,
            member.index,
        )
        for member in family
    )
    is_exact = [distance[:2] == (0.0, 0.0) for distance in distances]
    return np.array([distance[-1] for distance in distances], dtype=np.intp), np.array(is_exact, dtype=np.bool_)


def treat(
    prescribed: Sequence[Remedy], remedies: Sequence[Remedy], gains: Float, cost_weight: float = COST_WEIGHT
) -> Treatment:
    """Give each run its prescription and read off what it would have brought.

    Args:
        prescribed: n remedies with positive factors.
        remedies: what the columns of `gains` stand for; index 0 is none.
        gains: (n, n_remedies), NaN where untried.
        cost_weight: gain per extra training.

    Returns:
        The remedies that stood in, and their net gains.
    """
    index, is_snapped = snap(prescribed, remedies, ~np.isnan(gains))
    is_matched = index != UNMATCHED
    gained = np.asarray(gains, dtype=np.float64)[np.arange(len(index)), index]
    paid = np.where(is_matched, extra_training(remedies)[index], extra_training(prescribed))
    net = np.where(is_matched, gained, 0.0) - cost_weight * paid
    return Treatment(index, is_snapped, np.where(index == 0, 0.0, net))


# -------------------------------------------------------------------------------------------- best actions


def fixed_actions(
    diagnosis: NDArray[np.str_], gains: Float, remedies: Sequence[Remedy], cost_weight: float = COST_WEIGHT
) -> dict[str, int]:
    """The one remedy that each diagnosis stands for: of its family, the best on average over the runs so labelled.

    A remedy that was not tried on a run is replaced there as in an evaluation (`snap`). Healthy stands for none; a
    diagnosis without runs for the member of its family that is nearest to a tenfold change from the middle of
    training; a diagnosis whose family has no members for none.

    Args:
        diagnosis: (n,) labels.
        gains: (n, n_remedies), NaN where untried.
        remedies: in the order of the second axis.
        cost_weight: gain per extra training.

    Returns:
        Diagnosis -> index into `remedies`, for all six.
    """
    labels = np.asarray(diagnosis)
    return {
        str(d): _fixed_action(family_members(remedies, d), gains[labels == d], remedies, cost_weight) for d in DIAGNOSES
    }


def _fixed_action(members: Int, gains: Float, remedies: Sequence[Remedy], cost_weight: float) -> int:
    if not len(members):
        return 0
    if not len(gains):
        is_member = np.isin(np.arange(len(remedies)), members)
        family = remedies[members[0]]
        factor = DEFAULT_FACTOR ** direction(family)
        default = Remedy(family.action, factor, DEFAULT_AT if family.action is Action.RESUME else 0.0)
        return int(snap([default], remedies, is_member[None, :])[0][0])
    return _best_for_all(members, gains, remedies, cost_weight)


def best_single_action(gains: Float, remedies: Sequence[Remedy], cost_weight: float = COST_WEIGHT) -> int:
    """The remedy that would be best if every run got the same one; what `constant-best` prescribes.

    Args:
        gains: (n, n_remedies), NaN where untried.
        remedies: in the order of the second axis; index 0 is none.
        cost_weight: gain per extra training.

    Returns:
        Index into `remedies`; 0 where nothing is better than none.
    """
    candidates = np.array([i for i, remedy in enumerate(remedies) if is_prescribable(remedy)], dtype=np.intp)
    return _best_for_all(candidates, gains, remedies, cost_weight)


def _best_for_all(candidates: Int, gains: Float, remedies: Sequence[Remedy], cost_weight: float) -> int:
    """The candidate with the largest sum of net gains, each run's snapped as in an evaluation."""
    totals = [float(treat([remedies[i]] * len(gains), remedies, gains, cost_weight).net_gain.sum()) for i in candidates]
    return int(candidates[int(np.argmax(totals))])


def oracle_actions(
    gains: Float,
    cell_rate_key: NDArray[np.generic],
    seed: Int,
    remedies: Sequence[Remedy],
    cost_weight: float = COST_WEIGHT,
) -> Int:
    """What somebody would prescribe who knows how each remedy did for the other seeds of the same cell and rate.

    For each run the remedy with the best mean net gain over the other seeds, among those that were tried with every
    seed; none counts as zero. Of equally good ones the cheapest, then the lowest index. The run's own gains play no
    part, so that reading the oracle's gain on the run itself has no winner's curse. A run without other seeds gets
    none.

    Args:
        gains: (n, n_remedies), NaN where untried.
        cell_rate_key: (n,), equal for the runs of a cell and rate.
        seed: (n,), different for the runs of a cell and rate.
        remedies: in the order of the second axis; index 0 is none.
        cost_weight: gain per extra training.

    Returns:
        (n,) index into `remedies`.

    Raises:
        InputError: if a cell and rate has the same seed twice.
    """
    _, group = np.unique(cell_rate_key, return_inverse=True)
    if len(np.unique(np.column_stack([group, seed]), axis=0)) < len(group):
        raise InputError("Some cell and rate holds the same seed twice; the oracle needs one run for each seed.")
    mean = _mean_over_others(net_gain(gains, remedies, cost_weight), group)
    mean[:, [not is_prescribable(remedy) for remedy in remedies]] = np.nan
    mean[:, 0] = 0.0
    mean[np.isnan(mean)] = -np.inf
    is_best = mean >= mean.max(axis=1, keepdims=True) - _SAME
    cheapest: Int = np.where(is_best, extra_training(remedies), np.inf).argmin(axis=1)
    return cheapest


def _mean_over_others(values: Float, group: Int) -> NDArray[np.float64]:
    """(n, m) mean over the other rows of each row's group; NaN where a row of the group is NaN or there is no other."""
    n_groups = int(group.max(initial=-1)) + 1
    total = np.zeros((n_groups, values.shape[1]))
    np.add.at(total, group, values)
    n_others = np.bincount(group, minlength=n_groups)[group] - 1
    n_others_or_nan = np.where(n_others > 0, n_others, np.nan)
    return (total[group] - values) / n_others_or_nan[:, None]


def remedies_of(fixed: Mapping[str, int], remedies: Sequence[Remedy]) -> tuple[Remedy, ...]:
    """The fixed remedies in the order of the diagnoses.

    Args:
        fixed: diagnosis -> index into `remedies`, as from `fixed_actions`.
        remedies: all remedies.

    Raises:
        InputError: if a diagnosis is missing or an index out of range.
    """
    faulty = [d for d in DIAGNOSES if not 0 <= fixed.get(d, -1) < len(remedies)]
    if faulty:
        raise InputError(f"The data set names no fixed action for {', '.join(faulty)}.")
    return tuple(remedies[fixed[d]] for d in DIAGNOSES)
