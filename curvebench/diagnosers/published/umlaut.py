"""The heuristics of UMLAUT, which debugs Keras programs.

Source: Schoop, Huang and Hartmann, "UMLAUT: Debugging Deep Learning Programs using Program Structure and Model
Behavior", CHI 2021; github.com/BerkeleyHCI/umlaut, umlaut/heuristics.py.

Left out, since no track shows what they need: unscaled inputs, inputs of a wrong type, a missing softmax (the model),
and a validation accuracy that is too good. So the rules can't find an output that does not fit, which the original can
for classifiers.
"""

from __future__ import annotations

import numpy as np

from curvebench.diagnosers.published.finding import (
    NOTHING,
    Curves,
    Names,
    PublishedRules,
    by_epochs,
    first_that_holds,
    not_finite,
    somewhere,
)
from curvebench.spec import Diagnosis

HIGHEST_RATE, LOWEST_RATE = 0.01, 1e-7
"""Typical learning rates lie between; asked at every epoch, for any optimiser."""

LOSS_NOT_A_NUMBER = "loss is not a number"
RATE_TOO_HIGH = "learning rate above 0.01"
RATE_TOO_LOW = "learning rate below 1e-7"
OVERFITTING = "validation loss rises, training loss does not"

MAPPING = {
    # its message: "this could be caused by a learning rate that is too high"
    LOSS_NOT_A_NUMBER: Diagnosis.LR_TOO_HIGH,
    # its message asks for a rate within the typical range
    RATE_TOO_HIGH: Diagnosis.LR_TOO_HIGH,
    RATE_TOO_LOW: Diagnosis.LR_TOO_LOW,
    # its advice is a smaller model or regularisation, and no remedy here is of that kind
    OVERFITTING: Diagnosis.HEALTHY,
    NOTHING: Diagnosis.HEALTHY,
}


class Umlaut(PublishedRules):
    """UMLAUT's checks of losses and learning rate.

    The original shows all messages of all epochs at once; of several the one on the loss counts first, then a high
    rate, then a low one. It asks for NaN alone; a run here ends with its first infinite loss, before that can become
    NaN, so both count. On a curve of one point nothing is said about overfitting,
    and the original would not abstain.
    """

    track = "config"
    source = "Schoop et al., CHI 2021; [umlaut/heuristics.py](https://github.com/BerkeleyHCI/umlaut)"
    mapping = MAPPING

    def _find(self, curves: Curves) -> Names:
        epochs = by_epochs(curves)
        train, val, rate = epochs["train_loss"], epochs["val_loss"], epochs["learning_rate"]
        overfits = (np.diff(val, axis=1) > 0) & (np.diff(train, axis=1) <= 0)
        rules = {
            LOSS_NOT_A_NUMBER: not_finite(curves["train_loss"]),
            RATE_TOO_HIGH: somewhere(rate > HIGHEST_RATE),
            RATE_TOO_LOW: somewhere(rate < LOWEST_RATE),
            OVERFITTING: somewhere(overfits),
        }
        return first_that_holds(rules, len(train))
