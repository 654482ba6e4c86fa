"""Initial weights of a network, from its own random stream: the same for every rate, schedule and output."""

from __future__ import annotations

import numpy as np

from curvebench.generation.random_streams import stream
from curvebench.spec import Float, Network, State

_HE = ("relu", "gelu")


def initial_parameters(network: Network, master_seed: int, group: int, seed: int, input_scale: float = 1.0) -> Float:
    """Draw the weights that paired seed `seed` of a group starts from.

    Weights are normal with standard deviation gain * sqrt(2 / fan_in) after relu and gelu (He et al. 2015) and
    gain * sqrt(1 / fan_in) otherwise (LeCun et al. 1998), also in the last layer; biases are zero. Those of the first
    layer are divided by the scale of the inputs.

    Returns:
        (n_parameters,) float32 in the layout of `State.parameters`.
    """
    normal = stream(master_seed, "weights", group, seed).normal((network.n_parameters,))
    parts = []
    position = 0
    n_layers = len(network.sizes) - 1
    for layer, (n_in, n_out) in enumerate(zip(network.sizes, network.sizes[1:], strict=False)):
        is_hidden = layer < n_layers - 1
        variance = (2.0 if is_hidden and network.activation in _HE else 1.0) / n_in
        scale = network.init_gain * np.sqrt(variance) / (input_scale if layer == 0 else 1.0)
        parts += [normal[position : position + n_in * n_out] * scale, np.zeros(n_out)]
        position += n_in * n_out
    return np.concatenate(parts).astype(np.float32)


def initial_state(parameters: Float, n_slots: int) -> State:
    """The state before any update of networks with these parameters, (n_runs, n_parameters)."""
    n_runs, n_parameters = parameters.shape
    return State(parameters, np.zeros((n_runs, n_slots, n_parameters), parameters.dtype), 0)
