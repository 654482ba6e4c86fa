"""What all adapters share: a tool is shown one curve at a time, and a table says what its findings mean here."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import blake2b
from importlib import metadata
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from curvebench.diagnosers.trivial import one_hot
from curvebench.spec import CHANNELS, DIAGNOSES, TRACKS, Bool, Diagnosis, Float, UsageError

Columns = Mapping[str, Sequence[float]]
"""What was logged of one run: name of a channel -> one Python float a point, NaN and inf as they happened."""

LOGGED = tuple(channel for channel in CHANNELS if channel != "optimizer")
"""The channels that a tool is given; none of them can read an optimiser."""


@dataclass(frozen=True)
class Source:
    """Where a tool comes from.

    Attributes:
        package: its name on PyPI.
        version: the version whose findings the adapter knows; empty if they are the same in all that are allowed.
        address: its home page.
        extra: the extra of this project that installs it.
    """

    package: str
    version: str
    address: str
    extra: str = "tools"

    def __str__(self) -> str:
        """Package, version and address in one line.

        >>> print(Source("losslint", "0.4.1", "https://github.com/Lsyyh/losslint"))
        losslint 0.4.1 (https://github.com/Lsyyh/losslint)
        """
        return f"{self.package} {self.version} ({self.address})".replace("  ", " ")


@dataclass(frozen=True)
class Meaning:
    """What a finding of a tool says in the words of this benchmark.

    Attributes:
        diagnosis: one of the six; None where the finding is about something else.
        reason: why, from the tool's own words, one sentence.
        needs: columns beside the training loss without which the tool can't find it.
    """

    diagnosis: Diagnosis | None
    reason: str
    needs: tuple[str, ...] = ()


class Tool:
    """A tool, asked about one curve at a time; nothing is carried from one curve to the next.

    The most severe finding that stands for a diagnosis is the answer. Without a finding the answer is what the tool
    itself says then (`SILENCE`). Where it has findings but none that is one of the six diagnoses, or where it raises,
    it abstains.

    Attributes:
        track: "curve" gives it the training loss alone, "config" all columns of `LOGGED`.
        SOURCE: where it comes from; `source` of an object names the version that is installed.
        MAPPING: finding -> what it means; every finding that the tool can have.
        SILENCE: what no finding means.
        is_slow: whether it takes more than 5 ms for a curve of 128 points.
    """

    SOURCE: ClassVar[Source]
    MAPPING: ClassVar[Mapping[str, Meaning]]
    SILENCE: ClassVar[Meaning]
    is_slow: ClassVar[bool] = False

    def __init__(self, track: str = "curve") -> None:
        """Check that the tool is there.

        Raises:
            UsageError: it is not installed, or in another version than the adapter knows, or can't be imported.
        """
        self.track = track
        self.source = replace(self.SOURCE, version=installed_version(self.SOURCE))
        self._remembered: tuple[bytes, list[_Heard]] = (b"", [])
        self._load()

    def _load(self) -> None:
        """Ask about a run of two points, so that what the tool imports is there before a curve is timed."""
        try:
            with _quiet():
                self.examine({"train_loss": [1.0, 0.5]})
        except ImportError as error:
            raise UsageError(
                f"{self.SOURCE.package} can't be imported ({error}); {_how_to_get(self.SOURCE)}."
            ) from error
        except (Exception, SystemExit):  # it may refuse so short a run
            return

    @property
    def mapping(self) -> dict[str, str]:
        """Finding -> diagnosis, of the findings that stand for one and that the columns of the track allow."""
        return {finding: str(m.diagnosis) for finding, m in self.MAPPING.items() if m.diagnosis and self._can_find(m)}

    @property
    def covers(self) -> tuple[str, ...]:
        """The diagnoses that it has a word for on its track, in the order of `DIAGNOSES`."""
        said = set(self.mapping.values()) | {self.SILENCE.diagnosis}
        return tuple(diagnosis for diagnosis in DIAGNOSES if diagnosis in said)

    def _can_find(self, meaning: Meaning) -> bool:
        return set(meaning.needs) <= set(TRACKS[self.track])

    def predict_proba(self, X: Float) -> NDArray[np.float64]:
        """All on the answer, (n_curves, 6); on healthy where it abstains, which is how an abstention is scored.

        Raises:
            UsageError: the tool has a finding that `MAPPING` does not know.
        """
        heard = self._listen(X)
        self._remembered = (_fingerprint(X), heard)
        return one_hot([h.diagnosis or Diagnosis.HEALTHY for h in heard])

    def abstain(self, X: Float) -> Bool:
        """Whether it has no answer, (n_curves,): it says nothing that is one of the six diagnoses, or it raised."""
        return np.array([h.diagnosis is None for h in self._recall(X)], dtype=np.bool_)

    def crashed(self, X: Float) -> Bool:
        """Whether it raised, (n_curves,); then it abstains too."""
        return np.array([h.findings is None for h in self._recall(X)], dtype=np.bool_)

    def findings(self, X: Float) -> list[tuple[str, ...]]:
        """What it found in each curve, most severe first, in its own words or codes; nothing where it raised."""
        return [h.findings or () for h in self._recall(X)]

    def examine(self, run: Columns) -> Sequence[str]:
        """Ask the tool about one run.

        Args:
            run: as many points in every column; the training loss is always there.

        Returns:
            Its findings, most severe first; equally severe ones in its own order.
        """
        raise NotImplementedError

    def examine_all(self, runs: Sequence[Columns]) -> Iterable[Sequence[str] | None]:
        """The findings of every run; None where the tool raised."""
        return map(self._examine_safely, runs)

    def _examine_safely(self, run: Columns) -> Sequence[str] | None:
        try:
            return self.examine(run)
        except (Exception, SystemExit):  # whatever a foreign tool does about one curve is its answer to that curve
            return None

    def _recall(self, X: Float) -> list[_Heard]:
        """What it said when it was last asked about these curves, else ask now. Its answer is the same either way."""
        fingerprint, heard = self._remembered
        return heard if fingerprint == _fingerprint(X) else self._listen(X)

    def _listen(self, X: Float) -> list[_Heard]:
        with _quiet():
            return [self._heard(findings) for findings in self.examine_all(list(_runs(X, self.track)))]

    def _heard(self, findings: Sequence[str] | None) -> _Heard:
        if findings is None:
            return _Heard(None, None)
        meanings = [self._meaning(finding) for finding in findings] or [self.SILENCE]
        diagnosis = next((m.diagnosis for m in meanings if m.diagnosis), None)
        return _Heard(tuple(findings), diagnosis)

    def _meaning(self, finding: str) -> Meaning:
        if finding not in self.MAPPING:
            raise UsageError(
                f"{self.SOURCE.package} found {finding!r}, which its adapter does not know; "
                f"{type(self).__name__}.MAPPING must say what it means."
            )
        return self.MAPPING[finding]


@dataclass(frozen=True)
class _Heard:
    """What a tool said of one curve: its findings, None if it raised; the diagnosis, None if it abstains."""

    findings: tuple[str, ...] | None
    diagnosis: Diagnosis | None


def installed_version(source: Source) -> str:
    """The version of a tool that is installed, which is the one that its adapter knows.

    Raises:
        UsageError: it is not there, or in another version; the sentence says how to get it.
    """
    try:
        installed = metadata.version(source.package)
    except metadata.PackageNotFoundError:
        raise UsageError(f"{source.package} is not installed; {_how_to_get(source)}.") from None
    if source.version and installed != source.version:
        raise UsageError(
            f"{source.package} {installed} is installed, but its findings are known for {source.version}; "
            f"{_how_to_get(source)}."
        )
    return installed


def _how_to_get(source: Source) -> str:
    return f"pip install 'curvebench[{source.extra}]' gets it"


@contextmanager
def _quiet() -> Iterator[None]:
    """Without warnings: curves that explode are what tools are asked about."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def by_severity(findings: Iterable[tuple[str, str]], order: Sequence[str]) -> list[str]:
    """Findings in the order of their severity, equally severe ones as they come.

    Args:
        findings: pairs of a finding and its severity.
        order: the tool's severities, the worst first.

    >>> by_severity([("rises", "warning"), ("NaN", "error"), ("spike", "warning")], ("error", "warning"))
    ['NaN', 'rises', 'spike']
    """
    return [finding for finding, _ in sorted(findings, key=lambda pair: order.index(pair[1]))]


def rows(run: Columns, names: Mapping[str, str]) -> list[dict[str, float]]:
    """A run as a logger keeps it: a dict of numbers for each step, from 0 on, columns under the tool's own names.

    >>> rows({"train_loss": [0.5, 0.25]}, {"train_loss": "loss", "val_loss": "eval_loss"})
    [{'step': 0, 'loss': 0.5}, {'step': 1, 'loss': 0.25}]
    """
    columns = {names[channel]: values for channel, values in run.items() if channel in names}
    n_points = len(run["train_loss"])
    return [{"step": step} | {name: column[step] for name, column in columns.items()} for step in range(n_points)]


def _runs(X: Float, track: str) -> Iterator[Columns]:
    """Each curve of X (n_curves, n_channels, n_points) as columns of Python floats, those of a track and no more."""
    names = TRACKS[track]
    for curve in np.asarray(X, dtype=np.float64):
        yield {name: values.tolist() for name, values in zip(names, curve, strict=False) if name in LOGGED}


def _fingerprint(X: Float) -> bytes:
    curves = np.ascontiguousarray(X, dtype=np.float64)
    return blake2b(curves.tobytes() + str(curves.shape).encode(), digest_size=16).digest()
