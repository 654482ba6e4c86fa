"""Plateaus of different causes that look alike, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from curvebench.data.dataset import Dataset
from curvebench.data.neighbours import Lookalikes
from curvebench.data.neighbours import lookalikes as find_lookalikes
from curvebench.plots.curves import COLOURS, draw_curve, limit_and_tick


def draw_lookalikes(dataset: Dataset, found: Mapping[tuple[str, str], Lookalikes] | None = None) -> Any:
    """A panel for every two causes of a plateau: the two runs that look most alike, as they were logged.

    Losses are divided by their geometric mean, as they are compared; the number is that of all pairs found.

    Args:
        dataset: any data set.
        found: as from `curvebench.data.neighbours.lookalikes`, which is asked by default.

    Returns:
        A matplotlib figure.
    """
    from matplotlib.figure import Figure

    found = find_lookalikes(dataset) if found is None else found
    figure = Figure(figsize=(15, 6.6), layout="constrained")
    for axes, pairs in zip(figure.subplots(2, 5).flat, found.values(), strict=True):
        axes.set_title(f"{pairs.causes[0]}\n{pairs.causes[1]}", fontsize=9, loc="left", weight="bold")
        axes.set(yscale="log", xlim=(-0.02, 1.02))
        count = "1 pair" if len(pairs.rows) == 1 else f"{len(pairs.rows):,} pairs"
        axes.text(0.97, 0.95, count, transform=axes.transAxes, ha="right", va="top", color="0.4")
        drawn = []
        for row, cause, colour in zip(pairs.rows[:1].reshape(-1), pairs.causes, COLOURS, strict=False):
            loss = dataset["train_loss"][row].astype(np.float64)
            drawn.append(loss / np.exp(np.log(loss).mean()))
            progress = dataset["step"][row] / max(1, int(dataset["step"][row, -1]))
            draw_curve(axes, progress, drawn[-1], colour, "-", f"{cause}: {dataset['problem_family'][row]}", 1.1)
        if drawn:
            limit_and_tick(axes, np.min(drawn) / 1.25, np.max(drawn) * 1.25)
            axes.legend(loc="upper left", bbox_to_anchor=(-0.02, -0.07), fontsize=8, frameon=False, labelspacing=0.25)
    figure.supxlabel("share of training", fontsize=9)
    figure.supylabel("training loss / its geometric mean", fontsize=9)
    return figure
