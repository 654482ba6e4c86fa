"""Training parts of a data set again with other seeds: were its labels luck?"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from curvebench.generation.backends import available_cores, run_local
from curvebench.generation.engine import make_engine
from curvebench.generation.intervene import Pair, run_remedies
from curvebench.generation.plan import Group, make_plan, remedies_of_recipe
from curvebench.generation.recipe import Recipe, parse_recipe
from curvebench.remedies import Trial, extra_training
from curvebench.spec import Float, InputError

_SAME_RATE = 1e-6
"""Rates closer than this, as a ratio, are the same point of a grid."""

_CELL = re.compile(r"g([0-9]{1,9})\.c([0-9]{1,9})")
"""Name of a cell: number of its group, and its own in the group; see `curvebench.generation.table`."""

Wanted = Mapping[Pair, Sequence[int]]
"""Cell and rate index -> remedies to try."""


def replicate(
    recipe_text: str,
    trials: Sequence[Trial],
    *,
    first_seed: int | None = None,
    workers: int | None = None,
    device: str = "cpu",
    progress: Callable[[float, float], None] | None = None,
    say: Callable[[str], None] = lambda sentence: None,
) -> NDArray[np.float32]:
    """Train some (cell, rate)s of a data set, and remedies of theirs, with K other paired seeds of the same streams.

    What comes out is a function of recipe, trials and first seed alone. With the first seed 0 it is what stands in the
    data set.

    Args:
        recipe_text: the recipe that travels in the data set; it names the engine.
        trials: what to train, each (cell, rate) once.
        first_seed: of the K seeds; by default K, the first that the data set has not seen.
        workers: processes; all cores by default. See `curvebench.generate` for what that means in a script.
        device: of the torch engine.
        progress: called with the work that is done, and all of it.
        say: told how long it will take as soon as that is known, and whether the engine has to be compiled first.

    Returns:
        (n_trials, K, n_remedies) outcomes as in the column `remedy_final_loss`; NaN for remedies not asked for.

    Raises:
        InputError: the recipe has faults, or a trial is of no cell, rate or remedy of it.
    """
    recipe = parse_recipe(recipe_text, where="the recipe in the data set").recipe
    n_seeds, n_remedies = recipe.sweep.seeds, len(remedies_of_recipe(recipe))
    plan = make_plan(recipe)
    places = [_place(plan, trial, n_remedies) for trial in trials]
    wanted: dict[int, dict[Pair, Sequence[int]]] = {}
    for (group, pair), trial in zip(places, trials, strict=True):
        wanted.setdefault(group.index, {})[pair] = trial.remedies
    outcomes = np.full((len(trials), n_seeds, n_remedies), np.nan, np.float32)
    if not trials:
        return outcomes

    work = {index: _work(recipe, plan[index], of_group) for index, of_group in wanted.items()}
    train = partial(_train_group, recipe_text, device, n_seeds if first_seed is None else first_seed)
    trained: dict[int, Mapping[Pair, Float]] = {}

    def note(item: tuple[int, Wanted], result: Mapping[Pair, Float]) -> None:
        trained[item[0]] = result
        if progress:
            progress(sum(work[index] for index in trained), sum(work.values()))

    make_engine(recipe.engine, device).prepare(say)
    items = sorted(wanted.items(), key=lambda item: -work[item[0]])  # the largest first
    gauge = items.pop(len(items) // 2)
    begin = time.perf_counter()
    note(gauge, train(gauge))
    seconds = (time.perf_counter() - begin) / work[gauge[0]] * sum(work[index] for index, _ in items)
    workers = workers or available_cores()
    say(
        f"training {len(trials):,} (cell, rate)s and their remedies again with {n_seeds} other seeds: "
        f"about {math.ceil(seconds / max(1, min(workers, len(items)))):,} s"
    )
    run_local(train, items, workers, note)
    for row, (group, pair) in enumerate(places):
        outcomes[row] = trained[group.index][pair]
    return outcomes


def _place(plan: Sequence[Group], trial: Trial, n_remedies: int) -> tuple[Group, Pair]:
    """The group, cell and rate index that a trial is about."""
    name = _CELL.fullmatch(trial.cell)
    is_rate = math.isfinite(trial.base_lr) and trial.base_lr > 0
    if name and is_rate and int(name[1]) < len(plan) and max(trial.remedies, default=0) < n_remedies:
        group = plan[int(name[1])]
        grid = group.grid
        index = round((math.log10(trial.base_lr) - grid.log10_lowest) * grid.points_per_decade)
        lowest, highest = grid.bounds
        if lowest <= index <= highest and abs(grid.rate(index) / trial.base_lr - 1.0) < _SAME_RATE:
            return group, (int(name[2]), index)
    raise InputError(
        f"The recipe in the data set does not plan the cell {trial.cell!r} at the rate {trial.base_lr:.6g} with these "
        "remedies; only what was generated from a recipe can be trained again."
    )


def _work(recipe: Recipe, group: Group, wanted: Wanted) -> float:
    """Examples that training takes; restarts that several (cell, rate)s share count for each."""
    cost = extra_training(remedies_of_recipe(recipe))
    n_trainings = sum(1.0 + float(cost[list(remedies)].sum()) for remedies in wanted.values())
    return recipe.sweep.seeds * n_trainings * group.setting.epochs * group.n_train


def _train_group(recipe_text: str, device: str, first_seed: int, item: tuple[int, Wanted]) -> dict[Pair, Float]:
    recipe = parse_recipe(recipe_text).recipe
    index, wanted = item
    return run_remedies(recipe, make_plan(recipe)[index], wanted, make_engine(recipe.engine, device), first_seed)
