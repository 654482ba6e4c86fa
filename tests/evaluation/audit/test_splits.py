"""Splits that share curves, and an out-of-distribution split that is not."""

from __future__ import annotations

import numpy as np
import pytest
from oracles.audited import changed, scored

from curvebench.evaluation.audit.report import FAILED, PASSED, check_of
from curvebench.evaluation.audit.splits import no_copies, out_of_distribution
from curvebench.spec import InputError


@pytest.fixture(scope="module")
def dataset(make_dataset):
    return make_dataset(n_cells=36, n_rates=4, n_seeds=2, n_points=16)


def test_made_up_splits_share_nothing(dataset):
    found = no_copies(dataset)
    assert found.values == {"pairs": 0}
    assert check_of("no_copies", found).status == PASSED


@pytest.mark.parametrize(("one", "other"), [("train", "test"), ("train", "test_ood"), ("test", "test_ood")])
def test_a_copy_in_another_split_is_caught(dataset, one, other):
    finite = np.isfinite(dataset["train_loss"]).all(axis=1)
    i, j = (np.flatnonzero(finite & (dataset["split"] == split))[3] for split in (one, other))
    loss = dataset["train_loss"].copy()
    loss[j] = loss[i] * (1 + 1e-5)
    found = no_copies(changed(dataset, train_loss=loss))
    assert found.values == {"pairs": 1}
    assert found.details["pairs"][f"{one}, {other}"] == 1
    assert found.details["runs"] == [f"{dataset['run'][i]} = {dataset['run'][j]}"]
    assert check_of("no_copies", found).status == FAILED


def test_a_copy_in_the_same_split_is_none_of_our_business(dataset):
    rows = np.flatnonzero(np.isfinite(dataset["train_loss"]).all(axis=1) & (dataset["split"] == "test"))
    loss = dataset["train_loss"].copy()
    loss[rows[1]] = loss[rows[0]]
    assert no_copies(changed(dataset, train_loss=loss)).values == {"pairs": 0}


def test_an_out_of_distribution_split_that_is_none_is_caught(dataset):
    found = out_of_distribution(dataset)
    assert found.values["margin"] < 0.1
    assert check_of("out_of_distribution", found).status == FAILED


def test_one_that_is_is_recognised(dataset):
    time = np.linspace(0, 1, 16)
    bent = np.where((dataset["split"] == "test_ood")[:, None], 1 + 0.3 * np.sin(20 * time), 1.0)
    found = out_of_distribution(changed(dataset, train_loss=dataset["train_loss"] * bent))
    areas = found.details["area_under_the_curve_against_train"]
    assert areas["test_ood"] > 0.9
    assert areas["test"] < 0.65
    assert found.values["margin"] == areas["test_ood"] - max(0.5, areas["test"])
    assert check_of("out_of_distribution", found).status == PASSED


def test_a_test_split_that_differs_as_much_is_no_better(dataset):
    time = np.linspace(0, 1, 16)
    bent = np.where((dataset["split"] != "train")[:, None], 1 + 0.3 * np.sin(20 * time), 1.0)
    found = out_of_distribution(changed(dataset, train_loss=dataset["train_loss"] * bent))
    assert check_of("out_of_distribution", found).status == FAILED


def test_other_shares_of_labels_alone_are_no_difference(dataset):
    """In test_ood most runs diverge, elsewhere few do; what they look like is the same."""
    rng = np.random.default_rng(0)
    part = scored(dataset)
    diverges = part.labels == "lr_too_high"
    is_kept = np.where(diverges == (part["split"] == "test_ood"), True, rng.random(len(part)) < 0.3)
    assert out_of_distribution(part.select(is_kept)).values["margin"] < 0.1


def test_problems_are_needed_to_keep_some_apart(dataset):
    one = dataset.select((dataset["split"] != "test_ood") | (dataset["problem"] == "spirals-0"))
    with pytest.raises(InputError, match="train and test_ood need scored runs of two problem instances"):
        out_of_distribution(one)
