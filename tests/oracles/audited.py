"""Data sets made up for audits: what they hold of labels, curves and gains is decided in the test."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from curvebench.data.dataset import Dataset
from curvebench.generation.label import Thresholds
from curvebench.remedies import family_members, gain
from curvebench.spec import DIAGNOSES

Array = np.ndarray[Any, Any]


def changed(dataset: Dataset, **columns: Array) -> Dataset:
    """The data set with other columns."""
    return Dataset({**dataset.columns, **columns}, dataset.meta)


def with_rules(dataset: Dataset) -> Dataset:
    """The data set as if it were labelled with the thresholds that recipes have by default."""
    return Dataset(dataset.columns, dataclasses.replace(dataset.meta, thresholds=Thresholds().to_dict()))


def scored(dataset: Dataset) -> Dataset:
    """Its scored runs."""
    return dataset.select(dataset.is_scored)


def relabelled(dataset: Dataset, labels: Array, seed: int = 0) -> Dataset:
    """Other labels, and remedies that bear them out: of the label's family one halves the loss, all others do harm."""
    rng = np.random.default_rng(seed)
    remedies = dataset.meta.remedies
    final = dataset["loss_cap"] * 0.5
    after = final[:, None] * rng.uniform(1.1, 1.4, (len(dataset), len(remedies)))
    after[:, 0] = final
    for name in DIAGNOSES:
        members = family_members(remedies, name)
        if len(members):
            after[labels == name, members[0]] = 0.4 * final[labels == name]
    after = after.astype(np.float32)
    return changed(
        dataset,
        diagnosis=labels,
        accepted=(labels[:, None] == np.array(DIAGNOSES)).astype(np.uint8),
        final_loss=final,
        remedy_final_loss=after,
        remedy_gain=gain(final[:, None], after, dataset["loss_cap"][:, None]),
    )


def labels_of_pairs(dataset: Dataset, seed: int = 0) -> Array:
    """A diagnosis drawn for each (cell, rate), (n_runs,)."""
    rng = np.random.default_rng(seed)
    return rng.choice(DIAGNOSES, dataset.cell_rate.max() + 1)[dataset.cell_rate]
