"""Reading a log, whatever it is: `read_log`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from curvebench.logs import delimited, history, json_lines, mlflow, tensorboard, text, trainer_state, wandb
from curvebench.logs.content import open_content, read_content
from curvebench.logs.curve import Curve
from curvebench.logs.curves import Wanted, check_number, curves_of
from curvebench.logs.folder import read_folder
from curvebench.logs.names import listed
from curvebench.logs.run import Budget, Run
from curvebench.spec import InputError

FORMATS: Mapping[str, str] = {
    tensorboard.SOURCE: "TensorBoard event files",
    delimited.LIGHTNING: "metrics.csv of Lightning's CSVLogger",
    delimited.KERAS: "Keras' CSVLogger",
    delimited.ULTRALYTICS: "results.csv of Ultralytics",
    delimited.WANDB_CSV: "a table exported from W&B's pages",
    delimited.CSV: "any other table: commas, semicolons, tabs, bars or blanks",
    trainer_state.SOURCE: "trainer_state.json of the Hugging Face Trainer",
    history.SOURCE: "JSON with lists of numbers or a list of objects, as Keras' History",
    json_lines.SOURCE: "one JSON object a line",
    wandb.SOURCE: "run-ID.wandb of W&B",
    mlflow.FOLDER: "MLflow's folder of metric files",
    mlflow.DATABASE: "MLflow's SQLite database",
    text.SOURCE: "lines that a training loop printed",
}
"""Format -> what it is; `Curve.source` names it."""


def read_log(path: str | Path, *, x: str | None = None, y: str | None = None, lr: str | None = None) -> list[Curve]:
    """The loss curves in a log: a file, or a folder of files of one or many runs.

    The format is found by content. Nothing in the log is executed, no link in a folder is followed, nothing is written,
    and no more is read than `curvebench.logs.limits` allows.

    Args:
        path: the log.
        x: name of the steps; found by convention (docs/logs.md) if not given.
        y: name of the training loss; likewise.
        lr: name of the learning rate; likewise.

    Raises:
        InputError: it cannot be read, holds no loss, or has nothing of a name that was given.
    """
    place = Path(path)
    wanted = Wanted(x, y, lr)
    try:
        runs, notes = read_folder(place) if _is_folder(place) else _read_file(place)
        curves = _curves(runs, wanted, notes)
        check_number(len(curves))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return curves


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def _curves(runs: Sequence[Run], wanted: Wanted, notes: Sequence[str]) -> list[Curve]:
    """The curves of all runs; names that no run has are an error, that only some have not a note."""
    curves: list[Curve] = []
    faults: dict[str, InputError] = {}
    for may_guess in (False, True):
        for run in [] if curves else runs:
            try:
                curves += curves_of(run, wanted, may_guess=may_guess)
            except InputError as error:
                faults[run.name] = error
    if not curves:
        raise next(iter(faults.values()), InputError("There is no run in it."))
    if faults and wanted != Wanted():
        notes = [*notes, f"Left out, being without a loss or the names that were asked for: {listed(faults)}."]
    return [replace(curve, notes=(*notes, *curve.notes)) for curve in curves]


def _read_file(path: Path) -> tuple[list[Run], list[str]]:
    content = open_content(path, "")
    return read_content(content, Budget()), content.notes
