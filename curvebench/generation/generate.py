"""From a recipe to a data set: one shard per group, written once; then all of them in one file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from curvebench.data.dataset import Dataset, concatenate
from curvebench.data.store import check_target, load, remove_temporaries, write
from curvebench.data.versions import package_versions
from curvebench.generation.backends import available_cores, run_local
from curvebench.generation.engine import MLP, make_engine
from curvebench.generation.intervene import run_group
from curvebench.generation.parts import part_path, parts_folder, remove_parts, was_left
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
    after an interruption, if the recipe, the device and the versions of all packages are the same. The content does
    not depend on the number of workers.

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
            cannot train, there are to be no workers, the output cannot be written, or another call is making it.
    """
    recipe_file = recipe if isinstance(recipe, RecipeFile) else load_recipe(recipe, trust=trust)
    if engine is not None:
        recipe_file = with_engine(recipe_file, engine)
    check_engine(recipe_file.recipe)
    path, n_workers = Path(output), available_cores() if workers is None else workers
    if n_workers < 1:
        raise UsageError(f"{n_workers} workers were asked for; there must be at least one.")
    if not overwrite and (dataset := _left_whole(recipe_file, path, device)) is not None:
        say(f"{path} was whole already; an earlier call was stopped before it had tidied up.")
        return dataset
    check_target(path, overwrite=overwrite)
    plan = make_plan(recipe_file.recipe)
    check_limits(compute_cost(recipe_file.recipe, plan), limits or Limits())
    trainer = make_engine(recipe_file.recipe.engine, device)

    with parts_folder(path, _made_with(recipe_file, device)) as folder:
        check_target(path, overwrite=overwrite)  # a call that has just ended may have written it
        remove_temporaries(path)
        trainer.prepare(say)
        dataset = _merge(_make_parts(recipe_file, plan, folder, n_workers, device, progress))
        write(dataset, path, overwrite=overwrite)
        remove_parts(folder)
    return dataset


def _left_whole(recipe_file: RecipeFile, path: Path, device: str) -> Dataset | None:
    """Tidy up after a call that wrote just this output and was killed before it had; None where there was none."""
    made_with = _made_with(recipe_file, device)
    if not was_left(path, made_with):
        return None
    try:
        dataset = load(path)
    except InputError:
        return None
    if (dataset.meta.recipe_sha256, dict(dataset.meta.package_versions)) != (recipe_file.sha256, package_versions()):
        return None
    with parts_folder(path, made_with) as folder:
        remove_temporaries(path)
        remove_parts(folder)
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


def _made_with(recipe_file: RecipeFile, device: str) -> dict[str, str]:
    """What the bits of a part depend on; the engine stands in the recipe."""
    return {"recipe": recipe_file.sha256, "device": device, **package_versions()}


def _make_parts(
    recipe_file: RecipeFile,
    plan: Sequence[Group],
    folder: Path,
    workers: int,
    device: str,
    progress: Progress | None,
) -> list[Dataset]:
    """Make what is missing of the shards; all of them, in order, each read once."""
    recipe = recipe_file.recipe
    steps = {group.index: compute_cost(recipe, [group]).n_updates for group in plan}
    total = sum(steps.values())
    parts = {group.index: part for group in plan if (part := _finished_part(folder, group)) is not None}
    missing = [group for group in plan if group.index not in parts]
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
    parts |= {group.index: load(part_path(folder, group.index)) for group in missing}
    return [parts[group.index] for group in plan]


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
    recipe_file = parse_recipe(recipe_text, trust=True)  # who called the worker has asked
    engine = make_engine(recipe_file.recipe.engine, device)
    outcomes = run_group(recipe_file.recipe, group, engine)
    write(make_shard(recipe_file, outcomes), part_path(folder, group.index), overwrite=True, sweep=False)


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
