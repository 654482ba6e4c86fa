"""Commands that judge diagnosers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curvebench.cli import completion
from curvebench.cli.app import (
    ENOUGH_INSTANCES,
    WHO,
    DataFile,
    Force,
    Isolation,
    Json,
    MemoryLimit,
    Output,
    Quiet,
    TimeLimit,
    app,
    diagnosers_option,
    look_up,
    show_facts,
    where_to_run,
)
from curvebench.console import Column, output_to_stderr, progress_bar, say, show, show_json, show_table, show_text
from curvebench.spec import SPLITS, CheckFailed, InputError, UsageError

if TYPE_CHECKING:
    from curvebench.data.dataset import Table
    from curvebench.evaluation.compare import Difference
    from curvebench.evaluation.results import Result

REFERENCES = ("constant", "constant-best", "chance", "oracle")
"""Always on the board beside the diagnosers that were asked for."""

DEFAULT_SPLITS = ("test", "test_ood")

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
    diagnoser: Annotated[list[str] | None, diagnosers_option("rules")] = None,
    split: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SPLIT",
            help="Split to score on: train, test or test_ood; may be repeated.",
            show_default="test and test_ood",
            autocompletion=completion.split,
        ),
    ] = None,
    track: Annotated[
        str | None,
        typer.Option(
            metavar="TRACK",
            help="What diagnosers are shown: curve, telemetry or config.",
            show_default="what each needs",
            autocompletion=completion.track,
        ),
    ] = None,
    fit_on: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Data set on whose split train diagnosers are fitted and fixed actions were chosen.",
            show_default="FILE",
            autocompletion=completion.data_set,
        ),
    ] = None,
    isolation: Isolation = "none",
    time_limit: TimeLimit = None,
    memory_limit: MemoryLimit = None,
    references: Annotated[bool, typer.Option(help="Score constant, constant-best, chance and oracle beside.")] = True,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Score diagnosers by the value of following their advice, with 95 % intervals.

    Value: 0 is doing nothing, 1 is the oracle, negative is worse than doing nothing.

    A diagnoser of your own is looked for in the current folder, then in installed packages. One that learns is fitted
    on the split train first; a file that curvebench fit wrote (.cbm) holds one that was fitted before. With --isolation
    it runs in a process of its own under limits (Linux); in a namespace it moreover finds no network, nothing to write
    to, and the data sets that are named here empty.

    Exit code 1 if a diagnoser that was asked for failed.

    Example: [bold]curvebench evaluate quick.h5 --diagnoser rules[/bold]
    """
    from curvebench.data.dataset import rows_of_split
    from curvebench.data.shipped import locate
    from curvebench.data.store import open_table

    asked = list(dict.fromkeys(diagnoser or ["rules"]))
    how = where_to_run(isolation, time_limit, memory_limit, [locate(path) for path in (file, fit_on) if path])
    _check_splits(split or [])
    with output_to_stderr():
        look_up(asked, how, track)
    dataset = open_table(file)
    fitting = dataset if fit_on is None else open_table(fit_on)
    _say_what_is_not_tried(fitting, dataset)
    _say_what_was_fitted_elsewhere(asked, fitting)
    splits = list(dict.fromkeys(split)) if split else _scored_splits(dataset)
    names = [*asked, *(name for name in REFERENCES if references and name not in asked)]
    can_be_chosen = len(rows_of_split(fitting, "train", scored_only=True)) > 0
    if "constant-best" in names and "constant-best" not in asked and not can_be_chosen:
        names.remove("constant-best")
        say(
            "constant-best is left out: it is chosen on the split train, which has no scored runs; "
            "--fit-on names a data set that has"
        )
    jobs = [
        Job(split_name, name, track if name in asked else None, how if name in asked else {})
        for split_name in splits
        for name in names
    ]
    with progress_bar("evaluating", quiet=quiet) as report, output_to_stderr():  # what diagnosers print is no data
        results = _evaluate_all(dataset, fitting, jobs, report)
    if as_json:
        show_json({"results": [result.to_json() for result in results]})
    else:
        _show_results(results)
    failed = [result for result in results if result.status != "ok" and result.diagnoser in asked]
    if failed:
        raise CheckFailed("; ".join(f"{r.diagnoser} on {r.split}: {r.status}: {r.message.rstrip('.')}" for r in failed))


@dataclass(frozen=True)
class Job:
    """One evaluation: on which split, of whom, shown what, and the arguments that say how it is run."""

    split: str
    diagnoser: str
    track: str | None
    how: Mapping[str, Any]


def _check_splits(splits: Sequence[str]) -> None:
    for split in splits:
        if split not in SPLITS:
            raise UsageError(f"There is no split {split!r}; there are {', '.join(SPLITS)}.")


def _scored_splits(dataset: Table) -> list[str]:
    """The default splits, but for those without a scored run."""
    from curvebench.data.dataset import rows_of_split

    scored = [name for name in DEFAULT_SPLITS if len(rows_of_split(dataset, name, scored_only=True))]
    if not scored:
        raise InputError(f"The splits {' and '.join(DEFAULT_SPLITS)} of this data set have no runs that are scored.")
    for name in DEFAULT_SPLITS:
        if name not in scored:
            say(f"note: the split {name} has no runs that are scored")
    return scored


def _say_what_is_not_tried(fit_on: Table, dataset: Table) -> None:
    """Note which fixed actions of a data set another one has not among its remedies."""
    tried = dataset.meta.remedies
    actions = [(diagnosis, fit_on.meta.remedies[i]) for diagnosis, i in fit_on.meta.fixed_actions.items()]
    if absent := [f"{remedy} ({diagnosis})" for diagnosis, remedy in actions if remedy not in tried]:
        say(f"note: the nearest tried remedy stands in for {', '.join(absent)}, which the scored data set has not")


def _say_what_was_fitted_elsewhere(asked: Sequence[str], fit_on: Table) -> None:
    """Note which fitted models come from another data set than the one that diagnosers are fitted on now."""
    from curvebench.data.dataset import content_sha256
    from curvebench.diagnosers import is_model
    from curvebench.diagnosers.learned.models import load_model

    for path in filter(is_model, asked):
        origin = load_model(path).origin.dataset_sha256
        if origin != content_sha256(fit_on):
            say(f"note: {path} was fitted on another data set ({origin or 'its file does not say which'})")


def _evaluate_all(
    dataset: Table,
    fit_on: Table,
    jobs: Sequence[Job],
    report: Callable[[float, float], None] | None,
) -> list[Result]:
    from curvebench.evaluation.evaluate import evaluate as evaluate_diagnoser

    results: list[Result] = []
    for job in jobs:
        if report:
            report(len(results), len(jobs))
        results.append(
            evaluate_diagnoser(dataset, job.diagnoser, split=job.split, track=job.track, fit_on=fit_on, **job.how)
        )
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
        show_text(f"{split}: {counts.n_runs:,} runs of {counts.n_problem_instances} problem instances")
        show_table(columns, [_result_row(result) for result in rows])
        for result in rows:
            if result.counts.n_abstained:
                show_text(f"{result.diagnoser} took no action on {_abstentions(result)}")
        show("")
    show_text("value: 0 is doing nothing, 1 is the oracle; in brackets 95 % intervals")
    few = [r.split for r in results if r.counts.n_problem_instances < ENOUGH_INSTANCES]
    if few:
        show_text(
            f"{' and '.join(dict.fromkeys(few))}: fewer than {ENOUGH_INSTANCES} problem instances; do not compare by it"
        )


def _result_row(result: Result) -> list[str]:
    if result.scores is None or result.intervals is None:
        return [result.diagnoser, result.status, *[""] * len(SHOWN_SCORES)]
    shown = [
        _score_cell(result.scores[name], result.intervals[name], shape) for name, (_, shape) in SHOWN_SCORES.items()
    ]
    return [result.diagnoser, *shown, f"{result.microseconds_per_curve:.1f}"]


def _abstentions(result: Result) -> str:
    counts = result.counts
    crashed = f", on {counts.n_crashed:,} of them because it crashed" if counts.n_crashed else ""
    return f"{counts.n_abstained:,} of {counts.n_runs:,} runs: it abstained{crashed}"


def _score_cell(score: float, interval: tuple[float, float], shape: tuple[int, int]) -> str:
    width, digits = shape
    if not math.isfinite(score):
        return "undefined".rjust(width)
    low, high = (f"{bound:z.{digits}f}" for bound in interval)
    return f"{score:z{width}.{digits}f} [{low}, {high}]"


@app.command("check-diagnoser")
def check_diagnoser(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help=f"{WHO}.",
            show_default=False,
            autocompletion=completion.diagnoser,
        ),
    ],
    track: Annotated[
        str | None,
        typer.Option(
            metavar="TRACK",
            help="Check on this track: curve, telemetry or config; all for each that holds what it needs.",
            show_default="the one that it needs",
            autocompletion=completion.track,
        ),
    ] = None,
    isolation: Isolation = "none",
    time_limit: TimeLimit = None,
    memory_limit: MemoryLimit = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Check that a diagnoser keeps the contract, on made-up curves: ordinary, odd, short and long ones.

    One with fit is fitted first, on made-up curves too. It is shown the track that it needs, as its attribute track
    says: the training loss alone (curve) if it says nothing. With --isolation somebody else's runs in a process of its
    own under limits (Linux).

    Exit code 1 if a check fails.

    Example: [bold]curvebench check-diagnoser rules[/bold]
    """
    from curvebench.diagnosers import conformance, is_reference, resolve
    from curvebench.diagnosers.answers import InvalidOutput
    from curvebench.evaluation.isolation import maker
    from curvebench.processes import ChildFailed

    if is_reference(name):
        raise UsageError(f"{name!r} is told answers by the evaluator; there is nothing to check.")
    how = where_to_run(isolation, time_limit, memory_limit)
    with output_to_stderr():
        look_up([name], how, None if track == conformance.ALL else track)
    with progress_bar("checking", quiet=quiet) as report, output_to_stderr(), ExitStack() as stack:
        make = stack.enter_context(maker(name, **how)) if how else partial(resolve, name)
        try:
            findings = conformance.check(make, track, progress=report)
        except (ChildFailed, InvalidOutput) as error:
            raise CheckFailed(f"{name} does not keep the contract, it could not be made: {error}") from None
    if as_json:
        show_json(
            {"diagnoser": name, "passed": not any(f.problem for f in findings), "checks": list(map(vars, findings))}
        )
    else:
        if track is None:
            show_text(f"{name} needs the track {findings[0].track} and is checked on it")
        rows = [[f.check, f.track, "failed" if f.problem else "passed", f.problem] for f in findings]
        show_table([Column("check"), Column("track"), Column("outcome"), Column("what went wrong")], rows)
    if failed := [f for f in findings if f.problem]:
        raise CheckFailed(f"{name} does not keep the contract: {len(failed)} of {len(findings)} checks failed.")


@app.command()
def fit(
    file: DataFile,
    diagnoser: Annotated[
        str,
        typer.Option(
            "--diagnoser",
            "-d",
            metavar="NAME",
            help="Name of a learned diagnoser, as curvebench diagnosers lists them.",
            show_default=False,
            autocompletion=completion.learned_diagnoser,
        ),
    ],
    output: Output,
    track: Annotated[
        str | None,
        typer.Option(
            metavar="TRACK",
            help="What it is shown: curve, telemetry or config.",
            show_default="the least it needs",
            autocompletion=completion.track,
        ),
    ] = None,
    also: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Another data set to fit it on too; repeatable.", show_default=False),
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Fit a diagnoser on the split train and store it, to be used without fitting it again.

    The file (.cbm) holds numbers only, no code. Score it with curvebench evaluate FILE --diagnoser MODEL.

    Example: [bold]curvebench fit quick.h5 --diagnoser boosting -o boosting.cbm[/bold]
    """
    from curvebench.data.dataset import joint_sha256
    from curvebench.data.store import load
    from curvebench.diagnosers import make_diagnoser
    from curvebench.diagnosers.learned.models import check_storable, load_model, save_model
    from curvebench.evaluation.evaluate import fit_on_train

    made = make_diagnoser(diagnoser)
    check_storable(made, output, overwrite=force)
    datasets = [load(path) for path in (file, *(also or ()))]
    with output_to_stderr():
        fitted = fit_on_train(datasets[0], made, track=track, also=datasets[1:])
    save_model(fitted, output, dataset_sha256=joint_sha256(datasets), overwrite=force)
    origin = load_model(output).origin
    if as_json:
        show_json(asdict(origin))
    else:
        show_facts(
            {
                "wrote": output,
                "track": f"{origin.track}, {origin.n_points} points",
                "diagnoses": ", ".join(origin.diagnoses),
                "data set": origin.dataset_sha256,
            }
        )


@app.command()
def diagnosers(as_json: Json = False) -> None:
    """List the diagnosers that come with this package, and those that other installed packages name.

    Example: [bold]curvebench diagnosers[/bold]
    """
    from curvebench.diagnosers import DIAGNOSERS, installed

    listed = {name: (entry.kind, entry.description) for name, entry in DIAGNOSERS.items()}
    for name, target in installed().items():
        listed.setdefault(name, ("external", f"installed: {target}"))
    if as_json:
        show_json(
            [{"name": name, "kind": kind, "description": description} for name, (kind, description) in listed.items()]
        )
    else:
        columns = [Column("name"), Column("kind", dispensable=1), Column("description")]
        show_table(columns, [[name, *about] for name, about in listed.items()])


@app.command()
def compare(
    file: DataFile,
    first: Annotated[
        str,
        typer.Argument(
            metavar="A",
            help=f"{WHO}; or a stored result (.json).",
            show_default=False,
            autocompletion=completion.diagnoser_or_result,
        ),
    ],
    second: Annotated[
        str,
        typer.Argument(
            metavar="B",
            help="The other one, named likewise.",
            show_default=False,
            autocompletion=completion.diagnoser_or_result,
        ),
    ],
    split: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SPLIT",
            help="Split to compare on: train, test or test_ood; may be repeated.",
            show_default="test and test_ood",
            autocompletion=completion.split,
        ),
    ] = None,
    all_scores: Annotated[bool, typer.Option("--all-scores", help="Show how every score differs.")] = False,
    isolation: Isolation = "none",
    time_limit: TimeLimit = None,
    memory_limit: MemoryLimit = None,
    as_json: Json = False,
) -> None:
    """Say which of two diagnosers is better, by how much, and how sure that is.

    Both are scored on the same draws of problem instances, so luck with these differs for neither. Half of the width
    of an interval is about the smallest difference that the data set can show.

    Example: [bold]curvebench compare mini rules zoo/late-slope[/bold]
    """
    from curvebench.data.shipped import locate
    from curvebench.data.store import load
    from curvebench.evaluation.compare import COMPARED
    from curvebench.evaluation.compare import compare as compare_diagnosers

    how = where_to_run(isolation, time_limit, memory_limit, [locate(file)])
    _check_splits(split or [])
    with output_to_stderr():
        look_up([name for name in (first, second) if not name.endswith(".json")], how)
    dataset = load(file)
    splits = list(dict.fromkeys(split)) if split else _scored_splits(dataset)
    with output_to_stderr():
        comparisons = [compare_diagnosers(dataset, first, second, name, how=how) for name in splits]
    if as_json:
        show_json([comparison.to_json() for comparison in comparisons])
        return
    for c in comparisons:
        show_text(f"{c.split}: {c.n_runs:,} runs of {c.n_problem_instances} problem instances")
        titles = (c.first, c.second, "difference", "95 % interval")
        numbers = [
            *(Column(title, is_number=True) for title in titles),
            Column("half of it", is_number=True, dispensable=1),
        ]
        show_table(
            [Column("score"), *numbers],
            [_difference_row(c.differences[score]) for score in (c.differences if all_scores else COMPARED)],
        )
        show_text("\n".join(c.in_words()) + "\n")


def _difference_row(difference: Difference) -> list[str]:
    low, high = difference.interval
    numbers = (f"{number:z.3f}" for number in (difference.first, difference.second, difference.difference))
    return [difference.score, *numbers, f"[{low:z.3f}, {high:z.3f}]", f"{difference.half_width:.3f}"]
