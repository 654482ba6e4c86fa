"""Labels by intervention: every rule by hand, and a slow twin on random gains."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.plain_labels import label_one

from curvebench.generation.label import Thresholds, injected_cause, label_rates
from curvebench.spec import DIAGNOSES, Action, Remedy
from curvebench.t_quantiles import CONFIDENCES, MAX_SEEDS, t_quantile

RULES = Thresholds()
REMEDIES = (
    Remedy(Action.NONE),
    Remedy(Action.RESTART, 0.01),
    Remedy(Action.RESTART, 0.1),
    Remedy(Action.RESTART, 10.0),
    Remedy(Action.RESTART, 100.0),
    Remedy(Action.RESUME, 0.1, 0.25),
    Remedy(Action.RESUME, 10.0, 0.25),
    Remedy(Action.RESUME, 0.1, 0.5),
    Remedy(Action.RESUME, 1.0, 0.5),
    Remedy(Action.RESUME, 10.0, 0.5),
    Remedy(Action.RESUME, 0.1, 0.75),
    Remedy(Action.RESUME, 10.0, 0.75),
    Remedy(Action.CHANGE_OUTPUT),
    Remedy(Action.TRAIN_LONGER),
)
NAMES = {str(remedy): i for i, remedy in enumerate(REMEDIES)}


def gains_of(n_seeds: int = 4) -> np.ndarray:
    """(1, n_seeds, n_remedies): nothing helps, nothing harms."""
    return np.zeros((1, n_seeds, len(REMEDIES)))


def set_column(gains: np.ndarray, name: str, values: object) -> np.ndarray:
    gains[0, :, NAMES[name]] = values
    return gains


def label(gains: np.ndarray, rules: Thresholds = RULES, useless: bool = False, complete: bool = True) -> dict:
    labels = label_rates(gains, REMEDIES, rules, np.array([useless]), np.array([complete]))
    assert all(len(value) == 1 for value in vars(labels).values())
    accepted = {name for name, is_accepted in zip(DIAGNOSES, labels.accepted[0], strict=True) if is_accepted}
    return {name: value[0] for name, value in vars(labels).items()} | {"accepted": accepted}


# ---------------------------------------------------------------------------------------------- by hand


@pytest.mark.parametrize(
    ("name", "diagnosis"),
    [
        ("restart x0.01", "lr_too_high"),
        ("restart x0.1", "lr_too_high"),
        ("restart x10", "lr_too_low"),
        ("restart x100", "lr_too_low"),
        ("resume x0.1 at 0.5", "late_lr_too_high"),
        ("resume x0.1 at 0.75", "late_lr_too_high"),
        ("resume x10 at 0.5", "late_lr_too_low"),
        ("resume x10 at 0.75", "late_lr_too_low"),
    ],
)
def test_the_only_remedy_that_helps_names_the_diagnosis(name, diagnosis):
    found = label(set_column(gains_of(), name, 0.5))
    assert found["diagnosis"] == diagnosis
    assert found["accepted"] == {diagnosis}
    assert found["best_gain"] == 0.5
    assert found["difficulty"] == "easy"


@pytest.mark.parametrize(
    "name", ["resume x0.1 at 0.25", "resume x10 at 0.25", "resume x1 at 0.5", "train_longer", "none"]
)
def test_what_does_not_count_for_labels_names_nothing(name):
    found = label(set_column(gains_of(), name, 0.9))
    assert found["diagnosis"] == "healthy"
    assert found["best_gain"] == 0.0


def test_a_change_of_output_names_a_mismatch():
    assert label(set_column(gains_of(), "change_output", 0.3))["diagnosis"] == "output_mismatch"


def test_healthy_is_where_nothing_helps_by_a_material_amount():
    gains = np.full((1, 4, len(REMEDIES)), 0.09)
    found = label(gains)
    assert (found["diagnosis"], found["accepted"]) == ("healthy", {"healthy"})
    assert found["best_gain"] == pytest.approx(0.09)
    assert math.isnan(found["onset"])


def test_healthy_needs_the_upper_end_of_every_family_below_the_threshold():
    # mean 0.05, standard error 0.05: the upper end is 0.05 + 1.638 * 0.05 > 0.1, the lower below
    values = 0.05 + 0.1 * math.sqrt(0.75) * np.array([1, -1, 1, -1])
    found = label(set_column(gains_of(), "restart x10", values))
    assert (found["diagnosis"], found["accepted"]) == ("indeterminate", set())
    assert found["difficulty"] == "hard"
    assert label(set_column(gains_of(), "restart x10", 0.05 + (values - 0.05) / 10))["diagnosis"] == "healthy"


def test_the_threshold_itself_is_material():
    assert label(set_column(gains_of(), "restart x10", 0.1))["diagnosis"] == "lr_too_low"
    assert label(set_column(gains_of(), "restart x10", math.nextafter(0.1, 0)))["diagnosis"] == "healthy"


@pytest.mark.parametrize("n_seeds", [2, 4, 7])
@pytest.mark.parametrize("confidence", CONFIDENCES)
def test_the_interval_is_students(n_seeds, confidence):
    stats = pytest.importorskip("scipy.stats")
    rules = replace(RULES, confidence=confidence)
    pattern = np.linspace(-1, 1, n_seeds)
    half_width = stats.t.ppf(confidence, n_seeds - 1) * pattern.std(ddof=1) / math.sqrt(n_seeds)
    for mean, side in ((0.1 + half_width, +1), (0.1 - half_width, -1)):
        for nudge in (-1e-5, 1e-5):
            values = mean + nudge + pattern
            expected = {(1, True): "lr_too_low", (-1, False): "healthy"}.get((side, nudge > 0), "indeterminate")
            assert label(set_column(gains_of(n_seeds) - 99.0, "restart x10", values), rules)["diagnosis"] == expected


def test_of_a_family_only_the_member_with_the_best_mean_is_tested():
    gains = set_column(gains_of(), "restart x10", 0.4)  # certain
    assert label(gains)["diagnosis"] == "lr_too_low"
    set_column(gains, "restart x100", [1.0, 1.0, 0.2, -0.4])  # better on average, but uncertain
    assert label(gains)["diagnosis"] == "indeterminate"
    assert label(gains)["best_gain"] == pytest.approx(0.45)


def test_members_that_were_not_tried_with_every_seed_are_not_tested():
    gains = set_column(gains_of(), "restart x10", [0.9, 0.9, np.nan, 0.9])
    assert label(gains)["diagnosis"] == "healthy"
    set_column(gains, "restart x100", 0.3)
    found = label(gains)
    assert (found["diagnosis"], found["best_gain"]) == ("lr_too_low", 0.3)


def test_the_best_of_the_material_families_names_the_label():
    gains = set_column(set_column(gains_of(), "restart x10", 0.3), "change_output", 0.8)
    found = label(gains)
    assert (found["diagnosis"], found["accepted"]) == ("output_mismatch", {"output_mismatch"})


def log_share(gain: float, share: float) -> float:
    """The gain whose -ln(1 - g) is a share of that of another."""
    return 1 - (1 - gain) ** share


FAMILIES_BY_PRICE = [
    ("resume x0.1 at 0.5", "late_lr_too_high"),
    ("restart x0.1", "lr_too_high"),
    ("change_output", "output_mismatch"),
]


@pytest.mark.parametrize(("cheap", "dear"), list(combinations(FAMILIES_BY_PRICE, 2)))
def test_a_cheaper_family_that_reaches_four_fifths_names_the_label(cheap, dear):
    for share, expected in ((0.81, cheap), (0.79, dear)):
        gains = set_column(set_column(gains_of(), dear[0], 0.7), cheap[0], log_share(0.7, share))
        found = label(gains)
        assert found["diagnosis"] == expected[1]
        assert found["accepted"] == ({cheap[1], dear[1]} if share > 0.8 else {dear[1]})
    gains = set_column(set_column(gains_of(), cheap[0], 0.7), dear[0], log_share(0.7, 0.81))
    assert label(gains)["diagnosis"] == cheap[1], "the dearer family never takes over"
    assert label(gains)["accepted"] == {cheap[1], dear[1]}


def test_of_two_families_of_one_price_the_better_names_the_label():
    for better, diagnosis in (("restart x0.1", "lr_too_high"), ("restart x10", "lr_too_low")):
        gains = set_column(set_column(gains_of(), "restart x0.1", 0.50), "restart x10", 0.50)
        found = label(set_column(gains, better, 0.52))
        assert (found["diagnosis"], found["accepted"]) == (diagnosis, {"lr_too_high", "lr_too_low"})


def test_the_cheapest_accepted_family_need_not_be_the_second_best():
    gains = set_column(gains_of(), "change_output", 0.9)
    set_column(gains, "restart x0.1", log_share(0.9, 0.95))
    set_column(gains, "resume x10 at 0.75", log_share(0.9, 0.85))
    found = label(gains)
    assert found["diagnosis"] == "late_lr_too_low"
    assert found["accepted"] == {"late_lr_too_low", "lr_too_high", "output_mismatch"}


def test_a_resumption_that_gets_part_of_the_way_does_not_swallow_a_rate_that_was_too_low_from_the_start():
    gains = set_column(set_column(gains_of(), "restart x100", 0.99), "resume x10 at 0.5", 0.9)
    assert label(gains)["diagnosis"] == "lr_too_low", "0.9 is more than four fifths of 0.99, but not in logarithms"


def test_gains_beyond_a_hundredfold_are_equal():
    gains = set_column(set_column(gains_of(), "restart x10", 0.99999), "resume x10 at 0.5", log_share(0.99, 0.81))
    assert label(gains)["accepted"] == {"lr_too_low", "late_lr_too_low"}
    assert label(gains, replace(RULES, largest_ratio=1e5))["accepted"] == {"lr_too_low"}


def test_a_gain_of_one_is_no_infinity():
    gains = set_column(set_column(gains_of(), "restart x10", 1.0), "resume x10 at 0.5", 1.0)
    found = label(gains)
    assert (found["diagnosis"], found["accepted"]) == ("late_lr_too_low", {"lr_too_low", "late_lr_too_low"})
    assert found["best_gain"] == 1.0


def test_other_is_what_learned_nothing_and_has_no_cure():
    found = label(gains_of(), useless=True)
    assert (found["diagnosis"], found["accepted"], found["difficulty"]) == ("other", set(), "hard")
    assert label(set_column(gains_of(), "restart x0.1", 0.8), useless=True)["diagnosis"] == "lr_too_high"
    uncertain = set_column(gains_of(), "restart x0.1", [0.9, 0, 0, 0])
    assert label(uncertain, useless=True)["diagnosis"] == "other", "before indeterminate"


def test_an_incomplete_sweep_is_left_unscored():
    for gains in (gains_of(), set_column(gains_of(), "restart x10", 0.9)):
        for useless in (False, True):
            found = label(gains, useless=useless, complete=False)
            assert (found["diagnosis"], found["accepted"], found["difficulty"]) == ("indeterminate", set(), "hard")
            assert math.isnan(found["onset"])


def test_the_onset_is_the_earliest_resumption_that_is_material():
    gains = set_column(gains_of(), "resume x0.1 at 0.75", 0.6)
    assert label(gains)["onset"] == 0.75
    set_column(gains, "resume x0.1 at 0.5", 0.3)
    assert label(gains)["onset"] == 0.5
    set_column(gains, "resume x0.1 at 0.5", [1.0, 0.0, 0.0, 0.0])
    assert label(gains)["onset"] == 0.75, "0.5 is not certain"
    set_column(gains, "resume x0.1 at 0.25", 0.6)
    assert label(gains)["onset"] == 0.75, "so early is nearly a restart"
    set_column(gains, "resume x10 at 0.5", 0.2)
    assert label(gains)["onset"] == 0.75, "the other direction is another story"
    assert math.isnan(label(set_column(gains_of(), "restart x0.1", 0.6))["onset"])


def test_untried_remedies_are_no_evidence():
    gains = np.full((1, 4, len(REMEDIES)), np.nan)
    gains[:, :, 0] = 0.0
    found = label(gains)
    assert (found["diagnosis"], found["best_gain"]) == ("healthy", 0.0)


def test_remedies_may_lack_whole_families():
    remedies = (Remedy(Action.NONE), Remedy(Action.RESTART, 10.0))
    gains = np.array([[[0, 0.5]] * 3, [[0, 0.0]] * 3])
    labels = label_rates(gains, remedies, RULES, np.zeros(2, bool), np.ones(2, bool))
    assert labels.diagnosis.tolist() == ["lr_too_low", "healthy"]
    nothing = label_rates(gains[:, :, :1], remedies[:1], RULES, np.array([False, True]), np.ones(2, bool))
    assert nothing.diagnosis.tolist() == ["healthy", "other"]
    assert nothing.best_gain.tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("gain", "difficulty"), [(0.1, "hard"), (0.24, "hard"), (0.26, "medium"), (0.49, "medium"), (0.51, "easy")]
)
def test_the_difficulty_is_the_distance_of_the_test_from_its_threshold(gain, difficulty):
    assert label(set_column(gains_of(), "restart x10", gain))["difficulty"] == difficulty


@pytest.mark.parametrize(
    ("gain", "difficulty"), [(0.09, "hard"), (0.071, "hard"), (0.069, "medium"), (0.021, "medium"), (0.019, "easy")]
)
def test_healthy_is_harder_the_closer_a_remedy_comes_to_helping(gain, difficulty):
    found = label(set_column(np.full((1, 4, len(REMEDIES)), -0.5), "restart x10", gain))
    assert (found["diagnosis"], found["difficulty"]) == ("healthy", difficulty)


def test_every_threshold_is_heard():
    strong = set_column(gains_of(), "restart x10", 0.5)
    assert label(strong, replace(RULES, material_gain=0.6))["diagnosis"] == "healthy"
    spread = set_column(gains_of(), "restart x10", [0.1, 0.2, 0.3, 0.4])
    diagnoses = [label(spread, replace(RULES, confidence=c))["diagnosis"] for c in CONFIDENCES]
    assert diagnoses == ["lr_too_low", "lr_too_low", "indeterminate", "indeterminate"]
    two = set_column(set_column(gains_of(), "restart x10", 0.5), "resume x10 at 0.5", 0.3)
    assert label(two)["diagnosis"] == "lr_too_low"
    assert label(two, replace(RULES, accept_share=0.4))["diagnosis"] == "late_lr_too_low"


# ------------------------------------------------------------------------------------------------- twin


@given(
    seed=st.integers(0, 10**6),
    n_seeds=st.integers(2, 7),
    n_remedies=st.integers(1, len(REMEDIES)),
    noise=st.sampled_from([0.0, 0.01, 0.1, 0.5]),
    untried=st.sampled_from([0.0, 0.02, 0.3]),
    rules=st.builds(
        Thresholds,
        material_gain=st.sampled_from([0.05, 0.1, 0.3]),
        confidence=st.sampled_from(CONFIDENCES),
        accept_share=st.sampled_from([0.3, 0.8, 1.0]),
        largest_ratio=st.sampled_from([2.0, 100.0]),
    ),
)
@settings(max_examples=150)
def test_the_twin_agrees(seed, n_seeds, n_remedies, noise, untried, rules):
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.choice(len(REMEDIES), n_remedies, replace=False))
    remedies = [REMEDIES[i] for i in chosen]
    m = 24
    centre = rng.choice([-1.0, -0.3, 0.0, 0.05, 0.1, 0.15, 0.3, 0.6, 0.9, 0.99, 1.0], (m, 1, n_remedies))
    centre = np.where(rng.random((m, 1, 1)) < 0.5, np.minimum(centre, 0.12), centre)
    gains = np.clip(centre + noise * rng.normal(size=(m, n_seeds, n_remedies)), -1, 1)
    gains[rng.random(gains.shape) < untried] = np.nan
    gains[np.broadcast_to(rng.random((m, 1, n_remedies)) < untried, gains.shape)] = np.nan
    useless, complete = rng.random(m) < 0.3, rng.random(m) < 0.9
    labels = label_rates(gains, remedies, rules, useless, complete)
    for i in range(m):
        plain = label_one(gains[i].tolist(), remedies, rules, bool(useless[i]), bool(complete[i]))
        if plain.is_close_call:
            continue
        found = {name for name, is_accepted in zip(DIAGNOSES, labels.accepted[i], strict=True) if is_accepted}
        assert (labels.diagnosis[i], found) == (plain.diagnosis, plain.accepted)
        assert labels.best_gain[i] == pytest.approx(plain.best_gain, abs=1e-12)
        np.testing.assert_equal(labels.onset[i], plain.onset)
        assert labels.difficulty[i] == plain.difficulty


def test_the_twin_meets_every_label():
    """Otherwise agreement with it would say little."""
    rng = np.random.default_rng(0)
    met = set()
    for _ in range(400):
        centre = rng.choice([0.0, 0.05, 0.1, 0.3, 0.9], (1, len(REMEDIES)), p=[0.8, 0.05, 0.05, 0.05, 0.05])
        gains = np.clip(centre + 0.05 * rng.normal(size=(4, len(REMEDIES))), -1, 1)
        met.add(label_one(gains.tolist(), list(REMEDIES), RULES, rng.random() < 0.2, True).diagnosis)
    assert met == {*DIAGNOSES, "other", "indeterminate"}


# -------------------------------------------------------------------------------------------- quantiles


def test_the_table_of_quantiles_is_students():
    stats = pytest.importorskip("scipy.stats")
    for n in range(2, MAX_SEEDS + 1):
        for confidence in CONFIDENCES:
            assert t_quantile(confidence, n) == pytest.approx(stats.t.ppf(confidence, n - 1), abs=6e-7)


def test_the_table_ends_where_it_says():
    with pytest.raises(IndexError):
        t_quantile(0.9, MAX_SEEDS + 1)
    with pytest.raises(ValueError, match="not in"):
        t_quantile(0.85, 4)


# ---------------------------------------------------------------------------------------------- injected


@pytest.mark.parametrize(
    ("fits", "over_best", "decay", "expected"),
    [
        (True, 0.0, 10.0, "healthy"),
        (True, 0.49, 10.0, "healthy"),
        (True, 0.5, 10.0, "lr_too_high"),
        (True, -0.5, 10.0, "lr_too_low"),
        (True, 0.0, 1.0, "late_lr_too_high"),
        (True, 0.0, 300.0, "late_lr_too_low"),
        (True, 1.0, 300.0, "lr_too_high"),  # the rate before the schedule
        (False, 1.0, 300.0, "output_mismatch"),  # the output before all
    ],
)
def test_the_injected_cause_is_what_was_changed_in_a_tuned_cell(fits, over_best, decay, expected):
    assert injected_cause(np.array([fits]), np.array([over_best]), np.array([decay])).tolist() == [expected]
