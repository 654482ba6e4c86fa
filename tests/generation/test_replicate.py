"""Training again: with the seeds of the data set it is the data set, with others it is something else."""

from __future__ import annotations

import numpy as np
import pytest
from oracles.tiny_recipe import tiny_file

from curvebench.data.dataset import Dataset
from curvebench.generation.engine import make_engine
from curvebench.generation.generate import generate
from curvebench.generation.intervene import run_remedies
from curvebench.generation.plan import make_plan
from curvebench.generation.replicate import replicate
from curvebench.remedies import Trial
from curvebench.spec import Action, InputError

FUSED = ('engine = "torch"', 'engine = "fused"')


@pytest.fixture(scope="module", params=["fused", "torch"])
def dataset(request, tmp_path_factory) -> Dataset:
    if request.param == "torch":
        pytest.importorskip("torch")
    changes = (FUSED,) if request.param == "fused" else ()
    return generate(tiny_file(*changes), tmp_path_factory.mktemp("tiny") / "tiny.h5", workers=1)


def rows_of_pairs(dataset: Dataset) -> list[np.ndarray]:
    """Rows of every (cell, rate), seeds in order."""
    return [np.flatnonzero(dataset.cell_rate == key) for key in np.unique(dataset.cell_rate)]


def trial_of(dataset: Dataset, rows, remedies=None) -> Trial:
    tried = np.flatnonzero(~np.isnan(dataset["remedy_final_loss"][rows[0]]))
    chosen = tried if remedies is None else remedies
    return Trial(str(dataset["cell"][rows[0]]), float(dataset["base_lr"][rows[0]]), tuple(map(int, chosen)))


def test_with_the_seeds_of_the_data_set_it_is_the_data_set_to_the_bit(dataset):
    pairs = rows_of_pairs(dataset)[::3]
    assert {len(rows) for rows in pairs} == {2}
    found = replicate(dataset.meta.recipe_text, [trial_of(dataset, rows) for rows in pairs], first_seed=0, workers=1)
    stored = np.stack([dataset["remedy_final_loss"][rows] for rows in pairs])
    np.testing.assert_array_equal(found, stored)
    assert found.dtype == stored.dtype
    assert {dataset["group"][rows[0]] for rows in pairs} == {0, 1, 2}
    for action in Action:
        columns = [i for i, remedy in enumerate(dataset.meta.remedies) if remedy.action is action]
        assert not np.isnan(found[:, :, columns]).all(), action


def test_other_seeds_are_other_runs_of_the_same_kind(dataset):
    pairs = rows_of_pairs(dataset)[::5]
    trials = [trial_of(dataset, rows, ()) for rows in pairs]
    stored = np.stack([dataset["final_loss"][rows] for rows in pairs])
    fresh = replicate(dataset.meta.recipe_text, trials, workers=1)[:, :, 0]
    is_finite = np.isfinite(stored).all(axis=1) & np.isfinite(fresh).all(axis=1)
    assert not np.isin(fresh[is_finite], stored).any()
    assert np.corrcoef(np.log(stored[is_finite, 0]), np.log(fresh[is_finite, 0]))[0, 1] > 0.5
    overlapping = replicate(dataset.meta.recipe_text, trials, first_seed=1, workers=1)[:, :, 0]
    np.testing.assert_array_equal(overlapping[:, 0], stored[:, 1])
    np.testing.assert_array_equal(overlapping[:, 1], fresh[:, 0])


def test_only_what_is_asked_for_comes_out_and_nothing_else_plays_a_part(dataset):
    pairs = rows_of_pairs(dataset)[::4]
    columns = [i for i, remedy in enumerate(dataset.meta.remedies) if remedy.action is Action.RESUME]
    all_at_once = replicate(dataset.meta.recipe_text, [trial_of(dataset, rows) for rows in pairs], workers=1)
    for i in (0, len(pairs) // 2, -1):
        alone = replicate(dataset.meta.recipe_text, [trial_of(dataset, pairs[i], columns[1:3])], workers=1)[0]
        wanted = [0, *columns[1:3]]
        np.testing.assert_array_equal(alone[:, wanted], all_at_once[i][:, wanted])
        assert np.isnan(np.delete(alone, wanted, axis=1)).all()


def test_workers_make_no_difference_and_progress_ends_with_all(dataset):
    trials = [trial_of(dataset, rows) for rows in rows_of_pairs(dataset)[::6]]
    calls, said = [], []
    there = replicate(
        dataset.meta.recipe_text,
        trials,
        workers=2,
        progress=lambda done, total: calls.append(done / total),
        say=said.append,
    )
    np.testing.assert_array_equal(there, replicate(dataset.meta.recipe_text, trials, workers=1))
    assert calls == sorted(calls)
    assert 0 < calls[0] < calls[-1] == 1
    assert said[-1].startswith(
        f"training {len(trials)} (cell, rate)s and their remedies again with 2 other seeds: about "
    )
    assert said[-1].endswith(" s")


def test_nothing_asked_is_nothing_trained(dataset):
    assert replicate(dataset.meta.recipe_text, []).shape == (0, 2, len(dataset.meta.remedies))


@pytest.mark.parametrize(
    "trial",
    [
        Trial("g000009.c00", 0.01, ()),
        Trial("someone's cell", 0.01, ()),
        Trial("g000000.c00", 0.0123, ()),
        Trial("g000000.c00", -1.0, ()),
        Trial("g000000.c00", float("nan"), ()),
        Trial("g000000.c00", float("inf"), ()),
        Trial("g000000.c00", make_plan(tiny_file().recipe)[0].grid.rate(50), ()),
    ],
    ids=str,
)
def test_what_the_recipe_does_not_plan_is_refused(trial):
    with pytest.raises(InputError, match="does not plan the cell"):
        replicate(tiny_file(FUSED).text, [trial])


def test_cells_and_remedies_that_do_not_exist_are_refused():
    recipe = tiny_file(FUSED).recipe
    rate = make_plan(recipe)[0].grid.rate(0)
    with pytest.raises(InputError, match="does not plan the cell"):
        replicate(tiny_file(FUSED).text, [Trial("g000000.c00", rate, (500,))])
    with pytest.raises(InputError, match="has 4 cells; number 7 was asked for"):
        replicate(tiny_file(FUSED).text, [Trial("g000000.c07", rate, ())])
    with pytest.raises(InputError, match="the recipe in the data set has"):
        replicate("format = 1", [])


def test_a_restart_beyond_what_was_swept_is_trained_too():
    recipe = tiny_file(FUSED).recipe
    group = make_plan(recipe)[0]
    outcomes = run_remedies(recipe, group, {(0, 0): [1]}, make_engine("fused"))[0, 0]
    assert np.isfinite(outcomes[:, [0, 1]]).all()
    assert np.isnan(outcomes[:, 2:]).all()
