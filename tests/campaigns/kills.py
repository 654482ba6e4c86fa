"""Kills `curvebench generate` at random times and at every single step of its writing, and looks at what is left.

    PYTHONPATH=tests python -m campaigns.kills --kills 200

After each kill nothing under a final name may be anything but whole. Then the same call is made again: it must end
well, with the content of an undisturbed run, and leave nothing but the data set. A kill is SIGKILL to all processes.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from oracles.tiny_recipe import tiny_file

from curvebench.data import store
from curvebench.generation import generate as generate_module
from curvebench.generation.engine import make_engine
from curvebench.generation.generate import generate
from curvebench.generation.intervene import run_group
from curvebench.generation.plan import make_plan
from curvebench.spec import CheckFailed, InputError

RECIPE = tiny_file(('engine = "torch"', 'engine = "fused"'))
"""Three groups, which train in a fraction of a second."""


KEYS = ("kills", "shards_left", "half_written", "restart_failed", "other_content", "left_behind")
"""What is counted; all but the first two must stay 0."""


def at_random_times(n_kills: int, seed: int = 0) -> dict[str, int]:
    """Kill real work at times that are uniform over an undisturbed run; half of the restarts are killed again."""
    rng, figures = random.Random(seed), Counter(dict.fromkeys(KEYS, 0))
    make_engine("fused").prepare(lambda sentence: None)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        digest = _undisturbed(folder)
        begin = time.monotonic()
        _begin(folder)
        _undisturbed(folder)
        duration = time.monotonic() - begin
        while figures["kills"] < n_kills:
            _begin(folder)
            while True:
                child = _start(lambda: generate(RECIPE, folder / "data.h5", workers=1))
                time.sleep(rng.uniform(0, duration))
                was_killed = _kill(child)
                figures["kills"] += was_killed
                _look(folder, figures)
                if not was_killed or figures["kills"] == n_kills or rng.random() < 0.5:
                    break
            if was_killed:
                _restart(folder, digest, figures)
    return dict(figures)


def at_every_step(stride: int = 1) -> dict[str, int]:
    """Kill at each step of writing: before every call that changes a folder, in the middle and at the end of a write.

    Training is left out: the groups' outcomes are computed once.

    Args:
        stride: take only every so-manieth step.
    """
    figures = Counter(dict.fromkeys(KEYS, 0))
    engine = make_engine("fused")
    engine.prepare(lambda sentence: None)
    outcomes = {group.index: run_group(RECIPE.recipe, group, engine) for group in make_plan(RECIPE.recipe)}
    true_run, generate_module.run_group = generate_module.run_group, lambda recipe, group, engine: outcomes[group.index]
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            digest = _undisturbed(folder)
            n_steps, is_over = 0, False
            while not is_over:
                _begin(folder)
                child = _start(lambda at=n_steps: _dying(folder, at))
                status = os.waitpid(child, 0)[1]
                if is_over := not os.WIFSIGNALED(status):
                    break
                figures["kills"] += 1
                _look(folder, figures)
                _restart(folder, digest, figures)
                n_steps += stride
    finally:
        generate_module.run_group = true_run
    return dict(figures)


# ------------------------------------------------------------------------------------------------- children


def _start(action: Callable[[], object]) -> int:
    """Do something in a fork, in a process group of its own; the process id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.setsid()
        action()
        code = 0
    except Exception as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)  # noqa: T201
    finally:
        os._exit(code)


def _kill(child: int) -> bool:
    """Kill a child, and say whether it was not over before."""
    try:
        os.killpg(child, signal.SIGKILL)
    except ProcessLookupError:  # not yet in its group, or over
        os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def _dying(folder: Path, at: int) -> None:
    """Make the data set, but die at the step of that number."""
    steps = 0

    def step() -> None:
        nonlocal steps
        if steps == at:
            os.kill(os.getpid(), signal.SIGKILL)
        steps += 1

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        is_change = event in ("os.mkdir", "os.rmdir", "os.remove", "os.rename", "os.link") or (
            event == "open" and bool(int(str(arguments[2])) & (os.O_WRONLY | os.O_RDWR))
        )
        if is_change and str(arguments[0]).startswith(str(folder)):
            step()

    def write_synced(path: Path, image: bytes) -> None:
        with open(path, "xb") as file:
            for half in (image[: len(image) // 2], image[len(image) // 2 :]):
                step()
                file.write(half)
                file.flush()
            step()
            os.fsync(file.fileno())
        step()

    def sync(path: Path) -> None:
        step()
        true_sync(path)

    true_sync = store.sync
    store._write_synced, store.sync = write_synced, sync
    sys.addaudithook(watch)
    generate(RECIPE, folder / "data.h5", workers=1)


# ------------------------------------------------------------------------------------------------- looking


def _undisturbed(folder: Path) -> str:
    """The content hash of a run that nobody disturbs."""
    path = folder / "data.h5"
    assert os.waitpid(_start(lambda: generate(RECIPE, path, workers=1)), 0)[1] == 0
    return store.verify(path).content_sha256


def _begin(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def _look(folder: Path, figures: Counter[str]) -> None:
    """Whether everything under a final name is whole."""
    shards = list(folder.glob("data.h5.parts/*/group-*.h5"))
    figures["shards_left"] += len(shards)
    for path in (*shards, *folder.glob("data.h5")):
        if path.is_file():
            try:
                store.verify(path)
            except (InputError, CheckFailed):
                figures["half_written"] += 1


def _restart(folder: Path, digest: str, figures: Counter[str]) -> None:
    status = os.waitpid(_start(lambda: generate(RECIPE, folder / "data.h5", workers=1)), 0)[1]
    is_there = (folder / "data.h5").is_file()
    figures["restart_failed"] += status != 0 or not is_there
    figures["other_content"] += is_there and store.verify(folder / "data.h5").content_sha256 != digest
    figures["left_behind"] += os.listdir(folder) != ["data.h5"]


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200, help="at random times")
    parser.add_argument("--stride", type=int, default=1, help="of the steps of writing")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    figures = {
        "at_random_times": at_random_times(arguments.kills, arguments.seed),
        "at_every_step": at_every_step(arguments.stride),
    }
    print(json.dumps(figures, indent=1))  # noqa: T201


if __name__ == "__main__":
    main()
