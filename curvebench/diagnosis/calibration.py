"""From where on nothing is said: accuracy against coverage on runs that the diagnoser was not fitted to.

The curves are those of a split, each logged anew in the ways of logs: few points or many, means or samples. An answer
counts as right if it is an accepted diagnosis of the run, and as wrong on a run that learned nothing though none of our
remedies helps it (`other`), whatever it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from curvebench.data.dataset import Dataset, joint_sha256
from curvebench.diagnosers.learned.relogged import logged_in, with_other_rates
from curvebench.diagnosis.precedents import Library, novelties
from curvebench.diagnosis.verdict import ONLY_THE_LABEL, WAYS, Limits
from curvebench.spec import CHANNELS, DIAGNOSES, OTHER, TRACKS, Bool, Diagnoser, Float, InputError, Int

ACCURACY = 0.8
"""What is aimed at among the runs that are judged: four in five."""

COUNTS: tuple[int, ...] = (3, 4, 5, 6, 8, 12, 20, 40, 80, 127)
"""Points of the logs that limits are calibrated on."""

MOST_UNLIKE = 0.002
"""Share of the held-out curves that are more novel than the limit. Novel ones are judged as rightly as others
(`by_novelty`); the limit is there for what no data set shows."""

NOVELTIES: tuple[float, ...] = (0.5, 0.9, 0.98, 1 - MOST_UNLIKE)
"""Shares of the held-out curves that are less novel, between which accuracy is told."""

SHOWN: Mapping[str, float] = {"val_loss": 0.5, "grad_norm": 0.25, "learning_rate": 0.5}
"""Channel that some logs have and others lack -> share that has it."""

BESIDE = tuple(SHOWN)
"""These channels."""

THRESHOLDS: tuple[float, ...] = tuple(round(0.3 + 0.01 * i, 2) for i in range(70))
"""Probabilities that are tried as the least."""

NEVER = 1.01
"""A probability that nothing has."""

_WAYS = [[DIAGNOSES.index(diagnosis) for diagnosis in both] for both in WAYS.values()]

LEAST_JUDGED = 20
"""Of fewer answers no accuracy is told."""


@dataclass(frozen=True, eq=False)
class Answers:
    """What a diagnoser said of logs whose right diagnoses are known.

    Attributes:
        n_points: (n_logs,) of each log.
        is_shown: (n_logs, 3) bool, which of `BESIDE` the diagnoser was shown.
        probability: (n_logs,) that the likeliest diagnosis is right, see `Limits.probability_right`.
        novelty: (n_logs,) see `Precedents`.
        is_right: (n_logs,) bool, whether the likeliest is right.
        together: (n_logs,) probability of the likelier of `WAYS`, of its two diagnoses together.
        is_way_right: (n_logs,) bool, whether one of these two is right.
        weight: (n_logs,) how much each counts: the logs of a data set one together, however many runs it has.
    """

    n_points: Int
    is_shown: Bool
    probability: Float
    novelty: Float
    is_right: Bool
    together: Float
    is_way_right: Bool
    weight: Float

    def select(self, rows: Bool) -> Answers:
        """Those of some logs, (n_logs,) bool."""
        return Answers(*(getattr(self, field.name)[rows] for field in fields(self)))

    @staticmethod
    def joined(parts: Sequence[Answers]) -> Answers:
        """Those of all parts, one after the other."""
        return Answers(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Answers)))


@dataclass(frozen=True)
class Point:
    """One threshold and what it leaves.

    Attributes:
        min_probability: what is asked of the likeliest diagnosis.
        coverage: share of the logs that are judged.
        accuracy: share of these that are judged rightly; None where they are too few.
    """

    min_probability: float
    coverage: float
    accuracy: float | None


def draft(datasets: Sequence[Dataset], model_sha256: str) -> Limits:
    """Limits that forbid nothing yet; `Limits.acceptance` is that of the splits `train`.

    Of the data sets that have a label there each counts alike; a label that none has accepts itself alone.

    Args:
        datasets: what the limits are calibrated on, one at least.
        model_sha256: of the file of the diagnoser.
    """
    parts = [dataset.split("train") for dataset in datasets]
    acceptance = []
    for diagnosis, alone in zip(DIAGNOSES, ONLY_THE_LABEL, strict=True):
        accepted = [part["accepted"][part.labels == diagnosis] > 0 for part in parts]
        shares = [flags.mean(axis=0) for flags in accepted if len(flags)]
        acceptance.append(tuple(np.mean(shares, axis=0).round(3).tolist()) if shares else alone)
    return Limits(0.0, 1, np.inf, ACCURACY, joint_sha256(datasets), model_sha256, 0.0, tuple(acceptance))


def ask(dataset: Dataset, split: str, diagnoser: Diagnoser, library: Library, limits: Limits) -> Answers:
    """What a diagnoser says of a split's runs, logged in every way.

    Every run is logged with every second of `COUNTS`, one as means and the next as samples in turn, neither with the
    loss before any update, which few logs have. What a diagnoser may lack is hidden from it, but for `SHOWN` of each
    channel, drawn for every run by itself, so that runs with and without a channel are of the same kinds. Learning
    rates are those of networks of other sizes, `with_other_rates`, as most that are logged are.

    Raises:
        InputError: the split has no such runs.
    """
    part = dataset.split(split)
    part = part.select(part.is_scored | (part.labels == OTHER))
    if not len(part):
        raise InputError(f"The split {split} has no runs to calibrate on.")
    track = getattr(diagnoser, "track", "curve")
    X = part.to_numpy3d(track=track)
    row, rng = np.arange(len(X)), np.random.default_rng(0)
    is_shown = {channel: rng.random(len(X)) < SHOWN.get(channel, 0.0) for channel in CHANNELS}
    for channel in set(getattr(diagnoser, "may_lack", ())) & set(TRACKS[track]):
        X[~is_shown[channel], TRACKS[track].index(channel)] = np.nan
    if "learning_rate" in TRACKS[track]:
        X = with_other_rates(X, rng).astype(X.dtype)
    accepted = (part["accepted"] > 0) & (part.labels != OTHER)[:, None]
    asked = [
        _asked(X[rows], accepted[rows], diagnoser, library, limits, count, mean=mean)
        for turn, count in enumerate(COUNTS)
        for mean in (False, True)
        for rows in (np.flatnonzero((row // 2 + turn + 2 * mean) % 4 == 0),)
        if len(rows)
    ]
    answers = Answers.joined(asked)
    return replace(answers, weight=np.full(len(answers.weight), 1 / len(answers.weight)))


def _asked(
    X: Float, accepted: Bool, diagnoser: Diagnoser, library: Library, limits: Limits, count: int, *, mean: bool
) -> Answers:
    """What is said of the curves X (n, n_channels, n_points) logged with so many points."""
    seen = logged_in(X if mean else X[:, :, 1:], count, mean=mean).astype(np.float32)
    said = np.asarray(diagnoser.predict_proba(seen))
    likeliest = np.arange(len(said)), said.argmax(axis=1)
    is_known = np.isfinite(X).any(axis=2)
    is_shown = np.pad(is_known, ((0, 0), (0, len(CHANNELS) - is_known.shape[1])))[:, [*map(CHANNELS.index, BESIDE)]]
    novelty = novelties(library, seen[:, 0], count)
    together = np.column_stack([said[:, ways].sum(axis=1) for ways in _WAYS])
    is_way_right = np.column_stack([accepted[:, ways].any(axis=1) for ways in _WAYS])
    way = together.argmax(axis=1)
    return Answers(
        n_points=np.full(len(said), count),
        is_shown=is_shown,
        probability=limits.likeliest_right(said),
        novelty=novelty,
        is_right=accepted[likeliest],
        together=together.max(axis=1),
        is_way_right=is_way_right[np.arange(len(said)), way],
        weight=np.ones(len(said)),
    )


def calibrated(answers: Answers, limits: Limits) -> Limits:
    """The limits that judge as many logs as possible with the accuracy that is aimed at.

    The limit of novelty leaves out `MOST_UNLIKE` of all logs. Of the pairs of a number of points, one of `COUNTS`, and
    a probability, one of `THRESHOLDS`, with which the logs of every such number, and of every larger one, reach the
    accuracy by themselves, it is that which judges most of all logs; of equals that with fewer points. What two
    diagnoses must have together is the lowest of `THRESHOLDS` with which the leanings reach the accuracy.

    Args:
        answers: of runs that neither the diagnoser nor the library saw.
        limits: the `draft` that the answers were asked with.

    Raises:
        InputError: no such pair reaches the accuracy.
    """
    (max_novelty,) = novelty_quantiles(answers, [1 - MOST_UNLIKE])
    known = answers.select(answers.novelty <= max_novelty)
    found: list[tuple[float, int, float]] = []
    for threshold in THRESHOLDS:
        coverage = 0.0
        for count in reversed(COUNTS):
            logs = known.select(known.n_points == count)
            point = judged(logs, threshold)
            if (point.accuracy or 0.0) < limits.accuracy:
                break
            coverage += point.coverage * float(logs.weight.sum())
            found.append((coverage, -count, threshold))
    if not found:
        raise InputError(f"No probability is high enough for {limits.accuracy:.0%} to be right; fit on more runs.")
    _, least, threshold = max(found)
    made = replace(limits, min_probability=threshold, min_points=-least, max_novelty=max_novelty)
    enough = (t for t in THRESHOLDS if (leaning(within(known, made), threshold, t).accuracy or 0.0) >= made.accuracy)
    return replace(made, min_together=next(enough, NEVER))


def frontier(answers: Answers) -> list[Point]:
    """Coverage and accuracy with each of `THRESHOLDS`."""
    return [judged(answers, threshold) for threshold in THRESHOLDS]


def judged(answers: Answers, min_probability: float) -> Point:
    """How many logs are judged with one threshold, and how many of these rightly."""
    is_judged = answers.probability >= min_probability
    right, known = answers.is_right[is_judged], answers.weight[is_judged]
    accuracy = float(np.average(right, weights=known)) if len(right) >= LEAST_JUDGED else None
    return Point(min_probability, float(known.sum() / answers.weight.sum()) if len(is_judged) else 0.0, accuracy)


def leaning(answers: Answers, min_probability: float, min_together: float) -> Point:
    """How many logs are not judged and yet get a leaning, and for how many of these it is right."""
    known = answers.select(answers.probability < min_probability)
    led = judged(replace(known, probability=known.together, is_right=known.is_way_right), min_together)
    share = float(known.weight.sum() / answers.weight.sum()) if len(answers.weight) else 0.0
    return replace(led, coverage=led.coverage * share)


def novelty_quantiles(answers: Answers, shares: Sequence[float]) -> list[float]:
    """The novelties below which, or at which, so large shares of the logs are, as these count."""
    order = np.argsort(answers.novelty, kind="stable")
    reached = np.cumsum(answers.weight[order]) / answers.weight.sum()
    places = np.minimum(np.searchsorted(reached, shares), len(order) - 1)
    return [float(novelty) for novelty in answers.novelty[order][places]]


def by_novelty(answers: Answers, edges: Sequence[float], min_probability: float) -> list[Point]:
    """How many logs are judged, and how many of these rightly, below, between and above edges of novelty that rise."""
    place = np.digitize(answers.novelty, edges)
    return [judged(answers.select(place == i), min_probability) for i in range(len(edges) + 1)]


def within(answers: Answers, limits: Limits) -> Answers:
    """The same answers, without any probability where novelty or number of points forbid to judge."""
    is_allowed = (answers.novelty <= limits.max_novelty) & (answers.n_points >= limits.min_points)
    return replace(answers, probability=answers.probability * is_allowed, together=answers.together * is_allowed)
