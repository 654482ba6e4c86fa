"""The marks of the scale."""

from __future__ import annotations

import numpy as np
import pytest

from curvebench.diagnosers.trivial import Chance, Constant, ConstantBest, Oracle
from curvebench.spec import DIAGNOSES, NO_REMEDY, Action, Remedy

X = np.random.default_rng(0).random((3000, 1, 8)).astype(np.float32)


def test_constant_says_healthy():
    assert (Constant().predict_proba(X)[:, DIAGNOSES.index("healthy")] == 1).all()


def test_chance_is_uniform_over_the_six():
    counts = Chance().predict_proba(X).sum(axis=0)
    expected = len(X) / 6
    chi_squared = float(((counts - expected) ** 2 / expected).sum())
    assert chi_squared < 20.5  # 99.9 % quantile with five degrees of freedom


def test_chance_is_the_same_in_every_process():
    curves = np.arange(12, dtype=np.float32).reshape(4, 1, 3)
    assert Chance().predict_proba(curves).argmax(axis=1).tolist() == [4, 1, 1, 5]


def test_constant_best_names_the_family_of_its_remedy():
    remedy = Remedy(Action.RESUME, 0.1, 0.75)
    diagnoser = ConstantBest(remedy)
    assert (diagnoser.predict_proba(X)[:, DIAGNOSES.index("late_lr_too_high")] == 1).all()
    assert diagnoser.prescribe(X[:2]) == [remedy, remedy]


def test_oracle_answers_only_what_it_was_told():
    oracle = Oracle(["healthy", "lr_too_low"], [NO_REMEDY, Remedy(Action.RESTART, 10.0)])
    assert oracle.predict_proba(X[:2]).argmax(axis=1).tolist() == [5, 2]
    assert oracle.prescribe(X[:2])[1].factor == 10.0
    with pytest.raises(ValueError, match="knows 2 answers, but was asked for 3"):
        oracle.predict_proba(X[:3])
