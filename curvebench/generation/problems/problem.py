"""What a problem is: data, the range of its targets, the output that fits them, and its noise floor."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from curvebench.generation.portable_math import Float64, log, ordered_mean
from curvebench.spec import OBJECTIVES, TASKS, Float, UsageError, _Frozen

FITTING: Mapping[str, tuple[str, str]] = {
    "real": ("identity", "squared_error"),
    "non_negative": ("softplus", "squared_error"),
    "unit_interval": ("sigmoid", "squared_error"),
    "symmetric_unit": ("tanh", "squared_error"),
    "classes": ("identity", "cross_entropy_logits"),
    "label_set": ("identity", "cross_entropy_logits"),
    "distribution": ("identity", "cross_entropy_logits"),
}
"""Range of the targets -> the output activation and the loss that fit it."""

TARGET_RANGES: tuple[str, ...] = tuple(FITTING)


@dataclass(frozen=True)
class Problem(_Frozen):
    """One data set to train on. All arrays are float32 and read-only.

    Attributes:
        name: the instance, such as "friedman1-03".
        family: the key of the registry.
        task: one of `TASKS`.
        train_inputs: (n_train, n_inputs), each feature with mean 0 and standard deviation 1 (or constantly 0); those
            of documented programs in units of their own.
        train_targets: (n_train, n_outputs); classes are one-hot or a distribution over them (multiclass), 0/1 (binary;
            of several columns each is a label of its own).
        val_inputs: (n_val, n_inputs), shifted and scaled as the training inputs were.
        val_targets: (n_val, n_outputs).
        target_range: one of `TARGET_RANGES`.
        floor: the lowest expected objective of the fitting loss that any predictor can reach on fresh targets at the
            training inputs: variance of the noise in the scaling of the targets, or entropy of the classes in nats;
            None where nobody knows.
        best_predictions: (n_train, n_outputs), the predictions in target space that reach the floor (expected
            targets, probabilities of classes); None where nobody knows.
        source_licence: where the data are from and under which licence.
    """

    name: str
    family: str
    task: str
    train_inputs: Float
    train_targets: Float
    val_inputs: Float
    val_targets: Float
    target_range: str
    floor: float | None
    best_predictions: Float | None
    source_licence: str

    @property
    def fitting_output(self) -> str:
        """The output activation that fits the targets."""
        return FITTING[self.target_range][0]

    @property
    def fitting_loss(self) -> str:
        """The loss that fits the targets."""
        return FITTING[self.target_range][1]


def constant_loss(targets: Float, task: str, objective: str) -> float:
    """The objective of the best prediction that does not look at the inputs.

    Args:
        targets: (n_examples, n_outputs), as in a problem.
        task: one of `TASKS`.
        objective: one of `OBJECTIVES`.

    Returns:
        Squared error: variance of the targets, mean over outputs. Cross entropy: entropy of the frequencies of the
        classes in nats (binary: mean over outputs); NaN for a regression.

    Raises:
        UsageError: the task or the objective does not exist.

    >>> constant_loss(np.array([[0.0], [1.0]]), "binary", "squared_error")
    0.25
    """
    if task not in TASKS or objective not in OBJECTIVES:
        raise UsageError(
            f"No best constant is known for task {task!r} and objective {objective!r}; "
            f"tasks are {', '.join(TASKS)}; objectives are {', '.join(OBJECTIVES)}."
        )
    means = ordered_mean(targets, axis=0)
    if objective == "squared_error":
        return float(ordered_mean((np.asarray(targets, dtype=np.float64) - means) ** 2))
    if task == "regression":
        return math.nan
    return float(ordered_mean(entropy(class_probabilities(means[None, :], task))))


def class_probabilities(predictions: Float, task: str) -> Float64:
    """Probabilities of classes from predictions in target space, the two classes of each binary output as a pair.

    Args:
        predictions: (n, n_outputs).
        task: "binary" or "multiclass".

    Returns:
        (n, n_outputs, 2) for binary, (n, 1, n_outputs) for multiclass.
    """
    wide = np.asarray(predictions, dtype=np.float64)
    if task == "binary":
        return np.stack([1.0 - wide, wide], axis=-1)
    return wide[:, None, :]


def entropy(probabilities: Float64) -> Float64:
    """Entropy in nats over the last axis, summed in the order of the classes; 0 · log 0 is 0."""
    logs = log(np.where(probabilities > 0.0, probabilities, 1.0))
    total = np.zeros(probabilities.shape[:-1])
    for k in range(probabilities.shape[-1]):
        total -= probabilities[..., k] * logs[..., k]
    return total
