"""The verdicts of `diagnose` as a diagnoser."""

from __future__ import annotations

import numpy as np

from curvebench.data.shipped import locate
from curvebench.data.store import load
from curvebench.diagnosis import curve_of, default_limits, diagnose
from curvebench.diagnosis.abstaining import Diagnose
from curvebench.logs.channels import channels_of

RNG = np.random.default_rng(0)

LOSSES = [
    np.geomspace(2.3, 0.1, 12),
    np.r_[np.geomspace(2.3, 90.0, 12), np.full(8, np.nan)],
    np.full(30, 2.3),
    2 + 0.3 * RNG.standard_normal(128),
    np.exp(-np.linspace(0, 6, 90)) + 0.01 * RNG.random(90),
    np.linspace(1, -1, 20),
    np.array([3.0, 2.0]),
    np.array([1.0]),
    np.zeros(30),
    np.r_[np.zeros(20), np.inf],
]


def test_it_says_and_keeps_quiet_as_diagnose_does():
    said = []
    for losses in LOSSES:
        verdict = diagnose(losses)
        X = channels_of(curve_of(losses), "config", len(losses))[None]
        np.testing.assert_allclose(Diagnose().predict_proba(X)[0], list(verdict.probabilities.values()), atol=1e-6)
        assert Diagnose().abstain(X)[0] == (verdict.diagnosis is None), losses
        said.append(verdict.diagnosis)
    assert None in said


def test_each_limit_alone_is_enough():
    X = channels_of(curve_of(LOSSES[0]), "config", 12)[None]
    assert Diagnose().abstain(np.repeat(X[:, :, :1], default_limits().min_points - 1, axis=2)).all()
    assert Diagnose().abstain(-X).all()
    assert Diagnose().abstain(X[:0]).shape == (0,)


def test_what_counts_is_how_probably_it_is_right():
    part = load(locate("mini")).split("test")
    X = part.select(part.is_scored).to_numpy3d(track="config")
    said, limits = Diagnose().predict_proba(X), default_limits()
    right = limits.probability_right(said)[np.arange(len(X)), said.argmax(axis=1)]
    is_told_apart = (said.max(axis=1) < limits.min_probability) & (right >= limits.min_probability)
    assert is_told_apart.sum() > 10
    speaks = ~Diagnose().abstain(X)
    assert speaks[is_told_apart].mean() > 0.9, "but for novel ones"
    assert not speaks[right < limits.min_probability].any()
