"""Flat tables of a data set, as data frames and CSV want them: runs, points of curves, remedies that were tried."""

from __future__ import annotations

import numpy as np

from curvebench.data.columns import COLUMNS
from curvebench.data.dataset import Array, Dataset
from curvebench.spec import DIAGNOSES, Action

CURVES = tuple(name for name, column in COLUMNS.items() if column.axes == ("point",))
"""The columns that are curves."""


def run_table(dataset: Dataset) -> dict[str, Array]:
    """One row for each run.

    Returns:
        Column -> (n_runs,): the columns with one value for a run, in file order and with their types; in place of
        `accepted` a column `accepted_DIAGNOSIS` for each diagnosis, bool.
    """
    table: dict[str, Array] = {}
    for name, column in COLUMNS.items():
        if name == "accepted":
            table |= {f"accepted_{d}": dataset[name][:, i] == 1 for i, d in enumerate(DIAGNOSES)}
        elif not column.axes:
            table[name] = dataset[name]
    return table


def curve_table(dataset: Dataset) -> dict[str, Array]:
    """One row for each point that was recorded, the runs one after the other; repeated points are left out.

    Returns:
        Column -> (n_rows,): `run`, the number `point` from 0, and the columns `CURVES` with their types.
    """
    is_recorded = np.arange(dataset.n_points) < dataset["length"][:, None]
    run, point = np.nonzero(is_recorded)
    table = {"run": dataset["run"][run], "point": point.astype(np.int32)}
    return table | {name: dataset[name][is_recorded] for name in CURVES}


def remedy_table(dataset: Dataset) -> dict[str, Array]:
    """One row for each remedy of a run that was tried, the runs one after the other; the first is always none.

    Returns:
        Column -> (n_rows,): `run`; `remedy`, its number in the data set; what it is (`action`, `factor`, `at`) and
        what came of it (`final_loss`, `final_val_loss`, `gain`).
    """
    run, remedy = np.nonzero(~np.isnan(dataset["remedy_gain"]))
    remedies = dataset.meta.remedies
    actions = np.array([r.action.value for r in remedies], dtype=f"U{max(map(len, Action))}")
    return {
        "run": dataset["run"][run],
        "remedy": remedy.astype(np.int32),
        "action": actions[remedy],
        "factor": np.array([r.factor for r in remedies])[remedy],
        "at": np.array([r.at for r in remedies])[remedy],
        "final_loss": dataset["remedy_final_loss"][run, remedy],
        "final_val_loss": dataset["remedy_final_val_loss"][run, remedy],
        "gain": dataset["remedy_gain"][run, remedy],
    }
