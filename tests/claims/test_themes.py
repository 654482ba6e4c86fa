"""What the experiments compute from their runs, against plain loops and hand-made cases."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from oracles.observations import sweep

from curvebench.claims.classes import THRESHOLDS, several_labels, sharing_one, wrong_labels
from curvebench.claims.decays import (
    FALLS,
    SCHEDULES,
    SHAPES,
    gain_at_same_rate,
    gain_of_fall,
    gain_of_falling_far,
    gain_when_tuned,
)
from curvebench.claims.fine_tuning import TURNABLE, related, turned
from curvebench.claims.outputs import NAMES, share_outside
from curvebench.claims.rates import FATES, fates, gap_at_same_loss, share_of_faster
from curvebench.claims.remedies import GainTable, gains_of_best_dose, groups_of, lead_over_others, tables_of
from curvebench.claims.trials import EFFORTS, problem_of
from curvebench.generation.schedules import SHAPES as ALL_SHAPES
from curvebench.remedies import family_members, gain
from curvebench.spec import DIAGNOSES, NO_REMEDY, Action, Remedy

# --------------------------------------------------------------------------------------------- rates


def test_pairs_of_rates():
    final = np.array([0.9, 0.5, 0.1, 0.3, 0.999, 1.0])
    assert share_of_faster(np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4]), final) == (1.0, 1.0)
    assert share_of_faster(np.array([0.9, 0.8, 0.7, 0.75, 0.5, 0.4]), final) == (1.0, 0.0)
    assert share_of_faster(np.array([0.7, 0.9, 0.8, 0.6, 0.5, 0.4]), final) == (pytest.approx(1 / 3), 1.0)
    below, above = share_of_faster(np.ones(6), np.array([0.1, 1.0, 1.0, 1.0, 1.0, 1.0]))
    assert np.isnan([below, above]).all(), "nothing to compare"


@given(arrays(np.float64, 7, elements=st.floats(0, 1)), arrays(np.float64, 7, elements=st.floats(0, 1)))
def test_pairs_of_rates_against_a_loop(early, final):
    best = min(range(7), key=lambda i: (final[i], i))
    learned = [i for i in range(best, 7) if final[i] < 0.995]
    for found, chosen in zip(
        share_of_faster(early, final), (range(best + 1), range(best, max([best, *learned]) + 1)), strict=True
    ):
        pairs = [(i, j) for i in chosen for j in chosen if i < j]
        expected = sum(early[j] < early[i] for i, j in pairs) / len(pairs) if pairs else np.nan
        assert found == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(("too_high", "fate"), [("explode", "exploded"), ("swing", "swings"), ("quiet", "quiet")])
def test_fates_of_too_high_rates(too_high, fate):
    made = sweep("x", too_high=too_high)
    found = dict(zip(FATES, fates(made), strict=True))
    is_above = np.arange(len(made.rates)) > made.best[0]
    is_too_high = is_above & (gain(made.final[0, :, 0], made.final[0, made.best[0], 0], 1.0) >= 0.1)
    assert is_too_high.any()
    for name, runs in found.items():
        assert (runs == (is_too_high[:, None] if name == fate else False)).all()


def test_equally_far_learned_runs_are_compared():
    made = sweep("x", gap_at_tenth=0.2, gap_by_the_way=0.3)
    low, best = gap_at_same_loss(made, 0)
    assert low == pytest.approx(0.2)
    assert best == pytest.approx(0.3)
    assert np.isnan(gap_at_same_loss(replace(made, rates=made.rates * np.arange(1, len(made.rates) + 1)), 0)).all()


# -------------------------------------------------------------------------------------------- decays

losses = arrays(np.float64, (len(SCHEDULES), 3, 3), elements=st.integers(1, 64).map(lambda i: i / 64))
"""Binary fractions: sums of them are exact, so that ties are ties."""


def plainly_tuned(table, options, seed):
    """The loss of a seed at the option, (schedule, rate), with the lowest mean over the other seeds."""
    others = [s for s in range(table.shape[2]) if s != seed]
    best = min(options, key=lambda option: sum(table[option][s] for s in others))
    return best, table[best][seed]


@given(losses)
def test_gains_of_decays_against_loops(table):
    rates = range(3)
    constant = [(0, r) for r in rates]
    for shape in SHAPES:
        of_shape = {fall: SCHEDULES.index((shape, fall)) for fall in FALLS}
        own, same, one_fall, far = [], [], [], []
        for seed in range(3):
            (_, rate), before = plainly_tuned(table, constant, seed)
            _, after = plainly_tuned(table, [(row, r) for row in of_shape.values() for r in rates], seed)
            own.append(gain(before, after, 1.0))
            _, after = plainly_tuned(table, [(row, rate) for row in of_shape.values()], seed)
            same.append(gain(before, after, 1.0))
            _, after = plainly_tuned(table, [(of_shape[30.0], r) for r in rates], seed)
            one_fall.append(gain(before, after, 1.0))
            near = [*constant, *((of_shape[fall], r) for fall in (3.0, 10.0, 30.0) for r in rates)]
            _, before = plainly_tuned(table, near, seed)
            _, after = plainly_tuned(
                table, [(of_shape[fall], r) for fall in (100.0, 300.0, 1000.0) for r in rates], seed
            )
            far.append(gain(before, after, 1.0))
        assert gain_when_tuned(table, shape) == pytest.approx(np.mean(own), abs=1e-12)
        assert gain_at_same_rate(table, shape) == pytest.approx(np.mean(same), abs=1e-12)
        assert gain_of_fall(table, shape, 30.0) == pytest.approx(np.mean(one_fall), abs=1e-12)
        assert gain_of_falling_far(table, shape) == pytest.approx(np.mean(far), abs=1e-12)


def test_schedules_are_those_of_the_generator():
    assert set(SHAPES) < set(ALL_SHAPES)
    assert {fall for _, fall in SCHEDULES} == {1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0}


# --------------------------------------------------------------------------------------- fine-tuning


@given(st.integers(2, 9), st.floats(-180, 180))
def test_turning_keeps_lengths_and_angles(n_inputs, degrees):
    x = np.random.default_rng(n_inputs).normal(size=(5, n_inputs)).astype(np.float32)
    y = turned(x, degrees)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y @ y.T, x @ x.T, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(turned(y, -degrees), x, atol=1e-5)
    if n_inputs % 2:
        np.testing.assert_array_equal(y[:, -1], x[:, -1])


def test_turning_by_a_quarter():
    np.testing.assert_allclose(turned(np.array([[1.0, 0.0, 0.0, 2.0, 5.0]]), 90.0), [[0, 1, -2, 0, 5]], atol=1e-7)


def test_a_related_problem_has_fresh_examples_of_the_same_task():
    problem = problem_of(0)
    other = related(problem, 30.0)
    assert len(other.train_inputs) == len(other.val_inputs) == len(problem.val_inputs) // 2
    both = np.concatenate([other.train_inputs, other.val_inputs])
    np.testing.assert_allclose(turned(both, -30.0), problem.val_inputs, atol=1e-5)
    np.testing.assert_array_equal(np.concatenate([other.train_targets, other.val_targets]), problem.val_targets)


def test_turned_problems_have_planes_to_turn_in():
    for position in range(2 * len(TURNABLE)):
        assert problem_of(position, TURNABLE).train_inputs.shape[1] >= 2


# ------------------------------------------------------------------------------------------ remedies

DOSES = (
    NO_REMEDY,
    Remedy(Action.RESTART, 0.1),
    Remedy(Action.RESTART, 0.01),
    Remedy(Action.RESUME, 10.0, 0.5),
    Remedy(Action.RESUME, 10.0, 0.25),
    Remedy(Action.CHANGE_OUTPUT),
    Remedy(Action.TRAIN_LONGER),
)


@given(st.integers(0, 10**6))
def test_gains_of_the_best_dose_against_a_loop(seed):
    rng = np.random.default_rng(seed)
    key = np.array([f"cell-{k}" for k in rng.integers(0, 3, size=8)])
    gains = rng.choice([-0.5, 0.0, 0.25, 0.5, np.nan], size=(8, len(DOSES)), p=[0.25, 0.25, 0.2, 0.2, 0.1])
    found = gains_of_best_dose(gains, key, DOSES)
    for row in range(8):
        seeds = [i for i in range(8) if key[i] == key[row]]
        others = [i for i in seeds if i != row]
        for column, diagnosis in enumerate(DIAGNOSES):
            tried = [d for d in family_members(DOSES, diagnosis) if not np.isnan(gains[seeds, d]).any()]
            if diagnosis == "healthy":
                expected = 0.0
            elif not tried or not others:
                expected = 0.0 if diagnosis == "output_mismatch" else np.nan
            else:
                expected = gains[row, max(tried, key=lambda d: sum(gains[i, d] for i in others))]
            assert found[row, column] == pytest.approx(expected, nan_ok=True)


def test_tables_hold_the_mean_gains_of_a_data_set(make_dataset):
    dataset = make_dataset(n_cells=48)
    tables = tables_of(dataset)
    assert [t.problem for t in tables] == sorted(set(dataset["problem"][dataset.is_scored].tolist()))
    assert sum(t.n_runs[0].sum() for t in tables) == dataset.is_scored.sum() == sum(t.n_runs[1].sum() for t in tables)
    for table in tables:
        for i, diagnosis in enumerate(DIAGNOSES):
            if table.n_runs[0, i] and diagnosis != "healthy":
                assert np.nanargmax(table.gains[0, i]) == i, "what a label says is what helps in made-up data"


def test_the_lead_is_over_the_best_other_remedy():
    gains = np.array([[0.5, 0.4, np.nan], [0.5, 0.2, 0.1]])
    np.testing.assert_allclose(lead_over_others(gains, 0), [0.1, 0.3])
    np.testing.assert_allclose(lead_over_others(gains, 1), [-0.1, -0.3])
    assert isinstance(GainTable("x", gains, gains).gains, np.ndarray)


@pytest.mark.parametrize("effort", EFFORTS)
def test_groups_are_of_every_phenomenon_and_of_different_problems(effort):
    recipe_file, groups = groups_of(EFFORTS[effort])
    assert {group.phenomenon for group in groups} == {entry.phenomenon for entry in recipe_file.recipe.mix}
    assert len({(group.family, group.instance) for group in groups}) == len(groups)
    assert len(groups) >= (10 if effort == "full" else 2)


# ------------------------------------------------------------------------------------------- outputs


def test_outputs_outside_the_unit_interval_are_counted():
    assert share_outside(np.array([-1e-9, 0.0, 1.0, 1.0 + 1e-9])) == 0.5
    assert set(NAMES) >= {"sigmoid", "tanh", "relu", "softmax"}


# ------------------------------------------------------------------------------------------- classes


def test_problems_with_several_labels():
    for position in range(4):
        problem, floor = several_labels(position)
        again, _ = several_labels(position)
        np.testing.assert_array_equal(problem.train_targets, again.train_targets)
        targets = np.concatenate([problem.train_targets, problem.val_targets])
        assert set(np.unique(targets)) == {0.0, 1.0}
        n_labels = targets.sum(axis=1)
        assert len(set(n_labels.tolist())) > 2, "an example has any number of labels"
        assert 0.0 < floor < min(targets.mean(), 1.0 - targets.mean()), "there is something to learn, and noise"
    assert several_labels(0)[0].name != several_labels(1)[0].name


@given(arrays(np.float64, (6, 4), elements=st.sampled_from([0.0, 1.0])))
def test_labels_share_one(targets):
    shared = sharing_one(targets)
    np.testing.assert_allclose(shared.sum(axis=1), 1.0)
    has_some = targets.any(axis=1)
    assert (shared[has_some] > 0).tolist() == (targets[has_some] > 0).tolist()


def test_wrong_labels():
    scores, targets = np.array([[0.9, 0.2], [0.4, 0.6]]), np.array([[1.0, 0.0], [1.0, 0.0]])
    assert wrong_labels(scores, targets, 0.5) == 0.5
    assert wrong_labels(scores, targets, 0.3) == 0.25
    assert 0.5 in THRESHOLDS
