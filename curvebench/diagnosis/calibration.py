"""From where on nothing is said: accuracy against coverage on runs that the diagnoser was not fitted to.

The curves are those of a split, each logged anew in the ways of logs: few points or many, means or samples. An answer
counts as right if it is an accepted diagnosis of the run, and as wrong on a run that learned nothing though none of our
remedies helps it (`other`), whatever it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from curvebench.data.dataset import Dataset, joint_sha256
from curvebench.diagnosers.learned.relogged import logged_in
from curvebench.diagnosis.precedents import Library, novelties
from curvebench.diagnosis.verdict import WAYS, Limits
from curvebench.spec import CHANNELS, DIAGNOSES, OTHER, TRACKS, Bool, Diagnoser, Float, InputError, Int

ACCURACY = 0.8
"""What is aimed at among the runs that are judged: four in five."""

COUNTS: tuple[int, ...] = (3, 4, 5, 6, 8, 12, 20, 40, 80, 127)
"""Points of the logs that limits are calibrated on."""

MOST_UNLIKE = 0.02
"""Share of the held-out curves that are more novel than the limit."""

BESIDE: tuple[str, ...] = ("val_loss", "grad_norm", "learning_rate")
"""Channels that some logs have and others lack."""

THRESHOLDS: tuple[float, ...] = tuple(round(0.3 + 0.02 * i, 2) for i in range(35))
"""Probabilities that are tried as the least."""

_WAYS = [[DIAGNOSES.index(diagnosis) for diagnosis in both] for both in WAYS.values()]

LEAST_JUDGED = 20
"""Of fewer answers no accuracy is told."""


@dataclass(frozen=True, eq=False)
class Answers:
    """What a diagnoser said of logs whose right diagnoses are known.

    Attributes:
        n_points: (n_logs,) of each log.
        is_shown: (n_logs, 3) bool, which of `BESIDE` the diagnoser was shown.
        probability: (n_logs,) of the likeliest diagnosis.
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


def ask(dataset: Dataset, split: str, diagnoser: Diagnoser, library: Library) -> Answers:
    """What a diagnoser says of a split's runs, logged in every way.

    Every run is logged with every second of `COUNTS`, one as means and the next as samples in turn, neither with the
    loss before any update, which few logs have. What a diagnoser may lack is hidden from it, but for the learning rate
    and the validation loss of every second run and the gradient norm of every fourth, as some logs have them.

    Raises:
        InputError: the split has no such runs.
    """
    part = dataset.split(split)
    part = part.select(part.is_scored | (part.labels == OTHER))
    if not len(part):
        raise InputError(f"The split {split} has no runs to calibrate on.")
    track = getattr(diagnoser, "track", "curve")
    X = part.to_numpy3d(track=track)
    row = np.arange(len(X))
    shown = {"learning_rate": row % 2 == 1, "val_loss": row // 8 % 2 == 1, "grad_norm": row // 16 % 4 == 3}
    for channel in set(getattr(diagnoser, "may_lack", ())) & set(TRACKS[track]):
        X[~shown.get(channel, np.zeros(len(X), dtype=np.bool_)), TRACKS[track].index(channel)] = np.nan
    accepted = (part["accepted"] > 0) & (part.labels != OTHER)[:, None]
    asked = [
        _asked(X[rows], accepted[rows], diagnoser, library, count, mean=mean)
        for turn, count in enumerate(COUNTS)
        for mean in (False, True)
        for rows in (np.flatnonzero((row // 2 + turn + 2 * mean) % 4 == 0),)
        if len(rows)
    ]
    answers = Answers.joined(asked)
    return replace(answers, weight=np.full(len(answers.weight), 1 / len(answers.weight)))


def _asked(X: Float, accepted: Bool, diagnoser: Diagnoser, library: Library, count: int, *, mean: bool) -> Answers:
    """What is said of the curves X (n, n_channels, n_points) logged with so many points."""
    seen = logged_in(X if mean else X[:, :, 1:], count, mean=mean).astype(np.float32)
    said = np.asarray(diagnoser.predict_proba(seen))
    is_right = accepted[np.arange(len(said)), said.argmax(axis=1)]
    is_known = np.isfinite(X).any(axis=2)
    is_shown = np.pad(is_known, ((0, 0), (0, len(CHANNELS) - is_known.shape[1])))[:, [*map(CHANNELS.index, BESIDE)]]
    novelty = novelties(library, seen[:, 0], count)
    together = np.column_stack([said[:, ways].sum(axis=1) for ways in _WAYS])
    is_way_right = np.column_stack([accepted[:, ways].any(axis=1) for ways in _WAYS])
    way = together.argmax(axis=1)
    return Answers(
        n_points=np.full(len(said), count),
        is_shown=is_shown,
        probability=said.max(axis=1),
        novelty=novelty,
        is_right=is_right,
        together=together.max(axis=1),
        is_way_right=is_way_right[np.arange(len(said)), way],
        weight=np.ones(len(said)),
    )


def calibrated(answers: Answers, datasets: Sequence[Dataset], model_sha256: str, accuracy: float = ACCURACY) -> Limits:
    """The limits that judge as many logs as possible with the accuracy that is aimed at.

    The limit of novelty leaves out `MOST_UNLIKE` of all logs. The least probability is the lowest of `THRESHOLDS` with
    which the logs that are judged reach the accuracy. The fewest points are the lowest of `COUNTS` whose logs reach it
    on their own.

    Args:
        answers: of runs that neither the diagnoser nor the library saw.
        datasets: where they come from.
        model_sha256: of the file of the diagnoser.
        accuracy: share of the judged logs that has to be judged rightly.

    Raises:
        InputError: no probability, or no number of points, reaches the accuracy.
    """
    max_novelty = float(np.quantile(answers.novelty, 1 - MOST_UNLIKE))
    known = answers.select(answers.novelty <= max_novelty)
    enough = [point for point in frontier(known) if (point.accuracy or 0.0) >= accuracy]
    if not enough:
        raise InputError(f"No probability is high enough for {accuracy:.0%} to be right; fit on more runs.")
    least = enough[0].min_probability
    of_count = {count: judged(known.select(known.n_points == count), least) for count in COUNTS}
    counts = [count for count, point in of_count.items() if (point.accuracy or 0.0) >= accuracy]
    if not counts:
        raise InputError(f"No number of points is enough for {accuracy:.0%} to be right; fit on more runs.")
    return Limits(least, counts[0], max_novelty, accuracy, joint_sha256(datasets), model_sha256)


def frontier(answers: Answers) -> list[Point]:
    """Coverage and accuracy with each of `THRESHOLDS`."""
    return [judged(answers, threshold) for threshold in THRESHOLDS]


def judged(answers: Answers, min_probability: float) -> Point:
    """How many logs are judged with one threshold, and how many of these rightly."""
    is_judged = answers.probability >= min_probability
    right, known = answers.is_right[is_judged], answers.weight[is_judged]
    accuracy = float(np.average(right, weights=known)) if len(right) >= LEAST_JUDGED else None
    return Point(min_probability, float(known.sum() / answers.weight.sum()) if len(is_judged) else 0.0, accuracy)


def leaning(answers: Answers, min_probability: float) -> Point:
    """How many logs are not judged and yet get a leaning, and for how many of these it is right."""
    known = answers.select(answers.probability < min_probability)
    led = judged(replace(known, probability=known.together, is_right=known.is_way_right), min_probability)
    share = float(known.weight.sum() / answers.weight.sum()) if len(answers.weight) else 0.0
    return replace(led, coverage=led.coverage * share)


def within(answers: Answers, limits: Limits) -> Answers:
    """The logs that novelty and number of points do not forbid to judge."""
    return answers.select((answers.novelty <= limits.max_novelty) & (answers.n_points >= limits.min_points))
