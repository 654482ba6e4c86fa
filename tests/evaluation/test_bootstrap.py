"""Draws of problem instances, against rows that are really drawn again."""

from __future__ import annotations

import numpy as np

from curvebench.evaluation.bootstrap import draw_weights, intervals, strata
from curvebench.evaluation.scores import SCORES, Judged, scores, scores_from_sums, sums_by_instance
from curvebench.spec import DIAGNOSES

FAMILY = np.array(["a", "a", "a", "b", "c", "d", "d"])


def make_judged(n: int) -> Judged:
    rng = np.random.default_rng(3)
    label = rng.integers(0, 6, n)
    probabilities = rng.dirichlet(np.ones(6), n)
    return Judged(
        label=label,
        accepted=(rng.random((n, 6)) < 0.2),
        prediction=probabilities.argmax(axis=1),
        probabilities=probabilities,
        net_gain=rng.normal(0.1, 0.5, n),
        oracle_net_gain=rng.uniform(0.0, 0.9, n),
    )


def test_families_with_one_instance_share_a_stratum():
    stratum = strata(FAMILY)
    assert len(set(stratum[:3].tolist())) == 1
    assert stratum[3] == stratum[4]
    assert len(set(stratum.tolist())) == 3


def test_every_draw_keeps_the_size_of_every_stratum():
    stratum = strata(FAMILY)
    weights = draw_weights(stratum, 200)
    assert weights.shape == (200, len(FAMILY))
    for s in set(stratum.tolist()):
        assert (weights[:, stratum == s].sum(axis=1) == (stratum == s).sum()).all()
    np.testing.assert_allclose(weights.mean(axis=0), 1.0, atol=0.25)


def test_the_draws_are_the_same_every_time():
    np.testing.assert_array_equal(draw_weights(strata(FAMILY), 20), draw_weights(strata(FAMILY), 20))


def test_sums_give_the_scores_of_rows_that_are_really_drawn_again():
    n = 200
    judged = make_judged(n)
    instance = np.random.default_rng(4).integers(0, len(FAMILY), n)
    weights = draw_weights(strata(FAMILY), 15)
    fast = scores_from_sums(weights @ sums_by_instance(judged, instance, len(FAMILY)))
    for draw, weight in enumerate(weights):
        rows = np.repeat(np.arange(n), weight[instance])
        slow = scores(Judged(**{name: values[rows] for name, values in vars(judged).items()}))
        for name in SCORES:
            np.testing.assert_allclose(fast[name][draw], slow[name], rtol=1e-9, atol=1e-12, err_msg=name)


def test_a_label_that_a_draw_lacks_counts_neither_for_nor_against():
    """As in the score itself, the mean is over the labels that occur; the recall of the one that lacks is undefined."""
    judged = make_judged(60)
    only_in_first = Judged(**{**vars(judged), "label": np.where(np.arange(60) < 20, 0, 1 + np.arange(60) % 5)})
    instance = np.repeat([0, 1, 2], 20)
    fast = scores_from_sums(np.array([[0.0, 2.0, 1.0]]) @ sums_by_instance(only_in_first, instance, 3))
    recalls = [fast[f"recall_{d}"][0] for d in DIAGNOSES]
    assert np.isnan(recalls[0])
    np.testing.assert_allclose(fast["balanced_accuracy"][0], np.mean(recalls[1:]))
    rows = np.r_[20:40, 20:40, 40:60]
    slow = scores(Judged(**{name: values[rows] for name, values in vars(only_in_first).items()}))
    for name in ("balanced_accuracy", "macro_f1"):
        np.testing.assert_allclose(fast[name][0], slow[name])


def test_intervals_are_percentiles_of_the_defined_draws():
    weights = np.arange(101)[:, None]

    def identity(drawn):
        values = drawn[:, 0]
        return {"all": values, "some": np.where(values < 50, np.nan, values), "none": np.full(len(values), np.nan)}

    found = intervals(np.ones((1, 1)), weights, identity)
    np.testing.assert_allclose(found["all"], (2.5, 97.5))
    np.testing.assert_allclose(found["some"], (51.25, 98.75))
    assert np.isnan(found["none"]).all()


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(5)
    stratum, n_trials, n_covered = np.zeros(40, dtype=int), 200, 0
    weights = draw_weights(stratum, 400)
    for _ in range(n_trials):
        lower, upper = intervals(rng.normal(size=(40, 1)), weights, lambda drawn: {"sum": drawn[:, 0]})["sum"]
        n_covered += lower < 0 < upper
    assert 0.88 <= n_covered / n_trials <= 0.99
