"""Who a diagnoser is, and what its hash depends on."""

from __future__ import annotations

import sys

import pytest
from extras import is_installed

from curvebench.diagnosers import DIAGNOSERS
from curvebench.diagnosers.identity import Statement, identify
from curvebench.spec import DIAGNOSES, UsageError

ONE = '''
from {dots}parts import answer
class Mine:
    """Says what it is told.

    More."""
    track = "curve"
    source = "https://example.org"
    def predict_proba(self, X):
        return answer(X)
'''
PARTS = "def answer(X):\n    return [[0, 0, 0, 0, 0, 1]] * len(X)\n"


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "foreign"
    folder.mkdir()
    for name, text in {"__init__": "", "one": ONE.format(dots="."), "parts": PARTS, "unused": ""}.items():
        (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.startswith("foreign")]:
        del sys.modules[name]


SHIPPED = [name for name, entry in DIAGNOSERS.items() if entry.kind != "tool" and is_installed(name)]
"""Tools of others, and what some learners need, need not be installed."""


def test_everybody_is_somebody_else():
    hashes = {identify(name).sha256 for name in SHIPPED}
    assert len(hashes) == len(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_what_is_said_about_those_that_are_shipped(name):
    who = identify(name)
    assert (who.name, who.description) == (name, DIAGNOSERS[name].description)
    assert set(who.covers) <= set(DIAGNOSES)
    assert who == identify(name)


def test_a_foreign_one_says_it_itself(package):
    who = identify("foreign.one:Mine")
    assert (who.kind, who.description, who.source) == ("own", "Says what it is told.", "https://example.org")
    assert (who.covers, who.mapping, who.version) == (DIAGNOSES, {}, "")


def test_the_hash_follows_the_code_that_it_uses_and_no_other(package):
    before = identify("foreign.one:Mine").sha256
    (package / "unused.py").write_text("x = 1\n")
    assert identify("foreign.one:Mine").sha256 == before
    (package / "parts.py").write_text(PARTS + "# another\n")
    assert identify("foreign.one:Mine").sha256 != before


def test_absolute_imports_are_followed_too(package):
    (package / "one.py").write_text(ONE.format(dots="foreign."))
    before = identify("foreign.one:Mine").sha256
    (package / "parts.py").write_text(PARTS + "# another\n")
    assert identify("foreign.one:Mine").sha256 != before


def test_a_source_may_know_the_version(package):
    with (package / "one.py").open("a") as file:
        file.write("Mine.source = type('Source', (), {'version': '4.2', '__str__': lambda self: 'a tool'})()\n")
    who = identify("foreign.one:Mine")
    assert (who.source, who.version) == ("a tool", "4.2")


def test_nobody():
    with pytest.raises(UsageError, match="no diagnoser 'nobody'"):
        identify("nobody")


def hash_of(name):
    return identify(name).sha256


@pytest.mark.parametrize("neighbour", ["parts.py", "parts/__init__.py"])
def test_the_hash_of_a_file_follows_its_neighbours(tmp_path, monkeypatch, neighbour):
    monkeypatch.setattr(sys, "path", sys.path[:])
    parts = tmp_path / neighbour
    parts.parent.mkdir(exist_ok=True)
    parts.write_text(PARTS)
    (tmp_path / "mine.py").write_text(ONE.format(dots=""))
    (tmp_path / "unused.py").write_text("no Python at all")
    name = f"{tmp_path}/mine.py:Mine"
    before = hash_of(name)
    (tmp_path / "unused.py").write_text("import numpy")
    assert hash_of(name) == before
    parts.write_text(PARTS + "# another\n")
    after = hash_of(name)
    assert after != before
    (tmp_path / "mine.py").write_text("import unused, broken\n" + ONE.format(dots=""))
    (tmp_path / "broken.py").write_bytes(b"\xff(")
    said = identify(f"{tmp_path}/../{tmp_path.name}/mine.py:Mine", Statement())
    assert said.sha256 != after, "nothing is run for it, so what cannot be run has a hash too"
    sys.modules.pop("parts", None)


def test_nothing_is_imported_to_find_what_a_hash_is_taken_of(package):
    (package / "__init__.py").write_text("raise SystemExit('imported')\n")
    assert identify("foreign.one:Mine", Statement()).sha256 != identify("foreign.two:Mine", Statement()).sha256
    assert "foreign" not in sys.modules


def test_the_hash_of_a_program_follows_the_files_that_it_is_called_with(tmp_path):
    script, model = tmp_path / "answer.awk", tmp_path / "model.cbm"
    for path in (script, model):
        path.write_text("{}\n")
    name = f"exec:awk -f {script} {model}"
    who = identify(name)
    assert (who.kind, who.name, who.version) == ("external", name, "")
    for path in (script, model):
        before = hash_of(name)
        path.write_text("{ }\n")
        assert hash_of(name) != before
    assert hash_of("exec:awk '{}'") != hash_of("exec:awk '{ }'")


def test_who_says_of_itself_what_cannot_be_read(package):
    for attribute in ("mapping = 5", "covers = 5", "source = property(lambda self: 1 / 0)"):
        (package / "one.py").write_text(f"class Mine:\n    {attribute}\n    def predict_proba(self, X): ...\n")
        sys.modules.pop("foreign.one", None)
        with pytest.raises(UsageError, match="one of its attributes cannot be read"):
            identify("foreign.one:Mine")


def test_the_function_or_classifier_that_it_was_made_of_speaks_for_it(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", sys.path[:])
    (tmp_path / "f.py").write_text("def f(curve):\n    '''Says it.'''\nf.covers = ('healthy',)\n")
    who = identify(f"{tmp_path}/f.py:f")
    assert (who.kind, who.description, who.covers) == ("own", "Says it.", ("healthy",))
    who = identify("sklearn.dummy:DummyClassifier")
    assert who.description.startswith("DummyClassifier makes predictions")
    assert who.version
