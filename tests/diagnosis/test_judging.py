"""From a run of a log to a verdict."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import curvebench
from curvebench.diagnosers.learned import load_model, save_model
from curvebench.diagnosis import Limits, curve_of, default_diagnoser, default_library, default_limits, diagnose
from curvebench.diagnosis.judging import DEFAULT_MODEL
from curvebench.diagnosis.verdict import limits_from_json
from curvebench.spec import DIAGNOSES, Action, CheckFailed, InputError, Remedy, UsageError

ANYTHING = Limits(0.0, 1, np.inf, 0.8, "", "")
"""Limits that nothing is beyond."""

FALL = curve_of(np.geomspace(2.0, 0.4, 40))


class Says:
    """A diagnoser with one answer."""

    def __init__(self, diagnosis, p=1.0):
        self.row = [p if name == diagnosis else (1 - p) / 5 for name in DIAGNOSES]

    def predict_proba(self, X):
        return np.tile(self.row, (len(X), 1))


def test_what_ships_is_small_and_belongs_together():
    assert DEFAULT_MODEL.stat().st_size < 2_000_000
    origin, limits = default_diagnoser().origin, default_limits()
    assert (origin.kind, origin.track) == ("as-logged", "config")
    assert set(origin.diagnoses) == set(DIAGNOSES)
    assert limits.dataset_sha256 == origin.dataset_sha256, "model and limits come from the same data sets"
    assert limits.model_sha256 == hashlib.sha256(DEFAULT_MODEL.read_bytes()).hexdigest(), "calibrate it again"


def test_an_explosion_is_told_by_the_default():
    verdict = diagnose(np.concatenate([np.geomspace(2.3, 200.0, 15), np.full(15, np.nan)]))
    assert verdict.likeliest == "lr_too_high"


@pytest.mark.parametrize("diagnosis", DIAGNOSES)
def test_each_diagnosis_gets_the_fixed_remedy_of_the_data_set(diagnosis):
    meta = default_library().dataset.meta
    verdict = diagnose(FALL, Says(diagnosis), limits=ANYTHING)
    assert verdict.diagnosis == verdict.likeliest == diagnosis
    assert verdict.remedy == meta.remedies[meta.fixed_actions[diagnosis]]
    n_looked_up = 0 if diagnosis == "healthy" else len(verdict.precedents.rows)
    assert len(verdict.precedents.gains) + verdict.precedents.n_unknown == n_looked_up
    json.dumps(verdict.to_dict(), allow_nan=False)


def test_the_advice_names_rate_and_step():
    steps = np.arange(0.0, 4000, 100)
    curve = replace(FALL, steps=steps, step_name="step", learning_rate=np.linspace(1e-3, 1e-4, 40))
    prescribing = Says("late_lr_too_high")
    prescribing.prescribe = lambda X: [Remedy(Action.RESUME, 0.1, 0.75)]
    verdict = diagnose(curve, prescribing, limits=ANYTHING)
    assert verdict.advice == (
        "Go back to the checkpoint nearest to step 2,925 (75 %); run the rest with the learning rate times 0.1 "
        "(there 3.1e-05 in place of 0.00031)."
    )
    assert verdict.to_dict()["remedy"] == {"action": "resume", "factor": 0.1, "at": 0.75, "at_step": 2925.0}
    prescribing.prescribe = lambda X: [Remedy(Action.RESTART, 0.1)]
    assert "(at its highest 0.0001 in place of 0.001)" in diagnose(curve, prescribing, limits=ANYTHING).advice


def test_it_would_rather_abstain_than_guess():
    limits = replace(ANYTHING, min_probability=0.7)
    verdict = diagnose(FALL, Says("lr_too_low", 0.6), limits=limits)
    assert (verdict.diagnosis, verdict.remedy, verdict.advice) == (None, None, "Nothing is advised.")
    assert verdict.likeliest == "lr_too_low"
    assert "0.70 is asked for" in verdict.abstains_because[0]
    assert diagnose(FALL, Says("lr_too_low", 0.8), limits=limits).diagnosis == "lr_too_low"


def test_a_diagnoser_may_abstain_itself():
    shy = Says("healthy")
    shy.abstain = lambda X: np.ones(len(X), dtype=bool)
    assert diagnose(FALL, shy, limits=ANYTHING).abstains_because == ("The diagnoser abstains.",)


def test_diagnosers_by_name_and_by_file(tmp_path):
    X = np.geomspace(2, np.linspace(0.1, 1.9, 60), 20).T[:, None, :].astype(np.float32)
    fitted = curvebench.diagnosers.make_diagnoser("forest").fit(X, np.resize(["lr_too_low", "healthy"], 60))
    save_model(fitted, tmp_path / "small.cbm")
    by_file = diagnose(FALL, str(tmp_path / "small.cbm"), limits=ANYTHING)
    assert sum(by_file.probabilities.values()) == pytest.approx(1)
    assert by_file.probabilities["output_mismatch"] == 0
    assert diagnose(FALL, "rules", limits=ANYTHING).diagnosis in DIAGNOSES
    assert diagnose(FALL, lambda curve: "healthy", limits=ANYTHING).diagnosis == "healthy"
    with pytest.raises(UsageError, match="was not fitted yet; run `curvebench fit"):
        diagnose(FALL, "boosting")


def test_a_diagnoser_that_fails_is_a_sentence():
    def broken(curve):
        raise RuntimeError("no idea")

    with pytest.raises(CheckFailed, match="RuntimeError: no idea"):
        diagnose(FALL, broken)
    with pytest.raises(CheckFailed, match="no valid answer"):
        diagnose(FALL, lambda curve: "broken")


class Wavers:
    """A diagnoser that knows the way and not the moment."""

    def predict_proba(self, X):
        row = [{"lr_too_high": 0.45, "late_lr_too_high": 0.45, "healthy": 0.1}.get(name, 0.0) for name in DIAGNOSES]
        return np.tile(row, (len(X), 1))


def test_where_only_the_moment_is_unsure_the_way_is_said():
    limits = Limits(0.6, 3, np.inf, 0.8, "", "", min_together=0.6)
    verdict = diagnose(FALL, Wavers(), limits=limits)
    assert (verdict.diagnosis, verdict.remedy) == (None, None)
    assert verdict.leaning == verdict.to_dict()["leaning"] == "Lower the learning rate"
    assert "0.90 together" in verdict.leaning_in_words
    assert diagnose(FALL, Says("lr_too_high"), limits=limits).leaning is None, "it is judged"
    assert diagnose(FALL, Wavers(), limits=replace(limits, min_points=99)).leaning is None, "the log is too short"
    assert diagnose(FALL, Wavers(), limits=replace(limits, min_together=0.95)).leaning is None
    assert diagnose(FALL, Says("healthy", 0.5), limits=limits).leaning is None


def test_what_is_accepted_beside_the_label_makes_a_verdict_surer():
    likely, other = DIAGNOSES.index("lr_too_high"), DIAGNOSES.index("late_lr_too_high")
    acceptance = np.eye(6)
    acceptance[other, likely] = 0.4
    limits = Limits(0.6, 3, np.inf, 0.8, "", "", acceptance=tuple(map(tuple, acceptance.tolist())))
    verdict = diagnose(FALL, Wavers(), limits=limits)
    assert verdict.diagnosis == "lr_too_high"
    assert verdict.probability_right == verdict.to_dict()["probability_right"] == pytest.approx(0.45 + 0.4 * 0.45)
    assert (verdict.probabilities["lr_too_high"], verdict.leaning) == (pytest.approx(0.45), None)
    assert limits_from_json(limits.to_json()) == limits


def test_the_unit_of_the_loss_plays_no_part_in_what_is_similar():
    small, large = (diagnose(scale * FALL.train_loss) for scale in (1.0, 1000.0))
    assert small.precedents.rows == large.precedents.rows
    assert small.precedents.novelty == pytest.approx(large.precedents.novelty)


def test_a_flat_loss_at_the_level_of_chance_has_hardly_moved_the_network():
    flat = 1 + 0.002 * np.random.default_rng(0).standard_normal(40)
    guessing, elsewhere = (diagnose(level * flat).probabilities for level in (np.log(10), 0.35))
    assert guessing["lr_too_low"] > 1.5 * elsewhere["lr_too_low"]
    assert elsewhere["lr_too_high"] > guessing["lr_too_high"]


@given(arrays(np.float64, st.integers(1, 60), elements=st.floats(allow_nan=True, allow_infinity=True)))
def test_any_losses_get_a_verdict_or_a_reason(losses):
    verdict = diagnose(losses)
    assert (verdict.diagnosis is None) == bool(verdict.abstains_because)
    assert (verdict.remedy is None) == (verdict.diagnosis is None)
    json.dumps(verdict.to_dict(), allow_nan=False)


def test_limits_keep_their_numbers_in_a_file():
    assert limits_from_json(default_limits().to_json()) == default_limits()
    with pytest.raises(InputError, match="curvebench calibrate"):
        limits_from_json("{}")
    changes = [{"acceptance": ((1.0,),)}, {"acceptance": ((np.nan,) * 6,) * 6}, {"acceptance": ((5.0,) * 6,) * 6}]
    changes += [{"min_probability": np.nan}, {"min_together": "half"}, {"min_points": None}, {"max_novelty": "far"}]
    texts = [replace(default_limits(), **change).to_json() for change in changes]
    for broken in ("[1]", "[" * 100_000, *texts):
        with pytest.raises(InputError, match="curvebench calibrate"):
            limits_from_json(broken)


def test_public_names():
    assert curvebench.diagnose is diagnose
    assert load_model(DEFAULT_MODEL).origin == default_diagnoser().origin
