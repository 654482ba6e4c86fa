"""From a recipe to a data set: one shard per group, written once; then all of them in one file, or in a folder."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial
from pathlib import Path

from curvebench.data.dataset import Dataset, concatenate, gather, rows_of_split
from curvebench.data.folder import Folder, describe, sealed
from curvebench.data.store import (
    check_target,
    load,
    open_table,
    read_columns,
    remove_temporaries,
    verify,
    write,
    write_manifest,
)
from curvebench.data.versions import package_versions
from curvebench.generation.backends import Workers, check_backend, run_on
from curvebench.generation.engine import MLP, make_engine
from curvebench.generation.intervene import run_group
from curvebench.generation.parts import (
    move_out,
    part_path,
    parts_folder,
    remove_parts,
    remove_unfinished,
    was_left,
)
from curvebench.generation.plan import Cost, Group, compute_cost, make_plan
from curvebench.generation.recipe import Recipe, RecipeFile, load_recipe, parse_recipe, with_engine
from curvebench.generation.table import make_shard
from curvebench.remedies import fixed_actions
from curvebench.spec import CheckFailed, InputError, UsageError


@dataclass(frozen=True)
class Limits:
    """What a recipe may ask for before it is refused.

    Attributes:
        max_runs: trained runs, remedies included.
        max_bytes: size of the uncompressed data set.
        max_memory: bytes of memory.
    """

    max_runs: int = 2_000_000
    max_bytes: int = 8 * 2**30
    max_memory: int = 16 * 2**30


Progress = Callable[[int, int, Group | None], None]
"""Called with finished network-steps, all network-steps, and the group that has just been finished."""


def generate(
    recipe: str | Path | RecipeFile,
    output: str | Path,
    *,
    engine: str | None = None,
    workers: int | None = None,
    device: str = "cpu",
    overwrite: bool = False,
    trust: bool = False,
    limits: Limits | None = None,
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda sentence: None,
    backend: str = "local",
    address: str | None = None,
) -> Dataset:
    """Train everything that a recipe asks for, label it and write it to one file.

    Groups that are finished are kept in `<output>.parts` until the file is whole; the same call goes on from there
    after an interruption, if the recipe, the device and the versions of all packages are the same. The content does
    not depend on who works, or on how many do.

    Args:
        recipe: name of a shipped recipe, path of a recipe, or one already read.
        output: file to write.
        engine: in place of the recipe's; the recipe in the file says so.
        workers: processes; all cores by default. Each imports the calling script, which must therefore call this
            under `if __name__ == "__main__":`; with workers=1 all is done in this process.
        device: of the torch engine.
        overwrite: replace a file that exists.
        trust: run foreign code that the recipe names as a network.
        limits: what the recipe may ask for.
        progress: called after every group.
        say: told what takes long besides, compiling for instance.
        backend: where groups are worked on, one of `curvebench.generation.backends.BACKENDS`. The hosts of a cluster
            must see the folder of the output under the same path, and have the same versions of all packages.
        address: of an existing cluster; without it one is started here and ends with the work.

    Returns:
        The data set that was written.

    Raises:
        InputError: the recipe has faults.
        UsageError: the recipe exceeds a limit, names foreign code that is not trusted or a network that its engine
            cannot train, there are to be no workers, the output cannot be written, another call is making it, or the
            backend cannot be used or lost its workers.
    """
    recipe_file = _recipe_file(recipe, engine, trust=trust)
    path, work = Path(output), _Work(recipe_file, device, backend, Workers(workers, address))
    check_backend(backend, work.workers)
    if not overwrite and isinstance(left := _left_whole(work, path, say), Dataset):
        return left
    check_target(path, overwrite=overwrite)
    cost = compute_cost(recipe_file.recipe, work.plan)
    check_limits(cost, limits or Limits())
    with _parts(work, path, say) as folder:
        check_target(path, overwrite=overwrite)  # a call that has just ended may have written it
        remove_temporaries(path)
        dataset = _merge(_make_parts(work, folder, progress, keep=True))
        write(dataset, path, overwrite=overwrite)
        remove_parts(folder)
    return dataset


def generate_folder(
    recipe: str | Path | RecipeFile,
    output: str | Path,
    *,
    engine: str | None = None,
    workers: int | None = None,
    device: str = "cpu",
    trust: bool = False,
    limits: Limits | None = None,
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda sentence: None,
    backend: str = "local",
    address: str | None = None,
) -> Folder:
    """Do as `generate` does, but leave a folder of shards with a manifest: never are all rows in memory.

    The folder appears whole, by renaming the one in `<output>.parts` where the shards were written. A folder that
    exists is never replaced.

    Args:
        recipe: as for `generate`, and so are all others.
        output: folder to make.
        engine: in place of the recipe's.
        workers: processes.
        device: of the torch engine.
        trust: run foreign code that the recipe names as a network.
        limits: what the recipe may ask for; of the memory only what a worker takes counts.
        progress: called after every group.
        say: told what takes long besides.
        backend: where groups are worked on.
        address: of an existing cluster.

    Returns:
        The folder.

    Raises:
        InputError: as for `generate`.
        UsageError: as for `generate`.
    """
    recipe_file = _recipe_file(recipe, engine, trust=trust)
    path, work = Path(output), _Work(recipe_file, device, backend, Workers(workers, address))
    check_backend(backend, work.workers)
    if isinstance(left := _left_whole(work, path, say), Folder):
        return left
    check_folder_target(path)
    cost = compute_cost(recipe_file.recipe, work.plan)
    check_limits(replace(cost, memory_bytes=cost.worker_bytes), limits or Limits())
    with _parts(work, path, say) as folder:
        check_folder_target(path)
        _make_parts(work, folder, progress, keep=False)
        remove_unfinished(folder)
        found = describe(folder, [part_path(folder, group.index).name for group in work.plan], read_columns)
        if found.n_runs == 0:
            raise _nothing_kept()
        train = gather(found, ("diagnosis", "remedy_gain"), rows_of_split(found, "train"))
        meta = found.meta
        finished = sealed(
            found, fixed_actions(train["diagnosis"], train["remedy_gain"], meta.remedies, meta.cost_weight)
        )
        write_manifest(finished)
        move_out(folder, path)
        remove_unfinished(path)  # whoever was thought lost may have begun something in the meantime
        remove_parts(folder)
    return replace(finished, path=path)


def check_folder_target(path: Path) -> None:
    """Find out early whether a folder could be made.

    Raises:
        UsageError: it could not, and why.
    """
    if os.path.lexists(path):
        raise UsageError(
            f"{path} already exists and is never replaced by a folder; choose another name or remove it first."
        )
    check_target(path)


def _recipe_file(recipe: str | Path | RecipeFile, engine: str | None, *, trust: bool) -> RecipeFile:
    recipe_file = recipe if isinstance(recipe, RecipeFile) else load_recipe(recipe, trust=trust)
    if engine is not None:
        recipe_file = with_engine(recipe_file, engine)
    check_engine(recipe_file.recipe)
    return recipe_file


@dataclass(frozen=True)
class _Work:
    """What is to be made, and by whom."""

    recipe_file: RecipeFile
    device: str
    backend: str
    workers: Workers

    @cached_property
    def plan(self) -> tuple[Group, ...]:
        return make_plan(self.recipe_file.recipe)


@contextlib.contextmanager
def _parts(work: _Work, output: Path, say: Callable[[str], None]) -> Iterator[Path]:
    """The folder for the parts of an output, with an engine that is ready where the work is done here."""
    trainer = make_engine(work.recipe_file.recipe.engine, work.device)
    with parts_folder(output.absolute(), _made_with(work.recipe_file, work.device)) as folder:
        trainer.prepare(say)
        yield folder


def _left_whole(work: _Work, path: Path, say: Callable[[str], None]) -> Dataset | Folder | None:
    """Tidy up after a call that made just this output and was killed before it had; None where there was none."""
    made_with = _made_with(work.recipe_file, work.device)
    if not was_left(path, made_with):
        return None
    try:
        verify(path)
        found = open_table(path)
    except (InputError, CheckFailed):
        return None
    meta = found.meta
    if (meta.recipe_sha256, dict(meta.package_versions)) != (work.recipe_file.sha256, package_versions()):
        return None
    with parts_folder(path, made_with) as folder:
        remove_temporaries(path)
        remove_parts(folder)
    if isinstance(found, Folder):
        remove_unfinished(path)
    say(f"{path} was whole already; an earlier call was stopped before it had tidied up.")
    return found


def check_engine(recipe: Recipe) -> None:
    """Refuse networks that only another engine can train.

    Raises:
        UsageError: with the network and the engine that can.
    """
    for network in recipe.networks:
        if network.module != MLP and recipe.engine != "torch":
            raise UsageError(
                f"The engine {recipe.engine!r} trains MLPs; the network {network.name!r} ({network.module}) needs "
                "--engine torch."
            )


def check_limits(cost: Cost, limits: Limits) -> None:
    """Refuse what is too much.

    Raises:
        UsageError: with the figure, the limit and the switch that raises it.
    """
    for what, asked, allowed, switch in (
        ("trained runs", cost.n_trainings, limits.max_runs, "--max-runs"),
        ("bytes of data", cost.n_bytes, limits.max_bytes, "--max-bytes"),
        ("bytes of memory", cost.memory_bytes, limits.max_memory, "--max-memory"),
    ):
        if asked > allowed:
            raise UsageError(
                f"The recipe asks for {asked:,} {what}; the limit is {allowed:,}. Pass {switch} {asked} to allow it."
            )


def _made_with(recipe_file: RecipeFile, device: str) -> dict[str, str]:
    """What the bits of a part depend on; the engine stands in the recipe."""
    return {"recipe": recipe_file.sha256, "device": device, **package_versions()}


def _make_parts(work: _Work, folder: Path, progress: Progress | None, *, keep: bool) -> list[Dataset]:
    """Make what is missing of the shards. All of them, in order, each read once, if they are to be kept in memory."""
    recipe = work.recipe_file.recipe
    steps = {group.index: compute_cost(recipe, [group]).n_updates for group in work.plan}
    total = sum(steps.values())
    parts: dict[int, Dataset] = {}
    missing: list[Group] = []
    for group in work.plan:
        part = _finished_part(folder, group)
        if part is None:
            missing.append(group)
        elif keep:
            parts[group.index] = part
    done = total - sum(steps[group.index] for group in missing)
    if progress:
        progress(done, total, None)

    def report(group: Group, _: None) -> None:
        nonlocal done
        done += steps[group.index]
        if progress:
            progress(done, total, group)

    make = partial(_make_part, work.recipe_file.text, folder, work.device)
    if work.backend != "local":
        make = partial(_make_part_elsewhere, make, folder, package_versions())
    # the largest first, so that no worker is left with one at the end
    run_on(work.backend, make, sorted(missing, key=lambda group: -steps[group.index]), work.workers, report)
    if unseen := [group.index for group in missing if not part_path(folder, group.index).exists()]:
        raise UsageError(
            f"The shard {unseen[0]} was made, but is not in {folder}: workers and the process that asks for shards "
            "must share a file system."
        )
    if not keep:
        return []
    whole = parts | {group.index: load(part_path(folder, group.index)) for group in missing}
    return [whole[group.index] for group in work.plan]


def _finished_part(folder: Path, group: Group) -> Dataset | None:
    """The shard of a group, if it lies there whole."""
    path = part_path(folder, group.index)
    if not path.exists():
        return None
    try:
        part = load(path)
    except InputError:
        return None
    return part if bool((part["group"] == group.index).all()) else None


def _make_part(recipe_text: str, folder: Path, device: str, group: Group) -> None:
    recipe_file = _recipe_of_worker(recipe_text)
    engine = make_engine(recipe_file.recipe.engine, device)
    outcomes = run_group(recipe_file.recipe, group, engine)
    write(make_shard(recipe_file, outcomes), part_path(folder, group.index), overwrite=True, sweep=False)


@lru_cache(maxsize=1)
def _recipe_of_worker(text: str) -> RecipeFile:
    """The recipe, read once by each worker."""
    return parse_recipe(text, trust=True)  # who called the worker has asked


def _make_part_elsewhere(
    make: Callable[[Group], None], folder: Path, versions: Mapping[str, str], group: Group
) -> None:
    """Make a part on a host that may not be like the one that asks for it."""
    found = package_versions()
    if differing := [f"{name} {found.get(name)}" for name in versions if found.get(name) != versions[name]]:
        raise UsageError(
            f"The worker on {socket.gethostname()} has {', '.join(differing)}, unlike the process that asks for "
            "shards; their bits may differ. Install the same versions on all hosts."
        )
    if not folder.is_dir():
        raise UsageError(
            f"The worker on {socket.gethostname()} does not see the folder {folder}: workers and the process that asks "
            "for shards must share a file system."
        )
    make(group)


def _nothing_kept() -> InputError:
    return InputError("The recipe keeps no run at all: every (cell, rate) was thinned out. Raise the shares in [keep].")


def _merge(parts: Sequence[Dataset]) -> Dataset:
    """All shards in one, with the action that each diagnosis stands for, fixed on `train`."""
    licences = {name: licence for part in parts for name, licence in part.meta.source_licences.items()}
    shared = replace(parts[0].meta, source_licences=dict(sorted(licences.items())))
    whole = concatenate([Dataset(part.columns, shared) for part in parts])
    if len(whole) == 0:
        raise _nothing_kept()
    return with_fixed_actions(whole)


def with_fixed_actions(dataset: Dataset) -> Dataset:
    """The data set with the action that each diagnosis stands for computed anew from its split `train`."""
    train = dataset.split("train")
    actions = fixed_actions(train["diagnosis"], train["remedy_gain"], dataset.meta.remedies, dataset.meta.cost_weight)
    return Dataset(dataset.columns, replace(dataset.meta, fixed_actions=actions))
