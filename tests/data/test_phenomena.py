"""Phenomena: curves made by hand show what they were made for, and nothing breaks on the worst of curves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from curvebench.data.dataset import Dataset
from curvebench.data.phenomena import PHENOMENA, count_phenomena, find_phenomena
from curvebench.spec import SPLITS

N_POINTS = 128
X = np.linspace(0, 1, N_POINTS)
FALL = 0.1 + 0.9 * np.exp(-14 * X)
SPIKED = FALL + 3 * np.exp(-(((X - 0.1) / 0.02) ** 2))
SADDLE = 0.05 + 0.95 / (1 + np.exp(30 * (X - 0.4)))
RIPPLE = FALL + 0.02 * np.where(np.arange(N_POINTS) % 4 == 0, 1, 0)
DYING = np.where(X < 0.3, FALL, np.nan)


@pytest.fixture
def made(make_dataset):
    """A function that puts one curve and some columns into every run of a made-up data set."""

    def make(curve=FALL, **columns) -> Dataset:
        dataset = make_dataset(n_points=N_POINTS)
        n = len(dataset)
        changed = dict(dataset.columns)
        changed["loss_cap"] = np.ones(n, np.float32)
        changed["train_loss"] = np.tile(np.asarray(curve, np.float32), (n, 1))
        changed["final_loss"] = changed["train_loss"][:, -1]
        for name, value in columns.items():
            dtype = None if isinstance(value, str) else dataset[name].dtype
            changed[name] = np.full(dataset[name].shape, value, dtype)
        return replace(dataset, columns=changed)

    return make


def share(dataset, name):
    return find_phenomena(dataset)[name].mean()


@pytest.mark.parametrize(
    ("name", "curve", "columns"),
    [
        ("explodes", FALL, {"diagnosis": "lr_too_high", "diverged": 1}),
        ("swings", 1 + 0.5 * np.sin(9 * X) + X, {"diagnosis": "lr_too_high", "diverged": 0}),
        ("useless plateau", np.ones(N_POINTS), {"diagnosis": "lr_too_high", "diverged": 0}),
        ("catapult", SPIKED, {"diagnosis": "healthy"}),
        ("crawls", FALL, {"diagnosis": "lr_too_low"}),
        ("saddle", SADDLE, {"diagnosis": "healthy"}),
        ("high late, constant", FALL, {"diagnosis": "late_lr_too_high", "learning_rate": 0.1}),
        ("high late, decay stopped", FALL, {"diagnosis": "late_lr_too_high", "decay_until": 0.3}),
        ("high late, raised again", FALL, {"diagnosis": "late_lr_too_high", "cycles": 3.0}),
        ("freezes", FALL, {"diagnosis": "late_lr_too_low"}),
        ("step decay", FALL, {"schedule": "step", "decay": 8.0}),
        ("exponential decay", FALL, {"schedule": "exponential", "decay": 8.0}),
        ("1/t decay", FALL, {"schedule": "inverse_time", "decay": 8.0}),
        ("cosine decay", FALL, {"schedule": "cosine", "decay": 8.0}),
        ("warm-up", FALL, {"warmup": 0.1}),
        ("fine-tuning", FALL, {"pretrained_on": "moons-01 turned"}),
        ("forgets", FALL, {"pretrained_on": "moons-01 turned", "source_loss": 0.1, "final_source_loss": 0.3}),
        ("bounded output", FALL, {"diagnosis": "output_mismatch", "output_floor": 0.09}),
        (
            "softmax for several labels",
            FALL,
            {"diagnosis": "output_mismatch", "target_range": "label_set", "output_activation": "softmax"},
        ),
        (
            "saturated output",
            FALL,
            {
                "diagnosis": "output_mismatch",
                "init_gain": 4.0,
                "output_activation": "sigmoid",
                "loss": "squared_error",
            },
        ),
        ("dead output", FALL, {"diagnosis": "output_mismatch", "output_activation": "relu", "grad_norm": 0.0}),
        ("vanishing gradients", SADDLE, {"depth": 6, "activation": "tanh"}),
        ("plateau: rate too high late", FALL, {"diagnosis": "late_lr_too_high"}),
        ("plateau: decayed too early", FALL, {"diagnosis": "late_lr_too_low"}),
        ("plateau: output", FALL, {"diagnosis": "output_mismatch"}),
        ("plateau: label noise", FALL, {"diagnosis": "healthy", "loss_floor": 0.08}),
        ("plateau: converged", FALL, {"diagnosis": "healthy", "loss_floor": np.nan}),
        ("edge of stability", RIPPLE, {"diagnosis": "healthy", "batch_size": 256}),
        ("tiny batches", FALL, {"diagnosis": "healthy", "batch_size": 2}),
        ("bad batch", FALL, {"diagnosis": "healthy", "bad_batches": 3}),
    ],
)
def test_what_was_made_is_found_and_not_without_its_mark(made, name, curve, columns):
    assert share(made(curve, **columns), name) == 1.0
    mark, value = next(iter(columns.items()))
    nothing = "indeterminate" if mark == "diagnosis" else "" if isinstance(value, str) else 0
    assert share(made(curve, **(columns | {mark: nothing})), name) == 0.0


def test_the_list_above_is_complete():
    parameters = test_what_was_made_is_found_and_not_without_its_mark.pytestmark[0].args[1]
    assert [case[0] for case in parameters] == list(PHENOMENA)


@pytest.mark.parametrize(
    ("name", "curve"),
    [
        ("catapult", FALL),
        ("catapult", FALL * (1 + np.sin(50 * X))),
        ("saddle", FALL),
        ("saddle", np.where(X < 0.2, SADDLE + 20 * np.minimum(X, 0.2 - X), SADDLE)),  # rises first
        ("edge of stability", FALL),
    ],
)
def test_a_plain_fall_shows_nothing_special(made, name, curve):
    assert share(made(curve, diagnosis="healthy", batch_size=256), name) == 0.0


@pytest.mark.parametrize("curve", [DYING, np.full(N_POINTS, np.nan), np.full(N_POINTS, np.inf), np.zeros(N_POINTS)])
@pytest.mark.parametrize("name", PHENOMENA)
def test_every_condition_bears_curves_that_died(made, name, curve):
    dataset = made(curve)
    shown = find_phenomena(dataset)[name]
    assert shown.shape == (len(dataset),)
    assert shown.dtype == np.bool_


def test_counts_add_up(make_dataset):
    dataset = make_dataset()
    counts = count_phenomena(dataset)
    for name, shown in find_phenomena(dataset).items():
        assert set(counts[name]) == set(SPLITS)
        assert sum(sum(by_label.values()) for by_label in counts[name].values()) == shown.sum()
    crawls = counts["crawls"]["train"]
    assert crawls["lr_too_low"] == np.sum((dataset["diagnosis"] == "lr_too_low") & (dataset["split"] == "train"))
    assert crawls["healthy"] == 0


def test_an_empty_data_set_shows_nothing(make_dataset):
    dataset = make_dataset(n_cells=0)
    assert all(sum(sum(by_label.values()) for by_label in c.values()) == 0 for c in count_phenomena(dataset).values())
