"""Rules with fitted thresholds: what the search tries, what it keeps, and that it ends where no single step helps."""

from __future__ import annotations

from dataclasses import asdict, fields, replace

import numpy as np
import pytest

from curvebench.diagnosers.rules import AS_TAUGHT, Rules, Shape, Thresholds, shapes_of
from curvebench.diagnosers.tuned import COMPARED_WITH, N_CANDIDATES, TunedRules
from curvebench.spec import DIAGNOSES

T = np.linspace(0, 1, 64)


def make_curves(n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    speed, floor, noise = 10.0 ** rng.uniform([[-1], [-3], [-4]], [[2], [0], [-0.5]], (3, n))
    losses = floor[:, None] + np.exp(-speed[:, None] * T) + noise[:, None] * rng.normal(size=(n, 64))
    losses[:: n // 10] *= 1 + 5 * T
    return losses[:, None].astype(np.float32)


def balanced_accuracy(thresholds: Thresholds, X: np.ndarray, y: np.ndarray) -> float:
    said = np.array(DIAGNOSES)[Rules(thresholds).predict_proba(X).argmax(axis=1)]
    return float(np.mean([np.mean(said[y == label] == label) for label in np.unique(y)]))


@pytest.fixture(scope="module")
def training():
    """Curves labelled by the rules with other thresholds, some of them wrongly."""
    X = make_curves(400, 0)
    moved = Thresholds(not_recovered=0.2, barely_changed=0.4, still_falling=0.1, smooth=0.02, high_floor=0.4)
    y = np.array(DIAGNOSES)[Rules(moved).predict_proba(X).argmax(axis=1)]
    wrong = np.random.default_rng(1).random(400) < 0.1
    y[wrong] = np.random.default_rng(2).choice(DIAGNOSES, wrong.sum())
    return X, y


@pytest.fixture(scope="module")
def fitted(training):
    return TunedRules().fit(*training)


def test_the_rules_keep_their_round_numbers():
    assert Rules().thresholds == TunedRules().thresholds == AS_TAUGHT
    assert asdict(AS_TAUGHT) == {
        "clearly_above_start": 1.5,
        "shot_up": 2.0,
        "not_recovered": 0.5,
        "gave_back": 0.5,
        "swing": 0.1,
        "barely_changed": 0.1,
        "still_to_do_at_half": 0.1,
        "still_falling": 0.03,
        "nearly_all": 0.9,
        "level": 0.25,
        "high_floor": 0.25,
        "smooth": 0.003,
        "done": 0.02,
    }


def test_every_threshold_is_searched():
    assert list(COMPARED_WITH) == [field.name for field in fields(Thresholds)]
    assert set(COMPARED_WITH.values()) <= {field.name for field in fields(Shape)}


def test_it_fits(training, fitted):
    before, after = (balanced_accuracy(t, *training) for t in (AS_TAUGHT, fitted.thresholds))
    assert before < 0.7
    assert after > 0.8
    X = make_curves(400, 3)
    assert not np.array_equal(fitted.predict_proba(X), Rules().predict_proba(X))


def test_the_explanation_goes_with_the_fitted_verdict(training, fitted):
    X = training[0][:50]
    said = [verdict.diagnosis for verdict in fitted.diagnose(X)]
    assert said == [DIAGNOSES[i] for i in fitted.predict_proba(X).argmax(axis=1)]


def test_no_single_candidate_is_better_than_what_was_found(training, fitted):
    """Slow and obvious: the score of every neighbour, by recalls counted one by one."""
    X, y = training
    (shape,) = shapes_of(X)
    best = balanced_accuracy(fitted.thresholds, X, y)
    for name, seen in COMPARED_WITH.items():
        values = np.sort(getattr(shape, seen))
        for share in (np.arange(0, N_CANDIDATES, 6) + 0.5) / N_CANDIDATES:
            tried = replace(fitted.thresholds, **{name: float(np.quantile(values, share))})
            assert balanced_accuracy(tried, X, y) <= best + 1e-9


def test_the_same_curves_in_another_order_give_the_same_thresholds(training, fitted):
    order = np.random.default_rng(4).permutation(400)
    assert TunedRules().fit(training[0][order], training[1][order]).thresholds == fitted.thresholds


def test_a_second_fit_forgets_the_first(training, fitted):
    other = TunedRules().fit(make_curves(50, 5), np.resize(np.array(DIAGNOSES), 50))
    assert other.fit(*training).thresholds == fitted.thresholds


def test_curves_that_are_all_alike_are_survived():
    X = np.full((4, 1, 10), np.nan)
    assert TunedRules().fit(X, np.array(["healthy"] * 4)).thresholds == AS_TAUGHT
