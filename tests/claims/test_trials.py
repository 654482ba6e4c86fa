"""The machinery of experiments against one network at a time in torch."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("numba")
torch = pytest.importorskip("torch")

from oracles.plain_engine import PlainEngine, get_parameters, make_model, set_parameters, training_loss

from curvebench.claims.forward import HIDDEN, OUTPUT, before_output, layers
from curvebench.claims.trials import (
    CLASS_FAMILIES,
    EFFORTS,
    FAMILIES,
    evaluate,
    gradient,
    make_trial,
    problem_of,
    rate_grid,
    scheduled,
    train,
)
from curvebench.generation.engine import make_engine
from curvebench.spec import OUTPUT_ACTIVATIONS, Network, Output

EFFORT = replace(EFFORTS["small"], n_updates=20)
RATES = np.array([0.01, 0.1])


@pytest.fixture(scope="module")
def engine():
    return make_engine("fused")


@pytest.mark.parametrize("position", [0, 1, 4, 5])
def test_training_against_torch(engine, position):
    """Regression, classes, two classes and counts."""
    trial = make_trial(problem_of(position), position, EFFORT)
    rates = scheduled(RATES, EFFORT.n_updates, "step", 8.0)
    fast, slow = (train(trial, "momentum", rates, e, n_points=5) for e in (engine, PlainEngine()))
    assert fast.final.shape == (2, EFFORT.n_seeds)
    for name in ("train_loss", "val_loss", "final", "final_val", "parameters"):
        np.testing.assert_allclose(getattr(fast, name), getattr(slow, name), rtol=2e-3, atol=2e-4, err_msg=name)


def test_a_run_is_the_same_whatever_runs_beside_it(engine):
    trial = make_trial(problem_of(2), 2, EFFORT)
    both = train(trial, "adam", scheduled(RATES, EFFORT.n_updates), engine)
    one = train(trial, "adam", scheduled(RATES[1:], EFFORT.n_updates), engine)
    np.testing.assert_array_equal(both.final[1], one.final[0])
    np.testing.assert_array_equal(both.parameters[1], one.parameters[0])


def test_a_dead_run_counts_as_nothing_learned(engine):
    trial = make_trial(problem_of(0), 0, EFFORT)
    runs = train(trial, "sgd", scheduled(np.array([1e30]), EFFORT.n_updates), engine, n_points=5)
    assert np.isinf(runs.final).all()
    assert (runs.capped == 1.0).all()
    assert np.isinf(runs.train_loss[..., -1]).all()


def test_evaluation_is_the_final_loss_of_no_training(engine):
    """The loss of trained networks, on a problem that they have not seen."""
    trial = make_trial(problem_of(2), 2, EFFORT)
    turned = replace(trial, problem=replace(trial.problem, train_inputs=-trial.problem.train_inputs))
    parameters = train(trial, "sgd", scheduled(RATES, EFFORT.n_updates), engine).parameters
    found = evaluate(turned, parameters, engine)
    for r in range(2):
        for s in range(EFFORT.n_seeds):
            z = before_output(turned.network, parameters[r, s], turned.problem.train_inputs)
            loss = np.mean((OUTPUT[turned.output.activation](z) - turned.problem.train_targets) ** 2) / turned.cap
            assert found[r, s] == pytest.approx(loss, rel=1e-4)


@pytest.mark.parametrize("position", [0, 1])
@pytest.mark.parametrize("depth", [1, 8])
def test_gradient_against_autograd(engine, position, depth):
    trial = make_trial(problem_of(position), position, EFFORT, activation="sigmoid", depth=depth, batch_size=32)
    found = gradient(trial, trial.initial, engine)
    for seed in range(EFFORT.n_seeds):
        model = make_model(trial.network, trial.output.activation, torch.float64)
        set_parameters(model, torch.tensor(trial.initial[seed], dtype=torch.float64))
        rows = trial.batches[seed, 0]
        x, y = (
            torch.tensor(a[rows], dtype=torch.float64)
            for a in (trial.problem.train_inputs, trial.problem.train_targets)
        )
        training_loss(trial.output.loss, model(x), y, trial.problem.task).backward()
        before = get_parameters(model)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter -= parameter.grad
        expected = before - get_parameters(model)
        for (fast, _), (slow, _) in zip(
            layers(trial.network, found[seed]), layers(trial.network, expected), strict=True
        ):
            assert np.linalg.norm(fast - slow) <= 1e-4 * np.linalg.norm(slow), "every layer to its own size"


@pytest.mark.parametrize("activation", HIDDEN)
def test_outputs_against_torch(activation):
    network = Network(3, 2, depth=2, width=4, activation=activation)
    rng = np.random.default_rng(0)
    parameters, inputs = rng.normal(size=(2, network.n_parameters)), rng.normal(size=(5, 3))
    for output in OUTPUT:
        model = make_model(network, output, torch.float64)
        for of_seed in parameters:
            set_parameters(model, torch.tensor(of_seed))
            with torch.no_grad():
                expected = model(torch.tensor(inputs)).numpy()
            found = OUTPUT[output](before_output(network, of_seed, inputs))
            np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
    assert before_output(network, parameters, inputs).shape == (2, 5, 2)
    assert set(OUTPUT) <= set(OUTPUT_ACTIVATIONS)


def test_every_epoch_shows_every_example_once():
    trial = make_trial(problem_of(0), 0, replace(EFFORT, n_updates=64), batch_size=8)
    n = len(trial.problem.train_inputs)
    per_epoch = n // 8
    for seed in range(EFFORT.n_seeds):
        for epoch in range(64 // per_epoch):
            shown = trial.batches[seed, epoch * per_epoch : (epoch + 1) * per_epoch]
            assert sorted(shown.ravel()) == list(range(n))
    assert not np.array_equal(trial.batches[0], trial.batches[1])


def test_longer_trainings_begin_like_shorter_ones():
    short, long = (make_trial(problem_of(3), 3, replace(EFFORT, n_updates=n)) for n in (20, 70))
    np.testing.assert_array_equal(short.batches, long.batches[:, :20])
    np.testing.assert_array_equal(short.initial, long.initial)


def test_problems_of_an_experiment_differ():
    for families in (FAMILIES, CLASS_FAMILIES):
        names = [problem_of(i, families).name for i in range(2 * len(families))]
        assert len(set(names)) == len(names)
    assert {problem_of(i, CLASS_FAMILIES).task for i in range(len(CLASS_FAMILIES))} == {"multiclass"}
    assert EFFORTS["full"].n_problems >= 20


def test_grids_hold_the_same_number_of_rates_in_every_decade():
    rates = rate_grid(-4, 1, 3)
    for decade in range(-4, 1):
        assert ((rates > 10.0**decade) & (rates < 10.0 ** (decade + 1))).sum() == 3
    np.testing.assert_allclose(np.diff(np.log10(rates)), 1 / 3)


def test_own_outputs_are_trained_with(engine):
    trial = make_trial(problem_of(1), 1, EFFORT, output=Output("sigmoid", "squared_error"))
    assert trial.cap == pytest.approx(trial.problem.train_targets.var(axis=0).mean(), rel=1e-5)
    assert train(trial, "adam", scheduled(RATES, EFFORT.n_updates), engine).final.max() < 3.0
