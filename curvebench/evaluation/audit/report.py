"""What an audit says: every figure beside the threshold that it must meet, as JSON and as a page."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

PASSED, FAILED, NOT_MEASURED = "passed", "failed", "not measured"

_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "<": operator.lt,
}


@dataclass(frozen=True)
class Threshold:
    """What a figure must be.

    Attributes:
        relation: ">=", "<=" or "<".
        bound: the other side of it.
        what: the figure in words.
    """

    relation: str
    bound: float
    what: str

    def is_met_by(self, value: float) -> bool:
        """Whether a figure is as it must be; NaN never is.

        >>> Threshold("<", 0.5, "share").is_met_by(0.5)
        False
        """
        return _COMPARE[self.relation](value, self.bound)

    def __str__(self) -> str:
        return f"{self.relation} {self.bound:g}"


THRESHOLDS: Mapping[str, Mapping[str, Threshold]] = {
    "replication": {
        "helped": Threshold(
            ">=",
            0.95,
            "of the faulty ones, trained with fresh seeds: share that the remedy helps by half the threshold",
        ),
        "left_alone": Threshold(">=", 0.95, "of the healthy ones: share that no remedy helps materially"),
    },
    "balance": {
        "rarest_label": Threshold(">=", 0.08, "share of the rarest label in the scored runs"),
        "indeterminate": Threshold("<=", 0.20, "share of indeterminate runs in all"),
    },
    "not_trivial": {
        "value": Threshold("<", 0.5, "share of the gap from constant-best to oracle that the best one-liner closes"),
        "macro_f1": Threshold("<", 0.5, "the same in macro-F1"),
    },
    "not_hopeless": {
        "value": Threshold(">=", 1.25, "share that a forest closes, in shares of the best one-liner"),
        "macro_f1": Threshold(">=", 1.25, "the same in macro-F1"),
    },
    "start_leaks_nothing": {
        "accuracy": Threshold("<=", 0.05, "balanced accuracy above chance of what a curve is before it has a shape"),
    },
    "schedule_leaks_little": {
        "accuracy": Threshold("<", 0.35, "balanced accuracy of the schedule alone"),
    },
    "settings_say_less": {
        "margin": Threshold(
            ">=", 0.05, "balanced accuracy of the curve alone above that of rate, schedule and optimiser"
        ),
    },
    "separates": {
        "tau": Threshold(">=", 0.9, "Kendall's tau of the rankings of a dozen diagnosers on two data sets"),
    },
    "no_copies": {
        "pairs": Threshold("<=", 0, "pairs of runs of different splits with the same curve"),
    },
    "out_of_distribution": {
        "margin": Threshold(
            ">=", 0.1, "area under the curve that tells test_ood from train, above that which tells test from train"
        ),
    },
    "plateaus": {
        "fewest": Threshold(">=", 10, "plateaus that look alike, of the two causes that have the fewest"),
    },
}
"""Check -> figure -> what it must be for a data set to be published as a benchmark."""


@dataclass(frozen=True)
class Measured:
    """What a check found.

    Attributes:
        values: a value for each figure of the check.
        details: what else is worth knowing, ready for JSON.
    """

    values: Mapping[str, float]
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Figure:
    """One figure of a check, NaN where it is not defined.

    Attributes:
        name: key of `THRESHOLDS`.
        value: what was measured.
        threshold: what it must be.
    """

    name: str
    value: float
    threshold: Threshold

    @property
    def is_met(self) -> bool:
        """Whether it is as it must be."""
        return self.threshold.is_met_by(self.value)


@dataclass(frozen=True)
class Check:
    """One check, measured or not.

    Attributes:
        name: key of `THRESHOLDS`.
        figures: empty where it was not measured.
        details: what else is worth knowing, ready for JSON.
        reason: why it was not measured; else empty.
    """

    name: str
    figures: tuple[Figure, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""

    @property
    def status(self) -> str:
        """`PASSED`, `FAILED` or `NOT_MEASURED`."""
        if self.reason:
            return NOT_MEASURED
        return PASSED if all(figure.is_met for figure in self.figures) else FAILED


def check_of(name: str, measured: Measured) -> Check:
    """A check from what it found."""
    figures = [Figure(key, float(measured.values[key]), bound) for key, bound in THRESHOLDS[name].items()]
    return Check(name, tuple(figures), measured.details)


@dataclass(frozen=True)
class Audit:
    """All checks of a data set.

    Attributes:
        recipe: name and version of its recipe.
        dataset_sha256: content hash.
        checks: in the order of `THRESHOLDS`.
    """

    recipe: str
    dataset_sha256: str
    checks: tuple[Check, ...]

    @property
    def shortfalls(self) -> list[str]:
        """What fell short, one half sentence for each figure."""
        return [
            f"{figure.threshold.what}: {shown(figure.value)} (must be {figure.threshold})"
            for check in self.checks
            for figure in check.figures
            if not figure.is_met
        ]

    def to_json(self) -> dict[str, Any]:
        """Plain dicts, lists, text and numbers; None in place of NaN."""
        return {
            "recipe": self.recipe,
            "dataset_sha256": self.dataset_sha256,
            "passed": not self.shortfalls,
            "checks": {check.name: _json_of(check) for check in self.checks},
        }

    def to_markdown(self) -> str:
        """A page: a table of all figures, and below it the details of each check."""
        lines = [
            f"# Audit of {self.recipe}",
            "",
            f"Content hash `{self.dataset_sha256}`.",
            "",
            "| check | figure | measured | must be | |",
            "|---|---|---|---|---|",
        ]
        for check in self.checks:
            lines += [" | ".join(["| " + check.name, *row[1:]]).rstrip() + " |" for row in rows_of(check)]
        for check in self.checks:
            if check.details:
                lines += ["", f"## {check.name}", "", *_details_of(check.details)]
        return "\n".join(lines) + "\n"


def rows_of(check: Check) -> list[list[str]]:
    """A check as rows of a table: its name, the figure, what was measured, what it must be, the verdict."""
    if check.reason:
        return [[check.name, check.reason, "", "", NOT_MEASURED]]
    return [
        [
            check.name,
            figure.threshold.what,
            shown(figure.value),
            str(figure.threshold),
            PASSED if figure.is_met else FAILED,
        ]
        for figure in check.figures
    ]


def shown(value: float) -> str:
    """A figure with three decimals, a count with none.

    >>> shown(0.12345), shown(37.0), shown(float("nan"))
    ('0.123', '37', 'undefined')
    """
    if math.isnan(value):
        return "undefined"
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.3f}"


def _json_of(check: Check) -> dict[str, Any]:
    return {
        "status": check.status,
        "reason": check.reason,
        "figures": {
            figure.name: {
                "what": figure.threshold.what,
                "value": _plain(figure.value),
                "relation": figure.threshold.relation,
                "bound": figure.threshold.bound,
                "is_met": figure.is_met,
            }
            for figure in check.figures
        },
        "details": _plain(check.details),
    }


def _plain(value: Any) -> Any:
    """Ready for JSON, which has no NaN and no infinity: None in their place."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _details_of(details: Mapping[str, Any]) -> list[str]:
    """A nested dict as nested points."""
    return [line for key, value in details.items() for line in _point(key, value, 0)]


def _point(key: str, value: Any, depth: int) -> list[str]:
    indent = "  " * depth
    if isinstance(value, Mapping):
        return [f"{indent}- {key}:", *(line for k, v in value.items() for line in _point(k, v, depth + 1))]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [f"{indent}- {key}: {', '.join(_shown_detail(v) for v in value) or 'none'}"]
    return [f"{indent}- {key}: {_shown_detail(value)}"]


def _shown_detail(value: Any) -> str:
    return shown(value) if isinstance(value, float) else str(value)
