"""Where the time of `curvebench generate` goes: how much of it is training, and what the rest is.

Run it with: python tests/benchmarks/bench_pipeline.py [--recipe core] [--groups N] [--engine NAME] [--json]
With --memory it says how much memory a worker has taken at most after one, two, … sixteen groups.

Some groups of a recipe, evenly spread over its plan, are made in this process as a worker makes them, then merged and
written. Functions are wrapped by timers; each second is counted once, for the innermost of them. The first use of the
engine, which may compile, is told apart.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.workload import make_job

from curvebench.generation import generate, intervene
from curvebench.generation.engine import make_engine
from curvebench.generation.parts import part_path
from curvebench.generation.plan import make_plan
from curvebench.generation.recipe import load_recipe, with_engine
from curvebench.spec import TrainingJob, Trajectories

TRAINING, REST = "training", "everything else (planning sweeps, cutting results up)"
TIMED = (
    ("recipe", generate, "parse_recipe"),
    ("problems", intervene, "make_problem"),
    ("initial weights", intervene, "initial_parameters"),
    ("batches", intervene._GroupTrainer, "_batches"),
    ("schedules", intervene._GroupTrainer, "_rates"),
    ("outcomes into one table", intervene._GroupTrainer, "outcomes"),
    ("labels and columns", generate, "make_shard"),
    ("writing", generate, "write"),
    ("reading shards", generate, "load"),
    ("merging shards", generate, "_merge"),
)
"""What its seconds are called, and the function that is timed where it is looked up."""


class Stopwatch:
    """Counts seconds by name, those of nested calls for the inner name only."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._inner = [0.0]  # of each open call, what its own calls took

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self._inner.append(0.0)
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                elapsed = time.perf_counter() - start
                self.seconds[name] += elapsed - self._inner.pop()
                self._inner[-1] += elapsed

        return call


def measure(recipe_name: str, n_groups: int, engine_name: str | None) -> dict[str, Any]:
    """Make, merge and write groups; seconds by part, and what was made."""
    recipe_file = load_recipe(recipe_name)
    if engine_name:
        recipe_file = with_engine(recipe_file, engine_name)
    recipe = recipe_file.recipe
    plan = make_plan(recipe)
    groups = [plan[i * len(plan) // n_groups] for i in range(min(n_groups, len(plan)))]
    engine, watch = make_engine(recipe.engine), Stopwatch()

    start = time.perf_counter()
    engine.train(make_job(n_networks=2, n_steps=2))
    first_use = time.perf_counter() - start

    class TimedEngine:
        name, n_steps = engine.name, 0
        _train = staticmethod(watch.timed(TRAINING, engine.train))

        def train(self, job: TrainingJob) -> Trajectories:
            TimedEngine.n_steps += job.n_runs * (job.rates.shape[1] - job.start.n_updates)
            return self._train(job)

    def make_all(folder: Path) -> int:
        for group in groups:
            generate._make_part(recipe_file.text, folder, "cpu", group)
        dataset = generate._merge([generate.load(part_path(folder, group.index)) for group in groups])
        generate.write(dataset, folder / "whole.h5")
        return len(dataset)

    with TemporaryDirectory() as folder, ExitStack() as stack:
        stack.enter_context(patch.object(generate, "make_engine", lambda *_, **__: TimedEngine()))
        for name, owner, attribute in TIMED:
            stack.enter_context(patch.object(owner, attribute, watch.timed(name, getattr(owner, attribute))))
        n_runs = watch.timed(REST, make_all)(Path(folder))

    return {
        "recipe": recipe.name,
        "engine": recipe.engine,
        "groups": len(groups),
        "scored_runs": n_runs,
        "first_use_seconds": first_use,
        "network_steps": TimedEngine.n_steps,
        "seconds": dict(watch.seconds.most_common()),
    }


def peak_memory(recipe_name: str, engine_name: str | None, n_times: int) -> dict[str, Any]:
    """MiB that a process has taken at most when it has made the same group so many times, and how many runs that is."""
    recipe_file = load_recipe(recipe_name)
    if engine_name:
        recipe_file = with_engine(recipe_file, engine_name)
    group = make_plan(recipe_file.recipe)[0]
    n_runs = 0
    with TemporaryDirectory() as folder:
        for _ in range(n_times):
            generate._make_part(recipe_file.text, Path(folder), "cpu", group)
            n_runs += len(generate.load(part_path(Path(folder), group.index)))
    return {
        "groups": n_times,
        "runs": n_runs,
        "mebibytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def measure_memory(recipe_name: str, engine_name: str | None) -> list[dict[str, Any]]:
    """`peak_memory` after 1, 2, 4, 8 and 16 groups, each in a process of its own."""
    found = []
    for n_times in (1, 2, 4, 8, 16):
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            found.append(pool.submit(peak_memory, recipe_name, engine_name, n_times).result())
    return found


def print_table(found: dict[str, Any]) -> None:
    seconds, total = found["seconds"], sum(found["seconds"].values())
    lines = [
        f"recipe {found['recipe']}, engine {found['engine']}, one process, {found['groups']} groups, "
        f"{found['scored_runs']:,} runs kept; first use of the engine {found['first_use_seconds']:.2f} s",
        f"{total:10.2f} s  in all, {found['network_steps'] / total:,.0f} network-steps/s (of dead runs too)",
    ]
    lines += [f"{value:10.2f} s {value / total:7.1%}  {name}" for name, value in seconds.items()]
    print("\n".join(lines))  # noqa: T201


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure which share of `curvebench generate` is training.")
    parser.add_argument("--recipe", default="core", help="name or path of a recipe (default: %(default)s)")
    parser.add_argument("--groups", type=int, default=4, help="groups to make (default: %(default)s)")
    parser.add_argument("--engine", help="instead of the recipe's")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--memory", action="store_true", help="measure a worker's memory instead")
    options = parser.parse_args()
    if options.memory:
        rows = measure_memory(options.recipe, options.engine)
        lines = [f"{row['groups']:4} groups, {row['runs']:8,} runs: {row['mebibytes']:8.1f} MiB" for row in rows]
        print(json.dumps(rows) if options.json else "\n".join(lines))  # noqa: T201
        return
    found = measure(options.recipe, options.groups, options.engine)
    print(json.dumps(found)) if options.json else print_table(found)  # noqa: T201


if __name__ == "__main__":
    main()
