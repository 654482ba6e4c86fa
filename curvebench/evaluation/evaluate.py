"""Put a diagnoser to the test: show it the curves of a split, treat each run as it says, and score what came of it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from traceback import format_exception_only
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curvebench.data.dataset import Dataset, content_sha256
from curvebench.diagnosers import is_reference, name_of, resolve
from curvebench.diagnosers.answers import InvalidOutput, checked_flags, checked_prescriptions, checked_probabilities
from curvebench.diagnosers.trivial import ConstantBest, Oracle
from curvebench.evaluation.bootstrap import draw_weights, intervals, strata
from curvebench.evaluation.isolation import isolated
from curvebench.evaluation.results import FAILED, INVALID_OUTPUT, OK, OUT_OF_MEMORY, TIMED_OUT, Counts, Result
from curvebench.evaluation.scores import HEALTHY, Judged, confusion, scores, scores_from_sums, sums_by_instance
from curvebench.processes import ChildFailed, OutOfMemory, ProcessLimits, TimedOut
from curvebench.remedies import Treatment, best_single_action, oracle_actions, remedies_of, treat
from curvebench.spec import (
    DIAGNOSES,
    NO_REMEDY,
    SPLITS,
    TRACKS,
    Bool,
    CurveBenchError,
    Diagnoser,
    Float,
    InputError,
    Int,
    Remedy,
    UsageError,
)

MAX_REPETITIONS, SECONDS_FOR_REPETITIONS = 5, 1.0
"""The prediction is repeated for timing up to five times in all, while less than a second has gone by."""

_MAX_MESSAGE = 300


def evaluate(
    dataset: Dataset,
    diagnoser: object,
    *,
    split: str = "test",
    track: str | None = None,
    n_bootstrap: int = 1000,
    name: str | None = None,
    fit_on: Dataset | None = None,
    isolation: str = "none",
    limits: ProcessLimits | None = None,
    hidden: Sequence[Path] = (),
) -> Result:
    """Score a diagnoser on the runs of a split whose label is one of the six diagnoses.

    A diagnoser with `fit(X, y)` is fitted first, on the scored runs of the split `train`. What it then predicts, and
    prescribes or stands for, is scored as `curvebench.evaluation.scores.scores` says. Where it abstains, or says that
    it crashed, no action is taken, and its prediction counts as healthy. A diagnoser with the attribute `classes_` is
    taken to answer in the order of its classes; any other in the order of `DIAGNOSES`.

    Args:
        dataset: the labelled runs.
        diagnoser: a name, a class, an object with `predict_proba`, a classifier, or a function of one curve; see
            `curvebench.diagnosers.resolve`. Of the names, "oracle" and "constant-best" are references: they are told
            answers that no diagnoser is shown.
        split: one of `SPLITS`.
        track: what the diagnoser is shown, one of `TRACKS`; by default the smallest that it needs.
        n_bootstrap: draws from which the intervals are taken.
        name: what to call it on a board; by default the given name, or that of the class or function.
        fit_on: whose split `train` a diagnoser is fitted on, and whose fixed actions diagnoses stand for; by default
            the data set itself. What it prescribes and `dataset` has not tried is replaced there by the nearest.
        isolation: "none"; "process", to run the diagnoser in a process of its own under limits; or "namespace", where
            it moreover finds no network and nothing to write to. References, which are ours, are never isolated.
        limits: what an isolated diagnoser may use; by default what `ProcessLimits` says.
        hidden: files that a diagnoser finds empty in a namespace, for instance that of the data set.

    Returns:
        The result. If the diagnoser raised, answered with something else than the contract asks for, can't be fitted
        on this data set or broke a limit, that is its status, and it has no scores.

    Raises:
        UsageError: if there is no such diagnoser, split, track or isolation, namespaces are not available, the track
            hides what the diagnoser needs, or there is to be less than one draw.
        InputError: if the split has no scored runs, or "constant-best" is to be chosen and `train` has none.
    """
    if n_bootstrap < 1:
        raise UsageError(f"Intervals need at least one bootstrap draw, not {n_bootstrap}.")
    if fit_on is None:
        fit_on = dataset
    sheet = _answer_sheet(dataset, split)
    sha256 = content_sha256(dataset)
    result = Result(
        diagnoser=name or name_of(diagnoser),
        status=OK,
        message="",
        track=track or "curve",
        split=split,
        counts=Counts(len(sheet.rows), len(sheet.family), len(np.unique(sheet.family))),
        dataset_sha256=sha256,
        fit_on_sha256=sha256 if fit_on is dataset else content_sha256(fit_on),
        isolation="none" if is_reference(diagnoser) else isolation,
    )
    with ExitStack() as stack:
        try:
            if result.isolation == "none":
                candidate = _candidate(dataset, fit_on, sheet, diagnoser)
            else:
                candidate = stack.enter_context(isolated(diagnoser, isolation, limits or ProcessLimits(), hidden))
            result = replace(result, track=checked_track(candidate, track))
        except CurveBenchError:  # what the caller got wrong
            raise
        except BaseException as error:
            return _failure(result, error)
        try:
            training = _training_set(fit_on, dataset, result.track) if _has(candidate, "fit") else None
            answers = _ask(candidate, _shown(dataset, result.track, sheet.rows), training)
        except BaseException as error:  # whatever a foreign diagnoser does is its result, not our end
            return _failure(result, error)
    return _scored(result, sheet, answers, dataset, fit_on, n_bootstrap)


def _failure(result: Result, error: BaseException) -> Result:
    """The result of a diagnoser that ended in an error; a person's interruption is passed on."""
    match error:
        case KeyboardInterrupt():
            raise error
        case InvalidOutput():
            status, message = INVALID_OUTPUT, str(error)
        case TimedOut():
            status, message = TIMED_OUT, str(error)
        case OutOfMemory():
            status, message = OUT_OF_MEMORY, str(error)
        case MemoryError():
            status, message = OUT_OF_MEMORY, "".join(format_exception_only(error))
        case ChildFailed() | InputError():
            status, message = FAILED, str(error)
        case _:
            status, message = FAILED, "".join(format_exception_only(error))
    return replace(result, status=status, message=_one_line(message))


@dataclass(frozen=True)
class Judgement:
    """What a diagnoser's answers about the scored runs of a split brought.

    Attributes:
        judged: the n runs.
        rows: (n,) int, their rows in the data set.
        instance: (n,) int, number of the problem instance of each.
        family: (n_instances,) text, problem family of each instance.
    """

    judged: Judged
    rows: Int
    instance: Int
    family: NDArray[np.str_]


def judge(dataset: Dataset, diagnoser: object, *, split: str = "test", track: str | None = None) -> Judgement:
    """What `evaluate` computes its scores from; arguments and errors as there, but what the diagnoser raises passes."""
    sheet = _answer_sheet(dataset, split)
    candidate = _candidate(dataset, dataset, sheet, diagnoser)
    track = checked_track(candidate, track)
    training = _training_set(dataset, dataset, track) if _has(candidate, "fit") else None
    answers = _ask(candidate, _shown(dataset, track, sheet.rows), training)
    judged = _judged(sheet, answers, _treatment(sheet, answers, dataset, dataset), dataset)
    return Judgement(judged, sheet.rows, sheet.instance, sheet.family)


def _has(candidate: object, method: str) -> bool:
    return callable(getattr(candidate, method, None))


def _one_line(text: str) -> str:
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= _MAX_MESSAGE else line[: _MAX_MESSAGE - 1] + "…"


# ------------------------------------------------------------------------------------------- what is asked


@dataclass(frozen=True)
class _AnswerSheet:
    """The scored runs of a split, and what the answers about them are held against.

    Attributes:
        rows: (n,) their rows in the data set.
        label: (n,) int, index into `DIAGNOSES`.
        accepted: (n, 6) bool.
        gains: (n, n_remedies), NaN where untried.
        oracle: (n,) int, the oracle's action.
        instance: (n,) int, number of the problem instance.
        family: (n_instances,) text.
    """

    rows: Int
    label: Int
    accepted: Bool
    gains: Float
    oracle: Int
    instance: Int
    family: NDArray[np.str_]


def _answer_sheet(dataset: Dataset, split: str) -> _AnswerSheet:
    rows = _scored_rows(dataset, split)
    gains = dataset["remedy_gain"][rows]
    _, first, instance = np.unique(dataset["problem"][rows], return_index=True, return_inverse=True)
    return _AnswerSheet(
        rows=rows,
        label=np.array([DIAGNOSES.index(d) for d in dataset["diagnosis"][rows]], dtype=np.intp),
        accepted=dataset["accepted"][rows].astype(np.bool_),
        gains=gains,
        oracle=oracle_actions(
            gains,
            dataset.cell_rate[rows],
            dataset["seed"][rows],
            dataset.meta.remedies,
            dataset.meta.cost_weight,
        ),
        instance=instance,
        family=dataset["problem_family"][rows][first],
    )


def _scored_rows(dataset: Dataset, split: str) -> Int:
    if split not in SPLITS:
        raise UsageError(f"There is no split {split!r}; there are {', '.join(SPLITS)}.")
    rows = np.flatnonzero((dataset["split"] == split) & dataset.is_scored)
    if not len(rows):
        raise InputError(
            f"The split {split!r} of this data set has no runs that are scored; choose another split or data set."
        )
    return rows


def checked_track(candidate: Diagnoser, track: str | None) -> str:
    """What a diagnoser is to be shown: the track that is asked for, or else the smallest that it needs.

    Raises:
        UsageError: there is no such track, or it hides what the diagnoser needs.
    """
    needed = getattr(candidate, "track", "curve")
    track = needed if track is None else track
    for given in (needed, track):
        if not isinstance(given, str) or given not in TRACKS:
            raise UsageError(f"There is no track {given!r}; there are {', '.join(TRACKS)}.")
    if not set(TRACKS[needed]) <= set(TRACKS[track]):
        raise UsageError(f"The diagnoser needs the track {needed!r}; the track {track!r} hides a part of it.")
    return str(track)


def _shown(dataset: Dataset, track: str, rows: Int) -> NDArray[np.float32]:
    """(n, n_channels, n_points) curves of some rows, a copy that can't be written to."""
    X = dataset.to_numpy3d(track=track)[rows]
    X.setflags(write=False)
    return X.view()


def _training_set(fit_on: Dataset, dataset: Dataset, track: str) -> tuple[NDArray[np.float32], NDArray[np.str_]]:
    """Curves and labels of the scored runs of the split `train`, as long as those that will be asked about."""
    rows = _scored_rows(fit_on, "train")
    if fit_on.n_points != dataset.n_points:
        raise InputError(
            f"The curves to fit on have {fit_on.n_points} points and those to score {dataset.n_points}; "
            "fit on a data set with as many."
        )
    return _shown(fit_on, track, rows), fit_on["diagnosis"][rows]


# ------------------------------------------------------------------------------------------- who is asked


def _constant_best(dataset: Dataset, fit_on: Dataset, sheet: _AnswerSheet) -> Diagnoser:
    """The single remedy that is best for all scored runs of the split `train`."""
    meta = fit_on.meta
    gains = fit_on["remedy_gain"][_scored_rows(fit_on, "train")]
    return ConstantBest(meta.remedies[best_single_action(gains, meta.remedies, meta.cost_weight)])


def _oracle(dataset: Dataset, fit_on: Dataset, sheet: _AnswerSheet) -> Diagnoser:
    """The labels of the runs that are asked about, and what was best for the other seeds."""
    labels = [DIAGNOSES[i] for i in sheet.label]
    return Oracle(labels, [dataset.meta.remedies[i] for i in sheet.oracle])


REFERENCES: Mapping[str, Callable[[Dataset, Dataset, _AnswerSheet], Diagnoser]] = {
    "constant-best": _constant_best,
    "oracle": _oracle,
}
"""Names that are told answers. Only these: whatever else is evaluated gets curves, and labels of `train` to fit."""


def _candidate(dataset: Dataset, fit_on: Dataset, sheet: _AnswerSheet, diagnoser: object) -> Diagnoser:
    if isinstance(diagnoser, str) and diagnoser in REFERENCES:
        return REFERENCES[diagnoser](dataset, fit_on, sheet)
    return resolve(diagnoser)


# -------------------------------------------------------------------------------------------- the answers


@dataclass(frozen=True)
class _Answers:
    """What a diagnoser said about n curves.

    Attributes:
        probabilities: (n, 6) float64, rows summing to one.
        prescribed: n remedies, None for what the diagnosis stands for.
        is_abstained: (n,) bool, all on which no action is to be taken.
        is_crashed: (n,) bool, those of them on which it failed.
        microseconds_per_curve: median over repetitions.
    """

    probabilities: Float
    prescribed: list[Remedy | None]
    is_abstained: Bool
    is_crashed: Bool
    microseconds_per_curve: float

    @property
    def prediction(self) -> Int:
        """(n,) int, the most probable diagnosis (of equals the first); healthy where it abstained."""
        return np.where(self.is_abstained, HEALTHY, self.probabilities.argmax(axis=1))


def _ask(candidate: Diagnoser, X: Float, training: tuple[Float, NDArray[np.str_]] | None) -> _Answers:
    foreign: Any = candidate
    if training is not None:
        foreign.fit(*training)
    begin = time.perf_counter()
    said = candidate.predict_proba(X)
    seconds = time.perf_counter() - begin
    probabilities = checked_probabilities(said, len(X), getattr(candidate, "classes_", None))

    def flags(method: str) -> Bool:
        has_it = _has(candidate, method)
        return checked_flags(getattr(foreign, method)(X), len(X), method) if has_it else np.zeros(len(X), np.bool_)

    is_crashed = flags("crashed")
    is_abstained = flags("abstain") | is_crashed
    prescribed: list[Remedy | None] = [None] * len(X)
    if _has(candidate, "prescribe"):
        prescribed = checked_prescriptions(foreign.prescribe(X), len(X))
    microseconds = _microseconds_per_curve(candidate, X, seconds)
    return _Answers(probabilities, prescribed, is_abstained, is_crashed, microseconds)


def _microseconds_per_curve(candidate: Diagnoser, X: Float, first_seconds: float) -> float:
    """Median time of `predict_proba` on all curves at once, per curve."""
    seconds = [first_seconds]
    while len(seconds) < MAX_REPETITIONS and sum(seconds) < SECONDS_FOR_REPETITIONS:
        begin = time.perf_counter()
        candidate.predict_proba(X)
        seconds.append(time.perf_counter() - begin)
    return 1e6 * statistics.median(seconds) / len(X)


# --------------------------------------------------------------------------------------------- the scores


def _scored(
    result: Result, sheet: _AnswerSheet, answers: _Answers, dataset: Dataset, fit_on: Dataset, n_bootstrap: int
) -> Result:
    treatment = _treatment(sheet, answers, dataset, fit_on)
    judged = _judged(sheet, answers, treatment, dataset)
    sums = sums_by_instance(judged, sheet.instance, len(sheet.family))
    weights = draw_weights(strata(sheet.family), n_bootstrap)
    return replace(
        result,
        counts=replace(
            result.counts,
            n_abstained=int(answers.is_abstained.sum()),
            n_crashed=int(answers.is_crashed.sum()),
            n_snapped=int(treatment.is_snapped.sum()),
            n_unmatched=int(treatment.is_unmatched.sum()),
        ),
        scores=scores(judged),
        intervals=intervals(sums, weights, scores_from_sums),
        confusion=tuple(tuple(row) for row in confusion(judged).tolist()),
        microseconds_per_curve=answers.microseconds_per_curve,
    )


def _judged(sheet: _AnswerSheet, answers: _Answers, treatment: Treatment, dataset: Dataset) -> Judged:
    return Judged(
        label=sheet.label,
        accepted=sheet.accepted,
        prediction=answers.prediction,
        probabilities=answers.probabilities,
        net_gain=treatment.net_gain,
        oracle_net_gain=_oracle_net_gain(sheet, dataset),
    )


def _treatment(sheet: _AnswerSheet, answers: _Answers, dataset: Dataset, fit_on: Dataset) -> Treatment:
    """Every run treated as prescribed, else as its diagnosis stands for; not at all where the diagnoser abstained."""
    meta = dataset.meta
    stands_for = remedies_of(fit_on.meta.fixed_actions, fit_on.meta.remedies)
    said = zip(answers.prescribed, answers.prediction, strict=True)
    wanted = [stands_for[i] if remedy is None else remedy for remedy, i in said]
    wanted = [NO_REMEDY if no else remedy for no, remedy in zip(answers.is_abstained, wanted, strict=True)]
    return treat(wanted, meta.remedies, sheet.gains, meta.cost_weight)


def _oracle_net_gain(sheet: _AnswerSheet, dataset: Dataset) -> NDArray[np.float64]:
    meta = dataset.meta
    wanted = [meta.remedies[i] for i in sheet.oracle]
    return treat(wanted, meta.remedies, sheet.gains, meta.cost_weight).net_gain
