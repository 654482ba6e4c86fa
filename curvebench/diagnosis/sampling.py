"""What a diagnoser is shown of a log: 128 points, evenly spaced in steps, the channels of its track."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from curvebench.logs import Curve
from curvebench.logs.channels import channels_of
from curvebench.spec import OPTIMIZERS, TRACKS, UsageError

N_POINTS = 128
"""Points that every log is brought to: as many as the curves of the data sets have."""


def seen_by_diagnosers(
    curve: Curve, track: str = "curve", optimizer: str | None = None, may_lack: Sequence[str] = ()
) -> NDArray[np.float32]:
    """A log as diagnosers see it: `channels_of` at `N_POINTS` points. `docs/diagnose.md` says the same for users.

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
    shown = channels_of(curve, track, N_POINTS)
    for i, name in enumerate(TRACKS[track]):
        if name == "optimizer" and optimizer is not None:
            shown[i] = OPTIMIZERS.index(optimizer)
        if name != "train_loss" and np.isnan(shown[i]).all() and name not in may_lack:
            raise UsageError(
                f"The diagnoser looks at {', '.join(TRACKS[track])}, and this log has no {name}"
                + (" (--optimizer names it)" if name == "optimizer" else "")
                + "; choose a diagnoser that looks at the training loss alone."
            )
    return shown[None]
