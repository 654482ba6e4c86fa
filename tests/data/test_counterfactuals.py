"""What a remedy made of a run is looked up in the table of runs; here, in what the engine really trained."""

from __future__ import annotations

import numpy as np
import pytest
from oracles.tiny_recipe import tiny_file, tiny_outcomes

from curvebench.data.counterfactuals import best_remedy, curve_after, row_after
from curvebench.data.dataset import concatenate
from curvebench.generation.plan import make_plan
from curvebench.generation.table import make_shard
from curvebench.remedies import family_members
from curvebench.spec import DIAGNOSES, Action

KEEP_ALL = ("lr_too_low = 0.5", "lr_too_low = 1.0")


@pytest.fixture(scope="module")
def dataset():
    """A classification and a regression group of the tiny recipe, nothing thinned out."""
    recipe_file = tiny_file(KEEP_ALL)
    groups = [make_plan(recipe_file.recipe)[i] for i in (0, 2)]
    parts = [make_shard(recipe_file, tiny_outcomes(group.index, KEEP_ALL)) for group in groups]
    first = parts[0].meta
    return concatenate([type(part)(part.columns, first) for part in parts])


def tried(dataset, action):
    """(row, index of a remedy) of everything tried with an action."""
    for i, remedy in enumerate(dataset.meta.remedies):
        if remedy.action is action:
            for row in np.flatnonzero(~np.isnan(dataset["remedy_gain"][:, i])):
                yield int(row), i


def test_a_restart_leads_to_the_run_of_the_same_cell_and_seed_at_the_other_rate(dataset):
    n_found = 0
    for row, i in tried(dataset, Action.RESTART):
        other = row_after(dataset, row, i)
        assert other is not None, "nothing was thinned out"
        for name in ("cell", "seed", "problem", "schedule", "output_activation", "loss"):
            assert dataset[name][other] == dataset[name][row]
        wanted = dataset["base_lr"][row] * dataset.meta.remedies[i].factor
        np.testing.assert_allclose(dataset["base_lr"][other], wanted, rtol=1e-4)
        assert dataset["final_loss"][other] == dataset["remedy_final_loss"][row, i], "it is the very run"
        np.testing.assert_array_equal(curve_after(dataset, row, i), dataset["train_loss"][other])
        n_found += 1
    assert n_found > 100


def test_a_change_of_output_leads_to_the_run_whose_output_fits(dataset):
    n_found = n_of_other_loss = 0
    for row, i in tried(dataset, Action.CHANGE_OUTPUT):
        other = row_after(dataset, row, i)
        if other is None:
            n_of_other_loss += 1
            continue
        for name in ("group", "seed", "base_lr", "schedule", "decay", "warmup", "loss"):
            assert dataset[name][other] == dataset[name][row]
        assert dataset["output_activation"][other] != dataset["output_activation"][row]
        assert dataset["final_loss"][other] == dataset["remedy_final_loss"][row, i]
        n_found += 1
    assert n_found > 10, "regression: the loss stays"
    assert n_of_other_loss > 10, "classification: squared error beside cross entropy says nothing"


def test_a_resumed_curve_is_the_stored_one(dataset):
    for row, i in tried(dataset, Action.RESUME):
        after, stored = curve_after(dataset, row, i), dataset["resumed_train_loss"][row, dataset.meta.resumes.index(i)]
        assert row_after(dataset, row, i) is None
        if after is None:
            assert np.isnan(stored).all()
            assert not np.isfinite(dataset["train_loss"][row, -1]), "what died before it branched off has no curve"
            continue
        np.testing.assert_array_equal(after, stored)
        progress = dataset["step"][row] / dataset["step"][row, -1]
        assert (progress[~np.isnan(after)] > dataset.meta.remedies[i].at).all()


def test_no_remedy_leads_to_the_run_itself_and_longer_training_to_none(dataset):
    assert row_after(dataset, 3, 0) == 3
    np.testing.assert_array_equal(curve_after(dataset, 3, 0), dataset["train_loss"][3])
    longer = [remedy.action for remedy in dataset.meta.remedies].index(Action.TRAIN_LONGER)
    assert curve_after(dataset, 3, longer) is None


def test_a_run_that_is_not_in_the_table_is_not_made_up(dataset):
    row, i = next(tried(dataset, Action.RESTART))
    other = row_after(dataset, row, i)
    thinned = dataset.select(np.arange(len(dataset)) != other)
    assert curve_after(thinned, row - (row > other), i) is None


def test_a_resumption_that_was_not_tried_has_no_curve(make_dataset):
    made = make_dataset(n_cells=2, n_points=8)
    columns = {**made.columns, "resumed_train_loss": np.full_like(made["resumed_train_loss"], np.nan)}
    assert curve_after(type(made)(columns, made.meta), 0, made.meta.resumes[0]) is None


@pytest.mark.parametrize("diagnosis", DIAGNOSES)
def test_the_best_remedy_is_the_best_of_those_that_the_diagnosis_stands_for(dataset, diagnosis):
    members = family_members(dataset.meta.remedies, diagnosis)
    for row in range(len(dataset)):
        gains = {int(i): float(dataset["remedy_gain"][row, i]) for i in members}
        helping = {i: gain for i, gain in gains.items() if gain > 0}
        best = best_remedy(dataset, row, diagnosis)
        assert best == (max(helping, key=helping.__getitem__) if helping else 0)


def test_nothing_is_best_where_nothing_was_tried(make_dataset):
    made = make_dataset(n_cells=2, n_points=8)
    gains = np.full_like(made["remedy_gain"], np.nan)
    untried = type(made)({**made.columns, "remedy_gain": gains}, made.meta)
    assert {best_remedy(untried, 0, diagnosis) for diagnosis in DIAGNOSES} == {0}
