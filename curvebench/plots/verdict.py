"""A verdict on a run of a log: its curve, the most similar runs, and what the remedy made of them."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from curvebench.data.counterfactuals import curve_after
from curvebench.data.dataset import Dataset
from curvebench.diagnosis.precedents import Library, default_library, stand_ins
from curvebench.diagnosis.verdict import Verdict, resume_step
from curvebench.plots import check_picture, publish_figure
from curvebench.plots.curves import COLOURS, draw_curve, limit_and_tick
from curvebench.spec import DIAGNOSES, Action, Float

MAX_DRAWN = 6
"""Verdicts in one picture; of more only the first are drawn."""

N_CURVES = 5
"""Similar runs whose curves are drawn."""

RANGE, OWN_RANGE = (1e-3, 30.0), (1e-6, 1e6)
"""Losses of similar runs, and of the run itself, outside these ranges of its first one make no axis longer."""

_OWN, _AFTER, _SIMILAR = "black", COLOURS[2], "0.72"


def save_verdicts(
    verdicts: Sequence[Verdict], path: str | Path, library: Library | None = None, *, overwrite: bool = False
) -> int:
    """Draw verdicts, a row for each, into a PNG, SVG or PDF file that appears whole or not at all.

    Args:
        verdicts: at least one; of more than `MAX_DRAWN` the first are drawn.
        path: of the picture.
        library: the runs that they were compared with; None for those that come with the package.
        overwrite: whether an existing file is replaced.

    Returns:
        How many were drawn.

    Raises:
        UsageError: the file's ending is unknown, or it cannot be written.
    """
    check_picture(path, overwrite=overwrite)
    drawn = verdicts[:MAX_DRAWN]
    publish_figure(partial(draw_verdicts, drawn, library or default_library()), Path(path), overwrite=overwrite)
    return len(drawn)


def draw_verdicts(verdicts: Sequence[Verdict], library: Library) -> Any:
    """A row for each verdict: the curve among its likes, and what the remedy gave those.

    Returns:
        A matplotlib figure.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.4 * len(verdicts)), layout="constrained")
    rows = figure.subplots(len(verdicts), 2, width_ratios=(3, 2), squeeze=False)
    for (curves, outcomes), verdict in zip(rows, verdicts, strict=True):
        _draw_curves(curves, verdict, library.dataset)
        if verdict.precedents.gains:
            _draw_gains(outcomes, verdict, library.dataset)
        else:
            _draw_labels(outcomes, verdict)
    return figure


def _draw_curves(axes: Any, verdict: Verdict, dataset: Dataset) -> None:
    """The run, its nearest neighbours at its scale, what the remedy made of those whose curve after it is known."""
    curve = verdict.curve
    finite = curve.train_loss[np.isfinite(curve.train_loss) & (curve.train_loss > 0)]
    start = float(finite[0]) if len(finite) else 1.0
    shares = np.linspace(curve.steps[0], curve.steps[-1], dataset.n_points)
    labels = {_SIMILAR: "the most similar runs, at the scale of this one", _AFTER: "the same after the remedy"}
    drawn = []
    is_course = bool(len(finite) and curve.steps[-1] > curve.steps[0])
    for row, index in _with_stand_ins(verdict, dataset)[:N_CURVES] if is_course else []:
        scale = start / float(dataset["train_loss"][row, 0])
        similar = scale * dataset["train_loss"][row]
        draw_curve(axes, shares, similar, _SIMILAR, "-", labels.pop(_SIMILAR, None), linewidth=0.8)
        drawn.append(similar)
        after = curve_after(dataset, row, index) if index > 0 else None
        if after is not None:
            draw_curve(axes, shares, scale * after, _AFTER, "--", labels.pop(_AFTER, None), linewidth=0.8)
            drawn.append(scale * after)
    draw_curve(axes, curve.steps, curve.train_loss, _OWN, "-", "this run", linewidth=1.4)
    if verdict.remedy is not None and verdict.remedy.action is Action.RESUME:
        axes.axvline(resume_step(curve, verdict.remedy), color=COLOURS[1], linewidth=0.9, linestyle=":")
        axes.annotate(
            " resume here",
            (resume_step(curve, verdict.remedy), 1.0),
            xycoords=("data", "axes fraction"),
            va="top",
            color=COLOURS[1],
        )
    values = np.concatenate([_within(OWN_RANGE, finite / start), *(_within(RANGE, one / start) for one in drawn)])
    axes.set(yscale="log", xlabel=_plain(curve.step_name), ylabel=_plain(curve.loss_name or "loss"))
    if len(values):
        limit_and_tick(axes, start * values.min() / 1.2, start * max(values.max(), 1.01 * values.min()) * 1.2)
    axes.set_title(_title(verdict), loc="left", fontsize=9, parse_math=False)
    text = "\n".join([*verdict.evidence, *(verdict.abstains_because or (verdict.advice,)), verdict.leaning_in_words])
    axes.text(0.0, -0.16, _wrapped(text), transform=axes.transAxes, va="top", fontsize=7.5, parse_math=False)
    axes.legend(loc="best", fontsize=7, frameon=False)


def _within(bounds: tuple[float, float], values: Float) -> Float:
    """Those of the values that lie within bounds."""
    return values[np.isfinite(values) & (values > bounds[0]) & (values < bounds[1])]


def _with_stand_ins(verdict: Verdict, dataset: Dataset) -> list[tuple[int, int]]:
    """Each similar run with the index of what stands for the remedy there; 0 where there is none to look up."""
    rows = verdict.precedents.rows
    if verdict.remedy is None:
        return [(row, 0) for row in rows]
    return list(zip(rows, stand_ins(verdict.precedents, dataset, verdict.remedy).tolist(), strict=True))


def _title(verdict: Verdict) -> str:
    run = f"{_plain(verdict.curve.run)}: " if verdict.curve.run else ""
    if verdict.diagnosis is None:
        return f"{run}no verdict (likeliest: {verdict.likeliest}, {verdict.probability_right:.0%})"
    return f"{run}{verdict.diagnosis} ({verdict.probability_right:.0%})"


def _draw_gains(axes: Any, verdict: Verdict, dataset: Dataset) -> None:
    """A bar for each similar run in which the remedy, or one like it, was tried."""
    found = verdict.precedents
    tried = [(row, index) for row, index in _with_stand_ins(verdict, dataset) if index >= 0]
    positions = np.arange(len(tried))
    gains = np.array(found.gains)
    colours = [_AFTER if gain > 0 else "0.6" for gain in gains]
    axes.barh(positions, gains, color=colours)
    axes.scatter(gains, positions, color=colours, s=10)
    axes.set_yticks(positions, [str(dataset.meta.remedies[index]) for _, index in tried], fontsize=7.5)
    axes.axvline(0.0, color="0.6", linewidth=0.8)
    axes.invert_yaxis()
    axes.set(xlim=(-1.05, 1.05), xlabel="gain: 0.5 is half the final loss, -0.5 twice")
    n_curves = sum(index > 0 and curve_after(dataset, row, index) is not None for row, index in tried[:N_CURVES])
    known = "only their final losses are known, not their curves"
    if n_curves:
        known = f"{n_curves} of the curves on the left have the curve after it too, of the others only the final loss"
    title = (
        f"{verdict.remedy} in the {len(gains)} most similar runs where it was tried:\n"
        f"helped {found.share_improved:.0%}, median gain {found.median_gain:.2f}; {known}"
    )
    axes.set_title(_wrapped(title, 46), loc="left", fontsize=8)


def _draw_labels(axes: Any, verdict: Verdict) -> None:
    """How many of the similar runs have each diagnosis, where there is no remedy to look up."""
    counts = Counter(verdict.precedents.labels)
    axes.barh(np.arange(len(DIAGNOSES)), [counts[name] for name in DIAGNOSES], color=_SIMILAR)
    axes.set_yticks(np.arange(len(DIAGNOSES)), DIAGNOSES, fontsize=7.5)
    axes.invert_yaxis()
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set(xlabel="runs")
    axes.set_title(
        f"Diagnoses of the {len(verdict.precedents.rows)} most similar runs\n"
        f"(novelty {verdict.precedents.novelty:.2g}: 1 is as usual)",
        loc="left",
        fontsize=8,
    )


def _wrapped(text: str, width: int = 88) -> str:
    return "\n".join(line for part in text.split("\n") for line in textwrap.wrap(_plain(part), width))


def _plain(text: str) -> str:
    """Text of a log with only what every font has."""
    return "".join(c if c.isprintable() and c.isascii() else "?" for c in text)
