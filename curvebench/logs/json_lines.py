"""JSON lines: one object a line, as many loggers write them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from curvebench.logs.files import lines_of
from curvebench.logs.json_text import numbers_in, parse
from curvebench.logs.limits import MAX_LINE
from curvebench.logs.names import RUN_NAMES
from curvebench.logs.numbers import count_of
from curvebench.logs.run import Budget, RunBuilder
from curvebench.spec import InputError

SOURCE = "json-lines"

_HEAD = 5


def recognises(text: str) -> bool:
    """Whether most of the first lines are whole JSON objects."""
    lines = (line for line in lines_of(text[: _HEAD * MAX_LINE], MAX_LINE, []) if line.strip())
    head = list(islice(lines, _HEAD))
    return bool(head) and sum(_object(line) is not None for line in head) >= 0.5 * len(head)


def read(text: str, name: str, budget: Budget) -> list[RunBuilder]:
    """The runs in JSON lines: one, or as many as a field `run` tells apart.

    Raises:
        InputError: no line is an object with numbers.
    """
    notes: list[str] = []
    builders: dict[str, RunBuilder] = {}
    n_bad = 0
    for line in lines_of(text, MAX_LINE, notes):
        if not line.strip():
            continue
        entry = _object(line)
        if entry is None:
            n_bad += 1
            continue
        run = next((str(v)[:200] for k, v in entry.items() if k.lower() in RUN_NAMES and isinstance(v, str)), "")
        if row := numbers_in(entry):
            if run not in builders:
                builders[run] = RunBuilder("/".join(filter(None, (name, run))), SOURCE, budget, is_table=True)
            builders[run].add(row)
            if builders[run].is_cut:
                break
    if n_bad:
        notes.append(f"Left out: {count_of(n_bad, 'line')} that is no JSON object, as one that was half written.")
    if not builders:
        raise InputError("It is JSON lines without numbers.")
    for builder in builders.values():
        builder.notes += notes
    return list(builders.values())


def _object(line: str) -> Mapping[str, object] | None:
    if not line.lstrip().startswith("{"):
        return None
    try:
        value = parse(line)
    except ValueError:
        return None
    return value if isinstance(value, Mapping) else None
