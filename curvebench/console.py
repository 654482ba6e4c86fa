"""What commands show: tables that fit the terminal and are plain where nobody watches, JSON, the time left."""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import sys
import textwrap
import time
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from curvebench.spec import UsageError

if TYPE_CHECKING:
    from rich.progress import Task

NARROWEST_TEXT = 20
"""The last column of a table is never wrapped to less than this."""

_GAP = "  "


def say(message: str) -> None:
    """A message to the person, on standard error."""
    print(visible(message), file=sys.stderr, flush=True)  # noqa: T201


def show(text: str) -> None:
    """Data, on standard output. A reader who has seen enough and left, as `head` does, ends the program quietly.

    Raises:
        UsageError: standard output cannot be written, because a disk is full for instance.
    """
    _write(visible(text))


def _write(text: str) -> None:
    with writing_output():
        sys.stdout.write(text if text.endswith("\n") else text + "\n")
        sys.stdout.flush()


_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]|\r(?!\n)")


def visible(text: str) -> str:
    r"""The text with characters that would command a terminal, or turn its direction, written out.

    Names come from files of anybody.

    >>> print(visible("a\x1b[2Jb"))
    a\x1b[2Jb
    """
    return _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], text)


@contextmanager
def writing_output() -> Iterator[None]:
    """While it lasts, an `OSError` is one of standard output: silence if its reader has gone, else a sentence.

    Raises:
        UsageError: standard output cannot be written.
    """
    try:
        yield
    except OSError as error:
        # else Python would try to write the rest when it ends, and complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise SystemExit(0) from None
        raise UsageError(f"Standard output cannot be written: {error.strerror}.") from None


def show_json(value: Any) -> None:
    """Data as JSON, on standard output."""
    show(json.dumps(value, indent=2, allow_nan=False))


STDOUT, STDERR = 1, 2
"""Numbers of the descriptors, for whoever writes past Python."""


@contextmanager
def output_to_stderr() -> Iterator[None]:
    """While it lasts, what is written to standard output goes to standard error, whether Python or C writes it."""
    python_output = sys.stdout
    python_output.flush()
    kept = os.dup(STDOUT)
    os.dup2(STDERR, STDOUT)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        python_output.flush()
        with suppress(OSError, TypeError):  # where the C library cannot be asked so
            ctypes.CDLL(None).fflush(None)
        os.dup2(kept, STDOUT)
        os.close(kept)


# -------------------------------------------------------------------------------------------- tables


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: stands above it.
        is_number: aligned to the right.
        dispensable: 0 for a column that is always shown; where a table is too wide, those with the highest go first.
    """

    title: str
    is_number: bool = False
    dispensable: int = 0


def show_table(columns: Sequence[Column], rows: Sequence[Sequence[str]], *, has_titles: bool = True) -> None:
    """A table on standard output: no wider than the terminal; whole and without colours into a file or a pipe."""
    lines = format_table(
        columns, [[*map(_in_one_line, row)] for row in rows], _width_of_output(), has_titles=has_titles
    )
    if has_titles and _is_styled():
        lines[0] = f"\033[1m{lines[0]}\033[0m"
    _write("\n".join(lines))


def show_text(text: str) -> None:
    """Prose, on standard output: in a terminal what is longer than its lines goes on below, see `wrap`.

    Raises:
        UsageError: as for `show`.
    """
    width, text = _width_of_output(), visible(text)
    _write(text if width is None else "\n".join(part for line in text.split("\n") for part in wrap(line, width)))


def _width_of_output() -> int | None:
    """Characters that a line on standard output may have; None in a file or a pipe, for any number."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _in_one_line(text: str) -> str:
    return visible(text).replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")


def format_table(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int | None, *, has_titles: bool = True
) -> list[str]:
    r"""Lines of a table without boxes.

    Columns that can be dispensed with are left out until it fits, and named below; the last column, if it is text, is
    wrapped. Where the rest is still too wide, every row becomes a block with a line for each of its cells.

    Args:
        columns: from left to right.
        rows: a text for every column.
        width: characters that a line may have; None for any number.
        has_titles: whether the first line holds the titles.

    >>> print(*format_table([Column("name"), Column("runs", is_number=True)], [["quick", "12"]], 80), sep="\n")
    name   runs
    quick    12
    """
    table = [[column.title for column in columns], *rows] if has_titles else list(rows)
    widths = {i: max((cell_width(row[i]) for row in table), default=0) for i in range(len(columns))}

    def before_last() -> int:
        *others, _ = widths
        return sum(widths[i] + len(_GAP) for i in others)

    def is_too_wide() -> bool:
        last = max(widths)
        least = widths[last] if columns[last].is_number else min(widths[last], NARROWEST_TEXT)
        return width is not None and before_last() + least > width

    while is_too_wide() and any(columns[i].dispensable for i in widths):
        widths.pop(max(widths, key=lambda i: (columns[i].dispensable, i)))
    if width is not None and has_titles and is_too_wide():
        return _blocks(columns, rows, width)
    if width is not None and not columns[max(widths)].is_number:
        widths[max(widths)] = min(widths[max(widths)], max(NARROWEST_TEXT, width - before_last()))
    lines = [line for row in table for line in _lines_of_row(columns, row, widths)]
    if width is not None and (absent := [column.title for i, column in enumerate(columns) if i not in widths]):
        lines += wrap(f"no room for: {', '.join(absent)}", width)
    return lines


def _blocks(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """Each row as lines of a title and a cell, with an empty line between rows."""
    indent = max(cell_width(column.title) for column in columns)
    lines: list[str] = []
    for row in rows:
        for column, cell in zip(columns, row, strict=True):
            lines += wrap(f"{_padded(column.title, indent)}{_GAP}{cell}".rstrip(), width)
        lines.append("")
    return lines[:-1]


def _lines_of_row(columns: Sequence[Column], row: Sequence[str], widths: dict[int, int]) -> Iterator[str]:
    """A row's lines: more than one where the text of its last column is longer than the column is wide."""
    *others, last = widths
    cells = [_padded(row[i], widths[i], is_number=columns[i].is_number) for i in others]
    if columns[last].is_number:
        yield _GAP.join([*cells, _padded(row[last], widths[last], is_number=True)]).rstrip()
        return
    for i, text in enumerate(_words(row[last], widths[last])):
        yield _GAP.join([*(cells if i == 0 else [" " * widths[i] for i in others]), text]).rstrip()


def _padded(text: str, width: int, *, is_number: bool = False) -> str:
    space = " " * (width - cell_width(text))
    return space + text if is_number else text + space


def cell_width(text: str) -> int:
    """Characters of a terminal that a text takes: two for each wide letter, none for accents.

    >>> [cell_width(text) for text in ("loss", "\u640d\u5931", "e\u0301")]
    [4, 4, 1]
    """
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF") for c in text)


_LABEL = re.compile(r" *(?:\S+(?: \S+)* {2,})?")
_INDENT = re.compile(" *")


def wrap(line: str, width: int) -> list[str]:
    """A line as lines of that many characters, broken between words; what is longer than a line stays whole.

    Where it begins with a label and a gap of two spaces or more, it goes on below what follows the gap.

    >>> wrap("  evidence  It fell by half, then rose.", 32)
    ['  evidence  It fell by half,', '            then rose.']
    """
    if cell_width(line) <= width:
        return [line]
    label = next(
        (
            found[0]
            for found in (_LABEL.match(line), _INDENT.match(line))
            if found and cell_width(found[0]) + NARROWEST_TEXT <= width
        ),
        "",
    )
    first, *more = _words(line[len(label) :], width - cell_width(label))
    return [label + first, *(" " * cell_width(label) + text for text in more)]


def _words(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]


def _is_styled() -> bool:
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


# ------------------------------------------------------------------------------------------ progress


class TimeLeft:
    """How long work that is reported in pieces will still take, at the average speed so far.

    What was done before the first report, by an earlier call, does not count for the speed.
    """

    def __init__(self) -> None:
        self._first: tuple[float, float] | None = None
        self._seconds_left: float | None = None
        self._reported_at = 0.0

    def report(self, done: float, total: float, now: float) -> None:
        """Note what is done, of how much, at a time in seconds."""
        if self._first is None:
            self._first = (done, now)
        before, begin = self._first
        self._reported_at = now
        if done > before:
            self._seconds_left = (now - begin) * (total - done) / (done - before)

    def seconds(self, now: float) -> float | None:
        """Seconds left; None before a piece is done, 0 where the next piece takes longer than expected."""
        if self._seconds_left is None:
            return None
        return max(0.0, self._seconds_left - (now - self._reported_at))


@contextmanager
def progress_bar(what: str, *, quiet: bool = False) -> Iterator[Callable[[float, float], None] | None]:
    """A bar on standard error with the time left; None when quiet or when standard error is no terminal.

    Yields:
        A function that is to be called with what is done, and of how much.
    """
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn
    from rich.text import Text

    time_left = TimeLeft()

    class TimeLeftColumn(ProgressColumn):
        """The time left, counting down between reports."""

        def render(self, task: Task) -> Text:
            seconds = time_left.seconds(time.monotonic())
            return Text("time left -:--:--" if seconds is None else f"time left {format_seconds(seconds)}")

    bar = Progress(
        TextColumn(what),
        BarColumn(bar_width=30),
        TextColumn("{task.percentage:3.0f} %"),
        TimeElapsedColumn(),
        TimeLeftColumn(),
        console=Console(stderr=True),
    )
    with bar:
        task = bar.add_task(what, total=None)

        def report(done: float, total: float) -> None:
            time_left.report(done, total, time.monotonic())
            bar.update(task, completed=done, total=total)

        yield report
        if total := bar.tasks[0].total:  # whoever reports a piece when it begins never reports the end of the last
            report(total, total)


def format_seconds(seconds: float) -> str:
    """Hours, minutes and seconds.

    >>> format_seconds(3725.4)
    '1:02:05'
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
