"""What a remedy made of a run: the curve of the run that it leads to, where the data set holds it."""

from __future__ import annotations

import numpy as np

from curvebench.data.dataset import Dataset
from curvebench.remedies import family_members
from curvebench.spec import Action, Float

_SAME_RATE = 1e-3
"""Rates closer than this, as a ratio, are the same point of a grid."""


def best_remedy(dataset: Dataset, row: int, diagnosis: str) -> int:
    """Index of the remedy with the largest gain on a run, of those that a diagnosis stands for; 0 where none helps."""
    members = family_members(dataset.meta.remedies, diagnosis)
    gains = np.nan_to_num(dataset["remedy_gain"][row, members], nan=-np.inf)
    return int(members[np.argmax(gains)]) if gains.max(initial=0.0) > 0 else 0


def curve_after(dataset: Dataset, row: int, remedy_index: int) -> Float | None:
    """Training loss (n_points,) float32 after a remedy; None where that run is not in the data set.

    A resumed curve starts where it branches off; the other remedies lead to another run of the same group, which
    thinning may have left out. None also where the other run was trained with another loss.

    Args:
        dataset: any data set.
        row: of the run.
        remedy_index: index into `dataset.meta.remedies`.
    """
    remedy = dataset.meta.remedies[remedy_index]
    match remedy.action:
        case Action.NONE:
            return np.asarray(dataset["train_loss"][row])
        case Action.RESUME:
            return np.asarray(dataset["resumed_train_loss"][row, dataset.meta.resumes.index(remedy_index)])
        case Action.RESTART:
            is_twin = dataset["cell"] == dataset["cell"][row]
        case Action.CHANGE_OUTPUT:
            is_twin = np.isnan(dataset["remedy_gain"][:, remedy_index])
            for name in ("group", "loss", "schedule", "decay", "warmup"):
                is_twin &= dataset[name] == dataset[name][row]
        case _:
            return None
    rate = dataset["base_lr"][row] * remedy.factor
    is_twin &= np.abs(dataset["base_lr"] / rate - 1.0) < _SAME_RATE
    twins = np.flatnonzero(is_twin & (dataset["seed"] == dataset["seed"][row]))
    return np.asarray(dataset["train_loss"][twins[0]]) if len(twins) else None
