"""Commands that put data sets and common teaching to the test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from curvebench.cli import completion
from curvebench.cli.app import DataFile, Force, Json, Quiet, Workers, app, show_facts
from curvebench.console import Column, progress_bar, say, show, show_json, show_table, show_text
from curvebench.spec import CheckFailed


@app.command()
def claims(
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            help="Folder for the report: claims.md, and claims/ with pictures and JSON.",
            show_default=False,
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CLAIM",
            help="Check this one, as --list names it; may be repeated.",
            show_default="all",
            autocompletion=completion.claim,
        ),
    ] = None,
    effort: Annotated[
        str,
        typer.Option(
            metavar="EFFORT", help="full (minutes) or small (seconds, to try it).", autocompletion=completion.effort
        ),
    ] = "full",
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Labelled data set for the claims about remedies.",
            show_default="some groups of a recipe are trained",
            autocompletion=completion.data_set,
        ),
    ] = None,
    workers: Workers = None,
    engine: Annotated[
        str, typer.Option(metavar="NAME", help="fused or torch.", autocompletion=completion.engine)
    ] = "fused",
    list_them: Annotated[bool, typer.Option("--list", help="List the claims and check none.")] = False,
    force: Force = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Check what is commonly said about adjusting a training run, each statement by an experiment.

    Example: [bold]curvebench claims --effort small --only high-rate-is-fast[/bold]
    """
    from curvebench.claims import CLAIMS
    from curvebench.claims.investigation import find_claim, find_effort, investigate
    from curvebench.claims.report import check_folder, to_json, write_report
    from curvebench.data.store import load

    keys = list(dict.fromkeys(only or CLAIMS))
    chosen = [find_claim(key) for key in keys]
    if list_them:
        _show_claims([{"claim": claim.key, "statement": claim.statement} for claim in chosen], as_json=as_json)
        return
    find_effort(effort)
    dataset = None if data is None else load(data)
    if output is not None:
        check_folder(output, overwrite=force)
    defaults = {"effort": (effort, "full"), "data": (data, None), "engine": (engine, "fused")}
    given = [f"--{name} {value}" for name, (value, default) in defaults.items() if value != default]
    command = " ".join(
        ["curvebench claims", *(f"--only {key}" for key in only or ()), *given, f"-o {output or 'FOLDER'}"]
    )
    with progress_bar("experiments", quiet=quiet) as report:
        found = investigate(
            keys,
            effort=effort,
            engine=engine,
            dataset=dataset,
            workers=workers,
            progress=report,
            say=(lambda sentence: None) if quiet else say,
        )
    result = to_json(found, command) if output is None else write_report(found, output, command, overwrite=force)
    if as_json:
        show_json(result)
        return
    rulings = {key: measurement.verdict for key, measurement in found.measurements.items()}
    _show_claims([{"claim": key, "verdict": str(verdict)} for key, verdict in rulings.items()], as_json=False)
    if output is not None:
        show_text(f"\nreport  {output / 'claims.md'}")


def _show_claims(rows: Sequence[Mapping[str, str]], *, as_json: bool) -> None:
    if as_json:
        show_json(list(rows))
        return
    show_table([Column(title) for title in rows[0]], [list(row.values()) for row in rows])


@app.command()
def audit(
    file: DataFile,
    against: Annotated[
        Path | None,
        typer.Option(
            "--against",
            metavar="FILE",
            help="A data set of the same recipe with another master seed: do both rank diagnosers alike?",
            show_default=False,
            autocompletion=completion.data_set,
        ),
    ] = None,
    sample: Annotated[
        int, typer.Option(metavar="N", min=1, help="Runs to train again, each with other seeds and all remedies.")
    ] = 200,
    retrain: Annotated[bool, typer.Option(help="Train that sample again, which takes minutes.")] = True,
    workers: Workers = None,
    device: Annotated[str, typer.Option(metavar="NAME", help="Device of the torch engine, for instance cuda.")] = "cpu",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write a report in Markdown too.", show_default=False),
    ] = None,
    force: Force = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Measure whether labels are sound and the data set is fit to be a benchmark.

    Every figure stands beside the threshold that it must meet; what they mean is in docs/audit.md. A sample of the data
    set is trained again with other seeds; how long that takes is said first.

    Exit code 1 if a figure that was measured does not meet its threshold.

    Example: [bold]curvebench audit core.h5 --against core-8.h5 -o audit.md[/bold]
    """
    from curvebench.data.store import check_target, load, publish
    from curvebench.evaluation.audit import audit as audit_data_set
    from curvebench.evaluation.audit.replication import draw_sample
    from curvebench.evaluation.audit.report import rows_of
    from curvebench.generation.replicate import replicate

    if output is not None:
        check_target(output, overwrite=force)
    dataset, other = load(file), None if against is None else load(against)
    retrained = None
    if retrain:
        drawn = draw_sample(dataset, sample)
        with progress_bar("training again", quiet=quiet) as report:
            outcomes = replicate(
                dataset.meta.recipe_text,
                drawn.trials,
                workers=workers,
                device=device,
                progress=report,
                say=(lambda sentence: None) if quiet else say,
            )
        retrained = drawn, outcomes
    with progress_bar("measuring", quiet=quiet) as report:
        result = audit_data_set(dataset, retrained=retrained, against=other, progress=report)
    if output is not None:
        publish(result.to_markdown().encode(), output, overwrite=force)
    if as_json:
        show_json({"file": str(file), **result.to_json()})
    else:
        show_facts({"file": file, "recipe": result.recipe, "content_sha256": result.dataset_sha256})
        show("")
        show_table(
            [
                Column("check"),
                Column("measured", is_number=True),
                Column("must be"),
                Column("verdict"),
                Column("figure"),
            ],
            [
                [name, value, bound, verdict, what]
                for check in result.checks
                for name, what, value, bound, verdict in rows_of(check)
            ],
        )
    if result.shortfalls:
        raise CheckFailed(f"{len(result.shortfalls)} of the figures do not meet their thresholds")
