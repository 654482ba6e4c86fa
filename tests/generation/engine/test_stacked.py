"""The stacked engine against one-network loops in torch.nn and torch.optim, which are written to be read."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from oracles.jobs import CURVES, make_job
from oracles.plain_engine import PlainEngine

from curvebench.generation.engine import (
    make_engine,
    stacked,
)
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


def assert_same(fast, slow, rtol=1e-9):
    for name in CURVES:
        np.testing.assert_allclose(getattr(fast, name), getattr(slow, name), rtol=rtol, atol=1e-12, err_msg=name)
    np.testing.assert_array_equal(fast.is_dead, slow.is_dead)


def check_against_plain(job):
    assert_same(TorchEngine(dtype=torch.float64).train(job), PlainEngine().train(job))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("schedule", SHAPES)
def test_every_optimizer_and_schedule_agrees_with_torch_optim(optimizer, schedule):
    check_against_plain(make_job(optimizer=optimizer, schedule=schedule))


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", OUTPUT_ACTIVATIONS)
def test_every_output_and_loss_agrees_with_torch_nn(task, loss, activation):
    if task == "regression" and loss != "squared_error":
        loss = "squared_error"
    check_against_plain(make_job(task=task, output=Output(activation, loss), optimizer="momentum"))


@pytest.mark.parametrize("activation", HIDDEN_ACTIVATIONS)
@pytest.mark.parametrize("depth", [1, 3])
def test_every_hidden_activation_and_depth_agrees(activation, depth):
    check_against_plain(make_job(activation=activation, depth=depth, width=5, gain=1.5))


@given(
    task=st.sampled_from(TASKS),
    optimizer=st.sampled_from(OPTIMIZERS),
    activation=st.sampled_from(HIDDEN_ACTIVATIONS),
    schedule=st.sampled_from(list(SHAPES)),
    depth=st.integers(1, 3),
    width=st.integers(1, 9),
    log_rate=st.floats(-4, -2),
    seed=st.integers(0, 1000),
)
@settings(max_examples=30, derandomize=True)
def test_random_configurations_agree(task, optimizer, activation, schedule, depth, width, log_rate, seed):
    # rates at which rounding does not grow: a chaotic run is a different one after twenty updates in any arithmetic
    job = make_job(task, None, optimizer, activation, schedule, (10**log_rate,), depth, width, seed=seed)
    assert_same(TorchEngine(dtype=torch.float64).train(job), PlainEngine().train(job), rtol=1e-7)


def test_agreement_holds_until_divergence_and_the_dead_keep_their_last_value():
    job = make_job("regression", rates=(0.01, 1e3, 0.02, 1e30), n_steps=40)
    fast, slow = TorchEngine(dtype=torch.float64).train(job), PlainEngine().train(job)
    assert fast.is_dead.any()
    assert not fast.is_dead.all()
    np.testing.assert_array_equal(fast.is_dead, slow.is_dead)
    # until divergence: wherever the plain loop is still at a sensible size
    sensible = np.abs(slow.train_loss) < 1e6
    np.testing.assert_allclose(fast.train_loss[sensible], slow.train_loss[sensible], rtol=1e-7)
    np.testing.assert_array_equal(np.isfinite(fast.train_loss), np.isfinite(slow.train_loss))
    for curve in fast.train_loss[fast.is_dead]:
        first = int(np.argmax(~np.isfinite(curve)))
        np.testing.assert_array_equal(curve[first:], np.full(len(curve) - first, curve[first]))
    assert np.all(fast.outcome[fast.is_dead, 0] == np.inf)


def test_dead_runs_do_not_change_the_living():
    together = make_job("regression", rates=(0.01, 1e30, 0.02), n_steps=40)
    alone = replace(
        together,
        rates=together.rates[[0, 1, 4, 5]],
        seed_of_run=together.seed_of_run[[0, 1, 4, 5]],
        start=State(together.start.parameters[[0, 1, 4, 5]], together.start.slots[[0, 1, 4, 5]], 0),
    )
    engine = TorchEngine()
    np.testing.assert_array_equal(engine.train(together).train_loss[[0, 1, 4, 5]], engine.train(alone).train_loss)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_resuming_with_factor_one_reproduces_the_run(optimizer, dtype):
    job = make_job(optimizer=optimizer, schedule="cosine", checkpoints=(12,))
    engine = TorchEngine(dtype=dtype)
    whole = engine.train(job)
    resumed = engine.train(replace(job, start=whole.checkpoints[12], checkpoint_steps=()))
    after = job.record_steps > 12
    for name in ("train_loss", "val_loss", "grad_norm"):
        np.testing.assert_array_equal(getattr(resumed, name)[:, after], getattr(whole, name)[:, after])
        assert np.isnan(getattr(resumed, name)[:, ~after]).all()
    np.testing.assert_array_equal(resumed.outcome, whole.outcome)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_checkpoints_and_resumption_agree_with_the_plain_loop(optimizer):
    job = make_job(optimizer=optimizer, checkpoints=(12,))
    fast, slow = TorchEngine(dtype=torch.float64).train(job), PlainEngine().train(job)
    np.testing.assert_allclose(fast.checkpoints[12].parameters, slow.checkpoints[12].parameters, rtol=1e-9)
    np.testing.assert_allclose(fast.checkpoints[12].slots, slow.checkpoints[12].slots, rtol=1e-8, atol=1e-15)
    rates = job.rates.copy()
    rates[:, 12:] *= 3.0
    branch = replace(job, rates=rates, start=fast.checkpoints[12], checkpoint_steps=())
    check_against_plain(branch)


def test_more_runs_than_a_stack_give_the_same_as_each_alone(monkeypatch):
    job = make_job(rates=(0.01, 0.02, 0.03, 0.04, 0.05), checkpoints=(6,))
    whole = TorchEngine().train(job)
    monkeypatch.setattr(stacked, "STACK", 3)
    in_stacks = TorchEngine().train(job)
    np.testing.assert_array_equal(whole.train_loss, in_stacks.train_loss)
    np.testing.assert_array_equal(whole.checkpoints[6].parameters, in_stacks.checkpoints[6].parameters)


def test_telemetry_can_be_left_out_without_changing_the_training():
    job = make_job()
    with_telemetry, without = TorchEngine().train(job), TorchEngine().train(replace(job, telemetry=False))
    np.testing.assert_array_equal(with_telemetry.train_loss, without.train_loss)
    assert np.isnan(without.grad_norm).all()


def test_every_name_of_the_contract_is_known_to_the_engine():
    assert tuple(stacked.HIDDEN) == HIDDEN_ACTIVATIONS
    assert tuple(stacked.OUTPUT) == OUTPUT_ACTIVATIONS
    assert tuple(stacked.LOSS) == LOSSES
    assert tuple(stacked.UPDATE) == OPTIMIZERS


def test_threads_and_denormals_are_left_as_they_were():
    threads = torch.get_num_threads()
    TorchEngine().train(make_job())
    assert torch.get_num_threads() == threads
    assert (torch.tensor([1e-40]) * 1.0).item() != 0.0


def test_a_device_that_is_not_there_is_refused_in_a_sentence():
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(UsageError, match="no GPU"):
        make_engine("torch", "cuda")
    with pytest.raises(UsageError, match="known engines"):
        make_engine("warp")
