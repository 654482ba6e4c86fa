"""Floors of bounded outputs: no predictions in the range get below, and the best ones get there."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curvebench.generation.engine import make_engine
from curvebench.generation.networks import initial_parameters, initial_state
from curvebench.generation.problems import constant_loss, make_problem, output_floor, turned
from curvebench.generation.problems.floors import OUTPUT_RANGES
from curvebench.generation.random_streams import stream
from curvebench.spec import (
    OBJECTIVE_OF_LOSS,
    OBJECTIVES,
    OUTPUT_ACTIVATIONS,
    PROBABILITY_FLOOR,
    Network,
    Optimizer,
    Output,
    TrainingJob,
)

CLASSES = [
    (task, loss)
    for task in ("binary", "multiclass")
    for loss in ("cross_entropy_logits", "cross_entropy_probabilities")
]


def test_every_output_has_a_range():
    assert tuple(OUTPUT_RANGES) == OUTPUT_ACTIVATIONS


def squashed(z, activation):
    """The output activation in float64, written out."""
    match activation:
        case "softmax":
            e = np.exp(z - z.max(axis=1, keepdims=True))
            return e / e.sum(axis=1, keepdims=True)
        case "sigmoid":
            return 1 / (1 + np.exp(-z))
        case "softplus":
            return np.logaddexp(0, z)
        case "relu":
            return np.maximum(z, 0)
        case "hardtanh":
            return np.clip(z, -1, 1)
        case "tanh":
            return np.tanh(z)
    return z


def plain_loss(outputs, y, task, loss):
    """The loss as its definition has it."""
    if loss == "squared_error":
        return np.mean((outputs - y) ** 2)
    if task == "binary":
        p = 1 / (1 + np.exp(-outputs)) if loss == "cross_entropy_logits" else outputs
        p = np.clip(p, PROBABILITY_FLOOR, 1 - PROBABILITY_FLOOR)
        return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))
    p = squashed(outputs, "softmax") if loss == "cross_entropy_logits" else np.clip(outputs, PROBABILITY_FLOOR, 1)
    return -np.mean(np.sum(y * np.log(p / p.sum(axis=1, keepdims=True)), axis=1))


def some_targets(task, n, n_outputs, rng, soft):
    if task == "regression":
        return 2 * rng.normal(size=(n, n_outputs))
    if task == "binary":
        return (rng.uniform(size=(n, n_outputs)) < 0.5).astype(float)
    if soft:
        return rng.dirichlet(np.ones(n_outputs), size=n)
    return np.eye(n_outputs)[rng.integers(0, n_outputs, n)]


@given(
    activation=st.sampled_from(OUTPUT_ACTIVATIONS),
    case=st.sampled_from([("regression", "squared_error"), ("multiclass", "squared_error"), *CLASSES]),
    n_outputs=st.integers(1, 5),
    scale=st.floats(0.1, 30.0),
    soft=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_no_predictions_in_the_range_get_below_the_floor(activation, case, n_outputs, scale, soft, seed):
    (task, loss), rng = case, np.random.default_rng(seed)
    if task == "multiclass":
        n_outputs += 1
    y = some_targets(task, 8, n_outputs, rng, soft)
    outputs = squashed(scale * (rng.normal(size=y.shape) + 2 * y - 1), activation)
    floor = output_floor(y, task, Output(activation, loss))
    if math.isnan(floor):
        assert soft, "a formula is missing only for soft classes in bounded logits"
        return
    assert plain_loss(outputs, y, task, loss) >= floor - 1e-5


@pytest.mark.parametrize(
    ("y", "task", "output", "best"),
    [
        ([[2.0, -3.0]], "regression", Output("tanh", "squared_error"), [[1.0, -1.0]]),
        ([[2.0, -3.0]], "regression", Output("relu", "squared_error"), [[2.0, 0.0]]),
        ([[0.4, 1.4]], "regression", Output("softmax", "squared_error"), [[0.0, 1.0]]),
        ([[0.7, 0.7]], "regression", Output("softmax", "squared_error"), [[0.5, 0.5]]),
        ([[0.0, 1.0, 0.0]], "multiclass", Output("softmax", "cross_entropy_logits"), [[0.0, 1.0, 0.0]]),
        ([[0.0, 1.0, 0.0]], "multiclass", Output("tanh", "cross_entropy_logits"), [[-1.0, 1.0, -1.0]]),
        ([[1.0], [0.0]], "binary", Output("relu", "cross_entropy_logits"), [[50.0], [0.0]]),
        ([[1.0, 1.0, 0.0]], "binary", Output("softmax", "cross_entropy_probabilities"), [[0.5, 0.5, 0.0]]),
        ([[0.0, 0.0, 0.0]], "binary", Output("softmax", "cross_entropy_probabilities"), [[1 / 3, 1 / 3, 1 / 3]]),
        ([[0.2, 0.8]], "multiclass", Output("softmax", "cross_entropy_probabilities"), [[0.2, 0.8]]),
    ],
)
def test_the_best_predictions_reach_the_floor(y, task, output, best):
    floor = output_floor(np.array(y), task, output)
    assert plain_loss(np.array(best), np.array(y), task, output.loss) == pytest.approx(floor, abs=3e-6)


@pytest.mark.parametrize(
    ("family", "output"),
    [
        ("teacher", Output("tanh", "squared_error")),
        ("teacher", Output("sigmoid", "squared_error")),
        ("teacher", Output("hardtanh", "squared_error")),
        ("moons", Output("sigmoid", "cross_entropy_logits")),
        ("breast_cancer", Output("relu", "cross_entropy_logits")),
        ("teacher_classes", Output("softmax", "cross_entropy_logits")),
        ("label_sets", Output("softmax", "cross_entropy_probabilities")),
    ],
)
def test_networks_that_learn_by_heart_come_down_to_the_floor_and_never_below(family, output):
    """16 examples and 64 units: all that stands between the loss and zero is the range of the output."""
    problem = make_problem(family, 0, 1, n_train=16, n_val=8)
    network = Network(problem.train_inputs.shape[1], problem.train_targets.shape[1], 2, 64, "relu")
    n_steps, rates = 3000, (0.002, 0.002, 0.005, 0.005)
    initial = np.stack([initial_parameters(network, 0, 0, seed) for seed in range(len(rates))])
    job = TrainingJob(
        network, problem.task, output, Optimizer("adam"),
        problem.train_inputs, problem.train_targets, problem.val_inputs, problem.val_targets,
        batches=np.broadcast_to(np.arange(16), (1, n_steps, 16)), seed_of_run=np.zeros(len(rates), int),
        rates=np.array(rates, np.float32)[:, None].repeat(n_steps, axis=1), start=initial_state(initial, 2),
        record_steps=np.array([0, n_steps]), outcome_steps=np.array([n_steps]), telemetry=False,
    )  # fmt: skip
    reached = make_engine("fused").train(job).outcome[:, OBJECTIVES.index(OBJECTIVE_OF_LOSS[output.loss])]
    floor = output_floor(problem.train_targets, problem.task, output)
    start = constant_loss(problem.train_targets, problem.task, OBJECTIVE_OF_LOSS[output.loss])
    assert floor > 0.05 * start, "the output gets in the way"
    assert np.all(reached >= floor * (1 - 1e-4))
    assert reached.min() <= floor + 0.05 * start


def test_turning_by_nothing_changes_nothing_and_turning_keeps_lengths():
    problem = make_problem("teacher", 0, 1, 32, 16)
    same = turned(problem, 0.0, stream(1, "turn"))
    np.testing.assert_array_equal(same.train_inputs, problem.train_inputs)
    other = turned(problem, 0.7, stream(1, "turn"))
    n_pairs = problem.train_inputs.shape[1] // 2
    pairs = stream(1, "turn").permutation(problem.train_inputs.shape[1])[: 2 * n_pairs].reshape(-1, 2)
    for inputs, before in ((other.train_inputs, problem.train_inputs), (other.val_inputs, problem.val_inputs)):
        np.testing.assert_allclose(
            np.linalg.norm(inputs[:, pairs], axis=2), np.linalg.norm(before[:, pairs], axis=2), rtol=1e-5
        )
        cosines = np.sum(inputs[:, pairs] * before[:, pairs], axis=2) / np.sum(before[:, pairs] ** 2, axis=2)
        np.testing.assert_allclose(cosines, math.cos(0.7), rtol=1e-3)
    np.testing.assert_array_equal(other.train_targets, problem.train_targets)


def test_an_only_input_is_scaled_and_shifted():
    problem = next(p for i in range(20) if (p := make_problem("sine", i, 1, 16, 8)).train_inputs.shape[1] == 1)
    other = turned(problem, 0.5, stream(0, "turn"))
    np.testing.assert_allclose(
        other.train_inputs, math.cos(0.5) * problem.train_inputs - math.sin(0.5), rtol=1e-5, atol=1e-6
    )
