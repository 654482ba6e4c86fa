"""A callback for the Trainer of Hugging Face's transformers.

Example: `Trainer(..., callbacks=[DiagnosisCallback(stop=True)])`.
"""

from __future__ import annotations

import math
from typing import Any

from transformers import TrainerCallback
from transformers.trainer_callback import ExportableState

from curvebench.monitoring.monitor import Monitor
from curvebench.monitoring.watch import AGREE_EVERY, Watch


class DiagnosisCallback(TrainerCallback, ExportableState):  # type: ignore[misc]  # their types are not looked at
    """Tells what the Trainer logs, every `logging_steps`, to a monitor; its state is part of the checkpoints.

    The Trainer logs the mean loss since it last did, and unless `logging_nan_inf_filter` is off, another number in
    place of one that is not finite. The norm of the gradient is not filtered: where it is not finite, the loss is taken
    for NaN.

    Args:
        monitor: who judges; None: `Monitor()`. The planned number of steps is the trainer's, unless it knows one.
        log: write each finding to the logger `curvebench.monitoring`.
        warn: warn of each.
        stop: set `control.should_training_stop` at the first.
    """

    def __init__(
        self, monitor: Monitor | None = None, *, log: bool = True, warn: bool = False, stop: bool = False
    ) -> None:
        self.watch = Watch(monitor, log=log, warn=warn, stop=stop)
        self._val_loss: float | None = None

    @property
    def monitor(self) -> Monitor:
        """Who judges."""
        return self.watch.monitor

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Learn the plan, and what a checkpoint knows."""
        self.watch.is_first_process = state.is_world_process_zero
        with self.watch.guard:
            self.watch.plan(state.max_steps if state.max_steps > 0 else None)
            stored = state.stateful_callbacks.get(type(self).__name__) if state.global_step > 0 else None
            if stored:
                stored = stored[0] if isinstance(stored, list) else stored
                self.monitor.load_state_dict(stored["attributes"]["stored"])

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Tell a loss that was logged; keep a validation loss for the next."""
        if not (self.watch.is_first_process and self.watch.guard.is_open and logs):
            return
        with self.watch.guard:
            self._val_loss = logs.get("eval_loss", self._val_loss)
            if "loss" in logs:
                norm = logs.get("grad_norm")
                is_hidden = args.logging_nan_inf_filter and norm is not None and not math.isfinite(norm)
                self.watch.update(
                    state.global_step,
                    math.nan if is_hidden else logs["loss"],
                    grad_norm=norm,
                    learning_rate=logs.get("learning_rate"),
                    val_loss=self._val_loss,
                )
                self._val_loss = None
            if self.watch.wants_to_stop and args.world_size == 1:
                control.should_training_stop = True

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Where there are several processes, stop together if the first asks for it."""
        if self.watch.stop and args.world_size > 1 and state.global_step % AGREE_EVERY == 0:
            import torch

            # processes that did not stop together would wait for each other for ever
            wants = torch.tensor(int(self.watch.wants_to_stop), device=args.device)
            torch.distributed.broadcast(wants, src=0)
            if wants.item():
                control.should_training_stop = True

    def state(self) -> dict[str, Any]:
        """What the Trainer writes into a checkpoint."""
        arguments = {"log": self.watch.log, "warn": self.watch.warn, "stop": self.watch.stop}
        with self.watch.guard:
            return {"args": arguments, "attributes": {"stored": self.monitor.state_dict()}}
        return {"args": arguments, "attributes": {}}
