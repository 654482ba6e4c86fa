"""How sure an answer may be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curvebench.diagnosers.learned.calibration import (
    EVERY,
    N_BLOCKS,
    balanced_weights,
    best_sharpness,
    fitted_sharpness,
    held_out,
    log_loss,
    softmax,
)


def drawn(sharpness: float, n: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Scores, and classes drawn with the probabilities that they stand for at a sharpness."""
    rng = np.random.default_rng(0)
    scores = rng.normal(0, 1, (n, 3))
    below = softmax(sharpness * scores).cumsum(axis=1)
    return scores, (rng.random(n)[:, None] > below[:, :2]).sum(axis=1)


@pytest.mark.parametrize("sharpness", [0.3, 1.0, 3.0])
def test_the_sharpness_that_made_the_classes_is_found(sharpness):
    assert best_sharpness(*drawn(sharpness)) == pytest.approx(sharpness, rel=0.1)


@given(st.integers(0, 10**6))
def test_no_other_sharpness_has_a_lower_loss(seed):
    rng = np.random.default_rng(seed)
    scores, codes = rng.normal(0, 2, (20, 4)), rng.integers(0, 4, 20)
    best = log_loss(softmax(best_sharpness(scores, codes) * scores), codes)
    assert all(best <= log_loss(softmax(s * scores), codes) + 1e-9 for s in np.geomspace(1e-3, 1e3, 40))


def test_held_out_are_whole_blocks_of_neighbours():
    is_held = held_out(6000)
    assert is_held.mean() == 1 / EVERY
    changes = np.flatnonzero(np.diff(is_held)) + 1
    assert (changes % (6000 // N_BLOCKS) == 0).all()
    assert not held_out(3).any()
    assert held_out(0).shape == (0,)


def test_scores_to_calibrate_with_are_learned_from_the_others():
    seen = []

    def scores_after(known, asked):
        assert not (known & asked).any()
        assert (known | asked).all()
        seen.append(asked.sum())
        return np.zeros((asked.sum(), 2))

    fitted_sharpness(scores_after, np.arange(200) % 2)
    assert seen == [held_out(200).sum()]
    rare = np.zeros(200, dtype=int)
    rare[held_out(200)] = 1
    assert fitted_sharpness(scores_after, rare) == 1.0, "the others lack a class"


def test_balanced_weights():
    codes = np.array([0, 0, 0, 2])
    weights = balanced_weights(codes)
    assert weights.mean() == pytest.approx(1)
    assert weights[:3].sum() == pytest.approx(weights[3])
