"""From a recipe to a data set: one shard per group, written once; then all of them in one file."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from curvebench.data.columns import COLUMNS
from curvebench.data.dataset import Dataset, Meta, concatenate
from curvebench.data.store import check_target, load, write
from curvebench.generation.backends import available_cores, run_local
from curvebench.generation.engine import make_engine
from curvebench.generation.intervene import GroupOutcomes, mean_share, run_group
from curvebench.generation.label import Labels, Thresholds, injected_cause, label_rates
from curvebench.generation.plan import Cost, Group, compute_cost, make_plan, remedies_of_recipe
from curvebench.generation.random_streams import stream
from curvebench.generation.recipe import Recipe, RecipeFile, load_recipe, parse_recipe
from curvebench.generation.schedules import schedule_shape
from curvebench.generation.sweep import USELESS, best_index, is_complete, largest_stable_index
from curvebench.remedies import fixed_actions, gain
from curvebench.spec import INDETERMINATE, Bool, Float, Int, InputError, Remedy, UsageError

DATA_LICENCE = "CC-BY-4.0"
"""Of every generated data set."""


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
    workers: int | None = None,
    device: str = "cpu",
    overwrite: bool = False,
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """Train everything that a recipe asks for, label it and write it to one file.

    Groups that are finished are kept in `<output>.parts` until the file is whole; the same call goes on from there
    after an interruption. The content does not depend on the number of workers.

    Args:
        recipe: name of a shipped recipe, path of a recipe, or one already read.
        output: file to write.
        workers: processes; all cores by default.
        device: of the torch engine.
        overwrite: replace a file that exists.
        limits: what the recipe may ask for.
        progress: called after every group.

    Returns:
        The data set that was written.

    Raises:
        InputError: the recipe has faults.
        UsageError: the recipe exceeds a limit, or the output cannot be written.
    """
    recipe_file = recipe if isinstance(recipe, RecipeFile) else load_recipe(recipe)
    path = Path(output)
    check_target(path, overwrite=overwrite)
    plan = make_plan(recipe_file.recipe)
    check_limits(compute_cost(recipe_file.recipe, plan), limits or Limits())
    make_engine(recipe_file.recipe.engine, device)

    folder = path.with_name(path.name + ".parts")
    parts = _make_parts(recipe_file, plan, folder, workers or available_cores(), device, progress)
    dataset = _merge(parts)
    write(dataset, path, overwrite=overwrite)
    shutil.rmtree(folder, ignore_errors=True)
    return dataset


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
                f"The recipe asks for up to {asked:,} {what}; the limit is {allowed:,}. Pass {switch} {asked} to allow it."
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
    missing = [group for group in plan if not _is_done(_part_path(folder, group), recipe_file)]
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


def _is_done(path: Path, recipe_file: RecipeFile) -> bool:
    """Whether a shard of exactly this recipe and these packages lies there, whole."""
    if not path.exists():
        return False
    try:
        meta = load(path).meta
    except InputError:
        return False
    return meta.recipe_sha256 == recipe_file.sha256 and dict(meta.package_versions) == package_versions()


def _make_part(recipe_text: str, folder: Path, device: str, group: Group) -> None:
    recipe_file = parse_recipe(recipe_text)
    engine = make_engine(recipe_file.recipe.engine, device)
    outcomes = run_group(recipe_file.recipe, group, engine)
    write(make_shard(recipe_file, outcomes), _part_path(folder, group), overwrite=True)


def _merge(parts: Sequence[Dataset]) -> Dataset:
    """All shards in one, with the action that each diagnosis stands for, fixed on `train`."""
    licences = {name: licence for part in parts for name, licence in part.meta.source_licences.items()}
    shared = replace(parts[0].meta, source_licences=dict(sorted(licences.items())))
    whole = concatenate([Dataset(part.columns, shared) for part in parts])
    if len(whole) == 0:
        raise InputError("The recipe keeps no run at all: every (cell, rate) was thinned out. Raise the shares in [keep].")
    return with_fixed_actions(whole)


def with_fixed_actions(dataset: Dataset) -> Dataset:
    """The data set with the action that each diagnosis stands for computed anew from its split `train`."""
    train = dataset.split("train")
    actions = fixed_actions(train["diagnosis"], train["remedy_gain"], dataset.meta.remedies, dataset.meta.cost_weight)
    return Dataset(dataset.columns, replace(dataset.meta, fixed_actions=actions))


# --------------------------------------------------------------------------------------- one group's table


def thresholds_of(recipe: Recipe) -> Thresholds:
    """The thresholds that a recipe states."""
    return Thresholds(**recipe.labels.model_dump())


def make_shard(recipe_file: RecipeFile, outcomes: GroupOutcomes) -> Dataset:
    """Label a group's outcomes and lay them out as columns; thinned (cell, rate)s are left out."""
    recipe = recipe_file.recipe
    remedies = remedies_of_recipe(recipe)
    thresholds = thresholds_of(recipe)
    caps = outcomes.caps[outcomes.cell].astype(np.float32)
    gains = gain(
        outcomes.final_loss[:, None], outcomes.remedy_final_loss, caps[:, None], thresholds.tie
    ).astype(np.float32)
    over_best, over_stable, complete = _severity(outcomes, recipe.sweep.points_per_decade)
    floor = np.float32(np.nan if outcomes.problem.floor is None else outcomes.problem.floor)
    labels = label_runs(
        outcomes.cell * 10_000 + outcomes.rate_index,
        gains,
        remedies,
        thresholds,
        is_useless(outcomes.final_loss, caps, floor, thresholds.tie),
        complete,
    )
    columns = {
        **_descriptions(outcomes),
        **_curves(outcomes, recipe.n_points),
        "injected": injected_cause(
            np.array([cell.output == outcomes.cells[0].output for cell in outcomes.cells])[outcomes.cell],
            over_best,
            np.array([cell.schedule.decay for cell in outcomes.cells])[outcomes.cell],
        ),
        "diagnosis": labels.diagnosis,
        "difficulty": labels.difficulty,
        "accepted": labels.accepted,
        "best_gain": labels.best_gain,
        "onset": labels.onset,
        "log10_lr_over_best": over_best,
        "log10_lr_over_stable": over_stable,
        "diverged": _diverged(outcomes, caps),
        "sweep_complete": complete,
        "loss_cap": caps,
        "loss_floor": np.full(len(caps), floor),
        "final_loss": outcomes.final_loss,
        "final_val_loss": outcomes.final_val_loss,
        "remedy_final_loss": outcomes.remedy_final_loss,
        "remedy_final_val_loss": outcomes.remedy_final_val_loss,
        "remedy_gain": gains,
    }
    kept = _is_kept(recipe, outcomes, labels.diagnosis)
    typed = {name: _typed(name, columns[name], len(kept))[kept] for name in COLUMNS}
    return Dataset(typed, _meta(recipe_file, remedies, thresholds, outcomes))


def label_runs(
    key: Int, gains: Float, remedies: Sequence[Remedy], thresholds: Thresholds, useless: Bool, complete: Bool
) -> Labels:
    """Label runs, whose K seeds stand in consecutive rows of equal key; every seed gets the label of all.

    Args:
        key: (n,) the same for the runs of a (cell, rate) and for them only.
        gains: (n, n_remedies).
        remedies: in the order of the last axis.
        thresholds: of the tests.
        useless: (n,) whether the run ended at the cap though something can be learned.
        complete: (n,) whether the cell's sweep is complete.

    Returns:
        Labels of the n runs.
    """
    starts = np.flatnonzero(np.r_[True, key[1:] != key[:-1]])
    sizes = np.diff(np.r_[starts, len(key)])
    parts: dict[str, list[Any]] = {}
    order: list[Int] = []
    for n_seeds in np.unique(sizes):
        first = starts[sizes == n_seeds]
        rows = first[:, None] + np.arange(n_seeds)
        labels = label_rates(gains[rows], remedies, thresholds, useless[rows].all(axis=1), complete[first])
        for name, values in vars(labels).items():
            parts.setdefault(name, []).append(np.repeat(values, n_seeds, axis=0))
        order.append(rows.reshape(-1))
    back = np.argsort(np.concatenate(order), kind="stable")
    return Labels(**{name: np.concatenate(values)[back] for name, values in parts.items()})


def is_useless(final_loss: Float, caps: Float, floor: float | Float, tie: float) -> Bool:
    """Whether a run ended at the cap though the problem's floor, where known, says that something can be learned."""
    learnable = np.isnan(floor) | (np.asarray(floor) < caps * (1.0 - 20.0 * tie))
    return np.asarray(learnable & ~(final_loss < caps * (1.0 - tie)))


def _severity(outcomes: GroupOutcomes, points_per_decade: int) -> tuple[Float, Float, Bool]:
    """log10 of each run's rate over its cell's best and largest stable one, and whether that sweep is complete."""
    over_best, over_stable = (np.zeros(len(outcomes.cell)) for _ in range(2))
    complete = np.zeros(len(outcomes.cell), dtype=bool)
    for cell, cap in enumerate(outcomes.caps):
        rows = outcomes.cell == cell
        indices = outcomes.rate_index[rows]
        losses = outcomes.final_loss[rows]
        shares = {int(k): mean_share(losses[indices == k], float(cap)) for k in np.unique(indices)}
        over_best[rows] = (indices - best_index(shares)) / points_per_decade
        over_stable[rows] = (indices - largest_stable_index(shares)) / points_per_decade
        complete[rows] = is_complete(shares)
    return over_best, over_stable, complete


def _diverged(outcomes: GroupOutcomes, caps: Float) -> Bool:
    ended_above = (outcomes.final_loss > caps) & (outcomes.final_loss > outcomes.train_loss[:, 0])
    return np.asarray(outcomes.is_dead | np.isinf(outcomes.final_loss) | ended_above)


def _descriptions(outcomes: GroupOutcomes) -> Mapping[str, Any]:
    """Ids and what was trained; scalars stand for the same value in every row."""
    group, problem = outcomes.group, outcomes.problem
    cells = [outcomes.cells[i] for i in outcomes.cell]
    cell_names = [f"g{group.index:06d}.c{i:02d}" for i in outcomes.cell]
    runs = zip(cell_names, outcomes.rate_index, outcomes.seed, strict=True)
    return {
        "run": np.array([f"{cell}.r{k:+03d}.s{seed:02d}" for cell, k, seed in runs]),
        "cell": np.array(cell_names),
        "group": group.index,
        "seed": outcomes.seed,
        "split": group.split,
        "problem": problem.name,
        "problem_family": problem.family,
        "task": problem.task,
        "depth": group.network.depth,
        "width": group.network.width,
        "activation": group.network.activation,
        "init_gain": group.network.init_gain,
        "output_activation": np.array([cell.output.activation for cell in cells]),
        "loss": np.array([cell.output.loss for cell in cells]),
        "optimizer": group.setting.optimizer,
        "batch_size": group.setting.batch_size,
        "epochs": group.setting.epochs,
        "schedule": np.array([cell.schedule.shape for cell in cells]),
        "decay": np.array([1.0 if c.schedule.shape == "constant" else c.schedule.decay for c in cells]),
        "warmup": np.array([cell.schedule.warmup for cell in cells]),
        "base_lr": np.array([group.grid.rate(int(k)) for k in outcomes.rate_index]),
        "phenomenon": group.phenomenon,
    }


def _curves(outcomes: GroupOutcomes, n_points: int) -> dict[str, Any]:
    """Curves of n_points points; the last one of a shorter curve repeats."""
    n, length = outcomes.train_loss.shape
    repeat = np.minimum(np.arange(n_points), length - 1)
    step = outcomes.record_steps[repeat]
    shapes = np.stack(
        [
            schedule_shape(c.schedule.shape, outcomes.n_steps, c.schedule.decay, c.schedule.warmup)[np.maximum(step - 1, 0)]
            for c in outcomes.cells
        ]
    )
    base = np.array([outcomes.group.grid.rate(int(k)) for k in outcomes.rate_index])
    return {
        "step": np.broadcast_to(step, (n, n_points)),
        "train_loss": outcomes.train_loss[:, repeat],
        "val_loss": outcomes.val_loss[:, repeat],
        "grad_norm": outcomes.grad_norm[:, repeat],
        "learning_rate": shapes[outcomes.cell] * base[:, None],
        "length": length,
        "resumed_train_loss": outcomes.resumed_train_loss[:, :, repeat],
    }


def _is_kept(recipe: Recipe, outcomes: GroupOutcomes, diagnosis: Any) -> Bool:
    """Thinning by label: one draw for each (group, rate, label), never from global counts."""
    draws: dict[tuple[int, str], float] = {}
    kept = np.ones(len(diagnosis), dtype=bool)
    for row, (k, label) in enumerate(zip(outcomes.rate_index.tolist(), diagnosis.tolist(), strict=True)):
        if (k, label) not in draws:
            draw = stream(recipe.master_seed, "keep", outcomes.group.index, k, label)
            draws[k, label] = float(draw.uniform((1,))[0])
        kept[row] = draws[k, label] < recipe.keep.get(label, 1.0)
    return kept


def _typed(name: str, values: Any, n: int) -> Any:
    """Values of a column in the type of the table; a scalar stands for the same value in all n rows."""
    column = COLUMNS[name]
    array = np.asarray(values)
    array = array.astype("U") if column.is_text else array.astype(column.dtype)
    return array if array.ndim else np.broadcast_to(array, (n,))


def _meta(
    recipe_file: RecipeFile, remedies: Sequence[Remedy], thresholds: Thresholds, outcomes: GroupOutcomes
) -> Meta:
    recipe = recipe_file.recipe
    return Meta(
        recipe_name=recipe.name,
        recipe_version=str(recipe.version),
        recipe_text=recipe_file.text,
        recipe_sha256=recipe_file.sha256,
        engine=recipe.engine,
        remedies=tuple(remedies),
        fixed_actions={},
        cost_weight=recipe.remedies.cost_weight,
        thresholds=thresholds.to_dict(),
        licence=DATA_LICENCE,
        source_licences={outcomes.problem.family: outcomes.problem.source_licence},
        package_versions=package_versions(),
    )


def package_versions() -> dict[str, str]:
    """Versions of what took part in making a data set."""
    versions = {"python": platform.python_version()}
    for package in ("curvebench", "numpy", "torch", "h5py", "scikit-learn"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions
