"""MLflow's stores: a folder of text files (`mlruns/EXPERIMENT/RUN/metrics/NAME`) or a SQLite database (`mlflow.db`)."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import quote

from curvebench.logs.files import lines_of
from curvebench.logs.limits import MAX_CURVES, MAX_LINE, MAX_SQL_STEPS, MAX_VALUES
from curvebench.logs.numbers import count_of, number_of, parse_number
from curvebench.logs.run import Budget, RunBuilder
from curvebench.spec import InputError

FOLDER, DATABASE = "mlflow", "mlflow-db"

_METRICS = "metrics"
_SQLITE = b"SQLite format 3\0"

_INFINITE = 1.79e308
"""MLflow's database keeps infinities as plus or minus 1.797e308."""

_FIRST_TIME = 10**11
"""Milliseconds; smaller first numbers of a line are no time of day of this century."""

_SQL_STEPS_A_LOOK = 100_000

Point = tuple[float, float, str, float]
"""Time, step, name and value."""


def parse_metric(text: str, name: str, notes: list[str]) -> list[Point]:
    r"""The points of a metric file: lines of `timestamp value step`, in old files without step, in new ones with more.

    >>> parse_metric("1700000000000 0.5 3\n", "loss", [])
    [(1700000000000.0, 3.0, 'loss', 0.5)]
    """
    points: list[Point] = []
    n_bad = 0
    for line in lines_of(text, MAX_LINE, notes):
        words = line.split()
        if not words:
            continue
        try:
            numbers = [parse_number(word) for word in words[:3]]
        except ValueError:
            numbers = []
        if len(words) in (2, 3, 5) and len(numbers) > 1 and None not in numbers:
            time, value = numbers[0] or 0.0, numbers[1]
            points.append((time, numbers[2] or 0.0 if len(numbers) > 2 else len(points) * 1.0, name, value or 0.0))
        else:
            n_bad += 1
    if n_bad:
        notes.append(
            f"Left out: {count_of(n_bad, 'line')} of the metric {name!r} without sense, as one that was half written."
        )
    return points


def is_metric(text: str) -> bool:
    """Whether a text is a metric file, by its first line."""
    points = parse_metric(text[:1000].split("\n", 1)[0], "", [])
    return bool(points) and points[0][0] >= _FIRST_TIME


def metric_place(parts: tuple[str, ...]) -> tuple[tuple[str, ...], str] | None:
    """The folder of a run and the name of the metric that a path in it stands for; None if it stands for none.

    >>> metric_place(("0", "ab12", "metrics", "train", "loss"))
    (('0', 'ab12'), 'train/loss')
    """
    if _METRICS not in parts[:-1]:
        return None
    i = parts.index(_METRICS)
    return parts[:i], "/".join(parts[i + 1 :])


def build(points: Iterable[Point], name: str, source: str, budget: Budget, notes: list[str]) -> RunBuilder:
    """A run of the points of all its metrics, in the order of their times."""
    builder = RunBuilder(name, source, budget, notes=notes)
    for _, step, metric, value in sorted(points, key=lambda point: (_order(point[0]), _order(point[1]))):
        builder.add({"step": step, metric: value})
    return builder


def _order(number: float) -> float:
    return number if math.isfinite(number) else math.inf


# ----------------------------------------------------------------------------------------------- database


def recognises(head: bytes) -> bool:
    """Whether bytes begin as a SQLite database does."""
    return head.startswith(_SQLITE)


def read_database(path: Path, name: str, budget: Budget) -> list[RunBuilder]:
    """The runs in a database. It is opened so that nothing can be written, not even a journal.

    Raises:
        InputError: it is damaged, not MLflow's, or takes more than MAX_SQL_STEPS.
    """
    notes: list[str] = []
    if path.with_name(path.name + "-wal").exists():
        notes.append("There is a write-ahead log beside the database; what was logged last may be missing.")
    try:
        metrics, names = _rows(path)
    except (sqlite3.Error, sqlite3.Warning, OverflowError, MemoryError, ValueError) as error:
        raise InputError(f"The database cannot be read: {error}.") from None
    runs: dict[str, list[Point]] = {}
    for run, key, value, time, step, is_nan in metrics:
        number = number_of(value)
        if number is None:
            continue
        if is_nan:
            number = math.nan
        elif abs(number) >= _INFINITE:
            number = math.copysign(math.inf, number)
        point = (number_of(time) or 0.0, number_of(step) or 0.0, _text(key), number)
        runs.setdefault(_text(run), []).append(point)
    if not runs:
        raise InputError("It is a database of MLflow without metrics.")
    if len(runs) > MAX_CURVES:
        raise InputError(f"The database has more than {MAX_CURVES:,} runs.")
    named = {run: names.get(run) or run for run in runs}
    return [
        build(points, "/".join(filter(None, (name, named[run]))), DATABASE, budget, list(notes))
        for run, points in runs.items()
    ]


def _rows(path: Path) -> tuple[list[tuple[object, ...]], Mapping[str, str]]:
    """Rows (run, key, value, time, step, is_nan) and names of runs.

    Raises:
        InputError: there is no table of metrics.
        sqlite3.Error: anything else is wrong.
    """
    connection = sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1", uri=True)
    try:
        n_left = MAX_SQL_STEPS // _SQL_STEPS_A_LOOK

        def is_enough() -> bool:
            nonlocal n_left
            n_left -= 1
            return n_left < 0

        connection.set_progress_handler(is_enough, _SQL_STEPS_A_LOOK)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 2**20)
        connection.text_factory = bytes  # texts that are no UTF-8 are decoded by us
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA query_only = ON")
        tables = {_text(name) for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if "metrics" not in tables:
            raise InputError("It is a SQLite database without a table 'metrics', so not one of MLflow.")
        metrics = connection.execute(
            "SELECT run_uuid, key, value, timestamp, step, is_nan FROM metrics LIMIT ?", (MAX_VALUES,)
        ).fetchall()
        names: dict[str, str] = {}
        if "runs" in tables:
            for run, run_name in connection.execute("SELECT run_uuid, name FROM runs LIMIT ?", (100 * MAX_CURVES,)):
                names[_text(run)] = _text(run_name)
        return metrics, names
    finally:
        connection.close()


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")[:400]
    return "" if value is None else str(value)[:400]
