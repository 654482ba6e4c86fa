"""One run with what every remedy made of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from curvebench.data.counterfactuals import best_remedy, curve_after
from curvebench.data.dataset import Dataset
from curvebench.plots.curves import COLOURS, draw_curve, limit_losses
from curvebench.plots.gallery import effect_of
from curvebench.spec import DIAGNOSES, Action

_LOWER, _HIGHER, _BEST = COLOURS


def draw_run(dataset: Dataset, row: int) -> Any:
    """One run: its curves, what every resumption and what the remedies of its label made of it, and every gain.

    Returns:
        A matplotlib figure.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 5), layout="constrained")
    curves, gains = figure.subplots(1, 2, width_ratios=(3, 2))
    figure.suptitle(_title(dataset, row), fontsize=9, ha="left", x=0.01)
    _draw_curves(curves, dataset, row)
    _draw_gains(gains, dataset, row)
    return figure


def _title(dataset: Dataset, row: int) -> str:
    of = {name: dataset[name][row] for name in ("run", "problem", "optimizer", "schedule", "output_activation", "loss")}
    also = [name for name in _accepted(dataset, row) if name != dataset["diagnosis"][row]]
    return (
        f"{of['run']}: {dataset['diagnosis'][row]}"
        + (f" (also accepted: {', '.join(also)})" if also else "")
        + f"\n{of['problem']}, {of['optimizer']}, rate {dataset['base_lr'][row]:.3g}, {of['schedule']}, "
        + f"{of['output_activation']} output, {str(of['loss']).replace('_', ' ')}"
    )


def _accepted(dataset: Dataset, row: int) -> list[str]:
    return [name for name, is_accepted in zip(DIAGNOSES, dataset["accepted"][row], strict=True) if is_accepted]


def _draw_curves(axes: Any, dataset: Dataset, row: int) -> None:
    step, cap = dataset["step"][row], float(dataset["loss_cap"][row])
    drawn = [dataset["train_loss"][row], dataset["val_loss"][row], *dataset["resumed_train_loss"][row]]
    labels = {_LOWER: "resumed with a lower rate", _HIGHER: "resumed with a higher rate"}
    for index, after in zip(dataset.meta.resumes, dataset["resumed_train_loss"][row], strict=True):
        if np.isnan(after).all():  # untried, or a data set without resumed curves
            continue
        colour = _LOWER if dataset.meta.remedies[index].factor < 1 else _HIGHER
        draw_curve(axes, step, after, colour, "--", labels.pop(colour, None), linewidth=0.9)
    for index in _drawable_remedies(dataset, row):
        after = np.asarray(curve_after(dataset, row, index))
        draw_curve(axes, step, after, _BEST, "--", effect_of(dataset, row, index), linewidth=1.2)
        drawn.append(after)
    draw_curve(axes, step, dataset["val_loss"][row], "0.65", "-", "validation loss", linewidth=1.2)
    draw_curve(axes, step, dataset["train_loss"][row], "black", "-", "training loss", linewidth=1.2)
    axes.axhline(cap, color="0.8", linewidth=0.8, label="best constant prediction", zorder=0)
    axes.set(yscale="log", xlabel="updates", ylabel="loss")
    limit_losses(axes, cap, drawn)
    if (floor := float(dataset["loss_floor"][row])) > axes.get_ylim()[0]:
        axes.axhline(floor, color="0.6", linewidth=0.8, linestyle=":", label="floor", zorder=0)
    axes.legend(loc="upper left", bbox_to_anchor=(-0.02, -0.12), fontsize=8, frameon=False, ncols=2, labelspacing=0.25)


def _drawable_remedies(dataset: Dataset, row: int) -> list[int]:
    """The remedies that the accepted diagnoses stand for and that lead to other runs of the data set."""
    best = [best_remedy(dataset, row, diagnosis) for diagnosis in _accepted(dataset, row)]
    return [
        index
        for index in best
        if index
        and dataset.meta.remedies[index].action is not Action.RESUME
        and curve_after(dataset, row, index) is not None
    ]


def _draw_gains(axes: Any, dataset: Dataset, row: int) -> None:
    gains = dataset["remedy_gain"][row]
    tried = [i for i in np.flatnonzero(~np.isnan(gains)).tolist() if i > 0]
    positions = np.arange(len(tried))
    colours = [_BEST if gains[i] > 0 else "0.6" for i in tried]
    axes.barh(positions, gains[tried], color=colours)
    axes.scatter(gains[tried], positions, color=colours, s=8)
    names = [str(dataset.meta.remedies[i]) for i in tried]
    axes.set_yticks(positions, names, fontsize=min(7.5, 240 / max(1, len(tried))))
    axes.axvline(0.0, color="0.6", linewidth=0.8)
    if (material := dataset.meta.thresholds.get("material_gain")) is not None:
        axes.axvline(material, color="0.5", linewidth=0.8, linestyle=":")
    axes.set(xlim=(-1.05, 1.05), xticks=(-1, -0.5, 0, 0.5, 1), xlabel="gain of each remedy tried (dotted: material)")
    axes.invert_yaxis()
