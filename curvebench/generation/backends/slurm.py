"""Slurm, through submitit: as many jobs as there are to be workers, each of which works on its share of the items."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import submitit

from curvebench.generation.backends.local import available_cores
from curvebench.generation.backends.workers import Workers
from curvebench.spec import UsageError

T = TypeVar("T")
R = TypeVar("R")

LOCAL = "local"
"""Address of no queue: the jobs are processes of this machine, to try things out."""

MINUTES = 24 * 60
"""Time of a job, unless SBATCH_TIMELIMIT says otherwise; sbatch heeds SBATCH_PARTITION and SBATCH_ACCOUNT too."""

FOLDER = ".curvebench-slurm-"
"""How the folder begins for what jobs are given and what they say; in the current folder, which hosts must share."""

SECONDS_BETWEEN_LOOKS = 0.5


def run(work: Callable[[T], R], items: Iterable[T], workers: Workers, on_done: Callable[[T, R], None]) -> None:
    """Work on every item in jobs of a queue; see `curvebench.generation.backends.run_on`.

    Results are reported when a job is at its end. A job that fails, or is ended by the queue, ends the call.
    """
    waiting = list(items)
    n = min(len(waiting), workers.n or available_cores())
    shares = [waiting[i::n] for i in range(n)]
    with tempfile.TemporaryDirectory(prefix=FOLDER, dir=Path.cwd()) as folder:
        jobs = _submitted(folder, workers, work, shares)
        try:
            running = list(zip(jobs, shares, strict=True))
            while running:
                for job, share in [pair for pair in running if pair[0].done()]:
                    for item, result in zip(share, _results(job), strict=True):
                        on_done(item, result)
                    running = [pair for pair in running if pair[0] is not job]
                time.sleep(SECONDS_BETWEEN_LOOKS)
        finally:
            for job in jobs:
                job.cancel(check=False)


def _submitted(folder: str, workers: Workers, work: Callable[[T], R], shares: Sequence[Sequence[T]]) -> list[Any]:
    try:
        executor = submitit.AutoExecutor(folder, cluster=LOCAL if workers.address == LOCAL else "slurm")
    except RuntimeError as error:
        raise UsageError(f"There is no queue of Slurm here: {error}; --address {LOCAL} works without one.") from None
    options = {} if workers.address in (None, LOCAL) else {"slurm_partition": workers.address}
    executor.update_parameters(timeout_min=MINUTES, cpus_per_task=1, name="curvebench", **options)
    return list(executor.map_array(_work_on, [work] * len(shares), shares))


def _work_on(work: Callable[[T], R], share: Sequence[T]) -> list[R] | Exception:
    """What came of each item, or the error that ended the work: submitit would make a text of it."""
    try:
        return [work(item) for item in share]
    except Exception as error:
        return error


def _results(job: Any) -> Sequence[Any]:
    if job.exception() is not None:
        raise UsageError(
            f"The job {job.job_id} was ended before its work was done, by the queue or for want of memory or time. "
            "What is finished is kept, and the same call goes on from there."
        )
    outcome = job.result()
    if isinstance(outcome, Exception):
        raise outcome
    return list(outcome)
