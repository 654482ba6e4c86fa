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
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    lines = format_table(columns, [[visible(text) for text in row] for row in rows], width, has_titles=has_titles)
    if has_titles and _is_styled():
        lines[0] = f"\033[1m{lines[0]}\033[0m"
    _write("\n".join(lines))


def format_table(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int | None, *, has_titles: bool = True
) -> list[str]:
    r"""Lines of a table without boxes.

    Columns that can be dispensed with are left out until it fits; then the last column, if it is text, is wrapped.

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
    shown = list(range(len(columns)))

    def width_of(i: int) -> int:
        return max((len(row[i]) for row in table), default=0)

    def is_too_wide() -> bool:
        return width is not None and sum(map(width_of, shown)) + len(_GAP) * (len(shown) - 1) > width

    while is_too_wide() and any(columns[i].dispensable for i in shown):
        shown.remove(max(shown, key=lambda i: (columns[i].dispensable, i)))
    widths = {i: width_of(i) for i in shown}
    last = shown[-1]
    if width is not None and is_too_wide() and not columns[last].is_number:
        others = sum(widths[i] + len(_GAP) for i in shown[:-1])
        widths[last] = max(NARROWEST_TEXT, width - others)
    return [line for row in table for line in _lines_of_row(columns, row, widths)]


def _lines_of_row(columns: Sequence[Column], row: Sequence[str], widths: dict[int, int]) -> Iterator[str]:
    """A row's lines: more than one where the text of its last column is longer than the column is wide."""
    *others, last = widths
    cells = [row[i].rjust(widths[i]) if columns[i].is_number else row[i].ljust(widths[i]) for i in others]
    if columns[last].is_number:
        yield _GAP.join([*cells, row[last].rjust(widths[last])]).rstrip()
        return
    wrapped = textwrap.wrap(row[last], widths[last], break_long_words=False, break_on_hyphens=False) or [""]
    for i, text in enumerate(wrapped):
        yield _GAP.join([*(cells if i == 0 else [" " * len(cell) for cell in cells]), text]).rstrip()


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


def format_seconds(seconds: float) -> str:
    """Hours, minutes and seconds.

    >>> format_seconds(3725.4)
    '1:02:05'
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
