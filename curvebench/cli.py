"""The command line: commands, no logic. Data on standard output, progress on standard error."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from curvebench import __version__
from curvebench.spec import CheckFailed, CurveBenchError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from curvebench.generation.generate import Progress

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""

app = typer.Typer(
    name="curvebench",
    help="Loss curves labelled by what would really have helped, and scores for methods that diagnose them.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on standard error.")]
DataFile = Annotated[Path, typer.Argument(metavar="FILE", help="A data set.", show_default=False)]
Force = Annotated[bool, typer.Option("--force", "-f", help="Replace the output if it exists.")]


def main() -> None:
    """Run the command line; every foreseen error becomes one sentence and its documented exit code."""
    try:
        app()
    except CurveBenchError as error:
        _say(f"error: {error}")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        _say("interrupted")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # the reader of our output, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        if os.environ.get("CURVEBENCH_DEBUG"):
            raise
        _say(
            f"internal error: {type(error).__name__}: {error}. Please report it, with the traceback that "
            "CURVEBENCH_DEBUG=1 in the environment shows."
        )
        sys.exit(CurveBenchError.exit_code)


def _say(message: str) -> None:
    print(message, file=sys.stderr)  # noqa: T201


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _print_table(table: Table) -> None:
    Console().print(table)


# ------------------------------------------------------------------------------------------ generate


@app.command()
def generate(
    recipe: Annotated[
        str,
        typer.Argument(metavar="RECIPE", help="Name of a shipped recipe or path of a TOML file.", show_default=False),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="File to write.", show_default=False)],
    workers: Annotated[
        int | None, typer.Option(min=1, max=4096, help="Processes. Default: all cores.", show_default=False)
    ] = None,
    device: Annotated[str, typer.Option(help="Device of the torch engine, for instance cuda.")] = "cpu",
    max_runs: Annotated[
        int | None, typer.Option(min=1, help="Allow this many trained runs.", show_default=False)
    ] = None,
    max_bytes: Annotated[
        int | None, typer.Option(min=1, help="Allow this many bytes of data.", show_default=False)
    ] = None,
    max_memory: Annotated[
        int | None, typer.Option(min=1, help="Allow this many bytes of memory.", show_default=False)
    ] = None,
    force: Force = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train what a recipe asks for, label it by intervention and write one file.

    After an interruption the same command goes on where it stopped.

    Example: [bold]curvebench generate quick -o quick.h5[/bold]
    """
    from curvebench.generation.generate import Limits
    from curvebench.generation.generate import generate as generate_data_set
    from curvebench.generation.plan import compute_cost, make_plan
    from curvebench.generation.recipe import load_recipe

    recipe_file = load_recipe(recipe)
    cost = compute_cost(recipe_file.recipe, make_plan(recipe_file.recipe))
    if not quiet:
        _say(
            f"{recipe_file.recipe.name}: {cost.n_groups} groups, about {cost.n_runs:,} runs and with remedies "
            f"{cost.n_trainings:,} trainings, {cost.n_updates / 1e6:,.1f} million network-steps, "
            f"at most {cost.n_bytes / 2**20:,.0f} MiB uncompressed and {cost.memory_bytes / 2**20:,.0f} MiB of memory"
        )
    given = {"max_runs": max_runs, "max_bytes": max_bytes, "max_memory": max_memory}
    limits = Limits(**{name: value for name, value in given.items() if value is not None})
    try:
        with _progress_bar("training", quiet=quiet) as report:
            dataset = generate_data_set(
                recipe_file, output, workers=workers, device=device, overwrite=force, limits=limits, progress=report
            )
    except KeyboardInterrupt:
        _say(f"interrupted; the same command goes on from {output}.parts")
        sys.exit(INTERRUPTED)
    _show_summary({"file": str(output), **dataset.summary()}, as_json=as_json)


@contextmanager
def _progress_bar(what: str, *, quiet: bool) -> Iterator[Progress | None]:
    """A bar with the time left on standard error; none when quiet or when nobody watches."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.progress import (
        BarColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import (
        Progress as Bar,
    )

    columns = (
        TextColumn(what),
        BarColumn(),
        TextColumn("{task.percentage:.0f} %"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=None)

        def report(done: int, total: int, _: object) -> None:
            bar.update(task, completed=done, total=total)

        yield report


def _show_summary(summary: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        _print_json(summary)
        return
    table = Table(show_header=False, box=None)
    for key, value in summary.items():
        shown = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, Mapping) else str(value)
        table.add_row(f"[bold]{key}[/bold]", shown)
    _print_table(table)


# ------------------------------------------------------------------------------------ looking at files


@app.command()
def info(file: DataFile, as_json: Json = False) -> None:
    """Say what is in a data set.

    Example: [bold]curvebench info quick.h5[/bold]
    """
    from curvebench.data.store import load

    _show_summary(load(file).summary(), as_json=as_json)


@app.command()
def verify(file: DataFile, as_json: Json = False) -> None:
    """Read all of a data set and compare its content with the hash that stands in it.

    Exit code 1 if the content was changed, 3 if the file cannot be read.

    Example: [bold]curvebench verify quick.h5[/bold]
    """
    from curvebench.data.store import verify as verify_file

    _show_summary({"verified": True, **vars(verify_file(file))}, as_json=as_json)


@app.command()
def relabel(
    file: DataFile,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="File to write.", show_default=False)],
    material_gain: Annotated[
        float | None, typer.Option(help="Mean gain from which on a remedy matters.", show_default=False)
    ] = None,
    confidence: Annotated[
        float | None, typer.Option(help="Of the one-sided t-interval: 0.8, 0.9, 0.95 or 0.975.", show_default=False)
    ] = None,
    tie: Annotated[
        float | None, typer.Option(help="Differences below this share of the cap are no gain.", show_default=False)
    ] = None,
    accept_share: Annotated[
        float | None, typer.Option(help="Share of the best gain that is accepted.", show_default=False)
    ] = None,
    largest_ratio: Annotated[
        float | None, typer.Option(help="Gains count up to this ratio of losses.", show_default=False)
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Label a data set with other thresholds; the outcomes stay as they are.

    Example: [bold]curvebench relabel quick.h5 --material-gain 0.2 -o strict.h5[/bold]
    """
    from curvebench.data.store import load, write
    from curvebench.generation.relabel import relabel as relabel_data_set

    given = {
        "material_gain": material_gain,
        "confidence": confidence,
        "tie": tie,
        "accept_share": accept_share,
        "largest_ratio": largest_ratio,
    }
    changed = relabel_data_set(load(file), **{name: value for name, value in given.items() if value is not None})
    write(changed, output, overwrite=force)
    _show_summary({"file": str(output), **changed.summary()}, as_json=as_json)


@app.command()
def plot(
    file: DataFile,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="PICTURE", help="PNG, SVG or PDF.", show_default=False)
    ],
    run: Annotated[
        str | None,
        typer.Argument(metavar="[RUN]", help="Name of a run; without it a gallery of all labels.", show_default=False),
    ] = None,
    force: Force = False,
) -> None:
    """Draw one run with what its remedies made of it, or a gallery with a panel for each label.

    Example: [bold]curvebench plot quick.h5 -o gallery.png[/bold]
    """
    from curvebench.data.store import load
    from curvebench.plots import save_plot

    save_plot(load(file), run, output, overwrite=force)
    _say(f"{output} written")


# ------------------------------------------------------------------------------------------- evaluate

REFERENCES = ("constant", "constant-best", "chance", "oracle")
"""Always on the board beside the diagnosers that were asked for."""

SHOWN_SCORES = ("value", "macro_f1", "balanced_accuracy", "false_alarms_per_100_healthy")


@app.command()
def evaluate(
    file: DataFile,
    diagnoser: Annotated[
        list[str] | None,
        typer.Option(
            "--diagnoser",
            "-d",
            metavar="NAME",
            help="Name, or package.module:attribute; may be repeated.",
            show_default="rules",
        ),
    ] = None,
    split: Annotated[
        list[str] | None, typer.Option(help="Split to score on; may be repeated.", show_default="test and test_ood")
    ] = None,
    track: Annotated[
        str | None,
        typer.Option(help="What diagnosers are shown: curve, telemetry or config.", show_default="what each needs"),
    ] = None,
    references: Annotated[bool, typer.Option(help="Score constant, constant-best, chance and oracle beside.")] = True,
    as_json: Json = False,
) -> None:
    """Score diagnosers by the value of following their advice, with 95 % intervals.

    Value: 0 is doing nothing, 1 is the oracle, negative is worse than doing nothing.
    Exit code 1 if a diagnoser that was asked for failed.

    Example: [bold]curvebench evaluate quick.h5 --diagnoser rules[/bold]
    """
    from curvebench.data.store import load
    from curvebench.evaluation.evaluate import evaluate as evaluate_diagnoser

    asked = diagnoser or ["rules"]
    names = [*asked, *(name for name in REFERENCES if references and name not in asked)]
    dataset = load(file)
    results = [
        evaluate_diagnoser(dataset, name, split=split_name, track=track if name in asked else None)
        for split_name in split or ["test", "test_ood"]
        for name in names
    ]
    if as_json:
        _print_json({"results": [result.to_json() for result in results]})
    else:
        _show_results(results)
    failed = [result for result in results if result.status != "ok" and result.diagnoser in asked]
    if failed:
        raise CheckFailed("; ".join(f"{r.diagnoser} on {r.split}: {r.status}: {r.message}" for r in failed))


def _show_results(results: list[Any]) -> None:
    for split in dict.fromkeys(result.split for result in results):
        rows = [result for result in results if result.split == split]
        counts = rows[0].counts
        table = Table(
            title=f"{split}: {counts.n_runs:,} runs of {counts.n_problem_instances} problem instances",
            title_justify="left",
        )
        table.add_column("diagnoser")
        for name in (*SHOWN_SCORES, "µs per curve"):
            table.add_column(
                name.replace("false_alarms_per_100_healthy", "false alarms / 100 healthy").replace("_", " "),
                justify="right",
            )
        for result in rows:
            if result.scores is None:
                table.add_row(result.diagnoser, f"[red]{result.status}[/red]")
                continue
            cells = [_score_cell(result, name) for name in SHOWN_SCORES]
            table.add_row(result.diagnoser, *cells, f"{result.microseconds_per_curve:.1f}")
        _print_table(table)


def _score_cell(result: Any, name: str) -> str:
    low, high = result.intervals[name]
    digits = 1 if name.startswith("false") else 2
    return f"{result.scores[name]:.{digits}f} [dim]\\[{low:.{digits}f}, {high:.{digits}f}][/dim]"


# -------------------------------------------------------------------------------------- what there is


@app.command()
def recipes(
    name: Annotated[str | None, typer.Argument(help="Print this recipe.", show_default=False)] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of recipes, for editors.")] = False,
    as_json: Json = False,
) -> None:
    """List the recipes that come with the package, or print one.

    Example: [bold]curvebench recipes quick > mine.toml[/bold]
    """
    from curvebench.generation.plan import compute_cost, make_plan
    from curvebench.generation.recipe import load_recipe, recipe_json_schema, shipped_recipes

    if schema:
        _print_json(recipe_json_schema())
        return
    if name is not None:
        sys.stdout.write(load_recipe(name).text)
        return
    rows = []
    for shipped in shipped_recipes():
        recipe = load_recipe(shipped).recipe
        cost = compute_cost(recipe, make_plan(recipe))
        rows.append(
            {
                "name": shipped,
                "version": recipe.version,
                "engine": recipe.engine,
                **vars(cost),
                "description": recipe.description,
            }
        )
    if as_json:
        _print_json(rows)
        return
    table = Table("name", "version", "groups", "runs", "trainings", "description")
    for row in rows:
        table.add_row(
            row["name"],
            str(row["version"]),
            *(f"{row[key]:,}" for key in ("n_groups", "n_runs", "n_trainings")),
            row["description"],
        )
    _print_table(table)


@app.command()
def diagnosers(as_json: Json = False) -> None:
    """List the diagnosers that come with the package.

    Example: [bold]curvebench diagnosers[/bold]
    """
    from curvebench.diagnosers import DIAGNOSERS

    if as_json:
        _print_json([{"name": name, "description": entry.description} for name, entry in DIAGNOSERS.items()])
        return
    table = Table("name", "description")
    for name, entry in DIAGNOSERS.items():
        table.add_row(name, entry.description)
    _print_table(table)


def _show_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"curvebench {__version__}\n")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Loss curves labelled by what would really have helped, and scores for methods that diagnose them."""


if __name__ == "__main__":
    main()
