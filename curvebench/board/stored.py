"""Reads stored results: one JSON file for each diagnoser and data set, and its answers beside it.

Whoever wrote them is not trusted: what does not look as it should is refused in a sentence, before anything is shown.

`curvebench.evaluation.report` reads the same files, to compute every number in them again; for that it wants all
answers, exactly the keys that it writes, and the evaluation behind it. A page shows what is in the JSON: it is rendered
without the answers, from results that may say more, by parts that know nothing of evaluations. A test holds
both together.
"""

from __future__ import annotations

import io
import re
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from curvebench.data.plain_files import read_plain_file
from curvebench.spec import DIAGNOSES, InputError

Track = Literal["curve", "telemetry", "config"]
Split = Literal["train", "test", "test_ood"]
View = Literal["whole", "first-25", "first-50", "first-75", "smoothed", "every-4th", "scaled", "noised"]
Status = Literal["ok", "failed", "invalid_output", "timed_out", "out_of_memory"]
Kind = Literal["reference", "one-liner", "rules", "published", "learned", "tool", "external", "own"]
DiagnosisName = Literal[
    "lr_too_high", "late_lr_too_high", "lr_too_low", "late_lr_too_low", "output_mismatch", "healthy"
]

WHOLE = "whole"
"""The view that shows all of a curve as it was logged; the table is about it."""

MAX_RESULT_BYTES, MAX_ANSWER_BYTES = 16 * 2**20, 512 * 2**20
"""Larger files are not read; of answers, what they unpack to."""

_Number = float | None
_Row = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=len(DIAGNOSES), max_length=len(DIAGNOSES))]
_Bins = Annotated[list[_Number], Field(min_length=10, max_length=10)]


class _Stored(BaseModel):
    """A part of a result; keys that are not known are ignored."""

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)


class DataSet(_Stored):
    """What was diagnosed."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,59}$")]
    version: Annotated[int, Field(ge=0)]
    content_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    n_points: int

    @property
    def folder(self) -> str:
        """What the folder of its results is called."""
        return f"{self.name}-v{self.version}"


class DiagnoserFacts(_Stored):
    """Who diagnosed."""

    name: Annotated[str, Field(min_length=1)]
    kind: Kind
    description: str
    source: str
    version: str
    sha256: str
    covers: list[DiagnosisName]
    mapping: dict[str, str]


class RunFacts(_Stored):
    """When and where."""

    time: str
    machine: str
    python: str
    versions: dict[str, str]


class Subset(_Stored):
    """How many of the scored runs were asked about: split -> (used, all)."""

    name: Literal["all", "stratified"]
    n_of: dict[Split, tuple[int, int]]


class EvaluationCounts(_Stored):
    """What an evaluation rests on."""

    n_runs: int
    n_problem_instances: int
    n_families: int
    n_abstained: int
    n_crashed: int
    n_snapped: int
    n_unmatched: int


class Reliability(_Stored):
    """Accuracy by confidence in ten bins of equal width; null where a bin is empty."""

    confidence: _Bins
    accuracy: _Bins
    count: Annotated[list[int], Field(min_length=10, max_length=10)]


class SeverityBin(_Stored):
    """How a diagnoser did on runs whose best remedy gains about as much."""

    severity: tuple[_Number, _Number]
    n: int
    accuracy: _Number
    value: _Number


class BaseRate(_Stored):
    """What of 100 alarms is false where only so many runs are faulty."""

    share_of_faulty: float
    false_alarms_per_100_alarms: _Number


class Evaluation(_Stored):
    """One track, split and view."""

    track: Track
    split: Split
    view: View
    status: Status
    message: str
    counts: EvaluationCounts | None = None
    scores: dict[str, _Number] | None = None
    intervals: dict[str, tuple[_Number, _Number] | None] | None = None
    confusion: Annotated[list[_Row], Field(min_length=len(DIAGNOSES), max_length=len(DIAGNOSES))] | None = None
    microseconds_per_curve: _Number = None
    reliability: Reliability | None = None
    by_severity: list[SeverityBin] | None = None
    by_base_rate: list[BaseRate] | None = None


class EarlyPoint(_Stored):
    """What is known when a share of the curve has been seen."""

    fraction: float
    value: _Number = None
    false_alarms_per_100_healthy: _Number = None
    gain_left: _Number = None


class Rerun(_Stored):
    """The same diagnoser on the same recipe with another master seed."""

    master_seed: int
    content_sha256: str
    scores: dict[Split, dict[str, _Number]]
    time: str


class StoredResult(_Stored):
    """All that is known about one diagnoser on one data set."""

    format: Literal["curvebench-result"]
    version: Literal[1]
    data_set: DataSet
    diagnoser: DiagnoserFacts
    run: RunFacts
    subset: Subset
    evaluations: list[Evaluation]
    early: dict[Split, list[EarlyPoint]]
    rerun: Rerun | None


@dataclass(frozen=True)
class Submission:
    """A result and where it lies.

    Attributes:
        slug: name of its file without the ending; with the data set it names the diagnoser's page.
        path: of the JSON file.
        result: what is in it.
    """

    slug: str
    path: Path
    result: StoredResult

    @property
    def answers_path(self) -> Path:
        """Where the answers to every run lie, if they were stored."""
        return self.path.with_name(f"{self.slug}.predictions.npz")


def slug_of(name: str) -> str:
    """What the file of a diagnoser is called.

    >>> slug_of("zoo/late-slope")
    'zoo-late-slope'
    """
    return re.sub(r"[^a-z0-9._-]", "-", name)[:80]


def read_results(folder: Path) -> dict[DataSet, list[Submission]]:
    """Every result below a folder, `<data set>/<slug>.json`.

    Returns:
        Data set -> its results in the order of their slugs; of each name the newest version first.

    Raises:
        InputError: there are none; one is no result; or two speak of different content under the same name.
    """
    paths = sorted(folder.glob("*/*.json"))
    if not paths:
        raise InputError(
            f"There are no results in {folder}: it must hold one folder for each data set with a JSON file for each "
            "diagnoser. `curvebench leaderboard run` makes them."
        )
    of_folder: dict[str, list[Submission]] = {}
    for path in paths:
        of_folder.setdefault(path.parent.name, []).append(_read_submission(path))
    data_sets = {_the_one_data_set(submissions): submissions for submissions in of_folder.values()}
    return {d: data_sets[d] for d in sorted(data_sets, key=lambda d: (d.name, -d.version))}


def _read_submission(path: Path) -> Submission:
    try:
        result = StoredResult.model_validate_json(read_plain_file(path, MAX_RESULT_BYTES))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None
    except ValidationError as error:
        raise InputError(f"{path} is no result that can be shown: {_first_fault(error)}.") from None
    if (folder := result.data_set.folder) != path.parent.name:
        raise InputError(f"{path} is about the data set {folder}; it must lie in a folder of that name.")
    if (slug := slug_of(result.diagnoser.name)) != path.stem:
        raise InputError(f"{path} is about another diagnoser; its name asks for the file {slug}.json.")
    asked = [(e.track, e.split, e.view) for e in result.evaluations]
    if len(set(asked)) != len(asked):
        raise InputError(f"{path} holds two evaluations of the same track, split and view; there may be one.")
    return Submission(slug, path, result)


def _first_fault(error: ValidationError) -> str:
    fault = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in fault["loc"])
    return f"{place[:200]!r}: {fault['msg']}" if place else fault["msg"]


def _the_one_data_set(submissions: list[Submission]) -> DataSet:
    first = submissions[0]
    for other in submissions:
        if other.result.data_set != first.result.data_set:
            raise InputError(
                f"{first.path} and {other.path} speak of different contents of {first.result.data_set.folder}; a data "
                "set that changed needs a new version, and a folder of that name."
            )
    return first.result.data_set


# ---------------------------------------------------------------------------------------------------- answers


@dataclass(frozen=True)
class Answers:
    """What a diagnoser answered about runs of one track and split, whole view; all of n runs.

    Attributes:
        prediction: (n,) uint8, index into `DIAGNOSES`.
        remedy: (n,) int16, index into the remedies of the data set; -1 where nothing like it was tried.
        probabilities: (n, 6) float32.
        abstained: (n,) bool.
        crashed: (n,) bool.
    """

    prediction: NDArray[np.uint8]
    remedy: NDArray[np.int16]
    probabilities: NDArray[np.float32]
    abstained: NDArray[np.bool_]
    crashed: NDArray[np.bool_]


@dataclass(frozen=True)
class AnswerFile:
    """The answers of one result.

    Attributes:
        runs: (n,) int64, the rows of the data set that were asked about, ascending.
        arrays: what else is in the file, by name.
        path: where it lies.
    """

    runs: NDArray[np.int64]
    arrays: Mapping[str, NDArray[Any]]
    path: Path

    def of(self, number: int, n_runs: int, n_remedies: int) -> Answers:
        """The answers of the evaluation of that number, which was asked about `n_runs` runs.

        Raises:
            InputError: they are missing, of another shape, or say what cannot be said.
        """
        try:
            answers = Answers(
                self.arrays[f"prediction_{number}"].astype(np.uint8, casting="safe"),
                self.arrays[f"remedy_{number}"].astype(np.int16, casting="safe"),
                self.arrays[f"probabilities_{number}"].astype(np.float32, casting="safe"),
                self.arrays[f"abstained_{number}"].astype(np.bool_, casting="safe"),
                self.arrays[f"crashed_{number}"].astype(np.bool_, casting="safe"),
            )
        except (KeyError, TypeError) as error:
            raise InputError(f"{self.path} does not hold the answers of evaluation {number} ({error}).") from None
        shapes = [array.shape for array in vars(answers).values()]
        if shapes != [(n_runs,), (n_runs,), (n_runs, len(DIAGNOSES)), (n_runs,), (n_runs,)]:
            raise InputError(
                f"{self.path}: the answers of evaluation {number} have the shapes {shapes}; it was asked about "
                f"{n_runs} runs."
            )
        if (answers.prediction >= len(DIAGNOSES)).any() or not (
            (answers.remedy >= -1) & (answers.remedy < n_remedies)
        ).all():
            raise InputError(f"{self.path}: evaluation {number} names a diagnosis or a remedy that there is not.")
        return answers


_UNREADABLE = (
    *(OSError, ValueError, EOFError, KeyError, TypeError, MemoryError, RuntimeError),  # the last if it is too deep too
    *(zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error),
    *(SyntaxError, tokenize.TokenError),  # of a header, which NumPy reads as Python writes it
)
"""What zipfile and NumPy make of a file that is none of theirs."""


def read_answers(path: Path, n_rows: int) -> AnswerFile:
    """The answers that lie beside a result.

    Args:
        path: of the npz file.
        n_rows: rows of the data set that they are about.

    Raises:
        InputError: the file is damaged, unpacks to too much, or names runs that the data set has not.
    """
    try:
        content = io.BytesIO(read_plain_file(path, MAX_ANSWER_BYTES))
        with zipfile.ZipFile(content) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MAX_ANSWER_BYTES:
                raise InputError(f"{path} unpacks to more than {MAX_ANSWER_BYTES:,} bytes; it is not read.")
        with np.load(content, allow_pickle=False) as file:
            arrays = {name: np.asarray(file[name]) for name in file.files}
    except _UNREADABLE as error:
        raise InputError(f"{path} cannot be read as stored answers: {str(error)[:200]}.") from None
    runs = arrays.pop("run", np.empty(0))
    if runs.ndim != 1 or runs.dtype.kind not in "iu" or len(np.unique(runs)) != len(runs):
        raise InputError(f"{path}: `run` must hold numbers of rows, each once.")
    if len(runs) and not (runs.min() >= 0 and runs.max() < n_rows):
        raise InputError(f"{path}: `run` names rows that the data set, with {n_rows:,} rows, has not.")
    return AnswerFile(np.sort(runs.astype(np.int64)), arrays, path)
