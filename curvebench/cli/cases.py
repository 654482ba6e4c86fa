"""The commands that judge diagnosers by real cases."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curvebench.cli import completion
from curvebench.cli.app import ENOUGH_INSTANCES, Force, Json, Quiet, app, diagnosers_option, look_here
from curvebench.console import Column, output_to_stderr, progress_bar, say, show, show_json, show_table, show_text
from curvebench.spec import CheckFailed

if TYPE_CHECKING:
    from curvebench.cases.asking import Verdicts
    from curvebench.cases.reading import Cases
    from curvebench.cases.rebuilt import Rebuilding
    from curvebench.cases.report import CasesReport
    from curvebench.data.dataset import Dataset

REFERENCE = "constant"
"""Asked beside the others: what whoever never says anything is right about."""


@app.command("evaluate-cases")
def evaluate_cases(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="Cases as JSON lines, or wild, which comes with the package.",
            show_default=False,
            autocompletion=completion.cases,
        ),
    ],
    diagnoser: Annotated[list[str] | None, diagnosers_option("rules")] = None,
    fit_on: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Data set on whose split train those that learn are fitted first.",
            autocompletion=completion.data_set,
        ),
    ] = None,
    details: Annotated[bool, typer.Option("--details", help="Also by kind and label, and every case.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Store all answers and figures as JSON.")
    ] = None,
    force: Force = False,
    check: Annotated[
        Path | None,
        typer.Option(metavar="STORED", help="Ask the diagnosers of a file that -o wrote again, and compare."),
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Score diagnosers on real cases: does the diagnosis agree with what was found to help?

    Shares are means over sources, not cases, with the 95 % intervals of Clopper and Pearson: a handful of sources
    proves little, and they say so. Whoever abstains is neither right nor wrong. On a case of none of our causes
    (other), healthy is right.

    Exit code 1 if a diagnoser failed, or answers otherwise than was stored.

    Example: [bold]curvebench evaluate-cases wild --diagnoser rules[/bold]
    """
    from curvebench.cases.asking import OK
    from curvebench.cases.reading import read_cases
    from curvebench.cases.report import CasesReport, read_report
    from curvebench.data.dataset import content_sha256
    from curvebench.data.store import check_target, load, publish

    cases = read_cases(file)
    stored = None if check is None else read_report(check, cases)
    asked = list(dict.fromkeys(diagnoser or (["rules"] if stored is None else [v.name for v in stored.verdicts])))
    if output is not None:
        check_target(output, overwrite=force)
    if any(":" in name for name in asked):
        look_here()
    fitting = None if fit_on is None else load(fit_on)
    names = asked if REFERENCE in asked or stored is not None else [*asked, REFERENCE]
    with output_to_stderr():  # what diagnosers print is no data
        report = _ask_all(cases, names, fitting, quiet=quiet)
    if fitting is not None:
        report = CasesReport(cases, content_sha256(fitting), report.verdicts)
    if output is not None:
        publish(report.to_bytes(), output, overwrite=force)
    if as_json:
        show_json(report.to_json())
    else:
        _show(report, details=details)
    failed = [f"{v.name}: {v.status}: {v.message.rstrip('.')}" for v in report.verdicts if v.status != OK]
    if stored is not None:
        failed += _changes(stored, report)
    if failed:
        raise CheckFailed("; ".join(failed))


def _ask_all(cases: Cases, names: Sequence[str], fit_on: Dataset | None, *, quiet: bool) -> CasesReport:
    from curvebench.cases.asking import ask, make
    from curvebench.cases.report import CasesReport

    verdicts: list[Verdicts] = []
    with progress_bar("asking", quiet=quiet) as report:
        for name in names:
            if report:
                report(len(verdicts), len(names))
            verdicts.append(ask(make(name, fit_on), cases.cases))
    return CasesReport(cases, "", tuple(verdicts))


def _changes(stored: CasesReport, again: CasesReport) -> list[str]:
    """Sentences about whoever answers otherwise than was stored."""
    from curvebench.cases.report import changed_answers
    from curvebench.logs.numbers import count_of

    now = {verdicts.name: verdicts for verdicts in again.verdicts}
    found = []
    for before in stored.verdicts:
        if before.name not in now:
            say(f"note: {before.name} was not asked again")
        elif changed := changed_answers(before, now[before.name], again.cases.cases):
            found.append(
                f"{before.name} answers otherwise about {count_of(len(changed), 'case')}, the first {changed[0]}"
            )
    return found


def _show(report: CasesReport, *, details: bool) -> None:
    from curvebench.cases.asking import OK
    from curvebench.cases.report import figures
    from curvebench.logs.numbers import count_of

    answered = [verdicts for verdicts in report.verdicts if verdicts.status == OK]
    parts: dict[tuple[str, str], list[tuple[str, dict[str, Any]]]] = {}
    for verdicts in answered:
        for part in figures(report.cases.cases, verdicts):
            if details or part["of"] in ("all", "ours") or part["value"] == "high":
                parts.setdefault((part["of"], part["value"]), []).append((verdicts.name, part))
    columns = [
        Column("diagnoser"),
        Column("right %", is_number=True),
        Column("wrong %", is_number=True),
        Column("abstained %", is_number=True, dispensable=1),
        Column("right of answered %"),
        Column("same change %", is_number=True, dispensable=2),
    ]
    for (of, value), rows in parts.items():
        _, first = rows[0]
        what = {"all": "all cases", "ours": "without those labelled other"}.get(of, f"{of} {value}")
        show_text(f"{what}: {first['n_cases']:,} of {count_of(first['n_sources'], 'source')}")
        show_table(columns, [_row(name, part) for name, part in rows])
        show("")
    if details:
        for verdicts in answered:
            show(f"{verdicts.name}, case by case")
            show_table(
                [Column("case"), Column("label"), Column("said"), Column("confidence", dispensable=1)],
                [
                    [case.id, case.label, "abstained" if abstained else said, case.confidence]
                    for case, said, abstained in zip(
                        report.cases.cases, verdicts.names_said, verdicts.abstained, strict=True
                    )
                ],
            )
            show("")
    show_text("every source counts once; in brackets 95 % intervals")
    show_text("same change: the diagnosis asks for the change that helped, if at another moment")
    n_sources = len({case.source for case in report.cases.cases})
    if n_sources < ENOUGH_INSTANCES:
        show_text(f"only {count_of(n_sources, 'source')}: do not compare by it")


def _row(name: str, part: dict[str, Any]) -> list[str]:
    of_answered = part["right_of_answered"]
    shown = "-"
    if of_answered["value"] is not None:
        low, high = (_percent(bound) for bound in of_answered["interval"])
        shown = f"{_percent(of_answered['value']):>3} [{low}, {high}]"
    same = part["same_change_of_answered"]["value"]
    return [
        name,
        *(_percent(part[share]["value"]) for share in ("right", "wrong", "abstained")),
        shown,
        "-" if same is None else _percent(same),
    ]


def _percent(share: float) -> str:
    return f"{100 * share:.0f}"


@app.command()
def documented(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="The data set of documented programs, by curvebench generate documented -o FILE.",
            show_default=False,
        ),
    ],
    diagnoser: Annotated[list[str] | None, diagnosers_option("rules and all published ones")] = None,
    fit_on: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Data set on whose split train those that learn are fitted first.",
            autocompletion=completion.data_set,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write a page in Markdown too.", show_default=False),
    ] = None,
    force: Force = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Hold documented faults against what really helps: programs of posts and issues, rebuilt.

    For each program: the documented cause and fix, the label by intervention with the gain of its remedy, whether the
    documented fix helps, and what each diagnoser says. docs/documented.md is made by this.

    Exit code 1 if a diagnoser failed.

    Example: [bold]curvebench documented documented.h5 -d rules -o documented.md[/bold]
    """
    from curvebench.cases.asking import OK, ask_about_runs, make
    from curvebench.cases.rebuilt import rebuild, report, runs_of, to_markdown
    from curvebench.data.store import check_target, load, publish
    from curvebench.diagnosers import DIAGNOSERS

    published = [name for name, entry in DIAGNOSERS.items() if entry.kind == "published"]
    names = list(dict.fromkeys(diagnoser or ["rules", *published]))
    if output is not None:
        check_target(output, overwrite=force)
    if any(":" in name for name in names):
        look_here()
    dataset, fitting = load(file), None if fit_on is None else load(fit_on)
    found = rebuild(dataset)
    runs, verdicts = runs_of(dataset, found), []
    with output_to_stderr(), progress_bar("asking", quiet=quiet) as progress:  # what diagnosers print is no data
        for i, name in enumerate(names):
            if progress:
                progress(i, len(names))
            verdicts.append(ask_about_runs(make(name, fitting), runs))
    result = report(dataset, fitting, found, verdicts)
    if output is not None:
        page = to_markdown(result, dataset.meta.thresholds, _command_of(file, diagnoser or (), fit_on, output))
        publish(page.encode(), output, overwrite=force)
    if as_json:
        show_json(result.to_json())
    else:
        _show_programs(result)
    if failed := [f"{v.name}: {v.status}: {v.message.rstrip('.')}" for v in verdicts if v.status != OK]:
        raise CheckFailed("; ".join(failed))


def _command_of(file: Path, diagnosers: Sequence[str], fit_on: Path | None, output: Path) -> str:
    """How to make a page again, files by their names."""
    parts = [f"curvebench generate documented -o {file.name} && curvebench documented {file.name}"]
    parts += [f"-d {Path(name).name if name.endswith('.cbm') else name}" for name in diagnosers]
    parts += [] if fit_on is None else [f"--fit-on {fit_on.name}"]
    return " ".join([*parts, f"-o {output}"])


def _show_programs(result: Rebuilding) -> None:
    from curvebench.cases.rebuilt import most_frequent

    show_table(
        [Column("program"), Column("documented"), Column("helps"), Column("gain", dispensable=1), Column("fix helps")],
        [[r.program.name, r.program.cause, r.diagnosis, str(r.helps), r.fixed.verdict] for r in result.found],
    )
    show("")
    n, tallies = len(result.found), result.n_right()
    show_table(
        [Column("diagnoser"), Column(f"right of {n}", is_number=True), Column("as documented", is_number=True)],
        [[name, *map(str, tally)] for name, tally in tallies.items()],
    )
    show("")
    for name, counters in result.answers().items():
        said = zip(result.found, counters, strict=True)
        show_text(f"{name}: " + ", ".join(f"{r.program.name} {most_frequent(counter)}" for r, counter in said))
