"""Hostile HDF5 files, by design and by chance, and how long and how much memory their refusal takes.

    PYTHONPATH=tests python -m campaigns.hostile --mutants 3000

By design: one file of every kind that `oracles/hostile_files.py` lists, by itself and as a shard of a folder. By
chance: files without the checksums that ours have, with text of variable length, whose structure is changed at random
places. HDF5 may crash on such files, or never come back.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import resource
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
from oracles.hostile_files import HOSTILE, hostile_files

from curvebench.data import store
from curvebench.data.folder import MANIFEST, Manifest, Shard
from curvebench.data.subset import subset
from curvebench.spec import CurveBenchError, InputError


def run(n_mutants: int, seed: int = 0, seconds: float = 3.0) -> dict[str, object]:
    """Figures; `accepted_by_design` and `failed_otherwise` must be 0.

    Args:
        n_mutants: files by chance.
        seed: of their changes.
        seconds: after which a file by chance is taken for one that never ends; in use it is a minute and more.
    """
    begin, slowest = time.monotonic(), 0.0
    by_design, as_shard = Counter[str](), Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        good = Path(folder) / "good.h5"
        store.write(subset(store.load("mini"), 24), good)
        for _, path, message in hostile_files(good, folder):
            start = time.monotonic()
            by_design[_refusal(path, message)] += 1
            as_shard[_refusal(_folder_of(path, good), message)] += 1
            slowest = max(slowest, time.monotonic() - start)
        by_chance = _by_chance(Path(folder), n_mutants, seed, seconds)
    return {
        "files_by_design": len(HOSTILE),
        "refused_by_design": by_design["refused"],
        "refused_as_shards": as_shard["refused"],
        "accepted_by_design": by_design["accepted"] + as_shard["accepted"],
        "slowest_refusal_seconds": round(slowest, 2),
        "files_by_chance": n_mutants,
        **by_chance,
        "failed_otherwise": by_design["otherwise"] + as_shard["otherwise"] + by_chance.pop("otherwise"),
        "most_memory_here_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "seconds": round(time.monotonic() - begin, 1),
    }


def _folder_of(path: Path, good: Path) -> Path:
    """A folder whose one shard is a file, with a manifest that says of it what is true and takes it for a good one."""
    folder = Path(tempfile.mkdtemp(dir=path.parent))
    shutil.copy(path, folder / "group-000000.h5")
    content, report, meta = path.read_bytes(), store.verify(good), store.read_meta(good)
    digest = hashlib.sha256(content).hexdigest()
    shard = Shard("group-000000.h5", len(content), report.n_runs, digest, report.content_sha256)
    n_points = store.load(good).n_points
    manifest = Manifest(meta=meta, n_points=n_points, content_sha256=report.content_sha256, shards=(shard,))
    (folder / MANIFEST).write_text(manifest.to_text())
    return folder


def _refusal(path: Path, message: str) -> str:
    try:
        store.load(path)
    except InputError as error:
        return "refused" if re.search(message, str(error)) else "otherwise"
    return "accepted"


def _by_chance(folder: Path, n_mutants: int, seed: int, seconds: float) -> dict[str, int]:
    rng, found = np.random.default_rng(seed), Counter[str]()
    path = folder / "unchecked.h5"
    _without_checksums(folder / "good.h5", path)
    image = path.read_bytes()
    places = _structure(path, len(image))
    usual, store.REHEARSAL_SECONDS = store.REHEARSAL_SECONDS, seconds
    try:
        for _ in range(n_mutants):
            mutant = bytearray(image)
            for place in rng.choice(places, rng.integers(1, 5)):
                mutant[place] = rng.choice([0, 0xFF, int(rng.integers(256))])
            path.write_bytes(mutant)
            found[_fate(path)] += 1
    finally:
        store.REHEARSAL_SECONDS = usual
    fates = ("read", "refused", "crashed_elsewhere", "hung_elsewhere", "too_large_elsewhere", "otherwise")
    return {fate: found[fate] for fate in fates}


def _without_checksums(good: Path, path: Path) -> None:
    """A file as old versions of HDF5 write it: every change of its structure gets through to the library."""
    with h5py.File(good) as old, h5py.File(path, "w", libver="earliest") as new:
        for name, value in old.attrs.items():
            new.attrs[name] = np.bytes_(value)
        for name in old:
            new.create_dataset(name, data=old[name][...], chunks=old[name].chunks, compression="gzip")
            new[name].attrs["unit"] = "text of variable length"
        new.create_dataset("more", data=["text of variable length"] * 3)


def _structure(path: Path, n_bytes: int) -> np.ndarray:
    """Places of everything but the chunks of the columns."""
    is_structure = np.ones(n_bytes, dtype=bool)
    with h5py.File(path) as file:
        for column in file.values():
            for i in range(column.id.get_num_chunks() if column.chunks else 0):
                chunk = column.id.get_chunk_info(i)
                is_structure[chunk.byte_offset : chunk.byte_offset + chunk.size] = False
    return np.flatnonzero(is_structure)


def _fate(path: Path) -> str:
    try:
        store.load(path)
    except InputError as error:
        words = {"it crashed": "crashed_elsewhere", "took longer": "hung_elsewhere", "memory": "too_large_elsewhere"}
        return next((fate for word, fate in words.items() if word in str(error)), "refused")
    except CurveBenchError:
        return "refused"
    except Exception:
        return "otherwise"
    return "read"


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", type=int, default=3_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print(json.dumps(run(arguments.mutants, arguments.seed), indent=1))  # noqa: T201


if __name__ == "__main__":
    main()
