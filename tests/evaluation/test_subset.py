"""The fixed part of a split for slow diagnosers."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from curvebench.evaluation.evaluate import examine, scored_rows
from curvebench.evaluation.subset import stratified_rows
from curvebench.spec import InputError


@pytest.fixture(scope="module")
def dataset(make_dataset):
    return make_dataset(n_cells=300, n_points=8)


def test_it_is_the_same_every_time_and_another_for_other_content(dataset, make_dataset):
    rows = stratified_rows(dataset, "test", 300)
    np.testing.assert_array_equal(rows, stratified_rows(dataset.select(np.arange(len(dataset))), "test", 300))
    other = make_dataset(n_cells=300, n_points=8, seed=1)
    assert not np.array_equal(rows, stratified_rows(other, "test", 300))


def test_it_holds_whole_cell_rates_in_order(dataset):
    rows = stratified_rows(dataset, "test", 300)
    assert 290 <= len(rows) <= 300
    assert (np.diff(rows) > 0).all()
    assert set(rows) <= set(scored_rows(dataset, "test"))
    taken, whole = Counter(dataset.cell_rate[rows]), Counter(dataset.cell_rate[scored_rows(dataset, "test")])
    assert all(taken[pair] == whole[pair] for pair in taken)


def test_every_label_and_family_has_its_share(dataset):
    every, rows = scored_rows(dataset, "test"), stratified_rows(dataset, "test", 300)

    def count(which):
        return Counter(zip(dataset["diagnosis"][which], dataset["problem_family"][which], strict=True))

    wanted, found = count(every), count(rows)
    for stratum, n in wanted.items():
        assert abs(found[stratum] - n * len(rows) / len(every)) <= 2 * 4  # two (cell, rate)s of four seeds


def test_a_small_split_is_taken_whole(dataset):
    np.testing.assert_array_equal(stratified_rows(dataset, "test", 10**6), scored_rows(dataset, "test"))


def test_the_oracle_is_still_perfect_there(dataset):
    """The other seeds of a run are there too, so nothing about a run depends on which others are asked about."""
    rows = stratified_rows(dataset, "test", 300)
    (part,) = examine(dataset, "oracle", {"test": rows}, n_bootstrap=20)
    assert part.result.scores["value"] == 1.0
    (whole,) = examine(dataset, "rules", {"test": None}, n_bootstrap=1)
    (some,) = examine(dataset, "rules", {"test": rows}, n_bootstrap=1)
    among = np.isin(whole.judgement.rows, rows)
    for name, values in vars(some.judgement.judged).items():
        np.testing.assert_array_equal(values, getattr(whole.judgement.judged, name)[among], name)


def test_rows_of_another_split_are_refused(dataset):
    with pytest.raises(InputError, match="not, in ascending order, scored runs"):
        examine(dataset, "rules", {"test": scored_rows(dataset, "train")})
