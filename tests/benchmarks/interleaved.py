"""Measures settings in interleaved rounds, because a shared machine's speed drifts, each in processes of its own.

A setting runs as several processes at once, with so many threads each; they are started afresh, so that the numbers of
threads are known before any library is loaded, and stay alive, so that everything is compiled and warm.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.connection import Connection
from random import Random
from typing import Any
from unittest.mock import patch

ONE_THREAD_OF_XLA = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
PAUSE = 0.02
"""Seconds between two measurements, for threads that still spin to go to sleep."""

N_TRIALS = 2
"""Rounds in which finalists are found."""

_PROCESSES = get_context("spawn")


@dataclass(frozen=True)
class Setting:
    """One way to run a contender.

    Attributes:
        contender: its name.
        label: what sets it apart from other settings of the contender.
        prepare: "module:function" that is called with `arguments` and `n_threads` and returns what is measured.
        units: work done by one call, in one process.
        n_processes: processes that work at the same time.
        n_threads: threads of each.
        arguments: by name.
    """

    contender: str
    label: str
    prepare: str
    units: float
    n_processes: int = 1
    n_threads: int = 1
    arguments: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        return f"{self.label}, {self.n_processes} x {self.n_threads} threads"


@dataclass
class Rates:
    """Units per second of every setting in every round, and why some were not measured."""

    rounds: dict[Setting, list[float]]
    missing: dict[str, str]

    def contenders(self) -> list[str]:
        return list(dict.fromkeys(setting.contender for setting in self.rounds))

    def median(self, setting: Setting) -> float:
        return statistics.median(self.rounds[setting])

    def fastest(self, *contenders: str) -> list[Setting]:
        """The settings of these contenders, the fastest first."""
        return sorted((s for s in self.rounds if s.contender in contenders), key=self.median, reverse=True)

    def best(self, *contenders: str) -> Setting | None:
        """The fastest setting of these contenders; None if none was measured."""
        return next(iter(self.fastest(*contenders)), None)

    def ratio(self, setting: Setting, other: Setting) -> float:
        """Median over the rounds of how many times faster a setting was than another in the same round."""
        pairs = zip(self.rounds[setting], self.rounds[other], strict=True)
        return statistics.median(rate / other_rate for rate, other_rate in pairs)


def measure(
    settings: Sequence[Setting],
    n_rounds: int,
    seconds: float = 0.3,
    n_finalists: int | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Rates:
    """Warm every setting up, then measure in rounds, in changing order, each setting for about `seconds`.

    With `n_finalists`, all settings are tried in `N_TRIALS` rounds, and only so many of each contender, the fastest,
    take part in the rounds that count. Contenders whose libraries are not installed are left out, with the reason.

    Raises:
        RuntimeError: a contender failed.
    """
    with ExitStack() as stack:
        crews = _Crews(stack)
        missing: dict[str, str] = {}
        n_calls: dict[Setting, int] = {}
        for setting in settings:
            say(f"warming up: {setting.contender}, {setting}")
            try:
                crews.seconds(setting, 1)
                n_calls[setting] = max(1, round(seconds / crews.seconds(setting, 1)))
            except ImportError as error:
                missing[setting.contender] = str(error)

        def rates_in(n_rounds: int, name: str) -> Rates:
            rates = Rates({setting: [] for setting in n_calls}, missing)
            for number in range(n_rounds):
                say(f"{name} {number + 1} of {n_rounds}")
                for setting in Random(number).sample(list(n_calls), len(n_calls)):
                    time.sleep(PAUSE)
                    units = setting.units * n_calls[setting] * setting.n_processes
                    rates.rounds[setting].append(units / crews.seconds(setting, n_calls[setting]))
            return rates

        if n_finalists is not None:
            trials = rates_in(N_TRIALS, "trial")
            finalists = [setting for c in trials.contenders() for setting in trials.fastest(c)[:n_finalists]]
            n_calls = {setting: n_calls[setting] for setting in finalists}
        return rates_in(n_rounds, "round")


class _Crews:
    """A crew for each module and each number of processes and threads, started when it is first needed."""

    def __init__(self, stack: ExitStack):
        self.stack = stack
        self.crews: dict[tuple[str, int, int], _Crew] = {}

    def seconds(self, setting: Setting, n_calls: int) -> float:
        key = (setting.prepare.partition(":")[0], setting.n_processes, setting.n_threads)
        if key not in self.crews:
            self.crews[key] = self.stack.enter_context(_crew(setting.n_processes, setting.n_threads))
        return self.crews[key].seconds(setting, n_calls)


class _Crew:
    """Processes that work at the same time."""

    def __init__(self, pipes: list[Connection]):
        self.pipes = pipes

    def seconds(self, setting: Setting, n_calls: int) -> float:
        """Let every process make so many calls; how long until the last has finished."""
        start = time.perf_counter()
        for pipe in self.pipes:
            pipe.send((setting, n_calls))
        errors = [pipe.recv() for pipe in self.pipes]
        elapsed = time.perf_counter() - start
        for error in errors:
            if isinstance(error, ImportError):
                raise error
            if error is not None:
                raise RuntimeError(f"{setting.contender} ({setting}) failed: {error}")
        return elapsed


@contextmanager
def _crew(n_processes: int, n_threads: int) -> Iterator[_Crew]:
    """Start processes; single-threaded ones have a core each."""
    variables = dict.fromkeys(THREAD_VARIABLES, str(n_threads)) | {"TORCHINDUCTOR_COMPILE_THREADS": "1"}
    if n_threads == 1:
        variables["XLA_FLAGS"] = ONE_THREAD_OF_XLA
    cores: list[int | None] = [None] * n_processes
    if n_threads == 1 and hasattr(os, "sched_getaffinity"):
        cores = list(sorted(os.sched_getaffinity(0))[:n_processes])
    pipes, processes = [], []
    with patch.dict(os.environ, variables):
        for core in cores:
            ours, theirs = _PROCESSES.Pipe()
            process = _PROCESSES.Process(target=_work, args=(theirs, core), daemon=True)
            process.start()
            theirs.close()
            pipes.append(ours)
            processes.append(process)
    try:
        yield _Crew(pipes)
    finally:
        for pipe in pipes:
            pipe.close()
        for process in processes:
            process.join()


def _work(pipe: Connection, core: int | None) -> None:
    """Make the calls that are asked for until the other end is closed; answer with None or what went wrong."""
    if core is not None:
        os.sched_setaffinity(0, {core})
    calls: dict[Setting, Callable[[], object]] = {}
    with pipe:
        while True:
            try:
                setting, n_calls = pipe.recv()
            except (EOFError, ConnectionResetError):
                return
            try:
                if setting not in calls:
                    calls[setting] = load(setting)
                for _ in range(n_calls):
                    calls[setting]()
                pipe.send(None)
            except ImportError as error:
                pipe.send(ImportError(str(error)))
            except Exception as error:
                pipe.send(f"{type(error).__name__}: {error}")


def load(setting: Setting) -> Callable[[], Any]:
    """What is measured, in this process."""
    module, _, function = setting.prepare.partition(":")
    call: Callable[[], Any] = getattr(import_module(module), function)(
        n_threads=setting.n_threads, **dict(setting.arguments)
    )
    return call
