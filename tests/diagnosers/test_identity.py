"""Who a diagnoser is, and what its hash depends on."""

from __future__ import annotations

import sys

import pytest
from extras import is_installed

from curvebench.diagnosers import DIAGNOSERS
from curvebench.diagnosers.identity import identify
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
