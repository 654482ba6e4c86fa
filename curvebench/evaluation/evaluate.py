"""Put a diagnoser to the test: show it the curves of a split, treat each run as it says, and score what came of it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from traceback import format_exception_only
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from curvebench.data.dataset import Meta, Table, cell_rate, gather, pieces_of, rows_of_split, stack_channels
from curvebench.data.views import SHORTER, VIEWS
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

T = TypeVar("T")

N_BOOTSTRAP = 1000
"""Draws from which intervals are taken."""

MAX_REPETITIONS, SECONDS_FOR_REPETITIONS = 5, 1.0
"""The prediction is repeated for timing up to five times in all, while less than a second has gone by."""

BATCH = 4096
"""Curves that a diagnoser is asked about at once, at most; the same ones whether they lie in one file or in many."""

_MAX_MESSAGE = 300


def evaluate(
    dataset: Table,
    diagnoser: object,
    *,
    split: str = "test",
    track: str | None = None,
    n_bootstrap: int = N_BOOTSTRAP,
    name: str | None = None,
    fit_on: Table | None = None,
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
        dataset: the labelled runs, in memory or in a folder, which is then read shard by shard.
        diagnoser: a name, the path of a fitted model, a class, an object with `predict_proba`, a classifier, or a
            function of one curve; see `curvebench.diagnosers.resolve`. Of the names, "oracle" and "constant-best" are
            references: they are told answers that no diagnoser is shown.
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
    (examination,) = examine(
        dataset,
        diagnoser,
        {split: None},
        track=track,
        n_bootstrap=n_bootstrap,
        name=name,
        fit_on=fit_on,
        isolation=isolation,
        limits=limits,
        hidden=hidden,
    )
    return examination.result


@dataclass(frozen=True)
class Judgement:
    """What a diagnoser's answers about the scored runs of a split brought.

    Attributes:
        judged: the n runs.
        rows: (n,) int, their rows in the data set.
        instance: (n,) int, number of the problem instance of each.
        family: (n_instances,) text, problem family of each instance.
        remedy: (n,) int, index of what each run was treated with; -1 where nothing like the prescribed was tried.
    """

    judged: Judged
    rows: Int
    instance: Int
    family: NDArray[np.str_]
    remedy: Int


@dataclass(frozen=True)
class Examination:
    """A result with the answers that it rests on.

    Attributes:
        result: of one split.
        view: what the curves were shown as, one of `curvebench.data.views.VIEWS`.
        answers: what the diagnoser said; None unless the result is `OK`.
        judgement: what came of it; None unless the result is `OK`.
    """

    result: Result
    view: str
    answers: Answers | None = None
    judgement: Judgement | None = None


def examine(
    dataset: Table,
    diagnoser: object,
    runs: Mapping[str, Int | None],
    *,
    views: Sequence[str] = ("whole",),
    track: str | None = None,
    n_bootstrap: int = N_BOOTSTRAP,
    name: str | None = None,
    fit_on: Table | None = None,
    isolation: str = "none",
    limits: ProcessLimits | None = None,
    hidden: Sequence[Path] = (),
) -> list[Examination]:
    """Score a diagnoser on several splits and views; see `evaluate` for the rest.

    It is fitted once, on whole curves, and anew for each view that has fewer points, on curves in that view.

    Args:
        dataset: the labelled runs.
        diagnoser: as for `evaluate`.
        runs: split -> rows of those of its scored runs that are asked about, ascending; None for all of them.
        views: names of `curvebench.data.views.VIEWS`: what the curves are shown as.
        track: as for `evaluate`.
        n_bootstrap: as for `evaluate`.
        name: as for `evaluate`.
        fit_on: as for `evaluate`.
        isolation: as for `evaluate`; one process for all splits and views.
        limits: as for `evaluate`.
        hidden: as for `evaluate`.

    Returns:
        One for each split and view, split by split.

    Raises:
        UsageError: as for `evaluate`.
        InputError: as for `evaluate`.
    """
    if n_bootstrap < 1:
        raise UsageError(f"Intervals need at least one bootstrap draw, not {n_bootstrap}.")
    if fit_on is None:
        fit_on = dataset
    sheets = {split: _answer_sheet(dataset, split, rows) for split, rows in runs.items()}
    bases = {
        split: _unscored(dataset, fit_on, sheet, name or name_of(diagnoser), split, track or "curve")
        for split, sheet in sheets.items()
    }
    if not is_reference(diagnoser):
        bases = {split: replace(base, isolation=isolation) for split, base in bases.items()}
    with ExitStack() as stack:

        def candidates() -> dict[str, Diagnoser]:
            if isolation == "none" or is_reference(diagnoser):
                made = _candidates(dataset, fit_on, sheets, diagnoser)
            else:
                inside = stack.enter_context(isolated(diagnoser, isolation, limits or ProcessLimits(), hidden))
                made = dict.fromkeys(sheets, inside)
            for split, one in made.items():
                bases[split] = replace(bases[split], track=checked_track(one, track))
            return made

        made = _attempt(candidates, passed=CurveBenchError)  # what the caller got wrong
        if isinstance(made, _Failure):
            return [made.of(bases[split], view) for split, view in product(runs, views)]
        return _examined(dataset, fit_on, sheets, bases, made, views, n_bootstrap)


def _examined(
    dataset: Table,
    fit_on: Table,
    sheets: Mapping[str, _AnswerSheet],
    bases: Mapping[str, Result],
    candidates: Mapping[str, Diagnoser],
    views: Sequence[str],
    n_bootstrap: int,
) -> list[Examination]:
    """Fit, ask and score; whatever a foreign diagnoser does is its result, not our end."""
    first = next(iter(candidates.values()))
    track = next(iter(bases.values())).track
    found: dict[tuple[str, str], Examination] = {}
    for fit_view, seen_after in _by_fit(views).items():
        failure = _attempt(partial(_fit, first, fit_on, dataset, track, fit_view))
        for split, view in product(sheets, seen_after):
            sheet = sheets[split]
            batches = partial(_batches, dataset, track, sheet.rows, view)
            ask = partial(_ask, candidates[split], batches, is_timed=view == "whole")
            outcome = _attempt(ask) if failure is None else failure
            if isinstance(outcome, _Failure):
                found[split, view] = outcome.of(bases[split], view)
            else:
                found[split, view] = _scored(bases[split], view, sheet, outcome, dataset, fit_on, n_bootstrap)
    return [found[split, view] for split, view in product(sheets, views)]


def _by_fit(views: Sequence[str]) -> dict[str, list[str]]:
    """View to be fitted on -> views to be asked about."""
    after: dict[str, list[str]] = {}
    for view in views:
        after.setdefault(view if view in SHORTER else "whole", []).append(view)
    return after


def mark(
    dataset: Table,
    split: str,
    answers: Answers | None,
    *,
    rows: Int | None = None,
    track: str = "curve",
    view: str = "whole",
    n_bootstrap: int = N_BOOTSTRAP,
    name: str = "",
) -> Examination:
    """Score answers that were given before, as `examine` does.

    Args:
        dataset: the labelled runs.
        split: one of `SPLITS`.
        answers: to the scored runs of the split, or to `rows`; None where there are none to score.
        rows: of the runs that were asked about, ascending; None: all scored runs of the split.
        track: what was shown.
        view: as what.
        n_bootstrap: draws from which the intervals are taken.
        name: of the diagnoser.

    Raises:
        UsageError: there is no such split.
        InputError: the split has no scored runs, the rows are not its own, or there are more or fewer answers.
    """
    sheet = _answer_sheet(dataset, split, rows)
    base = _unscored(dataset, dataset, sheet, name, split, track)
    if answers is None:
        return Examination(base, view)
    if len(answers.probabilities) != len(sheet.rows):
        raise InputError(
            f"There are {len(answers.probabilities)} answers about {len(sheet.rows)} runs of the split {split!r}."
        )
    return _scored(base, view, sheet, answers, dataset, dataset, n_bootstrap)


@dataclass(frozen=True)
class _Failure:
    """How a diagnoser ended that did not answer."""

    status: str
    message: str

    def of(self, base: Result, view: str) -> Examination:
        return Examination(replace(base, status=self.status, message=one_line(self.message)), view)


def _attempt(work: Callable[[], T], passed: type[BaseException] = KeyboardInterrupt) -> T | _Failure:
    """What the work returns, or how it ended; a person's interruption is passed on."""
    try:
        return work()
    except (KeyboardInterrupt, passed):
        raise
    except BaseException as error:
        return _failure(error)


def _failure(error: BaseException) -> _Failure:
    match error:
        case InvalidOutput():
            return _Failure(INVALID_OUTPUT, str(error))
        case TimedOut():
            return _Failure(TIMED_OUT, str(error))
        case OutOfMemory():
            return _Failure(OUT_OF_MEMORY, str(error))
        case MemoryError():
            return _Failure(OUT_OF_MEMORY, "".join(format_exception_only(error)))
        case ChildFailed() | InputError():
            return _Failure(FAILED, str(error))
        case _:
            return _Failure(FAILED, "".join(format_exception_only(error)))


def _unscored(dataset: Table, fit_on: Table, sheet: _AnswerSheet, name: str, split: str, track: str) -> Result:
    return Result(
        diagnoser=name,
        status=OK,
        message="",
        track=track,
        split=split,
        counts=Counts(len(sheet.rows), len(sheet.family), len(np.unique(sheet.family))),
        dataset_sha256=dataset.content_sha256,
        fit_on_sha256=fit_on.content_sha256,
    )


def judge(dataset: Table, diagnoser: object, *, split: str = "test", track: str | None = None) -> Judgement:
    """What `evaluate` computes its scores from; arguments and errors as there, but what the diagnoser raises passes."""
    sheet = _answer_sheet(dataset, split)
    candidate = _candidates(dataset, dataset, {split: sheet}, diagnoser)[split]
    track = checked_track(candidate, track)
    _fit(candidate, dataset, dataset, track, "whole")
    answers = _ask(candidate, partial(_batches, dataset, track, sheet.rows, "whole"), is_timed=False)
    return _judgement(sheet, answers, _treatment(sheet, answers, dataset, dataset))


def fit_on_train(
    dataset: Table, diagnoser: object, *, track: str | None = None, also: Sequence[Table] = ()
) -> Diagnoser:
    """Make a diagnoser and fit it on the scored runs of the split `train`, as `evaluate` does before it scores.

    Args:
        dataset: the labelled runs.
        diagnoser: with `fit`; given as to `evaluate`, but no reference.
        track: what it is shown, one of `TRACKS`; by default the smallest that it needs.
        also: more data sets of as many points, on whose splits `train` it is fitted too.

    Returns:
        The fitted diagnoser.

    Raises:
        UsageError: there is no such diagnoser or track, or it has no `fit`.
        InputError: `train` has no scored runs.
    """
    candidate: Any = resolve(diagnoser)
    if not _has(candidate, "fit"):
        raise UsageError(f"{name_of(diagnoser)} is not fitted to anything: it has no method fit(X, y).")
    chosen = checked_track(candidate, track)
    sets = [_training_set(table, dataset, chosen, "whole") for table in (dataset, *also)]
    candidate.fit(np.concatenate([X for X, _ in sets]), np.concatenate([y for _, y in sets]))
    made: Diagnoser = candidate
    return made


def _has(candidate: object, method: str) -> bool:
    return callable(getattr(candidate, method, None))


def one_line(text: str) -> str:
    """A text as the message of a result: printable characters, not too many."""
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
        oracle_net_gain: (n,) float64, what it brings.
        instance: (n,) int, number of the problem instance.
        problem: (n_instances,) text, names of the problem instances, sorted.
        family: (n_instances,) text.
    """

    rows: Int
    label: Int
    accepted: Bool
    gains: Float
    oracle: Int
    oracle_net_gain: Float
    instance: Int
    problem: NDArray[np.str_]
    family: NDArray[np.str_]


def _answer_sheet(dataset: Table, split: str, asked: Int | None = None) -> _AnswerSheet:
    """The sheet for all scored runs of a split, or for those of them that are asked about."""
    rows = scored_rows(dataset, split)
    if asked is not None:
        if not (len(asked) and np.isin(asked, rows).all() and (np.diff(asked) > 0).all()):
            raise InputError(f"The rows asked about are not, in ascending order, scored runs of the split {split!r}.")
        rows = asked
    parts = [_part_of_sheet(piece, own, dataset.meta) for piece, own in pieces_of(dataset, _ON_SHEET, rows)]
    return replace(_joined(parts), rows=rows)


_ON_SHEET = ("diagnosis", "accepted", "remedy_gain", "seed", "cell", "base_lr", "problem", "problem_family")


def _part_of_sheet(piece: Mapping[str, NDArray[Any]], rows: Int, meta: Meta) -> _AnswerSheet:
    """The sheet for some rows of a piece, which has the other seeds of each of them too."""
    gains = piece["remedy_gain"][rows]
    oracle = oracle_actions(gains, cell_rate(piece)[rows], piece["seed"][rows], meta.remedies, meta.cost_weight)
    problem, first, instance = np.unique(piece["problem"][rows], return_index=True, return_inverse=True)
    return _AnswerSheet(
        rows=rows,
        label=np.array([DIAGNOSES.index(d) for d in piece["diagnosis"][rows]], dtype=np.intp),
        accepted=piece["accepted"][rows].astype(np.bool_),
        gains=gains,
        oracle=oracle,
        oracle_net_gain=treat([meta.remedies[i] for i in oracle], meta.remedies, gains, meta.cost_weight).net_gain,
        instance=instance,
        problem=problem,
        family=piece["problem_family"][rows][first],
    )


def _joined(parts: Sequence[_AnswerSheet]) -> _AnswerSheet:
    """One sheet for all rows, with the problem instances numbered through."""

    def all_of(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(part, name) for part in parts])

    problem, first, number = np.unique(all_of("problem"), return_index=True, return_inverse=True)
    numbers = np.split(number, np.cumsum([len(part.problem) for part in parts])[:-1])
    of_runs = ("rows", "label", "accepted", "gains", "oracle", "oracle_net_gain")
    return _AnswerSheet(
        **{name: all_of(name) for name in of_runs},
        instance=np.concatenate([own[part.instance] for own, part in zip(numbers, parts, strict=True)]),
        problem=problem,
        family=all_of("family")[first],
    )


def scored_rows(dataset: Table, split: str) -> Int:
    """Rows of the scored runs of a split, ascending.

    Raises:
        UsageError: there is no such split.
        InputError: it has no such runs.
    """
    if split not in SPLITS:
        raise UsageError(f"There is no split {split!r}; there are {', '.join(SPLITS)}.")
    rows = rows_of_split(dataset, split, scored_only=True)
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


def _batches(dataset: Table, track: str, rows: Int, view: str) -> Iterator[NDArray[np.float32]]:
    """(n, n_channels, n_points) curves of some rows in a view, at most `BATCH` at a time."""
    channels = TRACKS[track]
    waiting = np.empty((0, len(channels), dataset.n_points), dtype=np.float32)
    for piece, own in pieces_of(dataset, channels, rows):
        waiting = np.concatenate([waiting, stack_channels(piece, channels, own)])
        while len(waiting) >= BATCH:
            yield _read_only(VIEWS[view](waiting[:BATCH]))
            waiting = waiting[BATCH:]
    if len(waiting):
        yield _read_only(VIEWS[view](waiting))


def _read_only(X: NDArray[np.float32]) -> NDArray[np.float32]:
    """The curves as an array that can't be made writeable again."""
    X.setflags(write=False)
    return X.view()


def _training_set(fit_on: Table, dataset: Table, track: str, view: str) -> tuple[NDArray[np.float32], NDArray[np.str_]]:
    """Curves and labels of the scored runs of the split `train`, as long as those that will be asked about."""
    rows = scored_rows(fit_on, "train")
    if fit_on.n_points != dataset.n_points:
        raise InputError(
            f"The curves to fit on have {fit_on.n_points} points and those to score {dataset.n_points}; "
            "fit on a data set with as many."
        )
    X = np.concatenate(list(_batches(fit_on, track, rows, view)))
    return _read_only(X), gather(fit_on, ("diagnosis",), rows)["diagnosis"]


# ------------------------------------------------------------------------------------------- who is asked


def _constant_best(dataset: Table, fit_on: Table, sheet: _AnswerSheet) -> Diagnoser:
    """The single remedy that is best for all scored runs of the split `train`."""
    meta = fit_on.meta
    gains = gather(fit_on, ("remedy_gain",), scored_rows(fit_on, "train"))["remedy_gain"]
    return ConstantBest(meta.remedies[best_single_action(gains, meta.remedies, meta.cost_weight)])


def _oracle(dataset: Table, fit_on: Table, sheet: _AnswerSheet) -> Diagnoser:
    """The labels of the runs that are asked about, and what was best for the other seeds."""
    labels = [DIAGNOSES[i] for i in sheet.label]
    return Oracle(labels, [dataset.meta.remedies[i] for i in sheet.oracle])


REFERENCES: Mapping[str, Callable[[Table, Table, _AnswerSheet], Diagnoser]] = {
    "constant-best": _constant_best,
    "oracle": _oracle,
}
"""Names that are told answers. Only these: whatever else is evaluated gets curves, and labels of `train` to fit."""


def _candidates(
    dataset: Table, fit_on: Table, sheets: Mapping[str, _AnswerSheet], diagnoser: object
) -> dict[str, Diagnoser]:
    """Split -> who is asked about it: one and the same, but for a reference, which is told the split's answers."""
    if isinstance(diagnoser, str) and diagnoser in REFERENCES:
        return {split: REFERENCES[diagnoser](dataset, fit_on, sheet) for split, sheet in sheets.items()}
    return dict.fromkeys(sheets, resolve(diagnoser))


# -------------------------------------------------------------------------------------------- the answers


@dataclass(frozen=True)
class Answers:
    """What a diagnoser said about n curves.

    Attributes:
        probabilities: (n, 6) float32, rows summing to one.
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


def _fit(candidate: Any, fit_on: Table, dataset: Table, track: str, view: str) -> None:
    """Fit a diagnoser that can be fitted."""
    if _has(candidate, "fit"):
        candidate.fit(*_training_set(fit_on, dataset, track, view))


def _ask(candidate: Diagnoser, batches: Callable[[], Iterator[Float]], *, is_timed: bool) -> Answers:
    """What is said about all batches; the first tells how long it takes, if that is asked."""
    parts: list[Answers] = []
    start = 0
    for X in batches():
        one = candidate.part(start, start + len(X)) if isinstance(candidate, Oracle) else candidate
        parts.append(_ask_about(one, X, MAX_REPETITIONS if is_timed and not parts else 1))
        start += len(X)
    return Answers(
        probabilities=np.concatenate([part.probabilities for part in parts]),
        prescribed=[remedy for part in parts for remedy in part.prescribed],
        is_abstained=np.concatenate([part.is_abstained for part in parts]),
        is_crashed=np.concatenate([part.is_crashed for part in parts]),
        microseconds_per_curve=sum(part.microseconds_per_curve * len(part.is_crashed) for part in parts) / start,
    )


def _ask_about(candidate: Diagnoser, X: Float, n_repetitions: int) -> Answers:
    foreign: Any = candidate
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
    return Answers(
        probabilities=probabilities.astype(np.float32),  # as they are stored, so that scores can be computed again
        prescribed=prescribed,
        is_abstained=is_abstained,
        is_crashed=is_crashed,
        microseconds_per_curve=_microseconds_per_curve(candidate, X, seconds, n_repetitions),
    )


def _microseconds_per_curve(candidate: Diagnoser, X: Float, first_seconds: float, n_repetitions: int) -> float:
    """Median time of `predict_proba` on all curves at once, per curve."""
    seconds = [first_seconds]
    while len(seconds) < n_repetitions and sum(seconds) < SECONDS_FOR_REPETITIONS:
        begin = time.perf_counter()
        candidate.predict_proba(X)
        seconds.append(time.perf_counter() - begin)
    return 1e6 * statistics.median(seconds) / len(X)


# --------------------------------------------------------------------------------------------- the scores


def _scored(
    result: Result,
    view: str,
    sheet: _AnswerSheet,
    answers: Answers,
    dataset: Table,
    fit_on: Table,
    n_bootstrap: int,
) -> Examination:
    treatment = _treatment(sheet, answers, dataset, fit_on)
    judgement = _judgement(sheet, answers, treatment)
    sums = sums_by_instance(judgement.judged, sheet.instance, len(sheet.family))
    weights = draw_weights(strata(sheet.family), n_bootstrap)
    scored = replace(
        result,
        counts=replace(
            result.counts,
            n_abstained=int(answers.is_abstained.sum()),
            n_crashed=int(answers.is_crashed.sum()),
            n_snapped=int(treatment.is_snapped.sum()),
            n_unmatched=int(treatment.is_unmatched.sum()),
        ),
        scores=scores(judgement.judged),
        intervals=intervals(sums, weights, scores_from_sums),
        confusion=tuple(tuple(row) for row in confusion(judgement.judged).tolist()),
        microseconds_per_curve=answers.microseconds_per_curve,
    )
    return Examination(scored, view, answers, judgement)


def _judgement(sheet: _AnswerSheet, answers: Answers, treatment: Treatment) -> Judgement:
    judged = Judged(
        label=sheet.label,
        accepted=sheet.accepted,
        prediction=answers.prediction,
        probabilities=answers.probabilities.astype(np.float64),
        net_gain=treatment.net_gain,
        oracle_net_gain=sheet.oracle_net_gain,
    )
    return Judgement(judged, sheet.rows, sheet.instance, sheet.family, treatment.index)


def _treatment(sheet: _AnswerSheet, answers: Answers, dataset: Table, fit_on: Table) -> Treatment:
    """Every run treated as prescribed, else as its diagnosis stands for; not at all where the diagnoser abstained."""
    meta = dataset.meta
    stands_for = remedies_of(fit_on.meta.fixed_actions, fit_on.meta.remedies)
    said = zip(answers.prescribed, answers.prediction, strict=True)
    wanted = [stands_for[i] if remedy is None else remedy for remedy, i in said]
    wanted = [NO_REMEDY if no else remedy for no, remedy in zip(answers.is_abstained, wanted, strict=True)]
    return treat(wanted, meta.remedies, sheet.gains, meta.cost_weight)
