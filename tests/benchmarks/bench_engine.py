"""Network-steps per second of our engines beside everything else that can train many small networks.

As a test that demands the required ratios: python -m pytest tests/benchmarks/bench_engine.py
As a command that prints the table:         python tests/benchmarks/bench_engine.py [--rounds N] [--sweep] [--json]

Each contender runs as one single-threaded process on each core and, where that can pay, as one process with all cores;
its best setting counts. Reported are medians over interleaved rounds; ratios are taken within a round. A quiet machine
is needed: another process on a core hits contenders differently.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # for the command; pytest has it already

from benchmarks.interleaved import Rates, load, measure
from benchmarks.lineup import CONTENDERS, FUSED, JAX, PLAIN_LOOP, SGEMM, STACKED_TORCH, TORCH, line_up
from benchmarks.sweep import print_sweep, sweep
from benchmarks.workload import WORKLOAD

from curvebench.generation.backends import available_cores

N_ROUNDS, N_FINALISTS = 7, 2
"""Rounds, and settings of each contender that take part in them."""

REQUIRED = [
    (FUSED, (PLAIN_LOOP,), 40.0),
    (FUSED, (JAX,), 3.5),
    (FUSED, STACKED_TORCH, 2.5),
    (FUSED, (SGEMM,), 0.35),
    (TORCH, (PLAIN_LOOP,), 10.0),
]
"""Contender, its rivals of which the best counts, and how many times faster it has to be."""


# -------------------------------------------------------------------------------------------- the table


@dataclass(frozen=True)
class Row:
    """A contender at its best setting; ratios are None where the rival was not measured."""

    contender: str
    setting: str
    steps_per_second: float
    gflops_per_second: float
    over_plain_loop: float | None
    over_jax: float | None
    over_stacked_torch: float | None
    share_of_sgemm: float | None


def ratio(rates: Rates, contender: str, rivals: tuple[str, ...]) -> float | None:
    """How many times faster a contender is than the best of its rivals, each at its best setting."""
    best, rival = rates.best(contender), rates.best(*rivals)
    return rates.ratio(best, rival) if best and rival else None


def make_rows(rates: Rates) -> list[Row]:
    rows = []
    for contender in CONTENDERS:
        best = rates.best(contender)
        if best is not None:
            speed = rates.median(best)
            ratios = [ratio(rates, contender, rivals) for rivals in ((PLAIN_LOOP,), (JAX,), STACKED_TORCH, (SGEMM,))]
            rows.append(Row(contender, str(best), speed, speed * WORKLOAD.flops / 1e9, *ratios))
    return rows


def machine() -> dict[str, object]:
    """What was measured on, and with which versions."""
    versions = {}
    for name in ("torch", "jax", "jaxlib", "numba", "llvmlite", "numpy"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = None
    return {"cores": available_cores(), "processor": _processor(), "python": platform.python_version(), **versions}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def print_table(rates: Rates, n_rounds: int) -> None:
    say(f"{WORKLOAD}; {WORKLOAD.flops:,} useful flops per network-step")
    say(", ".join(f"{name} {value}" for name, value in machine().items()))
    say(f"medians of {n_rounds} rounds; stacked torch: the best of {', '.join(STACKED_TORCH)}\n")
    say(f"{'':25}{'network-steps/s':>16}{'GFLOP/s':>9}{'x loop':>9}{'x JAX':>8}{'x stacked':>11}{'of sgemm':>10}")
    for row in make_rows(rates):
        cells = [
            f"{row.contender:25}{row.steps_per_second:16,.0f}{row.gflops_per_second:9.1f}",
            _cell(row.over_plain_loop, 9, ".1f"),
            _cell(row.over_jax, 8, ".2f"),
            _cell(row.over_stacked_torch, 11, ".2f"),
            _cell(row.share_of_sgemm, 10, ".0%"),
        ]
        say("".join(cells) + f"   {row.setting}")
    for contender, reason in rates.missing.items():
        say(f"{contender:25} not measured: {reason}")


def _cell(value: float | None, width: int, form: str) -> str:
    return f"{'-' if value is None else format(value, form):>{width}}"


def say(text: str) -> None:
    print(text)  # noqa: T201


# --------------------------------------------------------------------------------------------- the test


@pytest.fixture(scope="module")
def rates():
    return measure(line_up(), N_ROUNDS, n_finalists=N_FINALISTS)


@pytest.mark.timeout(1800)
def test_table(rates, benchmark, capsys):
    with capsys.disabled():
        say("")
        print_table(rates, N_ROUNDS)
    benchmark.extra_info.update({row.contender: asdict(row) for row in make_rows(rates)})
    benchmark.pedantic(load(rates.best(FUSED)), rounds=N_ROUNDS, warmup_rounds=1)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("contender", "rivals", "least"), REQUIRED, ids=[f"{name} over {rivals[0]}" for name, rivals, _ in REQUIRED]
)
def test_ratio(rates, contender, rivals, least):
    if JAX in rivals and JAX in rates.missing:
        pytest.skip(rates.missing[JAX])
    reached = ratio(rates, contender, rivals)
    assert reached is not None, rates.missing
    assert reached >= least, f"{contender} is {reached:.2f} times as fast as {rates.best(*rivals)}"


@pytest.mark.parametrize("contender", [name for name in CONTENDERS if name not in (PLAIN_LOOP, SGEMM)])
def test_all_train_the_same_networks(contender):
    if contender == JAX:
        pytest.importorskip("jax")
    few = {"n_networks": 6, "n_steps": 20}
    parameters = []
    for name in (PLAIN_LOOP, contender):
        setting = next(s for s in line_up(compiled=False) if s.contender == name)
        module, _, function = setting.prepare.partition(":")
        parameters.append(
            getattr(import_module(module), function)(**{**dict(setting.arguments), **few, "n_threads": 1})()
        )
    np.testing.assert_allclose(parameters[1], parameters[0], rtol=1e-5, atol=1e-5)


# ------------------------------------------------------------------------------------------ the command


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure our engines beside their rivals on this machine.")
    parser.add_argument("--rounds", type=int, default=N_ROUNDS, help="interleaved rounds (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=0.3, help="of each measurement (default: %(default)s)")
    parser.add_argument(
        "--no-compile", action="store_true", help="leave torch.compile out, which takes long to warm up"
    )
    parser.add_argument(
        "--sweep", action="store_true", help="other networks, optimisers, numbers of networks and cores"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, with the rates of every setting and round")
    options = parser.parse_args()

    def progress(text: str) -> None:
        print(text, file=sys.stderr)  # noqa: T201

    if options.sweep:
        found = sweep(options.rounds, options.seconds, progress)
        say(json.dumps({"machine": machine(), **found})) if options.json else print_sweep(found)
        return
    rates = measure(line_up(not options.no_compile), options.rounds, options.seconds, N_FINALISTS, progress)
    if options.json:
        settings = [{**asdict(setting), "rates": rounds} for setting, rounds in rates.rounds.items()]
        rows = [asdict(row) for row in make_rows(rates)]
        say(json.dumps({"machine": machine(), "rows": rows, "settings": settings, "missing": rates.missing}))
    else:
        print_table(rates, options.rounds)


if __name__ == "__main__":
    main()
