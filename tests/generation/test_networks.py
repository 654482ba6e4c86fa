"""Initial weights: their distribution, their layout, and what they depend on."""

from __future__ import annotations

import math

import numpy as np
import pytest

from curvebench.generation.networks import initial_parameters, initial_state
from curvebench.spec import Network

WIDE = Network(n_inputs=60, n_outputs=40, depth=2, width=80, activation="relu", init_gain=1.5)


def layers_of(flat: np.ndarray, network: Network) -> list[tuple[np.ndarray, np.ndarray]]:
    """Weights (n_in, n_out) and biases (n_out,) by the layout that `State.parameters` states."""
    layers, position = [], 0
    for n_in, n_out in zip(network.sizes[:-1], network.sizes[1:], strict=True):
        weights = flat[position : position + n_in * n_out].reshape(n_in, n_out)
        biases = flat[position + n_in * n_out : position + (n_in + 1) * n_out]
        layers.append((weights, biases))
        position += (n_in + 1) * n_out
    assert position == len(flat)
    return layers


@pytest.mark.parametrize(("activation", "hidden"), [("relu", 2.0), ("gelu", 2.0), ("tanh", 1.0), ("sigmoid", 1.0)])
def test_weights_have_the_spread_that_the_activation_asks_for(activation, hidden):
    network = Network(60, 40, depth=2, width=80, activation=activation, init_gain=1.5)
    for layer, (weights, _) in enumerate(layers_of(initial_parameters(network, 3, 0, 0), network)):
        variance = (hidden if layer < 2 else 1.0) / weights.shape[0]
        z = weights / (1.5 * math.sqrt(variance))
        n = z.size
        assert abs(z.mean()) < 4 / math.sqrt(n)
        assert abs(z.std() - 1) < 4 / math.sqrt(2 * n)
        assert abs((z**4).mean() - 3) < 4 * math.sqrt(96 / n), "normal, not uniform"


def test_biases_are_zero_and_weights_are_not():
    for weights, biases in layers_of(initial_parameters(WIDE, 3, 1, 2), WIDE):
        assert not biases.any()
        assert weights.all()


def test_a_larger_gain_scales_the_same_weights():
    plain = Network(5, 2, 1, 4, "tanh")
    loud = Network(5, 2, 1, 4, "tanh", init_gain=2.0)
    np.testing.assert_array_equal(2 * initial_parameters(plain, 1, 2, 3), initial_parameters(loud, 1, 2, 3))


def test_weights_depend_on_master_seed_group_and_seed_and_on_nothing_else():
    first = initial_parameters(WIDE, 1, 2, 3)
    initial_parameters(WIDE, 9, 9, 9)
    np.testing.assert_array_equal(initial_parameters(WIDE, 1, 2, 3), first)
    others = [initial_parameters(WIDE, *key) for key in ((0, 2, 3), (1, 0, 3), (1, 2, 0), (1, 3, 2))]
    for other in others:
        assert np.mean(other == first) < 0.1, "only the biases are equal"


def test_the_layout_is_that_of_a_network_in_torch():
    pytest.importorskip("torch")
    import torch
    from oracles.plain_engine import linear_layers, make_model, set_parameters

    network = Network(3, 2, 2, 4, "tanh")
    flat = initial_parameters(network, 5, 0, 1)
    model = make_model(network, "identity", torch.float32)
    set_parameters(model, torch.tensor(flat))
    x = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    y = x
    for i, (weights, biases) in enumerate(layers_of(flat, network)):
        np.testing.assert_array_equal(linear_layers(model)[i].weight.detach().numpy(), weights.T)
        y = y @ weights + biases
        y = np.tanh(y) if i < 2 else y
    np.testing.assert_allclose(model(torch.tensor(x)).detach().numpy(), y, rtol=1e-5, atol=1e-6)


def test_a_state_before_any_update():
    parameters = np.arange(6, dtype=np.float32).reshape(2, 3)
    state = initial_state(parameters, n_slots=2)
    assert state.n_updates == 0
    assert state.slots.shape == (2, 2, 3)
    assert state.slots.dtype == np.float32
    assert not state.slots.any()
    np.testing.assert_array_equal(state.parameters, parameters)
    with pytest.raises(ValueError, match="read-only"):
        state.parameters[0, 0] = 1.0
