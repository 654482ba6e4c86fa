"""Other thresholds on the same outcomes: labels are a pure function of what a data set stores."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np

from curvebench.data.dataset import Dataset
from curvebench.generation.generate import with_fixed_actions
from curvebench.generation.label import Thresholds
from curvebench.generation.table import is_useless, label_runs
from curvebench.remedies import gain
from curvebench.spec import InputError, UsageError
from curvebench.t_quantiles import CONFIDENCES


def relabel(dataset: Dataset, **thresholds: float) -> Dataset:
    """Label the runs of a data set anew from their stored outcomes.

    Args:
        dataset: any data set; all seeds of a (cell, rate) must be in it.
        **thresholds: fields of `Thresholds` to change; the others stay as they are stored.

    Returns:
        The same runs with other gains, labels and fixed actions. With no thresholds changed it is equal.

    Raises:
        UsageError: there is no such threshold, or its value is not allowed.
        InputError: the data set was labelled by other rules, is empty, or has a (cell, rate) with a single seed.
    """
    changed = _changed(_stored(dataset), thresholds)
    gains = gain(
        dataset["final_loss"][:, None], dataset["remedy_final_loss"], dataset["loss_cap"][:, None], changed.tie
    ).astype(np.float32)
    _, key = np.unique(np.char.add(dataset["cell"], dataset["base_lr"].astype("U32")), return_inverse=True)
    if len(key) == 0 or np.bincount(key).min() < 2:
        raise InputError("Labels are tests over seeds: every cell and rate needs at least two of them, best all.")
    order = np.lexsort((dataset["seed"], key))
    useless = is_useless(dataset["final_loss"], dataset["loss_cap"], dataset["loss_floor"], changed.tie)
    labels = label_runs(
        key[order],
        gains[order],
        dataset.meta.remedies,
        changed,
        useless[order],
        dataset["sweep_complete"][order].astype(bool),
    )
    back = np.argsort(order)
    columns = {
        **dataset.columns,
        "remedy_gain": gains,
        "diagnosis": labels.diagnosis[back],
        "accepted": labels.accepted[back].astype(np.uint8),
        "best_gain": labels.best_gain[back].astype(np.float32),
        "onset": labels.onset[back].astype(np.float32),
        "difficulty": labels.difficulty[back],
    }
    return with_fixed_actions(Dataset(columns, replace(dataset.meta, thresholds=changed.to_dict())))


def _stored(dataset: Dataset) -> Thresholds:
    names, known = set(dataset.meta.thresholds), {field.name for field in fields(Thresholds)}
    if names != known:
        raise InputError(
            f"The data set was labelled with the thresholds {', '.join(sorted(names))}; "
            f"this program labels with {', '.join(sorted(known))}."
        )
    return Thresholds(**dataset.meta.thresholds)


def _changed(stored: Thresholds, wanted: dict[str, float]) -> Thresholds:
    known = [field.name for field in fields(Thresholds)]
    for name in wanted:
        if name not in known:
            raise UsageError(f"There is no threshold {name!r}; thresholds are {', '.join(known)}.")
    changed = replace(stored, **wanted)
    if changed.confidence not in CONFIDENCES:
        raise UsageError(
            f"A confidence of {changed.confidence} was given; allowed are {', '.join(map(str, CONFIDENCES))}."
        )
    for name, low, high in (
        ("material_gain", 0.0, 1.0),
        ("tie", 0.0, 1.0),
        ("accept_share", 0.0, 1.0),
        ("largest_ratio", 1.0, 1e6),
    ):
        if not low <= getattr(changed, name) <= high:
            raise UsageError(f"{name} = {getattr(changed, name)} was given; it must lie in [{low:g}, {high:g}].")
    return changed
