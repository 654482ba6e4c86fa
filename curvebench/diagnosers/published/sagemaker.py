"""The built-in rules of Amazon SageMaker Debugger.

Source: "List of Debugger Built-in Rules", docs.aws.amazon.com/sagemaker/latest/dg/debugger-built-in-rules.html
(github.com/awsdocs/amazon-sagemaker-developer-guide, doc_source/debugger-built-in-rules.md), with the defaults there.

Left out, since no track shows weights, activations, predictions or gradients one by one: PoorWeightInitialization,
SaturatedActivation, DeadRelu, WeightUpdateRatio, TensorVariance, AllZero, UnchangedTensor, ClassImbalance, Confusion.
VanishingGradient compares the mean absolute gradient; that is never above the Euclidean norm, so the norm of the track
finds only what the original finds too.
"""

from __future__ import annotations

from curvebench.diagnosers.published.finding import (
    NOTHING,
    Curves,
    Names,
    PublishedRules,
    first_that_holds,
    not_finite,
    somewhere,
)
from curvebench.diagnosers.published.patience import has_stalled
from curvebench.spec import Bool, Diagnosis, Float

VANISHING = 1e-7
"""VanishingGradient: a smaller gradient has vanished."""

N_STEPS = 10
"""LossNotDecreasing: a loss is held against the one so many steps before, every so many steps; any decrease will do."""

PATIENCE_TRAIN, PATIENCE_VALIDATION, DELTA = 5, 10, 0.1
"""Overtraining: steps without an improvement by `DELTA`, in the unit of the loss."""

OVERFIT_RATIO = 0.1
"""Overfit: a validation loss that is above the training loss by a larger share of that, at one step."""

EXPLODING = "ExplodingTensor"
VANISHED = "VanishingGradient"
NOT_DECREASING = "LossNotDecreasing"
OVERTRAINING = "Overtraining"
OVERFIT = "Overfit"

MAPPING = {
    # values that are not finite; lowering the rate is what is commonly done then
    EXPLODING: Diagnosis.LR_TOO_HIGH,
    # the advice is another activation, and the only one that can be changed here is that of the output
    VANISHED: Diagnosis.OUTPUT_MISMATCH,
    # no cause is named; a loss that fell and does so no more is taught to be a rate that is now too high. Of the six,
    # this is also the diagnosis with the highest value on the split `train`
    NOT_DECREASING: Diagnosis.LATE_LR_TOO_HIGH,
    # the rest of the run is of no use as it is; to rerun that rest with a lower rate is the remedy nearest to it
    OVERTRAINING: Diagnosis.LATE_LR_TOO_HIGH,
    # the advice is regularisation, and no remedy here is of that kind
    OVERFIT: Diagnosis.HEALTHY,
    NOTHING: Diagnosis.HEALTHY,
}


class SageMakerDebugger(PublishedRules):
    """The rules that need losses and the gradient's norm; a recorded point is a step.

    All rules run side by side; of several that fire the first in the order of `MAPPING` counts. LossNotDecreasing looks
    at the validation loss, which it prefers where there is one. Overtraining is read as both losses having lost their
    patience. Curves of up to ten points are too short for LossNotDecreasing; the other rules still judge them.
    """

    track = "telemetry"
    source = "[AWS documentation](https://docs.aws.amazon.com/sagemaker/latest/dg/debugger-built-in-rules.html)"
    mapping = MAPPING

    def _find(self, curves: Curves) -> Names:
        train, val, gradient = curves["train_loss"], curves["val_loss"], curves["grad_norm"]
        seen = val[:, ::N_STEPS]
        stalls = has_stalled(train, PATIENCE_TRAIN, _is_better) & has_stalled(val, PATIENCE_VALIDATION, _is_better)
        rules = {
            EXPLODING: not_finite(train, val, gradient),
            VANISHED: somewhere(gradient < VANISHING),
            NOT_DECREASING: somewhere(seen[:, 1:] >= seen[:, :-1]),
            OVERTRAINING: stalls,
            OVERFIT: somewhere((val - train) / train > OVERFIT_RATIO),
        }
        return first_that_holds(rules, len(train))


def _is_better(loss: Float, best: Float) -> Bool:
    return loss < best - DELTA
