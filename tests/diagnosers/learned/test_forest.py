"""The forest: what it sees on each track, and that it learns."""

from __future__ import annotations

import numpy as np
import pytest

from curvebench.diagnosers.features import FEATURES
from curvebench.diagnosers.learned import Forest, features_of_channels
from curvebench.evaluation.evaluate import evaluate
from curvebench.spec import DIAGNOSES, OPTIMIZERS, TRACKS

T = np.linspace(0, 1, 40)


def curves(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Fast and slow falls with noise, and their labels."""
    rng = np.random.default_rng(seed)
    is_slow = rng.random(n) < 0.5
    speed = np.where(is_slow, rng.uniform(0.5, 2, n), rng.uniform(8, 30, n))
    loss = np.exp(-speed[:, None] * T) + 0.05 * rng.uniform(0.9, 1.1, (n, 40))
    return loss[:, None].astype(np.float32), np.where(is_slow, "lr_too_low", "healthy")


def test_it_learns():
    forest = Forest().fit(*curves(200, 0))
    X, y = curves(100, 1)
    answer = forest.predict_proba(X)
    assert np.mean(np.array(DIAGNOSES)[answer.argmax(axis=1)] == y) > 0.95
    assert (answer[:, [0, 1, 3, 4]] == 0).all(), "what it was never shown has no probability"


def test_the_same_curves_give_the_same_forest():
    X, y = curves(60, 0)
    np.testing.assert_array_equal(Forest().fit(X, y).predict_proba(X), Forest().fit(X, y).predict_proba(X))


@pytest.mark.parametrize("track", TRACKS)
def test_what_is_seen_on_each_track(track):
    n_curves = min(len(TRACKS[track]), 3)
    n_others = 4 + len(OPTIMIZERS) if track == "config" else 0
    X = np.exp(np.random.default_rng(0).normal(0, 1, (5, len(TRACKS[track]), 30)))
    if track == "config":
        X[:, 3] = np.array([1e-3, 1e-3, 0.1, 0.1, 3.0])[:, None] * np.linspace(1, 0.01, 30)
        X[:, 4] = np.arange(5)[:, None]
    seen = features_of_channels(X)
    assert seen.shape == (5, n_curves * len(FEATURES) + n_others)
    assert np.isfinite(seen).all()
    if track == "config":
        np.testing.assert_allclose(seen[:, -9], [-3, -3, -1, -1, np.log10(3.0)])
        np.testing.assert_allclose(seen[:, -8], 0, atol=1e-12)
        np.testing.assert_allclose(seen[:, -6], -2)
        np.testing.assert_array_equal(seen[:, -5:], np.eye(5))


def test_every_channel_has_its_own_features():
    X = np.exp(np.random.default_rng(0).normal(0, 1, (4, 3, 30)))
    one_by_one = [features_of_channels(X[:, [channel]]) for channel in range(3)]
    np.testing.assert_array_equal(features_of_channels(X), np.concatenate(one_by_one, axis=1))


@pytest.mark.parametrize("track", TRACKS)
def test_it_is_evaluated_on_every_track(make_dataset, track):
    result = evaluate(make_dataset(n_cells=12, n_points=12), "forest", track=track, n_bootstrap=2)
    assert (result.status, result.track) == ("ok", track)


def test_rates_that_are_no_numbers_are_survived():
    X = np.ones((3, 5, 4))
    X[0, 3], X[1, 3], X[2, 3] = np.nan, 0.0, np.inf
    assert np.isfinite(features_of_channels(X)).all()
