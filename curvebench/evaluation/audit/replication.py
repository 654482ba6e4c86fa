"""Were the labels luck? A sample of (cell, rate)s, trained again with other seeds by whoever can train."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curvebench.data.dataset import Dataset
from curvebench.evaluation.audit.report import Measured
from curvebench.materiality import FAMILIES, best_members, mean_and_half_width
from curvebench.remedies import Trial, counts_for_labels, gain
from curvebench.spec import DIAGNOSES, Bool, Diagnosis, Float, InputError, Int

SAMPLE = 200
"""(cell, rate)s that are trained again unless told otherwise."""

HEALTHY_SHARE = 0.25
"""Of the sample; trying every remedy of a healthy one takes some twenty times as long as one remedy of a faulty one."""

HALF = 0.5
"""Share of the material gain that the remedy must bring with other seeds. The stored seeds chose that remedy as the
best of its family, so that less is to be expected of others."""

SEED = 20240301
"""Of the generator that draws the sample."""

LISTED = 20
"""So many (cell, rate)s that did not replicate are named."""


@dataclass(frozen=True)
class Sample:
    """(cell, rate)s to be trained again, n of them.

    Attributes:
        trials: the remedies to try on each: of a faulty one the remedy that its label rests on, of a healthy one all
            that were tried and count for labels.
        label: (n,) one of `DIAGNOSES`.
        cap: (n,) loss of the best constant prediction.
        stored_gain: (n,) mean gain over the stored seeds of the remedy that the label rests on; NaN for healthy ones.
    """

    trials: tuple[Trial, ...]
    label: NDArray[np.str_]
    cap: Float
    stored_gain: Float


def draw_sample(dataset: Dataset, n: int = SAMPLE) -> Sample:
    """Draw scored (cell, rate)s at random, the same ones from the same data set.

    Args:
        dataset: any data set.
        n: how many; a quarter of them healthy, as far as there are so many.

    Raises:
        InputError: no scored (cell, rate) is there with two seeds or more.
    """
    rows = _rows_by_cell_rate(dataset)
    is_healthy = dataset.labels[rows[:, 0]] == Diagnosis.HEALTHY
    generator = np.random.default_rng(SEED)
    n_healthy = min(round(HEALTHY_SHARE * n), int(is_healthy.sum()))
    healthy = generator.choice(np.flatnonzero(is_healthy), n_healthy, replace=False)
    faulty = generator.permutation(np.flatnonzero(~is_healthy))[: n - n_healthy]
    rows = rows[np.concatenate([faulty, healthy])]

    remedies = dataset.meta.remedies
    means, half_widths = mean_and_half_width(dataset["remedy_gain"][rows], _threshold(dataset, "confidence"))
    best = best_members(means, half_widths, remedies)
    is_tried = counts_for_labels(remedies) & ~np.isnan(means)
    label = dataset.labels[rows[:, 0]]
    trials, stored_gain = [], np.full(len(rows), np.nan)
    for i, row in enumerate(rows[:, 0]):
        if label[i] == Diagnosis.HEALTHY:
            chosen = np.flatnonzero(is_tried[i]).tolist()
        else:
            family = FAMILIES.index(label[i])
            is_there = best.index[i, family] >= 0
            chosen = [int(best.index[i, family])] if is_there else []
            stored_gain[i] = best.mean[i, family] if is_there else 0.0
        trials.append(Trial(str(dataset["cell"][row]), float(dataset["base_lr"][row]), tuple(chosen)))
    return Sample(tuple(trials), label, dataset["loss_cap"][rows[:, 0]], stored_gain)


def _rows_by_cell_rate(dataset: Dataset) -> Int:
    """(n, K) rows of each scored (cell, rate) that is there with all K seeds."""
    scored = np.flatnonzero(dataset.is_scored)
    order = scored[np.lexsort((dataset["seed"][scored], dataset.cell_rate[scored]))]
    _, counts = np.unique(dataset.cell_rate[order], return_counts=True)
    n_seeds = int(counts.max(initial=0))
    if n_seeds < 2:
        raise InputError("No scored (cell, rate) is there with two seeds or more, so no label can be tested again.")
    rows: Int = order[np.repeat(counts == n_seeds, counts)].reshape(-1, n_seeds)
    return rows


def _threshold(dataset: Dataset, name: str) -> float:
    if name not in dataset.meta.thresholds:
        raise InputError(f"The data set was labelled without the threshold {name!r}, so its labels can't be tested.")
    return dataset.meta.thresholds[name]


def replication(dataset: Dataset, sample: Sample, outcomes: Float) -> Measured:
    """Test the labels of a sample on outcomes with other seeds.

    A faulty (cell, rate) replicates if the mean gain of the remedy that its label rests on is at least `HALF` of the
    material gain; a healthy one if the test of the labels finds no family of remedies material.

    Args:
        dataset: that the sample was drawn from.
        sample: n (cell, rate)s.
        outcomes: (n, K, n_remedies) final losses, NaN where untried.

    Raises:
        InputError: the data set was labelled by other rules.
    """
    material, confidence, tie = (_threshold(dataset, name) for name in ("material_gain", "confidence", "tie"))
    gains = gain(outcomes[:, :, :1], outcomes, sample.cap[:, None, None], tie)
    means, half_widths = mean_and_half_width(gains, confidence)
    is_healthy = sample.label == Diagnosis.HEALTHY
    lower = best_members(means, half_widths, dataset.meta.remedies).lower
    is_left_alone = ~(lower >= material).any(axis=1)
    fresh_gain = np.array([means[i, t.remedies[0]] if t.remedies else 0.0 for i, t in enumerate(sample.trials)])
    replicates = np.where(is_healthy, is_left_alone, fresh_gain >= HALF * material)
    lost = [
        f"{t.cell} at {t.base_lr:.3g} ({name})"
        for t, name, good in zip(sample.trials, sample.label, replicates, strict=True)
        if not good
    ]
    return Measured(
        {"helped": _share(replicates[~is_healthy]), "left_alone": _share(replicates[is_healthy])},
        {
            "replicated": {
                name: f"{replicates[sample.label == name].sum()} of {(sample.label == name).sum()}"
                for name in DIAGNOSES
            },
            "median_gain_stored": _median(sample.stored_gain[~is_healthy]),
            "median_gain_fresh": _median(fresh_gain[~is_healthy]),
            "not_replicated": lost[:LISTED],
        },
    )


def _share(is_so: Bool) -> float:
    return float(is_so.mean()) if len(is_so) else float("nan")


def _median(values: Float) -> float | None:
    return float(np.median(values)) if len(values) else None
