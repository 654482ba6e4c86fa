"""Ray: an existing cluster by its address, or one on this machine that ends with the work."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

import ray
from ray._private import ray_constants
from ray.exceptions import RayError, RayTaskError

from curvebench.generation.backends.local import available_cores
from curvebench.generation.backends.workers import IN_FLIGHT, RETRIES, Workers
from curvebench.spec import UsageError

T = TypeVar("T")
R = TypeVar("R")


def run(work: Callable[[T], R], items: Iterable[T], workers: Workers, on_done: Callable[[T, R], None]) -> None:
    """Work on every item in tasks of Ray; see `curvebench.generation.backends.run_on`."""
    with _connected(workers):
        task = ray.remote(num_cpus=1, max_retries=RETRIES, retry_exceptions=False)(_call)
        waiting = iter(items)
        running: dict[Any, T] = {task.remote(work, item): item for item in islice(waiting, IN_FLIGHT)}
        while running:
            done, _ = ray.wait(list(running), num_returns=1)
            for reference in done:
                item = running.pop(reference)
                on_done(item, _result(reference))
                running |= {task.remote(work, following): following for following in islice(waiting, 1)}


def _call(work: Callable[[T], R], item: T) -> R:
    return work(item)


def _result(reference: Any) -> Any:
    try:
        return ray.get(reference)
    except RayTaskError as error:
        raise error.cause from None
    except RayError as error:
        raise UsageError(
            f"Ray lost the worker of a shard {RETRIES + 1} times ({type(error).__name__}). What is finished is kept, "
            "and the same call goes on from there. If memory ran out, give each worker more."
        ) from None


@contextlib.contextmanager
def _connected(workers: Workers) -> Iterator[None]:
    """Within reach of a cluster; one that the caller has connected to already is used as it is."""
    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # else Ray reports about itself to its makers
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        if workers.address is not None:
            ray.init(address=workers.address, **quiet)
        else:
            n = available_cores() if workers.n is None else workers.n
            ray_constants.ENABLE_RAY_CLUSTER = False  # on Linux Ray has no other way to make it listen on loopback only
            ray.init(address="local", num_cpus=n, include_dashboard=False, **quiet)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UsageError(f"Ray cannot be reached or started: {_one_line(error)}.") from None
    try:
        yield
    finally:
        ray.shutdown()


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")
