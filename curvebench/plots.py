"""Pictures: a gallery of what the labels mean, plateaus that look alike, one run with what its remedies made of it."""

from __future__ import annotations

import difflib
import io
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from curvebench.data.counterfactuals import best_remedy, curve_after
from curvebench.data.dataset import Dataset
from curvebench.data.neighbours import Lookalikes
from curvebench.data.neighbours import lookalikes as find_lookalikes
from curvebench.data.phenomena import PHENOMENA, Phenomenon
from curvebench.data.store import check_target, publish
from curvebench.spec import DIAGNOSES, Action, Diagnosis, Float, InputError, UsageError

EXAMPLES = 3
"""Runs in each panel of the gallery."""

PANELS_IN_A_ROW = 5
"""Of the picture of phenomena."""

CANDIDATES = 100
"""So many typical runs are looked at for each panel, and as many of those that diverged."""

MEANING = {
    Diagnosis.LR_TOO_HIGH: "lower the rate, start again",
    Diagnosis.LATE_LR_TOO_HIGH: "lower the rate, rerun the last epochs",
    Diagnosis.LR_TOO_LOW: "raise the rate, start again",
    Diagnosis.LATE_LR_TOO_LOW: "raise the rate, rerun the last epochs",
    Diagnosis.OUTPUT_MISMATCH: "change the output activation or its loss",
    Diagnosis.HEALTHY: "leave it alone",
}
"""What each diagnosis tells the user to do."""

SHOWN_RANGE = (1e-6, 20.0)
"""Losses outside this range are not shown, in units of the loss of the best constant prediction."""

SMOOTHING = 7
"""Points of the running median in the gallery."""

COLOURS = ("#0072B2", "#D55E00", "#009E73")
"""Of Okabe and Ito: told apart without colour vision."""

STYLE: dict[Any, Any] = {
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "curvebench",
}
"""Settings of matplotlib for every picture."""

_LOWER, _HIGHER, _BEST = COLOURS
_WITHOUT_DATE: Mapping[str, dict[str, Any] | None] = {
    ".png": None,
    ".svg": {"Date": None},
    ".pdf": {"CreationDate": None},
}
"""Ending of a picture's name -> metadata that keep the date out, so that the same picture has the same bytes."""


def save_plot(
    dataset: Dataset, run: str | None, path: str | Path, *, lookalikes: bool = False, overwrite: bool = False
) -> list[str]:
    """Draw a gallery, one run if it is named, or plateaus that look alike, into a PNG, SVG or PDF file.

    The file appears whole or not at all.

    Returns:
        Names of the runs that were drawn.

    Raises:
        UsageError: there is no such run, a run and lookalikes are asked for, the file's ending is unknown, or it cannot
            be written.
        InputError: the data set has no run to draw.
    """
    path = Path(path)
    check_picture(path, overwrite=overwrite)
    if len(dataset) == 0:
        raise InputError("The data set has no runs, so there is nothing to draw.")
    if lookalikes and run is not None:
        raise UsageError("Either a run is drawn or plateaus that look alike; leave out the one or the other.")
    draw: Callable[[], Any]
    if lookalikes:
        found = find_lookalikes(dataset)
        rows = [int(row) for pairs in found.values() for row in pairs.rows[:1].reshape(-1)]
        draw = partial(draw_lookalikes, dataset, found)
    elif run is not None:
        rows = [find_run(dataset, run)]
        draw = partial(draw_run, dataset, rows[0])
    else:
        examples = choose_gallery(dataset)
        rows = [row for chosen in examples.values() for row in chosen]
        draw = partial(draw_gallery, dataset, examples)
    _publish(draw, path, overwrite=overwrite)
    return [str(name) for name in dataset["run"][rows]]


def _publish(draw: Callable[[], Any], path: Path, *, overwrite: bool) -> None:
    """Draw in our style and write the figure under its name once it is whole."""
    import matplotlib as mpl

    image, ending = io.BytesIO(), path.suffix.lower()
    with mpl.rc_context(STYLE):
        draw().savefig(image, format=ending[1:], dpi=130, metadata=_WITHOUT_DATE[ending])
    publish(image.getvalue(), path, overwrite=overwrite)


def check_picture(path: str | Path, *, overwrite: bool = False) -> None:
    """Find out early whether a picture could be written to a path.

    Raises:
        UsageError: it could not, and why.
    """
    if Path(path).suffix.lower() not in _WITHOUT_DATE:
        raise UsageError(f"{str(path)!r} was given as picture; its name must end in {', '.join(_WITHOUT_DATE)}.")
    check_target(path, overwrite=overwrite)


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


# ------------------------------------------------------------------------------------------- choosing


def choose_gallery(dataset: Dataset) -> dict[str, list[int]]:
    """For every diagnosis the rows of its panel in the gallery; see `choose_examples`."""
    return {diagnosis: choose_examples(dataset, diagnosis) for diagnosis in DIAGNOSES}


def choose_examples(dataset: Dataset, diagnosis: str) -> list[int]:
    """Rows of typical runs with a label, up to `EXAMPLES`, the same at every call.

    Wanted are runs that the remedy helped, whose remedied curve can be drawn, of different problem families, of those
    that diverged one where that is not rare, easy ones, with a typical gain: in this order.
    """
    is_labelled = dataset["diagnosis"] == diagnosis
    candidates = _typical(dataset, np.flatnonzero(is_labelled & (dataset["diverged"] == 0)))
    diverged = np.flatnonzero(is_labelled & (dataset["diverged"] != 0))
    if 10 * len(diverged) > is_labelled.sum():
        candidates += _typical(dataset, diverged)
    lacks_curve = {row: _lacks_curve(dataset, row, diagnosis) for row in candidates}
    chosen: list[int] = []

    def drawback(row: int) -> tuple[Any, ...]:
        others = [[str(dataset[name][other]) for other in chosen] for name in ("problem_family", "diverged")]
        family, is_diverged = str(dataset["problem_family"][row]), str(dataset["diverged"][row])
        return lacks_curve[row], family in others[0], is_diverged in others[1], candidates.index(row)

    while candidates and len(chosen) < EXAMPLES:
        chosen.append(min(candidates, key=drawback))
        candidates.remove(chosen[-1])
    return chosen


def _typical(dataset: Dataset, rows: Any) -> list[int]:
    """The rows that show what they are labelled as, easy ones first, then by how near their gain is to the median."""
    if len(rows) == 0:
        return []
    gain = dataset["best_gain"][rows]
    order = np.lexsort((rows, np.abs(gain - np.median(gain)), dataset["difficulty"][rows] != "easy"))
    return [int(row) for row in rows[order][:CANDIDATES]]


def _lacks_curve(dataset: Dataset, row: int, diagnosis: str) -> int:
    """0 if what helped a run can be drawn, 1 if only its outcome can, 2 if nothing helped though the label says so."""
    remedy = best_remedy(dataset, row, diagnosis)
    if remedy == 0:
        return 0 if diagnosis == Diagnosis.HEALTHY else 2
    return int(curve_after(dataset, row, remedy) is None)


# ------------------------------------------------------------------------------------------- gallery


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
    _limit_losses(axes, 1.0, drawn)
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
    axes.plot(progress, _finite(logged), color=colour, linewidth=0.5, alpha=0.25)
    remedy = best_remedy(dataset, row, str(dataset["diagnosis"][row]))
    _draw_curve(
        axes, progress, smoothed, colour, "-", f"{dataset['problem_family'][row]}: {_effect(dataset, row, remedy)}"
    )
    if remedy == 0:
        return smoothed
    final = min(float(dataset["remedy_final_loss"][row, remedy]) / cap, 1.0)
    axes.plot([1.025], [final], marker="o", markersize=4.5, color=colour, clip_on=False)
    after = curve_after(dataset, row, remedy)
    if after is None:
        return np.append(smoothed, final)
    after = smooth(after.astype(np.float64) / cap)
    _draw_curve(axes, progress, after, colour, "--")
    return np.concatenate([smoothed, after, [final]])


def _effect(dataset: Dataset, row: int, remedy: int) -> str:
    if remedy == 0:
        return "nothing helps"
    return f"{dataset.meta.remedies[remedy]}, loss −{100 * float(dataset['remedy_gain'][row, remedy]):.0f} %"


def smooth(curve: Float) -> Float:
    """Running median of the finite part of a curve; points that are not finite stay.

    Args:
        curve: (n_points,), NaN and inf as they happened.

    Returns:
        (n_points,) float64.
    """
    finite = np.flatnonzero(np.isfinite(curve))
    half = SMOOTHING // 2
    smoothed = np.array(curve, dtype=np.float64)
    values = smoothed[finite].copy()
    for i, point in enumerate(finite):
        smoothed[point] = np.median(values[max(0, i - half) : i + half + 1])
    return smoothed


def _finite(curve: Float) -> Float:
    """The curve with NaN in place of all that has no place on a logarithmic axis."""
    return np.where(np.isfinite(curve) & (curve > 0), curve, np.nan)


def _draw_curve(
    axes: Any, x: Float, y: Float, colour: str, style: str, label: str | None = None, linewidth: float = 1.4
) -> None:
    """A line, a dot where it has but one point; a cross at the last finite point of a run that died."""
    shown = _finite(y)
    is_dot = np.count_nonzero(~np.isnan(shown)) == 1
    axes.plot(x, shown, style, color=colour, linewidth=linewidth, label=label, marker="." if is_dot else "")
    finite = np.flatnonzero(np.isfinite(y))
    if len(finite) and finite[-1] < len(y) - 1:
        axes.plot(x[finite[-1]], y[finite[-1]], marker="x", color=colour, markersize=6, clip_on=True)


def _limit_losses(axes: Any, cap: float, drawn: Sequence[Float]) -> None:
    """Limits and ticks of a logarithmic axis of losses: what was drawn, as far as it lies in `SHOWN_RANGE`."""
    values = np.concatenate([np.ravel(curve) for curve in drawn]) if drawn else np.array([cap])
    values = np.append(values[np.isfinite(values) & (values > 0)], cap)
    low, high = np.clip([values.min() / 1.25, values.max() * 1.25], SHOWN_RANGE[0] * cap, SHOWN_RANGE[1] * cap)
    low = min(low, cap / 2)
    _limit_and_tick(axes, low, high)
    for line in axes.lines:  # a cross beyond the upper limit would be lost
        if line.get_marker() == "x":
            line.set_ydata(np.clip(line.get_ydata(), low, high / 1.1))


def _limit_and_tick(axes: Any, low: float, high: float) -> None:
    """Limits of a logarithmic axis of losses, and ticks that can be read."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_ylim(low, high)
    decades = np.log10(high / low)
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if decades < 2.2 else (1.0,), numticks=12))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda loss, _: f"{loss:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


# ----------------------------------------------------------------------------------------- phenomena


def save_phenomena(dataset: Dataset, path: str | Path, *, overwrite: bool = False) -> None:
    """Draw a panel for each phenomenon into a PNG, SVG or PDF file that appears whole or not at all.

    Raises:
        UsageError: the file's ending is unknown, or it cannot be written.
    """
    check_picture(path, overwrite=overwrite)
    _publish(lambda: draw_phenomena(dataset), Path(path), overwrite=overwrite)


def draw_phenomena(dataset: Dataset) -> Any:
    """A panel for each phenomenon with up to `EXAMPLES` typical runs of different problems; a matplotlib figure.

    Losses are divided by the loss of the best constant prediction. A dotted line marks the floor of the output's range
    where there is one, a cross where a run died.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    n_rows = -(-len(PHENOMENA) // PANELS_IN_A_ROW)
    figure = Figure(figsize=(15, 2.4 * n_rows), layout=ConstrainedLayoutEngine(h_pad=0.06, w_pad=0.04))
    panels = figure.subplots(n_rows, PANELS_IN_A_ROW).flat
    for name, phenomenon in PHENOMENA.items():
        _draw_phenomenon(next(panels), dataset, name, phenomenon)
    for unused in panels:
        unused.set_axis_off()
    figure.supxlabel("share of training", fontsize=9)
    figure.supylabel("training loss / loss of the best constant prediction", fontsize=9)
    return figure


def _draw_phenomenon(axes: Any, dataset: Dataset, name: str, phenomenon: Phenomenon) -> None:
    shown = phenomenon.is_shown(dataset)
    axes.set_title(name, fontsize=9, loc="left", weight="bold", y=1.1)
    axes.text(0.0, 1.04, phenomenon.teaches, transform=axes.transAxes, fontsize=7, color="0.3").set_in_layout(False)
    axes.set(yscale="log", xlim=(-0.02, 1.04))
    axes.axhline(1.0, color="0.8", linewidth=0.8, zorder=0)
    drawn = []
    rows = _of_different_problems(dataset, _typical(dataset, np.flatnonzero(shown)))
    for row, colour in zip(rows, COLOURS, strict=False):
        cap = float(dataset["loss_cap"][row])
        with np.errstate(over="ignore"):
            drawn.append(dataset["train_loss"][row].astype(np.float64) / cap)
        progress = dataset["step"][row] / max(1, int(dataset["step"][row, -1]))
        _draw_curve(axes, progress, drawn[-1], colour, "-", linewidth=0.9)
        floor = float(dataset["output_floor"][row]) / cap
        if floor > 0.0:
            axes.axhline(floor, color=colour, linewidth=0.8, linestyle=":", zorder=0)
            drawn.append(np.array([floor]))
    _limit_losses(axes, 1.0, drawn)
    axes.tick_params(labelsize=6.5)
    if not drawn:
        axes.text(0.5, 0.5, "no such run in this data set", ha="center", transform=axes.transAxes, color="0.5")


def _of_different_problems(dataset: Dataset, rows: Sequence[int]) -> list[int]:
    """The first few rows, one of each problem family before a second of any."""
    families = [str(dataset["problem_family"][row]) for row in rows]
    order = sorted(range(len(rows)), key=lambda i: (families[:i].count(families[i]), i))
    return [rows[i] for i in order[:EXAMPLES]]


# ---------------------------------------------------------------------------------------- lookalikes


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
            _draw_curve(axes, progress, drawn[-1], colour, "-", f"{cause}: {dataset['problem_family'][row]}", 1.1)
        if drawn:
            _limit_and_tick(axes, np.min(drawn) / 1.25, np.max(drawn) * 1.25)
            axes.legend(loc="upper left", bbox_to_anchor=(-0.02, -0.07), fontsize=8, frameon=False, labelspacing=0.25)
    figure.supxlabel("share of training", fontsize=9)
    figure.supylabel("training loss / its geometric mean", fontsize=9)
    return figure


# ------------------------------------------------------------------------------------------- one run


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
        colour = _LOWER if dataset.meta.remedies[index].factor < 1 else _HIGHER
        _draw_curve(axes, step, after, colour, "--", labels.pop(colour, None), linewidth=0.9)
    for index in _drawable_remedies(dataset, row):
        after = np.asarray(curve_after(dataset, row, index))
        _draw_curve(axes, step, after, _BEST, "--", _effect(dataset, row, index), linewidth=1.2)
        drawn.append(after)
    _draw_curve(axes, step, dataset["val_loss"][row], "0.65", "-", "validation loss", linewidth=1.2)
    _draw_curve(axes, step, dataset["train_loss"][row], "black", "-", "training loss", linewidth=1.2)
    axes.axhline(cap, color="0.8", linewidth=0.8, label="best constant prediction", zorder=0)
    axes.set(yscale="log", xlabel="updates", ylabel="loss")
    _limit_losses(axes, cap, drawn)
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
