"""CSV: a table of runs, the curves in long form, and the remedies that were tried in long form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType
from typing import Any

from curvebench.data.dataset import Array, Dataset
from curvebench.data.store import sync
from curvebench.interchange.arrow import arrow, flat_table
from curvebench.interchange.source import Source
from curvebench.interchange.tables import curve_table, remedy_table, run_table

TABLES: Mapping[str, Callable[[Dataset], dict[str, Array]]] = MappingProxyType(
    {"runs.csv": run_table, "curves.csv": curve_table, "remedies.csv": remedy_table}
)
"""Name of a file -> the table in it."""


def write_csv(source: Source, folder: Path) -> None:
    """The tables of `TABLES`, numbers in the shortest form that reads back the same."""
    writers: dict[str, Any] = {}
    with ExitStack() as stack:
        for batch in source.batches():
            for name, table_of in TABLES.items():
                table = flat_table(table_of(batch))
                if name not in writers:
                    file = stack.enter_context(open(folder / name, "xb"))
                    writers[name] = stack.enter_context(arrow("pyarrow.csv").CSVWriter(file, table.schema))
                writers[name].write_table(table)
    for name in writers:
        sync(folder / name)
