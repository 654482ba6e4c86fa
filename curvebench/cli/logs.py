"""The command that looks into training logs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curvebench.cli.app import Json, NameOfLoss, NameOfRate, NameOfSteps, app
from curvebench.console import Column, show_json, show_table, show_text

if TYPE_CHECKING:
    from curvebench.logs import Curve
    from curvebench.spec import Float


@app.command()
def logs(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="A log: a file, or a folder of runs.", show_default=False)
    ],
    x: NameOfSteps = None,
    y: NameOfLoss = None,
    lr: NameOfRate = None,
    as_json: Json = False,
) -> None:
    """List the loss curves in a training log, and what had to be decided to read them.

    Reads TensorBoard, Lightning, Keras, Hugging Face, Ultralytics, W&B, MLflow, CSV, JSON and printed lines, known by
    their content. Nothing in the log is executed or changed.

    Example: [bold]curvebench logs lightning_logs/version_0[/bold]
    """
    from curvebench.logs import read_log

    curves = read_log(path, x=x, y=y, lr=lr)
    if as_json:
        show_json([_summary(curve) for curve in curves])
        return
    columns = [
        Column("run"),
        Column("format", dispensable=2),
        Column("points", is_number=True),
        Column("steps", dispensable=1),
        Column("loss"),
        Column("also logged", dispensable=3),
    ]
    show_table(columns, [_row(curve) for curve in curves])
    shared = [note for note in curves[0].notes if all(note in curve.notes for curve in curves)]
    show_text("\n" + "\n".join(shared))
    for curve in curves:
        if own := [note for note in curve.notes if note not in shared]:
            show_text("\n".join([f"{curve.run or 'The run'}:", *(f"  {note}" for note in own)]))


def _row(curve: Curve) -> list[str]:
    steps, loss = curve.steps, curve.train_loss
    beside = [name for name, values in _beside(curve).items() if values is not None]
    return [
        curve.run or "-",
        curve.source,
        f"{len(curve):,}",
        f"{steps[0]:g} to {steps[-1]:g} ({curve.step_name[:20]})",
        f"{loss[0]:.4g} to {loss[-1]:.4g}",
        ", ".join(beside) or "-",
    ]


def _beside(curve: Curve) -> dict[str, Float | None]:
    return {
        "val_loss": curve.val_loss,
        "grad_norm": curve.grad_norm,
        "learning_rate": curve.learning_rate,
        "epochs": curve.epochs,
    }


def _summary(curve: Curve) -> dict[str, Any]:
    """A curve without its points; a number that is not finite is given as a text, since JSON has no other way."""
    ends = {"train_loss": curve.train_loss, **_beside(curve)}
    return {
        "run": curve.run,
        "format": curve.source,
        "n_points": len(curve),
        "step_name": curve.step_name,
        "first_step": _plain(curve.steps[0]),
        "last_step": _plain(curve.steps[-1]),
        **{
            name: None if values is None else {"first": _plain(values[0]), "last": _plain(values[-1])}
            for name, values in ends.items()
        },
        "notes": list(curve.notes),
    }


def _plain(value: float) -> float | str:
    return float(value) if math.isfinite(value) else str(float(value))
