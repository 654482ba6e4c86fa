"""The claim that every diagnosis has its remedy: the gain of each remedy for each diagnosis, from labelled runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from curvebench.claims.claim import Claim, Estimate, Experiment, Measurement, Panel, Row, Rule, Series, Table
from curvebench.claims.statistics import estimate, mean_of_known
from curvebench.claims.trials import Effort
from curvebench.data.dataset import Dataset
from curvebench.generation.intervene import run_group
from curvebench.generation.plan import Group, make_plan
from curvebench.generation.recipe import RecipeFile, load_recipe
from curvebench.generation.table import make_shard
from curvebench.remedies import COST_WEIGHT, family_members
from curvebench.spec import DIAGNOSES, Diagnosis, Engine, Float, Remedy

REMEDIES: Mapping[str, str] = {
    Diagnosis.LR_TOO_HIGH: "lower, restart",
    Diagnosis.LATE_LR_TOO_HIGH: "lower, resume",
    Diagnosis.LR_TOO_LOW: "raise, restart",
    Diagnosis.LATE_LR_TOO_LOW: "raise, resume",
    Diagnosis.OUTPUT_MISMATCH: "change the output",
    Diagnosis.HEALTHY: "nothing",
}
"""Diagnosis -> the remedy that is taught for it."""

AS_GOOD = -COST_WEIGHT
"""The taught remedy is called as good as the best other one if it stays behind by no more than a training costs."""

CAUSES: Mapping[str, str] = {"diagnosis": "the diagnosis", "injected": "the injected cause"}
"""Column that says what is wrong with a run, by intervention or by construction -> what it is called."""


@dataclass(frozen=True)
class GainTable:
    """Gains on the runs of one problem instance.

    Attributes:
        problem: its name.
        n_runs: (n_causes, n_diagnoses) scored runs, by label and by injected cause, in the order of `CAUSES`.
        gains: (n_causes, n_diagnoses, n_remedies) mean gain of the best dose of each remedy, both axes in the order of
            `DIAGNOSES`; NaN where there are no runs or none of them was given the remedy.
    """

    problem: str
    n_runs: Float
    gains: Float


def tables_of(dataset: Dataset) -> list[GainTable]:
    """The gains on each problem instance of a labelled data set, in the order of their names."""
    scored = dataset.select(dataset.is_scored)
    gains = gains_of_best_dose(scored["remedy_gain"], _key(scored), scored.meta.remedies)
    return [
        _table_of_problem(str(problem), scored, gains, scored["problem"] == problem)
        for problem in np.unique(scored["problem"])
    ]


def _key(dataset: Dataset) -> NDArray[np.str_]:
    """(n,) equal for the runs of one cell and rate, which differ in their seeds."""
    return np.char.add(np.char.add(dataset["cell"], "@"), dataset["base_lr"].astype("U32"))


def gains_of_best_dose(gains: Float, key: NDArray[np.str_], remedies: Sequence[Remedy]) -> Float:
    """What each remedy gains on each run, in the dose (factor and moment) that was best for the other seeds.

    Args:
        gains: (n, n_doses) gain of everything that was tried, NaN where untried.
        key: (n,) the same for the seeds of one cell and rate.
        remedies: the doses, in the order of the second axis.

    Returns:
        (n, n_remedies) in the order of `DIAGNOSES`. Nothing gains 0; so does changing an output that was not
        changed because it fits. NaN where no dose was tried with every seed, or where a run has no other seeds.
    """
    result = np.full((len(gains), len(DIAGNOSES)), np.nan)
    result[:, DIAGNOSES.index(Diagnosis.HEALTHY)] = 0.0
    order = np.argsort(key, kind="stable")
    starts = np.flatnonzero(np.r_[True, key[order][1:] != key[order][:-1]])
    for rows in np.split(order, starts[1:]):
        for column, diagnosis in enumerate(DIAGNOSES):
            doses = gains[np.ix_(rows, family_members(remedies, diagnosis))].astype(np.float64)
            doses = doses[:, ~np.isnan(doses).any(axis=0)]
            if len(rows) > 1 and doses.size:
                others = doses.sum(axis=0) - doses
                result[rows, column] = doses[np.arange(len(rows)), others.argmax(axis=1)]
    change = result[:, DIAGNOSES.index(Diagnosis.OUTPUT_MISMATCH)]
    change[np.isnan(change)] = 0.0
    return result


def _table_of_problem(problem: str, scored: Dataset, gains: Float, is_of_problem: NDArray[np.bool_]) -> GainTable:
    shape = (len(CAUSES), len(DIAGNOSES))
    n_runs, means = np.zeros(shape), np.full((*shape, len(DIAGNOSES)), np.nan)
    for i, cause in enumerate(CAUSES):
        for j, diagnosis in enumerate(DIAGNOSES):
            of_row = gains[is_of_problem & (scored[cause] == diagnosis)]
            n_runs[i, j] = len(of_row)
            means[i, j] = mean_of_known(of_row.T)
    return GainTable(problem, n_runs, means)


# -------------------------------------------------------------------------------- runs to look at


def groups_of(effort: Effort) -> tuple[RecipeFile, list[Group]]:
    """A shipped recipe, and groups of different problem instances: equally many of each phenomenon, evenly chosen."""
    recipe_file = load_recipe(effort.recipe)
    by_problem = {(group.family, group.instance): group for group in make_plan(recipe_file.recipe)}
    by_phenomenon: dict[str, list[Group]] = {}
    for group in by_problem.values():
        by_phenomenon.setdefault(group.phenomenon, []).append(group)
    n_of_each = max(1, effort.n_groups // len(by_phenomenon))
    return recipe_file, [group for groups in by_phenomenon.values() for group in _spread(groups, n_of_each)]


def _spread(groups: Sequence[Group], n: int) -> list[Group]:
    """N groups at equal distances, or all if there are fewer."""
    n = min(n, len(groups))
    return [groups[(2 * i + 1) * len(groups) // (2 * n)] for i in range(n)]


def observe(case: int, effort: Effort, engine: Engine) -> GainTable:
    """Train one group of the recipe with all its remedies, label it and average the gains."""
    recipe_file, groups = groups_of(effort)
    shard = make_shard(recipe_file, run_group(recipe_file.recipe, groups[case], engine))
    tables = tables_of(shard)
    nothing = np.zeros((len(CAUSES), len(DIAGNOSES)))
    empty = GainTable(
        f"{groups[case].family}-{groups[case].instance:02d}", nothing, np.full((*nothing.shape, len(DIAGNOSES)), np.nan)
    )
    return tables[0] if tables else empty


EXPERIMENT = Experiment(
    what=(
        "Groups of a shipped recipe, each with another problem instance, are trained, remedied and labelled as "
        "for the data set (or the labelled runs of the file given with `--data` are taken). For every diagnosis, "
        "the gain of each remedy in the dose (factor, moment) that was best for the other seeds of the same cell "
        "and rate."
    ),
    n_cases=lambda effort: len(groups_of(effort)[1]),
    observe=observe,
    cost=9.0,
)


# ------------------------------------------------------------------------------------------ judging


def judge(seen: Sequence[GainTable], cause: str) -> Measurement:
    """Is the taught remedy the best one for everything that may be wrong with a run, by one of the `CAUSES`?"""
    i = list(CAUSES).index(cause)
    gains = np.stack([s.gains[i] for s in seen])
    n_runs = np.sum([s.n_runs[i] for s in seen], axis=0)
    effects: dict[str, Estimate] = {}
    rows: list[Row] = []
    for j in np.flatnonzero(n_runs).tolist():
        lead = estimate(lead_over_others(gains[:, j], j))
        effects[f"{CAUSES[cause]} is {DIAGNOSES[j]}"] = lead
        rows.append((DIAGNOSES[j], float(n_runs[j]), *(estimate(column) for column in gains[:, j].T), lead))
    return Measurement(
        rule=Rule("the lead in gain of the taught remedy over the best other one", AS_GOOD),
        effects=effects,
        table=Table(
            (CAUSES[cause], "runs", *REMEDIES.values(), "lead of the taught remedy"),
            tuple(rows),
            "Mean gain of each remedy",
        ),
        panels=(_panel(gains, f"by {CAUSES[cause]}"),),
    )


def lead_over_others(gains: Float, taught: int) -> Float:
    """(n_instances,) gain of the taught remedy less that of the other one with the highest mean.

    Args:
        gains: (n_instances, n_remedies), NaN where untried.
        taught: index of the taught remedy.
    """
    means = np.nan_to_num(mean_of_known(gains.T), nan=-np.inf)
    means[taught] = -np.inf
    return np.asarray(gains[:, taught] - gains[:, int(means.argmax())])


def _panel(gains: Float, title: str) -> Panel:
    """Gains (n_instances, n_diagnoses, n_remedies)."""
    series = []
    for k, words in enumerate(REMEDIES.values()):
        if k == DIAGNOSES.index(Diagnosis.HEALTHY):
            continue
        estimates: list[Estimate] = [estimate(gains[:, j, k]) for j in range(len(DIAGNOSES))]
        x = [j + 0.13 * (k - 2) for j in range(len(DIAGNOSES))]
        series.append(Series.of(words, x, estimates))
    return Panel(title, "", "gain", tuple(series), is_line=False, ticks=DIAGNOSES, lines=(0.0,))


_NOTE = "A gain of 0.5 means that the final loss was halved. An output that fits cannot be changed: no gain."

CLAIMS = (
    Claim(
        "taught-remedies",
        "Every diagnosis has its remedy: lower or raise the rate and start again, lower or raise it and rerun the last "
        "epochs, change the output, or leave it alone.",
        "remedies",
        partial(judge, cause="diagnosis"),
        f"{_NOTE} The rows are not independent of the gains: a label is what gained most, or what is cheaper and "
        "gained nearly as much, over all seeds; the dose is chosen and its gain read on different seeds.",
    ),
    Claim(
        "remedies-of-causes",
        "Who knows what was done wrong knows the remedy.",
        "remedies",
        partial(judge, cause="injected"),
        f"{_NOTE} The rows follow from how a run was made, whatever its remedies did.",
    ),
)
