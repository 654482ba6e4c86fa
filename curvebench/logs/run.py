"""What readers make of a log before anything is decided: sparse columns of numbers, row by row as they were logged."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from curvebench.logs.limits import MAX_COLUMNS, MAX_VALUES
from curvebench.spec import Float, Int, _Frozen


@dataclass(frozen=True, eq=False)
class Column(_Frozen):
    """The numbers logged under one name.

    Attributes:
        rows: (n,) ascending: in which rows of the run they stand.
        values: (n,) float64.
    """

    rows: Int
    values: Float


@dataclass(frozen=True, eq=False)
class Run:
    """One table of a log.

    Attributes:
        name: of the run; empty where the log gives none.
        source: the format.
        columns: name -> its numbers, in the order of their first appearance.
        notes: sentences of the reader.
        n_rows: rows, empty ones too.
        blocks: first rows of the tables that were put one below the other; what stands in different blocks was not
            logged one after the other.
        is_table: whether every row was one moment with a cell for each column, so that an empty cell means something.
    """

    name: str
    source: str
    columns: Mapping[str, Column]
    notes: tuple[str, ...] = ()
    n_rows: int = 0
    blocks: tuple[int, ...] = (0,)
    is_table: bool = False


class Budget:
    """How many numbers may still be kept of a log."""

    def __init__(self, n_left: int = MAX_VALUES) -> None:
        self.n_left = n_left

    def take(self, n: int) -> bool:
        """Whether n more may be kept; from the first refusal on nothing more."""
        self.n_left = self.n_left - n if n <= self.n_left else 0
        return self.n_left > 0


@dataclass
class RunBuilder:
    """Collects rows, until as many numbers are kept as may be (`is_cut`)."""

    name: str
    source: str
    budget: Budget
    is_table: bool = False
    notes: list[str] = field(default_factory=list)
    is_cut: bool = False
    blocks: list[int] = field(default_factory=lambda: [0])
    n_rows: int = 0
    _rows: dict[str, array[int]] = field(default_factory=dict)
    _values: dict[str, array[float]] = field(default_factory=dict)
    _is_wide: bool = False

    def add(self, row: Mapping[str, float]) -> None:
        """One more row, which may be empty."""
        if not self.budget.take(len(row)) and row:
            self.is_cut = True
            return
        for name, value in row.items():
            if name not in self._values:
                if len(self._values) >= MAX_COLUMNS:
                    self._is_wide = True
                    continue
                self._rows[name], self._values[name] = array("q"), array("d")
            self._rows[name].append(self.n_rows)
            self._values[name].append(value)
        self.n_rows += 1

    def begin_block(self) -> None:
        """What follows was not logged after what is there, but beside it."""
        if self.n_rows:
            self.blocks.append(self.n_rows)

    def build(self) -> Run:
        """The run of all rows so far."""
        notes = list(self.notes)
        if self.is_cut:
            notes.append(f"Only the first {MAX_VALUES:,} numbers of the log were read.")
        if self._is_wide:
            notes.append(f"Only the first {MAX_COLUMNS:,} columns were read.")
        columns = {
            name: Column(np.array(self._rows[name], dtype=np.int64), np.array(values, dtype=np.float64))
            for name, values in self._values.items()
        }
        return Run(self.name, self.source, columns, tuple(notes), self.n_rows, tuple(self.blocks), self.is_table)
