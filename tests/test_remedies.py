"""Gains, costs, snapping and the oracle, against arithmetic done by hand and against slow twins."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curvebench.remedies import (
    UNMATCHED,
    best_single_action,
    counts_for_labels,
    diagnosis_of,
    direction,
    extra_training,
    family_members,
    fixed_actions,
    gain,
    is_prescribable,
    net_gain,
    oracle_actions,
    remedies_of,
    snap,
    treat,
)
from curvebench.spec import DIAGNOSES, NO_REMEDY, Action, InputError, Remedy

REMEDIES = (
    NO_REMEDY,
    Remedy(Action.RESTART, 0.01),
    Remedy(Action.RESTART, 0.1),
    Remedy(Action.RESTART, 10.0),
    Remedy(Action.RESUME, 0.1, 0.25),
    Remedy(Action.RESUME, 0.1, 0.5),
    Remedy(Action.RESUME, 0.1, 0.75),
    Remedy(Action.RESUME, 10.0, 0.5),
    Remedy(Action.CHANGE_OUTPUT),
    Remedy(Action.TRAIN_LONGER),
)
ALL_TRIED = np.ones((1, len(REMEDIES)), dtype=bool)
losses = st.floats(0.0, 1e6) | st.just(math.inf)


def snap_one(remedy: Remedy, tried: np.ndarray = ALL_TRIED) -> tuple[int, bool]:
    index, is_snapped = snap([remedy], REMEDIES, tried)
    return int(index[0]), bool(is_snapped[0])


def random_gains(rng: np.random.Generator, n: int, share_untried: float = 0.3) -> np.ndarray:
    gains = rng.uniform(-1, 1, (n, len(REMEDIES))).round(1)
    gains[rng.random(gains.shape) < share_untried] = np.nan
    gains[:, 0] = 0.0
    return gains


# ---------------------------------------------------------------------------------------------------- gain


@pytest.mark.parametrize(
    ("j_none", "j_remedy", "expected"),
    [
        (1.0, 0.5, 0.5),
        (0.5, 1.0, -0.5),
        (1.0, 0.0, 1.0),
        (0.0, 1.0, -1.0),
        (0.0, 0.0, 0.0),
        (1.0, 1.004, 0.0),  # closer than 0.005 x the cap
        (math.inf, 0.4, 0.8),  # inf counts as the cap, 2
        (0.4, math.inf, -0.8),
        (math.inf, 5.0, 0.0),  # both at the cap
        (3.0, 2.0, 0.0),
        (1.0, math.nan, math.nan),  # untried, which is not diverged
        (math.nan, 1.0, math.nan),
    ],
)
def test_gain_by_hand(j_none, j_remedy, expected):
    np.testing.assert_allclose(gain(j_none, j_remedy, cap=2.0), expected, rtol=1e-12)


@given(losses, losses, st.floats(1e-6, 1e6), st.sampled_from([0.0, 0.005]))
def test_gain_is_antisymmetric_and_bounded(a, b, cap, tie):
    forth, back = float(gain(a, b, cap, tie)), float(gain(b, a, cap, tie))
    assert forth == -back
    assert -1 <= forth <= 1


def test_gain_broadcasts_over_runs_and_remedies():
    gains = gain(np.array([[1.0], [2.0]]), np.array([[1.0, 0.5, np.nan], [1.0, np.inf, 0.2]]), np.array([[1.0], [4.0]]))
    np.testing.assert_allclose(gains, [[0, 0.5, np.nan], [0.5, -0.5, 0.9]])


def test_gain_of_a_problem_that_leaves_nothing_to_learn():
    assert gain(0.0, 0.0, cap=0.0) == 0.0
    assert gain(1.0, np.inf, cap=0.0) == 0.0


# ------------------------------------------------------------------------------------------- cost, families


def test_net_gain_takes_off_the_extra_training():
    assert extra_training(REMEDIES).tolist() == [0, 1, 1, 1, 0.75, 0.5, 0.25, 0.5, 1, 1]
    net = net_gain(np.full((1, len(REMEDIES)), 0.5), REMEDIES, cost_weight=0.1)
    np.testing.assert_allclose(net[0], [0.5, 0.4, 0.4, 0.4, 0.425, 0.45, 0.475, 0.45, 0.4, 0.4])
    assert np.isnan(net_gain(np.array([[np.nan]]), REMEDIES[1:2])).all()


def test_what_counts_for_labels():
    assert np.flatnonzero(counts_for_labels(REMEDIES)).tolist() == [1, 2, 3, 5, 6, 7, 8]
    members = {d: family_members(REMEDIES, d).tolist() for d in DIAGNOSES}
    assert members == {
        "lr_too_high": [1, 2],
        "late_lr_too_high": [5, 6],
        "lr_too_low": [3],
        "late_lr_too_low": [7],
        "output_mismatch": [8],
        "healthy": [],
    }
    assert all(diagnosis_of(REMEDIES[i]) == d for d, indices in members.items() for i in indices)


def test_remedies_without_a_family_of_their_own():
    assert direction(Remedy(Action.RESTART, 1.0)) == 0
    assert diagnosis_of(NO_REMEDY) == diagnosis_of(Remedy(Action.TRAIN_LONGER)) == "healthy"


@pytest.mark.parametrize(
    "remedy",
    [
        Remedy(Action.TRAIN_LONGER),
        Remedy(Action.RESTART, 0.0),
        Remedy(Action.RESTART, -1.0),
        Remedy(Action.RESTART, math.nan),
        Remedy(Action.RESTART, math.inf),
        Remedy(Action.RESUME, 0.1, 1.0),
        Remedy(Action.RESUME, 0.1, math.nan),
    ],
)
def test_what_nobody_may_prescribe(remedy):
    assert not is_prescribable(remedy)


# ---------------------------------------------------------------------------------------------------- snap


@pytest.mark.parametrize(
    ("prescribed", "expected", "is_snapped"),
    [
        (NO_REMEDY, 0, False),
        (Remedy(Action.RESTART, 10.0), 3, False),
        (Remedy(Action.RESTART, 10.0 * (1 + 1e-9)), 3, False),  # rounding is no snap
        (Remedy(Action.RESTART, 2.0), 3, True),
        (Remedy(Action.RESTART, 0.04), 2, True),  # nearest as a ratio
        (Remedy(Action.RESTART, 10**-1.5), 2, True),  # equally near: the milder
        (Remedy(Action.RESTART, 1e-9), 1, True),
        (Remedy(Action.RESUME, 0.1, 0.75), 6, False),
        (Remedy(Action.RESUME, 0.001, 0.9), 6, True),
        (Remedy(Action.RESUME, 0.1, 0.625), 6, True),  # equally near: the cheaper
        (Remedy(Action.RESUME, 100.0, 0.1), 7, True),
        (Remedy(Action.CHANGE_OUTPUT), 8, False),
        (Remedy(Action.CHANGE_OUTPUT, 3.0, 0.5), 8, False),  # the action has neither factor nor start
        (Remedy(Action.RESTART, 10.0, 0.5), 3, False),
        (Remedy(Action.RESTART, 1.0), UNMATCHED, False),
        (Remedy(Action.RESUME, 1.0, 0.5), UNMATCHED, False),
        (Remedy(Action.TRAIN_LONGER), UNMATCHED, False),
    ],
)
def test_snap_by_hand(prescribed, expected, is_snapped):
    assert snap_one(prescribed) == (expected, is_snapped)


def test_snap_never_changes_the_direction():
    tried = ALL_TRIED.copy()
    tried[0, 3] = False
    assert snap_one(Remedy(Action.RESTART, 10.0), tried) == (UNMATCHED, False)


def test_snap_prefers_the_factor_to_the_moment():
    remedies = (NO_REMEDY, Remedy(Action.RESUME, 0.01, 0.5), Remedy(Action.RESUME, 0.1, 0.9))
    index, _ = snap([Remedy(Action.RESUME, 0.01, 0.9)], remedies, np.ones((1, 3), dtype=bool))
    assert index.tolist() == [1]


def slow_snap(prescribed: Remedy, tried: np.ndarray) -> int:
    if prescribed.action is Action.NONE:
        return 0
    distances = [
        (
            round(abs(math.log(r.factor / prescribed.factor)), 5),
            round(abs(r.at - prescribed.at), 5),
            abs(math.log(r.factor)),
            extra_training([r])[0],
            i,
        )
        for i, r in enumerate(REMEDIES)
        if tried[i] and r.action is prescribed.action and (r.factor > 1) == (prescribed.factor > 1)
    ]
    return min(distances)[-1] if distances else UNMATCHED


def test_snap_agrees_with_its_slow_twin():
    rng = np.random.default_rng(0)
    n = 400
    actions = [Action.NONE, Action.RESTART, Action.RESUME]
    prescribed = [
        Remedy(actions[a], 10.0**f, t)
        for a, f, t in zip(rng.integers(0, 3, n), rng.normal(0, 1.5, n), rng.integers(0, 10, n) / 10, strict=True)
    ]
    tried = rng.random((n, len(REMEDIES))) < 0.6
    index, _ = snap(prescribed, REMEDIES, tried)
    assert index.tolist() == [slow_snap(p, t) for p, t in zip(prescribed, tried, strict=True)]


def test_treating_nobody():
    treatment = treat([], REMEDIES, np.zeros((0, len(REMEDIES))))
    assert len(treatment.index) == len(treatment.net_gain) == len(treatment.is_unmatched) == 0


def test_an_unmatched_prescription_costs_and_gains_nothing():
    gains = np.full((3, len(REMEDIES)), 0.5)
    gains[1, 3] = np.nan
    up = Remedy(Action.RESTART, 10.0)
    treatment = treat([up, up, Remedy(Action.RESUME, 1.0, 0.75)], REMEDIES, gains, cost_weight=0.02)
    np.testing.assert_allclose(treatment.net_gain, [0.48, -0.02, -0.005])
    assert treatment.is_unmatched.tolist() == [False, True, True]


def test_doing_nothing_brings_exactly_nothing():
    gains = np.full((2, len(REMEDIES)), 0.3)
    assert treat([NO_REMEDY] * 2, REMEDIES, gains).net_gain.tolist() == [0.0, 0.0]


# ------------------------------------------------------------------------------------------- fixed actions


def slow_fixed_action(diagnosis: str, labels: np.ndarray, gains: np.ndarray) -> int:
    means = []
    for member in family_members(REMEDIES, diagnosis):
        net = []
        for row in gains[labels == diagnosis]:
            stand_in = slow_snap(REMEDIES[member], ~np.isnan(row))
            brought = 0.0 if stand_in == UNMATCHED else row[stand_in]
            paid = REMEDIES[member if stand_in == UNMATCHED else stand_in]
            net.append(brought - 0.02 * extra_training([paid])[0])
        means.append((np.mean(net), int(member)))
    return max(means, key=lambda pair: pair[0])[1]


def test_fixed_actions_agree_with_their_slow_twin():
    rng = np.random.default_rng(1)
    labels = rng.choice(DIAGNOSES, 300)
    gains = random_gains(rng, 300)
    fixed = fixed_actions(labels, gains, REMEDIES, 0.02)
    assert fixed.pop("healthy") == 0
    assert fixed == {d: slow_fixed_action(d, labels, gains) for d in DIAGNOSES[:-1]}


def test_fixed_actions_of_labels_that_never_occur():
    fixed = fixed_actions(np.array([], dtype=str), np.zeros((0, len(REMEDIES))), REMEDIES)
    named = {d: str(REMEDIES[i]) for d, i in fixed.items()}
    assert named == {
        "lr_too_high": "restart x0.1",
        "late_lr_too_high": "resume x0.1 at 0.5",
        "lr_too_low": "restart x10",
        "late_lr_too_low": "resume x10 at 0.5",
        "output_mismatch": "change_output",
        "healthy": "none",
    }


def test_fixed_actions_without_a_family():
    assert fixed_actions(np.array(["lr_too_low"]), np.zeros((1, 1)), REMEDIES[:1]) == dict.fromkeys(DIAGNOSES, 0)


def test_fixed_remedies_need_all_diagnoses():
    complete = {d: i for i, d in enumerate(DIAGNOSES)}
    assert remedies_of(complete, REMEDIES) == REMEDIES[:6]
    with pytest.raises(InputError, match="lr_too_low, healthy"):
        remedies_of({d: i for d, i in complete.items() if d not in ("lr_too_low", "healthy")}, REMEDIES)


def test_best_single_action():
    gains = np.zeros((4, len(REMEDIES)))
    gains[:, 9] = 1.0  # training longer is no remedy
    assert best_single_action(gains, REMEDIES) == 0
    gains[:, 2], gains[:, 3] = [0.9, 0.9, 0.9, -0.9], 0.3
    assert best_single_action(gains, REMEDIES) == 2
    gains[:, 2] = [0.9, 0.9, -0.9, -0.9]
    assert best_single_action(gains, REMEDIES) == 3


# -------------------------------------------------------------------------------------------------- oracle


def slow_oracle(gains: np.ndarray, key: np.ndarray, row: int) -> int:
    everybody = np.flatnonzero(key == key[row])
    others = [i for i in everybody if i != row]
    best = (0.0, 0.0, 0)  # minus net gain, cost, index
    for i, remedy in enumerate(REMEDIES):
        if i == 0 or remedy.action is Action.TRAIN_LONGER or not others or np.isnan(gains[everybody, i]).any():
            continue
        cost = float(extra_training([remedy])[0])
        mean = float(np.mean(gains[others, i])) - 0.02 * cost
        best = min(best, (round(-mean, 6), cost, i))
    return best[-1]


def test_oracle_agrees_with_its_slow_twin():
    rng = np.random.default_rng(2)
    key = np.repeat(np.arange(80), rng.integers(1, 7, 80))
    seed = np.concatenate([np.arange((key == k).sum()) for k in range(80)])
    gains = random_gains(rng, len(key), share_untried=0.05)
    order = rng.permutation(len(key))
    key, seed, gains = key[order], seed[order], gains[order]
    actions = oracle_actions(gains, key, seed, REMEDIES)
    assert actions.tolist() == [slow_oracle(gains, key, i) for i in range(len(key))]
    assert len(set(actions.tolist())) > 5


def test_oracle_does_not_look_at_the_run_itself():
    gains = np.zeros((3, len(REMEDIES)))
    gains[:, 3] = [0.9, -0.2, -0.2]
    gains[:, 2] = [-0.9, 0.5, 0.5]
    actions = oracle_actions(gains, np.zeros(3), np.arange(3), REMEDIES)
    assert actions.tolist() == [2, 3, 3]


def test_oracle_takes_the_cheapest_of_equals():
    gains = np.zeros((2, len(REMEDIES)))
    gains[:, 2], gains[:, 3], gains[:, 6] = 0.52, 0.52, 0.505
    assert oracle_actions(gains, np.zeros(2), np.arange(2), REMEDIES, cost_weight=0.02).tolist() == [6, 6]
    gains[:, 6] = 0.0
    assert oracle_actions(gains, np.zeros(2), np.arange(2), REMEDIES, cost_weight=0.02).tolist() == [2, 2]


def test_oracle_does_nothing_without_other_seeds():
    assert oracle_actions(np.ones((1, len(REMEDIES))), np.zeros(1), np.zeros(1, dtype=int), REMEDIES).tolist() == [0]


def test_oracle_refuses_a_seed_twice():
    with pytest.raises(InputError, match="same seed twice"):
        oracle_actions(np.zeros((2, len(REMEDIES))), np.zeros(2), np.zeros(2, dtype=int), REMEDIES)
