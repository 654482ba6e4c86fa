"""From a recipe to what is to be trained: groups, each a pure function of the recipe and its number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TypeVar

import numpy as np

from curvebench.generation.engine import MLP
from curvebench.generation.moments import count_updates
from curvebench.generation.networks import n_parameters
from curvebench.generation.portable_math import log10, power10_of
from curvebench.generation.problems import MIN_TRAIN, MIN_VAL, make_problem
from curvebench.generation.random_streams import Stream, stream
from curvebench.generation.recipe import MixEntry, NetworkSpec, OutputSpec, ProblemSet, Recipe, ScheduleSpec, Setting
from curvebench.generation.sweep import Grid, make_grid, offset_through
from curvebench.spec import Action, Remedy

GOLDEN = 0.6180339887498949
"""Fractional part of the golden ratio: multiples of it spread the mix evenly over however few groups there are."""


@dataclass(frozen=True)
class Group:
    """Cells that differ only in output, loss or schedule; they share data, weights, batches and grid of rates."""

    index: int
    split: str
    family: str
    instance: int
    n_train: int
    n_val: int
    phenomenon: str
    network: NetworkSpec
    setting: Setting
    schedules: tuple[ScheduleSpec, ...]
    outputs: tuple[OutputSpec, ...]
    grid: Grid
    fine_tuning: bool = False
    input_scale: float = 1.0


def make_plan(recipe: Recipe) -> tuple[Group, ...]:
    """All groups of a recipe, in order."""
    instances = [
        (problems, instance)
        for problems in recipe.problems
        for instance in range(problems.first, problems.first + problems.instances)
        for _ in range(recipe.groups_per_instance)
    ]
    groups = []
    for index, (problems, instance) in enumerate(instances):
        draw = stream(recipe.master_seed, "group", index)
        entry = _mix_entry(recipe, index, problems)
        settings = _allowed_settings(recipe, entry, problems.split)
        setting = _pick(settings, draw)
        network = _pick(_suitable_networks(recipe, entry, problems.family), draw)
        schedule_names = _sample(entry.schedules, entry.schedules_per_group, draw)
        output_names = _sample(entry.outputs, len(entry.outputs), draw)
        offset = float(draw.uniform((1,))[0])
        log10_scale = float(draw.uniform((), *(float(log10(scale)) for scale in entry.input_scale)))
        groups.append(
            Group(
                index=index,
                split=problems.split,
                family=problems.family,
                instance=instance,
                n_train=problems.n_train,
                n_val=problems.n_val,
                phenomenon=entry.phenomenon,
                network=network,
                setting=setting,
                schedules=tuple(s for s in recipe.schedules if s.name in schedule_names),
                outputs=tuple(next(o for o in recipe.outputs if o.name == name) for name in output_names),
                grid=_grid(recipe, setting, offset),
                fine_tuning=entry.fine_tuning,
                input_scale=power10_of(log10_scale),
            )
        )
    return tuple(groups)


def outputs_of_group(group: Group, recipe: Recipe, task: str) -> tuple[OutputSpec, ...]:
    """The outputs that a group tries beside the one that fits: the first of its draw that suit the task."""
    entry = next(e for e in recipe.mix if e.phenomenon == group.phenomenon)
    return tuple(o for o in group.outputs if task in o.tasks)[: entry.outputs_per_group]


def remedies_of_recipe(recipe: Recipe) -> tuple[Remedy, ...]:
    """Every remedy that the data set has a column for; `none` first, then restarts, resumes, output, longer."""
    reach = max(high - low for low, high in (_grid(recipe, s, 0.0).bounds for s in recipe.settings))
    per_decade = recipe.sweep.points_per_decade
    restarts = [Remedy(Action.RESTART, _round_power10(k / per_decade)) for k in range(-reach, reach + 1) if k]
    resumes = [
        Remedy(Action.RESUME, float(factor), float(at))
        for at in sorted(recipe.remedies.resume_at)
        for factor in sorted(recipe.remedies.resume_factors)
    ]
    longer = [Remedy(Action.TRAIN_LONGER)] if recipe.remedies.train_longer_seeds else []
    return (Remedy(Action.NONE), *restarts, *resumes, Remedy(Action.CHANGE_OUTPUT), *longer)


def _round_power10(exponent: float) -> float:
    """10**exponent to six significant digits: a readable name of a factor."""
    return float(f"{power10_of(exponent):.6g}")


def _grid(recipe: Recipe, setting: Setting, offset: float) -> Grid:
    sweep = recipe.sweep
    if setting.certain_rate is not None:
        offset = offset_through(setting.certain_rate, setting.lowest_rate, sweep.points_per_decade, sweep.coarse_every)
    return make_grid(
        setting.lowest_rate,
        setting.highest_rate,
        offset,
        sweep.points_per_decade,
        sweep.coarse_every,
        sweep.max_extensions,
    )


def _mix_entry(recipe: Recipe, index: int, problems: ProblemSet) -> MixEntry:
    if problems.phenomenon is not None:
        return next(entry for entry in recipe.mix if entry.phenomenon == problems.phenomenon)
    entries = [entry for entry in recipe.mix if not entry.families or problems.family in entry.families]
    edges = np.cumsum([entry.weight for entry in entries])
    position = (index * GOLDEN) % 1.0 * edges[-1]
    return entries[min(int(np.searchsorted(edges, position, side="right")), len(edges) - 1)]


def _allowed_settings(recipe: Recipe, entry: MixEntry, split: str) -> list[Setting]:
    named = [next(s for s in recipe.settings if s.name == name) for name in entry.settings]
    if split == "test_ood":
        return named
    return [setting for setting in named if setting.optimizer not in recipe.splits.ood_optimizers]


def _suitable_networks(recipe: Recipe, entry: MixEntry, family: str) -> list[NetworkSpec]:
    named = [next(n for n in recipe.networks if n.name == name) for name in entry.networks]
    return [network for network in named if network.suits(family)]


_T = TypeVar("_T")


def _pick(items: Sequence[_T], draw: Stream) -> _T:
    return items[int(draw.integers(len(items), (1,))[0])]


def _sample(names: list[str], n: int, draw: Stream) -> list[str]:
    return [names[int(i)] for i in draw.permutation(len(names))[:n]]


# ---------------------------------------------------------------------------------------------- cost


REFINED = 8
"""Refined rates of a typical cell; measured on `core`, used for the expected cost only."""


@dataclass(frozen=True)
class Cost:
    """What a recipe asks for; computed before any work.

    Attributes:
        n_groups: groups.
        n_runs: rows before thinning, expected.
        n_trainings: runs, resumed and longer ones included, expected.
        n_updates: network-steps, expected.
        n_bytes: uncompressed size of the data set, at most.
        worker_bytes: a worker's peak of memory, at most.
        memory_bytes: the larger of that and the final merge into one file, at most.
    """

    n_groups: int
    n_runs: int
    n_trainings: int
    n_updates: int
    n_bytes: int
    worker_bytes: int
    memory_bytes: int


def compute_cost(recipe: Recipe, plan: Sequence[Group]) -> Cost:
    """Add up what the groups of a plan ask for. Outputs that do not suit a task are counted as if they did."""
    remedies = remedies_of_recipe(recipe)
    resumes = [remedy for remedy in remedies if remedy.action == Action.RESUME]
    resumed_share = sum(1.0 - remedy.at for remedy in resumes)
    longer = min(1.0, recipe.remedies.train_longer_seeds / recipe.sweep.seeds)
    row_bytes = 4 * recipe.n_points * (5 + len(resumes)) + 12 * len(remedies) + 600
    n_runs = n_updates = most_rows = most_memory = 0
    for group in plan:
        entry = next(e for e in recipe.mix if e.phenomenon == group.phenomenon)
        n_cells = len(group.schedules) * (1 + entry.outputs_per_group)
        low, high = group.grid.bounds
        rows = n_cells * recipe.sweep.seeds * (len(group.grid.coarse) + 1 + REFINED)
        rows_at_most = n_cells * recipe.sweep.seeds * (high - low + 1)
        n_steps = count_updates(group.n_train, group.setting.batch_size, group.setting.epochs)
        n_runs += rows
        n_updates += int(rows * n_steps * (1.0 + resumed_share + 2.0 * longer))
        most_rows += rows_at_most
        state_bytes = 4 * _n_parameters(recipe, group) * (1 + group.setting.to_optimizer().n_slots)
        kept_bytes = state_bytes * len(recipe.remedies.resume_at) + row_bytes
        # what one job takes beside: a start and all rates for every run of it
        job_bytes = (2 + len(recipe.remedies.resume_factors)) * (state_bytes + 4 * n_steps)
        batch_bytes = 24 * recipe.sweep.seeds * n_steps * group.setting.batch_size
        most_memory = max(most_memory, rows_at_most * (kept_bytes + job_bytes) + batch_bytes)
    return Cost(
        n_groups=len(plan),
        n_runs=n_runs,
        n_trainings=int(n_runs * (1 + len(resumes) + longer)),
        n_updates=n_updates,
        n_bytes=most_rows * row_bytes,
        worker_bytes=most_memory,
        memory_bytes=max(most_memory, 3 * n_runs * row_bytes),
    )


def _n_parameters(recipe: Recipe, group: Group) -> int:
    """Parameters of a group's network: of a module all of them, of an MLP at most.

    How many inputs and outputs there are is known once the problem is made, for which an MLP is not worth it. Where
    torch is missing a module is taken for an MLP: it cannot be trained there.
    """
    spec = group.network
    if spec.module == MLP or find_spec("torch") is None:
        return spec.width * (spec.depth * (spec.width + 1) + 64)
    problem = make_problem(group.family, group.instance, recipe.master_seed, MIN_TRAIN, MIN_VAL)
    return n_parameters(spec.to_network(problem.train_inputs.shape[1], problem.train_targets.shape[1]))
