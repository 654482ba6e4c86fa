"""Changes single bytes of a data set, cuts it short at any length, and counts what `curvebench verify` lets pass.

PYTHONPATH=tests python -m campaigns.flips --flips 10000 --cuts 2000
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from pathlib import Path

import h5py
import numpy as np

from curvebench.data import store
from curvebench.data.columns import COLUMNS
from curvebench.data.dataset import to_stored
from curvebench.data.subset import subset
from curvebench.spec import CheckFailed, InputError


def run(n_flips: int, n_cuts: int, seed: int = 0, n_runs: int = 60) -> dict[str, int]:
    """Figures: a change is `refused`, `harmless` (everything reads as before), or `silent`, which none may be.

    Args:
        n_flips: bytes changed to a random other value at random places, one at a time.
        n_cuts: lengths to which the file is cut; all of them if there are no more.
        seed: of the places.
        n_runs: of the data set, a part of the shipped one.
    """
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory(dir=_memory()) as folder:
        path = Path(folder) / "data.h5"
        store.write(subset(store.load("mini"), n_runs), path)
        image, before = path.read_bytes(), _all_that_is_read(path)
        found: Counter[str] = Counter()
        for place in rng.integers(0, len(image), n_flips):
            mutant = bytearray(image)
            mutant[place] ^= int(rng.integers(1, 256))
            found[f"flips_{_outcome(path, bytes(mutant), before)}"] += 1
        for length in rng.permutation(len(image))[:n_cuts]:
            found[f"cuts_{_outcome(path, image[:length], before)}"] += 1
    kinds = [f"{what}_{outcome}" for what in ("flips", "cuts") for outcome in ("refused", "harmless", "silent")]
    return {
        "bytes": len(image),
        "flips": n_flips,
        "cuts": min(n_cuts, len(image)),
        **{kind: found[kind] for kind in kinds},
    }


def _memory() -> str | None:
    """A file system in memory, which is faster where there is one."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def _outcome(path: Path, content: bytes, before: object) -> str:
    path.write_bytes(content)
    try:
        store.verify(path)
    except (InputError, CheckFailed):
        return "refused"
    return "harmless" if _all_that_is_read(path) == before else "silent"


def _all_that_is_read(path: Path) -> object:
    """Every value of a file that anybody may read, those beside the content hash included."""
    dataset = store.load(path)
    values = {name: to_stored(column, dataset[name]).tobytes() for name, column in COLUMNS.items()}
    with h5py.File(path) as file:
        said = {
            (holder.name, name): bytes(text) for holder in (file, *file.values()) for name, text in holder.attrs.items()
        }
    return values, said


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flips", type=int, default=10_000)
    parser.add_argument("--cuts", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print(json.dumps(run(arguments.flips, arguments.cuts, arguments.seed), indent=1))  # noqa: T201


if __name__ == "__main__":
    main()
