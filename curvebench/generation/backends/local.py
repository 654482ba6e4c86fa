"""The processes of this machine."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import TypeVar

from curvebench.generation.backends.workers import Workers
from curvebench.spec import UsageError

T = TypeVar("T")
R = TypeVar("R")


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(work: Callable[[T], R], items: Iterable[T], workers: Workers, on_done: Callable[[T, R], None]) -> None:
    """Work on every item in processes of this machine; see `run_local`."""
    run_local(work, items, available_cores() if workers.n is None else workers.n, on_done)


def run_local(work: Callable[[T], R], items: Iterable[T], n_workers: int, on_done: Callable[[T, R], None]) -> None:
    """Call `work` on every item, on this machine, and report each result in this process as it comes.

    One worker works in this process; several are processes started afresh. An error of any item stops the rest.

    Args:
        work: a picklable function without side effects that matter twice.
        items: what to work on.
        n_workers: processes.
        on_done: called with the item and its result.
    """
    waiting = list(items)
    if n_workers <= 1 or len(waiting) <= 1:
        for item in waiting:
            on_done(item, work(item))
        return
    pool = ProcessPoolExecutor(
        min(n_workers, len(waiting)), mp_context=get_context("spawn"), initializer=_follow_parent
    )
    try:
        running: dict[Future[R], T] = {pool.submit(work, item): item for item in waiting}
        while running:
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                on_done(running.pop(future), future.result())
    except BrokenProcessPool:
        _stop(pool)
        raise UsageError(
            "A worker process ended before its work was done. What is finished is kept, and the same call goes on from "
            "there. If memory ran out, use fewer workers; in a script, call this under `if __name__ == '__main__':` or "
            "with workers=1, because every worker imports the script."
        ) from None
    except BaseException:
        _stop(pool)
        raise
    pool.shutdown()


def _follow_parent() -> None:
    """Leave Ctrl-C to the parent, so that one sentence is printed and not one traceback per worker; die with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    """End this process when its parent has ended without a word; it would wait for work for ever."""
    if parent := parent_process():
        parent.join()
        os._exit(1)


def _stop(pool: ProcessPoolExecutor) -> None:
    """End the workers now: whatever they have not written yet is done again by the next call."""
    processes = list((pool._processes or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()
