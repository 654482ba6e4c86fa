"""When points are recorded, outcomes evaluated and resumptions branch off."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curvebench.generation.moments import branch_fault, branch_step, count_updates, outcome_steps, record_steps
from curvebench.generation.recipe import load_recipe


@given(st.integers(1, 5000), st.integers(8, 300))
def test_points_are_recorded_evenly_from_the_start_to_the_end(n_steps, n_points):
    steps = record_steps(n_steps, n_points)
    assert len(steps) == min(n_points, n_steps + 1)
    assert (steps[0], steps[-1]) == (0, n_steps)
    distances = np.diff(steps)
    assert distances.min() >= 1
    assert distances.max() - distances.min() <= 1


@given(st.integers(1, 5000))
def test_outcomes_are_evaluated_at_four_steps_in_the_last_twentieth(n_steps):
    steps = outcome_steps(n_steps)
    assert len(steps) == min(4, n_steps)
    assert steps[-1] == n_steps
    assert steps[0] >= 1
    assert len(set(np.diff(steps).tolist())) <= 1
    assert steps[0] >= min(n_steps - 3, 0.95 * n_steps)


@given(st.integers(1, 400), st.integers(1, 500), st.integers(1, 20))
def test_every_update_has_a_whole_batch(n_train, batch_size, epochs):
    size = min(batch_size, n_train)
    of_an_epoch = [first for first in range(n_train) if first % size == 0 and first + size <= n_train]
    assert count_updates(n_train, batch_size, epochs) == epochs * len(of_an_epoch)


fractions = st.floats(0.0, 1.0, exclude_min=True, exclude_max=True)


@given(fractions, st.integers(1, 3000), st.integers(8, 300))
def test_a_branch_is_the_nearest_recorded_point(at, n_steps, n_points):
    recorded = record_steps(n_steps, n_points)
    nearest = np.abs(np.arange(len(recorded)) - at * (len(recorded) - 1)).argmin()
    assert branch_step(at, n_steps, n_points) == recorded[nearest]


@given(st.lists(fractions, max_size=4), st.integers(1, 3000), st.integers(8, 300))
def test_without_a_fault_every_moment_has_a_branch_of_its_own_before_the_outcome(moments, n_steps, n_points):
    branches = [branch_step(at, n_steps, n_points) for at in set(moments)]
    is_fine = len(set(branches)) == len(branches) and all(b < outcome_steps(n_steps)[0] for b in branches)
    assert (branch_fault(moments, n_steps, n_points) is None) == is_fine


@pytest.mark.parametrize("name", ["quick", "core"])
def test_shipped_recipes_have_moments_for_every_size_of_a_problem(name):
    """The real data sets have fewer examples than they ask for."""
    recipe = load_recipe(name).recipe
    for setting in recipe.settings:
        for n_train in range(100, 257):
            n_steps = count_updates(n_train, setting.batch_size, setting.epochs)
            assert branch_fault(recipe.remedies.resume_at, n_steps, recipe.n_points) is None
