"""The claims that softmax is for one label and sigmoid for several, tried both ways round."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from curvebench.claims.claim import Claim, Experiment, Measurement, Panel, Row, Rule, Series, Table
from curvebench.claims.forward import before_output, softmax
from curvebench.claims.statistics import chosen_on_others, estimate
from curvebench.claims.trials import (
    CLASS_FAMILIES,
    MASTER_SEED,
    N_TRAIN,
    N_VAL,
    Effort,
    make_trial,
    problem_of,
    rate_grid,
    scheduled,
    train,
)
from curvebench.generation.portable_math import Float64, log, ordered_matmul, sigmoid, tanh
from curvebench.generation.problems import Problem
from curvebench.generation.problems.draws import instance_streams, integer_between, log_uniform, number_between
from curvebench.remedies import gain
from curvebench.spec import PROBABILITY_FLOOR, Engine, Float, Output

OPTIMIZER, SHAPE, FALL = "adam", "cosine", 100.0
LOWEST, HIGHEST = -4, 0
"""Decades between which base rates are tried; each output gets its own best."""

BETTER = 0.02
"""Gain from which on one output is better than the other: two per cent fewer mistakes, or less loss."""

LOGITS = Output("identity", "cross_entropy_logits")
"""With the task multiclass softmax is part of the loss, with the task binary one sigmoid for each output is."""

HALF = "a label is given from 0.5 on"
CHOSEN = "the threshold is chosen on the training examples"


# ------------------------------------------------------------------------------------------ one label


@dataclass(frozen=True)
class OneLabel:
    """Softmax and sigmoids, in this order, on one problem with one right class; means over seeds, validation examples.

    Attributes:
        problem: its name.
        error: (2,) share of examples whose most probable class is wrong.
        cross_entropy: (2,) of the outputs scaled to sum to one, in nats.
        sum_error: (2,) mean distance of the sum of the outputs from one.
    """

    problem: str
    error: Float
    cross_entropy: Float
    sum_error: Float


def observe_one(case: int, effort: Effort, engine: Engine) -> OneLabel:
    """Train with softmax, and with one sigmoid for each class."""
    problem = problem_of(case, CLASS_FAMILIES)
    label = problem.val_targets.argmax(axis=1)
    rows = []
    for task, function in (("multiclass", softmax), ("binary", sigmoid)):
        z = tuned_outputs(replace(problem, task=task), case, effort, engine, LOGITS, problem.val_inputs)
        outputs = function(z)
        total = outputs.sum(axis=-1, keepdims=True)
        right = (outputs / total)[:, np.arange(len(label)), label]
        rows.append(
            (
                float((outputs.argmax(axis=-1) != label).mean()),
                float(-log(np.maximum(right, PROBABILITY_FLOOR)).mean()),
                float(np.abs(total - 1.0).mean()),
            )
        )
    return OneLabel(problem.name, *np.array(rows).T)


def tuned_outputs(
    problem: Problem, case: int, effort: Effort, engine: Engine, output: Output, inputs: Float
) -> Float64:
    """What the output activation of each seed's network is applied to, at the rate that the other seeds choose.

    Returns:
        (n_seeds, n_examples, n_outputs) float64.
    """
    trial = make_trial(problem, case, effort, output=output)
    rates = rate_grid(LOWEST, HIGHEST, effort.rates_per_decade)
    runs = train(trial, OPTIMIZER, scheduled(rates, effort.n_updates, SHAPE, FALL), engine)
    chosen = chosen_on_others(runs.capped)
    return before_output(trial.network, runs.parameters[chosen, np.arange(trial.n_seeds)], inputs)


_TRAINING = (
    f"trained with {OPTIMIZER.capitalize()} and {SHAPE} decay by {FALL:g}, each at its own best rate between "
    f"1e{LOWEST} and 1e{HIGHEST} by the training loss of the other seeds"
)

ONE_LABEL = Experiment(
    what=(
        "On problems with several classes of which one is right: a softmax with cross entropy, and one sigmoid for "
        f"each class with binary cross entropy, {_TRAINING}. Judged on the validation examples: the most probable "
        "class, and the cross entropy of the outputs scaled to sum to one."
    ),
    n_cases=lambda effort: effort.n_problems,
    observe=observe_one,
    cost=0.3,
)


def judge_one(seen: Sequence[OneLabel]) -> Measurement:
    """Is softmax better than sigmoids where one class is right?"""
    measures = {"mistakes count": "error", "cross entropy counts": "cross_entropy"}
    effects = {f"{words}": estimate([_gain(getattr(s, name)) for s in seen]) for words, name in measures.items()}
    rows: list[Row] = [
        (output, *(estimate([getattr(s, name)[i] for s in seen]) for name in ("error", "cross_entropy", "sum_error")))
        for i, output in enumerate(("softmax", "sigmoids"))
    ]
    return Measurement(
        rule=Rule("the gain of softmax over sigmoids", BETTER),
        effects=effects,
        table=Table(("output", "share of wrong classes", "cross entropy", "distance of the sum from one"), tuple(rows)),
        panels=tuple(
            _pairing([getattr(s, name) for s in seen], ("softmax", "sigmoids"), title)
            for name, title in (("error", "share of wrong classes"), ("cross_entropy", "cross entropy"))
        ),
    )


def _gain(pair: Float) -> float:
    """Gain of the first over the second of two losses."""
    first, second = (float(x) for x in pair)
    return float(gain(second, first, _NO_CAP, tie=0.0))


_NO_CAP = 1e9


def _pairing(values: Sequence[Float], names: Sequence[str], title: str) -> Panel:
    """A point for each problem: the loss of the first output against that of each other one.

    Args:
        values: for each problem the (n_outputs,) losses.
        names: of the outputs.
        title: of the panel.
    """
    first, *others = np.array(values).T
    series = tuple(
        Series(name, tuple(other.tolist()), tuple(first.tolist()))
        for name, other in zip(names[1:], others, strict=True)
    )
    return Panel(
        title,
        f"with {names[1].split(',')[0]}",
        f"with {names[0].split(',')[0]}",
        series,
        is_line=False,
        is_pairing=True,
    )


# --------------------------------------------------------------------------------------- several labels


@dataclass(frozen=True)
class SeveralLabels:
    """Outputs in the order of `WAYS` on one problem with several labels; means over seeds, validation examples.

    Attributes:
        problem: its name.
        at_half: (n_ways,) share of wrong labels where a label is given from 0.5 on.
        at_chosen: (n_ways,) the same with the threshold that is best on the training examples.
        floor: share of wrong labels of somebody who knows the probabilities.
    """

    problem: str
    at_half: Float
    at_chosen: Float
    floor: float


WAYS: Mapping[str, tuple[str, Output, Callable[[Float], Float64]]] = {
    "sigmoids, binary cross entropy": ("binary", LOGITS, sigmoid),
    "softmax, binary cross entropy": ("binary", Output("softmax", "cross_entropy_probabilities"), softmax),
    "softmax, cross entropy, labels share one": ("multiclass", LOGITS, softmax),
}
"""Name -> task, output and the function from what precedes the output activation to what a label is read off."""

THRESHOLDS = np.linspace(0.01, 0.99, 99)


def several_labels(position: int) -> tuple[Problem, float]:
    """A problem with 4 to 8 labels that an example has or has not, drawn from the sigmoids of a random network.

    Returns:
        The problem (task binary, a target column for each label), and the share of wrong labels on its validation
        examples that is expected of somebody who knows the probabilities.
    """
    parameters, examples, noise = instance_streams("several_labels", position, MASTER_SEED)
    n_inputs, n_labels = integer_between(parameters, 6, 16), integer_between(parameters, 4, 8)
    sharpness, offset = log_uniform(parameters, 3.0, 8.0), number_between(parameters, -1.0, 1.0)
    inputs = examples.normal((N_TRAIN + N_VAL, n_inputs))
    weights = parameters.normal((n_inputs, _TEACHER_WIDTH)) * (1.5 / np.sqrt(n_inputs))
    hidden = tanh(ordered_matmul(inputs, weights) + 0.5 * parameters.normal(_TEACHER_WIDTH))
    scores = ordered_matmul(hidden, parameters.normal((_TEACHER_WIDTH, n_labels)))
    scores = (scores - scores.mean(axis=0)) / scores.std(axis=0)
    probability = sigmoid(sharpness * scores + offset)
    targets = (noise.uniform(probability.shape) < probability).astype(np.float32)
    problem = Problem(
        name=f"several_labels-{position:02d}",
        family="several_labels",
        task="binary",
        train_inputs=inputs[:N_TRAIN].astype(np.float32),
        train_targets=targets[:N_TRAIN],
        val_inputs=inputs[N_TRAIN:].astype(np.float32),
        val_targets=targets[N_TRAIN:],
        target_range="classes",
        floor=None,
        best_predictions=None,
        source_licence="synthetic, drawn by CurveBench; no third-party data",
    )
    return problem, float(np.minimum(probability, 1.0 - probability)[N_TRAIN:].mean())


_TEACHER_WIDTH = 12


def sharing_one(targets: Float) -> Float:
    """Targets (n, n_labels) of 0 and 1 scaled so that the labels of an example share one; all do if it has none.

    >>> sharing_one(np.array([[1.0, 1.0], [0.0, 1.0], [0.0, 0.0]])).tolist()
    [[0.5, 0.5], [0.0, 1.0], [0.5, 0.5]]
    """
    total = targets.sum(axis=1, keepdims=True)
    shared = np.where(total > 0, targets / np.maximum(total, 1.0), 1.0 / targets.shape[1])
    return np.asarray(shared, dtype=targets.dtype)


def wrong_labels(scores: Float, targets: Float, threshold: float) -> float:
    """Share of labels that are wrong if they are given where a score is above the threshold."""
    return float(((scores > threshold) != (targets > 0.5)).mean())


def observe_several(case: int, effort: Effort, engine: Engine) -> SeveralLabels:
    """Train with sigmoids, and with softmax in two ways."""
    problem, floor = several_labels(case)
    both = np.concatenate([problem.train_inputs, problem.val_inputs])
    at_half, at_chosen = [], []
    for task, output, function in WAYS.values():
        suited = problem
        if task == "multiclass":
            targets = (sharing_one(problem.train_targets), sharing_one(problem.val_targets))
            suited = replace(problem, task=task, train_targets=targets[0], val_targets=targets[1])
        scores = function(tuned_outputs(suited, case, effort, engine, output, both))
        train_scores, val_scores = scores[:, :N_TRAIN], scores[:, N_TRAIN:]
        chosen = [
            min(THRESHOLDS, key=lambda threshold: wrong_labels(of_seed, problem.train_targets, threshold))
            for of_seed in train_scores
        ]
        at_half.append(wrong_labels(val_scores, problem.val_targets, 0.5))
        at_chosen.append(
            np.mean([wrong_labels(v, problem.val_targets, t) for v, t in zip(val_scores, chosen, strict=True)])
        )
    return SeveralLabels(problem.name, np.array(at_half), np.array(at_chosen), floor)


SEVERAL_LABELS = Experiment(
    what=(
        "Problems with 4 to 8 labels of which an example has any number, drawn from a random network: one sigmoid "
        "for each label with binary cross entropy; a softmax with binary cross entropy; a softmax with cross "
        f"entropy, the labels of an example sharing one; {_TRAINING}. Judged by the share of wrong labels on the "
        "validation examples. Sigmoids are compared with the softmax that turns out better on each problem."
    ),
    n_cases=lambda effort: effort.n_problems,
    observe=observe_several,
    cost=0.5,
)


def judge_several(seen: Sequence[SeveralLabels]) -> Measurement:
    """Are sigmoids better than softmax where there are several labels?"""
    columns = {HALF: "at_half", CHOSEN: "at_chosen"}
    effects = {
        words: estimate([_gain(np.array([getattr(s, name)[0], getattr(s, name)[1:].min()])) for s in seen])
        for words, name in columns.items()
    }
    rows: list[Row] = [
        (way, *(estimate([getattr(s, name)[i] for s in seen]) for name in columns.values()))
        for i, way in enumerate(WAYS)
    ]
    floor = estimate([s.floor for s in seen])
    return Measurement(
        rule=Rule("the gain of sigmoids over softmax in wrong labels", BETTER),
        effects=effects,
        table=Table(
            ("output", *(f"wrong labels when {words}" for words in columns)),
            (*rows, ("somebody who knows the probabilities", floor, floor)),
        ),
        panels=tuple(
            _pairing([getattr(s, name) for s in seen], list(WAYS), f"wrong labels, {words}")
            for words, name in {"threshold 0.5": "at_half", "best threshold": "at_chosen"}.items()
        ),
    )


CLAIMS = (
    Claim(
        "softmax-for-one-label", "Where one label is right, softmax is better than sigmoids.", "one_label", judge_one
    ),
    Claim(
        "sigmoid-for-several-labels",
        "Where several labels may be right, sigmoids are better than softmax.",
        "several_labels",
        judge_several,
    ),
)
