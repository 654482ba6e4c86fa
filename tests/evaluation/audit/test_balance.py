"""Shares of labels, counted by hand."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np
import pytest
from oracles.audited import changed

from curvebench.data.dataset import Dataset
from curvebench.evaluation.audit.balance import balance
from curvebench.evaluation.audit.report import FAILED, PASSED, check_of
from curvebench.spec import DIAGNOSES, InputError


def labelled(dataset: Dataset, recipe: str = "", **counts: int) -> Dataset:
    """A data set with so many runs of each label."""
    labels = np.repeat(list(counts), list(counts.values()))
    meta = dataclasses.replace(
        dataset.meta, recipe_text=recipe, recipe_sha256=hashlib.sha256(recipe.encode()).hexdigest()
    )
    return changed(Dataset(dataset.select(np.arange(len(labels))).columns, meta), diagnosis=labels)


def test_shares(make_dataset):
    counts = dict.fromkeys(DIAGNOSES, 18) | {"healthy": 10, "other": 5, "indeterminate": 25}
    found = balance(labelled(make_dataset(), **counts))
    assert found.values == {"rarest_label": 10 / 100, "indeterminate": 25 / 130}
    assert found.details["runs"] == counts
    assert found.details["share_of_scored"]["lr_too_low"] == 18 / 100
    assert found.details["indeterminate_before_thinning"] == 25 / 130
    assert check_of("balance", found).status == PASSED


@pytest.mark.parametrize(
    "counts", [{"healthy": 7}, {"healthy": 0}, {"indeterminate": 40}], ids=["a rare label", "one missing", "undecided"]
)
def test_it_fails(make_dataset, counts):
    even = dict.fromkeys(DIAGNOSES, 18) | {"other": 0, "indeterminate": 20}
    assert check_of("balance", balance(labelled(make_dataset(), **(even | counts)))).status == FAILED


def test_thinning_is_undone_by_the_shares_of_the_recipe(make_dataset):
    counts = dict.fromkeys(DIAGNOSES, 20) | {"indeterminate": 40}
    recipe = "[keep]\nlr_too_high = 0.5\nlr_too_low = 0.25\n"
    found = balance(labelled(make_dataset(), recipe, **counts))
    assert found.details["indeterminate_before_thinning"] == 40 / (40 + 80 + 4 * 20 + 40)


@pytest.mark.parametrize(
    "recipe", ["no TOML", "keep = 3", "[keep]\nhealthy = 0.0\n", '[keep]\nhealthy = "all"\n', "[keep]\nhealthy = [1]\n"]
)
def test_where_nobody_knows_what_was_thinned_nothing_is_said(make_dataset, recipe):
    found = balance(labelled(make_dataset(), recipe, **dict.fromkeys(DIAGNOSES, 20)))
    assert "indeterminate_before_thinning" not in found.details


def test_nothing_scored_is_not_measured(make_dataset):
    with pytest.raises(InputError, match="no runs that are scored"):
        balance(labelled(make_dataset(), other=10))
