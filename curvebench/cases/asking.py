"""Asks diagnosers about real cases."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from traceback import format_exception_only
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curvebench.cases.case import Case
from curvebench.data.dataset import Dataset
from curvebench.diagnosers import DIAGNOSERS, is_reference, resolve
from curvebench.diagnosers.answers import InvalidOutput, checked_flags, checked_probabilities
from curvebench.diagnosers.identity import identify
from curvebench.diagnosers.learned.models import SUFFIX, Origin
from curvebench.evaluation.evaluate import checked_track, fit_on_train
from curvebench.spec import DIAGNOSES, Bool, Diagnoser, Float, Int, UsageError

OK, INVALID_OUTPUT, FAILED = "ok", "invalid_output", "failed"
STATUSES: tuple[str, ...] = (OK, INVALID_OUTPUT, FAILED)

DIGITS = 4
"""After the point of every probability."""

_MAX_MESSAGE = 300


@dataclass(frozen=True)
class Verdicts:
    """What a diagnoser said about n cases, or n runs.

    Attributes:
        name: of the diagnoser, as it was asked for; of a fitted model its file's name.
        kind: as the registry has it, or "own".
        sha256: of the diagnoser's source, or of the fitted model's file; empty where neither is known.
        track: what it was shown.
        status: `OK`, or how it failed; then there are no answers.
        message: why it failed, one line.
        probabilities: (n, 6) float64, rows summing to one, rounded to `DIGITS` as they are stored.
        abstained: (n,) bool.
    """

    name: str
    kind: str
    sha256: str
    track: str
    status: str
    message: str
    probabilities: Float
    abstained: Bool

    @property
    def said(self) -> Int:
        """(n,) the most probable diagnosis, index into `DIAGNOSES`; of equals the first."""
        said: Int = self.probabilities.argmax(axis=1)
        return said

    @property
    def names_said(self) -> list[str]:
        """The same as names."""
        return [DIAGNOSES[i] for i in self.said]


@dataclass(frozen=True)
class Subject:
    """Who is asked.

    Attributes:
        name: as it was asked for.
        diagnoser: made, and fitted if it learns.
        n_points: that it was fitted to; None for one that takes curves as they are.
    """

    name: str
    diagnoser: Diagnoser
    n_points: int | None


def make(name: str, fit_on: Dataset | None = None) -> Subject:
    """The diagnoser of that name; one that learns is fitted on the split `train` of a data set first.

    Raises:
        UsageError: there is none, it is a reference that is told answers, or it learns and there is nothing to fit to.
    """
    if is_reference(name):
        raise UsageError(f"{name!r} is told answers of a data set's runs; real cases have none of these.")
    candidate = resolve(name)
    if not callable(getattr(candidate, "fit", None)):
        origin = getattr(candidate, "origin", None)
        return Subject(name, candidate, origin.n_points if isinstance(origin, Origin) else None)
    if fit_on is None:
        raise UsageError(
            f"{name!r} learns from curves: say from which with --fit-on, or name a fitted model ({SUFFIX})."
        )
    return Subject(name, fit_on_train(fit_on, candidate), fit_on["train_loss"].shape[1])


def ask(subject: Subject, cases: Sequence[Case]) -> Verdicts:
    """Show every case to a diagnoser on the track that it needs; curves with as many points together.

    Raises:
        UsageError: there is no track as it needs.
    """
    track = checked_track(subject.diagnoser, None)
    return _ask_about([case.channels(track, subject.n_points) for case in cases], subject, track)


def ask_about_runs(subject: Subject, dataset: Dataset) -> Verdicts:
    """Show every run of a data set to a diagnoser on the track that it needs.

    Raises:
        UsageError: there is no track as it needs, or it was fitted to curves of another length.
    """
    track = checked_track(subject.diagnoser, None)
    if subject.n_points not in (None, dataset.n_points):
        raise UsageError(
            f"{subject.name!r} was fitted to curves of {subject.n_points} points; these have {dataset.n_points}."
        )
    return _ask_about(list(dataset.to_numpy3d(track)), subject, track)


def _ask_about(shown: Sequence[NDArray[np.float32]], subject: Subject, track: str) -> Verdicts:
    """Ask about curves, (n_channels, n_points) each."""
    name, diagnoser = subject.name, subject.diagnoser
    lengths = np.array([X.shape[1] for X in shown])
    probabilities = np.zeros((len(shown), len(DIAGNOSES)))
    abstained = np.zeros(len(shown), dtype=np.bool_)
    status, message = OK, ""
    try:
        for length in np.unique(lengths):
            rows = np.flatnonzero(lengths == length)
            probabilities[rows], abstained[rows] = _answers(diagnoser, np.stack([shown[int(i)] for i in rows]))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever a foreign diagnoser does
        status = INVALID_OUTPUT if isinstance(error, InvalidOutput) else FAILED
        message = str(error) if isinstance(error, InvalidOutput) else "".join(format_exception_only(error))
        probabilities[:], abstained[:] = 0.0, True
    kind, sha256 = _identity(name)
    return Verdicts(
        name=Path(name).name if name.endswith(SUFFIX) else name,
        kind=kind,
        sha256=sha256,
        track=track,
        status=status,
        message=_one_line(message),
        probabilities=probabilities,
        abstained=abstained,
    )


def _answers(candidate: Any, X: NDArray[np.float32]) -> tuple[Float, Bool]:
    probabilities = checked_probabilities(candidate.predict_proba(X), len(X), getattr(candidate, "classes_", None))
    abstained = np.zeros(len(X), dtype=np.bool_)
    for method in ("abstain", "crashed"):
        if callable(getattr(candidate, method, None)):
            abstained |= checked_flags(getattr(candidate, method)(X), len(X), method)
    return probabilities.round(DIGITS), abstained


def _identity(name: str) -> tuple[str, str]:
    """Kind and hash of a diagnoser."""
    if name in DIAGNOSERS:
        found = identify(name)
        return found.kind, found.sha256
    if name.endswith(SUFFIX):
        return "learned", hashlib.sha256(Path(name).read_bytes()).hexdigest()
    return "own", ""


def _one_line(text: str) -> str:
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= _MAX_MESSAGE else line[: _MAX_MESSAGE - 1] + "…"
