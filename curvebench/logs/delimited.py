"""Tables as text: CSV of Lightning, Keras, Ultralytics, W&B's and TensorBoard's pages, and of anybody else."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from curvebench.logs.files import lines_of
from curvebench.logs.limits import MAX_COLUMNS, MAX_LINE
from curvebench.logs.names import RUN_NAMES, Role, is_summary, role_of
from curvebench.logs.numbers import count_of, is_decimal_comma, parse_number
from curvebench.logs.run import Budget, Column, Run, RunBuilder
from curvebench.spec import InputError

CSV, KERAS, LIGHTNING, ULTRALYTICS, WANDB_CSV = "csv", "keras-csv", "lightning", "ultralytics", "wandb-csv"

DELIMITERS = (",", ";", "\t", "|", None)
"""What may separate cells; None: blanks."""

_HEAD = 20
"""Lines that decide whether a text is a table."""

_NOT_NAMED = "column {}"

_ULTRALYTICS_NAN = (
    "Ultralytics never writes an epoch whose loss was NaN; gaps between the epochs are all that shows of them."
)


def recognises(text: str) -> bool:
    """Whether a text is a table: a delimiter cuts its first lines into equally many cells, most of them numbers."""
    return _find_delimiter(text) is not None


def read(text: str, name: str, budget: Budget) -> list[Run]:
    """The runs in a table: one, or as many as it has headers, names of runs, or columns for each of several runs.

    Raises:
        InputError: it has no header that can be understood.
    """
    notes: list[str] = []
    delimiter = _find_delimiter(text)
    if delimiter is None:
        raise InputError("It is no table: its lines are not cut into equally many cells.")
    builders = _rows_to_runs(text, name, delimiter[0], budget, notes)
    runs = [replace(builder.build(), is_table=True) for builder in builders]
    runs = [part for run in runs for part in _of_wandb_page(run)]
    return [replace(_with_sums(run), notes=(*notes, *run.notes, *_with_sums(run).notes)) for run in runs]


def _find_delimiter(text: str) -> tuple[str | None] | None:
    """The delimiter, in a tuple since it may be None for blanks; None if the text is no table."""
    head = [line for line in _first_lines(text) if line.strip() and not line.startswith("#")][:_HEAD]
    if text.startswith("#"):
        head.insert(0, text.split("\n", 1)[0].lstrip("# "))
    if not head:
        return None
    for delimiter in DELIMITERS:
        rows = [cells_of(line, delimiter) for line in head]
        again = next((i for i, row in enumerate(rows) if i and _is_header_again(row, rows[0])), len(rows))
        rows, width = rows[:again], len(rows[0])
        if width < 2 or width > MAX_COLUMNS:
            continue
        whole = [row for row in rows[1:] if len(row) == width]
        is_filled = len(whole) >= 0.5 * (len(rows) - 1) and any(map(_has_number, whole))
        if not is_filled and (len(head) > 1 or not _is_header(rows[0])):
            continue
        if delimiter is None and not (
            _is_header(rows[0]) and all(_is_numbers(_untimed(row, rows[0])) for row in whole)
        ):
            continue  # a sentence has blanks too
        if _is_header(rows[0]) or _is_numbers(rows[0]):
            return (delimiter,)
    column = [line.strip() for line in head]
    is_column = all(_is_numbers([cell]) for cell in column[1:]) and len(column) > 1
    return (",",) if is_column and (_is_numbers(column[:1]) or _is_header(column[:1])) else None


def _first_lines(text: str) -> Iterator[str]:
    head = text[: _HEAD * MAX_LINE]
    for i, line in enumerate(lines_of(head, MAX_LINE, [])):
        if i >= 2 * _HEAD:
            return
        yield line


def cells_of(line: str, delimiter: str | None) -> list[str]:
    """The cells of a line without the blanks around them.

    >>> cells_of('1, "a, b",', ","), cells_of(" 1  2 ", None)
    (['1', 'a, b', ''], ['1', '2'])
    """
    if delimiter is None:
        return line.split()
    if '"' in line:
        try:
            # line by line, so that a quotation mark that is never closed spoils its own line only
            return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])]
        except csv.Error:
            pass
    return [cell.strip() for cell in line.split(delimiter)]


def _untimed(cells: Sequence[str], header: Sequence[str]) -> list[str]:
    """Cells without those of times, which may be spelled as 00:10."""
    return [cell for cell, name in zip(cells, header, strict=True) if role_of(name) is not Role.TIME]


def _is_numbers(cells: Sequence[str]) -> bool:
    """Whether at least one cell is a number and none is a text."""
    return _has_number(cells) and "text" not in [_number(cell, decimal_comma=is_decimal_comma(cell)) for cell in cells]


def _has_number(cells: Sequence[str]) -> bool:
    return any(isinstance(_number(cell, decimal_comma=is_decimal_comma(cell)), float) for cell in cells)


def _is_header(cells: Sequence[str]) -> bool:
    """Whether cells are names: none is a number, and one has letters."""
    named = [cell for cell in cells if cell]
    is_free = not any(isinstance(_number(cell, decimal_comma=False), float) for cell in named)
    return bool(named) and is_free and any(any(c.isalpha() for c in cell) for cell in named)


def _number(cell: str, *, decimal_comma: bool) -> float | str | None:
    """The number in a cell, None if nothing was logged, "text" for anything else."""
    try:
        return parse_number(cell, decimal_comma=decimal_comma)
    except ValueError:
        return "text"


# --------------------------------------------------------------------------------------------------- rows


def _rows_to_runs(text: str, name: str, delimiter: str | None, budget: Budget, notes: list[str]) -> list[RunBuilder]:
    """The rows of a table, collected run by run."""
    rows = (
        cells_of(line.lstrip("# ") if line.startswith("#") and i == 0 else line, delimiter)
        for i, line in enumerate(lines_of(text, MAX_LINE, notes))
        if line.strip() and (i == 0 or not line.startswith("#"))
    )
    header: list[str] = []
    builders: dict[str, RunBuilder] = {}
    n_headers = n_short = n_long = n_text = 0
    decimal_comma = False
    for cells in rows:
        if not header or _is_header_again(cells, header):
            n_headers += 1
            if not header and _is_numbers(cells):
                header = [_NOT_NAMED.format(i + 1) for i in range(len(cells))]
            else:
                header = _named(cells)
                continue
        if len(cells) < len(header):
            n_short += 1
            continue  # its last number may be cut too
        n_long += len(cells) > len(header)
        row: dict[str, float] = {}
        run_name = ""
        for column, cell in zip(header, cells, strict=False):
            if not cell:
                continue
            decimal_comma = decimal_comma or (delimiter != "," and is_decimal_comma(cell))
            number = _number(cell, decimal_comma=decimal_comma)
            if isinstance(number, float):
                row[column] = number
            elif number is not None:
                if column.lower() in RUN_NAMES:
                    run_name = cell[:200]
                else:
                    n_text += role_of(column) not in (Role.NOTHING, Role.TIME)
        key = f"{n_headers} {run_name}"
        if key not in builders:
            full = "/".join(
                part for part in (name, run_name or (f"table {n_headers}" if n_headers > 1 else "")) if part
            )
            builders[key] = RunBuilder(full, _source_of(header), budget)
        builders[key].add(row)
        if builders[key].is_cut:
            break
    if n_short:
        notes.append(
            f"Left out: {count_of(n_short, 'row')} of fewer cells than the header has, as one that was half written."
        )
    if n_long:
        notes.append(f"Left out: the last cells of {count_of(n_long, 'row')} of more cells than the header has.")
    if n_text:
        notes.append(f"Taken for empty, being no number: {count_of(n_text, 'cell')}.")
    if n_headers > 1:
        notes.append(f"The table has {n_headers:,} headers; what stands below each is a run of its own.")
    if decimal_comma:
        notes.append("Commas were read as decimal points.")
    if not builders:
        raise InputError("It is a table without rows.")
    return list(builders.values())


def _is_header_again(cells: Sequence[str], header: Sequence[str]) -> bool:
    """Whether a row is the header once more, or one of a later start that logged other columns too."""
    return bool(cells) and len(set(cells) & set(header)) >= 0.5 * len(cells) and _is_header(cells)


def _named(cells: Sequence[str]) -> list[str]:
    """Names of columns: none twice, none empty."""
    names: list[str] = []
    taken: set[str] = set()
    for i, cell in enumerate(cells):
        name = cell or _NOT_NAMED.format(i + 1)
        while name in taken:
            name += "'"
        names.append(name)
        taken.add(name)
    return names


def _source_of(header: Sequence[str]) -> str:
    """Who wrote a table, by its header."""
    names = [name.lower() for name in header]
    if "train/box_loss" in names or ("lr/pg0" in names and "epoch" in names):
        return ULTRALYTICS
    if names[0] == "step" and any(" - " in name for name in names):
        return WANDB_CSV
    if "epoch" in names and "step" in names and names == sorted(names):
        return LIGHTNING
    if names[0] == "epoch" and names[1:] == sorted(names[1:]) and ("loss" in names or "val_loss" in names):
        return KERAS
    return CSV


# ------------------------------------------------------------------------------------------------ dialects


def _of_wandb_page(run: Run) -> list[Run]:
    """The runs of a table that W&B's page exported: columns are called "run - value"."""
    if run.source != WANDB_CSV:
        return [run]
    shared = {name: column for name, column in run.columns.items() if " - " not in name}
    runs: dict[str, dict[str, Column]] = {}
    for name, column in run.columns.items():
        if " - " in name and not is_summary(name):
            of, _, value = name.rpartition(" - ")
            runs.setdefault(of, dict(shared))[value] = column
    return [replace(run, name="/".join(filter(None, (run.name, of))), columns=columns) for of, columns in runs.items()]


def _with_sums(run: Run) -> Run:
    """A run of Ultralytics with the sums of its losses, which is what it trains on."""
    if run.source != ULTRALYTICS:
        return run
    columns, notes = dict(run.columns), [_ULTRALYTICS_NAN]
    for part in ("train", "val"):
        parts = [name for name in run.columns if name.startswith(f"{part}/") and name.endswith("_loss")]
        if len(parts) > 1 and f"{part}/loss" not in columns:
            rows = run.columns[parts[0]].rows
            for name in parts[1:]:
                rows = np.intersect1d(rows, run.columns[name].rows)
            values = sum(run.columns[name].values[np.searchsorted(run.columns[name].rows, rows)] for name in parts)
            columns[f"{part}/loss"] = Column(rows, np.asarray(values, dtype=np.float64))
            notes.append(f"'{part}/loss' is the sum of {', '.join(parts)}.")
    return replace(run, columns=columns, notes=tuple(notes))
