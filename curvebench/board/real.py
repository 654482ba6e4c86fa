"""What the board shows of diagnosers on real cases: few of them, so every share stands beside its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from curvebench.board.entries import NAME_LENGTH
from curvebench.board.texts import clean
from curvebench.cases.asking import OK, Verdicts
from curvebench.cases.case import Case
from curvebench.cases.report import CasesReport
from curvebench.cases.scores import ALL, OURS, Agreement, Share, agreement, parts_of

HIGH = "high"


@dataclass(frozen=True)
class RealRow:
    """A line of the table on real cases; shares are None where nothing was answered.

    Attributes:
        name: of the diagnoser, cleaned.
        kind: of diagnoser.
        status: "ok", or how it failed; then there are no shares.
        shares: right, abstained and wrong in percent, of all cases.
        answered: right of answered, for each of the `groups` of the table.
    """

    name: str
    kind: str
    status: str
    shares: tuple[float, float, float] | None
    answered: tuple[Share, ...]


@dataclass(frozen=True)
class RealTable:
    """The section on real cases.

    Attributes:
        name: of the cases.
        sha256: of their file.
        groups: what the columns of shares are about, with how many cases of how many sources.
        rows: the best on the cases of our own labels first, who failed last.
    """

    name: str
    sha256: str
    groups: tuple[tuple[str, int, int], ...]
    rows: tuple[RealRow, ...]


def real_table(report: CasesReport) -> RealTable:
    """What is shown of a report, computed from its answers."""
    cases = report.cases.cases
    titles = {(ALL, ""): "all cases", (OURS, ""): "without other", ("confidence", HIGH): "high confidence"}
    parts = [part for part in parts_of(cases) if (part.of, part.value) in titles]
    chosen = {titles[part.of, part.value]: [int(row) for row in part.rows] for part in parts}
    rows = [_row(verdicts, cases, list(chosen.values())) for verdicts in report.verdicts]
    last = min(1, len(chosen) - 1)
    rows.sort(key=lambda row: (row.status != OK, -((row.answered[last].value or 0.0) if row.answered else 0), row.name))
    return RealTable(
        name=clean(report.cases.name, NAME_LENGTH),
        sha256=report.cases.sha256,
        groups=tuple((title, len(of), len({cases[i].source for i in of})) for title, of in chosen.items()),
        rows=tuple(rows),
    )


def _row(verdicts: Verdicts, cases: Sequence[Case], groups: Sequence[Sequence[int]]) -> RealRow:
    found: list[Agreement] = []
    if verdicts.status == OK:
        found = [
            agreement([cases[i] for i in rows], verdicts.said[list(rows)], verdicts.abstained[list(rows)])
            for rows in groups
        ]
    return RealRow(
        name=clean(verdicts.name, NAME_LENGTH),
        kind=verdicts.kind,
        status=verdicts.status,
        shares=_percents(found[0]) if found else None,
        answered=tuple(of.right_of_answered for of in found),
    )


def _percents(all_cases: Agreement) -> tuple[float, float, float]:
    right, abstained, wrong = (
        100 * (share.value or 0.0) for share in (all_cases.right, all_cases.abstained, all_cases.wrong)
    )
    return right, abstained, wrong
