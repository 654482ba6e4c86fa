"""What is done about a diagnosis: it is logged, warned about, or training is asked to stop."""

from __future__ import annotations

import os
from typing import SupportsFloat, SupportsIndex

from curvebench.monitoring.guard import LOGGER, Guard, warn
from curvebench.monitoring.monitor import Monitor
from curvebench.spec import UsageError

AGREE_EVERY = 32
"""Steps after which the processes of a distributed training ask each other whether to stop."""


class Watch:
    """A monitor with a voice, for loops of one's own and for the adapters.

    Nothing happens in other processes than the first of a distributed training.

    Args:
        monitor: who judges; None: `Monitor(total_steps)`.
        total_steps: the step at which training is planned to end, if the monitor does not know.
        log: write each finding to the logger `curvebench.monitoring`, as a warning.
        warn: warn of each with a `RuntimeWarning`.
        stop: let `update` ask for an end of training at the first.
        rank: of this process; None: what the environment variable RANK says, which torchrun and its like set.

    Raises:
        UsageError: RANK is no number.

    Attributes:
        monitor: who judges.
        guard: keeps errors of an adapter in.
        is_first_process: whether anything happens in this one.
        wants_to_stop: whether training is asked to stop.
    """

    def __init__(
        self,
        monitor: Monitor | None = None,
        *,
        total_steps: int | None = None,
        log: bool = True,
        warn: bool = False,
        stop: bool = False,
        rank: int | None = None,
    ) -> None:
        self.monitor = Monitor() if monitor is None else monitor
        self._has_own_plan = self.monitor.total_steps is not None
        self.plan(total_steps)
        self.guard = Guard()
        self.log, self.warn, self.stop = log, warn, stop
        self.is_first_process = (_rank_of_environment() if rank is None else rank) == 0
        self.wants_to_stop = False

    def plan(self, total_steps: int | None) -> None:
        """Say at which step training is planned to end; what the monitor was made with stands."""
        if not self._has_own_plan:
            self.monitor.total_steps = total_steps

    def update(self, step: SupportsIndex, loss: SupportsFloat, **channels: SupportsFloat | None) -> bool:
        """Tell a loss; arguments as those of `Monitor.update`.

        Returns:
            Whether training is asked to stop: from the first finding on, if `stop`.
        """
        if self.is_first_process and self.monitor.update(step, loss, **channels) is not None:
            sentence = f"CurveBench: {self.monitor.findings[-1]}"
            if self.log:
                LOGGER.warning(sentence)
            if self.warn:
                warn(sentence)
            self.wants_to_stop = self.stop
        return self.wants_to_stop


def _rank_of_environment() -> int:
    said = os.environ.get("RANK") or "0"
    try:
        return int(said)
    except ValueError:
        raise UsageError(
            f"The environment variable RANK is {said!r}, which is no number; unset it, or give rank=."
        ) from None
