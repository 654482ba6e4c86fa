"""Two diagnosers compared on the same runs, against runs that are really drawn again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from curvebench.evaluation.bootstrap import draw_weights, strata
from curvebench.evaluation.comparison import Difference, compare
from curvebench.evaluation.evaluate import judge
from curvebench.evaluation.scores import LOWER_IS_BETTER, SCORES, Judged, scores
from curvebench.spec import UsageError


@pytest.fixture(scope="module")
def dataset(make_dataset):
    return make_dataset(n_cells=36)


@pytest.fixture(scope="module")
def judgements(dataset):
    return judge(dataset, "rules"), judge(dataset, "chance")


def drawn_again(judged, instance, weight):
    rows = np.repeat(np.arange(len(instance)), weight[instance])
    return scores(Judged(**{name: values[rows] for name, values in vars(judged).items()}))


def test_intervals_are_those_of_rows_that_are_really_drawn_again(judgements):
    n_draws = 60
    before, after = judgements
    weights = draw_weights(strata(after.family), n_draws)
    found = compare(before, after, n_bootstrap=n_draws)
    slow = {name: [] for name in SCORES}
    for weight in weights:
        of_before, of_after = (drawn_again(j.judged, j.instance, weight) for j in judgements)
        for name in SCORES:
            slow[name].append(of_after[name] - of_before[name])
    for name, differences in slow.items():
        defined = [d for d in differences if not np.isnan(d)]
        expected = np.quantile(defined, [0.025, 0.975]) if defined else [np.nan, np.nan]
        np.testing.assert_allclose(found[name].interval, expected, atol=1e-9, err_msg=name)


def test_the_same_answers_differ_by_exactly_nothing(judgements):
    for difference in compare(judgements[0], judgements[0]).values():
        assert not difference.is_clear
        assert not difference.is_loss(0.0)
        if not np.isnan(difference.before):
            assert (difference.change, difference.interval) == (0.0, (0.0, 0.0))


def test_pairing_tells_apart_what_single_intervals_do_not(dataset, judgements):
    """One that is right as often, but for two runs of each instance: its own interval hardly moves."""
    rules = judgements[0]
    spoiled = rules.judged.prediction.copy()
    for i in range(len(rules.family)):
        right = np.flatnonzero((rules.instance == i) & (rules.judged.credited == rules.judged.label))[:2]
        spoiled[right] = (rules.judged.label[right] + 1) % 6
    worse = replace(
        rules, judged=replace(rules.judged, prediction=spoiled, accepted=np.zeros_like(rules.judged.accepted))
    )
    exact = replace(rules, judged=replace(rules.judged, accepted=worse.judged.accepted))
    difference = compare(exact, worse)["balanced_accuracy"]
    assert difference.is_loss(0.0)
    assert difference.half_width < 0.2


@pytest.mark.parametrize("score", SCORES)
def test_a_rise_is_a_loss_where_less_is_better(score):
    risen = Difference(score, 0.2, 0.3, (0.05, 0.15))
    assert risen.is_clear
    assert risen.drop == pytest.approx(0.1 if score in LOWER_IS_BETTER else -0.1)
    assert risen.is_loss(0.05) == (score in LOWER_IS_BETTER)
    assert not risen.is_loss(0.11)


def test_a_loss_needs_both_its_size_and_its_certainty():
    assert Difference("value", 0.5, 0.4, (-0.15, -0.05)).is_loss(0.05)
    assert not Difference("value", 0.5, 0.4, (-0.25, 0.05)).is_loss(0.05)
    assert not Difference("value", 0.5, 0.4, (-0.15, -0.05)).is_loss(0.2)
    assert not Difference("value", np.nan, np.nan, (np.nan, np.nan)).is_loss(0.0)


def test_different_runs_are_refused(dataset, judgements):
    with pytest.raises(UsageError, match="same runs"):
        compare(judgements[0], judge(dataset, "rules", split="train"))
