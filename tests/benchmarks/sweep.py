"""Both engines on other networks, batches and optimisers, and how time grows with work and cores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from benchmarks.interleaved import Rates, Setting, measure
from benchmarks.lineup import FUSED, HERE, TORCH
from benchmarks.workload import WORKLOAD, Shape

from curvebench.generation.backends import available_cores
from curvebench.spec import OPTIMIZERS

PREPARE = {FUSED: f"{HERE}.engines:prepare_fused", TORCH: f"{HERE}.engines:prepare_torch"}
STACKS = {FUSED: (32,), TORCH: (32, 256)}
"""Numbers of networks that are tried; `fused` trains one after the other in any case."""

FLOPS_OF_CALL, MOST_FLOPS_OF_STEP = 2e9, 4e9
"""How much a call should do, and the largest stack that is tried."""

GROWTH = (32, 64, 128, 256, 512, 1024)
"""Numbers of networks in one call."""


def shapes() -> list[Shape]:
    """The workload with one thing changed at a time, and its extremes."""
    changed = [
        *[replace(WORKLOAD, width=width) for width in (8, 16, 32, 64, 128, 256)],
        *[replace(WORKLOAD, depth=depth) for depth in (1, 2, 3, 4)],
        *[replace(WORKLOAD, batch=batch) for batch in (8, 16, 32, 64, 128, 256)],
        *[replace(WORKLOAD, optimizer=optimizer) for optimizer in OPTIMIZERS],
        replace(WORKLOAD, width=8, depth=1, batch=8),
        replace(WORKLOAD, width=256, depth=4, batch=256),
    ]
    return list(dict.fromkeys(changed))


def sweep(n_rounds: int, seconds: float, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure all of it: {"shapes": rows, "growth": one line, "cores": rows}."""
    settings = [
        _setting(contender, shape, n_networks, available_cores(), 1)
        for shape in shapes()
        for contender, stacks in STACKS.items()
        for n_networks in stacks
        if n_networks == stacks[0] or n_networks * shape.flops <= MOST_FLOPS_OF_STEP
    ]
    growing = [_setting(FUSED, WORKLOAD, n_networks, 1, 1, n_steps=100) for n_networks in GROWTH]
    spread = [
        _setting(contender, WORKLOAD, 256, *ways)
        for contender, all_ways in (
            (FUSED, [(1, 1), (available_cores(), 1), (1, available_cores())]),
            (TORCH, [(1, 1), (available_cores(), 1)]),
        )
        for ways in dict.fromkeys(all_ways)
    ]
    rates = measure(list(dict.fromkeys([*settings, *growing, *spread])), n_rounds, seconds, say=say)
    return {
        "shapes": [_compare(rates, settings, shape) for shape in shapes()],
        "growth": _line(rates, growing),
        "cores": [_beside_one(rates, spread, setting) for setting in spread],
    }


def _setting(
    contender: str, shape: Shape, n_networks: int, n_processes: int, n_threads: int, n_steps: int | None = None
) -> Setting:
    n_steps = n_steps or int(np.clip(FLOPS_OF_CALL / (shape.flops * n_networks), 2, 400))
    arguments = (("n_networks", n_networks), ("n_steps", n_steps), ("shape", shape))
    label = f"{shape}, {n_networks} networks"
    units = n_networks * n_steps
    return Setting(contender, label, PREPARE[contender], units, n_processes, n_threads, arguments)


def _compare(rates: Rates, settings: list[Setting], shape: Shape) -> dict[str, Any]:
    """Both engines on one shape, each with its best number of networks, one process on each core."""
    of_shape = [setting for setting in settings if dict(setting.arguments)["shape"] == shape]
    fused, torch = (max((s for s in of_shape if s.contender == c), key=rates.median) for c in (FUSED, TORCH))
    return {
        "shape": str(shape),
        "fused": rates.median(fused),
        "torch": rates.median(torch),
        "ratio": rates.ratio(fused, torch),
        "fused_gflops_per_second": rates.median(fused) * shape.flops / 1e9,
    }


def _line(rates: Rates, settings: list[Setting]) -> dict[str, Any]:
    """The straight line through the times of calls, fitted to relative errors, and what it leaves."""
    n_networks = np.array([dict(setting.arguments)["n_networks"] for setting in settings], dtype=float)
    times = np.array([setting.units / rates.median(setting) for setting in settings])
    design = np.stack([np.ones_like(times), n_networks], axis=1) / times[:, None]
    (constant, slope), *_ = np.linalg.lstsq(design, np.ones_like(times), rcond=None)
    return {
        "n_networks": [int(n) for n in n_networks],
        "seconds": times.tolist(),
        "constant_seconds": float(constant),
        "seconds_per_network": float(slope),
        "largest_relative_residual": float(np.abs((constant + slope * n_networks) / times - 1.0).max()),
    }


def _beside_one(rates: Rates, settings: list[Setting], setting: Setting) -> dict[str, Any]:
    one = next(s for s in settings if s.contender == setting.contender and s.n_processes == s.n_threads == 1)
    return {
        "contender": setting.contender,
        "n_processes": setting.n_processes,
        "n_threads": setting.n_threads,
        "steps_per_second": rates.median(setting),
        "over_one": rates.ratio(setting, one),
    }


def print_sweep(found: dict[str, Any]) -> None:
    """The tables."""
    lines = [f"{'network-steps/s':45}{'fused':>12}{'torch':>12}{'ratio':>8}{'fused GFLOP/s':>15}"]
    for row in found["shapes"]:
        speeds = f"{row['fused']:12,.0f}{row['torch']:12,.0f}{row['ratio']:8.2f}{row['fused_gflops_per_second']:15.1f}"
        lines.append(f"{row['shape']:45}{speeds}")
    growth = found["growth"]
    lines += ["", f"{'networks in one call of fused':45}{'seconds':>12}"]
    lines += [f"{n:<45}{t:12.4f}" for n, t in zip(growth["n_networks"], growth["seconds"], strict=True)]
    lines.append(
        f"straight line: {growth['constant_seconds'] * 1e3:.2f} ms + {growth['seconds_per_network'] * 1e3:.4f} ms for"
        f" each network; largest residual {growth['largest_relative_residual']:.1%}"
    )
    lines += ["", f"{'processes x threads':45}{'steps/s':>12}{'x one':>12}"]
    for row in found["cores"]:
        name = f"{row['contender']}, {row['n_processes']} x {row['n_threads']}"
        lines.append(f"{name:45}{row['steps_per_second']:12,.0f}{row['over_one']:12.2f}")
    print("\n".join(lines))  # noqa: T201
