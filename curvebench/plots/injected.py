"""What was done to the runs of a data set, against what would have helped them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from curvebench.data.dataset import Dataset
from curvebench.spec import DIAGNOSES


def count_injected(dataset: Dataset) -> NDArray[np.intp]:
    """Scored runs by injected cause and by label.

    Returns:
        (6, 6), injected causes down and labels across, both in the order of `DIAGNOSES`.
    """
    injected, label = dataset["injected"], dataset["diagnosis"]
    return np.array([[np.sum((injected == done) & (label == helped)) for helped in DIAGNOSES] for done in DIAGNOSES])


def draw_injected(dataset: Dataset) -> Any:
    """A table: a row for each injected cause, a column for each label, the count of runs in each field.

    Fields are coloured by their share of the row; those where cause and label agree are framed.

    Args:
        dataset: any data set.

    Returns:
        A matplotlib figure.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    counts = count_injected(dataset)
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    figure = Figure(figsize=(8.4, 4.6), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto")
    for (i, j), count in np.ndenumerate(counts):
        axes.text(j, i, f"{count:,}", ha="center", va="center", color="white" if shares[i, j] > 0.55 else "0.1")
        if i == j:
            axes.add_patch(Rectangle((j - 0.47, i - 0.46), 0.94, 0.92, fill=False, edgecolor="0.2", linewidth=1.5))
    places = range(len(DIAGNOSES))
    axes.set_xticks(places, DIAGNOSES, fontsize=8, rotation=20, ha="left")
    axes.set_yticks(
        places, [f"{name}\n{sum(row):,} runs" for name, row in zip(DIAGNOSES, counts, strict=True)], fontsize=8
    )
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.tick_params(length=0)
    axes.set_xlabel("what really helped (the label)", weight="bold")
    axes.set_ylabel("what was done to the run (injected)", weight="bold")
    agree = np.trace(counts) / max(1, counts.sum())
    figure.supxlabel(f"framed: both agree, as in {agree:.0%} of {counts.sum():,} scored runs", fontsize=9)
    return figure
