"""Draws the panels of a measurement into a small PNG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from curvebench.claims.claim import Panel, Series
from curvebench.plots import COLOURS, STYLE

PALETTE = (*COLOURS, "#CC79A7", "#E69F00", "#56B4E9", "0.45")
"""As many of Okabe and Ito's colours as are told apart well, and grey."""

PANEL_WIDTH, PANEL_HEIGHT = 3.6, 2.9
"""Inches."""

LEGEND_MARK, LEGEND_LETTER = 0.6, 0.07
"""Inches that an entry of a legend takes, and each letter of it."""

FEW_POINTS = 30
"""Lines of more points than this are drawn without marks."""


def draw(panels: Sequence[Panel]) -> bytes:
    """The image of all panels, PNG; the same panels give the same bytes.

    Up to three stand side by side, four in a square. What has the same scale in all of them is drawn on the same.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    n_columns = 2 if len(panels) == 4 else min(3, len(panels))
    n_rows = -(-len(panels) // n_columns)
    width = PANEL_WIDTH * (1.6 if n_columns == 1 else 1.0)
    image = io.BytesIO()
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width * n_columns, PANEL_HEIGHT * n_rows), layout="constrained")
        is_one_scale = len({panel.y_label for panel in panels}) == 1 and not any(panel.is_pairing for panel in panels)
        grid = figure.subplots(n_rows, n_columns, squeeze=False, sharey=is_one_scale)
        for axes, panel in zip(grid.flat, panels, strict=True):
            _draw_panel(axes, panel)
        if is_one_scale:
            for axes in grid[:, 1:].flat:
                axes.set_ylabel("")
        if len(panels[0].series) > 1 and len(panels[0].ticks) != len(panels[0].series):
            longest = max(len(series.name) for series in panels[0].series)
            n = max(1, int(width * n_columns / (LEGEND_MARK + LEGEND_LETTER * longest)))
            figure.legend(*grid.flat[0].get_legend_handles_labels(), loc="outside lower center", ncols=n, frameon=False)
        figure.savefig(image, format="png", dpi=90)
    return image.getvalue()


def _draw_panel(axes: Any, panel: Panel) -> None:
    axes.set_title(panel.title, fontsize=9, loc="left")
    axes.set(xlabel=panel.x_label, ylabel=panel.y_label)
    if panel.log_x:
        axes.set_xscale("log")
    if panel.log_y:
        axes.set_yscale("log")
    for value in panel.lines:
        axes.axhline(value, color="0.75", linewidth=0.8, zorder=0)
    if panel.is_pairing:
        axes.axline((0.0, 0.0), slope=1.0, color="0.75", linewidth=0.8, zorder=0)
    for series, colour in zip(panel.series, PALETTE, strict=False):
        _draw_series(axes, series, colour, is_line=panel.is_line)
    if panel.ticks:
        axes.set_xticks(range(len(panel.ticks)), panel.ticks, fontsize=8 if len(panel.ticks) <= 5 else 6.5)


def _draw_series(axes: Any, series: Series, colour: str, *, is_line: bool) -> None:
    x, y = np.array(series.x, dtype=np.float64), np.array(series.y, dtype=np.float64)
    is_known = np.isfinite(y)
    x, y = x[is_known], y[is_known]
    if series.low:
        low, high = (np.array(end, dtype=np.float64)[is_known] for end in (series.low, series.high))
        if is_line:
            axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
        else:
            axes.vlines(x, low, high, color=colour, linewidth=1.6)
    style = {"linestyle": "-" if is_line else "", "linewidth": 1.3, "label": series.name}
    has_marks = not is_line or len(x) <= FEW_POINTS
    axes.plot(x, y, color=colour, marker="o" if has_marks else None, markersize=3, **style)
