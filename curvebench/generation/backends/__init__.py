"""Where shards are worked on. Every backend calls the same function; there is no scheduler of our own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import TypeVar

from curvebench.generation.backends.local import available_cores, run_local
from curvebench.generation.backends.workers import Workers
from curvebench.spec import UsageError

T = TypeVar("T")
R = TypeVar("R")

BACKENDS: Mapping[str, str] = {
    "local": "curvebench.generation.backends.local:run",
    "ray": "curvebench.generation.backends.ray:run",
    "dask": "curvebench.generation.backends.dask:run",
    "slurm": "curvebench.generation.backends.slurm:run",
}
"""Name -> "module:function" that is called as `run_on` is; imported when first used."""

NEEDS: Mapping[str, str] = {"ray": "ray", "dask": "distributed", "slurm": "submitit"}
"""Backend -> the package that its extra installs."""

WITHOUT_COUNT = ("ray", "dask")
"""Backends whose existing clusters have as many workers as they have."""


def check_backend(backend: str, workers: Workers) -> None:
    """Refuse what cannot work, before any work.

    Raises:
        UsageError: there is no such backend, its package is missing, or the workers do not fit it.
    """
    if backend not in BACKENDS:
        raise UsageError(f"There is no backend {backend!r}; there are {', '.join(BACKENDS)}.")
    if workers.n is not None and workers.n < 1:
        raise UsageError(f"{workers.n} workers were asked for; there must be at least one.")
    if backend == "local" and workers.address is not None:
        raise UsageError("The backend 'local' works on this machine and has no address; choose ray, dask or slurm.")
    if backend in WITHOUT_COUNT and workers.address is not None and workers.n is not None:
        raise UsageError(f"The cluster at {workers.address} has the workers that it has; leave their number out.")
    if backend in NEEDS and find_spec(NEEDS[backend]) is None:
        raise UsageError(f"The backend {backend!r} is not installed: pip install 'curvebench[{backend}]'.")


def run_on(
    backend: str, work: Callable[[T], R], items: Iterable[T], workers: Workers, on_done: Callable[[T, R], None]
) -> None:
    """Call `work` on every item somewhere, and report each result in this process as it comes.

    An item may be worked on more than once, even at the same time: whose worker is lost is given out again. An error
    of any item stops the rest.

    Args:
        backend: one of `BACKENDS`.
        work: a picklable function without side effects that matter twice.
        items: what to work on, picklable.
        workers: who works.
        on_done: called with the item and its result.

    Raises:
        UsageError: the backend or its cluster cannot be used, or workers were lost.
    """
    check_backend(backend, workers)
    module, _, function = BACKENDS[backend].partition(":")
    getattr(import_module(module), function)(work, items, workers, on_done)


__all__ = ["BACKENDS", "Workers", "available_cores", "check_backend", "run_local", "run_on"]
