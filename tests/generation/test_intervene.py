"""A group's training: its sweep, every remedy of every run, and a plain one-network loop that tells the same story."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from oracles.tiny_recipe import tiny_file, tiny_outcomes

from curvebench.generation.engine import make_engine
from curvebench.generation.intervene import TURN, GroupOutcomes, _GroupTrainer, mean_share, run_group
from curvebench.generation.networks import initial_parameters, initial_state
from curvebench.generation.plan import make_plan, remedies_of_recipe
from curvebench.generation.problems import make_problem, turned
from curvebench.generation.random_streams import stream
from curvebench.generation.schedules import schedule_shape
from curvebench.generation.sweep import extensions, is_complete, refinements
from curvebench.spec import Action, InputError, Network, Output, Remedy, TrainingJob

TINY = tiny_file().recipe
DENSITY, N_SEEDS = TINY.sweep.points_per_decade, TINY.sweep.seeds
REMEDIES = remedies_of_recipe(TINY)
RESUMES = [remedy for remedy in REMEDIES if remedy.action is Action.RESUME]
WILD = (("highest_rate = 3.0", "highest_rate = 3e5"),)
"""Rates at which a regression explodes within a few updates."""

CLASSES, REGRESSION = 0, 2
groups = pytest.mark.parametrize("group", [CLASSES, REGRESSION])


def rows_of(o: GroupOutcomes) -> dict[tuple[int, int, int], int]:
    """(cell, rate, seed) -> row."""
    return {
        key: row for row, key in enumerate(zip(o.cell.tolist(), o.rate_index.tolist(), o.seed.tolist(), strict=True))
    }


def column(remedy: Remedy) -> int:
    return REMEDIES.index(remedy)


# ---------------------------------------------------------------------------------------------- the sweep


@groups
def test_rows_stand_in_order_and_every_rate_has_all_its_seeds(group):
    o = tiny_outcomes(group)
    keys = list(rows_of(o))
    assert keys == sorted(keys)
    assert len(set(keys)) == len(o.seed)
    assert {(c, k, s) for c, k, _ in keys for s in range(N_SEEDS)} == set(keys)


@groups
def test_cells_are_outputs_by_schedules_and_the_fitting_output_comes_first(group):
    o = tiny_outcomes(group)
    fitting = Output(o.problem.fitting_output, o.problem.fitting_loss)
    outputs = [fitting, Output("tanh", "squared_error")]
    expected = [(output, schedule) for output in outputs for schedule in TINY.schedules]
    assert [(cell.output, cell.schedule) for cell in o.cells] == expected
    assert set(o.cell.tolist()) == set(range(4))


@groups
def test_every_cell_was_swept_to_the_end_by_the_rule(group):
    o = tiny_outcomes(group)
    grid = o.group.grid
    for cell, cap in enumerate(o.caps):
        of_cell = o.cell == cell
        tried = sorted(set(o.rate_index[of_cell].tolist()))
        shares = {k: mean_share(o.final_loss[of_cell & (o.rate_index == k)], cap) for k in tried}
        assert set(grid.coarse) <= set(tried)
        assert grid.bounds[0] <= tried[0]
        assert tried[-1] <= grid.bounds[1]
        if is_complete(shares):
            assert extensions(shares, grid) == []
        assert refinements(shares, grid) == []


@groups
def test_caps_are_the_loss_of_the_best_constant(group):
    o = tiny_outcomes(group)
    targets = o.problem.train_targets.astype(np.float64)
    variance = ((targets - targets.mean(axis=0)) ** 2).mean()
    frequencies = targets.mean(axis=0)
    frequencies = frequencies[frequencies > 0]
    entropy = -(frequencies * np.log(frequencies)).sum()
    own = [entropy if cell.output.loss == "cross_entropy_logits" else variance for cell in o.cells]
    np.testing.assert_allclose(o.caps, own, rtol=1e-9)


# ------------------------------------------------------------------------------------------- the remedies


@groups
def test_none_is_the_run_itself(group):
    o = tiny_outcomes(group)
    np.testing.assert_array_equal(o.remedy_final_loss[:, 0], o.final_loss)
    np.testing.assert_array_equal(o.remedy_final_val_loss[:, 0], o.final_val_loss)


@groups
def test_a_restart_is_the_neighbour_with_the_same_seed(group):
    o = tiny_outcomes(group)
    rows = rows_of(o)
    n_tried = 0
    for remedy in REMEDIES:
        if remedy.action is not Action.RESTART:
            continue
        shift = round(math.log10(remedy.factor) * DENSITY)
        for (cell, k, seed), row in rows.items():
            found = o.remedy_final_loss[row, column(remedy)], o.remedy_final_val_loss[row, column(remedy)]
            neighbour = rows.get((cell, k + shift, seed))
            if neighbour is None:
                assert np.isnan(found).all()
            else:
                assert found == (o.final_loss[neighbour], o.final_val_loss[neighbour])
                n_tried += 1
    # every ordered pair of rates of a cell has its restart
    sizes = [len(set(o.rate_index[o.cell == cell].tolist())) for cell in range(len(o.cells))]
    assert n_tried == N_SEEDS * sum(n * (n - 1) for n in sizes)


@groups
def test_only_the_unfitting_output_can_be_changed(group):
    o = tiny_outcomes(group)
    changed = o.remedy_final_loss[:, column(Remedy(Action.CHANGE_OUTPUT))]
    is_fitting = o.cell < 2
    assert np.isnan(changed[is_fitting]).all()
    assert not np.isnan(changed[~is_fitting]).any(), "every twin was trained"


def test_a_changed_output_is_the_fitting_twin_measured_in_the_own_objective():
    o = tiny_outcomes(REGRESSION)
    rows = rows_of(o)
    changed = o.remedy_final_loss[:, column(Remedy(Action.CHANGE_OUTPUT))]
    for (cell, k, seed), row in rows.items():
        if cell >= 2:  # here both objectives are the squared error, so it is the twin's own figure
            assert changed[row] == o.final_loss[rows[cell - 2, k, seed]]


def branch_of(o: GroupOutcomes, at: float) -> int:
    """The recorded point nearest to that fraction."""
    return int(o.record_steps[round(at * (len(o.record_steps) - 1))])


@groups
@pytest.mark.parametrize("changes", [(), WILD])
def test_resuming_with_factor_one_reproduces_the_run(group, changes):
    o = tiny_outcomes(group, *changes)
    remedies = remedies_of_recipe(tiny_file(*changes).recipe)
    for i, remedy in enumerate(r for r in remedies if r.action is Action.RESUME):
        if remedy.factor != 1.0:
            continue
        j = remedies.index(remedy)
        np.testing.assert_array_equal(o.remedy_final_loss[:, j], o.final_loss)
        np.testing.assert_array_equal(o.remedy_final_val_loss[:, j], o.final_val_loss)
        after = o.record_steps > branch_of(o, remedy.at)
        lived = np.isfinite(o.train_loss[:, ~after]).all(axis=1) & ~np.isnan(o.resumed_train_loss[:, i, -1])
        np.testing.assert_array_equal(o.resumed_train_loss[lived, i][:, after], o.train_loss[lived][:, after])
        assert lived.sum() >= (~o.is_dead).sum() > 0


@groups
def test_resumed_curves_begin_after_their_branch(group):
    o = tiny_outcomes(group)
    assert o.resumed_train_loss.shape == (len(o.seed), len(RESUMES), len(o.record_steps))
    for i, remedy in enumerate(RESUMES):
        before = o.record_steps <= branch_of(o, remedy.at)
        assert before.sum() == {0.25: 5, 0.5: 9}[remedy.at]
        assert np.isnan(o.resumed_train_loss[:, i][:, before]).all()
        if remedy.factor <= 1.0:  # a higher rate may end in NaN as it happened
            assert not np.isnan(o.resumed_train_loss[~o.is_dead, i][:, ~before]).any()


@groups
def test_a_lower_rate_changes_the_rest_of_the_run_and_only_that(group):
    o = tiny_outcomes(group)
    lower = [i for i, remedy in enumerate(RESUMES) if remedy.factor == 0.1]
    tenth = o.resumed_train_loss[~o.is_dead][:, lower, -1]
    own = o.train_loss[~o.is_dead, -1]
    assert np.mean(tenth != own[:, None]) > 0.9
    early, late = (o.remedy_final_loss[~o.is_dead, column(Remedy(Action.RESUME, 0.1, at))] for at in (0.25, 0.5))
    assert np.mean(early != late) > 0.9


def test_the_dead_stay_dead_and_those_who_were_alive_at_the_branch_may_live():
    o = tiny_outcomes(REGRESSION, *WILD)
    remedies = remedies_of_recipe(tiny_file(*WILD).recipe)
    assert o.is_dead.any()
    assert not o.is_dead.all()
    assert np.isinf(o.final_loss[o.is_dead]).all()
    assert np.isinf(o.final_val_loss[o.is_dead]).all()
    assert np.isfinite(o.final_loss[~o.is_dead]).all()
    for curve in o.train_loss[o.is_dead]:
        death = int(np.argmax(~np.isfinite(curve)))
        np.testing.assert_array_equal(curve[death:], np.full(len(curve) - death, curve[death]))
    n_dead = 0
    for i, remedy in enumerate(r for r in remedies if r.action is Action.RESUME):
        was_dead = ~np.isfinite(o.train_loss[:, o.record_steps <= branch_of(o, remedy.at)]).all(axis=1)
        assert np.isinf(o.remedy_final_loss[was_dead, remedies.index(remedy)]).all()
        assert np.isnan(o.resumed_train_loss[was_dead, i]).all()
        n_dead += was_dead.sum()
    assert n_dead > 0


@groups
def test_only_the_seeds_asked_for_are_trained_longer(group):
    o = tiny_outcomes(group)
    longer = o.remedy_final_loss[:, column(Remedy(Action.TRAIN_LONGER))]
    assert not np.isnan(longer[o.seed == 0]).any()
    assert np.isnan(longer[o.seed == 1]).all()
    gentle = (o.seed == 0) & (o.rate_index == o.rate_index.min())
    assert np.all(longer[gentle] < o.final_loss[gentle]), "at a low rate more of the same helps"


@groups
def test_what_is_measured_does_not_depend_on_what_else_is_asked_for(group):
    """Of a remedy that both recipes try; and of the runs."""
    changes = (
        ("resume_factors = [0.1, 1.0, 10.0]", "resume_factors = [10.0]"),
        ("resume_at = [0.25, 0.5]", "resume_at = [0.5]"),
        ("train_longer_seeds = 1\n", ""),
    )
    full, little = tiny_outcomes(group), tiny_outcomes(group, *changes)
    names = (
        "cell",
        "rate_index",
        "seed",
        "train_loss",
        "val_loss",
        "grad_norm",
        "final_loss",
        "final_val_loss",
        "is_dead",
    )
    for name in names:
        np.testing.assert_array_equal(getattr(full, name), getattr(little, name), err_msg=name)
    for j, remedy in enumerate(remedies_of_recipe(tiny_file(*changes).recipe)):
        np.testing.assert_array_equal(full.remedy_final_loss[:, column(remedy)], little.remedy_final_loss[:, j])
    same = RESUMES.index(Remedy(Action.RESUME, 10.0, 0.5))
    np.testing.assert_array_equal(full.resumed_train_loss[:, same], little.resumed_train_loss[:, 0])


@groups
def test_cells_do_not_depend_on_the_other_cells_of_the_group(group):
    full, alone = tiny_outcomes(group), tiny_outcomes(group, ("outputs_per_group = 1", "outputs_per_group = 0"))
    rows = rows_of(full)
    here = [rows[key] for key in rows_of(alone)]
    assert set(alone.cell.tolist()) == {0, 1}
    for name in ("train_loss", "val_loss", "grad_norm", "final_loss", "resumed_train_loss"):
        np.testing.assert_array_equal(getattr(full, name)[here], getattr(alone, name), err_msg=name)


def test_a_group_is_a_pure_function_of_the_recipe():
    pytest.importorskip("torch")
    from curvebench.generation.engine import make_engine

    first = tiny_outcomes(CLASSES)
    again = run_group(TINY, make_plan(TINY)[CLASSES], make_engine("torch"))
    for name, value in vars(first).items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(value, getattr(again, name), err_msg=name)


# -------------------------------------------------------------------------- branches at the ends of training


@pytest.mark.parametrize(("epochs", "latest"), [(1, 0.2), (2, 0.6), (8, 0.86)])
def test_a_branch_at_either_end_still_reproduces_the_run(epochs, latest):
    """A resumption that begins amid the evaluations of the outcome, or never, must not look like a cure."""
    changes = (
        ("epochs = 8", f"epochs = {epochs}"),
        ("resume_factors = [0.1, 1.0, 10.0]", "resume_factors = [1.0]"),
        ("resume_at = [0.25, 0.5]", f"resume_at = [0.001, {latest}]"),
    )
    o = tiny_outcomes(CLASSES, *changes)
    remedies = remedies_of_recipe(tiny_file(*changes).recipe)
    for remedy in remedies:
        if remedy.action is Action.RESUME:
            np.testing.assert_array_equal(o.remedy_final_loss[:, remedies.index(remedy)], o.final_loss)
    assert not np.isnan(o.resumed_train_loss[~o.is_dead, :, -1]).any()


def test_a_real_data_set_that_is_too_small_for_the_moments_of_a_recipe_is_refused():
    """`wine` has 143 training examples: 16 updates, where 256 examples would make 32."""
    recipe = tiny_file(
        ('"friedman1"', '"wine"'),
        ("n_train = 40", "n_train = 256"),
        ("n_val = 16", "n_val = 64"),
        ("batch_size = 8", "batch_size = 64"),
        ("resume_at = [0.25, 0.5]", "resume_at = [0.5, 0.85]"),
    ).recipe
    with pytest.raises(
        InputError, match=r"^wine-00 has only 143 training .* of 16 updates, 0\.85 .* from 13 on; .*\.$"
    ):
        run_group(recipe, make_plan(recipe)[REGRESSION], engine=None)


def test_an_engine_averages_only_over_what_it_evaluated():
    pytest.importorskip("torch")
    from oracles.plain_engine import PlainEngine

    from curvebench.generation.engine import make_engine

    job = make_job(tiny_outcomes(CLASSES), cell=0, rate=2, n_steps=40)
    job = replace(job, checkpoint_steps=(0, 38, 40))
    whole = make_engine("torch").train(job)
    np.testing.assert_array_equal(whole.checkpoints[0].parameters, job.start.parameters)
    for at in (38, 40):
        branch = replace(job, start=whole.checkpoints[at], checkpoint_steps=())
        fast, slow = make_engine("torch").train(branch), PlainEngine().train(branch)
        np.testing.assert_allclose(fast.outcome, slow.outcome, rtol=1e-4)
        assert np.isfinite(fast.outcome).all() == (at < 40)


# ---------------------------------------------------------------------------------- the plain loop's story


def make_job(o: GroupOutcomes, cell: int, rate: int, n_steps: int) -> TrainingJob:
    """The runs of a cell and rate as the design tells it, in float64, from the streams themselves."""
    seed, setting, network = TINY.master_seed, o.group.setting, o.group.network
    problem = make_problem(o.group.family, o.group.instance, seed, o.group.n_train, o.group.n_val)
    shape = Network(
        problem.train_inputs.shape[1], problem.train_targets.shape[1], network.depth, network.width, network.activation
    )
    n, size = len(problem.train_inputs), setting.batch_size
    batches = []
    for s in range(N_SEEDS):
        orders = stream(seed, "batches", o.group.index, s)
        epochs = [orders.permutation(n)[: n // size * size].reshape(-1, size) for _ in range(n_steps * size // n)]
        batches.append(np.concatenate(epochs))
    schedule = o.cells[cell].schedule
    rates = schedule_shape(schedule.shape, n_steps, schedule.decay) * o.group.grid.rate(rate)
    initial = np.stack([initial_parameters(shape, seed, o.group.index, s) for s in range(N_SEEDS)]).astype(np.float64)
    optimizer = setting.to_optimizer()
    return TrainingJob(
        network=shape,
        task=problem.task,
        output=o.cells[cell].output,
        optimizer=optimizer,
        train_inputs=problem.train_inputs,
        train_targets=problem.train_targets,
        val_inputs=problem.val_inputs,
        val_targets=problem.val_targets,
        batches=np.stack(batches),
        seed_of_run=np.arange(N_SEEDS),
        rates=np.tile(rates, (N_SEEDS, 1)),
        start=initial_state(initial, optimizer.n_slots),
        record_steps=o.record_steps,
        outcome_steps=np.arange(n_steps - 3, n_steps + 1),
    )


@groups
@pytest.mark.parametrize("cell", range(4))
def test_a_plain_loop_tells_the_same_story(group, cell):
    """Curves, outcome and every kind of remedy, each trained from scratch by the plain loop.

    Of a rate a decade below the best: no remedy makes it chaotic, so that single and double precision agree.
    """
    pytest.importorskip("torch")
    from oracles.plain_engine import PlainEngine

    o = tiny_outcomes(group)
    own = o.cells[cell].objective
    of_cell = np.flatnonzero(o.cell == cell)
    best = o.rate_index[of_cell[np.argmin(o.final_loss[of_cell])]]
    rate = int(max(k for k in o.rate_index[of_cell] if k <= best - DENSITY))
    rows = of_cell[o.rate_index[of_cell] == rate]
    assert o.n_steps == 40
    job = make_job(o, cell, rate, 40)

    def agree(found, expected):
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6)

    run = PlainEngine().train(job)
    for name in ("train_loss", "val_loss", "grad_norm"):
        agree(getattr(o, name)[rows], getattr(run, name))
    agree(o.final_loss[rows], run.outcome[:, own])
    agree(o.final_val_loss[rows], run.val_outcome[:, own])

    for i, remedy in enumerate(RESUMES):
        rates = job.rates.copy()
        branch = branch_of(o, remedy.at)
        rates[:, branch:] *= remedy.factor
        resumed = PlainEngine().train(replace(job, rates=rates))
        agree(o.remedy_final_loss[rows, column(remedy)], resumed.outcome[:, own])
        agree(o.remedy_final_val_loss[rows, column(remedy)], resumed.val_outcome[:, own])
        after = o.record_steps > branch
        agree(o.resumed_train_loss[rows, i][:, after], resumed.train_loss[:, after])

    longer = PlainEngine().train(make_job(o, cell, rate, 80))
    agree(o.remedy_final_loss[rows[:1], column(Remedy(Action.TRAIN_LONGER))], longer.outcome[:1, own])

    if cell >= 2:
        twin = PlainEngine().train(replace(job, output=o.cells[0].output))
        changed = column(Remedy(Action.CHANGE_OUTPUT))
        agree(o.remedy_final_loss[rows, changed], twin.outcome[:, own])
        agree(o.remedy_final_val_loss[rows, changed], twin.val_outcome[:, own])


# -------------------------------------------------------------------------------------------------- parts


def test_a_mean_share_is_capped_and_counts_what_is_not_finite_as_the_cap():
    assert mean_share(np.array([1.0, 3.0]), 2.0) == 0.75
    assert mean_share(np.array([np.inf, 0.0]), 2.0) == 0.5
    assert mean_share(np.array([np.nan, 1.0]), 2.0) == 0.75


# ---------------------------------------------------------------------------------- fine-tuning, bad batches

TUNED = (('phenomenon = "all"', 'phenomenon = "all"\nfine_tuning = true'),)


@groups
def test_fine_tuning_starts_where_training_on_the_turned_problem_ended(group):
    """By hand: train at every coarse rate on the source, keep the networks of the rate with the least mean loss."""
    o = tiny_outcomes(group, *TUNED)
    recipe = tiny_file(*TUNED).recipe
    draw = stream(recipe.master_seed, "turned", o.group.index)
    source = turned(o.problem, float(draw.uniform((), *TURN)), draw)
    assert o.source.name == f"{o.problem.name} turned"
    np.testing.assert_array_equal(o.source.train_inputs, source.train_inputs)
    trainer = _GroupTrainer(recipe, replace(o.group, fine_tuning=False), make_engine("torch"))
    shape = schedule_shape("cosine", o.n_steps, decay=30.0)
    ends, losses = [], []
    for k in o.group.grid.coarse:
        rates = np.tile((shape * o.group.grid.rate(k)).astype(np.float32), (N_SEEDS, 1))
        start = initial_state(trainer.initial, trainer.optimizer.n_slots)
        job = trainer._job(o.cells[0].output, np.arange(N_SEEDS), rates, start, checkpoint_steps=(o.n_steps,))
        data = {name: getattr(source, name) for name in ("train_inputs", "train_targets", "val_inputs", "val_targets")}
        result = make_engine("torch").train(replace(job, **data))
        ends.append(result.checkpoints[o.n_steps].parameters)
        losses.append(mean_share(result.outcome[:, o.cells[0].objective], o.caps[0]))
    best = ends[int(np.argmin(losses))]
    tuned = _GroupTrainer(recipe, o.group, make_engine("torch"))
    np.testing.assert_allclose(tuned.initial, best, rtol=1e-4, atol=1e-6)
    assert not np.allclose(tuned.initial, trainer.initial)
    np.testing.assert_array_equal(tuned.batches, trainer.batches)


@groups
def test_what_was_forgotten_grows_with_the_rate(group):
    o = tiny_outcomes(group, *TUNED, ("lowest_rate = 0.003", "lowest_rate = 0.00001"))
    before, after = o.source_loss
    fits = np.isin(o.cell, [i for i, cell in enumerate(o.cells) if cell.output == o.cells[0].output])
    for seed in range(N_SEEDS):
        assert len(set(before[fits & (o.seed == seed)])) == 1, "all runs of a seed start from the same network"
    assert np.all(before[fits] < o.caps[0]), "something had been learned"
    lowest = fits & (o.rate_index == o.rate_index.min())
    highest = fits & (o.rate_index == o.rate_index.max())
    np.testing.assert_allclose(after[lowest], before[lowest], rtol=0.2)
    assert np.median(after[highest] / before[highest]) > 2.0


def test_networks_that_begin_afresh_have_no_source():
    o = tiny_outcomes(CLASSES)
    assert o.source is None
    assert np.isnan(o.source_loss).all()


def test_resuming_a_fine_tuned_run_with_factor_one_reproduces_it():
    o = tiny_outcomes(CLASSES, *TUNED)
    for remedy in RESUMES:
        if remedy.factor == 1.0:
            np.testing.assert_array_equal(o.remedy_final_loss[:, column(remedy)], o.final_loss)


def test_a_bad_batch_holds_one_example_and_leaves_the_others_alone():
    changes = (("lowest_rate = 0.003", "lowest_rate = 0.003\nbad_batches = 3"),)
    bad, plain = (
        _GroupTrainer(recipe, make_plan(recipe)[0], make_engine("torch"))
        for recipe in (tiny_file(*changes).recipe, TINY)
    )
    for seed in range(N_SEEDS):
        is_one = (bad.batches[seed] == bad.batches[seed][:, :1]).all(axis=1)
        assert 1 <= is_one.sum() <= 3, "two may fall on one step"
        assert not is_one[bad.n_steps :].any()
        np.testing.assert_array_equal(bad.batches[seed][~is_one], plain.batches[seed][~is_one])
    assert not np.array_equal(bad.batches[0], bad.batches[1])


def test_in_other_units_the_networks_are_the_same_functions_at_the_start():
    scaled = tiny_outcomes(REGRESSION, ('phenomenon = "all"', 'phenomenon = "all"\ninput_scale = [7.0, 7.0]'))
    plain = tiny_outcomes(REGRESSION)
    np.testing.assert_allclose(scaled.problem.train_inputs, 7 * plain.problem.train_inputs, rtol=1e-6)
    key = list(set(rows_of(scaled)) & set(rows_of(plain)))
    at_scale, at_plain = ([rows_of(o)[k] for k in key] for o in (scaled, plain))
    assert scaled.group.grid == plain.group.grid
    np.testing.assert_allclose(scaled.train_loss[at_scale, 0], plain.train_loss[at_plain, 0], rtol=1e-5)
    assert not np.allclose(scaled.train_loss[at_scale, -1], plain.train_loss[at_plain, -1], rtol=1e-2)
