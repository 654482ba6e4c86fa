"""Outputs of a network in float64, one layer after the other: slow, and to be read beside the engines."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from curvebench.generation.portable_math import Float64, exp, log, ordered_matmul, sigmoid, tanh
from curvebench.spec import Float, Network


def softmax(z: Float) -> Float64:
    """Exponentials scaled to sum to one over the last axis."""
    weights = exp(z - np.max(z, axis=-1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))


def relu(z: Float) -> Float64:
    """What is above zero."""
    return np.maximum(np.asarray(z, dtype=np.float64), 0.0)


def softplus(z: Float) -> Float64:
    """The logarithm of 1 + exp(z)."""
    return relu(z) + log(1.0 + exp(-np.abs(np.asarray(z, dtype=np.float64))))


HIDDEN: Mapping[str, Callable[[Float], Float64]] = {"relu": relu, "tanh": tanh, "sigmoid": sigmoid}
OUTPUT: Mapping[str, Callable[[Float], Float64]] = {
    "identity": lambda z: np.asarray(z, dtype=np.float64),
    "sigmoid": sigmoid,
    "tanh": tanh,
    "relu": relu,
    "softplus": softplus,
    "softmax": softmax,
}
"""Activations as plain functions of numbers."""


def layers(network: Network, parameters: Float) -> list[tuple[Float64, Float64]]:
    """Weights (..., n_in, n_out) and biases (..., n_out) of every layer from flat parameters (..., n_parameters)."""
    wide, parts, position = np.asarray(parameters, dtype=np.float64), [], 0
    for n_in, n_out in zip(network.sizes, network.sizes[1:], strict=False):
        end = position + n_in * n_out
        weights = wide[..., position:end].reshape(*wide.shape[:-1], n_in, n_out)
        parts.append((weights, wide[..., end : end + n_out]))
        position = end + n_out
    return parts


def before_output(network: Network, parameters: Float, inputs: Float) -> Float64:
    """What the output activation is applied to.

    Args:
        network: with a hidden activation of `HIDDEN`.
        parameters: (..., n_parameters).
        inputs: (n_examples, n_inputs).

    Returns:
        (..., n_examples, n_outputs) float64.
    """
    *hidden, last = layers(network, parameters)
    values: Float64 = np.asarray(inputs, dtype=np.float64)
    for weights, biases in hidden:
        values = HIDDEN[network.activation](ordered_matmul(values, weights) + biases[..., None, :])
    return ordered_matmul(values, last[0]) + last[1][..., None, :]
