"""From what a user gives to a diagnoser, or to a sentence."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest

from curvebench.diagnosers import DIAGNOSERS, KINDS, InvalidOutput, OneCurveAtATime, make_diagnoser, name_of, resolve
from curvebench.diagnosers.trivial import Chance, Constant
from curvebench.spec import DIAGNOSES, Diagnoser, UsageError

X = np.ones((3, 1, 10), dtype=np.float32)


def always_slow(curve):
    assert curve.shape == (10,)
    return "lr_too_low"


class NeedsAnArgument:
    def __init__(self, argument):
        self.argument = argument


@pytest.fixture
def foreign(monkeypatch):
    module = types.ModuleType("foreign_diagnosers")
    module.always_slow, module.Chance, module.object = always_slow, Chance, Constant()
    module.answer, module.NeedsAnArgument = 42, NeedsAnArgument
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module.__name__


def test_every_entry_has_one_line_and_can_be_found():
    for name, entry in DIAGNOSERS.items():
        assert entry.description
        assert "\n" not in entry.description
        assert entry.kind in KINDS
        if not entry.is_reference and entry.kind != "tool":  # tools need not be installed
            assert isinstance(make_diagnoser(name), Diagnoser)


def test_kinds_follow_the_names():
    of_kind = {kind: {name for name, entry in DIAGNOSERS.items() if entry.kind == kind} for kind in KINDS}
    assert of_kind["reference"] == {"constant", "chance", "constant-best", "oracle"}
    assert of_kind["one-liner"] == {name for name in DIAGNOSERS if name.startswith("zoo/")}
    assert of_kind["published"] == {name for name in DIAGNOSERS if name.startswith("published/")}
    assert of_kind["rules"] == {"rules", "rules-tuned"}


def test_an_unknown_name_gets_a_suggestion_and_the_list():
    with pytest.raises(UsageError, match=r"Did you mean 'rules'\? Known are rules, constant, chance") as caught:
        resolve("ruless")
    assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match=r"no diagnoser 'qqq'\. Known are"):
        resolve("qqq")


def test_references_are_not_made_alone():
    with pytest.raises(UsageError, match="told answers by the evaluator"):
        make_diagnoser("oracle")


def test_functions_classes_and_objects_of_a_module(foreign):
    assert resolve(f"{foreign}:always_slow").predict_proba(X).argmax(axis=1).tolist() == [2, 2, 2]
    assert isinstance(resolve(f"{foreign}:Chance"), Chance)
    assert isinstance(resolve(f"{foreign}:object"), Constant)


@pytest.mark.parametrize(
    ("attribute", "message"),
    [
        ("missing", "AttributeError"),
        ("answer", "int is no diagnoser"),
        ("NeedsAnArgument", "without arguments"),
    ],
)
def test_what_is_no_diagnoser_is_said_in_a_sentence(foreign, attribute, message):
    with pytest.raises(UsageError, match=message):
        resolve(f"{foreign}:{attribute}")


class Leaving:
    def __init__(self):
        raise GeneratorExit


def test_what_leaves_in_odd_ways_is_said_in_a_sentence(foreign, tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="Can't construct Leaving without arguments"):
        resolve(Leaving)
    (tmp_path / "leaves_on_import.py").write_text("raise GeneratorExit('over')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match=r"Can't load the diagnoser 'leaves_on_import:x': GeneratorExit: over\."):
        resolve("leaves_on_import:x")
    (tmp_path / "interrupted_on_import.py").write_text("raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        resolve("interrupted_on_import:x")


@pytest.mark.parametrize("target", ["no_such_module_anywhere:x", ":x", "a.b.c:", ":"])
def test_targets_that_do_not_load(target):
    with pytest.raises(UsageError, match="Can't load the diagnoser"):
        resolve(target)


def test_names_for_the_board():
    assert name_of("package.module:thing") == "package.module:thing"
    assert (name_of(always_slow), name_of(Chance), name_of(Chance())) == ("always_slow", "Chance", "Chance")


def test_a_function_may_answer_with_probabilities():
    proba = OneCurveAtATime(lambda curve: [0.5, 0.5, 0, 0, 0, 0]).predict_proba(X)
    assert proba.tolist() == [[0.5, 0.5, 0, 0, 0, 0]] * 3
    assert OneCurveAtATime(lambda curve: DIAGNOSES[0]).predict_proba(X[:0]).shape == (0, 6)


def test_a_function_sees_all_channels_of_larger_tracks():
    def needs_three(channels):
        assert channels.shape == (3, 10)
        return "healthy"

    needs_three.track = "telemetry"
    diagnoser = OneCurveAtATime(needs_three)
    assert diagnoser.track == "telemetry"
    diagnoser.predict_proba(np.ones((1, 3, 10)))


@pytest.mark.parametrize(
    "answer",
    ["too_high", None, 3, [0.5, 0.5], object(), [["healthy"]], [0.5j, 0.5, 0, 0, 0, 0], ["1", "0", "0", "0", "0", "0"]],
)
def test_a_function_that_answers_something_else(answer):
    with pytest.raises(InvalidOutput, match="diagnosis"):
        OneCurveAtATime(lambda curve: answer).predict_proba(X)
