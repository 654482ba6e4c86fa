"""The fused engine against torch.nn and torch.optim, one network at a time, and against the stacked engine."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("numba")
torch = pytest.importorskip("torch")

from oracles.jobs import CURVES, make_job
from oracles.plain_engine import PlainEngine

from curvebench.generation.engine import kernels, make_engine
from curvebench.generation.engine.fused import FusedEngine, corrections
from curvebench.generation.engine.stacked import TorchEngine
from curvebench.generation.schedules import SHAPES
from curvebench.spec import (
    HIDDEN_ACTIVATIONS,
    LOSSES,
    OPTIMIZERS,
    OUTPUT_ACTIVATIONS,
    TASKS,
    Output,
    State,
    UsageError,
)

ACCURACY = 2e-4
"""Relative; two dozen updates in float32 against float64, at rates at which rounding does not grow."""


def assert_close(fast, slow, rtol=ACCURACY):
    for name in CURVES:
        expected = np.asarray(getattr(slow, name), dtype=np.float64)
        scale = np.nanmax(np.abs(expected[np.isfinite(expected)]), initial=1e-3)
        np.testing.assert_allclose(getattr(fast, name), expected, rtol=rtol, atol=rtol * scale * 0.05, err_msg=name)
    np.testing.assert_array_equal(fast.is_dead, slow.is_dead)


def n_steps_before_rounding_grows(output, otherwise):
    """The slope of -log p is 1/p: outputs that are no probabilities come near 1e-7 and blow rounding up at once."""
    is_steep = output.loss == "cross_entropy_probabilities" and output.activation not in ("sigmoid", "softmax")
    return 2 if is_steep else otherwise


def check_against_plain(job):
    assert_close(FusedEngine().train(job), PlainEngine().train(job))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("schedule", SHAPES)
def test_every_optimizer_and_schedule_agrees_with_torch_optim(optimizer, schedule):
    check_against_plain(make_job(optimizer=optimizer, schedule=schedule, rates=(0.003, 0.01)))


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", OUTPUT_ACTIVATIONS)
def test_every_output_and_loss_agrees_with_torch_nn(task, loss, activation):
    if task == "regression":
        loss = "squared_error"
    # the bounds of clipped probabilities are other numbers in float32, so the judge computes in float32 too
    output = Output(activation, loss)
    n_steps = n_steps_before_rounding_grows(output, otherwise=24)
    job = make_job(task=task, output=output, rates=(0.001, 0.01), n_steps=n_steps)
    assert_close(FusedEngine().train(job), PlainEngine(dtype=torch.float32).train(job), rtol=1e-3)


@pytest.mark.parametrize("activation", HIDDEN_ACTIVATIONS)
@pytest.mark.parametrize("depth", [1, 2, 4])
@pytest.mark.parametrize("width", [1, 7, 16, 33])
def test_every_shape_agrees(activation, depth, width):
    check_against_plain(make_job(activation=activation, depth=depth, width=width, gain=1.2, rates=(0.02,)))


@given(
    task=st.sampled_from(TASKS),
    optimizer=st.sampled_from(OPTIMIZERS),
    activation=st.sampled_from(HIDDEN_ACTIVATIONS),
    schedule=st.sampled_from(list(SHAPES)),
    depth=st.integers(1, 4),
    width=st.integers(1, 40),
    log_rate=st.floats(-4, -2),
    seed=st.integers(0, 10_000),
    output=st.none() | st.tuples(st.sampled_from(OUTPUT_ACTIVATIONS), st.sampled_from(LOSSES)),
)
@settings(max_examples=300, derandomize=True)
def test_random_configurations_agree_with_the_stacked_engine(
    task, optimizer, activation, schedule, depth, width, log_rate, seed, output
):
    if output is not None:
        output = Output(output[0], "squared_error" if task == "regression" else output[1])
    n_steps = 12 if output is None else n_steps_before_rounding_grows(output, otherwise=12)
    rates = (10**log_rate,)
    job = make_job(task, output, optimizer, activation, schedule, rates, depth, width, seed=seed, n_steps=n_steps)
    assert_close(FusedEngine().train(job), TorchEngine().train(job), rtol=1e-3)


def gradients_by_layer(engine, job):
    """What one step of SGD at rate 1 takes off each layer's parameters."""
    start = np.asarray(job.start.parameters, dtype=np.float64)
    one_step = replace(job, rates=np.ones_like(job.rates[:, :1]), checkpoint_steps=(1,))
    change = start - engine.train(one_step).checkpoints[1].parameters
    edges = np.cumsum(
        [(n_in + 1) * n_out for n_in, n_out in zip(job.network.sizes, job.network.sizes[1:], strict=False)]
    )
    return np.split(change, edges[:-1], axis=1)


@pytest.mark.parametrize("activation", HIDDEN_ACTIVATIONS)
@pytest.mark.parametrize("task", TASKS)
def test_gradients_of_every_layer(activation, task):
    job = make_job(task=task, activation=activation, depth=3, width=19, gain=1.5)
    slow = gradients_by_layer(PlainEngine(), job)
    for fast, expected in zip(gradients_by_layer(FusedEngine(), job), slow, strict=True):
        assert (
            np.abs(fast - expected).max()
            <= 2e-6 * max(1.0, np.abs(job.start.parameters).max()) + 1e-5 * np.abs(expected).max()
        )


def test_agreement_holds_until_divergence_and_the_dead_keep_their_last_value():
    job = make_job("regression", rates=(0.01, 1e3, 0.02, 1e30), n_steps=40)
    fast, slow = FusedEngine().train(job), TorchEngine().train(job)
    assert fast.is_dead.any()
    assert not fast.is_dead.all()
    np.testing.assert_array_equal(fast.is_dead, slow.is_dead)
    sensible = np.abs(slow.train_loss) < 1e4
    np.testing.assert_allclose(fast.train_loss[sensible], slow.train_loss[sensible], rtol=1e-3)
    for curve in fast.train_loss[fast.is_dead]:
        first = int(np.argmax(~np.isfinite(curve)))
        np.testing.assert_array_equal(curve[first:], np.full(len(curve) - first, curve[first]))
    assert np.all(fast.outcome[fast.is_dead, 0] == np.inf)


def assert_equal_bits(one, other, rows=slice(None)):
    for name in CURVES:
        np.testing.assert_array_equal(getattr(one, name)[rows], getattr(other, name), err_msg=name)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_resuming_with_factor_one_reproduces_the_run_to_the_bit(optimizer):
    job = make_job(optimizer=optimizer, schedule="cosine", checkpoints=(12,))
    whole = FusedEngine().train(job)
    resumed = FusedEngine().train(replace(job, start=whole.checkpoints[12], checkpoint_steps=(12,)))
    after = job.record_steps > 12
    for name in ("train_loss", "val_loss", "grad_norm"):
        np.testing.assert_array_equal(getattr(resumed, name)[:, after], getattr(whole, name)[:, after])
        assert np.isnan(getattr(resumed, name)[:, ~after]).all()
    np.testing.assert_array_equal(resumed.outcome, whole.outcome)
    np.testing.assert_array_equal(resumed.checkpoints[12].parameters, whole.checkpoints[12].parameters)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_checkpoints_agree_with_the_plain_loop(optimizer):
    job = make_job(optimizer=optimizer, checkpoints=(6,), rates=(0.003,))
    fast, slow = FusedEngine().train(job), PlainEngine().train(job)
    np.testing.assert_allclose(fast.checkpoints[6].parameters, slow.checkpoints[6].parameters, atol=2e-5)
    np.testing.assert_allclose(fast.checkpoints[6].slots, slow.checkpoints[6].slots, rtol=1e-3, atol=1e-5)


def test_nothing_depends_on_threads_or_on_the_other_runs():
    job = make_job("regression", rates=tuple(np.geomspace(1e-3, 1e30, 12)), n_steps=20)
    whole = FusedEngine(n_threads=1).train(job)
    assert_equal_bits(whole, FusedEngine(n_threads=2).train(job))
    rows = [3, 0, 7]
    alone = replace(
        job,
        rates=job.rates[rows],
        seed_of_run=job.seed_of_run[rows],
        start=State(job.start.parameters[rows], job.start.slots[rows], 0),
    )
    assert_equal_bits(whole, FusedEngine().train(alone), rows)


def test_telemetry_and_checkpoints_can_be_left_out_without_changing_the_training():
    job = make_job(checkpoints=(4, 12))
    with_all = FusedEngine().train(job)
    without = FusedEngine().train(replace(job, telemetry=False, checkpoint_steps=()))
    np.testing.assert_array_equal(with_all.train_loss, without.train_loss)
    np.testing.assert_array_equal(with_all.outcome, without.outcome)
    assert np.isnan(without.grad_norm).all()


def test_every_name_of_the_contract_is_known_to_the_kernels():
    assert kernels.HIDDEN == HIDDEN_ACTIVATIONS
    assert kernels.OUTPUT == OUTPUT_ACTIVATIONS
    assert kernels.LOSS == LOSSES
    assert kernels.TASK == TASKS
    assert kernels.OPTIMIZER == OPTIMIZERS


def test_corrections_are_those_of_adam():
    np.testing.assert_allclose(corrections(0.9, 5), [1.0, *(1 - 0.9**k for k in range(1, 6))], rtol=1e-6)


def test_denormals_are_left_as_they_were():
    FusedEngine().train(make_job())
    assert (np.full(3, 1e-40, dtype=np.float32) * np.float32(1.0) > 0).all()


def test_other_devices_are_refused():
    with pytest.raises(UsageError, match="torch"):
        make_engine("fused", "cuda")
