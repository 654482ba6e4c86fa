"""When a verdict is not to be trusted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from curvebench.diagnosis import Limits, curve_of
from curvebench.diagnosis.doubts import (
    begins_late,
    cautions,
    is_filtered,
    objections,
    reasons_to_abstain,
    rises_by_design,
)
from curvebench.diagnosis.verdict import Precedents

LIMITS = Limits(0.6, 8, 5.0, 0.8, "", "")
FINE = curve_of(np.geomspace(2, 0.5, 30))


def reasons(curve, probability=0.9, novelty=1.0) -> str:
    return " ".join(reasons_to_abstain(curve, probability, "healthy", novelty, LIMITS))


def test_a_good_log_raises_no_doubt():
    assert reasons(FINE) == ""
    assert cautions(FINE) == ()


@pytest.mark.parametrize(
    ("curve", "why"),
    [
        (curve_of([2.0, 1.0]), "too few points: 2 finite values"),
        (curve_of([2.0] + [np.nan] * 20), "too few points: 1 finite"),
        (curve_of(np.linspace(1, -1, 30)), "negative somewhere"),
        (curve_of([0.0] * 29 + [np.inf]), "zero wherever it is finite"),
        (replace(FINE, steps=np.arange(1000.0, 1030.0)), "begins at point 1,000 of 1,029"),
        (replace(FINE, loss_name="train/loss_G"), "adversarial"),
        (replace(FINE, source="trainer-state", grad_norm=np.array([1.0] * 20 + [np.nan] * 10)), "filtered"),
        (replace(FINE, source="trainer-state", train_loss=np.array([2.0] * 20 + [0.0] * 10)), "filtered"),
    ],
)
def test_reasons_in_the_log(curve, why):
    assert why in reasons(curve)


def test_reasons_in_the_answer():
    assert "unlike those of the data set: 9 times" in reasons(FINE, novelty=9.0)
    assert "healthy, is right with a probability of 0.59; 0.60 is asked for" in reasons(FINE, probability=0.59)


@pytest.mark.parametrize(
    ("steps", "is_late"),
    [
        (np.arange(1.0, 11.0), False),
        (np.arange(0.0, 50.0), False),
        (np.arange(50.0, 1000.0, 50.0), False),
        (np.arange(100.0, 131.0), True),
        (np.array([7.0]), False),
    ],
)
def test_a_log_that_begins_late(steps, is_late):
    assert begins_late(steps) == is_late


@pytest.mark.parametrize("name", ["loss", "train/loss", "train_loss", "general_loss", "loss_dense", "epoch_loss"])
def test_ordinary_names(name):
    assert rises_by_design(name) is None


@pytest.mark.parametrize("name", ["d_loss", "loss_D", "G/loss", "critic_loss", "losses/policy_loss", "kl"])
def test_names_of_losses_that_need_not_fall(name):
    assert rises_by_design(name)


def test_zero_is_no_sign_of_a_filter_elsewhere():
    assert not is_filtered(replace(FINE, train_loss=np.array([1.0] * 29 + [0.0])))


@pytest.mark.parametrize(
    ("curve", "what"),
    [
        (replace(FINE, source="trainer-state"), "logging_nan_inf_filter"),
        (replace(FINE, source="ultralytics"), "leaves out epochs"),
        (replace(FINE, loss_name="val_loss"), "validation loss"),
        (curve_of(np.concatenate([np.linspace(2, 1, 20), np.linspace(1, 1.8, 20)])), "rises without exploding"),
    ],
)
def test_cautions(curve, what):
    (said,) = cautions(curve)
    assert what in said


def test_a_loss_that_became_nan_together_with_that_of_validation_is_still_of_training():
    lost = replace(FINE, loss_name="loss", train_loss=np.full(30, np.nan), val_loss=np.full(30, np.nan))
    assert cautions(lost) == ()


def test_noise_is_no_rise():
    noise = np.random.default_rng(0).standard_normal((200, 32))
    plateaus = np.exp(0.3 * noise - np.minimum(np.arange(32), 8))
    assert sum(bool(cautions(curve_of(losses))) for losses in plateaus) <= 4
    rising = plateaus * np.geomspace(1, 10, 32)
    assert sum(bool(cautions(curve_of(losses))) for losses in rising) >= 196


@pytest.mark.parametrize(
    ("val_loss", "is_told"),
    [
        (np.append(np.geomspace(2, 1, 15), np.geomspace(1, 1.5, 15)), True),
        (np.append(np.geomspace(2, 1, 15), np.full(15, np.nan)), False),
        (np.where(np.arange(30) % 5 == 4, np.append(np.geomspace(2, 1, 15), np.geomspace(1, 1.5, 15)), np.nan), True),
        (np.geomspace(2, 0.6, 30), False),
        (np.zeros(30), False),
        (None, False),
    ],
)
def test_overfitting_is_told(val_loss, is_told):
    said = " ".join(cautions(replace(FINE, val_loss=val_loss)))
    assert ("overfitting" in said) == is_told
    rising = replace(FINE, train_loss=FINE.train_loss[::-1], val_loss=val_loss)
    assert "overfitting" not in " ".join(cautions(rising))


@pytest.mark.parametrize(
    ("gains", "said"),
    [
        ((-0.5,) * 9, "helped 0 of 9"),
        ((-0.5, -0.1, 0.0, 0.2, 0.3), "helped 2 of 5"),
        ((-0.5, 0.1, 0.2, 0.3), None),
        ((-0.5, -0.1, 0.1, 0.2, 0.3), None),
        ((-0.5,) * 4, None),
        ((), None),
    ],
)
def test_similar_runs_may_speak_against_a_remedy(gains, said):
    (sentence,) = objections(Precedents((), (), 1.0, gains)) or (None,)
    assert sentence is None if said is None else said in sentence
