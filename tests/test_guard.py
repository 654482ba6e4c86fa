"""Limits and drops that are asked for, accounts of what is not kept, and the curves that show it."""

from __future__ import annotations

import builtins
from dataclasses import replace

import numpy as np
import pytest

from curvebench.evaluation.compare import compare_judgements
from curvebench.evaluation.evaluate import examine, judge
from curvebench.evaluation.scores import SCORES
from curvebench.guard import (
    EXAMPLES,
    Limit,
    account_of_limits,
    account_of_losses,
    draw_examples,
    examples,
    parse_drops,
    parse_limits,
    reference_of,
    truth_of,
)
from curvebench.spec import DIAGNOSES, UsageError


@pytest.fixture(scope="module")
def dataset(make_dataset):
    return make_dataset(n_cells=36)


@pytest.fixture(scope="module")
def rules(dataset):
    (examination,) = examine(dataset, "rules", {"test": None})
    return examination.result, examination.judgement


@pytest.mark.parametrize("score", SCORES)
def test_every_score_can_have_a_limit_and_a_drop(score):
    assert parse_limits({f"min_{score}": 1, f"max_{score}": 2.5}) == [
        Limit(score, True, 1.0),
        Limit(score, False, 2.5),
    ]
    assert parse_drops([f"{score}:0.5", f" {score}:0.25 "]) == {score: 0.25}


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"min_valu": 0.1}, "did you mean 'min_value'"),
        ({"value": 0.1}, "There is no limit 'value'"),
        ({"min_value": "0.1"}, "min_value is '0.1'; it must be a number"),
        ({"min_value": True}, "must be a number"),
    ],
)
def test_limits_that_are_none(wanted, words):
    with pytest.raises(UsageError, match=words):
        parse_limits(wanted)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("valu:0.1", "did you mean 'value'"),
        ("", "There is no score ''"),
        ("value", "write for instance value:0.05"),
        ("value:much", "write for instance"),
        ("value:-0.1", "write for instance"),
        ("value:nan", "write for instance"),
        ("value:0.1;brier:0.1", "write for instance"),
    ],
)
def test_drops_that_are_none(text, words):
    with pytest.raises(UsageError, match=words):
        parse_drops([text])


def test_limits_are_inclusive_and_nothing_keeps_none():
    assert Limit("value", True, 0.5).is_kept(0.5)
    assert Limit("brier", False, 0.5).is_kept(0.5)
    assert not Limit("value", True, 0.5).is_kept(0.4999)
    assert not Limit("brier", False, 0.5).is_kept(float("nan"))
    assert not Limit("value", True, 0.5).is_kept(float("nan"))


def test_the_account_of_limits_shows_all_and_marks_those_that_are_not_kept(rules):
    result, _ = rules
    assert account_of_limits(result, parse_limits({"min_value": -9, "max_brier": 9})) == []
    lines = account_of_limits(result, parse_limits({"min_value": 0.99, "max_brier": 9}))
    assert len(lines) == 3
    assert f"{result.scores['value']:.3f}" in lines[1]
    assert lines[1].endswith("at least 0.99  FAILED")
    assert lines[2].endswith("at most 9")


def test_the_account_of_losses_has_every_label(dataset, rules):
    _, judgement = rules
    constant = judge(dataset, "constant")
    differences, _, _ = compare_judgements(constant, judgement)
    assert account_of_losses(differences, {"value": 9.0}, constant.judged.label) == []
    lines = account_of_losses(differences, {"brier": 9.0, "macro_f1": 0.0}, constant.judged.label)
    assert lines[0].split()[:4] == ["score", "before", "now", "change"]
    assert not lines[1].endswith("FAILED")
    assert lines[2].endswith("FAILED")
    for i, diagnosis in enumerate(DIAGNOSES):
        recall, net_gain = lines[5 + 2 * i : 7 + 2 * i]
        assert recall.split()[:3] == [diagnosis, str((judgement.judged.label == i).sum()), "recall"]
        assert net_gain.split()[0] == diagnosis
        assert recall.endswith("worse") == differences[f"recall_{diagnosis}"].is_loss(0.0)


def test_examples_are_the_worst_of_each_label_first(dataset, rules):
    _, judgement = rules
    constant = judge(dataset, "constant")
    chosen = examples(constant, reference_of(judgement, "before"))
    was_right = judgement.judged.credited == judgement.judged.label
    is_right = constant.judged.credited == constant.judged.label
    loss = was_right.astype(float) - is_right + judgement.judged.net_gain - constant.judged.net_gain
    labels = constant.judged.label
    assert 0 < len(chosen) <= EXAMPLES
    assert (loss[chosen] > 0).all()
    n_labels = len(set(labels[loss > 0].tolist()))
    assert len(set(labels[chosen[:n_labels]].tolist())) == n_labels
    for i in chosen[:n_labels]:
        assert loss[i] == loss[labels == labels[i]].max()


def test_there_are_no_examples_where_nothing_is_worse(dataset, rules):
    _, judgement = rules
    assert examples(judgement, reference_of(judgement, "before")) == []
    oracle = judge(dataset, "oracle")
    assert examples(oracle, truth_of(oracle)) == []


def test_pictures_or_why_there_are_none(dataset, rules, tmp_path, monkeypatch):
    _, judgement = rules
    one = replace(judgement, judged=judgement.judged)
    monkeypatch.setattr("curvebench.guard.EXAMPLES", 1)
    lines = draw_examples(dataset, one, truth_of(one), tmp_path / "a" / "b")
    picture = tmp_path / "a" / "b" / lines[1].split(":")[0].strip()
    assert picture.read_bytes().startswith(b"\x89PNG")
    run = picture.stem.split("-", 1)[1]
    row = int(np.flatnonzero(dataset["run"] == run)[0])
    assert f"labelled {dataset['diagnosis'][row]}, now " in lines[1]

    (tmp_path / "file").write_text("")
    assert draw_examples(dataset, one, truth_of(one), tmp_path / "file" / "b")[0].startswith("No curves are drawn: ")

    ordinary = builtins.__import__

    def without_matplotlib(name, *arguments, **named):
        if name.split(".")[0] == "matplotlib":
            raise ImportError(name)
        return ordinary(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", without_matplotlib)
    assert draw_examples(dataset, one, truth_of(one), tmp_path) == ["No curves are drawn: matplotlib is not installed."]
