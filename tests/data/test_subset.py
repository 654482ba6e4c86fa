"""Parts of data sets: whole (cell, rate)s, of every kind its share, always the same."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import curvebench
from curvebench.data.dataset import Dataset
from curvebench.data.store import load, write
from curvebench.data.subset import STRATA, subset
from curvebench.evaluation.evaluate import judge
from curvebench.generation.label import Thresholds
from curvebench.spec import INDETERMINATE, OTHER, UsageError

N_SEEDS = 4


@pytest.fixture(scope="module")
def dataset(make_dataset):
    return make_dataset(n_cells=60, n_points=8, n_seeds=N_SEEDS)


def pairs_of(dataset):
    """(cell, rate) -> its runs, the obvious way."""
    pairs = defaultdict(set)
    for run, cell, rate in zip(dataset["run"], dataset["cell"], dataset["base_lr"], strict=True):
        pairs[str(cell), float(rate)].add(str(run))
    return pairs


def strata_of(dataset):
    """Stratum -> number of (cell, rate)s."""
    kinds = {
        (str(cell), float(rate)): tuple(map(str, kind))
        for cell, rate, *kind in zip(*(dataset[name] for name in ("cell", "base_lr", *STRATA)), strict=True)
    }
    return Counter(kinds.values())


@settings(max_examples=30)
@given(n_runs=st.integers(N_SEEDS, 1000), scored_only=st.booleans())
def test_whole_pairs_and_of_every_stratum_the_same_share_rounded_up(make_dataset, n_runs, scored_only):
    dataset = make_dataset(n_cells=60, n_points=2, n_seeds=N_SEEDS)
    part = subset(dataset, n_runs, scored_only=scored_only)
    whole = dataset.select(dataset.is_scored) if scored_only else dataset
    assert len(part) == min(n_runs // N_SEEDS * N_SEEDS, len(whole))
    all_pairs = pairs_of(whole)
    assert all(runs == all_pairs[pair] for pair, runs in pairs_of(part).items())
    taken, there = strata_of(part), strata_of(whole)
    least_share_of_next = min((taken[s] / n for s, n in there.items() if taken[s] < n), default=1.0)
    assert max((taken[s] - 1) / there[s] for s in taken) <= least_share_of_next


def test_rows_stay_as_they_are(dataset):
    part = subset(dataset, 200)
    rows = np.flatnonzero(np.isin(dataset["run"], part["run"]))
    for name, values in part.columns.items():
        np.testing.assert_array_equal(values, dataset[name][rows], err_msg=name)
    assert part.meta == dataset.meta


def test_the_order_of_rows_does_not_matter(dataset):
    shuffled = dataset.select(np.random.default_rng(1).permutation(len(dataset)))
    assert set(subset(shuffled, 200)["run"].tolist()) == set(subset(dataset, 200)["run"].tolist())


def test_a_smaller_part_lies_in_a_larger_one(dataset):
    small, large = (set(subset(dataset, n)["run"].tolist()) for n in (120, 240))
    assert small < large


def test_every_problem_instance_is_there_before_many_have_two(dataset):
    part = subset(dataset, 200)
    assert set(part["problem"].tolist()) == set(dataset["problem"].tolist())


def test_only_scored_runs(dataset):
    part = subset(dataset, len(dataset), scored_only=True)
    assert len(part) == dataset.is_scored.sum()
    assert not {OTHER, INDETERMINATE} & set(part.labels.tolist())


def test_labels_and_what_the_oracle_gains_stay_what_they_are(dataset):
    part = subset(dataset, 300, scored_only=True)
    of_part, of_whole = judge(part, "oracle"), judge(dataset, "oracle")
    gains = dict(zip(dataset["run"][of_whole.rows].tolist(), of_whole.judged.oracle_net_gain, strict=True))
    assert [gains[run] for run in part["run"][of_part.rows].tolist()] == of_part.judged.oracle_net_gain.tolist()


def test_labels_follow_from_the_outcomes_that_are_left(dataset):
    meta = dataclasses.replace(dataset.meta, thresholds=Thresholds().to_dict())
    labelled = curvebench.relabel(Dataset(dataset.columns, meta))
    part = subset(labelled, 300)
    np.testing.assert_array_equal(curvebench.relabel(part).labels, part.labels)


def test_without_resumed_curves_only_these_are_missing(dataset, tmp_path):
    full, lean = (subset(dataset, 300, resumed=resumed) for resumed in (True, False))
    write(full, tmp_path / "full.h5")
    write(lean, tmp_path / "lean.h5")
    assert (tmp_path / "lean.h5").stat().st_size < (tmp_path / "full.h5").stat().st_size
    read = load(tmp_path / "lean.h5")
    for name in full.columns:
        if name == "resumed_train_loss":
            assert np.isnan(read[name]).all()
        else:
            np.testing.assert_array_equal(read[name], full[name], err_msg=name)


def test_too_few_runs_are_refused(dataset):
    with pytest.raises(UsageError, match="At most 3 runs were asked for"):
        subset(dataset, N_SEEDS - 1)
