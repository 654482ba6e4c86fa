"""Differences in pairs, against runs that are really drawn again."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from curvebench.evaluation.bootstrap import draw_weights, strata
from curvebench.evaluation.compare import Difference, compare, compare_judgements
from curvebench.evaluation.evaluate import examine
from curvebench.evaluation.reporting import make_report
from curvebench.evaluation.scores import LOWER_IS_BETTER, SCORES, scores
from curvebench.evaluation.stored_results import store_report
from curvebench.evaluation.subset import stratified_rows
from curvebench.spec import UsageError


@pytest.fixture(scope="module")
def dataset(make_dataset):
    return make_dataset(n_cells=48, n_points=16)


def judgement(dataset, name, rows=None):
    (examination,) = examine(dataset, name, {"test": rows}, n_bootstrap=1)
    return examination.judgement


def test_intervals_by_drawing_runs_again(dataset):
    first, second = judgement(dataset, "rules"), judgement(dataset, "zoo/late-slope")
    found, n_runs, n_instances = compare_judgements(first, second, 40)
    assert (n_runs, n_instances) == (len(first.rows), len(first.family))
    drawn = {score: [] for score in SCORES}
    for weight in draw_weights(strata(first.family), 40):
        rows = np.repeat(np.arange(n_runs), weight[first.instance])
        a, b = scores(first.judged.take(rows)), scores(second.judged.take(rows))
        for score in SCORES:
            drawn[score].append(a[score] - b[score])
    assert tuple(found) == SCORES
    for score, difference in found.items():
        differences = np.array(drawn[score])
        differences = differences[~np.isnan(differences)]
        expected = np.quantile(differences, [0.025, 0.975])
        np.testing.assert_allclose(difference.interval, expected, atol=1e-9, err_msg=score)
        better, worse = (differences > 1e-9).mean(), (differences < -1e-9).mean()
        if score in LOWER_IS_BETTER:
            better, worse = worse, better
        assert difference.share_ahead == pytest.approx(better + (1 - better - worse) / 2)


def test_who_is_compared_with_himself_is_equal(dataset):
    comparison = compare(dataset, "rules", "rules", "test")
    for difference in comparison.differences.values():
        assert (difference.interval, difference.share_ahead) == ((0.0, 0.0), 0.5)
        assert not difference.is_clear
        assert not difference.is_loss(0.0)
    assert all("equal in every draw" in sentence for sentence in comparison.in_words())


def test_the_other_way_round_it_is_the_other_way_round(dataset):
    there, back = (compare(dataset, *pair, "test") for pair in (("oracle", "chance"), ("chance", "oracle")))
    assert there.in_words() == back.in_words()
    assert all("oracle is better than chance (by" in sentence for sentence in there.in_words())
    for score, a in there.differences.items():
        b = back.differences[score]
        assert a.share_ahead == 1 - b.share_ahead == 1.0
        np.testing.assert_allclose(a.interval, [-b.interval[1], -b.interval[0]])
        assert b.is_loss(0.0)
        assert not a.is_loss(0.0)


def test_pairing_tells_apart_what_single_intervals_do_not(dataset):
    """One that is right as often, but for two runs of each instance: its own interval hardly moves."""
    rules = judgement(dataset, "rules")
    label, prediction = rules.judged.label, rules.judged.prediction
    spoiled = prediction.copy()
    for i in range(len(rules.family)):
        right = np.flatnonzero((rules.instance == i) & (prediction == label))[:2]
        spoiled[right] = (label[right] + 1) % 6
    exact = replace(rules.judged, accepted=np.zeros_like(rules.judged.accepted))
    worse = replace(rules, judged=replace(exact, prediction=spoiled))
    difference = compare_judgements(worse, replace(rules, judged=exact))[0]["balanced_accuracy"]
    assert difference.is_loss(0.0)
    assert difference.half_width < 0.2


@pytest.mark.parametrize("score", SCORES)
def test_a_rise_is_a_loss_where_less_is_better(score):
    risen = Difference(score, 0.3, 0.2, (0.05, 0.15), 0.5)
    assert risen.is_clear
    assert risen.is_loss(0.05) == (score in LOWER_IS_BETTER)
    assert not risen.is_loss(0.11)


def test_a_loss_needs_both_its_size_and_its_certainty():
    assert Difference("value", 0.4, 0.5, (-0.15, -0.05), 0.0).is_loss(0.05)
    assert not Difference("value", 0.4, 0.5, (-0.25, 0.05), 0.1).is_loss(0.05)
    assert not Difference("value", 0.4, 0.5, (-0.15, -0.05), 0.0).is_loss(0.2)
    assert not Difference("value", np.nan, np.nan, (np.nan, np.nan), np.nan).is_loss(0.0)


def test_only_runs_that_both_were_asked_about_count(dataset):
    rows = stratified_rows(dataset, "test", 60)
    part, whole = judgement(dataset, "rules", rows), judgement(dataset, "chance")
    found, n_runs, _ = compare_judgements(part, whole, 20)
    same, _, _ = compare_judgements(part, judgement(dataset, "chance", rows), 20)
    assert n_runs == len(rows)
    assert found == same


def test_different_runs_cannot_be_compared(dataset):
    rows = judgement(dataset, "rules").rows
    with pytest.raises(UsageError, match="different runs"):
        compare_judgements(judgement(dataset, "rules", rows[:90]), judgement(dataset, "rules", rows[90:]))


def test_a_stored_result_stands_for_its_diagnoser(dataset, make_dataset, tmp_path):
    path = store_report(make_report(dataset, "rules"), tmp_path)
    assert compare(dataset, str(path), "chance", "test") == compare(dataset, "rules", "chance", "test")
    json.dumps(compare(dataset, str(path), str(path), "test").to_json(), allow_nan=False)
    with pytest.raises(UsageError, match="another data set"):
        compare(make_dataset(n_cells=12), str(path), "chance", "test")


@pytest.mark.parametrize(
    ("first", "second", "interval", "share", "words"),
    [
        (
            0.5,
            0.3,
            (0.1, 0.3),
            1.0,
            "value: a is better than b (by 0.200, 95 % interval 0.100 to 0.300; ahead in 100.0 %",
        ),
        (0.3, 0.5, (-0.3, -0.1), 0.0, "value: b is better than a (by 0.200, 95 % interval 0.100 to 0.300"),
        (
            0.5,
            0.4,
            (-0.1, 0.3),
            0.9,
            "value: a is probably better than b, but not surely (by 0.100, 95 % interval -0.100",
        ),
        (0.5, 0.49, (-0.1, 0.1), 0.6, "value: a and b cannot be told apart (a is better by 0.010"),
        (np.nan, 0.4, (np.nan, np.nan), np.nan, "value: not defined for both."),
    ],
)
def test_in_words(first, second, interval, share, words):
    assert Difference("value", first, second, interval, share).in_words("a", "b").startswith(words)
