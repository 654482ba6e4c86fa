"""Scores by hand, and the fast sums against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, f1_score, log_loss, recall_score

from curvebench.evaluation.scores import (
    SCORES,
    Judged,
    chance_balanced_accuracy,
    confusion,
    scores,
    scores_from_sums,
    sums_by_instance,
)

ONLY_LABEL = np.eye(6, dtype=bool)


def make_judged(n: int = 400, seed: int = 0, share_accepted: float = 0.2) -> Judged:
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 6, n)
    probabilities = rng.dirichlet(np.full(6, 0.3), n)
    return Judged(
        label=label,
        accepted=ONLY_LABEL[label] | (rng.random((n, 6)) < share_accepted),
        prediction=probabilities.argmax(axis=1),
        probabilities=probabilities,
        net_gain=rng.normal(0.1, 0.5, n),
        oracle_net_gain=rng.uniform(0.0, 0.9, n),
    )


def judged_by_hand() -> Judged:
    label = np.array([0, 0, 2, 5, 5])
    accepted = ONLY_LABEL[label].copy()
    accepted[0, 1] = True
    prediction = np.array([1, 1, 2, 5, 3])
    return Judged(
        label=label,
        accepted=accepted,
        prediction=prediction,
        probabilities=ONLY_LABEL[prediction] * 0.7 + 0.05,
        net_gain=np.array([0.4, -0.2, 0.6, 0.0, -0.1]),
        oracle_net_gain=np.array([0.5, 0.3, 0.6, 0.0, 0.0]),
    )


def test_scores_by_hand():
    found = scores(judged_by_hand())
    expected = {
        "value": 0.7 / 1.4,
        "balanced_accuracy": (0.5 + 1 + 0.5) / 3,
        "macro_f1": (2 / 3 + 1 + 2 / 3) / 3,
        "false_alarms_per_100_healthy": 50.0,
        "recall_lr_too_high": 0.5,
        "recall_late_lr_too_high": np.nan,
        "value_lr_too_high": 0.2 / 0.8,
        "value_lr_too_low": 1.0,
        "value_output_mismatch": np.nan,
        "net_gain_healthy": -0.05,
        "log_loss": -np.mean(np.log([0.8, 0.05, 0.75, 0.75, 0.05])),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, err_msg=name, atol=1e-12)
    assert tuple(found) == SCORES


def test_an_accepted_answer_counts_as_the_label():
    judged = judged_by_hand()
    assert judged.credited.tolist() == [0, 1, 2, 5, 3]
    np.testing.assert_allclose(judged.credited_probabilities[0], [0.8, 0, 0.05, 0.05, 0.05, 0.05], atol=1e-12)
    assert confusion(judged)[0].tolist() == [0, 2, 0, 0, 0, 0]  # as it was said


def test_the_label_counts_even_where_the_set_is_empty():
    judged = judged_by_hand()
    bare = Judged(**{**vars(judged), "accepted": np.zeros((5, 6), dtype=bool)})
    assert scores(bare)["recall_lr_too_low"] == 1.0


def test_with_only_the_label_accepted_it_is_what_sklearn_says():
    judged = make_judged(share_accepted=0.0)
    found = scores(judged)
    np.testing.assert_allclose(found["macro_f1"], f1_score(judged.label, judged.prediction, average="macro"))
    np.testing.assert_allclose(
        found["balanced_accuracy"], recall_score(judged.label, judged.prediction, average="macro")
    )
    np.testing.assert_allclose(found["log_loss"], log_loss(judged.label, judged.probabilities))
    np.testing.assert_array_equal(confusion(judged), confusion_matrix(judged.label, judged.prediction))
    np.testing.assert_allclose(found["brier"], np.mean(((judged.probabilities - ONLY_LABEL[judged.label]) ** 2).sum(1)))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("n", [1, 7, 300])
def test_scores_from_sums_are_the_scores(n, seed):
    judged = make_judged(n, seed)
    instance = np.random.default_rng(seed).integers(0, 5, n)
    fast = scores_from_sums(sums_by_instance(judged, instance, 5).sum(axis=0, keepdims=True))
    slow = scores(judged)
    assert tuple(fast) == SCORES
    for name in SCORES:
        np.testing.assert_allclose(fast[name][0], slow[name], rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("n", [1, 2, 5, 9, 400])
@pytest.mark.parametrize("seed", range(5))
def test_credited_answers_score_as_scikit_learn_says_also_where_classes_are_missing(n, seed):
    judged = make_judged(n, seed)
    found, answers = scores(judged), (judged.label, judged.credited)
    recall = recall_score(*answers, labels=range(6), average=None, zero_division=np.nan)
    np.testing.assert_array_equal([found[name] for name in SCORES if name.startswith("recall_")], recall)
    present = np.unique(judged.label)
    assert found["macro_f1"] == pytest.approx(
        f1_score(*answers, labels=present, average="macro", zero_division=0), abs=1e-15
    )


def test_value_is_not_defined_where_nothing_can_be_gained():
    judged = make_judged(10)
    hopeless = Judged(**{**vars(judged), "oracle_net_gain": np.zeros(10)})
    assert np.isnan(scores(hopeless)["value"])


def test_chance_gains_from_accepted_answers():
    label = np.array([0, 0, 1])
    accepted = ONLY_LABEL[label].copy()
    accepted[1, 3:5] = True
    np.testing.assert_allclose(chance_balanced_accuracy(label, accepted), ((1 / 6 + 3 / 6) / 2 + 1 / 6) / 2)


def test_chance_is_what_random_answers_reach_on_average():
    rng = np.random.default_rng(0)
    judged = make_judged(300)
    reached = [
        scores(Judged(**{**vars(judged), "prediction": rng.integers(0, 6, 300)}))["balanced_accuracy"]
        for _ in range(60)
    ]
    standard_error = np.std(reached) / np.sqrt(len(reached))
    assert abs(np.mean(reached) - chance_balanced_accuracy(judged.label, judged.accepted)) < 4 * standard_error
