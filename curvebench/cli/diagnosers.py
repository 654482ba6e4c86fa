"""Commands that judge diagnosers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curvebench.cli.app import ENOUGH_INSTANCES, DataFile, Json, Quiet, app, look_here
from curvebench.console import Column, output_to_stderr, progress_bar, say, show, show_json, show_table
from curvebench.spec import SPLITS, CheckFailed, InputError, UsageError

if TYPE_CHECKING:
    from curvebench.data.dataset import Dataset
    from curvebench.evaluation.evaluate import Judgement
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
        look_here()
    for name in asked:
        if not (name in DIAGNOSERS and DIAGNOSERS[name].is_reference):
            checked_track(resolve(name), track)


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


@app.command()
def compare(
    file: DataFile,
    before: Annotated[
        str,
        typer.Argument(metavar="BEFORE", help="A diagnoser: name, or package.module:attribute.", show_default=False),
    ],
    after: Annotated[str, typer.Argument(metavar="AFTER", help="Another one.", show_default=False)],
    split: Annotated[str, typer.Option(help="Split to score on.")] = "test",
    as_json: Json = False,
) -> None:
    """Compare two diagnosers on the same runs: every score, how it differs, and a 95 % interval of that.

    The problem instances are drawn again for both together, so the interval is narrower than those of the two scores
    suggest. Half of its width is about the smallest difference that the data set can show.

    Example: [bold]curvebench compare mini rules forest[/bold]
    """
    from curvebench.data.store import load
    from curvebench.evaluation.comparison import compare as compare_judgements
    from curvebench.evaluation.evaluate import examine

    with output_to_stderr():
        _look_up([before, after], [split], None)
        dataset = load(file)
        examined = [examine(dataset, name, split=split) for name in (before, after)]
    first, second = (_judgement_of(result, judgement) for result, judgement in examined)
    differences = compare_judgements(first, second)
    if as_json:
        shown = {name: difference.to_json() for name, difference in differences.items()}
        show_json({"before": before, "after": after, "split": split, "differences": shown})
        return
    show(f"{split}: {len(second.rows):,} runs of {len(second.family)} problem instances")
    show_table(
        [
            Column("score"),
            *(Column(title, is_number=True) for title in (before, after, "difference", "95 % interval", "half of it")),
        ],
        [
            [
                d.score,
                *(f"{number:.3f}" for number in (d.before, d.after, d.change)),
                f"[{d.interval[0]:.3f}, {d.interval[1]:.3f}]",
                f"{d.half_width:.3f}",
            ]
            for d in differences.values()
        ],
    )


def _judgement_of(result: Result, judgement: Judgement | None) -> Judgement:
    """What was judged; a diagnoser that failed is a check that failed."""
    if judgement is None:
        raise CheckFailed(f"{result.diagnoser} on {result.split}: {result.status}: {result.message.rstrip('.')}")
    return judgement


@app.command()
def diagnosers(as_json: Json = False) -> None:
    """List the diagnosers that come with the package.

    Example: [bold]curvebench diagnosers[/bold]
    """
    from curvebench.diagnosers import DIAGNOSERS

    if as_json:
        show_json([{"name": name, "kind": e.kind, "description": e.description} for name, e in DIAGNOSERS.items()])
        return
    rows = [[name, entry.kind, entry.description] for name, entry in DIAGNOSERS.items()]
    show_table([Column("name"), Column("kind", dispensable=1), Column("description")], rows)
