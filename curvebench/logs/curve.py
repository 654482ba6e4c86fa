"""What a reader hands out: one loss curve of a real training run, with everything said that a reader had to decide."""

from __future__ import annotations

from dataclasses import dataclass

from curvebench.spec import Float, _Frozen


@dataclass(frozen=True, eq=False)
class Curve(_Frozen):
    """The loss of one run as it was logged. NaN and inf stand as they happened.

    Everything beside the training loss is given at its points: a value that was logged elsewhere stands at the first
    point at or after it (at the last point if none follows) and is repeated until the next; NaN before the first.

    Attributes:
        run: name of the run: its folder or file, or what the log calls it; empty where there is only one.
        source: the format that it was read from, a name of `curvebench.logs.FORMATS`.
        step_name: what the steps are called in the log; "point" where points were only counted.
        steps: (n_points,) ascending float64: updates, or epochs where the log counts only those, or points.
        train_loss: (n_points,) float64.
        val_loss: (n_points,) float64, or None.
        grad_norm: (n_points,) float64, or None.
        learning_rate: (n_points,) float64, or None.
        epochs: (n_points,) float64, or None.
        notes: sentences: what was taken as the loss and what else there was, what was dropped, what to beware of.
        loss_name: what the loss is called in the log.
    """

    run: str
    source: str
    step_name: str
    steps: Float
    train_loss: Float
    val_loss: Float | None = None
    grad_norm: Float | None = None
    learning_rate: Float | None = None
    epochs: Float | None = None
    notes: tuple[str, ...] = ()
    loss_name: str = ""

    def __len__(self) -> int:
        return len(self.steps)
