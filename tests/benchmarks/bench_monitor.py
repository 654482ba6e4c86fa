"""What an update of the monitor costs: on average over a training, and the dearest one, a look.

As a test that demands less than 50 microseconds on average: python -m pytest tests/benchmarks/bench_monitor.py
"""

from __future__ import annotations

from time import perf_counter_ns

import numpy as np
import pytest

from curvebench import Monitor
from curvebench.monitoring.monitor import DEFAULT_DIAGNOSER

N_UPDATES = 10_000
REQUIRED_MICROSECONDS = 50
"""Average over a training of so many updates."""


def losses() -> list[float]:
    rng = np.random.default_rng(0)
    return (9 / np.arange(1, N_UPDATES + 1) * rng.lognormal(sigma=0.2, size=N_UPDATES)).tolist()


def train(total_steps: int | None, diagnoser: str, told: list[float]) -> list[int]:
    """Nanoseconds of each update."""
    monitor, taken = Monitor(total_steps, diagnoser=diagnoser), []
    for step, loss in enumerate(told, start=1):
        begin = perf_counter_ns()
        monitor.update(step, loss, learning_rate=0.1, grad_norm=1.0)
        taken.append(perf_counter_ns() - begin)
    assert not monitor.is_silent
    return taken


@pytest.mark.parametrize("diagnoser", [DEFAULT_DIAGNOSER, "rules"], ids=["default", "rules"])
@pytest.mark.parametrize("total_steps", [N_UPDATES, None], ids=["planned", "unplanned"])
def test_an_update_is_cheap(total_steps, diagnoser, benchmark):
    told, rounds = losses(), []
    benchmark.pedantic(lambda: rounds.append(train(total_steps, diagnoser, told)), rounds=5, warmup_rounds=1)
    fastest = np.min(rounds, axis=0) / 1000  # of each update over the rounds: other work on the machine is left out
    benchmark.extra_info["average_microseconds"] = round(float(fastest.mean()), 2)
    benchmark.extra_info["median_microseconds"] = round(float(np.median(fastest)), 2)
    benchmark.extra_info["dearest_microseconds"] = round(float(fastest.max()), 1)
    assert np.mean(rounds) / 1000 < REQUIRED_MICROSECONDS
