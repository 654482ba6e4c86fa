"""What a diagnoser answered at an earlier time, run by run, in a JSON file: what a later one is compared with."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curvebench.data.dataset import Dataset
from curvebench.data.plain_files import read_plain_file
from curvebench.data.store import check_target, publish
from curvebench.data.versions import package_versions
from curvebench.evaluation.evaluate import Judgement
from curvebench.evaluation.results import Result
from curvebench.spec import DIAGNOSES, InputError

FORMAT, FORMAT_VERSION = "curvebench-baseline", 1

MAX_BASELINE_BYTES = 256 * 2**20
"""Larger files are not read."""

_ABOUT = ("diagnoser", "split", "track", "dataset_sha256", "fit_on_sha256")


@dataclass(frozen=True)
class Entry:
    """The answers of one evaluation.

    Attributes:
        diagnoser: what it was called.
        split: what it was scored on.
        track: what it was shown.
        dataset_sha256: content hash of the data set.
        fit_on_sha256: content hash of the one that it was fitted on.
        runs: names of the n scored runs, in the order of the data set.
        prediction: (n,) int, index into `DIAGNOSES`.
        net_gain: (n,) float64, of what was prescribed.
        probabilities: (n, 6) float64.
    """

    diagnoser: str
    split: str
    track: str
    dataset_sha256: str
    fit_on_sha256: str
    runs: tuple[str, ...]
    prediction: NDArray[np.intp]
    net_gain: NDArray[np.float64]
    probabilities: NDArray[np.float64]


def entry_of(result: Result, judgement: Judgement, dataset: Dataset) -> Entry:
    """What is kept of an evaluation."""
    judged = judgement.judged
    return Entry(
        **{name: getattr(result, name) for name in _ABOUT},
        runs=tuple(dataset["run"][judgement.rows].tolist()),
        prediction=np.asarray(judged.prediction, dtype=np.intp),
        net_gain=np.asarray(judged.net_gain, dtype=np.float64),
        probabilities=np.asarray(judged.probabilities, dtype=np.float64),
    )


def judgement_before(entry: Entry, result: Result, judgement: Judgement, dataset: Dataset) -> Judgement:
    """The judgement that an entry was kept of, of the same runs as a new one; but `remedy` is still the new one's.

    Raises:
        InputError: it was of another data set, or fitted on another.
    """
    if (entry.dataset_sha256, entry.fit_on_sha256) != (result.dataset_sha256, result.fit_on_sha256):
        raise InputError(
            f"the baseline was made with another data set (scored on {entry.dataset_sha256[:12]}…, fitted on "
            f"{entry.fit_on_sha256[:12]}…) than this one (scored on {result.dataset_sha256[:12]}…, fitted on "
            f"{result.fit_on_sha256[:12]}…), so the scores can't be compared"
        )
    if entry.runs != tuple(dataset["run"][judgement.rows].tolist()):
        raise InputError("the baseline holds other runs than the split of the data set that it names; it was changed")
    answers = {name: getattr(entry, name) for name in ("prediction", "net_gain", "probabilities")}
    return replace(judgement, judged=replace(judgement.judged, **answers))


# ----------------------------------------------------------------------------------------------- the file


def write_baseline(entries: Mapping[str, Entry], path: Path) -> None:
    """Write a baseline; the file appears whole or not at all, and replaces one that is there.

    Raises:
        UsageError: the path cannot be written to.
    """
    check_target(path, overwrite=True)
    publish(to_text(entries).encode(), path, overwrite=True)


def to_text(entries: Mapping[str, Entry]) -> str:
    """A baseline as JSON, a line for each run, so that a version control system shows what changed."""
    return "\n".join(_lines(entries)) + "\n"


def _lines(entries: Mapping[str, Entry]) -> Iterator[str]:
    yield f'{{"format": "{FORMAT}", "format_version": {FORMAT_VERSION},'
    yield f'"versions": {json.dumps(package_versions())},'
    yield '"entries": {'
    for i, (key, entry) in enumerate(sorted(entries.items())):
        about = json.dumps({name: getattr(entry, name) for name in _ABOUT})
        yield f"{json.dumps(key)}: {about[:-1]}, "
        yield '"answers": ['
        answers = zip(entry.runs, entry.prediction, entry.net_gain.tolist(), entry.probabilities.tolist(), strict=True)
        rows = [json.dumps([run, DIAGNOSES[said], gain, row], allow_nan=False) for run, said, gain, row in answers]
        yield ",\n".join(rows)
        yield "]}" + ("," if i < len(entries) - 1 else "")
    yield "}}"


def read_baseline(path: Path) -> dict[str, Entry]:
    """Read what `write_baseline` wrote: name of an evaluation -> its answers.

    Raises:
        InputError: there is no such file, or it is no baseline.
    """
    try:
        return from_text(read_plain_file(path, MAX_BASELINE_BYTES).decode())
    except FileNotFoundError:
        raise InputError(f"There is no baseline {path}.") from None
    except OSError as error:
        raise InputError(f"The baseline {path} cannot be read: {error.strerror}.") from None
    except (ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
        raise InputError(
            f"{path} is no baseline of CurveBench, or it is damaged ({_reason(error)}); get it again, or delete it and "
            "make a new one."
        ) from None


def _reason(error: Exception) -> str:
    return f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else " ".join(str(error).split())


def from_text(text: str) -> dict[str, Entry]:
    """The inverse of `to_text`.

    Raises:
        ValueError, TypeError, KeyError, IndexError, RecursionError: it is something else.
    """
    file = json.loads(text, parse_constant=_refuse)
    if not isinstance(file, dict) or file.get("format") != FORMAT:
        raise ValueError("it does not say that it is one")
    if file.get("format_version") != FORMAT_VERSION:
        raise ValueError(
            f"its format version is {file.get('format_version')!r}; this program reads version {FORMAT_VERSION}"
        )
    entries = file["entries"]
    if not isinstance(entries, dict):
        raise TypeError("its entries are no object")
    return {key: _entry(value) for key, value in entries.items()}


def _refuse(constant: str) -> float:
    raise ValueError(f"it holds {constant}")


def _entry(value: Any) -> Entry:
    about = {name: value[name] for name in _ABOUT}
    if not all(isinstance(text, str) for text in about.values()):
        raise TypeError("an entry is described by something that is no text")
    runs, said, gains, rows = zip(*value["answers"], strict=True)
    entry = Entry(
        **about,
        runs=runs,
        prediction=np.array([DIAGNOSES.index(name) for name in said], dtype=np.intp),
        net_gain=np.array(gains, dtype=np.float64),
        probabilities=np.array(rows, dtype=np.float64),
    )
    if entry.probabilities.shape != (len(runs), len(DIAGNOSES)) or entry.net_gain.shape != (len(runs),):
        raise ValueError("an entry has not one net gain and six probabilities for each run")
    numbers = np.append(entry.probabilities.ravel(), entry.net_gain)
    if not (np.isfinite(numbers).all() and (entry.probabilities >= 0).all()):
        raise ValueError("an entry holds numbers that are no probabilities or net gains")
    return entry
