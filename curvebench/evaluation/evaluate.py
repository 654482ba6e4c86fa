"""Put a diagnoser to the test: show it the curves of a split, treat each run as it says, and score what came of it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from traceback import format_exception_only
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curvebench.data.dataset import Dataset, content_sha256
from curvebench.diagnosers import InvalidOutput, name_of, real_numbers, resolve
from curvebench.diagnosers.trivial import ConstantBest, Oracle
from curvebench.evaluation.bootstrap import draw_weights, intervals, strata
from curvebench.evaluation.results import FAILED, INVALID_OUTPUT, OK, Counts, Result
from curvebench.evaluation.scores import HEALTHY, Judged, confusion, scores, scores_from_sums, sums_by_instance
from curvebench.remedies import (
    Treatment,
    best_single_action,
    is_prescribable,
    oracle_actions,
    remedies_of,
    treat,
)
from curvebench.spec import (
    DIAGNOSES,
    NO_REMEDY,
    SPLITS,
    TRACKS,
    Bool,
    Diagnoser,
    Float,
    InputError,
    Int,
    Remedy,
    UsageError,
)

ROW_SUM_TOLERANCE = 1e-3
"""Probabilities of a curve may miss one by this much; they are divided by their sum before they are scored."""

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
) -> Result:
    """Score a diagnoser on the runs of a split whose label is one of the six diagnoses.

    A diagnoser with `fit(X, y)` is fitted first, on the scored runs of the split `train`. What it then predicts, and
    prescribes or stands for, is scored as `curvebench.evaluation.scores.scores` says. Where it abstains no action is
    taken, and its prediction counts as healthy. A diagnoser with the attribute `classes_`, as scikit-learn's and aeon's
    classifiers have it, is taken to answer in the order of its classes; any other in the order of `DIAGNOSES`.

    Args:
        dataset: the labelled runs.
        diagnoser: a name of the registry, "package.module:attribute", a class, an object with `predict_proba`, or a
            function of one curve; see `curvebench.diagnosers.resolve`. Of the names, "oracle" and "constant-best" are
            references: they are told answers that no diagnoser is shown.
        split: one of `SPLITS`.
        track: what the diagnoser is shown, one of `TRACKS`; by default the smallest that it needs.
        n_bootstrap: draws from which the intervals are taken.
        name: what to call it on a board; by default the given name, or that of the class or function.
        fit_on: whose split `train` a diagnoser is fitted on, and whose fixed actions diagnoses stand for; by default
            the data set itself. What it prescribes and `dataset` has not tried is replaced there by the nearest.

    Returns:
        The result. If the diagnoser raised, or answered with something else than the contract asks for, that is its
        status, and it has no scores.

    Raises:
        UsageError: if there is no such diagnoser, split or track, the track hides what the diagnoser needs, or there
            is to be less than one draw.
        InputError: if the split has no scored runs, or a diagnoser is to be fitted and `train` has none, or curves of
            another length.
    """
    return examine(dataset, diagnoser, split=split, track=track, n_bootstrap=n_bootstrap, name=name, fit_on=fit_on)[0]


def examine(
    dataset: Dataset,
    diagnoser: object,
    *,
    split: str = "test",
    track: str | None = None,
    n_bootstrap: int = 1000,
    name: str | None = None,
    fit_on: Dataset | None = None,
) -> tuple[Result, Judgement | None]:
    """The result of `evaluate`, and what each run brought, None where there are no scores; arguments as there."""
    if n_bootstrap < 1:
        raise UsageError(f"Intervals need at least one bootstrap draw, not {n_bootstrap}.")
    if fit_on is None:
        fit_on = dataset
    sheet = _answer_sheet(dataset, split)
    candidate = _candidate(dataset, fit_on, sheet, diagnoser)
    track = checked_track(candidate, track)
    sha256 = content_sha256(dataset)
    result = Result(
        diagnoser=name or name_of(diagnoser),
        status=OK,
        message="",
        track=track,
        split=split,
        counts=Counts(len(sheet.rows), len(sheet.family), len(np.unique(sheet.family))),
        dataset_sha256=sha256,
        fit_on_sha256=sha256 if fit_on is dataset else content_sha256(fit_on),
    )
    training = _training_set(fit_on, dataset, track) if _has(candidate, "fit") else None
    try:
        answers = _ask(candidate, _shown(dataset, track, sheet.rows), training)
    except InvalidOutput as error:
        return replace(result, status=INVALID_OUTPUT, message=_one_line(str(error))), None
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever a foreign diagnoser does is its result, not our end
        return replace(result, status=FAILED, message=_one_line("".join(format_exception_only(error)))), None
    treatment = _treatment(sheet, answers, dataset, fit_on)
    judgement = Judgement(_judged(sheet, answers, treatment, dataset), sheet.rows, sheet.instance, sheet.family)
    return _scored(result, judgement, answers, treatment, n_bootstrap), judgement


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

    @property
    def sums(self) -> NDArray[np.float64]:
        """(n_instances, n_sums) what scores are computed from."""
        return sums_by_instance(self.judged, self.instance, len(self.family))


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
    line = " ".join(text.split())
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
        prescribed: n remedies; None if it does not prescribe.
        is_abstained: (n,) bool.
        microseconds_per_curve: median over repetitions.
    """

    probabilities: Float
    prescribed: list[Remedy] | None
    is_abstained: Bool
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
    probabilities = _checked_probabilities(said, len(X), getattr(candidate, "classes_", None))
    is_abstained = np.zeros(len(X), dtype=np.bool_)
    if _has(candidate, "abstain"):
        is_abstained = _checked_abstentions(foreign.abstain(X), len(X))
    prescribed = None
    if _has(candidate, "prescribe"):
        prescribed = _checked_prescriptions(foreign.prescribe(X), len(X))
    return _Answers(probabilities, prescribed, is_abstained, _microseconds_per_curve(candidate, X, seconds))


def _microseconds_per_curve(candidate: Diagnoser, X: Float, first_seconds: float) -> float:
    """Median time of `predict_proba` on all curves at once, per curve."""
    seconds = [first_seconds]
    while len(seconds) < MAX_REPETITIONS and sum(seconds) < SECONDS_FOR_REPETITIONS:
        begin = time.perf_counter()
        candidate.predict_proba(X)
        seconds.append(time.perf_counter() - begin)
    return 1e6 * statistics.median(seconds) / len(X)


def _checked_probabilities(said: object, n_curves: int, classes: Sequence[object] | None) -> NDArray[np.float64]:
    """(n_curves, 6) probabilities in the order of `DIAGNOSES`, rows summing to one."""
    answer = _as_floats(said, "predict_proba")
    n_columns = len(DIAGNOSES) if classes is None else len(classes)
    if answer.shape != (n_curves, n_columns):
        raise InvalidOutput(f"predict_proba returned the shape {answer.shape}; it must be {(n_curves, n_columns)}.")
    if not np.isfinite(answer).all():
        raise InvalidOutput("predict_proba returned NaN or infinite numbers; they must be probabilities.")
    if (answer < 0).any():
        raise InvalidOutput(f"predict_proba returned {answer.min():.3g}; probabilities are not negative.")
    sums = answer.sum(axis=1, keepdims=True)
    worst = float(sums.flat[np.abs(sums - 1).argmax()])
    if abs(worst - 1) > ROW_SUM_TOLERANCE:
        raise InvalidOutput(f"predict_proba returned a row that sums to {worst:.6g}; rows must sum to one.")
    normalised: NDArray[np.float64] = answer / sums
    return normalised if classes is None else _in_order(normalised, classes)


def _in_order(answer: Float, classes: Sequence[object]) -> NDArray[np.float64]:
    """Columns moved from the order of `classes` to that of `DIAGNOSES`; zero for a diagnosis that is none of them."""
    names = [str(c) for c in classes]
    unknown = [name for name in names if name not in DIAGNOSES]
    if unknown:
        raise InvalidOutput(f"classes_ holds {unknown[0]!r}; allowed are {', '.join(DIAGNOSES)}.")
    if len(set(names)) < len(names):
        raise InvalidOutput("classes_ holds a diagnosis twice.")
    ordered = np.zeros((len(answer), len(DIAGNOSES)))
    ordered[:, [DIAGNOSES.index(name) for name in names]] = answer
    return ordered


def _checked_abstentions(said: object, n_curves: int) -> Bool:
    answer = _as_floats(said, "abstain")
    if answer.shape != (n_curves,) or not np.isin(answer, (0, 1)).all():
        raise InvalidOutput(f"abstain must return {n_curves} truth values, one for each curve.")
    return answer.astype(np.bool_)


def _as_floats(said: object, method: str) -> NDArray[np.float64]:
    try:
        return real_numbers(said)
    except TypeError as error:
        raise InvalidOutput(f"{method} returned {error}.") from None


def _checked_prescriptions(said: object, n_curves: int) -> list[Remedy]:
    prescribed = list(said) if isinstance(said, Sequence | np.ndarray) else []
    if len(prescribed) != n_curves:
        raise InvalidOutput(f"prescribe must return {n_curves} remedies, one for each curve.")
    for remedy in prescribed:
        if not (isinstance(remedy, Remedy) and is_prescribable(remedy)):
            raise InvalidOutput(
                f"prescribe returned {remedy!r}; it must be a Remedy other than train_longer, with a positive factor "
                "and a start in [0, 1)."
            )
    return prescribed


# --------------------------------------------------------------------------------------------- the scores


def _scored(result: Result, judgement: Judgement, answers: _Answers, treatment: Treatment, n_bootstrap: int) -> Result:
    judged = judgement.judged
    weights = draw_weights(strata(judgement.family), n_bootstrap)
    return replace(
        result,
        counts=replace(
            result.counts,
            n_abstained=int(answers.is_abstained.sum()),
            n_snapped=int(treatment.is_snapped.sum()),
            n_unmatched=int(treatment.is_unmatched.sum()),
        ),
        scores=scores(judged),
        intervals=intervals(judgement.sums, weights, scores_from_sums),
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
    wanted = answers.prescribed
    if wanted is None:
        stands_for = remedies_of(fit_on.meta.fixed_actions, fit_on.meta.remedies)
        wanted = [stands_for[i] for i in answers.prediction]
    wanted = [NO_REMEDY if no else remedy for no, remedy in zip(answers.is_abstained, wanted, strict=True)]
    return treat(wanted, meta.remedies, sheet.gains, meta.cost_weight)


def _oracle_net_gain(sheet: _AnswerSheet, dataset: Dataset) -> NDArray[np.float64]:
    meta = dataset.meta
    wanted = [meta.remedies[i] for i in sheet.oracle]
    return treat(wanted, meta.remedies, sheet.gains, meta.cost_weight).net_gain
