"""What a remedy made of a run: the curve of the run that it leads to, where the data set holds it."""

from __future__ import annotations

import numpy as np

from curvebench.data.dataset import Dataset
from curvebench.remedies import family_members
from curvebench.spec import Action, Float

_SAME_RATE = 1e-3
"""Rates closer than this, as a ratio, are the same point of a grid."""

_SAME_NETWORK = {
    Action.RESTART: ("cell",),
    Action.CHANGE_OUTPUT: ("group", "schedule", "decay", "warmup", "decay_until", "cycles", "loss"),
}
"""Columns that a run shares with the one that a remedy leads to, beside seed and rate."""


def best_remedy(dataset: Dataset, row: int, diagnosis: str) -> int:
    """Index of the remedy with the largest gain on a run, of those that a diagnosis stands for; 0 where none helps.

    Args:
        dataset: any data set.
        row: of the run.
        diagnosis: one of `DIAGNOSES`, not necessarily that of the run.
    """
    members = family_members(dataset.meta.remedies, diagnosis)
    gains = np.nan_to_num(dataset["remedy_gain"][row, members], nan=-np.inf)
    return int(members[np.argmax(gains)]) if gains.max(initial=0.0) > 0 else 0


def curve_after(dataset: Dataset, row: int, remedy_index: int) -> Float | None:
    """Training loss (n_points,) float32 after a remedy; None where that curve is not in the data set.

    A resumed curve is NaN before it branches off. A restart and a change of output lead to another run of the
    table, see `row_after`.

    Args:
        dataset: any data set.
        row: of the run.
        remedy_index: index into `dataset.meta.remedies`.
    """
    if dataset.meta.remedies[remedy_index].action is Action.RESUME:
        after = dataset["resumed_train_loss"][row, dataset.meta.resumes.index(remedy_index)]
        return None if np.isnan(after).all() else np.asarray(after)
    other = row_after(dataset, row, remedy_index)
    return None if other is None else np.asarray(dataset["train_loss"][other])


def row_after(dataset: Dataset, row: int, remedy_index: int) -> int | None:
    """Row of the run that a remedy leads to, itself for no remedy; None where it is not in the table.

    That run has the same seed and the base rate times the remedy's factor. A restart stays in the cell; a change of
    output leads to the cell of the same group and schedule whose output fits. Thinning may have left the run out. None
    also where it was trained with another loss, so that its curve says nothing beside this one, and for resumed and
    longer trainings, which are no runs of the table.

    Args:
        dataset: any data set.
        row: of the run.
        remedy_index: index into `dataset.meta.remedies`.
    """
    remedy = dataset.meta.remedies[remedy_index]
    if remedy.action is Action.NONE:
        return row
    if remedy.action not in _SAME_NETWORK:
        return None
    rate = dataset["base_lr"][row] * remedy.factor
    is_near = (dataset["seed"] == dataset["seed"][row]) & (np.abs(dataset["base_lr"] / rate - 1.0) < _SAME_RATE)
    if remedy.action is Action.CHANGE_OUTPUT:
        is_near &= np.isnan(dataset["remedy_gain"][:, remedy_index])  # there is nothing to change where it fits
    rows = np.flatnonzero(is_near)
    for name in _SAME_NETWORK[remedy.action]:
        rows = rows[dataset[name][rows] == dataset[name][row]]
    return int(rows[0]) if len(rows) else None
