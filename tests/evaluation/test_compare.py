"""Differences in pairs, against runs that are really drawn again."""

from __future__ import annotations

import json

import numpy as np
import pytest

from curvebench.evaluation.bootstrap import draw_weights, strata
from curvebench.evaluation.compare import COMPARED, Difference, compare, compare_judgements
from curvebench.evaluation.evaluate import examine
from curvebench.evaluation.reporting import make_report
from curvebench.evaluation.scores import scores
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
    drawn = {score: [] for score in COMPARED}
    for weight in draw_weights(strata(first.family), 40):
        rows = np.repeat(np.arange(n_runs), weight[first.instance])
        a, b = scores(first.judged.take(rows)), scores(second.judged.take(rows))
        for score in COMPARED:
            drawn[score].append(a[score] - b[score])
    for difference in found:
        differences = np.array(drawn[difference.score])
        np.testing.assert_allclose(difference.interval, np.quantile(differences, [0.025, 0.975]))
        assert difference.share_ahead == np.mean(differences > 0)


def test_who_is_compared_with_himself_is_equal(dataset):
    for difference in compare(dataset, "rules", "rules", "test").differences:
        assert (difference.interval, difference.share_ahead) == ((0.0, 0.0), 0.5)
        assert "equal in every draw" in difference.in_words("a", "b")


def test_the_other_way_round_it_is_the_other_way_round(dataset):
    there, back = (compare(dataset, *pair, "test") for pair in (("oracle", "chance"), ("chance", "oracle")))
    for a, b in zip(there.differences, back.differences, strict=True):
        assert a.share_ahead == 1 - b.share_ahead == 1.0
        np.testing.assert_allclose(a.interval, [-b.interval[1], -b.interval[0]])
        assert a.in_words("oracle", "chance") == b.in_words("chance", "oracle")
        assert "oracle is better than chance (by" in a.in_words("oracle", "chance")


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
