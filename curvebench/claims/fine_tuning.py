"""The claim that fine-tuning wants a small rate: best rate and forgetting on a related problem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from curvebench.claims.claim import Claim, Experiment, Measurement, Panel, Rule, Series, Table
from curvebench.claims.statistics import estimate
from curvebench.claims.trials import (
    FAMILIES,
    Effort,
    Trial,
    evaluate,
    make_trial,
    problem_of,
    rate_grid,
    scheduled,
    train,
)
from curvebench.generation.portable_math import cos, sin
from curvebench.generation.problems import Problem
from curvebench.spec import Engine, Float

TURNABLE = tuple(family for family in FAMILIES if family != "sine")
"""Problem families whose instances all have two inputs at least."""

ANGLES: Mapping[float, str] = {15.0: "closely related", 45.0: "less closely related"}
"""Degrees by which the inputs of the second problem are turned, and what that is called."""

OPTIMIZERS: Mapping[str, str] = {"sgd": "SGD", "adam": "Adam"}

LOWEST, HIGHEST = -6, 0
"""Decades between which rates of fine-tuning are swept; beside them a rate of zero, which leaves the network alone."""

PRETRAINING = ("adam", 0.01, "cosine", 100.0)
"""Optimiser, base rate, schedule and the factor by which it falls."""

MOST = 0.5
"""Share from which on something is said of most problems."""

SMALL = 1e-4
"""The rate that fine-tuning is said not to want to exceed."""

_SHOWN = 5.0
"""Losses are capped here, so that no run that diverged decides a mean."""


@dataclass(frozen=True)
class Tuning:
    """Fine-tuning on one problem; losses are shares of that of the best constant prediction.

    Attributes:
        problem: name of the problem of the pretraining.
        rates: (n_rates,) ascending, the first zero.
        new: (n_angles, n_optimizers, n_rates) validation loss on the new problem, mean over seeds.
        old: the same on the training examples of the old problem.
    """

    problem: str
    rates: Float
    new: Float
    old: Float


def turned(inputs: Float, degrees: float) -> Float:
    """Inputs (n, n_inputs) turned by an angle in each of the planes of features 1 and 2, 3 and 4, …, float32.

    A product of Givens rotations; a last feature without a partner stays.
    """
    wide = np.asarray(inputs, dtype=np.float64)
    n = 2 * (wide.shape[1] // 2)
    c, s = float(cos(np.pi * degrees / 180.0)), float(sin(np.pi * degrees / 180.0))
    result = wide.copy()
    result[:, 0:n:2] = c * wide[:, 0:n:2] - s * wide[:, 1:n:2]
    result[:, 1:n:2] = s * wide[:, 0:n:2] + c * wide[:, 1:n:2]
    return result.astype(np.float32)


def related(problem: Problem, degrees: float) -> Problem:
    """The same task on turned inputs: half of the validation examples to train on, the other half to validate."""
    half = len(problem.val_inputs) // 2
    inputs, targets = turned(problem.val_inputs, degrees), problem.val_targets
    return replace(
        problem,
        train_inputs=inputs[:half],
        train_targets=targets[:half],
        val_inputs=inputs[half:],
        val_targets=targets[half:],
        best_predictions=None,
    )


def observe(case: int, effort: Effort, engine: Engine) -> Tuning:
    """Train on a problem, then go on with related ones at every rate."""
    problem = problem_of(case, TURNABLE)
    trial = make_trial(problem, case, effort)
    optimizer, rate, shape, fall = PRETRAINING
    before = train(trial, optimizer, scheduled(np.array([rate]), effort.n_updates, shape, fall), engine).parameters[0]
    shorter = replace(effort, n_updates=effort.n_updates // 2)
    rates = np.concatenate([[0.0], rate_grid(LOWEST, HIGHEST, effort.rates_per_decade)])
    new, old = [], []
    for degrees in ANGLES:
        second = make_trial(related(problem, degrees), case, shorter)
        for name in OPTIMIZERS:
            runs = train(second, name, scheduled(rates, shorter.n_updates), engine, start=before)
            new.append(np.minimum(runs.final_val, _SHOWN).mean(axis=1))
            old.append(_loss_on(trial, runs.parameters, engine))
    shape_of_all = (len(ANGLES), len(OPTIMIZERS), len(rates))
    return Tuning(problem.name, rates, np.stack(new).reshape(shape_of_all), np.stack(old).reshape(shape_of_all))


def _loss_on(trial: Trial, parameters: Float, engine: Engine) -> Float:
    """(n_rates,) training loss of a trial's problem for networks (n_rates, n_seeds, n_parameters), mean over seeds."""
    return np.asarray(np.minimum(evaluate(trial, parameters, engine), _SHOWN).mean(axis=1))


EXPERIMENT = Experiment(
    what=(
        f"Every problem with at least two inputs is learned with {OPTIMIZERS[PRETRAINING[0]]} (rate "
        f"{PRETRAINING[1]:g}, {PRETRAINING[2]} decay by {PRETRAINING[3]:g}). Training then goes on, half as long, "
        "with a related problem: the same task on fresh examples whose inputs are turned by "
        f"{' or '.join(f'{a:g}°' for a in ANGLES)} in each plane of two features, at constant rates from 1e{LOWEST} "
        f"to 1e{HIGHEST} and at rate zero. The new problem is judged on its validation examples, forgetting by the "
        "loss on the old training examples."
    ),
    n_cases=lambda effort: effort.n_problems,
    observe=observe,
    cost=1.0,
)


# ----------------------------------------------------------------------------------------- judging

VIEWS = ("the new problem alone counts", "the old problem counts as much as the new one")


def best_rate(tuning: Tuning, angle: int, optimizer: int, view: str) -> float:
    """The rate with the lowest loss: on the new problem, or on both."""
    loss = tuning.new[angle, optimizer]
    if view == VIEWS[1]:
        loss = loss + tuning.old[angle, optimizer]
    return float(tuning.rates[loss.argmin()])


def judge(seen: Sequence[Tuning]) -> Measurement:
    """Does fine-tuning want a rate of at most 1e-4?"""
    effects, rows, panels = {}, [], []
    for a, relation in enumerate(ANGLES.values()):
        for o, name in enumerate(OPTIMIZERS.values()):
            for view in VIEWS:
                best = np.array([best_rate(t, a, o, view) for t in seen])
                effect = estimate((best <= SMALL).astype(np.float64))
                effects[f"the problems are {relation}, the optimiser is {name} and {view}"] = effect
                at_best = [int(np.flatnonzero(t.rates == rate)[0]) for t, rate in zip(seen, best, strict=True)]
                rows.append(
                    (
                        relation,
                        name,
                        view,
                        effect,
                        float(np.median(best)),
                        estimate([t.new[a, o, 0] for t in seen]),
                        estimate([t.new[a, o, i] for t, i in zip(seen, at_best, strict=True)]),
                        estimate([t.old[a, o, 0] for t in seen]),
                        estimate([t.old[a, o, i] for t, i in zip(seen, at_best, strict=True)]),
                    )
                )
            panels.append(_panel(seen, a, o, f"{relation}, {name}"))
    return Measurement(
        rule=Rule("the share of problems whose best rate is at most 1e-4", MOST),
        effects=effects,
        table=Table(
            (
                "problems",
                "optimiser",
                "when",
                "best rate at most 1e-4",
                "median best rate",
                "new loss before",
                "new loss at the best rate",
                "old loss before",
                "old loss at the best rate",
            ),
            tuple(rows),
        ),
        panels=tuple(panels),
    )


def _panel(seen: Sequence[Tuning], angle: int, optimizer: int, title: str) -> Panel:
    rates = seen[0].rates[1:]
    series = []
    for name in ("new", "old"):
        estimates = [estimate([getattr(t, name)[angle, optimizer, i + 1] for t in seen]) for i in range(len(rates))]
        series.append(Series.of(f"{name} problem", rates.tolist(), estimates))
    return Panel(title, "rate of fine-tuning", "loss / best constant", tuple(series), log_x=True)


CLAIMS = (
    Claim(
        "fine-tune-at-1e-4",
        "Fine-tuning wants a rate of at most 1e-4.",
        "fine_tuning",
        judge,
        "The smaller the rate, the less is forgotten and the less is learned; at rate zero (before) nothing of either.",
    ),
)
