"""From raw examples to a problem: standardised, split, cast to float32, with its floor."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curvebench.generation.portable_math import Float64, ordered_mean
from curvebench.generation.problems.problem import Problem, class_probabilities, entropy
from curvebench.spec import Float

MADE_HERE = "synthetic, drawn by CurveBench; no third-party data"


def regression_problem(
    family: str,
    index: int,
    n_train: int,
    *,
    inputs: Float64,
    targets: Float64,
    target_range: str,
    expected: Float64 | None = None,
    noise_variance: Float64 | None = None,
    source_licence: str = MADE_HERE,
) -> Problem:
    """A regression from examples of which the first `n_train` are for training.

    Real targets are standardised, non-negative ones divided by their standard deviation, bounded ones left alone;
    always by what the training examples say.

    Args:
        family: the key of the registry.
        index: the number of the instance.
        n_train: training examples.
        inputs: (n, n_inputs) in any units.
        targets: (n, n_outputs).
        target_range: one of `TARGET_RANGES`.
        expected: (n, n_outputs) mean of the targets given the inputs, or None.
        noise_variance: (n, n_outputs) variance of the targets given the inputs, or None.
        source_licence: of the data.
    """
    shift, scale = _target_scaling(targets[:n_train], target_range)
    train_inputs, val_inputs = _split_inputs(inputs, n_train)
    scaled = _float32((targets - shift) / scale)
    return Problem(
        name=instance_name(family, index),
        family=family,
        task="regression",
        train_inputs=train_inputs,
        train_targets=scaled[:n_train],
        val_inputs=val_inputs,
        val_targets=scaled[n_train:],
        target_range=target_range,
        floor=None if noise_variance is None else float(ordered_mean(noise_variance[:n_train] / (scale * scale))),
        best_predictions=None if expected is None else _float32((expected[:n_train] - shift) / scale),
        source_licence=source_licence,
    )


def class_problem(
    family: str,
    index: int,
    n_train: int,
    *,
    inputs: Float64,
    labels: NDArray[np.int64],
    n_classes: int,
    task: str,
    posterior: Float64 | None = None,
    source_licence: str = MADE_HERE,
) -> Problem:
    """A classification from examples of which the first `n_train` are for training.

    Args:
        family: the key of the registry.
        index: the number of the instance.
        n_train: training examples.
        inputs: (n, n_inputs) in any units.
        labels: (n,) classes from 0.
        n_classes: 2 if the task is binary.
        task: "binary" or "multiclass".
        posterior: (n, n_classes) probabilities of the classes given the inputs, or None.
        source_licence: of the data.
    """
    first_column = 1 if task == "binary" else 0
    return probability_problem(
        family,
        index,
        n_train,
        inputs=inputs,
        targets=np.eye(n_classes)[labels][:, first_column:],
        target_range="classes",
        task=task,
        expected=None if posterior is None else posterior[:, first_column:],
        source_licence=source_licence,
    )


def probability_problem(
    family: str,
    index: int,
    n_train: int,
    *,
    inputs: Float64,
    targets: Float64,
    target_range: str,
    task: str,
    expected: Float64 | None = None,
    source_licence: str = MADE_HERE,
) -> Problem:
    """A problem whose outputs are probabilities, from examples of which the first `n_train` are for training.

    Args:
        family: the key of the registry.
        index: the number of the instance.
        n_train: training examples.
        inputs: (n, n_inputs) in any units.
        targets: (n, n_outputs) in [0, 1]; rows of a multi-class task sum to one.
        target_range: "classes", "label_set" or "distribution".
        task: "binary" or "multiclass".
        expected: (n, n_outputs) mean of the targets given the inputs, or None.
        source_licence: of the data.
    """
    narrow = _float32(targets)
    best = None if expected is None else expected[:n_train]
    train_inputs, val_inputs = _split_inputs(inputs, n_train)
    return Problem(
        name=instance_name(family, index),
        family=family,
        task=task,
        train_inputs=train_inputs,
        train_targets=narrow[:n_train],
        val_inputs=val_inputs,
        val_targets=narrow[n_train:],
        target_range=target_range,
        floor=None if best is None else float(ordered_mean(entropy(class_probabilities(best, task)))),
        best_predictions=None if best is None else _float32(best),
        source_licence=source_licence,
    )


def instance_name(family: str, index: int) -> str:
    """The name of an instance.

    >>> instance_name("friedman1", 3)
    'friedman1-03'
    """
    return f"{family}-{index:02d}"


def mean_and_scale(training: Float64) -> tuple[Float64, Float64]:
    """Mean and standard deviation of each column of (n, n_columns), both (n_columns,); 1 for a constant column."""
    means = ordered_mean(training, axis=0)
    deviations = np.sqrt(ordered_mean((training - means) * (training - means), axis=0))
    return means, np.where(_is_constant(training), 1.0, deviations)


def _is_constant(training: Float64) -> NDArray[np.bool_]:
    return np.asarray(training.max(axis=0) == training.min(axis=0))


def _split_inputs(inputs: Float64, n_train: int) -> tuple[Float, Float]:
    """Training and validation inputs, standardised by the training part; a feature that is constant there is 0."""
    means, scales = mean_and_scale(inputs[:n_train])
    scaled = np.where(_is_constant(inputs[:n_train]), 0.0, (inputs - means) / scales)
    return _float32(scaled[:n_train]), _float32(scaled[n_train:])


def _target_scaling(training: Float64, target_range: str) -> tuple[Float64, Float64]:
    means, scales = mean_and_scale(training)
    if target_range == "real":
        return means, scales
    if target_range == "non_negative":
        return np.zeros_like(means), scales
    return np.zeros_like(means), np.ones_like(scales)


def _float32(values: Float64) -> Float:
    return values.astype(np.float32)
