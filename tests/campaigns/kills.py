"""Kills `curvebench generate` at random times and at every single step of its writing, and looks at what is left.

    PYTHONPATH=tests python -m campaigns.kills --kills 200

Both when it makes a file and when it makes a folder. After each kill nothing under a final name may be anything but
whole. Then the same call is made again: it must end well, with the content of an undisturbed run, and leave nothing but
the data set. A kill is SIGKILL to all processes.
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
from dataclasses import dataclass
from pathlib import Path

from oracles.tiny_recipe import tiny_file

from curvebench.data import store
from curvebench.generation import generate as generate_module
from curvebench.generation.engine import make_engine
from curvebench.generation.generate import generate, generate_folder
from curvebench.generation.intervene import run_group
from curvebench.generation.plan import make_plan
from curvebench.spec import CheckFailed, InputError

RECIPE = tiny_file(('engine = "torch"', 'engine = "fused"'))
"""Three groups, which train in a fraction of a second."""


KEYS = ("kills", "shards_left", "half_written", "restart_failed", "other_content", "left_behind")
"""What is counted; all but the first two must stay 0."""


@dataclass(frozen=True)
class Place:
    """Where a data set is made again and again.

    Attributes:
        parent: a folder in which nothing else lies.
        is_folder: whether a folder of shards is made.
    """

    parent: Path
    is_folder: bool

    @property
    def path(self) -> Path:
        """Of the data set."""
        return self.parent / ("data" if self.is_folder else "data.h5")

    @property
    def is_done(self) -> bool:
        """Whether the data set is there and all has been tidied up: a kill that comes then comes too late."""
        return os.listdir(self.parent) == [self.path.name]

    def make(self) -> None:
        """Do the work that is going to be killed."""
        (generate_folder if self.is_folder else generate)(RECIPE, self.path, workers=1)

    def clear(self) -> None:
        """Remove all that lies there."""
        shutil.rmtree(self.parent)
        self.parent.mkdir()


def run(n_kills: int, stride: int = 1, seed: int = 0) -> dict[str, dict[str, int]]:
    """All figures, of files and of folders."""
    return {
        f"{when}_{what}": figures
        for what, is_folder in (("file", False), ("folder", True))
        for when, figures in (
            ("at_random_times", at_random_times(n_kills, seed, is_folder=is_folder)),
            ("at_every_step", at_every_step(stride, is_folder=is_folder)),
        )
    }


def at_random_times(n_kills: int, seed: int = 0, *, is_folder: bool = False) -> dict[str, int]:
    """Kill real work at times that are uniform over an undisturbed run; half of the restarts are killed again."""
    rng, figures = random.Random(seed), Counter(dict.fromkeys(KEYS, 0))
    make_engine("fused").prepare(lambda sentence: None)
    with tempfile.TemporaryDirectory() as name:
        place = Place(Path(name), is_folder)
        digest = _undisturbed(place)
        begin = time.monotonic()
        place.clear()
        _undisturbed(place)
        duration = time.monotonic() - begin
        while figures["kills"] < n_kills:
            place.clear()
            while True:
                child = _start(place.make)
                time.sleep(rng.uniform(0, duration))
                was_killed = _kill(child) and not place.is_done
                figures["kills"] += was_killed
                _look(place, figures)
                if not was_killed or figures["kills"] == n_kills or rng.random() < 0.5:
                    break
            if was_killed:
                _restart(place, digest, figures)
    return dict(figures)


def at_every_step(stride: int = 1, *, is_folder: bool = False) -> dict[str, int]:
    """Kill at each step of writing: before every call that changes a folder, in the middle and at the end of a write.

    Training is left out: the groups' outcomes are computed once.

    Args:
        stride: take only every so-manieth step.
        is_folder: whether a folder of shards is made.
    """
    figures = Counter(dict.fromkeys(KEYS, 0))
    engine = make_engine("fused")
    engine.prepare(lambda sentence: None)
    outcomes = {group.index: run_group(RECIPE.recipe, group, engine) for group in make_plan(RECIPE.recipe)}
    true_run, generate_module.run_group = generate_module.run_group, lambda recipe, group, engine: outcomes[group.index]
    try:
        with tempfile.TemporaryDirectory() as name:
            place = Place(Path(name), is_folder)
            digest = _undisturbed(place)
            n_steps, is_over = 0, False
            while not is_over:
                place.clear()
                child = _start(lambda at=n_steps: _dying(place, at))
                status = os.waitpid(child, 0)[1]
                if is_over := not os.WIFSIGNALED(status):
                    break
                figures["kills"] += 1
                _look(place, figures)
                _restart(place, digest, figures)
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


def _dying(place: Place, at: int) -> None:
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
        if is_change and str(arguments[0]).startswith(str(place.parent)):
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
    place.make()


# ------------------------------------------------------------------------------------------------- looking


def _undisturbed(place: Place) -> str:
    """The content hash of a run that nobody disturbs."""
    assert os.waitpid(_start(place.make), 0)[1] == 0
    return store.verify(place.path).content_sha256


def _look(place: Place, figures: Counter[str]) -> None:
    """Whether everything under a final name is whole."""
    shards = list(place.parent.glob(f"{place.path.name}.parts/*/group-*.h5"))
    figures["shards_left"] += len(shards)
    for path in (*shards, place.path):
        if path.exists() and not _is_whole(path):
            figures["half_written"] += 1


def _is_whole(path: Path) -> bool:
    try:
        store.verify(path)
    except (InputError, CheckFailed):
        return False
    return True


def _restart(place: Place, digest: str, figures: Counter[str]) -> None:
    """Make the data set again; `verify` minds what lies in a folder without belonging there."""
    status = os.waitpid(_start(place.make), 0)[1]
    is_there = place.path.exists() and _is_whole(place.path)
    figures["restart_failed"] += status != 0 or not is_there
    figures["other_content"] += is_there and store.verify(place.path).content_sha256 != digest
    figures["left_behind"] += not place.is_done


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200, help="at random times, of each kind")
    parser.add_argument("--stride", type=int, default=1, help="of the steps of writing")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print(json.dumps(run(arguments.kills, arguments.stride, arguments.seed), indent=1))  # noqa: T201


if __name__ == "__main__":
    main()
