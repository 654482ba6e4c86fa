"""Divergence, step by step as fastai and torch-lr-finder go."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.odd_curves import odd_curves
from oracles.plain_rules import comparisons_with_anything

from curvebench.diagnosers.published.finding import NOTHING
from curvebench.diagnosers.published.lr_finder import DIVERGED, NOT_FINITE, TESTS, LearningRateFinder

T = np.linspace(0, 1, 128)


def plain_fastai(losses: np.ndarray) -> bool:
    mean, best = 0.0, math.inf
    for step, loss in enumerate(losses, start=1):
        mean = 0.98 * mean + 0.02 * loss
        smooth = mean / (1 - 0.98**step)
        best = min(best, smooth)
        if smooth > 4 * best:
            return True
    return False


def plain_torch_lr_finder(losses: np.ndarray) -> bool:
    mean = best = losses[0]
    for loss in losses[1:]:
        mean = 0.95 * mean + 0.05 * loss
        best = min(best, mean)
        if mean > 5 * best:
            return True
    return bool(mean > 5 * best)


PLAIN = {"fastai": plain_fastai, "torch-lr-finder": plain_torch_lr_finder}


def plain(losses: np.ndarray, test: str) -> str:
    if not np.isfinite(losses).all():
        return NOT_FINITE
    return DIVERGED if PLAIN[test](losses) else NOTHING


@settings(max_examples=200)
@given(odd_curves(1), st.sampled_from(sorted(PLAIN)))
def test_it_is_what_one_curve_at_a_time_finds(curve, test):
    with comparisons_with_anything():
        assert LearningRateFinder(test).findings(curve[None]).tolist() == [plain(curve[0].astype(np.float64), test)]


@pytest.mark.parametrize("test", TESTS)
def test_a_hundred_thousand_points(test):
    rise = 1 + 5 * np.linspace(0, 1, 100_000)
    losses = np.stack([rise, rise / (1 + rise)])
    found = LearningRateFinder(test).findings(losses[:, None]).tolist()
    assert found == [plain(row, test) for row in losses] == [DIVERGED, NOTHING]


@pytest.mark.parametrize("test", TESTS)
def test_what_has_diverged_and_what_has_not(test):
    spike = np.exp(-3 * T)
    spike[5] = 3.0
    curves = np.stack([np.exp(-3 * T), np.exp(10 * T), spike, np.where(T > 0.9, np.nan, 1.0)])
    found = LearningRateFinder(test).findings(curves[:, None]).tolist()
    assert found == [NOTHING, DIVERGED, NOTHING, NOT_FINITE]


def test_four_times_the_best_and_five_times():
    losses = np.r_[np.ones(50), np.full(2000, 4.5)]
    assert LearningRateFinder("fastai").findings(losses[None, None]).tolist() == [DIVERGED]
    assert LearningRateFinder("torch-lr-finder").findings(losses[None, None]).tolist() == [NOTHING]
