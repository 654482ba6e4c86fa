"""Dask: an existing cluster by the address of its scheduler, or one on this machine that ends with the work."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

from distributed import Client, KilledWorker, LocalCluster, as_completed

from curvebench.generation.backends.local import available_cores
from curvebench.generation.backends.workers import IN_FLIGHT, Workers
from curvebench.spec import UsageError

T = TypeVar("T")
R = TypeVar("R")

LOOPBACK = "127.0.0.1"


def run(work: Callable[[T], R], items: Iterable[T], workers: Workers, on_done: Callable[[T, R], None]) -> None:
    """Work on every item in tasks of Dask; see `curvebench.generation.backends.run_on`."""
    with _connected(workers) as client:
        waiting = iter(items)

        def submit(n: int) -> dict[Any, T]:
            return {client.submit(work, item, pure=False): item for item in islice(waiting, n)}

        running = submit(IN_FLIGHT)
        finished = as_completed(list(running))
        for future in finished:
            item = running.pop(future)
            on_done(item, _result(future))
            following = submit(1)
            running |= following
            finished.update(list(following))


def _result(future: Any) -> Any:
    try:
        return future.result()
    except KilledWorker as error:
        raise UsageError(
            f"Dask lost the worker of a shard too often ({error.last_worker.address} last). What is finished is kept, "
            "and the same call goes on from there. If memory ran out, give each worker more."
        ) from None


@contextlib.contextmanager
def _connected(workers: Workers) -> Iterator[Client]:
    with contextlib.ExitStack() as stack:
        if workers.address is None:
            n = available_cores() if workers.n is None else workers.n
            cluster = LocalCluster(
                n_workers=n,
                threads_per_worker=1,
                host=LOOPBACK,
                dashboard_address=None,
                memory_limit=None,
                silence_logs=logging.CRITICAL,
            )
            target = stack.enter_context(cluster)
        else:
            target = workers.address
        try:
            client = stack.enter_context(Client(target))
        except (OSError, ValueError) as error:
            raise UsageError(f"No scheduler of Dask answers at {workers.address}: {error}.") from None
        yield client
