"""The callback in real trainings of Lightning."""

from __future__ import annotations

import logging

import pytest

pytest.importorskip("lightning", reason="lightning is not installed (extra frameworks)")

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
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
from curvebench.monitoring.callbacks.lightning import DiagnosisCallback
from curvebench.spec import UsageError

pytestmark = pytest.mark.filterwarnings("ignore:::lightning", "ignore::DeprecationWarning", "ignore::FutureWarning")


class Regression(LightningModule):
    def __init__(self, rate: float) -> None:
        super().__init__()
        self.layer, self.rate = torch.nn.Linear(4, 1), rate

    def training_step(self, batch, _):
        return ((self.layer(batch[0]) - batch[1]) ** 2).mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.rate)


class Validated(Regression):
    def validation_step(self, batch, _):
        self.log("val_loss", self.training_step(batch, _))


class Silent(Regression):
    def training_step(self, batch, _):
        return None


def trainer(callback, folder, **options):
    return Trainer(
        max_epochs=options.pop("max_epochs", N_EPOCHS),
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=any(isinstance(c, ModelCheckpoint) for c in options.get("callbacks", ())),
        default_root_dir=folder,
        callbacks=[callback, *options.pop("callbacks", ())],
        **options,
    )


@pytest.fixture
def data():
    torch.manual_seed(0)
    dataset = torch.utils.data.TensorDataset(*map(torch.from_numpy, examples()))
    return torch.utils.data.DataLoader(dataset, batch_size=BATCH_SIZE)


def test_a_rate_far_too_high_is_said_before_the_end(data, tmp_path, caplog):
    callback = DiagnosisCallback()
    trained = trainer(callback, tmp_path)
    with caplog.at_level(logging.WARNING, "curvebench"):
        trained.fit(Regression(HIGH_RATE), data)
    assert [f.diagnosis for f in callback.monitor.findings] == ["lr_too_high"]
    assert callback.monitor.findings[0].step < N_STEPS / 2
    assert [r.getMessage() for r in caplog.records if r.name.startswith("curvebench")] == [
        f"CurveBench: {callback.monitor.findings[0]}"
    ]
    assert trained.global_step == N_STEPS


def test_it_stops_if_it_may(data, tmp_path):
    callback = DiagnosisCallback(log=False, stop=True)
    trained = trainer(callback, tmp_path)
    trained.fit(Regression(HIGH_RATE), data)
    assert trained.global_step == callback.monitor.findings[0].step < N_STEPS


def test_it_warns_if_it_may(data, tmp_path):
    with our_warnings() as warned:
        trainer(DiagnosisCallback(log=False, warn=True), tmp_path).fit(Regression(HIGH_RATE), data)
    assert len(warned) == 1
    assert "lr_too_high" in warned[0]


def test_a_healthy_training_is_left_in_peace(data, tmp_path, caplog):
    callback = DiagnosisCallback(Monitor(diagnoser="rules"), warn=True, stop=True)
    trained = trainer(callback, tmp_path)
    trained.fit(Validated(GOOD_RATE), data, data)
    assert trained.global_step == N_STEPS
    assert callback.monitor.findings == ()
    assert not callback.monitor.is_silent
    assert callback.monitor.total_steps == N_STEPS
    assert not [r for r in caplog.records if r.name.startswith("curvebench")]


def test_what_it_tells_is_what_was_trained(data, tmp_path):
    told = []

    class Listening(Monitor):
        def update(self, step, loss, **channels):
            told.append((step, float(loss), channels["learning_rate"], channels["val_loss"]))
            return super().update(step, loss, **channels)

    trainer(DiagnosisCallback(Listening()), tmp_path, max_epochs=2).fit(Validated(GOOD_RATE), data, data)
    steps, losses, rates, val_losses = zip(*told, strict=True)
    assert steps == tuple(range(1, 41))
    assert set(rates) == {GOOD_RATE}
    assert [i for i, value in enumerate(val_losses) if value is not None] == [20]
    assert losses[-1] < losses[0]


def test_an_exploding_diagnoser_costs_one_warning(data, tmp_path):
    callback = DiagnosisCallback(Monitor(diagnoser=Exploding()), stop=True)
    trained = trainer(callback, tmp_path)
    with our_warnings() as warned:
        trained.fit(Regression(HIGH_RATE), data)
    assert warned == ["The monitor of CurveBench stays silent from here on: SystemExit: the diagnoser exploded"]
    assert trained.global_step == N_STEPS


def test_a_training_step_without_a_loss_costs_one_warning(data, tmp_path):
    trained = trainer(DiagnosisCallback(), tmp_path, max_epochs=1)
    with our_warnings() as warned:
        trained.fit(Silent(GOOD_RATE), data)
    assert len(warned) == 1
    assert "training_step returned no loss" in warned[0]


def test_nothing_happens_in_another_process_than_the_first(data, tmp_path, monkeypatch):
    callback = DiagnosisCallback(stop=True)
    trained = trainer(callback, tmp_path)
    monkeypatch.setattr(type(trained), "is_global_zero", False)
    trained.fit(Regression(HIGH_RATE), data)
    assert callback.monitor.findings == ()
    assert callback.monitor.state_dict() == Monitor().state_dict()
    assert trained.global_step == N_STEPS


def test_processes_stop_together(data, tmp_path, monkeypatch):
    """What the first wants reaches the others by the trainer's own vote, at steps that all know."""
    callback = DiagnosisCallback(stop=True)
    trained = trainer(callback, tmp_path)
    votes = []
    monkeypatch.setattr(type(trained), "is_global_zero", False)
    monkeypatch.setattr(type(trained), "world_size", 2)

    def vote(decision, all):
        votes.append((trained.global_step, decision, all))
        return trained.global_step >= 64

    monkeypatch.setattr(trained.strategy, "reduce_boolean_decision", vote)
    callback.watch.is_first_process = False
    with our_warnings():
        trained.fit(Regression(HIGH_RATE), data)
    assert votes[:2] == [(32, False, False), (64, False, False)]
    assert trained.global_step == 64


def test_a_checkpoint_keeps_the_state(data, tmp_path):
    whole, first = DiagnosisCallback(), DiagnosisCallback()
    torch.manual_seed(1)
    trainer(whole, tmp_path).fit(Regression(GOOD_RATE), data)
    torch.manual_seed(1)
    keep = ModelCheckpoint(dirpath=tmp_path, filename="half", every_n_train_steps=100, save_top_k=-1)
    trainer(first, tmp_path, max_steps=110, callbacks=[keep]).fit(Regression(GOOD_RATE), data)
    second = DiagnosisCallback()
    trained = trainer(second, tmp_path)
    trained.fit(Regression(GOOD_RATE), data, ckpt_path=tmp_path / "half.ckpt", weights_only=False)
    assert trained.global_step == N_STEPS
    assert second.monitor.state_dict()["trace"] == whole.monitor.state_dict()["trace"]


def test_a_number_that_is_none_is_refused():
    with pytest.raises(UsageError, match="every_n_batches is 0"):
        DiagnosisCallback(every_n_batches=0)
