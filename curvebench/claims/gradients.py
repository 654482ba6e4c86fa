"""Claims about vanishing gradients: through deep layers, and at saturated outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from curvebench.claims.claim import Claim, Experiment, Measurement, Panel, Row, Rule, Series, Table
from curvebench.claims.forward import layers
from curvebench.claims.statistics import estimate
from curvebench.claims.trials import CLASS_FAMILIES, WIDTH, Effort, gradient, make_trial, problem_of
from curvebench.spec import Engine, Float, Output

HIDDEN = ("relu", "tanh", "sigmoid")
NAMES: Mapping[str, str] = {
    "relu": "ReLU",
    "tanh": "tanh",
    "sigmoid": "sigmoid",
    "softmax": "softmax",
    "identity": "identity",
}
DEPTHS = (1, 2, 3, 4, 6, 8, 10)
SHALLOW, DEEP = 2, 8
"""Hidden layers between which a gradient is said to vanish or not."""

SCALES = (1.0, 3.0, 10.0, 30.0, 100.0)
"""Factors on the initial weights of the last layer, which saturate an output."""

BATCH_SIZE = 64

VANISHED = 1.0
"""Decades by which a gradient must have fallen, in itself and more than with ReLU, to have vanished."""

_OR_LESS = ", or its excess over that with ReLU where this is less"

OUTPUTS: Mapping[str, tuple[str, Output]] = {
    "softmax and the loss squared error": ("multiclass", Output("softmax", "squared_error")),
    "sigmoid and the loss squared error": ("multiclass", Output("sigmoid", "squared_error")),
    "tanh and the loss squared error": ("multiclass", Output("tanh", "squared_error")),
    "softmax and the loss cross entropy": ("multiclass", Output("identity", "cross_entropy_logits")),
    "sigmoid and the loss cross entropy": ("binary", Output("identity", "cross_entropy_logits")),
    "ReLU and the loss squared error": ("multiclass", Output("relu", "squared_error")),
    "identity and the loss squared error": ("multiclass", Output("identity", "squared_error")),
}
"""Name -> task and output; cross entropy is taken from logits, where softmax and sigmoid are part of the loss."""

REFERENCE = "ReLU and the loss squared error"
CONTROL = "identity and the loss squared error"
"""What saturating outputs are compared with, and what can not saturate."""


def beyond(fall: Float, fall_with_relu: Float) -> Float:
    """The smaller of a fall and its excess over that with ReLU, problem by problem."""
    return np.asarray(np.minimum(fall, fall - fall_with_relu))


# --------------------------------------------------------------------------------------- through layers


@dataclass(frozen=True)
class ByDepth:
    """Gradients of the initial networks on one problem.

    Attributes:
        problem: its name.
        first: (n_activations, n_depths) log10 of the norm of the first layer's gradient, mean over seeds.
        last: the same of the last layer.
    """

    problem: str
    first: Float
    last: Float


def observe_depth(case: int, effort: Effort, engine: Engine) -> ByDepth:
    """Gradients of a large batch by the weights of the first and of the last layer, for every activation and depth."""
    problem = problem_of(case)
    ends = []
    for activation in HIDDEN:
        for depth in DEPTHS:
            trial = make_trial(problem, case, effort, batch_size=BATCH_SIZE, activation=activation, depth=depth)
            parts = layers(trial.network, gradient(trial, trial.initial, engine))
            ends.append([_log_norm(parts[0][0]), _log_norm(parts[-1][0])])
    both = np.array(ends).reshape(len(HIDDEN), len(DEPTHS), 2)
    return ByDepth(problem.name, both[..., 0], both[..., 1])


def _log_norm(gradients: Float) -> float:
    """Mean over seeds of log10 of the Euclidean norms of (n_seeds, n_in, n_out)."""
    norms = np.sqrt((gradients**2).sum(axis=(1, 2)))
    return float(np.log10(np.maximum(norms, _LEAST)).mean())


_LEAST = 1e-30
"""Smaller norms count as this: their logarithm must stay finite."""

BY_DEPTH = Experiment(
    what=(
        f"On every problem, networks of {min(DEPTHS)} to {max(DEPTHS)} hidden layers of {WIDTH} units with "
        f"{', '.join(NAMES[a] for a in HIDDEN)}, with the usual initial weights (He for ReLU, LeCun for the others) "
        f"and the fitting output and loss. The gradient of a batch of {BATCH_SIZE} is read off one update of SGD: "
        "weights before less weights after, divided by the rate."
    ),
    n_cases=lambda effort: effort.n_problems,
    observe=observe_depth,
    cost=0.3,
)


def judge_depth(seen: Sequence[ByDepth]) -> Measurement:
    """Do deep layers of sigmoid and tanh make gradients vanish, and ReLU less so?"""
    falls = {activation: _fall(seen, i) for i, activation in enumerate(HIDDEN)}
    rows: list[Row] = []
    for i, activation in enumerate(HIDDEN):
        norms = [estimate([s.first[i, j] for s in seen]) for j in range(len(DEPTHS))]
        rows.append((NAMES[activation], *norms, estimate(falls[activation])))
    effects = {
        f"the hidden layers are {NAMES[activation]}": estimate(beyond(falls[activation], falls["relu"]))
        for activation in ("sigmoid", "tanh")
    }
    return Measurement(
        rule=Rule(
            f"the fall in decades of the first layer's gradient from {SHALLOW} to {DEEP} hidden layers{_OR_LESS}",
            VANISHED,
        ),
        effects=effects,
        table=Table(
            (
                "hidden layers",
                *(f"{depth}" for depth in DEPTHS),
                f"fall from {SHALLOW} to {DEEP}",
            ),
            tuple(rows),
            "log10 of the norm of the gradient by the first layer's weights, by the number of hidden layers",
        ),
        panels=tuple(
            Panel(
                f"{name} layer's weights",
                "hidden layers",
                "log10 of the gradient's norm",
                tuple(_depth_series(seen, i, name) for i in range(len(HIDDEN))),
            )
            for name in ("first", "last")
        ),
    )


def _fall(seen: Sequence[ByDepth], activation: int) -> Float:
    shallow, deep = DEPTHS.index(SHALLOW), DEPTHS.index(DEEP)
    return np.array([s.first[activation, shallow] - s.first[activation, deep] for s in seen])


def _depth_series(seen: Sequence[ByDepth], activation: int, layer: str) -> Series:
    estimates = [estimate([getattr(s, layer)[activation, j] for s in seen]) for j in range(len(DEPTHS))]
    return Series.of(NAMES[HIDDEN[activation]], [float(d) for d in DEPTHS], estimates)


# ------------------------------------------------------------------------------------- at the output


@dataclass(frozen=True)
class ByScale:
    """Gradients at outputs of growing initial weights on one problem.

    Attributes:
        problem: its name.
        norm: (n_outputs, n_scales) log10 of the gradient's norm by the last layer's weights, mean over seeds.
        dead: (n_outputs, n_scales) share of output units whose gradient is exactly zero for the whole batch.
    """

    problem: str
    norm: Float
    dead: Float


def observe_output(case: int, effort: Effort, engine: Engine) -> ByScale:
    """Gradients of a large batch by the weights of the last layer, for every output and scale of these weights."""
    problem = problem_of(case, CLASS_FAMILIES)
    norms, dead = [], []
    for task, output in OUTPUTS.values():
        trial = make_trial(replace(problem, task=task), case, effort, batch_size=BATCH_SIZE, output=output)
        n_last = (trial.network.width + 1) * trial.network.n_outputs
        for scale in SCALES:
            start = trial.initial.copy()
            start[:, -n_last:] *= scale
            weights, biases = layers(trial.network, gradient(trial, start, engine))[-1]
            norms.append(_log_norm(weights))
            dead.append(float((biases == 0).mean()))
    shape = (len(OUTPUTS), len(SCALES))
    return ByScale(problem.name, np.array(norms).reshape(shape), np.array(dead).reshape(shape))


AT_OUTPUT = Experiment(
    what=(
        "On problems with several classes, the weights of the last layer are multiplied by "
        f"{', '.join(f'{scale:g}' for scale in SCALES)} before training, which saturates an output that can "
        f"saturate. The gradient by these weights, of a batch of {BATCH_SIZE}, is read off one update of SGD."
    ),
    n_cases=lambda effort: effort.n_problems,
    observe=observe_output,
    cost=0.3,
)


def judge_output(seen: Sequence[ByScale]) -> Measurement:
    """Do saturated outputs make gradients vanish, and ReLU less so?"""
    falls = np.array([s.norm[:, 0] - s.norm[:, -1] for s in seen])
    names = list(OUTPUTS)
    rows: list[Row] = [
        (
            name,
            *(estimate([s.norm[i, j] for s in seen]) for j in range(len(SCALES))),
            estimate(falls[:, i]),
            estimate([s.dead[i, -1] for s in seen]),
        )
        for i, name in enumerate(names)
    ]
    effects = {
        f"the output is {name}": estimate(beyond(falls[:, i], falls[:, names.index(REFERENCE)]))
        for i, name in enumerate(names)
        if name not in (REFERENCE, CONTROL)
    }
    series = [
        Series.of(
            name.replace(" and the loss ", ", "),
            list(SCALES),
            [estimate([s.norm[i, j] for s in seen]) for j in range(len(SCALES))],
        )
        for i, name in enumerate(names)
    ]
    return Measurement(
        rule=Rule(
            f"the fall in decades of the last layer's gradient with {SCALES[-1]:g} times the weights{_OR_LESS}",
            VANISHED,
        ),
        effects=effects,
        table=Table(
            (
                "output",
                *(f"× {scale:g}" for scale in SCALES),
                "fall",
                f"outputs without any gradient, × {SCALES[-1]:g}",
            ),
            tuple(rows),
            "log10 of the norm of the gradient by the last layer's weights, by the factor on these weights",
        ),
        panels=(
            Panel(
                "last layer's weights",
                "factor on the initial weights of the last layer",
                "log10 of the gradient's norm",
                tuple(series),
                log_x=True,
            ),
        ),
    )


CLAIMS = (
    Claim(
        "deep-layers-vanish",
        "Deep sigmoid and tanh layers make gradients vanish, ReLU layers less so.",
        "gradients_by_depth",
        judge_depth,
    ),
    Claim(
        "saturated-outputs-vanish",
        "Softmax, sigmoid and tanh outputs can make gradients vanish, ReLU outputs less so.",
        "gradients_at_output",
        judge_output,
        "Logits of a cross entropy cannot saturate: there the gradient stays. A ReLU output whose unit is below "
        "zero for every example has no gradient at all; see how many units of trained networks died under "
        "`relu-range`.",
    ),
)
