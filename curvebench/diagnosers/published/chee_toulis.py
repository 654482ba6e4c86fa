"""Pflug's test, by which Chee and Toulis tell that constant-step SGD has become stationary.

Source: Chee and Toulis, "Convergence diagnostics for stochastic gradient descent with constant learning rate", AISTATS
2018, arxiv.org/abs/1710.06382, after Pflug (1990): the inner products of successive gradients are summed from the end
of a burn-in on. They are positive while SGD makes way and negative where it goes to and fro; when the sum falls below
zero, the procedure is stationary and the rate is halved.

No track shows gradients, so successive changes of the validation loss stand in for them: they have the same sign while
it falls and opposite ones while it goes up and down, as in the one-dimensional test of Kesten (1958). The training loss
would be the lesser choice: from point to point it changes with the mini-batches too.
"""

from __future__ import annotations

import numpy as np

from curvebench.diagnosers.published.finding import NOTHING, Curves, Names, PublishedRules, first_that_holds, somewhere
from curvebench.spec import Diagnosis

BURN_IN = 0.1
"""Share of the points before summing starts; the paper leaves the length to the user."""

STATIONARY = "stationary"

MAPPING = {
    # the rate is halved from where training stands
    STATIONARY: Diagnosis.LATE_LR_TOO_HIGH,
    NOTHING: Diagnosis.HEALTHY,
}


class CheeToulis(PublishedRules):
    """Whether the sum of products falls below zero anywhere after the burn-in.

    A product needs three points; the original tests nothing before, so shorter curves are abstained from.
    """

    track = "telemetry"
    source = "[Chee and Toulis, AISTATS 2018](https://arxiv.org/abs/1710.06382)"
    mapping = MAPPING
    least_points = 3

    def _find(self, curves: Curves) -> Names:
        losses = curves["val_loss"]
        n_burnt = min(int(BURN_IN * losses.shape[1]), losses.shape[1] - 3)
        changes = np.diff(losses[:, n_burnt:], axis=1)
        sums = np.cumsum(changes[:, 1:] * changes[:, :-1], axis=1)
        return first_that_holds({STATIONARY: somewhere(sums < 0)}, len(losses))
