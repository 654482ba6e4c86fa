"""What a diagnoser is shown of a log: 128 points, evenly spaced in steps, the channels of its track."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from curvebench.diagnosers.learned.series import at_points
from curvebench.logs import Curve
from curvebench.spec import OPTIMIZERS, TRACKS, Float, UsageError

N_POINTS = 128
"""Points that every log is brought to: as many as the curves of the data sets have."""

_LEAST, _MOST = float(np.finfo(np.float32).min), float(np.finfo(np.float32).max)


def seen_by_diagnosers(
    curve: Curve, track: str = "curve", optimizer: str | None = None, may_lack: Sequence[str] = ()
) -> NDArray[np.float32]:
    """A log as diagnosers see it.

    Every channel is brought to `N_POINTS` points by `evenly_sampled`. What is logged beside the loss counts from its
    first value on; before that it stands at this value. `docs/diagnose.md` says the same for users.

    Args:
        curve: one run of a log.
        track: one of `TRACKS`.
        optimizer: one of `OPTIMIZERS`, which no log names; only the track `config` has it.
        may_lack: channels that are NaN throughout where the log lacks them.

    Returns:
        (1, n_channels, N_POINTS), as `Diagnoser.predict_proba` takes it.

    Raises:
        UsageError: the log lacks a channel of the track, or there is no such optimiser.
    """
    if optimizer is not None and optimizer not in OPTIMIZERS:
        raise UsageError(f"There is no optimiser {optimizer!r}; there are {', '.join(OPTIMIZERS)}.")
    channels = {
        "train_loss": curve.train_loss,
        "val_loss": curve.val_loss,
        "grad_norm": curve.grad_norm,
        "learning_rate": curve.learning_rate,
        "optimizer": None if optimizer is None else np.full(len(curve), float(OPTIMIZERS.index(optimizer))),
    }
    rows = []
    for name in TRACKS[track]:
        values = channels[name]
        if values is None or (name != "train_loss" and not np.isfinite(values).any()):
            if name in may_lack:
                rows.append(np.full(N_POINTS, np.nan))
                continue
            raise UsageError(
                f"The diagnoser looks at {', '.join(TRACKS[track])}, and this log has no {name}"
                + (" (--optimizer names it)" if name == "optimizer" else "")
                + "; choose a diagnoser that looks at the training loss alone."
            )
        rows.append(evenly_sampled(curve.steps, values if name == "train_loss" else _from_first_on(values)))
    with np.errstate(invalid="ignore"):
        return np.asarray(np.clip(np.array(rows)[None], _LEAST, _MOST), dtype=np.float32)


def evenly_sampled(steps: Float, values: Float, n_points: int = N_POINTS) -> NDArray[np.float64]:
    """Values at points that are evenly spaced between the first and the last step.

    Of fewer points than wanted straight lines are drawn between those that were logged. Of more, the means of pieces
    of equal length are taken, of what straight lines give at as many even steps as there are points. A point that
    anything not finite went into is NaN.

    Args:
        steps: (n,) ascending, at least one.
        values: (n,), NaN and inf as they happened.
        n_points: wanted.

    Returns:
        (n_points,) float64.

    >>> evenly_sampled(np.array([0.0, 1.0, 4.0]), np.array([3.0, 2.0, np.nan]), 5).tolist()
    [3.0, 2.0, nan, nan, nan]
    """
    is_lost = ~np.isfinite(values)
    even = np.linspace(steps[0], steps[-1], max(len(steps), n_points))
    sampled = np.interp(even, steps, np.where(is_lost, 0.0, values))
    sampled = np.where(np.interp(even, steps, is_lost * 1.0) > 0, np.nan, sampled)
    return np.asarray(at_points(sampled[None, None], n_points)[0, 0])


def _from_first_on(values: Float) -> Float:
    """What was logged, its first value repeated back to the beginning."""
    first = int(np.argmax(np.isfinite(values)))
    return np.concatenate([np.full(first, values[first]), values[first:]])
