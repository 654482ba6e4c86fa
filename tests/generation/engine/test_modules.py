"""Networks that are torch modules: one at a time in plain torch, in other words, and what cannot be stacked."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from oracles import foreign_networks
from oracles.jobs import CURVES, make_job
from oracles.plain_engine import PlainEngine
from torch import nn

from curvebench.generation import networks
from curvebench.generation.engine import DENSE, MODULES, modules, stacked
from curvebench.generation.engine.modules import check_stackable, make_module, n_parameters
from curvebench.generation.engine.stacked import TorchEngine
from curvebench.generation.networks import initial_parameters
from curvebench.spec import (
    HIDDEN_ACTIVATIONS,
    OPTIMIZERS,
    SEQUENCE_FEATURES,
    TASKS,
    ModuleNetwork,
    Output,
    State,
    UsageError,
)

ours = pytest.mark.parametrize("module", MODULES)


@pytest.fixture(autouse=True)
def _one_thread():
    """Tiny networks do not share their work, and on a busy machine waiting for each other takes long."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


CALM = (0.003, 0.02)
"""Rates at which rounding does not grow, whatever the optimiser."""


def foreign(name: str) -> str:
    return f"oracles.foreign_networks:{name}"


def shape_of(module: str, **changes) -> ModuleNetwork:
    values = {"n_inputs": 16, "n_outputs": 3, "depth": 2, "width": 6, "activation": "tanh", **changes}
    return ModuleNetwork(module, **values)


def assert_same(found, expected, rtol=1e-9):
    for name in CURVES:
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=rtol, atol=1e-12, err_msg=name)
    np.testing.assert_array_equal(found.is_dead, expected.is_dead)


def check_against_plain(job):
    assert_same(TorchEngine(dtype=torch.float64).train(job), PlainEngine().train(job))


# ------------------------------------------------------------------------- one network at a time in plain torch


@ours
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_module_and_optimizer_agrees_with_torch_optim(module, optimizer):
    check_against_plain(make_job(module=module, optimizer=optimizer, schedule="cosine", rates=CALM))


@ours
@pytest.mark.parametrize("task", TASKS)
def test_every_task_agrees_with_an_output_that_fits_and_one_that_does_not(module, task):
    check_against_plain(make_job(task, module=module, depth=1))
    squashed = Output("softmax" if task == "multiclass" else "sigmoid", "squared_error")
    check_against_plain(make_job(task, squashed, "momentum", module=module, depth=1))


@ours
@pytest.mark.parametrize("activation", HIDDEN_ACTIVATIONS)
def test_every_hidden_activation_agrees(module, activation):
    check_against_plain(make_job(module=module, activation=activation, depth=3, width=5, gain=1.5))


def test_layers_stated_one_by_one_agree_with_torch_and_among_each_other():
    """Sizes and activations in the order in which they stand; weights as Keras draws them."""
    network = shape_of("dense", depth=3, width=7, layers=("7 elu", "2 sigmoid", "5 relu"))
    made = make_module(network, 3)
    plain = nn.Sequential(
        nn.Linear(16, 7), nn.ELU(), nn.Linear(7, 2), nn.Sigmoid(), nn.Linear(2, 5), nn.ReLU(), nn.Linear(5, 3)
    )
    with torch.no_grad():
        for mine, given in zip(plain.parameters(), made.parameters(), strict=True):
            mine.copy_(given)
    inputs = torch.randn(9, 16, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(made(inputs), plain(inputs))
    for layer in (layer for layer in plain if isinstance(layer, nn.Linear)):
        limit = math.sqrt(6 / (layer.in_features + layer.out_features))
        assert 0.5 * limit < layer.weight.abs().max() <= limit
        assert not layer.bias.any()
    check_against_plain(make_job(module="dense", depth=3, width=7, layers=network.layers))


def test_a_network_without_hidden_layers_is_linear():
    network = shape_of("dense", depth=0)
    inputs = torch.eye(16)
    made = make_module(network)
    torch.testing.assert_close(made(inputs) + made(-inputs), torch.zeros(16, 3))
    assert n_parameters(network) == 16 * 3 + 3


@pytest.mark.parametrize("name", foreign_networks.STACKABLE)
def test_foreign_modules_agree(name):
    check_against_plain(make_job(module=foreign(name), optimizer="adam"))


@ours
def test_agreement_holds_until_divergence_and_the_dead_keep_their_last_value(module):
    job = make_job("regression", rates=(0.01, 30.0, 0.02, 1e30), activation="relu", module=module, n_steps=40)
    found, expected = TorchEngine(dtype=torch.float64).train(job), PlainEngine().train(job)
    assert found.is_dead.any()
    assert not found.is_dead.all()
    np.testing.assert_array_equal(found.is_dead, expected.is_dead)
    np.testing.assert_array_equal(np.isfinite(found.train_loss), np.isfinite(expected.train_loss))
    calm = job.rates.max(axis=1) < 1
    np.testing.assert_allclose(found.train_loss[calm], expected.train_loss[calm], rtol=1e-7)
    for curve in found.train_loss[found.is_dead]:
        first = int(np.argmax(~np.isfinite(curve)))
        np.testing.assert_array_equal(curve[first:], np.full(len(curve) - first, curve[first]))
    assert np.all(found.outcome[found.is_dead, 0] == np.inf)


@ours
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_resuming_with_factor_one_reproduces_the_run(module, optimizer, dtype):
    job = make_job(module=module, optimizer=optimizer, schedule="cosine", checkpoints=(12,))
    engine = TorchEngine(dtype=dtype)
    whole = engine.train(job)
    resumed = engine.train(replace(job, start=whole.checkpoints[12], checkpoint_steps=()))
    after = job.record_steps > 12
    for name in ("train_loss", "val_loss", "grad_norm"):
        np.testing.assert_array_equal(getattr(resumed, name)[:, after], getattr(whole, name)[:, after])
    np.testing.assert_array_equal(resumed.outcome, whole.outcome)


@ours
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_checkpoints_and_resumption_agree_with_the_plain_loop(module, optimizer):
    job = make_job(module=module, optimizer=optimizer, rates=CALM, checkpoints=(12,))
    found, expected = TorchEngine(dtype=torch.float64).train(job), PlainEngine().train(job)
    np.testing.assert_allclose(found.checkpoints[12].parameters, expected.checkpoints[12].parameters, rtol=1e-9)
    np.testing.assert_allclose(found.checkpoints[12].slots, expected.checkpoints[12].slots, rtol=1e-7, atol=1e-15)
    rates = job.rates.copy()
    rates[:, 12:] *= 3.0
    check_against_plain(replace(job, rates=rates, start=found.checkpoints[12], checkpoint_steps=()))


@ours
@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float32, 2e-4), (torch.float64, 1e-11)])
def test_how_many_networks_are_stacked_makes_no_difference_beyond_rounding(module, dtype, rtol, monkeypatch):
    job = make_job(module=module, rates=(0.01, 0.02, 0.03, 0.04, 0.05), checkpoints=(6,))
    whole = TorchEngine(dtype=dtype).train(job)
    monkeypatch.setattr(stacked, "STACK", 3)
    in_stacks = TorchEngine(dtype=dtype).train(job)
    assert_same(in_stacks, whole, rtol)
    np.testing.assert_allclose(
        in_stacks.checkpoints[6].parameters, whole.checkpoints[6].parameters, rtol=rtol, atol=rtol * 1e-2
    )


@ours
def test_dead_runs_do_not_change_the_living(module):
    together = make_job("regression", rates=(0.01, 1e30, 0.02), activation="relu", module=module, n_steps=40)
    living = [0, 1, 4, 5]
    alone = replace(
        together,
        rates=together.rates[living],
        seed_of_run=together.seed_of_run[living],
        start=State(together.start.parameters[living], together.start.slots[living], 0),
    )
    found, expected = (TorchEngine(dtype=torch.float64).train(job) for job in (together, alone))
    np.testing.assert_allclose(found.train_loss[living], expected.train_loss, rtol=1e-9)


# --------------------------------------------------------------------------- what every module of ours must stand


@ours
@pytest.mark.parametrize("activation", HIDDEN_ACTIVATIONS)
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_conformance(module, activation, depth):
    network = shape_of(module, n_inputs=36, n_outputs=4, depth=depth, activation=activation)
    check_stackable(network)
    made = make_module(network)
    assert made(torch.randn(5, 36)).shape == (5, 4)
    assert n_parameters(network) == sum(p.numel() for p in made.parameters()) == networks.n_parameters(network)
    deeper, wider = replace(network, depth=depth + 1), replace(network, width=9)
    assert n_parameters(network) < min(n_parameters(deeper), n_parameters(wider))
    other = make_module(replace(network, activation=HIDDEN_ACTIVATIONS[HIDDEN_ACTIVATIONS.index(activation) - 1]))
    other.load_state_dict(made.state_dict())
    x = torch.randn(5, 36)
    assert not torch.allclose(made(x), other(x)), "the activation is used"


@pytest.mark.parametrize("module", [name for name in MODULES if name != DENSE])
def test_inputs_without_the_layout_are_refused_in_a_sentence(module):
    with pytest.raises(UsageError, match=r"needs (square images|sequences with 4 features a step); 18 inputs are none"):
        make_module(shape_of(module, n_inputs=18))


def test_every_name_of_the_contract_is_known():
    assert tuple(modules.HIDDEN) == HIDDEN_ACTIVATIONS


# ------------------------------------------------------------------------------------- ours in other words


def test_the_convolutions_are_sums_over_three_by_three_pixels():
    network = shape_of("conv", n_inputs=25, depth=2, width=3, activation="relu")
    made = make_module(network).double()
    images = np.random.default_rng(0).normal(size=(4, 25))
    maps = images.reshape(4, 1, 5, 5)
    for convolution in made.convolutions:
        weights, biases = (p.detach().numpy() for p in (convolution.weight, convolution.bias))
        padded = np.pad(maps, ((0, 0), (0, 0), (1, 1), (1, 1)))
        side = -(-maps.shape[2] // 2)
        maps = np.zeros((4, 3, side, side))
        for row in range(side):
            for column in range(side):
                window = padded[:, :, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3]
                maps[:, :, row, column] = np.maximum(np.einsum("nchw,ochw->no", window, weights) + biases, 0.0)
    expected = maps.reshape(4, -1) @ made.head.weight.detach().numpy().T + made.head.bias.detach().numpy()
    np.testing.assert_allclose(made(torch.tensor(images)).detach().numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("depth", [1, 3])
def test_the_recurrent_network_is_that_of_torch(activation, depth):
    made = make_module(shape_of("recurrent", n_inputs=24, depth=depth, activation=activation))
    twin = nn.RNN(SEQUENCE_FEATURES, 6, depth, nonlinearity=activation, batch_first=True)
    with torch.no_grad():
        for layer, (below, before) in enumerate(zip(made.from_below, made.from_before, strict=True)):
            getattr(twin, f"weight_ih_l{layer}").copy_(below.weight)
            getattr(twin, f"bias_ih_l{layer}").copy_(below.bias)
            getattr(twin, f"weight_hh_l{layer}").copy_(before.weight)
            getattr(twin, f"bias_hh_l{layer}").zero_()
        x = torch.randn(5, 24)
        expected = made.head(twin(x.view(5, 6, SEQUENCE_FEATURES))[0][:, -1])
    torch.testing.assert_close(made(x), expected)


def test_the_attention_blocks_are_those_of_torch():
    made = make_module(shape_of("attention", n_inputs=24, width=8, activation="gelu"))
    with torch.no_grad():
        x = torch.randn(5, 24)
        steps = made.embedding(x.view(5, 6, SEQUENCE_FEATURES)) + made.positions
        for block in made.blocks:
            twin = nn.TransformerEncoderLayer(8, 1, 8, 0.0, "gelu", batch_first=True, norm_first=True)
            twin.self_attn.in_proj_weight.copy_(block.queries_keys_values.weight)
            twin.self_attn.in_proj_bias.zero_()
            for theirs, mine in (
                (twin.self_attn.out_proj, block.mix),
                (twin.linear1, block.hidden),
                (twin.linear2, block.back),
                (twin.norm1, block.norm_before_attention),
                (twin.norm2, block.norm_before_hidden),
            ):
                theirs.load_state_dict(mine.state_dict())
            steps = twin(steps)
        expected = made.head(made.norm(steps).mean(dim=1))
    torch.testing.assert_close(made(x), expected)


@pytest.mark.parametrize("module", ["recurrent", "attention"])
def test_the_order_of_steps_matters(module):
    made, x = make_module(shape_of(module, n_inputs=24)), torch.randn(5, 6, SEQUENCE_FEATURES)
    assert not torch.allclose(made(x.flatten(1)), made(x.flip(1).flatten(1)), atol=1e-4)


# -------------------------------------------------------------------------------------------- initial weights


@ours
def test_initial_weights_are_the_factory_s_own(module):
    network = shape_of(module)
    flat = initial_parameters(network, 1, 2, 3)
    assert flat.dtype == np.float32
    assert flat.shape == (n_parameters(network),)
    draw = int(networks.stream(1, "weights", 2, 3).integers(2**63))
    torch.manual_seed(draw)
    expected = torch.cat([p.flatten() for p in modules.find_factory(module)(16, 3, 2, 6, "tanh").parameters()])
    np.testing.assert_array_equal(flat, expected.detach().numpy())


@ours
def test_initial_weights_depend_on_master_seed_group_and_seed_and_on_nothing_else(module):
    network, before = shape_of(module), torch.get_rng_state()
    first = initial_parameters(network, 1, 2, 3)
    torch.randn(7)
    np.testing.assert_array_equal(initial_parameters(network, 1, 2, 3), first)
    for key in ((0, 2, 3), (1, 0, 3), (1, 2, 0), (1, 3, 2)):
        # layer norms begin with ones and zeros
        assert np.mean(initial_parameters(network, *key) == first) < 0.3
    torch.set_rng_state(before)
    initial_parameters(network, 1, 2, 3)
    check_stackable(replace(network, width=7))
    assert torch.equal(torch.get_rng_state(), before), "torch's own generator is left as it was"


def test_what_a_foreign_module_draws_while_it_is_imported_changes_nothing(monkeypatch):
    """The one that foreign_networks makes when it is imported took the first numbers of the seed."""
    network = shape_of(foreign("make_plain"))
    later = initial_parameters(network, 1, 2, 3)
    monkeypatch.delitem(sys.modules, "oracles.foreign_networks")
    np.testing.assert_array_equal(initial_parameters(network, 1, 2, 3), later)


@ours
def test_the_gain_scales_weights_and_not_biases(module):
    network = shape_of(module)
    plain, loud = (initial_parameters(replace(network, init_gain=gain), 1, 2, 3) for gain in (1.0, 2.5))
    position = 0
    for parameter in make_module(network).parameters():
        part = slice(position, position := position + parameter.numel())
        np.testing.assert_allclose(loud[part], plain[part] * (2.5 if parameter.dim() > 1 else 1.0), rtol=1e-6)
    assert position == len(plain)


def test_the_flat_layout_is_that_of_named_parameters():
    network = shape_of("attention")
    forward = TorchEngine().forward_of(network)
    leaves = forward.leaves(torch.tensor(np.stack([initial_parameters(network, 1, 2, s) for s in range(3)])))
    named = list(make_module(network).named_parameters())
    assert [leaf.shape for leaf in leaves] == [(3, *parameter.shape) for _, parameter in named]
    assert [name for name, _ in named][:2] == ["positions", "embedding.weight"]
    assert all(math.prod(one) > 0 for one in forward.shapes)
    ends = np.cumsum([leaf[0].numel() for leaf in leaves])
    assert all(after - before > 0 for before, after in pairwise(ends.tolist()))
    assert ends[-1] == n_parameters(network)


# ------------------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize("name", foreign_networks.REFUSED)
def test_what_cannot_be_stacked_is_refused_with_the_reason(name):
    with pytest.raises(UsageError, match=foreign_networks.REFUSED[name]) as refusal:
        TorchEngine().train(replace(make_job(), network=shape_of(foreign(name))))
    assert str(refusal.value).endswith(".")
    assert f"'{foreign(name)}'" in str(refusal.value)


@pytest.mark.parametrize("target", ["no_such_package.networks:make", "oracles.fails_to_import:make"])
def test_what_cannot_be_imported_is_refused_in_a_sentence(target):
    with pytest.raises(UsageError, match=r"Can't load the network .*(ModuleNotFoundError|SystemExit)"):
        make_module(shape_of(target))


def test_the_other_engine_says_who_can():
    from curvebench.generation.engine.fused import FusedEngine

    job = make_job(module="conv")
    with pytest.raises(UsageError, match="the network 'conv' needs engine torch"):
        FusedEngine().train(job)
