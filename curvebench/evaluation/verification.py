"""Stored results, checked: as far as they go by themselves, or by computing every number again."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from curvebench.data.dataset import Dataset
from curvebench.evaluation.evaluate import Examination, mark
from curvebench.evaluation.report import STRATIFIED, Report
from curvebench.evaluation.reporting import assemble, choose_runs, name_data_set
from curvebench.evaluation.stored_results import load_report, results_in
from curvebench.spec import CheckFailed, InputError

_SAME = 1e-9
"""Numbers that differ by less, absolutely or as a share, are the same: sums may be taken in another order elsewhere."""


@dataclass(frozen=True)
class Verdict:
    """What checking a stored result came to.

    Attributes:
        path: of the JSON.
        fault: why it is refused; empty where it is in order.
        is_computed: whether every number was computed again.
    """

    path: Path
    fault: str
    is_computed: bool = False


def verify_results(folder: Path, dataset: Dataset | None = None) -> Iterator[Verdict]:
    """Check every result in a folder.

    Without the data set: the form of both files, their hashes, that nothing is missing, that each lies where it belongs
    and that all of a folder are about the same content. With it: every number is computed again from the stored
    answers.

    Args:
        folder: of results, or of those of one data set.
        dataset: that the results are about; those about data sets of another name or version are checked without.

    Raises:
        InputError: the folder has no results.
    """
    first: dict[Path, Report] = {}
    for path in results_in(folder):
        try:
            report = load_report(path)
            _check_place(path, report, first.setdefault(path.parent, report))
            is_about_it = dataset is not None and report.data_set.folder == name_data_set(dataset).folder
            if dataset is not None and is_about_it:
                check_numbers(report, dataset)
        except (InputError, CheckFailed) as error:
            yield Verdict(path, str(error))
        else:
            yield Verdict(path, "", is_computed=is_about_it)


def _check_place(path: Path, report: Report, other: Report) -> None:
    if path.resolve().parent.name != report.data_set.folder:
        raise InputError(f"{path} is about {report.data_set.folder} and belongs into a folder of that name.")
    if report.data_set != other.data_set:
        raise InputError(f"{path} is about other content than the result of {other.diagnoser.name!r} beside it.")


def check_numbers(report: Report, dataset: Dataset) -> None:
    """Compute everything in a report again from its answers, and compare.

    The time that answers took, where they were given and a rerun are taken as they stand.

    Raises:
        CheckFailed: a number is another; the first is named.
        InputError: the report is about another data set, or about other runs than a report is to be about.
    """
    if report.data_set != name_data_set(dataset):
        raise InputError(f"The result of {report.diagnoser.name!r} is about another data set than this one.")
    subset, rows = choose_runs(dataset, is_slow=report.subset.name == STRATIFIED)
    if subset != report.subset or any(not np.array_equal(rows[s], report.rows[s]) for s in rows):
        raise InputError(f"The result of {report.diagnoser.name!r} is about other runs than those it must be about.")
    again = []
    for i in range(len(report.evaluations)):
        again.append(_mark_again(report, i, dataset))
        judgement, remedy = again[-1].judgement, report.remedies[i]
        if judgement is not None and remedy is not None and not np.array_equal(judgement.remedy, remedy):
            raise CheckFailed(f"evaluations[{i}]: the stored remedies are not those that the answers lead to.")
    made = assemble(dataset, report.diagnoser, report.run, report.subset, report.rows, again, report.rerun)
    if found := next(_differences(report.to_json(b""), made.to_json(b""), ""), None):
        raise CheckFailed(found)


def _mark_again(report: Report, i: int, dataset: Dataset) -> Examination:
    stored, answers = report.evaluations[i], report.answers[i]
    marked = mark(
        dataset,
        stored.split,
        answers,
        rows=report.rows[stored.split],
        track=stored.track,
        view=stored.view,
        name=report.diagnoser.name,
    )
    return replace(marked, result=replace(marked.result, status=stored.status, message=stored.message))


def _differences(stored: Any, computed: Any, place: str) -> Iterator[str]:
    """Where two JSON values differ, and how."""
    if isinstance(stored, dict) and isinstance(computed, dict) and stored.keys() == computed.keys():
        for key in stored:
            yield from _differences(stored[key], computed[key], f"{place}.{key}" if place else str(key))
    elif isinstance(stored, list) and isinstance(computed, list) and len(stored) == len(computed):
        for i, (a, b) in enumerate(zip(stored, computed, strict=True)):
            yield from _differences(a, b, f"{place}[{i}]")
    elif isinstance(stored, float) and isinstance(computed, float):
        if not math.isclose(stored, computed, rel_tol=_SAME, abs_tol=_SAME):
            yield f"{place} is stored as {stored!r} and computed from the answers as {computed!r}."
    elif stored != computed:
        yield f"{place} is stored as {str(stored)[:60]} and computed from the answers as {str(computed)[:60]}."
