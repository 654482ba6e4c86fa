"""Commands that diagnose real training runs."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curvebench.cli import completion
from curvebench.cli.app import (
    WHO,
    DataFile,
    Force,
    Json,
    NameOfLoss,
    NameOfRate,
    NameOfSteps,
    Quiet,
    app,
    look_here,
    show_facts,
)
from curvebench.console import Column, output_to_stderr, say, show_json, show_table, show_text
from curvebench.spec import CheckFailed, InputError, UsageError

if TYPE_CHECKING:
    from curvebench.diagnosis import Verdict
    from curvebench.diagnosis.calibration import Point

Logs = Annotated[list[Path], typer.Argument(metavar="LOG", help="Logs: files, or folders of runs.", show_default=False)]


@app.command()
def diagnose(
    log: Logs,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw the verdicts into a PNG, SVG or PDF file.", show_default=False),
    ] = None,
    diagnoser: Annotated[
        str | None,
        typer.Option(
            "--diagnoser",
            "-d",
            metavar="NAME",
            help=f"{WHO}.",
            show_default="as-logged, fitted on core, which comes with the package",
            autocompletion=completion.diagnoser,
        ),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Follow a growing log; speak once, when it is firm.")] = False,
    every: Annotated[
        float, typer.Option(min=0.05, metavar="SECONDS", help="With --watch: the time between two looks.")
    ] = 10,
    patience: Annotated[
        float,
        typer.Option(min=0, metavar="SECONDS", help="With --watch: a log that is silent for so long has ended."),
    ] = 1800,
    x: NameOfSteps = None,
    y: NameOfLoss = None,
    lr: NameOfRate = None,
    optimizer: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Optimiser of the run, for diagnosers that look at it.",
            show_default=False,
            autocompletion=completion.optimizer,
        ),
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Diagnose training runs from their logs: what is wrong, what would help, and when not to trust that.

    Reads what curvebench logs reads; every run in a log gets a verdict. Where the verdict would be a guess, none is
    given, and the reason is.

    Exit codes: 0 also where no verdict is given; 1 if a diagnoser failed, or a log that was watched ended before the
    verdict was firm; 2 wrong usage; 3 a log that cannot be read.

    Example: [bold]curvebench diagnose lightning_logs/version_0 --plot verdict.png[/bold]
    """
    from curvebench.diagnosis import diagnose as judge
    from curvebench.diagnosis import make_ready
    from curvebench.logs import read_log

    if plot is not None:
        from curvebench.plots import check_picture

        check_picture(plot, overwrite=force)
    look_here()
    with output_to_stderr():
        asked = make_ready(diagnoser)

    def read(path: Path) -> list[Verdict]:
        curves = read_log(path, x=x, y=y, lr=lr)
        with output_to_stderr():
            return [judge(curve, asked, optimizer=optimizer) for curve in curves]

    if watch:
        if len(log) > 1:
            raise UsageError("One log is watched at a time; start the command once for each.")
        verdicts = [_watched(lambda: read(log[0]), every, patience)]
    else:
        verdicts = [verdict for path in log for verdict in read(path)]
    if plot is not None:
        from curvebench.plots.verdict import save_verdicts

        n_drawn = save_verdicts(verdicts, plot, overwrite=force)
        if n_drawn < len(verdicts):
            say(f"{plot} shows the first {n_drawn} of {len(verdicts)} runs")
    if as_json:
        show_json([verdict.to_dict() for verdict in verdicts])
    else:
        show_text("\n\n".join(verdict_text(verdict) for verdict in verdicts))


def _watched(read: Callable[[], list[Verdict]], every: float, patience: float) -> Verdict:
    """The firm verdict on the last run of a log that grows.

    Raises:
        CheckFailed: the log ended before the verdict was firm.
    """
    from curvebench.diagnosis.watching import looks

    why_not = ""

    def look() -> Verdict | None:
        nonlocal why_not
        try:
            return read()[-1]
        except InputError as error:  # nothing there yet, a line that is half written, or no column of a given name
            if str(error) != why_not:
                why_not = str(error)
                say(f"waiting: {why_not}")
            return None

    last = None
    for last, is_firm in looks(look, every=every, patience=patience):
        if is_firm:
            return last
    if last is None:
        raise CheckFailed(
            f"Nothing that can be read was logged for {patience:g} seconds.{why_not and f' At last: {why_not}'}"
        )
    why = " ".join(last.abstains_because) or "The looks did not agree for long enough."
    raise CheckFailed(f"The log was silent for {patience:g} seconds before the verdict was firm. At last: {why}")


@app.command()
def calibrate(
    file: DataFile,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write the limits into a JSON file.", show_default=False),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            "--model",
            metavar="FILE",
            help="Model to calibrate for.",
            show_default="the one that comes with the package",
        ),
    ] = None,
    also: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Another data set to calibrate on too; repeatable.", show_default=False),
    ] = None,
    quiet: Quiet = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Find how sure curvebench diagnose must be to give a verdict: accuracy against coverage on held-out runs.

    The limits are chosen on the split test of FILE, whose runs were logged anew with few points and many, and checked
    on test_ood, which took no part.

    Example: [bold]curvebench calibrate core.h5 -o limits.json[/bold]
    """
    from curvebench.data.store import check_target, load, publish
    from curvebench.diagnosers.learned.models import load_model
    from curvebench.diagnosis import default_library
    from curvebench.diagnosis.calibration import (
        BESIDE,
        COUNTS,
        NOVELTIES,
        Answers,
        ask,
        by_novelty,
        calibrated,
        draft,
        frontier,
        judged,
        leaning,
        novelty_quantiles,
        within,
    )
    from curvebench.diagnosis.judging import DEFAULT_MODEL

    if output is not None:
        check_target(output, overwrite=force)
    path = model or DEFAULT_MODEL
    fitted, datasets, library = load_model(path), [load(one) for one in (file, *(also or ()))], default_library()
    first = draft(datasets, hashlib.sha256(path.read_bytes()).hexdigest())
    of_set: dict[tuple[str, str], Answers] = {}
    for split in ("test", "test_ood"):
        for dataset in datasets:
            name = f"{split} of {dataset.meta.recipe_name}"
            if not quiet:
                say(f"asking about the runs of {name}")
            of_set[split, name] = ask(dataset, split, fitted, library, first)
    answers = {
        split: Answers.joined([said for (of, _), said in of_set.items() if of == split])
        for split in ("test", "test_ood")
    }
    limits = calibrated(answers["test"], first)
    allowed = {split: within(said, limits) for split, said in answers.items()}
    curves = {split: frontier(said) for split, said in allowed.items()}
    chosen = {split: judged(said, limits.min_probability) for split, said in allowed.items()}
    by_set = {name: judged(within(said, limits), limits.min_probability) for (_, name), said in of_set.items()}
    by_channel = {
        f"{split}, {what} {channel}": judged(said.select(said.is_shown[:, i] == is_shown), limits.min_probability)
        for split, said in allowed.items()
        for i, channel in enumerate(BESIDE)
        for what, is_shown in (("with", True), ("without", False))
    }
    leanings = {split: leaning(said, limits.min_probability, limits.min_together) for split, said in allowed.items()}
    counts = {
        count: [judged(said.select(said.n_points == count), limits.min_probability) for said in answers.values()]
        for count in COUNTS
    }
    edges = novelty_quantiles(answers["test"], NOVELTIES)
    long_enough = [said.select(said.n_points >= limits.min_points) for said in answers.values()]
    unlike = [by_novelty(said, edges, limits.min_probability) for said in long_enough]
    novelty = dict(zip([*(f"up to {edge:.2f}" for edge in edges), "beyond"], zip(*unlike, strict=True), strict=True))
    if output is not None:
        publish(limits.to_json().encode(), output, overwrite=force)
    if as_json:
        show_json(
            {
                "limits": asdict(limits),
                "chosen": {split: asdict(point) for split, point in chosen.items()},
                "leaning": {split: asdict(point) for split, point in leanings.items()},
                "by_set": {name: asdict(point) for name, point in by_set.items()},
                "by_channel": {name: asdict(point) for name, point in by_channel.items()},
                "curves": {split: [asdict(point) for point in points] for split, points in curves.items()},
                "by_points": {str(count): [asdict(point) for point in points] for count, points in counts.items()},
                "by_novelty": {name: [asdict(point) for point in points] for name, points in novelty.items()},
            }
        )
        return
    show_facts(
        {
            "least probability": f"{limits.min_probability:.2f}",
            "least for a leaning": f"{limits.min_together:.2f}",
            "fewest points": limits.min_points,
            "greatest novelty": f"{limits.max_novelty:.2f}",
            **{f"on {split}": _in_words(point) for split, point in chosen.items()},
            **{f"on {name}": _in_words(point) for name, point in {**by_set, **by_channel}.items()},
            **{f"leaning, on {split}": _in_words(point, "get one") for split, point in leanings.items()},
        }
    )
    numbers = [Column(f"{what} {split}", is_number=True) for split in answers for what in ("judged", "right")]
    show_text("\nAccuracy against coverage, by the least probability:")
    points = [pair for pair in zip(*curves.values(), strict=True) if pair[0].min_probability * 100 % 10 < 0.5]
    show_table(
        [Column("probability", is_number=True), *numbers],
        [[f"{pair[0].min_probability:.2f}", *_cells(pair)] for pair in points],
    )
    show_text("\nWith the least probability above, by the points of the log:")
    show_table([Column("points", is_number=True), *numbers], [[str(n), *_cells(pair)] for n, pair in counts.items()])
    show_text("\nWith the least probability above, by the novelty of the curve:")
    show_table([Column("novelty"), *numbers], [[name, *_cells(pair)] for name, pair in novelty.items()])


def _cells(points: Sequence[Point]) -> list[str]:
    return [text for p in points for text in (f"{p.coverage:.1%}", "-" if p.accuracy is None else f"{p.accuracy:.1%}")]


def _in_words(point: Point, what: str = "are judged") -> str:
    right = "too few to tell how many rightly" if point.accuracy is None else f"{point.accuracy:.1%} of these rightly"
    return f"{point.coverage:.1%} of the logs {what}, {right}"


def verdict_text(verdict: Verdict) -> str:
    """A verdict as a person reads it."""
    found = verdict.precedents
    ranked = sorted(verdict.probabilities.items(), key=lambda item: -item[1])
    lines = [
        f"{verdict.curve.run or 'The run'}: {verdict.diagnosis or 'no verdict'}",
        _line("probabilities", ", ".join(f"{name} {p:.2f}" for name, p in ranked if p >= 0.005)),
        _line("right", f"{verdict.likeliest}, with a probability of {verdict.probability_right:.2f}"),
        *(_line("evidence", sentence) for sentence in verdict.evidence),
        *(_line("no verdict", sentence) for sentence in verdict.abstains_because),
    ]
    if verdict.leaning is not None:
        lines.append(_line("leaning", verdict.leaning_in_words))
    if verdict.remedy is not None:
        lines.append(_line("remedy", verdict.advice))
    if found.share_improved is not None and found.median_gain is not None:
        lines.append(
            _line(
                "precedents",
                f"of the {len(found.gains)} most similar runs where it was tried it helped {found.share_improved:.0%}, "
                f"median gain {found.median_gain:.2f} (0.5: the final loss was halved)",
            )
        )
    counts = Counter(found.labels).most_common()
    lines.append(_line("similar runs", ", ".join(f"{n} {name}" for name, n in counts)))
    lines.append(_line("novelty", f"{found.novelty:.2g} (1: as far from similar runs as runs usually are)"))
    lines += [_line("caution", sentence) for sentence in verdict.cautions]
    lines += [_line("read", note) for note in verdict.curve.notes]
    return "\n".join(lines)


def _line(what: str, text: str) -> str:
    return f"  {what:13}  {text}"
