"""Changes single bytes of a data set, cuts files short at any length, and counts what `curvebench verify` lets pass.

    PYTHONPATH=tests python -m campaigns.flips --flips 10000 --cuts 2000

Both of a file and of a folder; of a folder moreover everything that may happen to whole shards, and manifests that lie.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import h5py
import numpy as np
from oracles.folders import LIES, by_group, write_folder

from curvebench.data import store
from curvebench.data.columns import COLUMNS
from curvebench.data.dataset import to_stored
from curvebench.data.folder import MANIFEST, Manifest
from curvebench.data.subset import subset
from curvebench.spec import CheckFailed, InputError

OUTCOMES = ("refused", "harmless", "silent")


def run(n_flips: int, n_cuts: int, seed: int = 0, n_runs: int = 60) -> dict[str, dict[str, int]]:
    """All figures, of a file and of a folder."""
    return {
        "file": changes(n_flips, n_cuts, seed, n_runs),
        "folder": changes(n_flips, n_cuts, seed, n_runs=24, is_folder=True),
        "shards": disorder(),
    }


def changes(n_flips: int, n_cuts: int, seed: int = 0, n_runs: int = 60, *, is_folder: bool = False) -> dict[str, int]:
    """Figures: a change is `refused`, `harmless` (everything reads as before), or `silent`, which none may be.

    Args:
        n_flips: bytes changed to a random other value at random places of all files, one at a time.
        n_cuts: lengths to which one of the files is cut, any of them as likely as any other.
        seed: of the places.
        n_runs: of the data set, a part of the shipped one.
        is_folder: whether it is a folder of shards; of its bytes all are hashed, so that no change is harmless.
    """
    rng, found = np.random.default_rng(seed), Counter[str]()
    with tempfile.TemporaryDirectory(dir=_memory()) as folder:
        path = _made(Path(folder), n_runs, is_folder=is_folder)
        images = {file: file.read_bytes() for file in ([path] if not is_folder else sorted(path.iterdir()))}
        before = _all_that_is_read(path)
        ends = np.cumsum([len(image) for image in images.values()])
        for what, n in (("flips", n_flips), ("cuts", min(n_cuts, int(ends[-1])))):
            for place in rng.permutation(ends[-1])[:n] if what == "cuts" else rng.integers(0, ends[-1], n):
                number = int(np.searchsorted(ends, place, side="right"))
                file = list(images)[number]
                offset = int(place) - int(ends[number]) + len(images[file])
                changed = bytearray(images[file][:offset] if what == "cuts" else images[file])
                if what == "flips":
                    changed[offset] ^= int(rng.integers(1, 256))
                file.write_bytes(changed)
                found[f"{what}_{_outcome(path, before)}"] += 1
                file.write_bytes(images[file])
        assert _outcome(path, before) == "harmless"
    return {
        "files": len(images),
        "bytes": int(ends[-1]),
        "flips": n_flips,
        "cuts": min(n_cuts, int(ends[-1])),
        **{f"{what}_{outcome}": found[f"{what}_{outcome}"] for what in ("flips", "cuts") for outcome in OUTCOMES},
    }


def disorder() -> dict[str, int]:
    """Figures of whole shards that are missing, extra, swapped or renamed, and of manifests that lie."""
    kinds, outcomes = Counter[str](), Counter[str]()
    with tempfile.TemporaryDirectory(dir=_memory()) as folder:
        path = _made(Path(folder), 24, is_folder=True)
        before, spare = _all_that_is_read(path), Path(folder) / "spare"
        path.rename(spare)
        for kind, disturb in _disturbances(spare):
            shutil.copytree(spare, path)
            disturb(path)
            kinds[kind] += 1
            outcomes[_outcome(path, before)] += 1
            shutil.rmtree(path)
    return dict(kinds) | {outcome: outcomes[outcome] for outcome in OUTCOMES}


def _disturbances(spare: Path) -> Iterator[tuple[str, Callable[[Path], object]]]:
    """Everything that may happen to the shards of a folder, one thing at a time: its kind, and what does it."""
    names = sorted(file.name for file in spare.iterdir())
    for name in names:
        yield "missing", lambda path, name=name: (path / name).unlink()
        for new in (f"{name}.bak", name.upper(), f"a-{name}"):
            yield "renamed", lambda path, name=name, new=new: (path / name).rename(path / new)
        for new in ("group-777777.h5", f".{name}", name.upper(), "folder/" + name):
            yield "extra", lambda path, name=name, new=new: _copy(path / name, path / new)
        yield "link", lambda path, name=name: _replace_by_link(path / name, spare / name)
    for one, other in combinations(names, 2):
        yield "swapped", lambda path, one=one, other=other: _swap(path / one, path / other)
        yield "overwritten", lambda path, one=one, other=other: shutil.copy(path / one, path / other)
    for lie in LIES.values():
        yield "lies", lambda path, lie=lie: _rewrite(path / MANIFEST, lie)
    for number in range(len(names) - 1):
        for key, value in (("n_runs", 0), ("n_bytes", 0), ("sha256", "0" * 64), ("content_sha256", "f" * 64)):
            yield "lies", lambda path, change=(number, key, value): _rewrite(path / MANIFEST, _lie_about_shard(*change))


def _copy(file: Path, new: Path) -> None:
    new.parent.mkdir(exist_ok=True)
    shutil.copy(file, new)


def _replace_by_link(file: Path, target: Path) -> None:
    file.unlink()
    file.symlink_to(target)


def _swap(one: Path, other: Path) -> None:
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)


def _rewrite(path: Path, lie: Callable[[Manifest], Manifest]) -> None:
    path.write_text(lie(Manifest.from_text(path.read_text())).to_text())


def _lie_about_shard(number: int, key: str, value: object) -> Callable[[Manifest], Manifest]:
    """Say something else about a shard; a count that is true already is raised by one."""

    def lie(manifest: Manifest) -> Manifest:
        shards = list(manifest.shards)
        told = value if getattr(shards[number], key) != value else 1
        shards[number] = replace(shards[number], **{key: told})
        return replace(manifest, shards=tuple(shards))

    return lie


def _made(folder: Path, n_runs: int, *, is_folder: bool) -> Path:
    """A part of the shipped data set, as one file or a shard for each group."""
    dataset, path = subset(store.load("mini"), n_runs), folder / "data"
    if is_folder:
        write_folder(by_group(dataset), path)
    else:
        store.write(dataset, path)
    return path


def _memory() -> str | None:
    """A file system in memory, which is faster where there is one."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def _outcome(path: Path, before: object) -> str:
    try:
        store.verify(path)
    except (InputError, CheckFailed):
        return "refused"
    return "harmless" if _all_that_is_read(path) == before else "silent"


def _all_that_is_read(path: Path) -> object:
    """Every value of a file that anybody may read, those beside the content hash included; of a folder all bytes."""
    if path.is_dir():
        return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}
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
    parser.add_argument("--flips", type=int, default=10_000, help="of the file, and as many of the folder")
    parser.add_argument("--cuts", type=int, default=2_000, help="of the file, and as many of the folder")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print(json.dumps(run(arguments.flips, arguments.cuts, arguments.seed), indent=1))  # noqa: T201


if __name__ == "__main__":
    main()
