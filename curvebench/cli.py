"""The command line: commands, no logic. Data on standard output, progress on standard error."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from curvebench import __version__
from curvebench.console import Column, output_to_stderr, progress_bar, say, show, show_json, show_table
from curvebench.spec import LABELS, SPLITS, CheckFailed, CurveBenchError, InputError, UsageError

if TYPE_CHECKING:
    from curvebench.data.dataset import Dataset
    from curvebench.evaluation.results import Result
    from curvebench.generation.plan import Cost

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""

FIRST_STEPS = """First steps:

[bold]curvebench generate quick -o quick.h5[/bold]  train and label a small data set

[bold]curvebench plot quick.h5 -o gallery.png[/bold]  see what the labels mean

[bold]curvebench evaluate quick.h5[/bold]  score the reference classifier on it

Exit codes: 0 fine, 1 a check failed, 2 usage, 3 bad input, 4 internal error, 130 interrupted."""


class Commands(TyperGroup):
    """The commands; an interruption of any becomes one word and its documented exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            say("interrupted")
            sys.exit(INTERRUPTED)


app = typer.Typer(
    name="curvebench",
    cls=Commands,
    epilog=FIRST_STEPS,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Nothing on standard error but errors.")]
DataFile = Annotated[Path, typer.Argument(metavar="FILE", help="A data set.", show_default=False)]
Output = Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="File to write.", show_default=False)]
Force = Annotated[bool, typer.Option("--force", "-f", help="Replace the output if it exists.")]


def main() -> None:
    """Run the command line; an error becomes one sentence and its exit code, 4 for what nobody foresaw."""
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="backslashreplace")  # names of files are not always text
    try:
        app(prog_name="curvebench")
    except CurveBenchError as error:
        say(f"error: {error}")
        sys.exit(error.exit_code)
    except Exception as error:
        if os.environ.get("CURVEBENCH_DEBUG"):
            raise
        say(
            f"internal error: {type(error).__name__}: {error}. Please report it, with the traceback that "
            "CURVEBENCH_DEBUG=1 in the environment shows."
        )
        sys.exit(CurveBenchError.exit_code)


def _given(**options: Any) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in options.items() if value is not None}


# ------------------------------------------------------------------------------------------ generate


@app.command()
def generate(
    recipe: Annotated[
        str,
        typer.Argument(metavar="RECIPE", help="Name of a shipped recipe or path of a TOML file.", show_default=False),
    ],
    output: Output,
    workers: Annotated[
        int | None, typer.Option(min=1, max=4096, help="Processes. Default: all cores.", show_default=False)
    ] = None,
    engine: Annotated[
        str | None, typer.Option(help="fused or torch, in place of the recipe's.", show_default=False)
    ] = None,
    device: Annotated[str, typer.Option(help="Device of the torch engine, for instance cuda.")] = "cpu",
    trust: Annotated[
        bool, typer.Option("--trust", help="Run foreign code that the recipe names as a network.")
    ] = False,
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
    from curvebench.data.store import check_target
    from curvebench.generation.generate import Limits
    from curvebench.generation.generate import generate as generate_data_set
    from curvebench.generation.plan import compute_cost, make_plan
    from curvebench.generation.recipe import is_shipped, load_recipe

    if trust:
        _look_here()
    recipe_file = load_recipe(recipe, trust=trust)
    check_target(output, overwrite=force)
    if not quiet:
        say(_cost_line(recipe_file.recipe.name, compute_cost(recipe_file.recipe, make_plan(recipe_file.recipe))))
    try:
        with progress_bar("training", quiet=quiet) as report:
            dataset = generate_data_set(
                recipe_file,
                output,
                engine=engine,
                workers=workers,
                device=device,
                overwrite=force,
                limits=Limits(**_given(max_runs=max_runs, max_bytes=max_bytes, max_memory=max_memory)),
                progress=None if report is None else lambda done, total, _: report(done, total),
                say=(lambda sentence: None) if quiet else say,
            )
    except KeyboardInterrupt:
        say(f"interrupted; the same command goes on from {output}.parts")
        raise typer.Exit(INTERRUPTED) from None
    _show_dataset(dataset, {"file": str(output)}, as_json=as_json)
    if is_shipped(recipe_file) and not quiet:
        _say_shortfalls(dataset, output)


def _say_shortfalls(dataset: Dataset, path: Path) -> None:
    """The cheap part of the audit of a data set that others may publish: a sentence, and never a failure.

    A data set with a handful of problems, to try things with, is not held to it.
    """
    from curvebench.evaluation.audit import cheap_audit

    if min(dataset.summary()["n_problem_instances"].values()) < ENOUGH_INSTANCES:
        return
    shortfalls = cheap_audit(dataset).shortfalls
    if shortfalls:
        say(
            f"note: this data set falls short of what a benchmark must be: {'; '.join(shortfalls)}. "
            f"`curvebench audit {path}` measures all of it."
        )


def _cost_line(name: str, cost: Cost) -> str:
    return (
        f"{name}: {cost.n_groups} groups, about {cost.n_runs:,} runs and with remedies {cost.n_trainings:,} trainings, "
        f"{cost.n_updates / 1e6:,.1f} million network-steps, at most {cost.n_bytes / 2**20:,.0f} MiB uncompressed and "
        f"{cost.memory_bytes / 2**20:,.0f} MiB of memory"
    )


# ------------------------------------------------------------------------------------ looking at files


@app.command()
def info(file: DataFile, as_json: Json = False) -> None:
    """Say what is in a data set.

    Example: [bold]curvebench info quick.h5[/bold]
    """
    from curvebench.data.store import load

    _show_dataset(load(file), {"file": str(file)}, as_json=as_json)


def _show_dataset(dataset: Dataset, about: Mapping[str, Any], *, as_json: bool) -> None:
    """Counts of a data set, after some facts about it."""
    summary = {**about, **dataset.summary()}
    if as_json:
        show_json(summary)
        return
    _show_facts(
        {
            **about,
            "recipe": f"{summary['recipe']}, version {summary['recipe_version']}, engine {summary['engine']}",
            "licence": summary["licence"],
            "format_version": summary["format_version"],
            "content_sha256": summary["content_sha256"],
            "runs": f"{summary['n_runs']:,} of {summary['n_cells']:,} cells in {summary['n_groups']:,} groups; "
            f"{summary['n_scored']:,} are scored",
            "curves": f"{summary['n_points']} points; {summary['n_remedies']} remedies",
            **summary["thresholds"],
        }
    )
    show("")
    by_split, instances = summary["labels_by_split"], summary["n_problem_instances"]
    counts = {label: [by_split[split][label] for split in SPLITS] for label in LABELS}
    counts["all runs"] = [summary["splits"][split] for split in SPLITS]
    counts["problem instances"] = [instances[split] for split in SPLITS]
    show_table(
        [Column("runs by label"), *(Column(name, is_number=True) for name in (*SPLITS, "all"))],
        [[label, *(f"{n:,}" for n in (*row, sum(row)))] for label, row in counts.items()],
    )


def _show_facts(facts: Mapping[str, Any]) -> None:
    width = max(map(len, facts))
    show("\n".join(f"{name:{width}}  {value}" for name, value in facts.items()))


@app.command()
def verify(file: DataFile, as_json: Json = False) -> None:
    """Read all of a data set and compare its content with the hash that stands in it.

    Exit code 1 if the content was changed, 3 if the file cannot be read.

    Example: [bold]curvebench verify quick.h5[/bold]
    """
    from curvebench.data.store import verify as verify_file

    try:
        report = verify_file(file)
    except CheckFailed as error:
        if as_json:
            show_json({"verified": False, "path": str(file), "message": str(error)})
        raise
    if as_json:
        show_json({"verified": True, **vars(report)})
    else:
        _show_facts({"verified": "yes", **vars(report)})


@app.command()
def relabel(
    file: DataFile,
    output: Output,
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
    from curvebench.data.store import check_target, load, write
    from curvebench.generation.relabel import relabel as relabel_data_set

    check_target(output, overwrite=force)
    dataset = load(file)
    thresholds = _given(
        material_gain=material_gain,
        confidence=confidence,
        tie=tie,
        accept_share=accept_share,
        largest_ratio=largest_ratio,
    )
    changed = relabel_data_set(dataset, **thresholds)
    write(changed, output, overwrite=force)
    n_relabelled = int((changed.labels != dataset.labels).sum())
    _show_dataset(changed, {"file": str(output), "n_relabelled": n_relabelled}, as_json=as_json)


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
    lookalikes: Annotated[
        bool, typer.Option("--lookalikes", help="Plateaus that look alike and have different causes.")
    ] = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Draw one run with what its remedies made of it, a gallery of all labels, or plateaus that look alike.

    Example: [bold]curvebench plot quick.h5 -o gallery.png[/bold]
    """
    from curvebench.data.store import load
    from curvebench.plots import check_picture, save_plot

    check_picture(output, overwrite=force)
    runs = save_plot(load(file), run, output, lookalikes=lookalikes, overwrite=force)
    if as_json:
        show_json({"picture": str(output), "runs": runs})
    else:
        _show_facts({"picture": output, "runs": ", ".join(runs)})


@app.command()
def phenomena(
    file: DataFile,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="PICTURE", help="Draw them: PNG, SVG or PDF.", show_default=False),
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Count what the runs of a data set show, from explosions to plateaus that look alike, and draw examples.

    Example: [bold]curvebench phenomena quick.h5 -o phenomena.png[/bold]
    """
    from curvebench.data.phenomena import PHENOMENA, count_phenomena
    from curvebench.data.store import load
    from curvebench.plots import check_picture, save_phenomena

    if output is not None:
        check_picture(output, overwrite=force)
    dataset = load(file)
    counts = count_phenomena(dataset)
    if output is not None:
        save_phenomena(dataset, output, overwrite=force)
    if as_json:
        show_json({"file": str(file), "phenomena": counts})
        return
    columns = [Column("phenomenon"), Column("what it teaches", dispensable=1)]
    columns += [Column(split, is_number=True) for split in SPLITS]
    columns += [Column(label, is_number=True, dispensable=2) for label in LABELS]
    rows = []
    for name, by_split in counts.items():
        numbers = [sum(by_split[split].values()) for split in SPLITS]
        numbers += [sum(by_split[split][label] for split in SPLITS) for label in LABELS]
        rows.append([name, PHENOMENA[name].teaches, *(f"{n:,}" for n in numbers)])
    show_table(columns, rows)


# ------------------------------------------------------------------------------------------- evaluate

REFERENCES = ("constant", "constant-best", "chance", "oracle")
"""Always on the board beside the diagnosers that were asked for."""

DEFAULT_SPLITS = ("test", "test_ood")

ENOUGH_INSTANCES = 20
"""Problem instances of a split from which on its intervals mean something."""

SHOWN_SCORES: Mapping[str, tuple[Column, tuple[int, int]]] = {
    "value": (Column("value"), (5, 2)),
    "macro_f1": (Column("macro F1"), (4, 2)),
    "balanced_accuracy": (Column("balanced acc.", dispensable=1), (4, 2)),
    "false_alarms_per_100_healthy": (Column("false alarms %", dispensable=2), (3, 0)),
}
"""Score -> its column, and its width and digits after the point."""


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
    fit_on: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Data set on whose split train diagnosers are fitted and fixed actions were chosen.",
            show_default="FILE",
        ),
    ] = None,
    references: Annotated[bool, typer.Option(help="Score constant, constant-best, chance and oracle beside.")] = True,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Score diagnosers by the value of following their advice, with 95 % intervals.

    Value: 0 is doing nothing, 1 is the oracle, negative is worse than doing nothing.

    A diagnoser of your own is looked for in the current folder, then in installed packages.

    Exit code 1 if a diagnoser that was asked for failed.

    Example: [bold]curvebench evaluate quick.h5 --diagnoser rules[/bold]
    """
    from curvebench.data.store import load

    asked = list(dict.fromkeys(diagnoser or ["rules"]))
    with output_to_stderr():
        _look_up(asked, split or [], track)
    dataset = load(file)
    fitting = dataset if fit_on is None else load(fit_on)
    _say_what_is_not_tried(fitting, dataset)
    splits = list(dict.fromkeys(split)) if split else _scored_splits(dataset)
    names = [*asked, *(name for name in REFERENCES if references and name not in asked)]
    if "constant-best" in names and "constant-best" not in asked and not fitting.split("train").is_scored.any():
        names.remove("constant-best")
        say(
            "constant-best is left out: it is chosen on the split train, which has no scored runs; "
            "--fit-on names a data set that has"
        )
    jobs = [(split_name, name, track if name in asked else None) for split_name in splits for name in names]
    with progress_bar("evaluating", quiet=quiet) as report, output_to_stderr():  # what diagnosers print is no data
        results = _evaluate_all(dataset, fitting, jobs, report)
    if as_json:
        show_json({"results": [result.to_json() for result in results]})
    else:
        _show_results(results)
    failed = [result for result in results if result.status != "ok" and result.diagnoser in asked]
    if failed:
        raise CheckFailed("; ".join(f"{r.diagnoser} on {r.split}: {r.status}: {r.message.rstrip('.')}" for r in failed))


def _look_up(asked: Sequence[str], splits: Sequence[str], track: str | None) -> None:
    """Complain of what cannot be evaluated before any work, and let modules of the current folder be found."""
    from curvebench.diagnosers import DIAGNOSERS, resolve
    from curvebench.evaluation.evaluate import checked_track

    for split in splits:
        if split not in SPLITS:
            raise UsageError(f"There is no split {split!r}; there are {', '.join(SPLITS)}.")
    if any(":" in name for name in asked):
        _look_here()
    for name in asked:
        if not (name in DIAGNOSERS and DIAGNOSERS[name].is_reference):
            checked_track(resolve(name), track)


def _look_here() -> None:
    """Let modules of the current folder be found."""
    if not sys.flags.safe_path and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())


def _scored_splits(dataset: Dataset) -> list[str]:
    """The default splits, but for those without a scored run."""
    scored = [name for name in DEFAULT_SPLITS if dataset.is_scored[dataset["split"] == name].any()]
    if not scored:
        raise InputError(f"The splits {' and '.join(DEFAULT_SPLITS)} of this data set have no runs that are scored.")
    for name in DEFAULT_SPLITS:
        if name not in scored:
            say(f"note: the split {name} has no runs that are scored")
    return scored


def _say_what_is_not_tried(fit_on: Dataset, dataset: Dataset) -> None:
    """Note which fixed actions of a data set another one has not among its remedies."""
    tried = dataset.meta.remedies
    actions = [(diagnosis, fit_on.meta.remedies[i]) for diagnosis, i in fit_on.meta.fixed_actions.items()]
    if absent := [f"{remedy} ({diagnosis})" for diagnosis, remedy in actions if remedy not in tried]:
        say(f"note: the nearest tried remedy stands in for {', '.join(absent)}, which the scored data set has not")


def _evaluate_all(
    dataset: Dataset,
    fit_on: Dataset,
    jobs: Sequence[tuple[str, str, str | None]],
    report: Callable[[float, float], None] | None,
) -> list[Result]:
    from curvebench.evaluation.evaluate import evaluate as evaluate_diagnoser

    results: list[Result] = []
    for split, name, track in jobs:
        if report:
            report(len(results), len(jobs))
        results.append(evaluate_diagnoser(dataset, name, split=split, track=track, fit_on=fit_on))
    if report:
        report(len(jobs), len(jobs))
    return results


def _show_results(results: Sequence[Result]) -> None:
    columns = [
        Column("diagnoser"),
        *(column for column, _ in SHOWN_SCORES.values()),
        Column("µs/curve", is_number=True, dispensable=3),
    ]
    for split in dict.fromkeys(result.split for result in results):
        rows = [result for result in results if result.split == split]
        counts = rows[0].counts
        show(f"{split}: {counts.n_runs:,} runs of {counts.n_problem_instances} problem instances")
        show_table(columns, [_result_row(result) for result in rows])
        show("")
    show("value: 0 is doing nothing, 1 is the oracle; in brackets 95 % intervals")
    few = [r.split for r in results if r.counts.n_problem_instances < ENOUGH_INSTANCES]
    if few:
        show(
            f"{' and '.join(dict.fromkeys(few))}: fewer than {ENOUGH_INSTANCES} problem instances; do not compare by it"
        )


def _result_row(result: Result) -> list[str]:
    if result.scores is None or result.intervals is None:
        return [result.diagnoser, result.status, *[""] * len(SHOWN_SCORES)]
    shown = [
        _score_cell(result.scores[name], result.intervals[name], shape) for name, (_, shape) in SHOWN_SCORES.items()
    ]
    return [result.diagnoser, *shown, f"{result.microseconds_per_curve:.1f}"]


def _score_cell(score: float, interval: tuple[float, float], shape: tuple[int, int]) -> str:
    width, digits = shape
    if not math.isfinite(score):
        return "undefined".rjust(width)
    low, high = (f"{bound:z.{digits}f}" for bound in interval)
    return f"{score:z{width}.{digits}f} [{low}, {high}]"


# -------------------------------------------------------------------------------------------- claims


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
        list[str] | None, typer.Option(metavar="CLAIM", help="Check this one; may be repeated.", show_default="all")
    ] = None,
    effort: Annotated[str, typer.Option(help="full (minutes) or small (seconds, to try it).")] = "full",
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Labelled data set for the claims about remedies. Default: some groups of a recipe are trained.",
            show_default=False,
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=4096, help="Processes. Default: all cores.", show_default=False)
    ] = None,
    engine: Annotated[str, typer.Option(help="fused or torch.")] = "fused",
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
        show(f"\nreport  {output / 'claims.md'}")


def _show_claims(rows: Sequence[Mapping[str, str]], *, as_json: bool) -> None:
    if as_json:
        show_json(list(rows))
        return
    show_table([Column(title) for title in rows[0]], [list(row.values()) for row in rows])


# ---------------------------------------------------------------------------------------------- audit


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
        ),
    ] = None,
    sample: Annotated[int, typer.Option(min=1, help="(cell, rate)s to train again with other seeds.")] = 200,
    retrain: Annotated[bool, typer.Option(help="Train a sample again.")] = True,
    workers: Annotated[
        int | None, typer.Option(min=1, max=4096, help="Processes that train. Default: all cores.", show_default=False)
    ] = None,
    device: Annotated[str, typer.Option(help="Device of the torch engine, for instance cuda.")] = "cpu",
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
        _show_facts({"file": file, "recipe": result.recipe, "content_sha256": result.dataset_sha256})
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


# -------------------------------------------------------------------------------------- what there is


@app.command()
def recipes(
    name: Annotated[
        str | None, typer.Argument(metavar="[RECIPE]", help="Print this recipe.", show_default=False)
    ] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of recipes, for editors.")] = False,
    as_json: Json = False,
) -> None:
    """List the recipes that come with the package, or print one.

    Example: [bold]curvebench recipes quick > mine.toml[/bold]
    """
    from curvebench.generation.plan import compute_cost, make_plan
    from curvebench.generation.recipe import load_recipe, recipe_json_schema, shipped_recipes

    if schema:
        show_json(recipe_json_schema())
        return
    if name is not None:
        found = load_recipe(name, trust=True)  # printing runs nothing
        if as_json:
            show_json(found.recipe.model_dump(mode="json"))
        else:
            show(found.text)
        return
    rows = []
    for shipped in shipped_recipes():
        recipe = load_recipe(shipped).recipe
        cost = compute_cost(recipe, make_plan(recipe))
        about = {"name": shipped, "version": recipe.version, "engine": recipe.engine}
        rows.append({**about, **vars(cost), "description": recipe.description})
    if as_json:
        show_json(rows)
        return
    numbers = {"version": "version", "n_groups": "groups", "n_runs": "runs", "n_trainings": "trainings"}
    show_table(
        [Column("name"), *(Column(title, is_number=True) for title in numbers.values()), Column("description")],
        [[row["name"], *(f"{row[key]:,}" for key in numbers), row["description"]] for row in rows],
    )


@app.command()
def diagnosers(as_json: Json = False) -> None:
    """List the diagnosers that come with the package.

    Example: [bold]curvebench diagnosers[/bold]
    """
    from curvebench.diagnosers import DIAGNOSERS

    if as_json:
        show_json([{"name": name, "description": entry.description} for name, entry in DIAGNOSERS.items()])
        return
    rows = [[name, entry.description] for name, entry in DIAGNOSERS.items()]
    show_table([Column("name"), Column("description")], rows)


def _show_version(wanted: bool) -> None:
    if wanted:
        show(f"curvebench {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Loss curves labelled by what would really have helped, and scores for methods that diagnose them."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


if __name__ == "__main__":
    main()
