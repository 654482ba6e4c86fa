"""The callback in real trainings of Hugging Face's Trainer."""

from __future__ import annotations

import json
import logging
import math

import pytest

pytest.importorskip("transformers", reason="transformers is not installed (extra frameworks)")
pytest.importorskip("accelerate", reason="accelerate is not installed (extra frameworks)")

import torch
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
from transformers import Trainer, TrainerCallback, TrainingArguments

from curvebench import Monitor
from curvebench.monitoring.callbacks.huggingface import DiagnosisCallback

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


class Regression(torch.nn.Module):
    def __init__(self, dies_at: int | None = None) -> None:
        super().__init__()
        self.layer, self.n_calls, self.dies_at = torch.nn.Linear(4, 1), 0, dies_at

    def forward(self, inputs, labels):
        self.n_calls += 1
        loss = ((self.layer(inputs) - labels) ** 2).mean()
        return {"loss": loss * math.nan if self.n_calls == self.dies_at else loss}


def trainer(callback, folder, rate, *, dies_at=None, **options):
    torch.manual_seed(0)
    model = Regression(dies_at)
    arguments = {
        "output_dir": str(folder),
        "num_train_epochs": N_EPOCHS,
        "per_device_train_batch_size": BATCH_SIZE,
        "learning_rate": rate,
        "lr_scheduler_type": "constant",
        "optim": "sgd",
        "max_grad_norm": 0.0,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": True,
        "dataloader_pin_memory": False,
        "data_seed": 0,
    }
    data = [{"inputs": x, "labels": y} for x, y in zip(*examples(), strict=True)]
    return Trainer(model, TrainingArguments(**arguments | options), train_dataset=data, callbacks=[callback])


def ours(records):
    return [r.getMessage() for r in records if r.name.startswith("curvebench")]


def test_a_rate_far_too_high_is_said_before_the_end(tmp_path, caplog):
    callback = DiagnosisCallback()
    trained = trainer(callback, tmp_path, HIGH_RATE)
    with caplog.at_level(logging.WARNING, "curvebench"):
        trained.train()
    assert [f.diagnosis for f in callback.monitor.findings] == ["lr_too_high"]
    assert callback.monitor.findings[0].step < N_STEPS / 2
    assert ours(caplog.records) == [f"CurveBench: {callback.monitor.findings[0]}"]
    assert trained.state.global_step == N_STEPS


def test_it_stops_if_it_may(tmp_path):
    callback = DiagnosisCallback(log=False, stop=True)
    trained = trainer(callback, tmp_path, HIGH_RATE)
    trained.train()
    assert trained.state.global_step == callback.monitor.findings[0].step < N_STEPS


def test_a_healthy_training_is_left_in_peace(tmp_path, caplog):
    callback = DiagnosisCallback(Monitor(diagnoser="rules"), warn=True, stop=True)
    trained = trainer(callback, tmp_path, GOOD_RATE)
    trained.train()
    assert trained.state.global_step == N_STEPS == callback.monitor.total_steps
    assert callback.monitor.findings == ()
    assert not callback.monitor.is_silent
    assert ours(caplog.records) == []


def test_a_loss_that_the_trainer_filtered_is_noticed_by_its_gradient(tmp_path):
    callback = DiagnosisCallback(Monitor(diagnoser="constant"), log=False)
    trained = trainer(callback, tmp_path, GOOD_RATE, dies_at=60, logging_nan_inf_filter=True)
    trained.train()
    assert all(math.isfinite(row["loss"]) for row in trained.state.log_history if "loss" in row)
    assert [(f.diagnosis, f.step) for f in callback.monitor.findings] == [("lr_too_high", 62)]


def test_an_exploding_diagnoser_costs_one_warning(tmp_path):
    callback = DiagnosisCallback(Monitor(diagnoser=Exploding()), stop=True)
    trained = trainer(callback, tmp_path, HIGH_RATE)
    with our_warnings() as warned:
        trained.train()
    assert warned == ["The monitor of CurveBench stays silent from here on: SystemExit: the diagnoser exploded"]
    assert trained.state.global_step == N_STEPS


def test_nothing_happens_in_another_process_than_the_first(tmp_path):
    callback = DiagnosisCallback(stop=True)
    trained = trainer(callback, tmp_path, HIGH_RATE)
    callback.on_train_begin = lambda *_, **__: setattr(callback.watch, "is_first_process", False)
    trained.train()
    assert callback.monitor.state_dict() == Monitor().state_dict()
    assert trained.state.global_step == N_STEPS


@pytest.mark.parametrize("restores", [False, True], ids=["callback-given", "callback-made-by-the-trainer"])
def test_a_checkpoint_keeps_the_state(tmp_path, restores):
    whole = DiagnosisCallback(log=False)
    trainer(whole, tmp_path / "whole", GOOD_RATE).train()
    first = trainer(DiagnosisCallback(log=False), tmp_path / "half", GOOD_RATE, save_strategy="steps", save_steps=100)
    first.add_callback(Interrupt())
    first.train()
    checkpoint = tmp_path / "half" / "checkpoint-100"
    text = (checkpoint / "trainer_state.json").read_text(encoding="utf-8")
    assert "DiagnosisCallback" in json.loads(text)["stateful_callbacks"]
    options = {"restore_callback_states_from_checkpoint": restores}
    second = trainer(DiagnosisCallback(log=False), tmp_path / "rest", GOOD_RATE, **options)
    second.train(resume_from_checkpoint=str(checkpoint))
    (callback,) = (c for c in second.callback_handler.callbacks if isinstance(c, DiagnosisCallback))
    assert callback.monitor.state_dict()["trace"] == whole.monitor.state_dict()["trace"]
    assert not callback.watch.log


class Interrupt(TrainerCallback):
    """Ends a training after 110 steps, which the plan does not know."""

    def on_step_end(self, args, state, control, **_):
        control.should_training_stop = state.global_step >= 110
