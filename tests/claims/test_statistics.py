"""Intervals and choices against plain loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from curvebench.claims.statistics import N_DRAWS, SEED, chosen_on_others, estimate, mean_gain, mean_of_known, tuned

losses = arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(2, 5)), elements=st.integers(0, 9).map(float))


def test_interval_against_a_loop():
    values = np.array([0.1, 0.4, -0.2, 0.9, 0.3])
    rng = np.random.default_rng(SEED)
    means = sorted(sum(values[i] for i in rng.integers(0, 5, size=5)) / 5 for _ in range(N_DRAWS))
    found = estimate(values)
    assert found.value == pytest.approx(0.3)
    assert found.n == 5
    assert found.low == pytest.approx(means[round(0.025 * N_DRAWS)], abs=0.02)
    assert found.high == pytest.approx(means[round(0.975 * N_DRAWS)], abs=0.02)


def test_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(3)
    covered = [e.low <= 1.0 <= e.high for e in (estimate(rng.exponential(size=28)) for _ in range(300))]
    assert 0.87 <= np.mean(covered) <= 0.98


def test_what_is_not_known_is_left_out():
    assert estimate([0.5, np.nan, 0.5]) == estimate([0.5, 0.5])
    assert np.isnan(estimate([np.nan]).value)


@given(losses)
def test_no_seed_chooses_for_itself(table):
    for seed, choice in enumerate(chosen_on_others(table)):
        others = [sum(row[s] for s in range(table.shape[1]) if s != seed) for row in table]
        assert others[choice] == min(others)
        assert choice == others.index(min(others))
        changed = table.copy()
        changed[:, seed] = 99.0
        assert chosen_on_others(changed)[seed] == choice
        assert tuned(table)[seed] == table[choice, seed]


def test_a_choice_does_not_profit_from_its_luck():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(4000, 10, 4))
    assert abs(np.mean([tuned(table).mean() for table in noise])) < 0.03
    assert np.mean([table.mean(axis=1).min() for table in noise]) < -0.5


def test_means_skip_what_is_not_known():
    table = np.array([[1.0, np.nan, 2.0], [np.nan, np.nan, np.nan]])
    assert mean_of_known(table).tolist() == pytest.approx([1.5, np.nan], nan_ok=True)


def test_gain_is_the_mean_over_seeds():
    assert mean_gain(np.array([0.4, 0.2]), np.array([0.2, 0.4])) == pytest.approx(0.0)
    assert mean_gain(np.array([0.4, 0.4]), np.array([0.2, 0.1])) == pytest.approx((0.5 + 0.75) / 2)
