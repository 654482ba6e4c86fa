"""A callback for Keras, with any of its backends.

Example: `model.fit(..., callbacks=[DiagnosisCallback(stop=True)])`.
"""

from __future__ import annotations

import os
from typing import Any

from keras.callbacks import Callback

from curvebench.monitoring.monitor import Monitor
from curvebench.monitoring.watch import Watch
from curvebench.spec import UsageError


class DiagnosisCallback(Callback):  # type: ignore[misc]  # its type is not looked at
    """Tells the loss of every batch to a monitor.

    Keras keeps no state of callbacks: `callback.monitor.state_dict()` is for whoever saves one.

    Args:
        monitor: who judges; None: `Monitor()`. The planned number of steps is that of `fit`, unless it knows one.
        log: write each finding to the logger `curvebench.monitoring`.
        warn: warn of each.
        stop: set `model.stop_training` at the first.
        rank: of this process; None: what the environment variable RANK says.

    Raises:
        UsageError: it is to stop one of several processes, which would leave the others waiting.
    """

    def __init__(
        self,
        monitor: Monitor | None = None,
        *,
        log: bool = True,
        warn: bool = False,
        stop: bool = False,
        rank: int | None = None,
    ) -> None:
        super().__init__()
        if stop and int(os.environ.get("WORLD_SIZE") or 1) > 1:
            raise UsageError("Processes of Keras can't agree on stopping: with several of them, leave stop=False.")
        self.watch = Watch(monitor, log=log, warn=warn, stop=stop, rank=rank)
        self._step = 0
        self._n_averaged, self._mean = 0, 0.0
        self._val_loss: float | None = None

    @property
    def monitor(self) -> Monitor:
        """Who judges."""
        return self.watch.monitor

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Learn the plan, and begin a new mean."""
        self._n_averaged, self._mean = 0, 0.0
        with self.watch.guard:
            per_epoch, n_epochs = self.params.get("steps"), self.params.get("epochs")
            self.watch.plan(per_epoch * n_epochs if per_epoch and n_epochs else None)
            if per_epoch or epoch == 0:
                self._step = epoch * (per_epoch or 0)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Tell the loss of the batches since the last call, out of the mean over the epoch that Keras gives."""
        if not (self.watch.is_first_process and self.watch.guard.is_open):
            return
        with self.watch.guard:
            n, mean = batch + 1, float((logs or {})["loss"])
            loss = loss_between(self._n_averaged, self._mean, n, mean)
            self._step += n - self._n_averaged
            self._n_averaged, self._mean = n, mean
            rate = self._rate() if "learning_rate" in self.monitor.looks_at else None
            if self.watch.update(self._step, loss, learning_rate=rate, val_loss=self._val_loss):
                self.model.stop_training = True
            self._val_loss = None

    def _rate(self) -> float:
        return float(self.model.optimizer.learning_rate)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Keep the validation loss, if there is one, for the next batch."""
        self._val_loss = (logs or {}).get("val_loss")


def loss_between(n_before: int, mean_before: float, n: int, mean: float) -> float:
    """The mean over what was added to a running mean.

    Batches count alike, so the loss of a smaller last batch is mixed with the mean before it. A mean that is not finite
    stays so until the epoch ends.

    >>> loss_between(2, 3.0, 3, 4.0)
    6.0
    """
    return (mean * n - mean_before * n_before) / (n - n_before) if n_before else mean
