"""All evaluations of one diagnoser on one data set, and the two files that they become: JSON, and arrays."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from curvebench.data.views import FRACTION_SEEN, LOGGED_OTHERWISE, VIEWS
from curvebench.diagnosers import KINDS
from curvebench.diagnosers.identity import Identity
from curvebench.evaluation.breakdowns import BASE_RATES, SEVERITY_EDGES, BaseRate, Reliability, SeverityBin
from curvebench.evaluation.evaluate import Answers
from curvebench.evaluation.json_reading import Node, parse
from curvebench.evaluation.predictions import answers_of, arrays_of, from_npz, to_npz
from curvebench.evaluation.results import FAILED, INVALID_OUTPUT, OK, Counts
from curvebench.evaluation.scores import N_CLASSES, N_CONFIDENCE_BINS, SCORES
from curvebench.spec import DIAGNOSES, SPLITS, TRACKS, InputError, Int

FORMAT, VERSION = "curvebench-result", 1

STATUSES: tuple[str, ...] = (OK, FAILED, INVALID_OUTPUT, "timed_out", "out_of_memory")
"""How an evaluation may have ended."""

OWN = "own"
"""Kind of a diagnoser that is not in the registry."""

ALL, STRATIFIED = "all", "stratified"
"""Which scored runs were asked about: all of them, or the fixed sample of `curvebench.evaluation.subset`."""

MAX_JSON_BYTES = 4 * 1024**2
MAX_NAME, MAX_MESSAGE = 80, 300
MAX_RUNS = 10_000_000

_ADDED = ("value", "macro_f1")


@dataclass(frozen=True)
class DataSetName:
    """Which data set.

    Attributes:
        name: of its recipe.
        version: of its recipe.
        content_sha256: content hash.
        n_points: of its curves.
    """

    name: str
    version: int
    content_sha256: str
    n_points: int

    @property
    def folder(self) -> str:
        """Name of the folder that its results lie in."""
        return slug(f"{self.name}-v{self.version}")


@dataclass(frozen=True)
class Circumstances:
    """When and where a report was made.

    Attributes:
        time: UTC, ISO 8601 to the second.
        machine: processor and number of cores.
        python: version.
        versions: package -> version.
    """

    time: str
    machine: str
    python: str
    versions: Mapping[str, str]


@dataclass(frozen=True)
class Subset:
    """Which of the scored runs were asked about.

    Attributes:
        name: `ALL` or `STRATIFIED`.
        n_of: split -> runs asked about, and scored runs that there are.
    """

    name: str
    n_of: Mapping[str, tuple[int, int]]


@dataclass(frozen=True)
class Evaluation:
    """One track, split and view.

    Attributes:
        track: what the diagnoser was shown.
        split: what it was asked about.
        view: how the curves were logged, one of `VIEWS`.
        status: one of `STATUSES`; without `OK` there are no scores, and whatever follows `counts` is None.
        message: what went wrong.
        counts: what the scores rest on.
        scores: score -> value, None where it is not defined.
        intervals: score -> 95 % interval.
        confusion: label (rows) by prediction (columns).
        microseconds_per_curve: the one figure that cannot be computed again.
        reliability: is it right as often as it says.
        by_severity: by how much there is to gain.
        by_base_rate: by how rare faults are.
    """

    track: str
    split: str
    view: str
    status: str
    message: str
    counts: Counts
    scores: Mapping[str, float | None] | None = None
    intervals: Mapping[str, tuple[float | None, float | None]] | None = None
    confusion: tuple[tuple[int, ...], ...] | None = None
    microseconds_per_curve: float | None = None
    reliability: Reliability | None = None
    by_severity: tuple[SeverityBin, ...] | None = None
    by_base_rate: tuple[BaseRate, ...] | None = None


@dataclass(frozen=True)
class Moment:
    """What a diagnoser is worth after a share of training.

    Attributes:
        fraction: of training that it has seen.
        value: of its advice.
        false_alarms_per_100_healthy: of its predictions.
        gain_left: see `curvebench.evaluation.breakdowns.gain_left`.
    """

    fraction: float
    value: float | None
    false_alarms_per_100_healthy: float | None
    gain_left: float | None


@dataclass(frozen=True)
class Rerun:
    """The same diagnoser on a data set of the same recipe with another master seed.

    Attributes:
        master_seed: of that data set.
        content_sha256: of that data set.
        scores: split -> score -> value; on the own track, the curves as they are; no split where it failed.
        time: UTC, ISO 8601 to the second.
    """

    master_seed: int
    content_sha256: str
    scores: Mapping[str, Mapping[str, float | None]]
    time: str


@dataclass(frozen=True)
class Report:
    """All evaluations of one diagnoser on one data set.

    Attributes:
        data_set: which.
        diagnoser: who.
        run: when and where.
        subset: on which runs.
        evaluations: on its own track all views of every split, on larger tracks the whole view.
        early: split -> what it is worth after each share of training, on its own track.
        transfer: score -> `test_ood` less `test`, on its own track; None where one of them is not defined.
        worst_view: split -> which view of the whole training is worst for it ("view"), and its "value" there.
        rerun: on another data set of the same recipe; None before there is one.
        rows: split -> (n,) rows of the data set that were asked about.
        answers: of each evaluation, in their order; None where it has none.
        remedies: (n,) index of what each run was treated with, of each evaluation that has answers.
    """

    data_set: DataSetName
    diagnoser: Identity
    run: Circumstances
    subset: Subset
    evaluations: tuple[Evaluation, ...]
    early: Mapping[str, tuple[Moment, ...]]
    transfer: Mapping[str, float | None]
    worst_view: Mapping[str, Mapping[str, Any]]
    rerun: Rerun | None
    rows: Mapping[str, Int]
    answers: tuple[Answers | None, ...]
    remedies: tuple[Int | None, ...]

    @property
    def own_track(self) -> str:
        """The smallest track that the diagnoser needs."""
        return self.evaluations[0].track

    def evaluation(self, split: str, view: str = "whole", track: str | None = None) -> Evaluation:
        """The evaluation of a split and view, on the diagnoser's own track unless another is named.

        Raises:
            InputError: there is none.
        """
        return self.evaluations[self.index(split, view, track)]

    def index(self, split: str, view: str = "whole", track: str | None = None) -> int:
        """Where that evaluation stands in `evaluations`, and its answers in `answers`.

        Raises:
            InputError: there is none.
        """
        wanted = (track or self.own_track, split, view)
        for i, e in enumerate(self.evaluations):
            if (e.track, e.split, e.view) == wanted:
                return i
        raise InputError(f"The result of {self.diagnoser.name!r} has no evaluation on {', '.join(wanted)}.")

    def predictions(self) -> bytes:
        """The file of arrays."""
        return to_npz(arrays_of(self.answers, self.remedies, np.concatenate([self.rows[s] for s in sorted(self.rows)])))

    def to_json(self, predictions: bytes) -> dict[str, Any]:
        """The result as plain lists, dicts, text and numbers.

        Args:
            predictions: the file of arrays, whose hash stands in the JSON.
        """
        return {
            "format": FORMAT,
            "version": VERSION,
            "data_set": asdict(self.data_set),
            "diagnoser": asdict(self.diagnoser) | {"covers": list(self.diagnoser.covers)},
            "run": asdict(self.run),
            "subset": {"name": self.subset.name, "n_of": {split: list(n) for split, n in self.subset.n_of.items()}},
            "evaluations": [_plain(asdict(evaluation)) for evaluation in self.evaluations],
            "early": {split: [asdict(moment) for moment in moments] for split, moments in self.early.items()},
            "transfer": dict(self.transfer),
            "worst_view": {split: dict(worst) for split, worst in self.worst_view.items()},
            "rerun": None if self.rerun is None else _plain(asdict(self.rerun)),
            "predictions_sha256": hashlib.sha256(predictions).hexdigest(),
        }


def slug(name: str) -> str:
    """A name as the stem of a file.

    >>> slug("zoo/late-slope")
    'zoo-late-slope'
    """
    return re.sub(r"[^a-z0-9._-]", "-", name)[:MAX_NAME]


def json_bytes(value: Mapping[str, Any]) -> bytes:
    """JSON as it is stored: the same bytes for the same value."""
    return (json.dumps(value, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n").encode()


def _plain(value: Any) -> Any:
    """Lists in place of tuples."""
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value


# --------------------------------------------------------------------------------------------- drawn together


def transfer_of(evaluations: tuple[Evaluation, ...]) -> dict[str, float | None]:
    """Score -> what it is on `test_ood` less what it is on `test`, on the first evaluation's track."""
    scores = {e.split: e.scores or {} for e in evaluations if (e.track, e.view) == (evaluations[0].track, "whole")}
    return {
        name: _difference(scores.get("test_ood", {}).get(name), scores.get("test", {}).get(name)) for name in _ADDED
    }


def _difference(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b


def worst_views(evaluations: tuple[Evaluation, ...]) -> dict[str, dict[str, Any]]:
    """Split -> the view of a whole training that is worst for a diagnoser; one without a score is worse than any."""
    worst: dict[str, dict[str, Any]] = {}
    for e in evaluations:
        if e.track == evaluations[0].track and e.view in LOGGED_OTHERWISE:
            found: dict[str, Any] = {"view": e.view, "value": None if e.scores is None else e.scores["value"]}
            if e.split not in worst or _is_worse(found["value"], worst[e.split]["value"]):
                worst[e.split] = found
    return worst


def _is_worse(value: float | None, than: float | None) -> bool:
    return than is not None and (value is None or value < than)


# --------------------------------------------------------------------------------------------------- reading


def read_report(content: bytes, predictions: bytes | None, place: str) -> Report:
    """A report from the bytes of its two files, for which nobody vouches.

    Args:
        content: of the JSON.
        predictions: of the arrays; None where there is no such file.
        place: what to call the JSON in a complaint.

    Raises:
        InputError: it is not what the format asks for; the first fault is named with its place.
    """
    root = parse(content, place)
    head = {key: node.value for key, node in root.map().items()}
    if head.get("format") != FORMAT:
        raise InputError(f"{place} is no result: its format must be {FORMAT!r}.")
    version = head.get("version")
    if type(version) is not int or version != VERSION:
        raise InputError(f"{place} has the format version {str(version)[:20]}; this program reads {VERSION}.")
    made = {f.name for f in fields(Report)} - {"rows", "answers", "remedies"}
    entries = root.object("format", "version", "predictions_sha256", *sorted(made))
    if predictions is None:
        raise InputError(f"{place} has no predictions beside it.")
    if hashlib.sha256(predictions).hexdigest() != entries["predictions_sha256"].sha256():
        raise InputError(f"{place}: the predictions beside it have another hash than it says; one of them was changed.")
    subset = _subset(entries["subset"])
    evaluations = tuple(_evaluation(node) for node in entries["evaluations"].list())
    _check_complete(evaluations, subset, place)
    rows, answers, remedies = _answers(predictions, subset, evaluations, f"{place}: predictions")
    return Report(
        data_set=_data_set(entries["data_set"]),
        diagnoser=_identity(entries["diagnoser"]),
        run=_circumstances(entries["run"]),
        subset=subset,
        evaluations=evaluations,
        early={split: _moments(node) for split, node in entries["early"].object(*subset.n_of).items()},
        transfer={name: node.number_or_none() for name, node in entries["transfer"].object(*_ADDED).items()},
        worst_view={split: _worst(node) for split, node in entries["worst_view"].object(*subset.n_of).items()},
        rerun=None if entries["rerun"].is_null else _rerun(entries["rerun"]),
        rows=rows,
        answers=answers,
        remedies=remedies,
    )


def _data_set(node: Node) -> DataSetName:
    entries = node.object(*(f.name for f in fields(DataSetName)))
    return DataSetName(
        name=entries["name"].text(longest=MAX_NAME),
        version=entries["version"].integer(),
        content_sha256=entries["content_sha256"].sha256(),
        n_points=entries["n_points"].integer(1, MAX_RUNS),
    )


def _identity(node: Node) -> Identity:
    entries = node.object(*(f.name for f in fields(Identity)))
    return Identity(
        name=entries["name"].text(longest=MAX_NAME),
        kind=entries["kind"].text(allowed=(*KINDS, OWN)),
        description=entries["description"].text(),
        source=entries["source"].text(),
        version=entries["version"].text(longest=MAX_NAME),
        sha256=entries["sha256"].sha256(),
        covers=tuple(item.text(allowed=DIAGNOSES) for item in entries["covers"].list()),
        mapping={key: item.text(longest=MAX_NAME) for key, item in entries["mapping"].map().items()},
    )


def _circumstances(node: Node) -> Circumstances:
    entries = node.object(*(f.name for f in fields(Circumstances)))
    return Circumstances(
        time=_time(entries["time"]),
        machine=entries["machine"].text(longest=MAX_MESSAGE),
        python=entries["python"].text(longest=MAX_NAME),
        versions={package: item.text(longest=MAX_NAME) for package, item in entries["versions"].map().items()},
    )


def _time(node: Node) -> str:
    text = node.text(longest=20)
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", text):
        raise InputError(f"{node.place} is {text!r}; it must be a time such as 2026-11-23T04:00:00Z.")
    return text


def _subset(node: Node) -> Subset:
    entries = node.object("name", "n_of")
    n_of = {}
    for split, pair in entries["n_of"].map(allowed=SPLITS).items():
        used, available = (item.integer(1, MAX_RUNS) for item in pair.list(2))
        if used > available:
            raise InputError(f"{pair.place} uses {used} runs of {available}.")
        n_of[split] = (used, available)
    if not n_of:
        raise InputError(f"{entries['n_of'].place} names no split.")
    return Subset(entries["name"].text(allowed=(ALL, STRATIFIED)), n_of)


def _evaluation(node: Node) -> Evaluation:
    entries = node.object(*(f.name for f in fields(Evaluation)))
    status = entries["status"].text(allowed=STATUSES)
    evaluation = Evaluation(
        track=entries["track"].text(allowed=TRACKS),
        split=entries["split"].text(allowed=SPLITS),
        view=entries["view"].text(allowed=VIEWS),
        status=status,
        message=entries["message"].text(longest=MAX_MESSAGE),
        counts=_counts(entries["counts"]),
    )
    if status != OK:
        later = [f.name for f in fields(Evaluation) if getattr(evaluation, f.name) is None]
        if given := [name for name in later if not entries[name].is_null]:
            raise InputError(f"{node.place} has the status {status!r} and yet {given[0]!r}.")
        return evaluation
    intervals = {}
    for name, pair in entries["intervals"].object(*SCORES).items():
        low, high = (bound.number_or_none() for bound in pair.list(2))
        intervals[name] = (low, high)
    return Evaluation(
        **{f.name: getattr(evaluation, f.name) for f in fields(Evaluation)[:6]},
        scores={name: score.number_or_none() for name, score in entries["scores"].object(*SCORES).items()},
        intervals=intervals,
        confusion=tuple(
            tuple(cell.integer(0, MAX_RUNS) for cell in row.list(N_CLASSES))
            for row in entries["confusion"].list(N_CLASSES)
        ),
        microseconds_per_curve=entries["microseconds_per_curve"].number(low=0.0),
        reliability=_reliability(entries["reliability"]),
        by_severity=tuple(_severity_bin(item) for item in entries["by_severity"].list(len(SEVERITY_EDGES) - 1)),
        by_base_rate=tuple(_base_rate(item) for item in entries["by_base_rate"].list(len(BASE_RATES))),
    )


def _counts(node: Node) -> Counts:
    entries = node.object(*(f.name for f in fields(Counts)))
    return Counts(**{name: item.integer(0, MAX_RUNS) for name, item in entries.items()})


def _reliability(node: Node) -> Reliability:
    entries = node.object("confidence", "accuracy", "count")
    return Reliability(
        confidence=tuple(item.number_or_none() for item in entries["confidence"].list(N_CONFIDENCE_BINS)),
        accuracy=tuple(item.number_or_none() for item in entries["accuracy"].list(N_CONFIDENCE_BINS)),
        count=tuple(item.integer(0, MAX_RUNS) for item in entries["count"].list(N_CONFIDENCE_BINS)),
    )


def _severity_bin(node: Node) -> SeverityBin:
    entries = node.object("severity", "n", "accuracy", "value")
    low, high = (item.number() for item in entries["severity"].list(2))
    n = entries["n"].integer(0, MAX_RUNS)
    return SeverityBin((low, high), n, entries["accuracy"].number_or_none(), entries["value"].number_or_none())


def _base_rate(node: Node) -> BaseRate:
    entries = node.object("share_of_faulty", "false_alarms_per_100_alarms")
    return BaseRate(
        entries["share_of_faulty"].number(0.0, 1.0), entries["false_alarms_per_100_alarms"].number_or_none(0.0, 100.0)
    )


def _moments(node: Node) -> tuple[Moment, ...]:
    names = [f.name for f in fields(Moment)]
    moments = []
    for item in node.list(len(FRACTION_SEEN)):
        entries = item.object(*names)
        fraction = entries.pop("fraction").number(0.0, 1.0)
        moments.append(Moment(fraction, **{name: entry.number_or_none() for name, entry in entries.items()}))
    return tuple(moments)


def _worst(node: Node) -> dict[str, Any]:
    entries = node.object("view", "value")
    return {"view": entries["view"].text(allowed=VIEWS), "value": entries["value"].number_or_none()}


def _rerun(node: Node) -> Rerun:
    entries = node.object(*(f.name for f in fields(Rerun)))
    scores = {
        split: {name: score.number_or_none() for name, score in found.map(allowed=SCORES).items()}
        for split, found in entries["scores"].map(allowed=SPLITS).items()
    }
    return Rerun(entries["master_seed"].integer(), entries["content_sha256"].sha256(), scores, _time(entries["time"]))


def _check_complete(evaluations: tuple[Evaluation, ...], subset: Subset, place: str) -> None:
    """Hold the evaluations against those that a report must have."""
    if not evaluations:
        raise InputError(f"{place} has no evaluations.")
    own, tracks = evaluations[0].track, list(TRACKS)
    larger = tracks[tracks.index(own) :]
    found = [(e.track, e.split, e.view) for e in evaluations]
    if len(set(found)) < len(found):
        raise InputError(f"{place} has an evaluation twice.")
    for split in subset.n_of:
        for view in VIEWS:
            if (own, split, view) not in found:
                raise InputError(f"{place} lacks the evaluation on {own}, {split}, {view}.")
    for (track, split, view), e in zip(found, evaluations, strict=True):
        if split not in subset.n_of or track not in larger or (track != own and view != "whole"):
            raise InputError(f"{place} has an evaluation on {track}, {split}, {view}, which has no place there.")
        if e.counts.n_runs != subset.n_of[split][0]:
            raise InputError(
                f"{place}: on {track}, {split}, {view} {e.counts.n_runs} runs were scored and "
                f"{subset.n_of[split][0]} asked about; runs are missing."
            )


def _answers(
    predictions: bytes, subset: Subset, evaluations: tuple[Evaluation, ...], place: str
) -> tuple[dict[str, Int], tuple[Answers | None, ...], tuple[Int | None, ...]]:
    arrays = from_npz(predictions, place)
    n_all = sum(used for used, _ in subset.n_of.values())
    if "run" not in arrays or arrays["run"].dtype != np.dtype("<i8") or arrays["run"].shape != (n_all,):
        raise InputError(f"{place}: `run` must name the {n_all} runs that were asked about; runs are missing.")
    rows: dict[str, Int] = {}
    start = 0
    for split, (used, _) in sorted(subset.n_of.items()):
        rows[split] = arrays["run"][start : start + used].astype(np.intp)
        start += used
        if rows[split][0] < 0 or (np.diff(rows[split]) <= 0).any():
            raise InputError(f"{place}: `run` does not rise within the split {split!r}.")
    answers: list[Answers | None] = []
    remedies: list[Int | None] = []
    for i, e in enumerate(evaluations):
        said: Answers | None = None
        remedy: Int | None = None
        if e.status == OK:
            said, remedy = answers_of(arrays, i, e.counts.n_runs, e.microseconds_per_curve or 0.0, place)
        answers.append(said)
        remedies.append(remedy)
    return rows, tuple(answers), tuple(remedies)
