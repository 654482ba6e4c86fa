"""A part of a data set that shows what the whole shows: whole (cell, rate)s, of every kind its share."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from curvebench.data.dataset import Dataset
from curvebench.spec import Int, UsageError

STRATA = ("split", "diagnosis", "problem_family")
"""Columns that make the kind of a (cell, rate)."""


def subset(dataset: Dataset, n_runs: int, *, scored_only: bool = False, resumed: bool = True) -> Dataset:
    """A part of a data set with at most so many runs, the same at every call and whatever the order of the rows.

    A label belongs to the runs of a (cell, rate) together, so all of them are taken or none. Of every kind (split,
    label, problem family) about the same share is taken, rounded up, and of each kind first those problem instances
    that have the fewest (cell, rate)s so far: intervals rest on the instances. The outcomes of all remedies stay, and
    so do the fixed actions, which were chosen on all of the split `train`.

    Args:
        dataset: any data set.
        n_runs: runs at most.
        scored_only: leave out the runs whose label is not one of the six diagnoses.
        resumed: keep the curves of resumed runs; else `resumed_train_loss` is NaN, which takes no room in a file.

    Returns:
        The rows that were chosen, in the order of `dataset`.

    Raises:
        UsageError: not one (cell, rate) has so few runs.
    """
    pairs = _pairs(dataset, np.flatnonzero(dataset.is_scored) if scored_only else np.arange(len(dataset)))
    chosen: list[Int] = []
    n_left = n_runs
    for pair in _in_order(pairs):
        if len(pair.rows) > n_left:
            break
        chosen.append(pair.rows)
        n_left -= len(pair.rows)
    if not chosen:
        raise UsageError(
            f"At most {n_runs} runs were asked for, and no (cell, rate) to begin with has so few; ask for more."
        )
    part = dataset.select(np.sort(np.concatenate(chosen)))
    if resumed:
        return part
    nothing = np.full_like(part["resumed_train_loss"], np.nan)
    return Dataset({**part.columns, "resumed_train_loss": nothing}, part.meta)


@dataclass(frozen=True, eq=False)
class _Pair:
    """A (cell, rate).

    Attributes:
        rows: of its runs, ascending.
        stratum: its values in the columns `STRATA`.
        problem: its problem instance.
        lot: a number that puts the pairs into an order that has nothing to do with what they are.
    """

    rows: Int
    stratum: tuple[str, ...]
    problem: str
    lot: str


def _pairs(dataset: Dataset, rows: Int) -> list[_Pair]:
    by_pair: dict[int, list[int]] = defaultdict(list)
    for row, key in zip(rows.tolist(), dataset.cell_rate[rows].tolist(), strict=True):
        by_pair[key].append(row)
    return [_pair(dataset, np.array(members)) for members in by_pair.values()]


def _pair(dataset: Dataset, rows: Int) -> _Pair:
    first = int(rows[0])
    name = f"{dataset['cell'][first]} {float(dataset['base_lr'][first])!r}"
    return _Pair(
        rows=rows,
        stratum=tuple(str(dataset[column][first]) for column in STRATA),
        problem=str(dataset["problem"][first]),
        lot=hashlib.sha256(name.encode()).hexdigest(),
    )


def _in_order(pairs: Sequence[_Pair]) -> Iterator[_Pair]:
    """All pairs; the first so many of them are a subset of that size."""
    left: dict[tuple[str, ...], list[_Pair]] = defaultdict(list)
    for pair in sorted(pairs, key=lambda pair: pair.lot):
        left[pair.stratum].append(pair)
    # the i-th of n comes when the share i / n of all is reached: so every stratum gets its share, rounded up
    turns = [
        (i / len(members), members[0].lot, stratum) for stratum, members in left.items() for i in range(len(members))
    ]
    n_of_problem: Counter[str] = Counter()
    for _, _, stratum in sorted(turns):
        pair = min(left[stratum], key=lambda pair: (n_of_problem[pair.problem], pair.lot))
        left[stratum].remove(pair)
        n_of_problem[pair.problem] += 1
        yield pair
