"""The engine `fused`: one network's whole training in the cache of one core, compiled by numba; default on CPU.

The same job gives the same bits on every x86-64 machine: sums are made in one order by fused multiply-adds,
elementary functions are our own, denormals are flushed everywhere. Nothing depends on the number of threads, on how
runs are dealt out, or on which other runs there are.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Timer
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from curvebench.generation.engine import kernels
from curvebench.generation.engine.kernels import Data, Hyper, Net, Out, Plan, Start, Work, train_runs
from curvebench.generation.engine.microkernel import LANES, padded
from curvebench.spec import (
    OBJECTIVES,
    Bool,
    Float,
    Network,
    Optimizer,
    Output,
    State,
    TrainingJob,
    Trajectories,
    UsageError,
)

RUNS_AT_ONCE = 8
"""Runs that a thread takes before it looks up: how long an interruption may take."""

NOTICE_AFTER = 2.0
"""Seconds; loading compiled kernels takes less."""

CACHE_LINE = 64
"""Bytes; what a vector of 16 floats fills."""

LEAST_ROWS = 32
"""Examples of whole sets that are evaluated together, at least."""


class FusedEngine:
    """Trains networks one after the other on every thread; see `curvebench.spec.Engine`."""

    name = "fused"

    def __init__(self, device: str = "cpu", n_threads: int = 1):
        """Take the number of threads; one is right where processes share the work.

        Raises:
            UsageError: the device is not the CPU.
        """
        if device != "cpu":
            raise UsageError(f"The engine 'fused' runs on the CPU; the device {device!r} needs --engine torch.")
        self.n_threads = n_threads

    def prepare(self, say: Callable[[str], None]) -> None:
        """Compile the kernels, or load them from numba's cache; compiling takes a while and is said."""
        notice = Timer(NOTICE_AFTER, say, ["compiling the engine for this processor; once, about 20 seconds"])
        notice.start()
        began = time.perf_counter()
        try:
            self.train(_smallest_job())
        finally:
            notice.cancel()
        seconds = time.perf_counter() - began
        if seconds > NOTICE_AFTER:
            say(f"compiled in {seconds:.0f} s")

    def train(self, job: TrainingJob) -> Trajectories:
        """Train every run of the job."""
        net = make_net(job)
        arguments = (net, _hyper(job), _data(job), _plan(job), _start(job))
        out = _empty(job)
        parts = [(first, min(first + RUNS_AT_ONCE, job.n_runs)) for first in range(0, job.n_runs, RUNS_AT_ONCE)]
        idle = [make_work(net) for _ in range(self.n_threads)]

        def train(part: tuple[int, int]) -> None:
            work = idle.pop()
            train_runs(*arguments, out, work, *part)
            idle.append(work)

        if self.n_threads == 1:
            for part in parts:
                train(part)
        else:
            with ThreadPoolExecutor(self.n_threads) as pool:
                list(pool.map(train, parts))
        return _trajectories(job, out)


def _smallest_job() -> TrainingJob:
    """One network of one unit, one update; arrays of the types that every job has."""
    network = Network(1, 1, depth=1, width=1, activation="relu")
    one = np.ones((1, 1), dtype=np.float32)
    nothing = np.zeros((1, network.n_parameters), dtype=np.float32)
    return TrainingJob(
        network=network,
        task="regression",
        output=Output("identity", "squared_error"),
        optimizer=Optimizer("sgd"),
        train_inputs=one,
        train_targets=one,
        val_inputs=one,
        val_targets=one,
        batches=np.zeros((1, 1, 1), dtype=np.int32),
        seed_of_run=np.zeros(1, dtype=np.int64),
        rates=one,
        start=State(nothing, nothing[:, None][:, :0], 0),
        record_steps=np.array([0, 1]),
        outcome_steps=np.array([1]),
    )


def make_net(job: TrainingJob) -> Net:
    """A job's network as offsets into flat arrays.

    Raises:
        UsageError: the network is no MLP.
    """
    network = job.network
    if not isinstance(network, Network):
        raise UsageError(f"The engine 'fused' trains MLPs; the network {network.module!r} needs engine torch.")
    sizes = np.array(network.sizes, dtype=np.int64)
    pads = np.array([padded(int(size)) for size in sizes], dtype=np.int64)
    n_rows = padded(max(int(job.batches.shape[2]), LEAST_ROWS))
    layer_sizes = np.append((pads[:-2] + 1) * pads[1:-1], sizes[-1] * pads[-2] + pads[-1])
    ends = np.cumsum(layer_sizes)
    return Net(
        n_layers=len(sizes) - 1,
        sizes=_input(sizes, np.int64),
        pads=_input(pads, np.int64),
        weights=_input(ends - layer_sizes, np.int64),
        biases=_input(ends - pads[1:], np.int64),
        units=_input(np.concatenate([[0], np.cumsum(pads[:-2] * n_rows)]), np.int64),
        n_padded=int(ends[-1]),
        n_rows=n_rows,
        hidden=kernels.HIDDEN.index(network.activation),
        output=kernels.OUTPUT.index(job.output.activation),
        loss=kernels.LOSS.index(job.output.loss),
        task=kernels.TASK.index(job.task),
        optimizer=kernels.OPTIMIZER.index(job.optimizer.name),
    )


def make_work(net: Net) -> Work:
    """Scratch memory for one thread."""
    widest = int(net.pads.max())
    n_units = int(net.units[-1] + net.pads[-2] * net.n_rows)
    n_outputs = int(net.sizes[-1]) * net.n_rows

    def zeros(n: int) -> Float:
        return _aligned(np.zeros(n, dtype=np.float32))

    return Work(
        parameters=zeros(net.n_padded),
        gradient=zeros(net.n_padded),
        first=zeros(net.n_padded),
        second=zeros(net.n_padded),
        transposed=zeros(widest * widest),
        z=zeros(n_units),
        h=zeros(n_units),
        delta=zeros(net.n_rows * widest),
        other=zeros(net.n_rows * widest),
        zeros=zeros(widest),
        columns=zeros(int(net.pads[-2]) * net.n_rows),
        output_z=zeros(n_outputs),
        outputs=zeros(n_outputs),
        targets=zeros(n_outputs),
        probabilities=zeros(n_outputs),
        slopes=zeros(n_outputs),
        losses=zeros(net.n_rows),
        most=zeros(net.n_rows),
        total=zeros(net.n_rows),
        product=zeros(net.n_rows),
        lanes=np.zeros(LANES),
    )


def _aligned(array: Float) -> Float:
    """The array at the beginning of a cache line: a vector that lies across two of them takes twice as long."""
    memory = np.empty(array.nbytes + CACHE_LINE, dtype=np.uint8)
    first = -memory.ctypes.data % CACHE_LINE
    aligned: Float = memory[first : first + array.nbytes].view(array.dtype).reshape(array.shape)
    aligned[...] = array
    return aligned


def _hyper(job: TrainingJob) -> Hyper:
    o = job.optimizer
    n_steps = job.rates.shape[1]
    return Hyper(
        momentum=np.float32(o.momentum),
        beta1=np.float32(o.beta1),
        beta2=np.float32(o.beta2),
        alpha=np.float32(o.alpha),
        epsilon=np.float32(o.epsilon),
        weight_decay=np.float32(o.weight_decay),
        corrections1=_input(corrections(o.beta1, n_steps), np.float32),
        corrections2=_input(np.sqrt(corrections(o.beta2, n_steps)), np.float32),
    )


def corrections(beta: float, n_steps: int) -> Float:
    """1 - beta**k for k = 0 .. n_steps, float64, by repeated multiplication; the first, of no update, is one."""
    powers = np.cumprod(np.full(n_steps, beta, dtype=np.float64))
    return np.concatenate([[1.0], 1.0 - powers])


def _data(job: TrainingJob) -> Data:
    n_inputs = job.train_inputs.shape[1]
    padding = ((0, 0), (0, padded(n_inputs) - n_inputs))
    x, x_val = (_input(_aligned(np.pad(inputs, padding)), np.float32) for inputs in (job.train_inputs, job.val_inputs))
    y, y_val = (_input(targets, np.float32) for targets in (job.train_targets, job.val_targets))
    return Data(x, y, x_val, y_val, order=_input(np.arange(max(len(x), len(x_val))), np.int32))


def _plan(job: TrainingJob) -> Plan:
    return Plan(
        first=job.start.n_updates,
        batches=_input(job.batches, np.int32),
        seed_of_run=_input(job.seed_of_run, np.int64),
        rates=_input(job.rates, np.float32),
        record_steps=_input(job.record_steps, np.int64),
        outcome_steps=_input(job.outcome_steps, np.int64),
        checkpoint_steps=_input(job.checkpoint_steps, np.int64),
        telemetry=bool(job.telemetry),
    )


def _start(job: TrainingJob) -> Start:
    return Start(_input(job.start.parameters, np.float32), _input(job.start.slots, np.float32))


def _input(array: ArrayLike, dtype: type) -> NDArray[Any]:
    """The array as all kernels take it: contiguous and read-only, for numba compiles again for any other kind."""
    view: NDArray[Any] = np.ascontiguousarray(array, dtype=dtype).view()
    view.setflags(write=False)
    return view


def _empty(job: TrainingJob) -> Out:
    n, n_points, n_checkpoints = job.n_runs, len(job.record_steps), len(job.checkpoint_steps)
    n_parameters = job.start.parameters.shape[1]
    n_slots, shape = job.optimizer.n_slots, (n, n_points)
    return Out(
        train_loss=np.full(shape, np.nan),
        val_loss=np.full(shape, np.nan),
        grad_norm=np.full(shape, np.nan),
        outcome=np.zeros((n, len(OBJECTIVES))),
        val_outcome=np.zeros((n, len(OBJECTIVES))),
        is_dead=np.zeros(n, dtype=np.bool_),
        parameters=np.full((n, n_checkpoints, n_parameters), np.nan, dtype=np.float32),
        slots=np.full((n, n_checkpoints, n_slots, n_parameters), np.nan, dtype=np.float32),
    )


def _trajectories(job: TrainingJob, out: Out) -> Trajectories:
    checkpoints = {
        step: State(out.parameters[:, i], out.slots[:, i], step) for i, step in enumerate(job.checkpoint_steps)
    }
    outcome, val_outcome = (_mean_outcome(job, sums, out.is_dead) for sums in (out.outcome, out.val_outcome))
    return Trajectories(out.train_loss, out.val_loss, out.grad_norm, outcome, val_outcome, out.is_dead, checkpoints)


def _mean_outcome(job: TrainingJob, sums: Float, is_dead: Bool) -> Float:
    """Means over the evaluations made; inf where not finite, NaN for an objective that the task has not."""
    n_outcomes = int(np.sum(job.outcome_steps > job.start.n_updates))
    mean = sums / n_outcomes if n_outcomes else np.full_like(sums, np.inf)
    mean[~np.isfinite(mean) | is_dead[:, None]] = np.inf
    if job.task == "regression":
        mean[:, OBJECTIVES.index("cross_entropy")] = np.nan
    return mean
