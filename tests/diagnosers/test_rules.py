"""The curves as they are taught, and the curves that trick other tools."""

from __future__ import annotations

import time

import numpy as np
import pytest

from curvebench.diagnosers.rules import AS_TAUGHT, CONFIDENCE, RULES, Rules, Verdict, shape_of
from curvebench.spec import DIAGNOSES

T = np.linspace(0, 1, 128)
NOISE = np.random.default_rng(0).normal(0, 1, 128)

SHOOTS_UP = 1 + 3 * T**2
CATAPULT = np.exp(-8 * T) + np.where((T > 0.02) & (T < 0.08), 3.0, 0.0)
SOON_LEVEL = (0.2 + 0.8 * np.exp(-40 * T)) * (1 + 0.06 * NOISE)
SLOW = 1 - 0.3 * T
FROZEN = 0.3 + 0.7 * np.where(T < 0.15, 1 - T / 0.15, 0.0)

TAUGHT = {
    "shoots up": (SHOOTS_UP, "lr_too_high"),
    "shoots up, then level": (np.minimum(1 + 40 * T, 4.0), "lr_too_high"),
    "becomes nan": (np.where(T > 0.5, np.nan, SLOW), "lr_too_high"),
    "becomes inf": (np.where(T > 0.5, np.inf, SLOW), "lr_too_high"),
    "never a number": (np.full(128, np.nan), "lr_too_high"),
    "jumps at once and stays": (np.where((T > 0) & (T < 0.1), 9.0, 0.9), "lr_too_high"),
    "falls and comes back": (1 - 0.8 * np.sin(np.pi * T) ** 2 + 0.01 * NOISE, "lr_too_high"),
    "swings": (0.7 + 0.3 * np.exp(-10 * T) + 0.2 * np.where(np.arange(128) % 3 < 1, 1, -0.5), "lr_too_high"),
    "soon level, bouncing": (SOON_LEVEL, "late_lr_too_high"),
    "slow, straight": (SLOW, "lr_too_low"),
    "slow, bent": (np.exp(-1.2 * T) * (1 + 0.01 * NOISE), "lr_too_low"),
    "barely changed": (1 - 0.02 * T + 0.01 * NOISE, "lr_too_low"),
    "falls, then freezes": (FROZEN, "late_lr_too_low"),
    "flat floor": (0.7 + 0.3 * np.exp(-60 * T) + 0.002 * NOISE, "output_mismatch"),
    "converges": (np.exp(-8 * T) * (1 + 0.02 * NOISE), "healthy"),
    "converges to zero": (np.exp(-20 * T), "healthy"),
    "catapult": (CATAPULT, "healthy"),
    "power law": ((1 + 100 * T) ** -0.7, "healthy"),
    "nothing to lower": (np.zeros(128), "healthy"),
}


def diagnosis_of(curve: np.ndarray) -> str:
    return Rules().diagnose(np.reshape(curve, (1, 1, -1)))[0].diagnosis


@pytest.mark.parametrize(("curve", "expected"), TAUGHT.values(), ids=list(TAUGHT))
def test_the_curves_as_they_are_taught(curve, expected):
    assert diagnosis_of(curve) == expected


@pytest.mark.parametrize("curve", [curve for curve, _ in TAUGHT.values()], ids=list(TAUGHT))
@pytest.mark.parametrize("factor", [1e-30, 1e-3, 7.0, 1e6, 1e200])
def test_the_unit_of_the_loss_plays_no_part(curve, factor):
    assert diagnosis_of(curve * factor) == diagnosis_of(curve)


@pytest.mark.parametrize(("curve", "expected"), TAUGHT.values(), ids=list(TAUGHT))
def test_twice_or_half_as_many_points_say_the_same(curve, expected):
    assert diagnosis_of(np.repeat(curve, 8)[::4]) == expected or expected.startswith("late")
    assert diagnosis_of(curve[::2]) == expected


def test_every_rule_is_needed():
    shape = shape_of([curve for curve, _ in TAUGHT.values()])
    first_that_holds = np.array([rule.holds(shape, AS_TAUGHT) for rule in RULES]).argmax(axis=0)
    assert sorted(set(first_that_holds.tolist())) == list(range(len(RULES)))


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        ([1.0], "healthy"),
        ([np.nan], "lr_too_high"),
        ([1.0, 5.0], "lr_too_high"),
        ([1.0, 0.5, 0.2], "healthy"),
        ([0.0, 1.0, 2.0], "lr_too_high"),
        (np.full(50, 2.5), "lr_too_low"),
        (np.linspace(1, 0.1, 100_000), "lr_too_low"),
        (np.linspace(1, -3, 100), "lr_too_low"),
    ],
)
def test_odd_curves(curve, expected):
    assert diagnosis_of(np.array(curve)) == expected


def test_other_channels_are_ignored():
    X = np.stack([np.stack([SLOW, SHOOTS_UP, np.full(128, np.nan)])])
    np.testing.assert_array_equal(Rules().predict_proba(X), Rules().predict_proba(X[:, :1]))


@pytest.mark.parametrize("shape", [(3, 128), (128,), (3, 0, 128), (3, 1, 0)])
def test_what_is_no_curve_is_refused(shape):
    with pytest.raises(ValueError, match="X must be"):
        Rules().predict_proba(np.ones(shape))


def test_the_verdict_gets_the_confidence_and_the_rest_share():
    proba = Rules().predict_proba(SLOW.reshape(1, 1, -1))[0]
    assert proba[DIAGNOSES.index("lr_too_low")] == CONFIDENCE
    np.testing.assert_allclose(np.delete(proba, DIAGNOSES.index("lr_too_low")), 0.02)


def test_the_verdict_comes_with_its_evidence():
    assert Rules().explain(SHOOTS_UP) == "lr_too_high: the loss ends at 3.71 times its start."
    assert "soon level at 20.0% of its start and keeps bouncing" in Rules().explain(SOON_LEVEL)
    assert str(Verdict("healthy", "why not")) == "healthy: why not."


def test_diagnose_and_predict_proba_agree():
    X = np.array([curve for curve, _ in TAUGHT.values()])[:, None]
    verdicts = [verdict.diagnosis for verdict in Rules().diagnose(X)]
    assert [DIAGNOSES[i] for i in Rules().predict_proba(X).argmax(axis=1)] == verdicts


def test_more_curves_than_are_looked_at_together():
    X = np.resize(np.array([SLOW, SHOOTS_UP]), (5001, 1, 128))
    verdicts = Rules().predict_proba(X).argmax(axis=1)
    np.testing.assert_array_equal(verdicts, np.resize([2, 0], 5001))


def test_the_shape_says_what_it_claims():
    shape = shape_of(np.linspace(2.0, 1.0, 1000)[None])
    assert shape.first[0] == pytest.approx(0.9875, abs=1e-3)
    assert shape.end[0] == pytest.approx(0.525, abs=1e-3)
    assert shape.to_do_at_half[0] == pytest.approx(0.225 / 0.475, abs=1e-3)
    assert shape.last_quarter[0] == pytest.approx(0.1 / 0.475, abs=1e-3)
    assert shape.step[0] == pytest.approx(1 / 1998 / 0.625, rel=1e-2)


def test_a_hundred_thousand_curves_a_second():
    X = np.resize(np.array([curve for curve, _ in TAUGHT.values()], dtype=np.float32), (20_000, 1, 128))
    seconds = []
    for _ in range(5):
        begin = time.perf_counter()
        Rules().predict_proba(X)
        seconds.append(time.perf_counter() - begin)
    assert len(X) / min(seconds) >= 100_000
