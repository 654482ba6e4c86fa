"""Early stopping, read as a diagnoser.

Source: Lightning's callback EarlyStopping with its defaults,
lightning.ai/docs/pytorch/stable/common/early_stopping.html. Keras' callback of that name counts alike
(keras.io/api/callbacks/early_stopping); its patience is zero unless one is given.
"""

from __future__ import annotations

from curvebench.diagnosers.published.finding import (
    NOTHING,
    Curves,
    Names,
    PublishedRules,
    by_epochs,
    first_that_holds,
    not_finite,
)
from curvebench.diagnosers.published.patience import has_stalled
from curvebench.spec import Bool, Diagnosis, Float

PATIENCE, MIN_DELTA = 3, 0.0
"""Checks without an improvement by more than this after which training stops."""

NOT_FINITE = "validation loss is not finite"
STOPPED = "stopped"

MAPPING = {
    # the callback stops a run that exploded; lowering the rate is what is commonly done then
    NOT_FINITE: Diagnosis.LR_TOO_HIGH,
    # the rest of the run is of no use as it is; to rerun that rest with a lower rate is the remedy nearest to it
    STOPPED: Diagnosis.LATE_LR_TOO_HIGH,
    NOTHING: Diagnosis.HEALTHY,
}


class EarlyStopping(PublishedRules):
    """Whether the callback would have stopped the run, and why; every epoch is a check.

    The original ends with the first reason. Here a loss that is not finite anywhere counts first, since the whole
    run is shown. Up to three epochs can't stop: healthy.
    """

    track = "telemetry"
    source = "[Lightning](https://lightning.ai/docs/pytorch/stable/common/early_stopping.html)"
    mapping = MAPPING

    def _find(self, curves: Curves) -> Names:
        losses = by_epochs(curves)["val_loss"]
        rules = {NOT_FINITE: not_finite(curves["val_loss"]), STOPPED: has_stalled(losses, PATIENCE, _is_better)}
        return first_that_holds(rules, len(losses))


def _is_better(loss: Float, best: Float) -> Bool:
    return loss < best - MIN_DELTA
