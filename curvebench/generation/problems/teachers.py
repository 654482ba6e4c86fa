"""Targets drawn around the outputs of a random network, the teacher, so that the noise floor is known."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from curvebench.generation.portable_math import Float64, exp, ordered_matmul, sigmoid, tanh
from curvebench.generation.problems.assembly import (
    class_problem,
    mean_and_scale,
    probability_problem,
    regression_problem,
)
from curvebench.generation.problems.draws import (
    draw_labels,
    instance_streams,
    integer_between,
    log_uniform,
    number_between,
)
from curvebench.generation.problems.problem import Problem
from curvebench.generation.random_streams import Stream


def make_teacher(index: int, master_seed: int, n_train: int, n_val: int) -> Problem:
    """Real targets: 1 to 3 outputs of the teacher plus Gaussian noise of 5 to 60 % of their deviation."""
    parameters, examples, noise = instance_streams("teacher", index, master_seed)
    inputs = examples.normal((n_train + n_val, integer_between(parameters, 4, 24)))
    n_outputs = integer_between(parameters, 1, 3)
    level = log_uniform(parameters, 0.05, 0.6)
    expected = _teacher(parameters, inputs, n_outputs, n_train)
    return regression_problem(
        "teacher",
        index,
        n_train,
        inputs=inputs,
        targets=expected + level * noise.normal(expected.shape),
        target_range="real",
        expected=expected,
        noise_variance=np.full_like(expected, level * level),
    )


def make_teacher_classes(index: int, master_seed: int, n_train: int, n_val: int) -> Problem:
    """3 to 8 classes, drawn from the softmax of the teacher's outputs times a sharpness of 1.5 to 8."""
    parameters, examples, noise = instance_streams("teacher_classes", index, master_seed)
    inputs = examples.normal((n_train + n_val, integer_between(parameters, 4, 24)))
    n_classes = integer_between(parameters, 3, 8)
    sharpness = log_uniform(parameters, 1.5, 8.0)
    posterior = _softmax(sharpness * _teacher(parameters, inputs, n_classes, n_train))
    return class_problem(
        "teacher_classes",
        index,
        n_train,
        inputs=inputs,
        labels=draw_labels(noise, posterior),
        n_classes=n_classes,
        task="multiclass",
        posterior=posterior,
    )


def make_label_sets(index: int, master_seed: int, n_train: int, n_val: int) -> Problem:
    """Several labels at once: 3 to 6, each there or not with a probability that the teacher gives."""
    parameters, examples, noise = instance_streams("label_sets", index, master_seed)
    inputs = examples.normal((n_train + n_val, integer_between(parameters, 4, 16)))
    n_labels = integer_between(parameters, 3, 6)
    slope, offset = log_uniform(parameters, 1.5, 8.0), number_between(parameters, -1.0, 1.0)
    probability = sigmoid(offset + slope * _teacher(parameters, inputs, n_labels, n_train))
    return probability_problem(
        "label_sets",
        index,
        n_train,
        inputs=inputs,
        targets=(noise.uniform(probability.shape) < probability).astype(np.float64),
        target_range="label_set",
        task="binary",
        expected=probability,
    )


def make_shares(index: int, master_seed: int, n_train: int, n_val: int) -> Problem:
    """Shares of 3 to 6 parts that sum to one: the softmax of the teacher's outputs itself, as in distillation."""
    parameters, examples, _ = instance_streams("shares", index, master_seed)
    inputs = examples.normal((n_train + n_val, integer_between(parameters, 4, 16)))
    n_parts = integer_between(parameters, 3, 6)
    sharpness = log_uniform(parameters, 1.5, 6.0)
    shares = _softmax(sharpness * _teacher(parameters, inputs, n_parts, n_train))
    return probability_problem(
        "shares",
        index,
        n_train,
        inputs=inputs,
        targets=shares,
        target_range="distribution",
        task="multiclass",
        expected=shares,
    )


def make_unit_teacher(index: int, master_seed: int, n_train: int, n_val: int) -> Problem:
    """Proportions in [0, 1]: the share of successes in 4 to 64 trials whose probability the teacher gives."""
    parameters, examples, noise = instance_streams("unit_teacher", index, master_seed)
    inputs = examples.normal((n_train + n_val, integer_between(parameters, 4, 16)))
    n_trials = integer_between(parameters, 4, 64)
    slope, offset = number_between(parameters, 1.0, 3.0), number_between(parameters, -0.5, 0.5)
    n_outputs = integer_between(parameters, 1, 2)
    probability = sigmoid(offset + slope * _teacher(parameters, inputs, n_outputs, n_train))
    successes = np.count_nonzero(noise.uniform((n_trials, *probability.shape)) < probability, axis=0)
    return regression_problem(
        "unit_teacher",
        index,
        n_train,
        inputs=inputs,
        targets=successes / n_trials,
        target_range="unit_interval",
        expected=probability,
        noise_variance=probability * (1.0 - probability) / n_trials,
    )


def make_counts(index: int, master_seed: int, n_train: int, n_val: int) -> Problem:
    """Counts that are not negative: Poisson, the logarithm of the rate from the teacher, typical rates 2 to 12."""
    parameters, examples, noise = instance_streams("counts", index, master_seed)
    inputs = examples.normal((n_train + n_val, integer_between(parameters, 4, 16)))
    typical, spread = log_uniform(parameters, 2.0, 12.0), number_between(parameters, 0.5, 1.0)
    rate = typical * exp(spread * _teacher(parameters, inputs, 1, n_train))
    return regression_problem(
        "counts",
        index,
        n_train,
        inputs=inputs,
        targets=_draw_poisson(noise, rate).astype(np.float64),
        target_range="non_negative",
        expected=rate,
        noise_variance=rate,
    )


def _teacher(parameters: Stream, inputs: Float64, n_outputs: int, n_train: int) -> Float64:
    """Outputs (n, n_outputs) of a random tanh network, each with mean 0 and deviation 1 over the training examples."""
    depth, width = integer_between(parameters, 1, 2), integer_between(parameters, 4, 16)
    gain = number_between(parameters, 1.0, 2.5)
    values = inputs
    for _ in range(depth):
        n_in = values.shape[1]
        weights = parameters.normal((n_in, width)) * (gain / math.sqrt(n_in))
        values = tanh(ordered_matmul(values, weights) + 0.5 * parameters.normal(width))
    outputs = ordered_matmul(values, parameters.normal((width, n_outputs)))
    means, scales = mean_and_scale(outputs[:n_train])
    return (outputs - means) / scales


def _softmax(scores: Float64) -> Float64:
    """Probabilities from scores (n, n_classes), summed in the order of the classes."""
    weights = exp(scores - scores.max(axis=1, keepdims=True))
    return weights / np.cumsum(weights, axis=1)[:, -1:]


def _draw_poisson(noise: Stream, rate: Float64) -> NDArray[np.int64]:
    """Poisson numbers of the given rates by inversion of the distribution function, from one uniform number each."""
    uniform = noise.uniform(rate.shape)
    counts = np.zeros(rate.shape, dtype=np.int64)
    probability = exp(-rate)
    cumulated = probability
    k = 0
    while np.any(is_above := uniform >= cumulated) and k < _MAX_COUNT:
        k += 1
        counts += is_above
        probability = probability * rate / k
        cumulated = cumulated + probability
    return counts


_MAX_COUNT = 1000
"""Where inversion stops: rounding may leave the cumulated probabilities just below the largest uniform number."""
