"""Tables that fit, and the time left."""

from __future__ import annotations

import re
import sys
from contextlib import suppress

import pytest
from command import Terminal
from hypothesis import example, given
from hypothesis import strategies as st

from curvebench.console import (
    NARROWEST_TEXT,
    Column,
    TimeLeft,
    cell_width,
    format_seconds,
    format_table,
    progress_bar,
    say,
    show,
    show_table,
    show_text,
    visible,
    wrap,
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
    first, *_, last = format_table(COLUMNS, ROWS, 35)
    assert (first.split(), last) == (["name", "n", "some"], "no room for: rare"), "none goes unsaid"
    first, *_, last = format_table(COLUMNS, ROWS, 23)
    assert (first.split(), last) == (["name", "n"], "no room for: rare, some")


def test_without_room_for_what_matters_every_row_is_a_block_with_all_columns():
    rows = [["q" * 30, "12", "r" * 10, "a few words that go on below"], ["a", "1,000", "", "-"]]
    assert format_table(COLUMNS, rows, 36) == [
        "name  " + "q" * 30,
        "n     12",
        "rare  rrrrrrrrrr",
        "some  a few words that go on below",
        "",
        "name  a",
        "n     1,000",
        "rare",
        "some  -",
    ]


def test_a_last_column_of_text_is_wrapped_before_others_are_left_out():
    columns = [Column("name"), Column("kind", dispensable=1), Column("description")]
    rows = [["quick", "small", "a few groups of each kind, to see it work"]]
    assert format_table(columns, rows, 45) == [
        "name   kind   description",
        "quick  small  a few groups of each kind, to",
        "              see it work",
    ]


def test_wide_letters_take_two_places_and_accents_none():
    lines = format_table([Column("name"), Column("n", is_number=True)], [["損失", "1"], ["e\u0301t\u00e9", "20"]], 80)
    assert lines == ["name   n", "損失   1", "e\u0301t\u00e9   20"]


@given(st.lists(st.lists(st.text("ab -損", max_size=30), min_size=4, max_size=4), max_size=4), st.integers(24, 120))
def test_nothing_is_cut_at_any_width(rows, width):
    """Every word of every cell stands in the table, but for columns that are named as left out."""
    lines = format_table(COLUMNS, rows, width)
    absent = lines[-1].removeprefix("no room for: ").split(", ") if lines[-1].startswith("no room for: ") else []
    shown = [i for i, column in enumerate(COLUMNS) if column.title not in absent]
    expected = sorted(word for row in rows for i in shown for word in row[i].split())
    is_table = lines[0].startswith("name") and "n" in lines[0].split()[1:2]
    titles = [COLUMNS[i].title for i in shown] * (1 if is_table else len(rows))
    assert sorted(word for line in lines[: -1 if absent else None] for word in line.split()) == sorted(
        [*expected, *titles]
    )


@given(st.text("ab  -損", max_size=200), st.integers(NARROWEST_TEXT, 120))
@example("  evidence  It fell by half and then it rose.", 30)
def test_prose_is_wrapped_between_words_and_goes_on_below_itself(line, width):
    wrapped = wrap(line, width)
    assert [word for part in wrapped for word in part.split()] == line.split()
    assert all(cell_width(part) <= width or len(part.split()) == 1 or "損" in part for part in wrapped)


def test_prose_goes_on_below_what_follows_its_label():
    assert wrap("  evidence  It fell by half and then it rose.", 36) == [
        "  evidence  It fell by half and then",
        "            it rose.",
    ]
    assert wrap("A sentence that has no label at all.", 24) == ["A sentence that has no", "label at all."]
    assert wrap("as  it is", 24) == ["as  it is"]


def test_prose_is_wrapped_in_a_terminal_only(monkeypatch, capsys):
    prose = "One line that is as long as it is.\nAnother.\n"
    show_text(prose)
    assert capsys.readouterr().out == prose
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv("COLUMNS", "24")
    show_text(prose)
    assert sys.stdout.getvalue() == "One line that is as long\nas it is.\nAnother.\n"


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
    with suppress(KeyboardInterrupt), progress_bar("training") as report:
        report(0, 4)
        report(3, 4)
        raise KeyboardInterrupt
    shown = sys.stderr.getvalue()
    assert "training" in shown
    assert "75 %" in shown
    assert "time left 0:00:0" in shown
    with progress_bar("training") as report:
        report(3, 4)
    assert "100 %" in sys.stderr.getvalue(), "it ends full, though nobody reported the last piece"


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


def test_a_cell_is_one_line_whatever_its_name(capsys):
    show_table([Column("name"), Column("n")], [["a\nb\tc\r\n", "1"]])
    assert capsys.readouterr().out == "name         n\na\\nb\\tc\\r\\n  1\n"
