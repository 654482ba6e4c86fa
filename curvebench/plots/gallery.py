"""A panel for each diagnosis, with what the remedy made of a few runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from curvebench.data.counterfactuals import best_remedy, curve_after
from curvebench.data.dataset import Dataset
from curvebench.plots.curves import COLOURS, draw_curve, limit_losses, on_log_axis, smooth
from curvebench.plots.examples import choose_gallery
from curvebench.spec import DIAGNOSES, Diagnosis, Float

MEANING = {
    Diagnosis.LR_TOO_HIGH: "lower the rate, start again",
    Diagnosis.LATE_LR_TOO_HIGH: "lower the rate, rerun the last epochs",
    Diagnosis.LR_TOO_LOW: "raise the rate, start again",
    Diagnosis.LATE_LR_TOO_LOW: "raise the rate, rerun the last epochs",
    Diagnosis.OUTPUT_MISMATCH: "change the output activation or its loss",
    Diagnosis.HEALTHY: "leave it alone",
}
"""What each diagnosis tells the user to do."""


def draw_gallery(dataset: Dataset, examples: Mapping[str, Sequence[int]] | None = None) -> Any:
    """A panel for each diagnosis: a few runs (solid) and what the remedy it stands for made of each (dashed).

    Losses are divided by the loss of the best constant prediction and smoothed by a running median, but for runs that
    died; what was logged lies faintly behind. A circle at the right marks the final loss after the remedy; it stands
    alone where the remedied run is not in the data set or was trained with another loss. A cross marks where a run
    died.

    Args:
        dataset: any data set.
        examples: diagnosis -> rows to draw, up to three; by default those of `choose_gallery`.

    Returns:
        A matplotlib figure.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    examples = choose_gallery(dataset) if examples is None else examples
    figure = Figure(figsize=(11, 7.4), layout=ConstrainedLayoutEngine(h_pad=0.08, w_pad=0.06))
    for axes, diagnosis in zip(figure.subplots(2, 3).flat, DIAGNOSES, strict=True):
        _draw_panel(axes, dataset, diagnosis, examples.get(diagnosis, ()))
    figure.supxlabel(
        "share of training      solid: the run as it was;   dashed, and circle: the same run after the remedy;   "
        "cross: the run died",
        fontsize=9,
    )
    figure.supylabel("training loss / loss of the best constant prediction", fontsize=9)
    return figure


def _draw_panel(axes: Any, dataset: Dataset, diagnosis: str, rows: Sequence[int]) -> None:
    axes.set_title(diagnosis, fontsize=10, loc="left", weight="bold", y=1.07)
    axes.text(0.0, 1.025, MEANING[Diagnosis(diagnosis)], transform=axes.transAxes, fontsize=8.5, color="0.3")
    axes.set(yscale="log", xlim=(-0.02, 1.04))
    axes.axhline(1.0, color="0.8", linewidth=0.8, zorder=0)
    drawn = [_draw_example(axes, dataset, row, colour) for row, colour in zip(rows, COLOURS, strict=False)]
    limit_losses(axes, 1.0, drawn)
    if drawn:
        axes.legend(
            loc="upper left", bbox_to_anchor=(-0.02, -0.07), fontsize=8, frameon=False, labelspacing=0.25, borderpad=0.2
        )
    else:
        axes.text(0.5, 0.5, "no such run in this data set", ha="center", transform=axes.transAxes, color="0.5")


def _draw_example(axes: Any, dataset: Dataset, row: int, colour: str) -> Float:
    """Draw a run and what its remedy made of it; the losses that must be seen, (n,) relative to the cap."""
    cap = float(dataset["loss_cap"][row])
    progress = dataset["step"][row] / max(1, int(dataset["step"][row, -1]))
    with np.errstate(over="ignore"):
        logged = dataset["train_loss"][row].astype(np.float64) / cap
    smoothed = smooth(logged) if np.isfinite(logged).all() else logged  # a median would hide how a run died
    axes.plot(progress, on_log_axis(logged), color=colour, linewidth=0.5, alpha=0.25)
    remedy = best_remedy(dataset, row, str(dataset["diagnosis"][row]))
    draw_curve(
        axes, progress, smoothed, colour, "-", f"{dataset['problem_family'][row]}: {effect_of(dataset, row, remedy)}"
    )
    if remedy == 0:
        return smoothed
    final = min(float(dataset["remedy_final_loss"][row, remedy]) / cap, 1.0)
    axes.plot([1.025], [final], marker="o", markersize=4.5, color=colour, clip_on=False)
    after = curve_after(dataset, row, remedy)
    if after is None:
        return np.append(smoothed, final)
    after = smooth(after.astype(np.float64) / cap)
    draw_curve(axes, progress, after, colour, "--")
    return np.concatenate([smoothed, after, [final]])


def effect_of(dataset: Dataset, row: int, remedy: int) -> str:
    """What a remedy is and did, in a few words."""
    if remedy == 0:
        return "nothing helps"
    return f"{dataset.meta.remedies[remedy]}, loss −{100 * float(dataset['remedy_gain'][row, remedy]):.0f} %"
