"""Claims about the range of output activations, checked on the plain functions and on trained networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from curvebench.claims.claim import Claim, Estimate, Experiment, Measurement, Panel, Row, Rule, Series, Table, exactly
from curvebench.claims.forward import OUTPUT, before_output, relu, softmax
from curvebench.claims.statistics import estimate
from curvebench.claims.trials import Effort, make_trial, problem_of, scheduled, train
from curvebench.spec import Engine, Float, Output

NAMES: Mapping[str, str] = {
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "relu": "ReLU",
    "softplus": "softplus",
    "identity": "identity",
    "softmax": "softmax",
}

REACH = 30.0
"""Plain functions are looked at between minus and plus this."""

TRAINING = ("adam", 0.01, "cosine", 100.0)
"""Optimiser, base rate, schedule and fall."""

PLAIN, TRAINED = "the plain function is meant", "it ends a trained network"

_EXACT = 1e-12
"""Distance of a sum of probabilities from one that is rounding of float64 and no more."""


@dataclass(frozen=True)
class Ranges:
    """Outputs of trained networks on the validation examples of one problem; NaN for softmax of a single output.

    Attributes:
        problem: its name.
        lowest: (n_activations,) over all seeds, in the order of `NAMES`.
        highest: (n_activations,).
        outside: (n_activations,) share of the outputs that are not in [0, 1].
        sum_error: (n_activations,) largest distance of the sum over an example's outputs from one.
        dead: (n_activations,) share of output units that are at zero or below before activation for every example.
    """

    problem: str
    lowest: Float
    highest: Float
    outside: Float
    sum_error: Float
    dead: Float


def observe(case: int, effort: Effort, engine: Engine) -> Ranges:
    """Train with every output activation under squared error and look at the outputs."""
    problem = problem_of(case)
    optimizer, rate, shape, fall = TRAINING
    measures = []
    for activation in NAMES:
        trial = make_trial(problem, case, effort, output=Output(activation, "squared_error"))
        rates = scheduled(np.array([rate]), effort.n_updates, shape, fall)
        parameters = train(trial, optimizer, rates, engine).parameters[0]
        z = before_output(trial.network, parameters, problem.val_inputs)
        says_nothing = activation == "softmax" and trial.network.n_outputs == 1
        measures.append([np.nan] * 5 if says_nothing else _measures(z, activation))
    return Ranges(problem.name, *np.array(measures).T)


def _measures(z: Float, activation: str) -> list[float]:
    """What `Ranges` has of an activation applied to z (..., n_examples, n_outputs), in its order."""
    a = OUTPUT[activation](z)
    return [
        float(a.min()),
        float(a.max()),
        share_outside(a),
        float(np.abs(a.sum(axis=-1) - 1.0).max()),
        float((relu(z).max(axis=-2) == 0.0).mean()),
    ]


def share_outside(values: Float) -> float:
    """Share of values that are not in [0, 1].

    >>> share_outside(np.array([-0.1, 0.0, 0.5, 1.0]))
    0.25
    """
    return float(((values < 0.0) | (values > 1.0)).mean())


EXPERIMENT = Experiment(
    what=(
        f"The plain functions are looked at between -{REACH:g} and {REACH:g}. On every problem a network with each "
        f"output activation is trained under squared error ({TRAINING[0]}, rate {TRAINING[1]:g}, {TRAINING[2]} decay "
        f"by {TRAINING[3]:g}), whatever the targets are, and its outputs on the validation examples are computed in "
        "float64."
    ),
    n_cases=lambda effort: effort.n_problems,
    observe=observe,
    cost=0.1,
)


# ----------------------------------------------------------------------------------------- judging


def judge_range(seen: Sequence[Ranges], activation: str) -> Measurement:
    """Are all outputs in [0, 1]?"""
    i = list(NAMES).index(activation)
    plain = OUTPUT[activation](arguments())
    return Measurement(
        rule=Rule("the share of outputs outside [0, 1]", at_most=0.0),
        effects={PLAIN: exactly(share_outside(plain)), TRAINED: estimate([s.outside[i] for s in seen])},
        table=_table(seen, [activation]),
        panels=(_plain_panel(activation), _trained_panel(seen, activation)),
    )


def judge_sum(seen: Sequence[Ranges]) -> Measurement:
    """Do the outputs of softmax sum to one?"""
    i = list(NAMES).index("softmax")
    pairs = np.stack(np.meshgrid(arguments(), arguments()), axis=-1)
    error = float(np.abs(softmax(pairs).sum(axis=-1) - 1.0).max())
    return Measurement(
        rule=Rule("the largest distance of the sum of the outputs from one", at_most=_EXACT),
        effects={PLAIN: exactly(error), TRAINED: estimate([s.sum_error[i] for s in seen])},
        table=_table(seen, list(NAMES)),
        panels=tuple(_trained_panel(seen, activation) for activation in ("softmax", "sigmoid", "identity")),
    )


def arguments() -> Float:
    """Numbers between minus and plus `REACH`."""
    return np.linspace(-REACH, REACH, 241)


def _table(seen: Sequence[Ranges], activations: Sequence[str]) -> Table:
    rows: list[Row] = []
    for activation in activations:
        i = list(NAMES).index(activation)
        plain = "" if activation == "softmax" else _range_of(OUTPUT[activation](arguments()))
        known = [s for s in seen if not np.isnan(s.lowest[i])]
        lowest, highest = (f([getattr(s, name)[i] for s in known]) for f, name in ((min, "lowest"), (max, "highest")))
        columns: list[Estimate] = [
            estimate([getattr(s, name)[i] for s in seen]) for name in ("outside", "sum_error", "dead")
        ]
        rows.append((NAMES[activation], plain, _range_of(np.array([lowest, highest])), *columns))
    return Table(
        (
            "output",
            "range of the plain function",
            "range in trained networks",
            "share of outputs outside [0, 1]",
            "largest distance of their sum from one",
            "share of units at zero or below before activation for every example",
        ),
        tuple(rows),
    )


def _range_of(values: Float) -> str:
    return f"{values.min():.3g} to {values.max():.3g}"


def _plain_panel(activation: str) -> Panel:
    x = np.linspace(-4.0, 4.0, 81)
    series = Series(NAMES[activation], tuple(x.tolist()), tuple(OUTPUT[activation](x).tolist()))
    return Panel(f"{NAMES[activation]} as a function", "before activation", "output", (series,), lines=(0.0, 1.0))


def _trained_panel(seen: Sequence[Ranges], activation: str) -> Panel:
    """The range on every problem, in the order of its upper end."""
    i = list(NAMES).index(activation)
    ranges = sorted((s.highest[i], s.lowest[i]) for s in seen if not np.isnan(s.highest[i]))
    low, high = np.array([low for _, low in ranges]), np.array([high for high, _ in ranges])
    x = np.arange(len(ranges), dtype=np.float64)
    series = Series(NAMES[activation], *(tuple(v.tolist()) for v in (x, 0.5 * (low + high), low, high)))
    return Panel(
        f"{NAMES[activation]} of trained networks",
        "problem instance",
        "range of the output",
        (series,),
        is_line=False,
        lines=(0.0, 1.0),
    )


CLAIMS = (
    Claim("softmax-sums-to-one", "Softmax gives probabilities that sum to one.", "outputs", judge_sum),
    *(
        Claim(
            f"{activation}-range",
            f"{NAMES[activation][0].upper()}{NAMES[activation][1:]} limits the output to (0, 1).",
            "outputs",
            partial(judge_range, activation=activation),
        )
        for activation in ("sigmoid", "tanh", "relu")
    ),
)
