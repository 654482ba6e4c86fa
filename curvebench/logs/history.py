"""JSON documents with a training history anywhere in them: Keras' `History`, lists of epochs, exports of trackers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from curvebench.logs.json_text import numbers_in
from curvebench.logs.limits import MAX_NESTING
from curvebench.logs.names import WORDS, Role, role_of, words_of
from curvebench.logs.numbers import number_of
from curvebench.logs.run import Budget, RunBuilder
from curvebench.spec import InputError

SOURCE = "json"


@dataclass(frozen=True)
class Table:
    """A table in a document.

    Attributes:
        path: keys that lead to it.
        rows: its rows, as numbers by name.
    """

    path: tuple[str, ...]
    rows: list[dict[str, float]]


def read(document: object, name: str, budget: Budget) -> list[RunBuilder]:
    """The runs in a document. Tables under keys like `train` and `val` beside each other are one run.

    Raises:
        InputError: there is no table of numbers in it.
    """
    tables = list(_tables(document, ()))
    if not tables:
        raise InputError("It is JSON without a table of numbers: neither lists of numbers nor a list of objects.")
    groups: dict[tuple[str, ...], list[Table]] = {}
    for table in tables:
        is_part = bool(table.path) and bool(set(words_of(table.path[-1])) & (WORDS["train"] | WORDS["validation"]))
        groups.setdefault((*table.path[:-1], "*") if is_part else table.path, []).append(table)
    return [_build(path, group, len(groups) > 1, name, budget) for path, group in groups.items()]


def _build(path: tuple[str, ...], group: list[Table], is_named: bool, name: str, budget: Budget) -> RunBuilder:
    place = "/".join(key for key in path if key != "*") if is_named else ""
    builder = RunBuilder("/".join(filter(None, (name, place))), SOURCE, budget, is_table=len(group) == 1)
    for table in group:
        builder.begin_block()
        prefix = f"{table.path[-1]}/" if len(group) > 1 else ""
        for row in table.rows:
            # steps of the tables are the same steps, so they are one column
            builder.add({(k if role_of(k) in (Role.STEP, Role.EPOCH) else prefix + k): v for k, v in row.items()})
    return builder


def _tables(value: object, path: tuple[str, ...]) -> Iterator[Table]:
    """Every table in a document, down to MAX_NESTING."""
    if len(path) > MAX_NESTING:
        return
    if isinstance(value, list):
        objects = [entry for entry in value if isinstance(entry, Mapping)]
        if objects:
            rows = [numbers_in(entry) for entry in objects]
            if any(rows) and not any(isinstance(inner, list | Mapping) for inner in _lists_in(objects[0])):
                yield Table(path, rows)
            else:
                for i, entry in enumerate(objects):
                    yield from _tables(entry, (*path, _name_of(entry, i)))
        elif not path and (column := _numbers(value)):
            yield Table(("loss",), [{"loss": number} for number in column if number is not None])
    elif isinstance(value, Mapping):
        columns = {str(k): c for k, v in value.items() if isinstance(v, list) and (c := _numbers(v)) is not None}
        if columns:
            yield Table(path, _transposed(columns))
        for key, inner in value.items():
            if isinstance(inner, Mapping) or (isinstance(inner, list) and str(key) not in columns):
                yield from _tables(inner, (*path, str(key)))


def _lists_in(entry: Mapping[str, object]) -> Iterator[object]:
    """Lists of numbers in an object, which then is a run rather than a row."""
    for inner in entry.values():
        if isinstance(inner, list) and _numbers(inner):
            yield inner
        elif isinstance(inner, Mapping):
            yield from (x for x in inner.values() if isinstance(x, list) and _numbers(x))


def _name_of(entry: Mapping[str, object], i: int) -> str:
    named = next((entry[key] for key in ("name", "run", "run_id", "id") if isinstance(entry.get(key), str)), None)
    return str(named)[:200] if named else str(i)


def _numbers(values: list[object]) -> list[float | None] | None:
    """A list as numbers, None where it has null; None altogether if it is empty or holds anything else."""
    numbers = [number_of(value) for value in values]
    if not values or any(n is None and v is not None for n, v in zip(numbers, values, strict=True)):
        return None
    return numbers if any(n is not None for n in numbers) else None


def _transposed(columns: Mapping[str, list[float | None]]) -> list[dict[str, float]]:
    """Columns as rows; shorter columns end earlier."""
    n = max(map(len, columns.values()))
    return [
        {name: number for name, column in columns.items() if i < len(column) and (number := column[i]) is not None}
        for i in range(n)
    ]
