"""The reference rule-based classifier: the loss curves as they are taught, each rule with its evidence in words.

What is taught: a loss that shoots up or swings, rate too high; a strong fall that is soon level, rate too high late;
slow all the way, rate too low; a fall that freezes, decayed too early; a flat floor far up, wrong output. A rule
looks at the training loss alone, as a share of what it was at the start, so that the unit of the loss plays no part.
The thresholds are round numbers with a reason. None was fitted; on the split `train` it was only looked at whether
the noise of mini-batches sets a rule off. `curvebench.diagnosers.tuned` has the same rules with fitted ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray

from curvebench.spec import DIAGNOSES, Bool, Diagnosis, Float, Int

# ------------------------------------------------------------------------------------------- thresholds

N_BLOCKS = 20
"""A curve is looked at as the means of 20 equal pieces: what the eye follows when it draws a line through noise."""

SOON = 0.25
"""A curve that is soon level has done nearly all of its fall within this share of training."""

CONFIDENCE = 0.9
"""Probability of the verdict; the other five diagnoses share the rest equally."""

MIN_POINTS = 8
"""With fewer points, only a loss that is not finite or shot up can be told."""

_LEAST_START, _LEAST_FALL = 1e-12, 0.01
"""Smaller starts (as a share of the curve's largest value) and falls (of its start) are taken for these."""

_ROWS_AT_ONCE = 2048
"""Curves looked at together; so few that they stay in the processor's cache."""


@dataclass(frozen=True)
class Thresholds:
    """Where the rules draw their lines.

    Attributes:
        clearly_above_start: the first value is one mini-batch, often 10 to 20 % off; half as much again is no accident.
        shot_up: instability is a loss at twice what it should be (tuning playbook, google-research/tuning_playbook).
        not_recovered: a harmless spike early in training, a catapult, is followed by a fall below half of the start.
        gave_back: a loss that ends with more than half of its gain lost again is on its way up.
        swing: steps from point to point as large as a tenth of all that was gained are swings; the noise of
            mini-batches is as large early in training, so only a loss that has not recovered is said to swing.
        barely_changed: within a tenth of where it began from the first piece to the last, training has not started.
        still_to_do_at_half: a straight line has half of its fall still to do at half time, an exponential that settles
            almost nothing.
        still_falling: of the whole fall, the share that the last quarter of a slow curve still brings, and that of a
            level one does not.
        nearly_all: nearly all of a fall.
        level: level also to the eye; the second half of training changes the loss by less than a quarter of what it
            ends at.
        high_floor: a strong fall goes below a quarter of the start; a floor above it is one that the output can't get
            below.
        smooth: steps from point to point, as a share of the loss; a rate that is nearly zero leaves a frozen loss
            smooth.
        done: below a fiftieth of the start there is little left to repair.
    """

    clearly_above_start: float = 1.5
    shot_up: float = 2.0
    not_recovered: float = 0.5
    gave_back: float = 0.5
    swing: float = 0.1
    barely_changed: float = 0.1
    still_to_do_at_half: float = 0.1
    still_falling: float = 0.03
    nearly_all: float = 0.9
    level: float = 0.25
    high_floor: float = 0.25
    smooth: float = 0.003
    done: float = 0.02


AS_TAUGHT = Thresholds()
"""Round numbers, none of them fitted."""


# ------------------------------------------------------------------------------------ what the eye sees


@dataclass(frozen=True)
class Shape:
    """What the rules look at; one value for each curve. Losses are shares of the curve's first value.

    Attributes:
        is_finite: no NaN, no inf.
        is_long: has at least `MIN_POINTS` points.
        is_zero: the loss is zero everywhere.
        first: mean of the first twentieth.
        peak: largest value.
        lowest: lowest of the 20 means.
        end: mean of the last tenth.
        spread: how far apart the 20 means are, as a share of the first.
        gave_back: share of the fall from start to lowest that is lost again at the end.
        done_soon: share of the fall from start to end that is done after a quarter.
        to_do_at_half: share of that fall that is still to do at half time.
        last_quarter: share of that fall that the last quarter brings.
        late_change: relative change of the loss from half time to the end.
        step: mean step from point to point in the second half, as a share of the mean loss there.
        swing: the same step as a share of the fall from start to lowest.
    """

    is_finite: Bool
    is_long: Bool
    is_zero: Bool
    first: Float
    peak: Float
    lowest: Float
    end: Float
    spread: Float
    gave_back: Float
    done_soon: Float
    to_do_at_half: Float
    last_quarter: Float
    late_change: Float
    step: Float
    swing: Float


def shape_of(curves: ArrayLike) -> Shape:
    """Describe training losses.

    Args:
        curves: (n_curves, n_points) losses of any unit, at least one point; NaN and inf as they happened. A curve
            that goes below zero is lifted until its lowest value is zero.
    """
    points, is_finite = _as_shares_of_start(curves)
    n_points = points.shape[1]
    blocks = _block_means(points)
    first, lowest, end = blocks[:, 0], blocks.min(axis=1), _mean_of_last(blocks, 0.1)
    second_half = points[:, n_points // 2 :]
    peak = points.max(axis=1)
    level, step = second_half.mean(axis=1), _mean_step(second_half)
    gain, fall = np.maximum(1 - lowest, _LEAST_FALL), np.maximum(1 - end, _LEAST_FALL)
    quarter, half, three_quarters = (_around(blocks, share) for share in (SOON, 0.5, 0.75))
    return Shape(
        is_finite=is_finite,
        is_long=np.full(len(points), n_points >= MIN_POINTS),
        is_zero=peak == 0,
        first=first,
        peak=peak,
        lowest=lowest,
        end=end,
        spread=(blocks.max(axis=1) - lowest) / _or_one(first),
        gave_back=(end - lowest) / gain,
        done_soon=(1 - quarter) / fall,
        to_do_at_half=(half - end) / fall,
        last_quarter=(three_quarters - end) / fall,
        late_change=np.abs(half - end) / _or_one(end),
        step=step / _or_one(level),
        swing=step / gain,
    )


def _as_shares_of_start(curves: ArrayLike) -> tuple[Float, Bool]:
    """Losses divided by the first one, (n_curves, n_points) float64, and which curves are finite (others: all one)."""
    points = np.array(curves, dtype=np.float64)
    is_finite = np.asarray(np.isfinite(points).all(axis=1))
    points[~is_finite] = 1.0
    points /= _or_one(np.abs(points).max(axis=1, keepdims=True))
    points -= np.minimum(points.min(axis=1, keepdims=True), 0.0)
    points /= np.maximum(points[:, :1], _LEAST_START)
    return points, is_finite


def _or_one(divisor: Float) -> Float:
    """The divisor, with one in place of zero."""
    return np.where(divisor == 0, 1.0, divisor)


def _block_means(points: Float) -> Float:
    """(n_curves, up to N_BLOCKS) means of nearly equal pieces; shorter curves are their own pieces."""
    n_points = points.shape[1]
    n_blocks = min(N_BLOCKS, n_points)
    edges = np.arange(n_blocks + 1) * n_points // n_blocks
    means: Float = np.add.reduceat(points, edges[:-1], axis=1) / np.diff(edges)
    return means


def _mean_of_last(blocks: Float, share: float) -> Float:
    n_last = max(1, round(share * blocks.shape[1]))
    mean: Float = blocks[:, -n_last:].mean(axis=1)
    return mean


def _around(blocks: Float, share: float) -> Float:
    """The loss at a share of training: the mean of the two pieces that meet there."""
    position = min(round(share * blocks.shape[1]), blocks.shape[1] - 1)
    mean: Float = blocks[:, max(position - 1, 0) : position + 1].mean(axis=1)
    return mean


def _mean_step(points: Float) -> Float:
    """Mean absolute step from point to point, (n_curves,); zero for a single point."""
    if points.shape[1] < 2:
        return np.zeros(len(points))
    mean: Float = np.abs(np.diff(points, axis=1)).mean(axis=1)
    return mean


# ------------------------------------------------------------------------------------------------- rules


@dataclass(frozen=True)
class Rule:
    """One thing that is taught.

    Attributes:
        diagnosis: what the rule says.
        evidence: why, in words; names in braces are fields of `Shape`.
        holds: from shapes and thresholds to (n_curves,) bool, whether the curves look like that.
    """

    diagnosis: Diagnosis
    evidence: str
    holds: Callable[[Shape, Thresholds], Bool]


def _is_slow(s: Shape, t: Thresholds) -> Bool:
    """Falls, and goes on falling to the end."""
    still_falls = (s.to_do_at_half > t.still_to_do_at_half) & (s.last_quarter > t.still_falling)
    return still_falls & (1 - s.end > t.barely_changed)


def _is_level(s: Shape, t: Thresholds) -> Bool:
    """Fell early; the last quarter brings nothing more."""
    return (s.done_soon > t.nearly_all) & (s.last_quarter < t.still_falling)


def _is_strong(s: Shape, t: Thresholds) -> Bool:
    """Fell far, and not so far that nothing is left."""
    return (s.end < t.high_floor) & (s.end > t.done) & (s.late_change < t.level)


RULES: tuple[Rule, ...] = (
    Rule(
        Diagnosis.LR_TOO_HIGH,
        "the loss is not a finite number everywhere",
        lambda s, t: ~s.is_finite,
    ),
    Rule(
        Diagnosis.LR_TOO_HIGH,
        "the loss ends at {end:.3g} times its start",
        lambda s, t: s.end > t.clearly_above_start,
    ),
    Rule(
        Diagnosis.HEALTHY,
        "there are too few points to judge, or no loss to lower",
        lambda s, t: ~s.is_long | s.is_zero,
    ),
    Rule(
        Diagnosis.LR_TOO_HIGH,
        "the loss shoots up to {peak:.3g} times its start and is still at {end:.3g} times at the end",
        lambda s, t: (s.peak > t.shot_up) & (s.end > t.not_recovered),
    ),
    Rule(
        Diagnosis.LR_TOO_LOW,
        "the loss has barely changed: all of it stays within {spread:.1%} of where it began",
        lambda s, t: (s.spread < t.barely_changed) & (s.first * t.clearly_above_start > 1),
    ),
    Rule(
        Diagnosis.LR_TOO_LOW,
        "the loss is slow all the way: at half time {to_do_at_half:.0%} of its fall is still to come, and the last "
        "quarter still brings {last_quarter:.0%}",
        _is_slow,
    ),
    Rule(
        Diagnosis.LR_TOO_HIGH,
        "the loss fell to {lowest:.3g} of its start and then gave back {gave_back:.0%} of that",
        lambda s, t: s.gave_back > t.gave_back,
    ),
    Rule(
        Diagnosis.LR_TOO_HIGH,
        "the loss stays at {end:.0%} of its start and swings from point to point by {swing:.0%} of all that it gained",
        lambda s, t: (s.swing > t.swing) & (s.end > t.not_recovered),
    ),
    Rule(
        Diagnosis.LATE_LR_TOO_LOW,
        "the loss falls and then freezes at {end:.1%} of its start, moving by no more than {step:.2%}",
        lambda s, t: _is_level(s, t) & (s.end < t.not_recovered) & (s.end > t.done) & (s.step < t.smooth),
    ),
    Rule(
        Diagnosis.OUTPUT_MISMATCH,
        "the loss stands on a flat floor at {end:.0%} of its start",
        lambda s, t: _is_level(s, t) & (s.end >= t.high_floor),
    ),
    Rule(
        Diagnosis.LATE_LR_TOO_HIGH,
        "the loss falls strongly, is soon level at {end:.1%} of its start and keeps bouncing by {step:.1%}",
        lambda s, t: _is_level(s, t) & _is_strong(s, t),
    ),
    Rule(
        Diagnosis.HEALTHY,
        "the loss falls to {end:.1%} of its start without anything that would call for a remedy",
        lambda s, t: np.ones(len(s.end), dtype=np.bool_),
    ),
)
"""In this order; the first that holds gives the verdict."""


# ----------------------------------------------------------------------------------------------- verdicts


@dataclass(frozen=True)
class Verdict:
    """What a curve looks like, and why.

    Attributes:
        diagnosis: one of `DIAGNOSES`.
        evidence: the reason, half a sentence.
    """

    diagnosis: str
    evidence: str

    def __str__(self) -> str:
        return f"{self.diagnosis}: {self.evidence}."


class Rules:
    """The reference rule-based classifier; see `RULES`."""

    track = "curve"

    def __init__(self, thresholds: Thresholds = AS_TAUGHT) -> None:
        self.thresholds = thresholds

    def predict_proba(self, X: Float) -> NDArray[np.float64]:
        """Probabilities: `CONFIDENCE` for the verdict, the rest in equal shares.

        Args:
            X: (n_curves, n_channels, n_points); the first channel is the training loss, others are ignored.

        Returns:
            (n_curves, 6) float64, columns in the order of `DIAGNOSES`.

        Raises:
            ValueError: if X has another number of axes, no channel or no point.
        """
        return probabilities_of(np.concatenate([diagnoses_of(shape, self.thresholds) for shape in shapes_of(X)]))

    def diagnose(self, X: Float) -> list[Verdict]:
        """Verdicts with their evidence; arguments and errors as for `predict_proba`."""
        return [verdict for shape in shapes_of(X) for verdict in _verdicts(shape, self.thresholds)]

    def explain(self, curve: ArrayLike) -> str:
        """The verdict on one training loss (n_points,), in words.

        >>> print(Rules().explain([1.0, 0.5, np.nan]))
        lr_too_high: the loss is not a finite number everywhere.
        """
        losses = np.asarray(curve, dtype=np.float64)
        return str(self.diagnose(losses.reshape(1, 1, -1))[0])


def probabilities_of(diagnoses: Int) -> NDArray[np.float64]:
    """`CONFIDENCE` for each diagnosis, the rest in equal shares.

    Args:
        diagnoses: (n_curves,) index into `DIAGNOSES`.

    Returns:
        (n_curves, 6) float64.
    """
    probabilities = np.full((len(diagnoses), len(DIAGNOSES)), (1 - CONFIDENCE) / (len(DIAGNOSES) - 1))
    probabilities[np.arange(len(diagnoses)), diagnoses] = CONFIDENCE
    return probabilities


def shapes_of(X: Float) -> Iterator[Shape]:
    """The shapes of the first channel of X, some thousand curves at a time; at least one, possibly empty.

    Raises:
        ValueError: if X has another number of axes than three, no channel or no point.
    """
    X = np.asarray(X)
    if X.ndim != 3 or 0 in X.shape[1:]:
        raise ValueError(f"X must be (n_curves, n_channels, n_points) with at least one point, not {X.shape}.")
    rows_at_once = max(1, _ROWS_AT_ONCE * 128 // X.shape[2])
    for begin in range(0, max(len(X), 1), rows_at_once):
        yield shape_of(X[begin : begin + rows_at_once, 0])


def diagnoses_of(shape: Shape, thresholds: Thresholds) -> NDArray[np.intp]:
    """What the first rule that holds says, (n_curves,) index into `DIAGNOSES`."""
    return _DIAGNOSIS_OF_RULE[_first_that_holds(shape, thresholds)]


_DIAGNOSIS_OF_RULE = np.array([DIAGNOSES.index(rule.diagnosis) for rule in RULES], dtype=np.intp)


def _first_that_holds(shape: Shape, thresholds: Thresholds) -> NDArray[np.intp]:
    """(n_curves,) index into `RULES`."""
    first: NDArray[np.intp] = np.array([rule.holds(shape, thresholds) for rule in RULES]).argmax(axis=0)
    return first


def _verdicts(shape: Shape, thresholds: Thresholds) -> Iterator[Verdict]:
    for i, rule in enumerate(_first_that_holds(shape, thresholds)):
        seen = {field.name: getattr(shape, field.name)[i] for field in fields(shape)}
        yield Verdict(str(RULES[rule].diagnosis), RULES[rule].evidence.format(**seen))
