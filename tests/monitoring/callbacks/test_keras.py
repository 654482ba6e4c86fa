"""The callback in real trainings of Keras."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest

pytest.importorskip("keras", reason="keras is not installed (extra frameworks)")

import keras
from oracles.small_training import (
    BATCH_SIZE,
    GOOD_RATE,
    HIGH_RATE,
    N_EPOCHS,
    N_STEPS,
    Exploding,
    examples,
    our_warnings,
)

from curvebench import Monitor
from curvebench.monitoring.callbacks.keras import DiagnosisCallback
from curvebench.spec import UsageError

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


class Counter(keras.callbacks.Callback):
    """Counts batches, and keeps the mean loss that Keras tells after each."""

    def __init__(self):
        super().__init__()
        self.means = []

    def on_train_batch_end(self, batch, logs=None):
        self.means.append(logs["loss"])


def fit(callback, rate, *, model=None, counter=None, **options):
    keras.utils.set_random_seed(0)
    if model is None:
        model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(rate), loss="mse", **options.pop("compile", {}))
    counter = Counter() if counter is None else counter
    arguments = {"epochs": N_EPOCHS, "batch_size": BATCH_SIZE, "shuffle": False, "verbose": 0}
    model.fit(*examples(), callbacks=[callback, counter], **arguments | options)
    return model, len(counter.means)


def ours(records):
    return [r.getMessage() for r in records if r.name.startswith("curvebench")]


def test_a_rate_far_too_high_is_said_before_the_end(caplog):
    callback = DiagnosisCallback()
    with caplog.at_level(logging.WARNING, "curvebench"):
        _, n_batches = fit(callback, HIGH_RATE)
    assert [f.diagnosis for f in callback.monitor.findings] == ["lr_too_high"]
    assert callback.monitor.findings[0].step < N_STEPS / 2
    assert ours(caplog.records) == [f"CurveBench: {callback.monitor.findings[0]}"]
    assert n_batches == N_STEPS


def test_it_stops_if_it_may():
    callback = DiagnosisCallback(log=False, stop=True)
    model, n_batches = fit(callback, HIGH_RATE)
    assert model.stop_training
    assert callback.monitor.findings[0].step <= n_batches < N_STEPS


def test_a_healthy_training_is_left_in_peace(caplog):
    callback = DiagnosisCallback(Monitor(diagnoser="rules"), warn=True, stop=True)
    _, n_batches = fit(callback, GOOD_RATE, validation_data=examples())
    assert n_batches == N_STEPS == callback.monitor.total_steps
    assert callback.monitor.findings == ()
    assert not callback.monitor.is_silent
    assert ours(caplog.records) == []


class Listening(Monitor):
    """Keeps what it is told, as one that looks at the rate."""

    def __init__(self):
        super().__init__()
        self.looks_at, self.told = ("train_loss", "learning_rate"), []

    def update(self, step, loss, **channels):
        self.told.append((step, loss, channels["learning_rate"]))
        return


def test_losses_of_batches_are_found_in_the_running_mean():
    """The twin: the same updates by hand."""
    monitor, counter = Listening(), Counter()
    fit(DiagnosisCallback(monitor), GOOD_RATE, epochs=2, counter=counter)
    keras.utils.set_random_seed(0)
    layer = keras.layers.Dense(1)
    layer.build((None, 4))
    weights, bias = (np.array(v, dtype=np.float64) for v in layer.get_weights())
    losses = []
    for _ in range(2):
        for x, y in zip(*(np.split(a.astype(np.float64), N_STEPS // N_EPOCHS) for a in examples()), strict=True):
            error = x @ weights + bias - y
            losses.append((error**2).mean())
            weights = weights - GOOD_RATE * 2 * x.T @ error / len(x)
            bias = bias - GOOD_RATE * 2 * error.mean(axis=0)
    steps, found, rates = zip(*monitor.told, strict=True)
    assert steps == tuple(range(1, 41))
    np.testing.assert_allclose(found, losses, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(rates, GOOD_RATE, rtol=1e-6)
    assert counter.means[-1] != pytest.approx(found[-1], rel=0.1)


def test_several_batches_at_once_are_one_loss():
    """As Keras calls where `steps_per_execution` is above one, which its torch backend does not allow."""
    monitor = Listening()
    callback = DiagnosisCallback(monitor)
    callback.set_params({"steps": 8, "epochs": 1})
    callback._rate = lambda: GOOD_RATE
    callback.on_epoch_begin(0)
    callback.on_train_batch_end(3, {"loss": 2.0})
    callback.on_train_batch_end(7, {"loss": 1.5})
    assert monitor.told == [(4, 2.0, GOOD_RATE), (8, 1.0, GOOD_RATE)]


def test_an_exploding_diagnoser_costs_one_warning():
    callback = DiagnosisCallback(Monitor(diagnoser=Exploding()), stop=True)
    with our_warnings() as warned:
        _, n_batches = fit(callback, HIGH_RATE)
    assert warned == ["The monitor of CurveBench stays silent from here on: SystemExit: the diagnoser exploded"]
    assert n_batches == N_STEPS


def test_nothing_happens_in_another_process_than_the_first(monkeypatch):
    monkeypatch.setenv("RANK", "1")
    callback = DiagnosisCallback(stop=True)
    _, n_batches = fit(callback, HIGH_RATE)
    assert callback.monitor.state_dict() == Monitor().state_dict()
    assert n_batches == N_STEPS


def test_one_of_several_processes_is_not_stopped(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="leave stop=False"):
        DiagnosisCallback(stop=True)


def test_a_state_that_was_saved_goes_on():
    whole, first, second = DiagnosisCallback(), DiagnosisCallback(), DiagnosisCallback()
    fit(whole, GOOD_RATE)
    model, _ = fit(first, GOOD_RATE, epochs=5)
    second.monitor.load_state_dict(json.loads(json.dumps(first.monitor.state_dict())))
    fit(second, GOOD_RATE, model=model, initial_epoch=5)
    assert second.monitor.state_dict()["trace"] == whole.monitor.state_dict()["trace"]
