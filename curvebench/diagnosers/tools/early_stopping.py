"""EarlyStopping of Lightning: it ends training when the loss is not finite or has not improved for a while."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, ClassVar

from curvebench.diagnosers.tools.adapter import Columns, Meaning, Source, Tool
from curvebench.spec import Diagnosis


class EarlyStopping(Tool):
    """`lightning.pytorch.callbacks.EarlyStopping` with its defaults, called at the end of every point.

    It watches the training loss, or the validation loss where it is given one. The reason for which it stops is its
    finding.
    """

    SOURCE = Source("lightning", "2.6.6", "https://lightning.ai/docs/pytorch")
    MAPPING: ClassVar[Mapping[str, Meaning]] = {
        "NON_FINITE_METRIC": Meaning(Diagnosis.LR_TOO_HIGH, "The loss is NaN or infinite: it exploded."),
        "DIVERGENCE_THRESHOLD": Meaning(Diagnosis.LR_TOO_HIGH, "The loss is worse than a threshold; none is set."),
        "PATIENCE_EXHAUSTED": Meaning(
            Diagnosis.LATE_LR_TOO_HIGH,
            "The loss has stopped improving before the end; it does not say why, and this is how that curve is taught.",
        ),
        "STOPPING_THRESHOLD": Meaning(Diagnosis.HEALTHY, "The loss is as good as was asked for; no threshold is set."),
    }
    SILENCE = Meaning(Diagnosis.HEALTHY, "It lets training go on to its end while the loss improves.")
    patience = 3

    def examine(self, run: Columns) -> Sequence[str]:
        """The name of the reason for which it stopped."""
        import torch
        from lightning.pytorch.callbacks import EarlyStopping as Callback
        from lightning.pytorch.callbacks.early_stopping import EarlyStoppingReason

        callback = Callback("loss", patience=self.patience, check_on_train_epoch_end=True)
        trainer = _trainer()
        for loss in run.get("val_loss", run["train_loss"]):
            trainer.callback_metrics["loss"] = torch.tensor(loss)
            callback.on_train_epoch_end(trainer, None)
            if trainer.should_stop:
                break
        return [] if callback.stopping_reason is EarlyStoppingReason.NOT_STOPPED else [callback.stopping_reason.name]


def _trainer() -> Any:
    """As much of a Trainer as the callback looks at; a real one takes a second to make, and wants a model."""
    from lightning.pytorch.trainer.states import TrainerFn

    return SimpleNamespace(
        callback_metrics={},
        state=SimpleNamespace(fn=TrainerFn.FITTING),
        sanity_checking=False,
        fast_dev_run=False,
        should_stop=False,
        current_epoch=0,
        strategy=SimpleNamespace(reduce_boolean_decision=lambda decision, all: decision),
    )


class PatientEarlyStopping(EarlyStopping):
    """The same with a patience of 50 points, for losses of single batches."""

    patience = 50
