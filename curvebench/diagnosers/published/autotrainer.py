"""The training problems that AutoTrainer looks for, and repairs.

Source: Zhang, Zhai, Ma and Shen, "AUTOTRAINER: An Automatic DNN Training Problem Detection and Repair System", ICSE
2021; github.com/shiningrain/AUTOTRAINER, AutoTrainer/utils/monitor.py and repair.py.

Most of its tests look at accuracy, which no track shows. The share of the first recorded loss that is gone stands in
for it, 1 - loss / first: zero before training, one at best. Left out: vanishing and exploding gradients
(ratio of the gradients of first and last layer), an output activation that does not fit the loss (the model).
Dying ReLU asks that at least 70 % of all gradients be zero; the track shows that of all of them alone.
"""

from __future__ import annotations

import numpy as np

from curvebench.diagnosers.published.finding import NOTHING, Curves, Names, PublishedRules, by_epochs, first_that_holds
from curvebench.spec import Bool, Diagnosis, Float, Int

CHECK_EVERY = 3
"""Epochs from check to check."""

JUDGED_FROM = 0.3
"""Share of training from which the tests of accuracy are made; the check before it makes them too."""

EXPLODED = 1e3
"""A loss as large, in training or validation, has exploded like one that is not finite."""

SWING, SWINGING = 0.03, 0.2
"""Unstable: a local maximum of accuracy stands so far above the local minimum of the same number, and that in such a
share of the epochs."""

SATISFIED = 0.6
"""An accuracy as high is satisfying; below it training has not converged."""

SLOW = 0.01
"""Slow: no epoch gains more accuracy than that."""

EXPLODE = "explode"
DYING_RELU = "dying ReLU"
NOT_CONVERGE = "slow convergence"
UNSTABLE = "unstable"

MAPPING = {
    # among the repairs are clipped gradients; of the remedies here, smaller steps are nearest to that
    EXPLODE: Diagnosis.LR_TOO_HIGH,
    # the repair is another activation, and the only one that can be changed here is that of the output
    DYING_RELU: Diagnosis.OUTPUT_MISMATCH,
    # beside another optimiser, the repair is ten times the rate, from the start
    NOT_CONVERGE: Diagnosis.LR_TOO_LOW,
    # beside another optimiser, the repair is a tenth of the rate, from the start
    UNSTABLE: Diagnosis.LR_TOO_HIGH,
    NOTHING: Diagnosis.HEALTHY,
}


class AutoTrainer(PublishedRules):
    """The first problem that a check finds; of several at one check the first in the order of `MAPPING`.

    The original never checks a training of fewer than three epochs, so curves of fewer points, hence epochs, are
    abstained from.
    """

    track = "telemetry"
    source = "Zhang et al., ICSE 2021; [monitor.py](https://github.com/shiningrain/AUTOTRAINER)"
    mapping = MAPPING
    least_points = CHECK_EVERY

    def _find(self, curves: Curves) -> Names:
        epochs = by_epochs(curves)
        train, val, gradient = epochs["train_loss"], epochs["val_loss"], epochs["grad_norm"]
        n_epochs = train.shape[1]
        checks = np.arange(CHECK_EVERY, n_epochs + 1, CHECK_EVERY)  # epochs seen at each
        last = checks - 1
        is_judged = checks >= JUDGED_FROM * n_epochs - CHECK_EVERY

        accuracy = gone(train, curves["train_loss"][:, :1])
        val_accuracy = gone(val, curves["val_loss"][:, :1])
        best = np.maximum.accumulate(np.maximum(accuracy, val_accuracy), axis=1)[:, last]
        gain = np.maximum(_best_gain(accuracy), _best_gain(val_accuracy))[:, last]
        is_lost = ~(np.isfinite(train) & np.isfinite(val) & (train < EXPLODED) & (val < EXPLODED))
        has_exploded = np.logical_or.accumulate(is_lost, axis=1)[:, last]
        is_dead = np.logical_or.accumulate(gradient[:, last] == 0, axis=1)
        is_poor, is_slow = is_judged & (best < SATISFIED), is_judged & (gain < SLOW)
        swings = np.cumsum(swing_ends(accuracy), axis=1)[:, last] >= SWINGING * checks

        problems = np.array([has_exploded, is_dead & (is_poor | is_slow), is_poor & is_slow, is_judged & swings])
        at_first = problems[:, np.arange(len(train)), problems.any(axis=0).argmax(axis=1)]
        names = (EXPLODE, DYING_RELU, NOT_CONVERGE, UNSTABLE)
        return first_that_holds(dict(zip(names, at_first, strict=True)), len(train))


def gone(losses: Float, first: Float) -> Float:
    """The share of the first loss (n_curves, 1) that is gone, (n_curves, n_epochs); zero where the first is zero."""
    return np.where(first == 0, 0.0, (first - losses) / np.abs(first))


def _best_gain(accuracy: Float) -> Float:
    """(n_curves, n_epochs) largest gain from one epoch to the next so far, at least zero."""
    gains = np.diff(accuracy, axis=1, prepend=accuracy[:, :1])
    best: Float = np.maximum.accumulate(np.maximum(gains, 0.0), axis=1)
    return best


def swing_ends(accuracy: Float) -> Int:
    """(n_curves, n_epochs) number of swings that are complete with an epoch.

    The first local maximum is held against the first local minimum, the second against the second, and so on; a swing
    is complete one epoch after the later of its two ends, when that is known to be an end.
    """
    n_curves, n_epochs = accuracy.shape
    steps = np.diff(accuracy, axis=1)
    before, after = steps[:, :-1], steps[:, 1:]
    maxima, minima = (before >= 0) & (after <= 0), (before <= 0) & (after >= 0)
    high, low = _gathered(maxima), _gathered(minima)
    is_pair = (high < n_epochs) & (low < n_epochs)
    rows = np.arange(n_curves)[:, None]
    capped_high, capped_low = np.minimum(high, n_epochs - 1), np.minimum(low, n_epochs - 1)
    is_swing = is_pair & (accuracy[rows, capped_high] - accuracy[rows, capped_low] >= SWING)
    ends = np.zeros((n_curves, n_epochs), dtype=np.int64)
    np.add.at(ends, (np.broadcast_to(rows, is_swing.shape)[is_swing], np.maximum(high, low)[is_swing] + 1), 1)
    return ends


def _gathered(is_end: Bool) -> Int:
    """Numbers of the epochs that are ends, in order from the left, (n_curves, n_epochs - 2); then n_epochs.

    Args:
        is_end: (n_curves, n_epochs - 2), for all epochs but the first and the last.
    """
    n_inner = is_end.shape[1]
    number = np.where(is_end, np.arange(1, n_inner + 1), n_inner + 2)
    return np.sort(number, axis=1)
