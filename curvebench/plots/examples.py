"""Which runs are drawn: typical ones of a label, of different problems."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

import numpy as np

from curvebench.data.counterfactuals import best_remedy, curve_after
from curvebench.data.dataset import Dataset
from curvebench.spec import DIAGNOSES, Diagnosis, UsageError

EXAMPLES = 3
"""Runs in each panel of the gallery."""

CANDIDATES = 100
"""So many typical runs are looked at for each panel, and as many of those that diverged."""


def find_run(dataset: Dataset, run: str) -> int:
    """Row of a run by its name.

    Raises:
        UsageError: there is none; the nearest names are suggested.
    """
    rows = np.flatnonzero(dataset["run"] == run)
    if len(rows) == 0:
        near = difflib.get_close_matches(run, dataset["run"].tolist()[:20_000], n=3, cutoff=0.0)
        raise UsageError(f"There is no run {run!r} in the data set. Runs are named like {', '.join(near)}.")
    return int(rows[0])


def choose_gallery(dataset: Dataset) -> dict[str, list[int]]:
    """For every diagnosis the rows of its panel in the gallery; see `choose_examples`."""
    return {diagnosis: choose_examples(dataset, diagnosis) for diagnosis in DIAGNOSES}


def choose_examples(dataset: Dataset, diagnosis: str) -> list[int]:
    """Rows of typical runs with a label, up to `EXAMPLES`, the same at every call.

    Wanted are runs that the remedy helped, whose remedied curve can be drawn, of different problem families, of those
    that diverged one where that is not rare, easy ones, with a typical gain: in this order.
    """
    is_labelled = dataset["diagnosis"] == diagnosis
    candidates = typical(dataset, np.flatnonzero(is_labelled & (dataset["diverged"] == 0)))
    diverged = np.flatnonzero(is_labelled & (dataset["diverged"] != 0))
    if 10 * len(diverged) > is_labelled.sum():
        candidates += typical(dataset, diverged)
    lacks_curve = {row: _lacks_curve(dataset, row, diagnosis) for row in candidates}
    chosen: list[int] = []

    def drawback(row: int) -> tuple[Any, ...]:
        others = [[str(dataset[name][other]) for other in chosen] for name in ("problem_family", "diverged")]
        family, is_diverged = str(dataset["problem_family"][row]), str(dataset["diverged"][row])
        return lacks_curve[row], family in others[0], is_diverged in others[1], candidates.index(row)

    while candidates and len(chosen) < EXAMPLES:
        chosen.append(min(candidates, key=drawback))
        candidates.remove(chosen[-1])
    return chosen


def typical(dataset: Dataset, rows: Any) -> list[int]:
    """The rows that show what they are labelled as, easy ones first, then by how near their gain is to the median."""
    if len(rows) == 0:
        return []
    gain = dataset["best_gain"][rows]
    order = np.lexsort((rows, np.abs(gain - np.median(gain)), dataset["difficulty"][rows] != "easy"))
    return [int(row) for row in rows[order][:CANDIDATES]]


def _lacks_curve(dataset: Dataset, row: int, diagnosis: str) -> int:
    """0 if what helped a run can be drawn, 1 if only its outcome can, 2 if nothing helped though the label says so."""
    remedy = best_remedy(dataset, row, diagnosis)
    if remedy == 0:
        return 0 if diagnosis == Diagnosis.HEALTHY else 2
    return int(curve_after(dataset, row, remedy) is None)


def of_different_problems(dataset: Dataset, rows: Sequence[int]) -> list[int]:
    """The first few rows, one of each problem family before a second of any."""
    families = [str(dataset["problem_family"][row]) for row in rows]
    order = sorted(range(len(rows)), key=lambda i: (families[:i].count(families[i]), i))
    return [rows[i] for i in order[:EXAMPLES]]
