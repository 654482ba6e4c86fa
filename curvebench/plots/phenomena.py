"""A panel for each phenomenon of training that a data set shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from curvebench.data.dataset import Dataset
from curvebench.data.phenomena import PHENOMENA, find_phenomena
from curvebench.plots.curves import COLOURS, draw_curve, limit_losses
from curvebench.plots.examples import of_different_problems, typical
from curvebench.spec import Bool

PANELS_IN_A_ROW = 5
"""Of the picture of phenomena."""


def draw_phenomena(dataset: Dataset, found: Mapping[str, Bool] | None = None) -> Any:
    """A panel for each phenomenon with up to `EXAMPLES` typical runs of different problems; a matplotlib figure.

    Losses are divided by the loss of the best constant prediction. A dotted line marks the floor of the output's range
    where there is one, a cross where a run died.

    Args:
        dataset: any data set.
        found: as from `curvebench.data.phenomena.find_phenomena`, which is asked by default.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    n_rows = -(-len(PHENOMENA) // PANELS_IN_A_ROW)
    figure = Figure(figsize=(15, 2.4 * n_rows), layout=ConstrainedLayoutEngine(h_pad=0.06, w_pad=0.04))
    panels = figure.subplots(n_rows, PANELS_IN_A_ROW).flat
    for name, shown in (find_phenomena(dataset) if found is None else found).items():
        _draw_phenomenon(next(panels), dataset, name, shown)
    for unused in panels:
        unused.set_axis_off()
    figure.supxlabel("share of training", fontsize=9)
    figure.supylabel("training loss / loss of the best constant prediction", fontsize=9)
    return figure


def _draw_phenomenon(axes: Any, dataset: Dataset, name: str, shown: Bool) -> None:
    axes.set_title(name, fontsize=9, loc="left", weight="bold", y=1.1)
    axes.text(0.0, 1.04, PHENOMENA[name].teaches, transform=axes.transAxes, fontsize=7, color="0.3").set_in_layout(
        False
    )
    axes.set(yscale="log", xlim=(-0.02, 1.04))
    axes.axhline(1.0, color="0.8", linewidth=0.8, zorder=0)
    drawn = []
    rows = of_different_problems(dataset, typical(dataset, np.flatnonzero(shown)))
    for row, colour in zip(rows, COLOURS, strict=False):
        cap = float(dataset["loss_cap"][row])
        with np.errstate(over="ignore"):
            drawn.append(dataset["train_loss"][row].astype(np.float64) / cap)
        progress = dataset["step"][row] / max(1, int(dataset["step"][row, -1]))
        draw_curve(axes, progress, drawn[-1], colour, "-", linewidth=0.9)
        floor = float(dataset["output_floor"][row]) / cap
        if floor > 0.0:
            axes.axhline(floor, color=colour, linewidth=0.8, linestyle=":", zorder=0)
            drawn.append(np.array([floor]))
    limit_losses(axes, 1.0, drawn)
    axes.tick_params(labelsize=6.5)
    if not drawn:
        axes.text(0.5, 0.5, "no such run in this data set", ha="center", transform=axes.transAxes, color="0.5")
