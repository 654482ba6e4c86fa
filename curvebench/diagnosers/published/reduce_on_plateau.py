"""The plateau that torch's ReduceLROnPlateau waits for.

Source: torch.optim.lr_scheduler.ReduceLROnPlateau, docs.pytorch.org/docs/stable/optim.html; the defaults `patience`,
`threshold` and `threshold_mode` ("rel"). Known since github.com/pytorch/pytorch/issues/30873: after a spike downwards
it takes a steady decrease for a plateau.
"""

from __future__ import annotations

from curvebench.diagnosers.published.finding import NOTHING, Curves, Names, PublishedRules, by_epochs, first_that_holds
from curvebench.diagnosers.published.patience import has_stalled
from curvebench.spec import TRACKS, Bool, Diagnosis, Float

PATIENCE, THRESHOLD = 10, 1e-4
"""Checks that bring nothing and are borne with; the rate falls at the next one. A loss must fall by 0.01 % to count."""

PLATEAU = "plateau"

MAPPING = {
    # the scheduler lowers the rate (to a tenth) from where training stands and goes on
    PLATEAU: Diagnosis.LATE_LR_TOO_HIGH,
    NOTHING: Diagnosis.HEALTHY,
}


class ReduceOnPlateau(PublishedRules):
    """Whether the scheduler would have lowered the rate at least once; every epoch is a check.

    In up to ten epochs it can't; that is healthy, since the scheduler just leaves the rate alone.
    """

    source = "[torch.optim](https://docs.pytorch.org/docs/stable/optim.html)"
    mapping = MAPPING

    def __init__(self, monitor: str = "train_loss") -> None:
        self.monitor = monitor
        self.track = next(track for track, channels in TRACKS.items() if monitor in channels)

    def _find(self, curves: Curves) -> Names:
        losses = by_epochs(curves)[self.monitor]
        return first_that_holds({PLATEAU: has_stalled(losses, PATIENCE + 1, _is_better)}, len(losses))


def _is_better(loss: Float, best: Float) -> Bool:
    return loss < best * (1 - THRESHOLD)
