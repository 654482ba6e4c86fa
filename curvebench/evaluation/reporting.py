"""Evaluate a diagnoser on everything that a board shows."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from curvebench.data.dataset import Dataset, content_sha256
from curvebench.data.shipped import SHIPPED
from curvebench.data.versions import package_versions
from curvebench.data.views import FRACTION_SEEN, VIEWS
from curvebench.diagnosers import is_reference
from curvebench.diagnosers.answers import InvalidOutput
from curvebench.diagnosers.identity import Identity, Statement, identify, statement_of, subject_of
from curvebench.evaluation.breakdowns import by_base_rate, by_severity, gain_left, reliability
from curvebench.evaluation.evaluate import Examination, examine, one_line, scored_rows
from curvebench.evaluation.isolation import isolated
from curvebench.evaluation.report import (
    ALL,
    MAX_MESSAGE,
    MAX_NAME,
    STRATIFIED,
    Circumstances,
    DataSetName,
    Evaluation,
    Moment,
    Report,
    Rerun,
    Subset,
    transfer_of,
    worst_views,
)
from curvebench.evaluation.results import finite_or_none
from curvebench.evaluation.subset import stratified_rows
from curvebench.processes import ChildFailed
from curvebench.spec import DIAGNOSES, TRACKS, CheckFailed, InputError, Int, UsageError

SPLITS_ON_BOARD = ("test", "test_ood")

IN_THIS_PROCESS: Mapping[str, Any] = {}
"""Of the arguments of `examine` that say where a diagnoser runs none, which is here."""


def make_report(
    dataset: Dataset, name: str, how: Mapping[str, Any] = IN_THIS_PROCESS, said: Statement | None = None
) -> Report:
    """Evaluate a diagnoser on everything that a board shows.

    That is every view of both test splits on the smallest track that it needs. Whoever is fitted may learn more from
    more channels, and is asked about the whole curves of every larger track too, up to its attribute `largest_track`
    where it has one.

    Args:
        dataset: the labelled runs.
        name: anything that `curvebench.diagnosers.resolve` takes for a name.
        how: where it runs: arguments of `examine`.
        said: what it says of itself; None to ask it.

    Raises:
        UsageError: there is no such diagnoser, or it says of itself what no board knows.
        CheckFailed: it is isolated, and could not be made or describe itself.
        InputError: the data set has no scored runs to be asked about, or none to fit on, or its version is no number.
    """
    said = said or ask_who(name, how)
    who = checked_identity(name, said)
    subset, rows = choose_runs(dataset, is_slow=said.is_slow)
    examinations = examine(dataset, name, rows, views=list(VIEWS), **how)
    for track in _larger_tracks(said, examinations[0].result.track):
        examinations += examine(dataset, name, rows, track=track, **how)
    return assemble(dataset, who, circumstances(), subset, rows, examinations)


def make_rerun(dataset: Dataset, name: str, master_seed: int, how: Mapping[str, Any] = IN_THIS_PROCESS) -> Rerun:
    """Evaluate a diagnoser once more on another data set of the same recipe: its own track, the curves as they are."""
    _, rows = choose_runs(dataset, is_slow=ask_who(name, how).is_slow)
    scores = {
        e.result.split: {score: finite_or_none(value) for score, value in e.result.scores.items()}
        for e in examine(dataset, name, rows, **how)
        if e.result.scores is not None
    }
    return Rerun(master_seed, content_sha256(dataset), scores, _now())


def ask_who(name: str, how: Mapping[str, Any] = IN_THIS_PROCESS) -> Statement:
    """What a diagnoser says of itself.

    Args:
        name: anything that `curvebench.diagnosers.resolve` takes for a name.
        how: where it runs: arguments of `examine`.

    Raises:
        UsageError: there is no such diagnoser, or its attributes cannot be read.
        CheckFailed: it is isolated, and could not be made or describe itself.
    """
    if not how or is_reference(name):
        return statement_of(subject_of(name))
    try:
        with isolated(name, **how) as inside:
            return inside.statement()
    except (ChildFailed, InvalidOutput) as error:
        raise CheckFailed(f"{name} could not be made: {one_line(str(error))}") from None


def name_data_set(dataset: Dataset) -> DataSetName:
    """What a result says about the data set that it is about: name and version of its recipe, and its content.

    What comes with the package has the name that it has there: `mini` has the recipe of the data set that it is a part
    of, and must not be taken for it.

    Raises:
        InputError: the version of its recipe is no whole number, or its name is too long.
    """
    meta, content = dataset.meta, content_sha256(dataset)
    if not meta.recipe_version.isdecimal() or not 0 < len(meta.recipe_name) <= MAX_NAME:
        raise InputError(
            f"Results are kept by name and version of the recipe; {meta.recipe_name[:MAX_NAME]!r}, "
            f"{meta.recipe_version[:MAX_NAME]!r} is none."
        )
    shipped = {data_set.content_sha256: name for name, data_set in SHIPPED.items()}
    return DataSetName(shipped.get(content, meta.recipe_name), int(meta.recipe_version), content, dataset.n_points)


def circumstances() -> Circumstances:
    """Now and here."""
    versions = package_versions()
    return Circumstances(_now(), _line(_machine(), MAX_MESSAGE), versions.pop("python"), versions)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _machine() -> str:
    """Processor and cores."""
    processor = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        processor = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), processor)
    except OSError:  # not Linux
        pass
    return f"{processor}, {os.cpu_count()} cores"


def _line(text: str, longest: int) -> str:
    """A text as a result may hold it: one line of printable characters."""
    line = "".join(c if c.isprintable() else " " for c in text)
    return line if len(line) <= longest else line[: longest - 1] + "…"


def checked_identity(name: str, said: Statement | None = None) -> Identity:
    """Who a diagnoser is, in texts that a result may hold.

    Args:
        name: of the diagnoser.
        said: what it says of itself; None to make it here and look.

    Raises:
        UsageError: there is no such diagnoser, its name is too long, or it says of itself what no board knows.
    """
    who = identify(name, said)
    if not name.isprintable():
        raise UsageError(f"Names on a board are one line of printable characters; {name!r} is not.")
    if len(name) > MAX_NAME:
        raise UsageError(f"Names on a board have at most {MAX_NAME} characters; {name!r} has {len(name)}.")
    if unknown := sorted(set(who.covers) - set(DIAGNOSES)):
        raise UsageError(f"The diagnoser {name!r} covers {unknown[0]!r}; there are {', '.join(DIAGNOSES)}.")
    return replace(
        who,
        description=_line(who.description, MAX_MESSAGE),
        source=_line(who.source, MAX_MESSAGE),
        version=_line(who.version, MAX_NAME),
        mapping={_line(finding, MAX_MESSAGE): _line(said, MAX_NAME) for finding, said in who.mapping.items()},
    )


def makeable(names: Iterable[str], how: Mapping[str, Any] = IN_THIS_PROCESS) -> tuple[dict[str, Statement], list[str]]:
    """What those diagnosers say of themselves that can be made here; for each other a sentence that says why not."""
    found, obstacles = {}, []
    for name in names:
        try:
            found[name] = ask_who(name, how)
        except (UsageError, CheckFailed) as error:  # a tool that is not installed
            obstacles.append(f"{name} is left out: {error}")
    return found, obstacles


def _larger_tracks(said: Statement, own: str) -> list[str]:
    if not said.can_be_fitted:
        return []
    tracks = list(TRACKS)
    largest = tracks[-1] if said.largest_track is None else said.largest_track
    if largest not in tracks:
        raise UsageError(f"The diagnoser's largest_track is {largest!r}; there are {', '.join(tracks)}.")
    return tracks[tracks.index(own) + 1 : tracks.index(largest) + 1]


def choose_runs(dataset: Dataset, *, is_slow: bool) -> tuple[Subset, dict[str, Int]]:
    """Which runs of which splits a report is about: split -> rows, and how many there are.

    Raises:
        InputError: neither test split has scored runs.
    """
    n_scored = {s: int(((dataset["split"] == s) & dataset.is_scored).sum()) for s in SPLITS_ON_BOARD}
    available = {split: n for split, n in n_scored.items() if n}
    if not available:
        raise InputError(f"The splits {' and '.join(SPLITS_ON_BOARD)} of this data set have no runs that are scored.")
    rows = {s: stratified_rows(dataset, s) if is_slow else scored_rows(dataset, s) for s in available}
    n_of = {split: (len(rows[split]), n) for split, n in available.items()}
    return Subset(STRATIFIED if is_slow else ALL, n_of), rows


def assemble(
    dataset: Dataset,
    who: Identity,
    run: Circumstances,
    subset: Subset,
    rows: Mapping[str, Int],
    examinations: Sequence[Examination],
    rerun: Rerun | None = None,
) -> Report:
    """The report of examinations, which begin with those on the diagnoser's own track.

    Args:
        dataset: that they are about.
        who: was examined.
        run: when and where.
        subset: which runs.
        rows: split -> their rows.
        examinations: all of them.
        rerun: what is known of another data set.
    """
    evaluations = tuple(_evaluation_of(dataset, examination) for examination in examinations)
    own = evaluations[0].track
    early = {
        split: tuple(
            _moment(dataset, view, next(e for e in examinations if _is(e, own, split, view))) for view in FRACTION_SEEN
        )
        for split in rows
    }
    return Report(
        data_set=name_data_set(dataset),
        diagnoser=who,
        run=run,
        subset=subset,
        evaluations=evaluations,
        early=early,
        transfer=transfer_of(evaluations),
        worst_view=worst_views(evaluations),
        rerun=rerun,
        rows=rows,
        answers=tuple(e.answers for e in examinations),
        remedies=tuple(None if e.judgement is None else e.judgement.remedy for e in examinations),
    )


def _is(examination: Examination, track: str, split: str, view: str) -> bool:
    return (examination.result.track, examination.result.split, examination.view) == (track, split, view)


def _evaluation_of(dataset: Dataset, examination: Examination) -> Evaluation:
    result, judgement = examination.result, examination.judgement
    evaluation = Evaluation(
        track=result.track,
        split=result.split,
        view=examination.view,
        status=result.status,
        message=_line(result.message, MAX_MESSAGE),
        counts=result.counts,
    )
    if judgement is None or result.scores is None or result.intervals is None:
        return evaluation
    return replace(
        evaluation,
        scores={name: finite_or_none(value) for name, value in result.scores.items()},
        intervals={name: (finite_or_none(low), finite_or_none(high)) for name, (low, high) in result.intervals.items()},
        confusion=result.confusion,
        microseconds_per_curve=result.microseconds_per_curve,
        reliability=reliability(judgement.judged),
        by_severity=by_severity(judgement.judged, dataset["best_gain"][judgement.rows]),
        by_base_rate=by_base_rate(judgement.judged),
    )


def _moment(dataset: Dataset, view: str, examination: Examination) -> Moment:
    fraction, scores, judgement = FRACTION_SEEN[view], examination.result.scores, examination.judgement
    if scores is None or judgement is None:
        return Moment(fraction, None, None, None)
    return Moment(
        fraction=fraction,
        value=finite_or_none(scores["value"]),
        false_alarms_per_100_healthy=finite_or_none(scores["false_alarms_per_100_healthy"]),
        gain_left=gain_left(dataset, judgement, fraction),
    )
