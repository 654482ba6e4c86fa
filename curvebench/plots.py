"""Pictures: a gallery of what the labels mean, and one run with what its remedies made of it."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from curvebench.data.counterfactuals import best_remedy, curve_after
from curvebench.data.dataset import Dataset
from curvebench.data.store import check_target
from curvebench.spec import DIAGNOSES, Diagnosis, Float, InputError, UsageError

EXAMPLES = 3
"""Runs in each panel of the gallery."""

MEANING = {
    Diagnosis.LR_TOO_HIGH: "lower the rate, start again",
    Diagnosis.LATE_LR_TOO_HIGH: "lower the rate, rerun the last epochs",
    Diagnosis.LR_TOO_LOW: "raise the rate, start again",
    Diagnosis.LATE_LR_TOO_LOW: "raise the rate, rerun the last epochs",
    Diagnosis.OUTPUT_MISMATCH: "change the output activation or its loss",
    Diagnosis.HEALTHY: "leave it alone",
}
"""What each diagnosis tells the user to do."""

_COLOURS = ("#0072B2", "#D55E00", "#009E73")  # Okabe and Ito: told apart without colour vision
_SHOWN_RANGE = (1e-5, 20.0)
_FORMATS = (".png", ".svg", ".pdf")


def save_plot(dataset: Dataset, run: str | None, path: str | Path, *, overwrite: bool = False) -> None:
    """Draw a gallery, or one run if it is named, into a PNG, SVG or PDF file.

    Raises:
        UsageError: there is no such run, the file's ending is unknown, or it cannot be written.
        InputError: the data set has no run to draw.
    """
    path = Path(path)
    if path.suffix.lower() not in _FORMATS:
        raise UsageError(f"{str(path)!r} was given as picture; its name must end in {', '.join(_FORMATS)}.")
    check_target(path, overwrite=overwrite)
    if len(dataset) == 0:
        raise InputError("The data set has no runs, so there is nothing to draw.")
    figure = _in_agg(lambda: draw_gallery(dataset) if run is None else draw_run(dataset, find_run(dataset, run)))
    try:
        figure.savefig(path, dpi=130, metadata=_WITHOUT_DATE.get(path.suffix.lower()))
    except OSError as error:
        raise UsageError(f"{str(path)!r} cannot be written: {error.strerror}.") from None


_WITHOUT_DATE: dict[str, Any] = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}


def _in_agg(draw: Callable[[], Any]) -> Any:
    """Draw without a screen and without matplotlib's global state."""
    import matplotlib as mpl

    with mpl.rc_context({"font.size": 8, "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "0"}):
        return draw()


def find_run(dataset: Dataset, run: str) -> int:
    """Row of a run by its name.

    Raises:
        UsageError: there is none; the nearest names are suggested.
    """
    rows = np.flatnonzero(dataset["run"] == run)
    if len(rows) == 0:
        near = difflib.get_close_matches(run, dataset["run"].tolist()[:20_000], n=3, cutoff=0.0)
        raise UsageError(f"There is no run {run!r} in the data set. Runs are named like {', '.join(near)}.")
    return int(rows[0])


# ------------------------------------------------------------------------------------------- gallery


def draw_gallery(dataset: Dataset) -> Any:
    """A panel for each diagnosis: a few runs (solid) and what the remedy it stands for made of each (dashed).

    Losses are divided by the loss of the best constant prediction and smoothed by a running median; what was logged
    lies faintly behind. A circle at the right marks the final loss after the remedy; it stands alone where the
    remedied run is not in the data set or was trained with another loss.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 6.6), layout="constrained")
    for axes, diagnosis in zip(figure.subplots(2, 3).flat, DIAGNOSES, strict=True):
        _draw_panel(axes, dataset, diagnosis)
    figure.supxlabel("share of training (solid: the run; dashed and circle: the same run after the remedy)", fontsize=8)
    figure.supylabel("training loss / loss of the best constant prediction", fontsize=8)
    return figure


def _draw_panel(axes: Any, dataset: Dataset, diagnosis: str) -> None:
    axes.set_title(diagnosis, fontsize=10, loc="left", weight="bold", y=1.06)
    axes.text(0.0, 1.02, MEANING[Diagnosis(diagnosis)], transform=axes.transAxes, fontsize=8, color="0.3")
    axes.set_yscale("log")
    axes.axhline(1.0, color="0.8", linewidth=0.8, zorder=0)
    rows = choose_examples(dataset, diagnosis)
    for row, colour in zip(rows, _COLOURS, strict=False):
        _draw_example(axes, dataset, row, colour)
    if rows:
        axes.legend(loc="best", fontsize=7, framealpha=0.8, edgecolor="none")
    else:
        axes.text(0.5, 0.5, "no such run in this data set", ha="center", transform=axes.transAxes, color="0.5")
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, _SHOWN_RANGE[0]), min(max(high, 1.5), _SHOWN_RANGE[1]))


def choose_examples(dataset: Dataset, diagnosis: str) -> list[int]:
    """Rows of typical runs with a label, of different problem families where possible, the same at every call.

    Runs whose remedied curve can be drawn come first, then easy ones, then those with a typical gain.
    """
    rows = np.flatnonzero(dataset["diagnosis"] == diagnosis)
    if len(rows) == 0:
        return []
    typical = np.median(dataset["best_gain"][rows])
    order = sorted(
        rows.tolist(),
        key=lambda row: (dataset["difficulty"][row] != "easy", abs(float(dataset["best_gain"][row] - typical)), row),
    )[:100]
    order.sort(key=lambda row: curve_after(dataset, row, best_remedy(dataset, row, diagnosis)) is None)
    chosen: list[int] = []
    for by_family in (True, False):
        for row in order:
            families = {str(dataset["problem_family"][other]) for other in chosen}
            is_new = str(dataset["problem_family"][row]) not in families if by_family else row not in chosen
            if len(chosen) < EXAMPLES and is_new:
                chosen.append(row)
    return chosen


def _draw_example(axes: Any, dataset: Dataset, row: int, colour: str) -> None:
    cap = float(dataset["loss_cap"][row])
    progress = dataset["step"][row] / max(1, int(dataset["step"][row, -1]))
    diagnosis, family = str(dataset["diagnosis"][row]), dataset["problem_family"][row]
    axes.plot(progress, dataset["train_loss"][row] / cap, color=colour, linewidth=0.5, alpha=0.25)
    _draw_curve(axes, progress, smooth(dataset["train_loss"][row]) / cap, colour, "-")
    remedy = best_remedy(dataset, row, diagnosis)
    if remedy == 0:
        axes.plot([], [], color=colour, label=f"{family}: nothing helps")
        return
    after = curve_after(dataset, row, remedy)
    if after is not None:
        _draw_curve(axes, progress, smooth(after) / cap, colour, "--")
    final = float(dataset["remedy_final_loss"][row, remedy]) / cap
    axes.plot([1.02], [min(final, 1.0)], marker="o", markersize=4, color=colour, clip_on=False)
    gain = float(dataset["remedy_gain"][row, remedy])
    axes.plot([], [], color=colour, label=f"{family}: {dataset.meta.remedies[remedy]}: loss −{100 * gain:.0f} %")


SMOOTHING = 7
"""Points of the running median in the gallery."""


def smooth(curve: Float) -> Float:
    """Running median of the finite part of a curve; points that are not finite stay, (n_points,) -> (n_points,)."""
    finite = np.flatnonzero(np.isfinite(curve))
    half = SMOOTHING // 2
    smoothed = np.array(curve, dtype=np.float64)
    values = smoothed[finite].copy()
    for i, point in enumerate(finite):
        smoothed[point] = np.median(values[max(0, i - half) : i + half + 1])
    return smoothed


def _draw_curve(axes: Any, x: Float, y: Float, colour: str, style: str, label: str | None = None) -> None:
    """A line; a cross marks the last finite point of a run that died."""
    finite = np.isfinite(y)
    axes.plot(x[finite], y[finite], style, color=colour, linewidth=1.3, label=label)
    branch = int(np.argmax(~np.isnan(y))) if style == "--" else 0
    if not finite[branch:].all() and finite.any():
        last = int(np.flatnonzero(finite)[-1])
        axes.plot(x[last], min(y[last], _SHOWN_RANGE[1]), marker="x", color=colour, markersize=6)


# ------------------------------------------------------------------------------------------- one run


def draw_run(dataset: Dataset, row: int) -> Any:
    """One run: its curves with what every resumption made of it, and the gain of every remedy that was tried."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.2), layout="constrained")
    curves, gains = figure.subplots(1, 2, width_ratios=(3, 2))
    figure.suptitle(_title(dataset, row), fontsize=9, ha="left", x=0.01)
    _draw_curves(curves, dataset, row)
    _draw_gains(gains, dataset, row)
    return figure


def _title(dataset: Dataset, row: int) -> str:
    of = {name: dataset[name][row] for name in ("run", "problem", "optimizer", "schedule", "output_activation", "loss")}
    accepted = [name for name, is_accepted in zip(DIAGNOSES, dataset["accepted"][row], strict=True) if is_accepted]
    also = [name for name in accepted if name != dataset["diagnosis"][row]]
    return (
        f"{of['run']}: {dataset['diagnosis'][row]}"
        + (f" (also accepted: {', '.join(also)})" if also else "")
        + f"\n{of['problem']}, {of['optimizer']}, rate {dataset['base_lr'][row]:.3g}, {of['schedule']}, "
        + f"{of['output_activation']} output, {str(of['loss']).replace('_', ' ')}"
    )


def _draw_curves(axes: Any, dataset: Dataset, row: int) -> None:
    step = dataset["step"][row]
    for index, after in zip(dataset.meta.resumes, dataset["resumed_train_loss"][row], strict=True):
        colour = _COLOURS[0] if dataset.meta.remedies[index].factor < 1 else _COLOURS[1]
        _draw_curve(axes, step, after, colour, "--")
    _draw_curve(axes, step, dataset["val_loss"][row], "0.6", "-", "validation loss")
    _draw_curve(axes, step, dataset["train_loss"][row], "black", "-", "training loss")
    axes.plot([], [], "--", color=_COLOURS[0], label="resumed with a lower rate")
    axes.plot([], [], "--", color=_COLOURS[1], label="resumed with a higher rate")
    axes.axhline(float(dataset["loss_cap"][row]), color="0.8", linewidth=0.8, label="best constant prediction")
    if np.isfinite(dataset["loss_floor"][row]):
        axes.axhline(float(dataset["loss_floor"][row]), color="0.8", linewidth=0.8, linestyle=":", label="floor")
    axes.set(yscale="log", xlabel="updates", ylabel="loss")
    axes.legend(fontsize=6.5, frameon=False)


def _draw_gains(axes: Any, dataset: Dataset, row: int) -> None:
    gains = dataset["remedy_gain"][row]
    tried = [i for i in np.flatnonzero(~np.isnan(gains)).tolist() if i > 0]
    positions = np.arange(len(tried))
    colours = ["#009E73" if gains[i] > 0 else "0.7" for i in tried]
    axes.barh(positions, gains[tried], color=colours)
    axes.set_yticks(
        positions, [str(dataset.meta.remedies[i]) for i in tried], fontsize=min(7.0, 220 / max(1, len(tried)))
    )
    axes.axvline(dataset.meta.thresholds["material_gain"], color="0.5", linewidth=0.8, linestyle=":")
    axes.set(xlim=(-1, 1), xlabel="gain of each remedy (dotted: material)")
    axes.invert_yaxis()
