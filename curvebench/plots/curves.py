"""How a loss curve is drawn: colours, smoothing, limits of a logarithmic axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from curvebench.spec import Float

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


def on_log_axis(curve: Float) -> Float:
    """The curve with NaN in place of all that has no place on a logarithmic axis."""
    return np.where(np.isfinite(curve) & (curve > 0), curve, np.nan)


def draw_curve(
    axes: Any, x: Float, y: Float, colour: str, style: str, label: str | None = None, linewidth: float = 1.4
) -> None:
    """A line, a dot where it has but one point; a cross at the last finite point of a run that died."""
    shown = on_log_axis(y)
    is_dot = np.count_nonzero(~np.isnan(shown)) == 1
    axes.plot(x, shown, style, color=colour, linewidth=linewidth, label=label, marker="." if is_dot else "")
    finite = np.flatnonzero(np.isfinite(y))
    if len(finite) and finite[-1] < len(y) - 1:
        axes.plot(x[finite[-1]], y[finite[-1]], marker="x", color=colour, markersize=6, clip_on=True)


def limit_losses(axes: Any, cap: float, drawn: Sequence[Float]) -> None:
    """Limits and ticks of a logarithmic axis of losses: what was drawn, as far as it lies in `SHOWN_RANGE`."""
    values = np.concatenate([np.ravel(curve) for curve in drawn]) if drawn else np.array([cap])
    values = np.append(values[np.isfinite(values) & (values > 0)], cap)
    low, high = np.clip([values.min() / 1.25, values.max() * 1.25], SHOWN_RANGE[0] * cap, SHOWN_RANGE[1] * cap)
    low = min(low, cap / 2)
    limit_and_tick(axes, low, high)
    for line in axes.lines:  # a cross beyond the upper limit would be lost
        if line.get_marker() == "x":
            line.set_ydata(np.clip(line.get_ydata(), low, high / 1.1))


def limit_and_tick(axes: Any, low: float, high: float) -> None:
    """Limits of a logarithmic axis of losses, and ticks that can be read."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_ylim(low, high)
    decades = np.log10(high / low)
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if decades < 2.2 else (1.0,), numticks=12))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda loss, _: f"{loss:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
