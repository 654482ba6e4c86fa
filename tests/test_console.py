"""Tables that fit, and the time left."""

from __future__ import annotations

import re
import sys

import pytest
from command import Terminal
from hypothesis import example, given
from hypothesis import strategies as st

from curvebench.console import (
    Column,
    TimeLeft,
    format_seconds,
    format_table,
    progress_bar,
    say,
    show,
    show_table,
    visible,
)

COLUMNS = [Column("name"), Column("n", is_number=True), Column("rare", dispensable=2), Column("some", dispensable=1)]
ROWS = [["quick", "12", "r" * 10, "s" * 10], ["a", "1,000", "", "-"]]


def test_everything_is_shown_where_there_is_room():
    lines = format_table(COLUMNS, ROWS, None)
    assert lines == format_table(COLUMNS, ROWS, 36)
    assert lines == [
        "name       n  rare        some",
        "quick     12  rrrrrrrrrr  ssssssssss",
        "a      1,000              -",
    ]


def test_the_least_important_columns_go_first():
    assert format_table(COLUMNS, ROWS, 35)[0].split() == ["name", "n", "some"]
    assert format_table(COLUMNS, ROWS, 23)[0].split() == ["name", "n"]
    assert format_table(COLUMNS, ROWS, 3) == format_table(COLUMNS, ROWS, 23), "what matters is never cut"


def test_a_last_column_of_text_is_wrapped():
    rows = [["quick", "a few groups of each kind, to see the whole path work"], ["core", ""]]
    lines = format_table([Column("name"), Column("description")], rows, 40)
    assert lines == [
        "name   description",
        "quick  a few groups of each kind, to see",
        "       the whole path work",
        "core",
    ]


def test_a_table_may_be_empty_or_have_no_titles():
    assert format_table(COLUMNS[:2], [], 80) == ["name  n"]
    assert format_table(COLUMNS[:2], [["a", "1"]], 80, has_titles=False) == ["a  1"]


@pytest.mark.parametrize(
    ("environment", "is_styled"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_titles_are_bold_only_where_that_is_welcome(monkeypatch, environment, is_styled):
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stdout", Terminal())
    show_table(COLUMNS[:2], [["a", "1"]])
    assert ("\033" in sys.stdout.getvalue()) == is_styled


def test_time_left_follows_the_average_speed():
    left = TimeLeft()
    left.report(0, 100, now=10.0)
    assert left.seconds(11.0) is None
    left.report(25, 100, now=20.0)
    assert left.seconds(20.0) == 30.0
    assert left.seconds(25.0) == 25.0, "it counts down between reports"
    assert left.seconds(99.0) == 0.0
    left.report(100, 100, now=50.0)
    assert left.seconds(50.0) == 0.0


def test_time_left_does_not_count_what_an_earlier_call_did():
    left = TimeLeft()
    left.report(80, 100, now=0.0)
    left.report(90, 100, now=7.0)
    assert left.seconds(7.0) == 7.0


def test_seconds_are_shown_as_on_a_clock():
    assert [format_seconds(s) for s in (0, 59.6, 3599.4, 100_000)] == ["0:00:00", "0:01:00", "0:59:59", "27:46:40"]


def test_the_bar_moves_and_shows_the_time_left(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("COLUMNS", "80")
    with progress_bar("training") as report:
        report(0, 4)
        report(3, 4)
    shown = sys.stderr.getvalue()
    assert "training" in shown
    assert "75 %" in shown
    assert "time left 0:00:0" in shown


@pytest.mark.parametrize(("is_terminal", "quiet"), [(False, False), (True, True)])
def test_no_bar_where_nobody_watches(monkeypatch, is_terminal, quiet):
    if is_terminal:
        monkeypatch.setattr(sys, "stderr", Terminal())
    with progress_bar("training", quiet=quiet) as report:
        assert report is None


@given(st.text(st.characters(max_codepoint=0x2100), max_size=30))
@example("name\x1b]0;title\x07\r\x9b2J\u202e")
@example("line\r\nline\n\tmore\n")
def test_no_name_commands_the_terminal(text):
    shown = visible(text)
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e]", shown.replace("\r\n", "\n"))
    assert shown == text or len(shown) > len(text)
    assert visible(shown) == shown


def test_names_are_shown_so_everywhere(capsys):
    say("a\x1bb")
    show("a\x1bb")
    show_table([Column("name")], [["a\x1bb"]])
    out, err = capsys.readouterr()
    assert err == "a\\x1bb\n"
    assert out == "a\\x1bb\nname\na\\x1bb\n"
