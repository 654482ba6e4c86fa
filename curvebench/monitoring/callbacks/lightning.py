"""A callback for Lightning (also under its older name, pytorch_lightning).

Example: `Trainer(callbacks=[DiagnosisCallback(stop=True)])`.
"""

from __future__ import annotations

import math
from typing import Any

from curvebench.monitoring.monitor import Monitor
from curvebench.monitoring.watch import AGREE_EVERY, Watch
from curvebench.spec import UsageError

try:
    from lightning.pytorch import Callback
except ImportError:
    from pytorch_lightning import Callback


class DiagnosisCallback(Callback):  # type: ignore[misc]  # its type is not known where Lightning is not installed
    """Tells the loss of every batch to a monitor; its state is part of the checkpoints.

    Args:
        monitor: who judges; None: `Monitor()`. The planned number of steps is the trainer's, unless it knows one.
        log: write each finding to the logger `curvebench.monitoring`.
        warn: warn of each.
        stop: set `trainer.should_stop` at the first.
        every_n_batches: only every so many batches are looked at, since reading a loss waits for the device.
    """

    def __init__(
        self,
        monitor: Monitor | None = None,
        *,
        log: bool = True,
        warn: bool = False,
        stop: bool = False,
        every_n_batches: int = 1,
    ) -> None:
        super().__init__()
        if every_n_batches < 1:
            raise UsageError(f"every_n_batches is {every_n_batches}; give a positive number.")
        self.watch = Watch(monitor, log=log, warn=warn, stop=stop)
        self._every_n_batches = every_n_batches
        self._val_loss: Any = None

    @property
    def monitor(self) -> Monitor:
        """Who judges."""
        return self.watch.monitor

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Learn the plan."""
        self.watch.is_first_process = trainer.is_global_zero
        with self.watch.guard:
            total = trainer.estimated_stepping_batches
            self.watch.plan(int(total) if math.isfinite(total) else None)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Tell the loss; stop where this process, or the first of several, asks for it."""
        if batch_idx % self._every_n_batches == 0 and self.watch.is_first_process and self.watch.guard.is_open:
            with self.watch.guard:
                rate = trainer.optimizers[0].param_groups[0]["lr"] if trainer.optimizers else None
                self.watch.update(trainer.global_step, _loss_of(outputs), learning_rate=rate, val_loss=self._val_loss)
                self._val_loss = None
        self._stop_if_asked(trainer)

    def _stop_if_asked(self, trainer: Any) -> None:
        wants = self.watch.wants_to_stop
        if self.watch.stop and trainer.world_size > 1:
            # processes that did not stop together would wait for each other for ever
            if trainer.global_step % AGREE_EVERY:
                return
            wants = trainer.strategy.reduce_boolean_decision(wants, all=False)
        if wants:
            trainer.should_stop = True

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Keep the validation loss, if one was logged as `val_loss`, for the next batch."""
        if not trainer.sanity_checking:
            self._val_loss = trainer.callback_metrics.get("val_loss")

    def state_dict(self) -> dict[str, Any]:
        """What the monitor knows, for a checkpoint."""
        with self.watch.guard:
            return {"monitor": self.monitor.state_dict()}
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        with self.watch.guard:
            if state_dict:
                self.monitor.load_state_dict(state_dict["monitor"])


def _loss_of(outputs: Any) -> Any:
    """The loss in what `training_step` returned.

    Raises:
        UsageError: there is none.
    """
    loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
    if loss is None:
        raise UsageError("training_step returned no loss; return it, or tell it to a Monitor of your own.")
    return loss
