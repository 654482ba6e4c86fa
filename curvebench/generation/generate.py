"""From a recipe to a data set: one shard per group, written once; then all of them in one file."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from curvebench.data.dataset import Dataset, concatenate
from curvebench.data.store import check_target, load, write
from curvebench.data.versions import package_versions
from curvebench.generation.backends import available_cores, run_local
from curvebench.generation.engine import MLP, make_engine
from curvebench.generation.intervene import run_group
from curvebench.generation.plan import Cost, Group, compute_cost, make_plan
from curvebench.generation.recipe import Recipe, RecipeFile, load_recipe, parse_recipe, with_engine
from curvebench.generation.table import make_shard
from curvebench.remedies import fixed_actions
from curvebench.spec import InputError, UsageError


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
) -> Dataset:
    """Train everything that a recipe asks for, label it and write it to one file.

    Groups that are finished are kept in `<output>.parts` until the file is whole; the same call goes on from there
    after an interruption. The content does not depend on the number of workers.

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

    Returns:
        The data set that was written.

    Raises:
        InputError: the recipe has faults.
        UsageError: the recipe exceeds a limit, names foreign code that is not trusted or a network that its engine
            cannot train, or the output cannot be written.
    """
    recipe_file = recipe if isinstance(recipe, RecipeFile) else load_recipe(recipe, trust=trust)
    if engine is not None:
        recipe_file = with_engine(recipe_file, engine)
    check_engine(recipe_file.recipe)
    path = Path(output)
    check_target(path, overwrite=overwrite)
    plan = make_plan(recipe_file.recipe)
    check_limits(compute_cost(recipe_file.recipe, plan), limits or Limits())
    make_engine(recipe_file.recipe.engine, device).prepare(say)

    folder = path.with_name(path.name + ".parts")
    try:
        parts = _make_parts(recipe_file, plan, folder, workers or available_cores(), device, progress)
        dataset = _merge(parts)
        write(dataset, path, overwrite=overwrite)
    except BaseException:
        with contextlib.suppress(OSError):
            folder.rmdir()  # only if nothing has been finished
        raise
    _remove_parts(folder)
    return dataset


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


def _make_parts(
    recipe_file: RecipeFile,
    plan: Sequence[Group],
    folder: Path,
    workers: int,
    device: str,
    progress: Progress | None,
) -> list[Dataset]:
    """Make what is missing of the shards and read them all, in order."""
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise UsageError(f"The folder {str(folder)!r} for unfinished work cannot be made: {error.strerror}.") from None
    recipe = recipe_file.recipe
    steps = {group.index: compute_cost(recipe, [group]).n_updates for group in plan}
    total = sum(steps.values())
    missing = [group for group in plan if not _is_done(folder, group, recipe_file)]
    done = total - sum(steps[group.index] for group in missing)
    if progress:
        progress(done, total, None)

    def report(group: Group, _: None) -> None:
        nonlocal done
        done += steps[group.index]
        if progress:
            progress(done, total, group)

    work = partial(_make_part, recipe_file.text, folder, device)
    # the largest first, so that no worker is left with one at the end
    run_local(work, sorted(missing, key=lambda group: -steps[group.index]), workers, report)
    return [load(_part_path(folder, group)) for group in plan]


def _part_path(folder: Path, group: Group) -> Path:
    return folder / f"group-{group.index:06d}.h5"


def _is_done(folder: Path, group: Group, recipe_file: RecipeFile) -> bool:
    """Whether a shard of exactly this group, this recipe and these packages lies there, whole."""
    path = _part_path(folder, group)
    if not path.exists():
        return False
    try:
        part = load(path)
    except InputError:
        return False
    is_of_recipe = part.meta.recipe_sha256 == recipe_file.sha256
    is_of_group = bool((part["group"] == group.index).all())
    return is_of_recipe and is_of_group and dict(part.meta.package_versions) == package_versions()


def _remove_parts(folder: Path) -> None:
    """Remove the shards and what killed workers left of them, and the folder, if nothing else is in it."""
    with contextlib.suppress(OSError):
        for pattern in ("group-*.h5", ".group-*.tmp"):
            for path in folder.glob(pattern):
                path.unlink()
        folder.rmdir()


def _make_part(recipe_text: str, folder: Path, device: str, group: Group) -> None:
    recipe_file = parse_recipe(recipe_text, trust=True)  # who called the worker has asked
    engine = make_engine(recipe_file.recipe.engine, device)
    outcomes = run_group(recipe_file.recipe, group, engine)
    write(make_shard(recipe_file, outcomes), _part_path(folder, group), overwrite=True)


def _merge(parts: Sequence[Dataset]) -> Dataset:
    """All shards in one, with the action that each diagnosis stands for, fixed on `train`."""
    licences = {name: licence for part in parts for name, licence in part.meta.source_licences.items()}
    shared = replace(parts[0].meta, source_licences=dict(sorted(licences.items())))
    whole = concatenate([Dataset(part.columns, shared) for part in parts])
    if len(whole) == 0:
        raise InputError(
            "The recipe keeps no run at all: every (cell, rate) was thinned out. Raise the shares in [keep]."
        )
    return with_fixed_actions(whole)


def with_fixed_actions(dataset: Dataset) -> Dataset:
    """The data set with the action that each diagnosis stands for computed anew from its split `train`."""
    train = dataset.split("train")
    actions = fixed_actions(train["diagnosis"], train["remedy_gain"], dataset.meta.remedies, dataset.meta.cost_weight)
    return Dataset(dataset.columns, replace(dataset.meta, fixed_actions=actions))
