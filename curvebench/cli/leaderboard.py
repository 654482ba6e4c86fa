"""Commands about stored results: making, checking, repeating and showing them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from curvebench.cli import completion
from curvebench.cli.app import (
    Commands,
    DataFile,
    Isolation,
    Json,
    MemoryLimit,
    Quiet,
    TimeLimit,
    Workers,
    app,
    diagnosers_option,
    look_up,
    show_facts,
    where_to_run,
)
from curvebench.console import Column, output_to_stderr, progress_bar, say, show_json, show_table
from curvebench.evaluation.stored_results import RESULTS
from curvebench.spec import CheckFailed, UsageError

T = TypeVar("T")

leaderboard = typer.Typer(cls=Commands, no_args_is_help=True, rich_markup_mode="rich")
app.add_typer(leaderboard, name="leaderboard", help="Make, check, repeat and show stored results.")

Results = Annotated[Path, typer.Option(metavar="FOLDER", help="Folder of results.")]


@leaderboard.command()
def run(
    file: DataFile,
    diagnoser: Annotated[list[str] | None, diagnosers_option("all that come with the package")] = None,
    results: Results = RESULTS,
    replace: Annotated[
        bool, typer.Option("--replace", help="Make results anew that differ from what would be made now.")
    ] = False,
    isolation: Isolation = "none",
    time_limit: TimeLimit = None,
    memory_limit: MemoryLimit = None,
    workers: Workers = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Evaluate diagnosers on every view of both test splits, and store what came of it.

    A result that is there already, of the same content by the same diagnoser, is not made again; one that differs is
    never replaced unless --replace says so. After an interruption the same command goes on where it stopped.

    Diagnosers are named and isolated as for curvebench evaluate. Exit code 1 if one failed on the whole curves of a
    split, or is isolated and could not be made.

    Example: [bold]curvebench leaderboard run core.h5[/bold]
    """
    from curvebench.data.shipped import locate
    from curvebench.diagnosers import DIAGNOSERS
    from curvebench.evaluation.reporting import makeable, name_data_set
    from curvebench.evaluation.stored_results import evaluate_and_store, load_once, load_report, pending, result_path

    names, failed = list(dict.fromkeys(diagnoser or DIAGNOSERS)), []
    how = where_to_run(isolation, time_limit, memory_limit, _with_labels(locate(file), results))
    with output_to_stderr():
        if diagnoser:
            look_up(names, how)
        data_set = name_data_set(load_once(file))
        said, obstacles = makeable(names, how) if how or not diagnoser else ({}, [])
        for obstacle in obstacles:
            say(f"note: {obstacle}")
        if said or obstacles:
            names, failed = list(said), obstacles if diagnoser else []
        missing = pending(data_set, names, results, may_replace=replace, said=said)
    _work("evaluating", partial(evaluate_and_store, file, results, how, said), missing, workers, quiet=quiet)
    rows = []
    for name in names:
        path = result_path(results, data_set, name)
        report = load_report(path)
        whole = [report.evaluation(split) for split in report.rows]
        failed += [f"{name} on {e.split}: {e.status}: {e.message.rstrip('.')}" for e in whole if e.scores is None]
        values = {e.split: None if e.scores is None else e.scores["value"] for e in whole}
        rows.append({"diagnoser": name, "file": str(path), "was_made": name in missing, "value": values})
    if as_json:
        show_json(rows)
    else:
        _show_made(rows)
    if failed:
        raise CheckFailed("; ".join(line.rstrip(".") for line in failed))


def _with_labels(file: Path, results: Path) -> list[Path]:
    """What a diagnoser must not see: the data set, and results, for answers of the oracle tell labels."""
    return [file, *([results] if os.path.isdir(results) else [])]


def _show_made(rows: Sequence[dict[str, object]]) -> None:
    def value(row: dict[str, object], split: str) -> str:
        values = row["value"]
        found = values.get(split) if isinstance(values, dict) else None
        return "" if found is None else f"{found:z.2f}"

    show_table(
        [
            Column("diagnoser"),
            Column("value on test", is_number=True),
            Column("on test_ood", is_number=True),
            Column("result"),
        ],
        [
            [
                str(row["diagnoser"]),
                value(row, "test"),
                value(row, "test_ood"),
                "made" if row["was_made"] else "was there",
            ]
            for row in rows
        ],
    )


def _work(what: str, work: Callable[[T], Path], items: Sequence[T], workers: int | None, *, quiet: bool) -> None:
    """Work on all items, each in one process, and say how far it is."""
    from curvebench.generation.backends import available_cores, run_local

    done: list[Path] = []
    with progress_bar(what, quiet=quiet) as report, output_to_stderr():  # what diagnosers print is no data

        def on_done(item: T, path: Path) -> None:
            done.append(path)
            if report:
                report(len(done), len(items))

        if report:
            report(0, max(1, len(items)))
        run_local(work, items, available_cores() if workers is None else workers, on_done)


@leaderboard.command()
def verify(
    results: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of results.")] = RESULTS,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Data set, to compute every number again.",
            show_default=False,
            autocompletion=completion.data_set,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check stored results: form, hashes, that nothing is missing; with the data set also every number.

    Exit code 1 if a result is refused; the reason is stated.

    Example: [bold]curvebench leaderboard verify --data core.h5[/bold]
    """
    from curvebench.evaluation.stored_results import load_once
    from curvebench.evaluation.verification import verify_results

    verdicts = list(verify_results(results, None if data is None else load_once(data)))
    if as_json:
        show_json(
            [
                {"file": str(v.path), "verified": not v.fault, "computed": v.is_computed, "message": v.fault}
                for v in verdicts
            ]
        )
    else:
        in_order = {True: "in order", False: "in order as far as it goes without its data set"}
        rows = [[str(v.path), v.fault or in_order[v.is_computed or data is None]] for v in verdicts]
        show_table([Column("result"), Column("verdict")], rows)
    if refused := sum(bool(v.fault) for v in verdicts):
        raise CheckFailed(f"{refused} of {len(verdicts)} results are refused")
    if data is not None and not any(v.is_computed for v in verdicts):
        raise UsageError(f"None of these results is about {data}; no number was computed again.")


@leaderboard.command()
def rerun(
    file: DataFile,
    seed: Annotated[int, typer.Option(min=0, help="Master seed of the new data set.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Where the new data set is kept; one that is there is used.",
            show_default="beside FILE, with the seed in its name",
        ),
    ] = None,
    diagnoser: Annotated[
        list[str] | None, diagnosers_option("all stored ones that come with the package", "Name of a stored one")
    ] = None,
    results: Results = RESULTS,
    replace: Annotated[
        bool, typer.Option("--replace", help="Also where a result was repeated with another seed.")
    ] = False,
    isolation: Isolation = "none",
    time_limit: TimeLimit = None,
    memory_limit: MemoryLimit = None,
    workers: Workers = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Generate a data set again with another master seed, and evaluate the stored diagnosers on it.

    What comes of it is stored beside each result: a board whose ranks change with the seed ranks nothing. Who does not
    come with the package is run only if it is named here, not because a result that somebody sent names it.

    Example: [bold]curvebench leaderboard rerun core.h5 --seed 8[/bold]
    """
    from curvebench.evaluation.reporting import name_data_set
    from curvebench.evaluation.stored_results import awaiting_rerun, load_once, load_report, rerun_and_store
    from curvebench.generation.generate import generate
    from curvebench.generation.recipe import parse_recipe, with_master_seed

    dataset = load_once(file)
    data_set = name_data_set(dataset)
    if data_set.name != dataset.meta.recipe_name:
        raise UsageError(
            f"{data_set.name} is a part of the data set of its recipe, {dataset.meta.recipe_name}; repeat results on a "
            "whole one."
        )
    recipe_file = parse_recipe(dataset.meta.recipe_text, where=str(file))
    if recipe_file.recipe.master_seed == seed:
        raise UsageError(f"{seed} is the master seed of {file} itself; give another.")
    other = with_master_seed(recipe_file, seed)
    target = output or file.with_name(f"{file.stem}-seed-{seed}{file.suffix}")
    how = where_to_run(isolation, time_limit, memory_limit, _with_labels(file, results))
    with output_to_stderr():
        look_up(diagnoser or [], how)
        paths, obstacles = awaiting_rerun(data_set, results, seed, names=diagnoser, may_replace=replace, how=how)
    for obstacle in obstacles:
        say(f"note: {obstacle}")
    if paths and not os.path.exists(target):
        with progress_bar("training", quiet=quiet) as report:
            generate(
                other,
                target,
                workers=workers,
                progress=None if report is None else lambda done, total, _: report(done, total),
                say=(lambda sentence: None) if quiet else say,
            )
    if paths and load_once(target).meta.recipe_text != other.text:
        raise UsageError(
            f"{target} was not made by the recipe of {file} with the master seed {seed}; name another file."
        )
    if how:
        how["hidden"] = [*how["hidden"], target]
    _work("evaluating again", partial(rerun_and_store, target, seed, how), paths, workers, quiet=quiet)
    found = [{"file": str(path), "rerun": load_report(path).to_json(b"")["rerun"]} for path in paths]
    if as_json:
        show_json(found)
    else:
        show_table([Column("repeated")], [[str(path)] for path in paths])


@leaderboard.command()
def build(
    results: Annotated[Path, typer.Option(metavar="FOLDER", help="Stored results.")] = Path("leaderboard/results"),
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Existing folder to write to.")
    ] = Path("leaderboard"),
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Data set whose curves the page shows, with all verdicts.",
            show_default=False,
            autocompletion=completion.data_set,
        ),
    ] = None,
    cases: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="What diagnosers said about the real cases, as curvebench evaluate-cases wild -o writes it.",
            show_default="cases.json beside the folder of results",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Render README.md and index.html from stored results, byte for byte the same from the same results.

    Both files are replaced. Without --data the page has no curves.

    Example: [bold]curvebench leaderboard build --data core.h5[/bold]
    """
    from curvebench.board.render import build as build_board

    board = build_board(results, output, data, cases)
    facts = {
        "page": str(output / "index.html"),
        "readme": str(output / "README.md"),
        "results": board.n_results,
        "curves": board.n_curves,
    }
    if as_json:
        show_json(facts)
    else:
        show_facts(facts)
