"""The zoo: a feature, bins, a lookup."""

from __future__ import annotations

import numpy as np

from curvebench.diagnosers import DIAGNOSERS, make_diagnoser
from curvebench.diagnosers.features import FEATURES, log_curves
from curvebench.diagnosers.oneliners import N_BINS, OneLiner
from curvebench.spec import DIAGNOSES

T = np.linspace(0, 1, 50)


def falling(decades) -> np.ndarray:
    """Curves (n, 1, 50) that fall by so many decades."""
    return 10.0 ** (-np.asarray(decades, dtype=float)[:, None, None] * T)


def test_the_zoo_is_in_the_registry():
    assert [name for name in DIAGNOSERS if name.startswith("zoo/")] == [f"zoo/{name}" for name in FEATURES]
    assert isinstance(make_diagnoser("zoo/rises"), OneLiner)


def test_a_threshold_is_found():
    decades = np.linspace(0, 2, 200)
    y = np.where(decades < 1, "lr_too_low", "healthy")
    fitted = OneLiner("final-over-first").fit(falling(decades), y)
    answer = fitted.predict_proba(falling([0.1, 0.9, 1.1, 5.0])).argmax(axis=1)
    assert [DIAGNOSES[i] for i in answer] == ["lr_too_low", "lr_too_low", "healthy", "healthy"]
    assert len(fitted.edges) == N_BINS - 1


def test_bins_are_those_of_a_plain_count_and_none_is_empty():
    rng = np.random.default_rng(0)
    X = np.exp(rng.normal(0, 1, (300, 1, 20)).cumsum(axis=2))
    y = rng.choice(DIAGNOSES, 300, p=[0.5, 0.3, 0.1, 0.05, 0.04, 0.01])
    for name, feature in FEATURES.items():
        fitted = OneLiner(name).fit(X, y)
        of_curves = feature.of(log_curves(X[:, 0]))
        bins = np.array([sum(value >= edge for edge in fitted.edges) for value in of_curves])
        np.testing.assert_array_equal(fitted.bins(X), bins)
        assert set(bins.tolist()) == set(range(len(fitted.edges) + 1))
        for b in set(bins.tolist()):
            shares = np.array([np.mean(bins[y == d] == b) for d in DIAGNOSES])
            np.testing.assert_allclose(fitted.lookup[b], shares / shares.sum())


def test_a_rare_diagnosis_is_named_where_it_is_most_of_its_own():
    decades = np.r_[np.zeros(95), np.ones(95), np.full(10, 3.0)]
    y = np.r_[np.full(95, "lr_too_low"), np.full(95, "healthy"), np.full(10, "output_mismatch")]
    answer = OneLiner("final-over-first").fit(falling(decades), y).predict_proba(falling([3.0]))[0]
    assert DIAGNOSES[answer.argmax()] == "output_mismatch"


def test_a_feature_that_never_changes_leaves_one_bin():
    fitted = OneLiner("not-finite").fit(falling([0.5, 1.0]), np.array(["healthy", "lr_too_low"]))
    assert fitted.edges.size == 0
    assert fitted.predict_proba(falling([2.0]))[0, DIAGNOSES.index("healthy")] == 0.5


def test_unfitted_it_says_healthy():
    assert OneLiner("rises").predict_proba(falling([1.0, 2.0])).argmax(axis=1).tolist() == [5, 5]
