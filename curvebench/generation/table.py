"""One group's outcomes as a labelled table: what each run was, what it did, and what would have helped it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from curvebench.data.columns import COLUMNS
from curvebench.data.dataset import Dataset, Meta
from curvebench.data.versions import package_versions
from curvebench.generation.intervene import GroupOutcomes, mean_share
from curvebench.generation.label import Labels, Thresholds, injected_cause, label_rates
from curvebench.generation.plan import remedies_of_recipe
from curvebench.generation.portable_math import ordered_mean
from curvebench.generation.problems import output_floor
from curvebench.generation.random_streams import stream
from curvebench.generation.recipe import Recipe, RecipeFile, ScheduleSpec
from curvebench.generation.schedules import CYCLIC
from curvebench.generation.sweep import best_index, is_complete, largest_stable_index
from curvebench.remedies import gain
from curvebench.spec import OBJECTIVE_OF_LOSS, OBJECTIVES, Bool, Float, Int, Remedy

DATA_LICENCE = "CC-BY-4.0"
"""Of every generated data set."""


def thresholds_of(recipe: Recipe) -> Thresholds:
    """The thresholds that a recipe states."""
    return Thresholds(**recipe.labels.model_dump())


def make_shard(recipe_file: RecipeFile, outcomes: GroupOutcomes) -> Dataset:
    """Label a group's outcomes and lay them out as columns; thinned (cell, rate)s are left out."""
    recipe = recipe_file.recipe
    remedies = remedies_of_recipe(recipe)
    thresholds = thresholds_of(recipe)
    caps = outcomes.caps[outcomes.cell].astype(np.float32)
    gains = gain(outcomes.final_loss[:, None], outcomes.remedy_final_loss, caps[:, None], thresholds.tie).astype(
        np.float32
    )
    over_best, over_stable, complete = _severity(outcomes, recipe.sweep.points_per_decade)
    floor = _floors(outcomes)[outcomes.cell].astype(np.float32)
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
            np.array([_fall(cell.schedule, outcomes.n_steps) for cell in outcomes.cells])[outcomes.cell],
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
        "loss_floor": floor,
        "output_floor": _output_floors(outcomes)[outcomes.cell],
        "source_loss": outcomes.source_loss[0],
        "final_source_loss": outcomes.source_loss[1],
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


def is_useless(final_loss: Float, caps: Float, floor: Float, tie: float) -> Bool:
    """Whether a run ended at the cap though the problem's floor, where known, says that something can be learned."""
    learnable = np.isnan(floor) | (floor < caps * (1.0 - 20.0 * tie))
    return np.asarray(learnable & ~(final_loss < caps * (1.0 - tie)))


def _floors(outcomes: GroupOutcomes) -> Float:
    """(n_cells,) lowest expected objective in each cell's own loss; NaN where nobody knows."""
    problem = outcomes.problem
    fitting = OBJECTIVE_OF_LOSS[problem.fitting_loss]
    floors = {fitting: np.nan if problem.floor is None else problem.floor}
    if fitting == "cross_entropy" and problem.best_predictions is not None:
        p = problem.best_predictions.astype(np.float64)
        y = problem.train_targets
        is_drawn = bool(np.isin(y, (0.0, 1.0)).all())  # else the targets are the probabilities themselves
        floors["squared_error"] = float(ordered_mean(p * (1.0 - p) if is_drawn else (p - y) ** 2))
    return np.array([floors.get(OBJECTIVES[cell.objective], np.nan) for cell in outcomes.cells])


def _output_floors(outcomes: GroupOutcomes) -> Float:
    """(n_cells,) how low the range of its output lets each cell get, in its own loss; NaN where nobody knows."""
    problem = outcomes.problem
    return np.array([output_floor(problem.train_targets, problem.task, cell.output) for cell in outcomes.cells])


def _fall(schedule: ScheduleSpec, n_steps: int) -> float:
    """How far the rate has fallen from its peak at the last update, as a factor."""
    shape = schedule.over(n_steps)
    return float(shape.max() / shape[-1])


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


CLEARLY_ABOVE = 1.5
"""A first mini-batch and a validation set are small samples; a run that ends this far above both has gone up."""


def _diverged(outcomes: GroupOutcomes, caps: Float) -> Bool:
    start = np.maximum(outcomes.train_loss[:, 0], outcomes.val_loss[:, 0])
    ended_above = (outcomes.final_loss > caps) & (outcomes.final_loss > CLEARLY_ABOVE * start)
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
        "target_range": problem.target_range,
        "architecture": group.network.module,
        "depth": group.network.depth,
        "width": group.network.width,
        "activation": group.network.activation,
        "init_gain": group.network.init_gain,
        "input_scale": group.input_scale,
        "output_activation": np.array([cell.output.activation for cell in cells]),
        "loss": np.array([cell.output.loss for cell in cells]),
        "optimizer": group.setting.optimizer,
        "batch_size": min(group.setting.batch_size, len(problem.train_inputs)),
        "epochs": group.setting.epochs,
        "bad_batches": group.setting.bad_batches,
        "pretrained_on": "" if outcomes.source is None else outcomes.source.name,
        "schedule": np.array([cell.schedule.shape for cell in cells]),
        "decay": np.array([1.0 if c.schedule.shape == "constant" else c.schedule.decay for c in cells]),
        "warmup": np.array([cell.schedule.warmup for cell in cells]),
        "decay_until": np.array([cell.schedule.until for cell in cells]),
        "cycles": np.array([cell.schedule.cycles if cell.schedule.shape in CYCLIC else 1.0 for cell in cells]),
        "base_lr": np.array([group.grid.rate(int(k)) for k in outcomes.rate_index]),
        "phenomenon": group.phenomenon,
    }


def _curves(outcomes: GroupOutcomes, n_points: int) -> dict[str, Any]:
    """Curves of n_points points; the last one of a shorter curve repeats."""
    n, length = outcomes.train_loss.shape
    repeat = np.minimum(np.arange(n_points), length - 1)
    step = outcomes.record_steps[repeat]
    shapes = np.stack([c.schedule.over(outcomes.n_steps)[np.maximum(step - 1, 0)] for c in outcomes.cells])
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


def _meta(recipe_file: RecipeFile, remedies: Sequence[Remedy], thresholds: Thresholds, outcomes: GroupOutcomes) -> Meta:
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
