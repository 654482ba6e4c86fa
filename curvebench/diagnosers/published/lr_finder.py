"""The test by which learning-rate finders tell that a loss has diverged.

Source: fastai, callback/schedule.py:LRFinder (github.com/fastai/fastai); Lightning, tuner/lr_finder.py
(github.com/Lightning-AI/pytorch-lightning); torch_lr_finder/lr_finder.py (github.com/davidtvs/pytorch-lr-finder).

There it ends a run whose rate grows from step to step, and says that the rate just passed was too high. Here the rate
is that of the run. A loss that is not finite is taken for divergence too: in the originals comparisons with NaN let it
pass, and other callbacks of the same libraries end such runs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from curvebench.diagnosers.published.finding import (
    NOTHING,
    Curves,
    Names,
    PublishedRules,
    first_that_holds,
    not_finite,
    somewhere,
)
from curvebench.spec import Diagnosis, Float

NOT_FINITE = "loss is not finite"
DIVERGED = "smoothed loss far above its best"

MAPPING = {
    # what the finders conclude from it: the rate is beyond the largest usable one
    NOT_FINITE: Diagnosis.LR_TOO_HIGH,
    DIVERGED: Diagnosis.LR_TOO_HIGH,
    NOTHING: Diagnosis.HEALTHY,
}


@dataclass(frozen=True)
class DivergenceTest:
    """When a finder stops.

    Attributes:
        times_best: a smoothed loss so many times as large as the smallest one has diverged.
        weight: of a new loss in the exponential mean.
        starts_at_zero: whether the mean starts at zero and is divided by the sum of its weights, or else at the first
            loss.
    """

    times_best: float
    weight: float
    starts_at_zero: bool


TESTS = {
    "fastai": DivergenceTest(4.0, 0.02, starts_at_zero=True),  # Lightning has the same figures
    "torch-lr-finder": DivergenceTest(5.0, 0.05, starts_at_zero=False),
}


class LearningRateFinder(PublishedRules):
    """The divergence test alone; finders have no word for a rate that is too low or right."""

    source = (
        "[fastai](https://github.com/fastai/fastai), [Lightning](https://github.com/Lightning-AI/pytorch-lightning), "
        "[torch-lr-finder](https://github.com/davidtvs/pytorch-lr-finder)"
    )
    mapping = MAPPING

    def __init__(self, test: str = "fastai") -> None:
        self.test = TESTS[test]

    def _find(self, curves: Curves) -> Names:
        losses = curves["train_loss"]
        smooth = smoothed(losses, self.test)
        has_diverged = smooth > self.test.times_best * np.minimum.accumulate(smooth, axis=1)
        return first_that_holds({NOT_FINITE: not_finite(losses), DIVERGED: somewhere(has_diverged)}, len(losses))


def smoothed(losses: Float, test: DivergenceTest) -> Float:
    """Exponential means (n_curves, n_points) of losses of that shape."""
    means = np.empty((losses.shape[1], len(losses)))
    mean = np.zeros(len(losses)) if test.starts_at_zero else losses[:, 0]
    for point, loss in enumerate(np.ascontiguousarray(losses.T)):
        mean = (1 - test.weight) * mean + test.weight * loss
        means[point] = mean
    if test.starts_at_zero:
        means /= 1 - (1 - test.weight) ** np.arange(1, len(means) + 1)[:, None]
    return means.T
