"""How large networks are, and initial weights from a stream of their own: the same for every rate and output."""

from __future__ import annotations

import numpy as np

from curvebench.generation.random_streams import stream
from curvebench.spec import Float, ModuleNetwork, Network, State

_HE = ("relu", "gelu")

_SEEDS_OF_TORCH = 2**63
"""Seeds that torch's generator takes, from 0."""


def n_parameters(network: Network | ModuleNetwork) -> int:
    """Numbers that training changes.

    Raises:
        UsageError: a module cannot be loaded or made.
    """
    if isinstance(network, ModuleNetwork):
        from curvebench.generation.engine.modules import n_parameters as n_parameters_of_module

        return n_parameters_of_module(network)
    return network.n_parameters


def initial_parameters(
    network: Network | ModuleNetwork, master_seed: int, group: int, seed: int, input_scale: float = 1.0
) -> Float:
    """Draw the weights that paired seed `seed` of a group starts from.

    Of an MLP weights are normal with standard deviation gain * sqrt(2 / fan_in) after relu and gelu (He et al. 2015)
    and gain * sqrt(1 / fan_in) otherwise (LeCun et al. 1998), also in the last layer; biases are zero; those
    of the first layer are divided by the scale of the inputs. A module has its factory's own initial values, drawn by
    torch's generator under a seed from the stream, and the gain; the scale of its inputs is 1.

    Returns:
        (n_parameters,) float32 in the layout of `State.parameters`.

    Raises:
        UsageError: a module cannot be loaded or made.
    """
    draw = stream(master_seed, "weights", group, seed)
    if isinstance(network, ModuleNetwork):
        from curvebench.generation.engine.modules import initial_parameters as initial_parameters_of_module

        return initial_parameters_of_module(network, int(draw.integers(_SEEDS_OF_TORCH)))
    normal = draw.normal((network.n_parameters,))
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
