"""From what a user gives to a diagnoser, or to a sentence."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest
from extras import NEEDED, skip_without_what_it_needs

from curvebench.diagnosers import (
    DIAGNOSERS,
    KINDS,
    OneCurveAtATime,
    check_name,
    installed,
    is_reference,
    make_diagnoser,
    name_of,
    resolve,
)
from curvebench.diagnosers.answers import InvalidOutput
from curvebench.diagnosers.rules import Rules
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
        if not entry.is_reference and entry.kind != "tool" and name not in NEEDED:
            assert isinstance(make_diagnoser(name), Diagnoser)


def test_kinds_follow_the_names():
    of_kind = {kind: {name for name, entry in DIAGNOSERS.items() if entry.kind == kind} for kind in KINDS}
    assert of_kind["reference"] == {"constant", "chance", "constant-best", "oracle"}
    assert of_kind["one-liner"] == {name for name in DIAGNOSERS if name.startswith("zoo/")}
    assert of_kind["published"] == {name for name in DIAGNOSERS if name.startswith("published/")}
    assert of_kind["rules"] == {"rules", "rules-tuned"}


@pytest.mark.parametrize("name", NEEDED)
def test_what_needs_a_package_says_so_while_it_is_missing(name, monkeypatch):
    skip_without_what_it_needs(name)
    assert isinstance(make_diagnoser(name), Diagnoser)
    monkeypatch.setattr("curvebench.diagnosers.learned.fitted.find_spec", lambda package: None)
    with pytest.raises(UsageError, match=rf"needs {NEEDED[name]}, .* pip install 'curvebench\[{NEEDED[name]}\]'"):
        resolve(name)


def test_an_unknown_name_gets_a_suggestion_or_the_list():
    with pytest.raises(UsageError, match=r"Did you mean 'rules'\? `curvebench diagnosers` lists all") as caught:
        resolve("ruless")
    assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match=r"no diagnoser 'qqq'\. Known are rules, constant, chance"):
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
        ("missing", "there is no 'missing' in foreign_diagnosers"),
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


# ------------------------------------------------------------------------------- files and installed packages


def test_a_file_may_import_its_neighbours(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", sys.path[:])
    (tmp_path / "neighbour_of_test_registry.py").write_text("ANSWER = 'lr_too_low'")
    (tmp_path / "my-diagnoser.py").write_text(
        "from neighbour_of_test_registry import ANSWER\n\n\nclass Mine:\n    @staticmethod\n"
        "    def judge(curve):\n        return ANSWER\n"
    )
    made = resolve(f"{tmp_path}/my-diagnoser.py:Mine.judge")
    assert made.predict_proba(X).argmax(axis=1).tolist() == [2, 2, 2]
    monkeypatch.chdir(tmp_path)
    assert resolve("my-diagnoser.py:Mine.judge").predict_proba(X).shape == (3, 6)
    sys.modules.pop("neighbour_of_test_registry")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.py:x", None, "there is no file missing.py"),
        ("mine.py:y", "x = 1", "there is no 'y' in mine.py"),
        ("mine.py:x", "x = (", "SyntaxError"),
        ("mine.py:x", "import sys; sys.exit(3)", "SystemExit: 3"),
        ("mine.py:x", "x = 1", "int is no diagnoser"),
    ],
)
def test_files_that_do_not_load(name, content, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    if content is not None:
        (tmp_path / "mine.py").write_text(content)
    with pytest.raises(UsageError, match=message):
        resolve(name)


@pytest.fixture
def distribution(tmp_path, monkeypatch, foreign):
    """A package that is installed as any other, as far as anybody can see."""
    info = tmp_path / "somebodys_tool-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: somebodys-tool\nVersion: 1.0\n")
    points = f"somebodys = {foreign}:Chance\nbroken = nowhere_at_all:x\nrules = {foreign}:Chance\n"
    (info / "entry_points.txt").write_text(f"[curvebench.diagnosers]\n{points}")
    monkeypatch.syspath_prepend(tmp_path)
    return foreign


def test_installed_packages_may_name_theirs(distribution):
    assert installed()["somebodys"] == f"{distribution}:Chance"
    assert isinstance(resolve("somebodys"), Chance)
    assert isinstance(resolve("rules"), Rules), "ours keep their names"
    with pytest.raises(UsageError, match="Did you mean 'somebodys'"):
        resolve("somebody")
    with pytest.raises(UsageError, match="Can't load the diagnoser 'nowhere_at_all:x'"):
        resolve("broken")


def test_names_are_checked_without_running_anything(distribution, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("raise AssertionError")
    for name in ("rules", "broken", "mine.py:x", "no.such.module:x", "exec:cat"):
        check_name(name)
    for name in ("ruless", "missing.py:x", "exec:./missing"):
        with pytest.raises(UsageError):
            check_name(name)
    assert [is_reference(x) for x in ("oracle", "constant-best", "rules", Chance)] == [True, True, False, False]
