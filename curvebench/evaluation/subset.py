"""A part of a split for diagnosers that are too slow for all of it: the same for everybody, for ever."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np

from curvebench.data.dataset import Dataset, content_sha256
from curvebench.evaluation.evaluate import scored_rows
from curvebench.spec import Int

SUBSET_RUNS = 600
"""Runs of each split, at most."""


def stratified_rows(dataset: Dataset, split: str, n_runs: int = SUBSET_RUNS) -> Int:
    """Rows of a fixed sample of a split's scored runs: whole (cell, rate)s, in proportion to label and problem family.

    Within each label and family the (cell, rate)s stand in the order of their hash, evenly spaced from a start that is
    a hash too, and those that come first over all are taken. So every (cell, rate) is as likely to be drawn, each label
    and family gets its share to within one, and nothing but the content of the data set decides.

    Args:
        dataset: any data set.
        split: one of `SPLITS`.
        n_runs: that the sample may have; a smaller split is taken whole.

    Returns:
        (n,) ascending.

    Raises:
        UsageError: there is no such split.
        InputError: it has no scored runs.
    """
    rows = scored_rows(dataset, split)
    if len(rows) <= n_runs:
        return rows
    _, first, member, size = np.unique(
        dataset.cell_rate[rows], return_index=True, return_inverse=True, return_counts=True
    )
    heads = rows[first]
    strata = [f"{dataset['diagnosis'][row]} {dataset['problem_family'][row]}" for row in heads]
    salt = content_sha256(dataset)
    draws = np.array([_fraction(f"{salt} {dataset['cell'][row]} {float(dataset['base_lr'][row])!r}") for row in heads])
    position = np.empty(len(heads))
    for stratum in set(strata):
        members = np.flatnonzero(np.equal(strata, stratum))
        rank = draws[members].argsort().argsort()
        position[members] = (rank + _fraction(f"{salt} {stratum}")) / len(members)
    order = np.lexsort((draws, position))
    taken = order[np.cumsum(size[order]) <= n_runs]
    return rows[np.isin(member, taken)]


def _fraction(text: str) -> float:
    """A hash of a text, as a number in [0, 1)."""
    return int.from_bytes(blake2b(text.encode(), digest_size=6).digest(), "big") / 2**48
