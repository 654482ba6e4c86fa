"""Who is measured, and with which settings: every rival gets several, and its best one counts."""

from __future__ import annotations

import shutil

import numpy as np
from benchmarks.interleaved import Setting
from benchmarks.workload import WORKLOAD

from curvebench.generation.backends import available_cores

HERE = "benchmarks.contenders"
PLAIN_LOOP, VMAP, JAX, BY_HAND, NUMBA_LOOPS, TORCH, FUSED, SGEMM = CONTENDERS = (
    "plain torch loop",
    "torch.func.vmap",
    "JAX vmap + scan + jit",
    "torch, gradients by hand",
    "numba, plain loops",
    "engine torch",
    "engine fused",
    "large sgemm",
)
WORK_OF_CALL = 12_800
"""Network-steps that a call should make."""

STACKED_TORCH = (VMAP, BY_HAND, TORCH)


def line_up(compiled: bool = True) -> list[Setting]:
    """Every setting of every contender; without those of torch.compile if they are not wanted or no C++ is there."""
    compilers = (False, True) if compiled and (shutil.which("g++") or shutil.which("clang++")) else (False,)
    settings = []
    for implementation in ("default", "for loop", "foreach", "fused"):
        settings += _networks(PLAIN_LOOP, "torch_loop:prepare", 2, False, implementation=implementation)
    for is_compiled in compilers:
        for n_networks in (64, 256, 1024):
            settings += _networks(VMAP, "torch_vmap:prepare", n_networks, not is_compiled, compiled=is_compiled)
        for n_networks in (64, 128, 256):
            settings += _networks(BY_HAND, "torch_by_hand:prepare", n_networks, not is_compiled, compiled=is_compiled)
    for n_networks in (16, 64, 256, 1024):
        settings += _networks(JAX, "jax_scan:prepare", n_networks, True)
    for n_networks in (64, 256):
        settings += _networks(NUMBA_LOOPS, "numba_loops:prepare", n_networks, False)
        settings += _networks(TORCH, "engines:prepare_torch", n_networks, False)
    for n_networks in (64, 256, 1024):
        settings += _networks(FUSED, "engines:prepare_fused", n_networks, True)
    return settings + _products()


def _networks(contender: str, prepare: str, n_networks: int, in_threads: bool, **options: object) -> list[Setting]:
    """One single-threaded process on each core; if asked for also one process with a thread for each core."""
    n_steps = int(np.clip(WORK_OF_CALL // n_networks, 20, 300))
    said = [name if value is True else str(value) for name, value in options.items() if value is not False]
    label = ", ".join([f"{n_networks} networks", *said])
    arguments = (("n_networks", n_networks), ("n_steps", n_steps), *options.items())
    return [
        Setting(contender, label, f"{HERE}.{prepare}", n_networks * n_steps, *processes_and_threads, arguments)
        for processes_and_threads in _ways(in_threads)
    ]


def _products() -> list[Setting]:
    """Products of large matrices; their unit is the flops of a network-step."""
    return [
        Setting(
            SGEMM,
            f"{library}, {size} x {size}",
            f"{HERE}.sgemm:prepare_{library}",
            2 * size**3 / WORKLOAD.flops,
            *processes_and_threads,
            (("size", size),),
        )
        for library in ("numpy", "torch")
        for size in (1024, 2048)
        for processes_and_threads in _ways(True)
    ]


def _ways(in_threads: bool) -> list[tuple[int, int]]:
    """(processes, threads of each)."""
    cores = available_cores()
    return [(cores, 1), (1, cores)] if in_threads and cores > 1 else [(cores, 1)]
