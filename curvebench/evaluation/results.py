"""The result of one evaluation, and how it becomes JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from curvebench.data.versions import package_versions
from curvebench.spec import DIAGNOSES

OK, FAILED, INVALID_OUTPUT = "ok", "failed", "invalid_output"
TIMED_OUT, OUT_OF_MEMORY = "timed_out", "out_of_memory"
"""How an evaluation ended. A diagnoser that raised, or broke the contract, has no scores; it never has zeros."""


@dataclass(frozen=True)
class Counts:
    """How much an evaluation rests on.

    Attributes:
        n_runs: scored runs.
        n_problem_instances: problem instances that they come from; what the bootstrap draws.
        n_families: families of these instances.
        n_abstained: runs on which the diagnoser abstained or crashed; no action was taken.
        n_crashed: runs of them on which it says that it crashed.
        n_snapped: runs on which another remedy than the prescribed stood in for it.
        n_unmatched: runs for which nothing like the prescribed was tried; it cost, and gained nothing.
    """

    n_runs: int
    n_problem_instances: int
    n_families: int
    n_abstained: int = 0
    n_crashed: int = 0
    n_snapped: int = 0
    n_unmatched: int = 0


@dataclass(frozen=True)
class Result:
    """What a diagnoser is worth on one split of a data set.

    Attributes:
        diagnoser: what it is called.
        status: `OK`, `FAILED`, `INVALID_OUTPUT`, `TIMED_OUT` or `OUT_OF_MEMORY`.
        message: one line on what went wrong; empty where nothing did.
        track: what the diagnoser was shown.
        split: what it was scored on.
        counts: what the scores rest on.
        dataset_sha256: content hash of the data set.
        fit_on_sha256: content hash of the one whose split `train` and fixed actions were used; mostly the same.
        scores: score -> value, NaN where it is not defined; None unless `OK`.
        intervals: score -> 95 % interval; None unless `OK`.
        confusion: label (rows) by prediction (columns), in the order of `DIAGNOSES`; None unless `OK`.
        microseconds_per_curve: median over repetitions; the one field that differs from time to time.
        isolation: how it was run: "none", "process" or "namespace".
        versions: package -> version.
    """

    diagnoser: str
    status: str
    message: str
    track: str
    split: str
    counts: Counts
    dataset_sha256: str
    fit_on_sha256: str
    scores: Mapping[str, float] | None = None
    intervals: Mapping[str, tuple[float, float]] | None = None
    confusion: tuple[tuple[int, ...], ...] | None = None
    microseconds_per_curve: float | None = None
    isolation: str = "none"
    versions: Mapping[str, str] = field(default_factory=package_versions)

    def to_json(self) -> dict[str, Any]:
        """The result as plain lists, dicts, text and numbers; None in place of NaN."""
        return {
            "diagnoser": self.diagnoser,
            "status": self.status,
            "message": self.message,
            "track": self.track,
            "split": self.split,
            "isolation": self.isolation,
            "scores": None if self.scores is None else {k: finite_or_none(v) for k, v in self.scores.items()},
            "intervals": None
            if self.intervals is None
            else {name: [finite_or_none(bound) for bound in bounds] for name, bounds in self.intervals.items()},
            "diagnoses": list(DIAGNOSES),
            "confusion": None if self.confusion is None else [list(row) for row in self.confusion],
            **vars(self.counts),
            "microseconds_per_curve": self.microseconds_per_curve,
            "dataset_sha256": self.dataset_sha256,
            "fit_on_sha256": self.fit_on_sha256,
            "versions": dict(self.versions),
        }


def finite_or_none(value: float) -> float | None:
    """A number as JSON can hold it."""
    return float(value) if math.isfinite(value) else None
