"""Data frames of pandas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from curvebench.data.dataset import Array, Dataset
from curvebench.interchange.packages import needed
from curvebench.interchange.tables import curve_table, remedy_table, run_table

if TYPE_CHECKING:
    import pandas as pd


def runs_frame(dataset: Dataset) -> pd.DataFrame:
    """A frame with a row for each run and the index `run`; columns as in `tables.run_table`.

    Raises:
        UsageError: pandas is not installed.
    """
    return _frame(run_table(dataset), index="run")


def curves_frame(dataset: Dataset) -> pd.DataFrame:
    """The curves in long form: a row for each recorded point; columns as in `tables.curve_table`.

    Raises:
        UsageError: pandas is not installed.
    """
    return _frame(curve_table(dataset))


def remedies_frame(dataset: Dataset) -> pd.DataFrame:
    """Outcomes in long form: a row for each remedy that was tried; columns as in `tables.remedy_table`.

    Raises:
        UsageError: pandas is not installed.
    """
    return _frame(remedy_table(dataset))


def _frame(table: dict[str, Array], index: str | None = None) -> pd.DataFrame:
    frame: pd.DataFrame = needed("pandas", what="A data frame", extra="export").DataFrame(table)
    return frame if index is None else frame.set_index(index)
