"""Data sets that leak are caught, others are not."""

from __future__ import annotations

import numpy as np
import pytest
from oracles.audited import changed, labels_of_pairs, relabelled, scored
from sklearn.metrics import balanced_accuracy_score

from curvebench.evaluation.audit import leaks
from curvebench.evaluation.audit.leaks import schedule_leaks_little, settings_say_less, start_leaks_nothing
from curvebench.evaluation.audit.report import FAILED, PASSED, check_of
from curvebench.spec import DIAGNOSES, InputError


@pytest.fixture(scope="module")
def dataset(make_dataset):
    """Labels that have nothing to do with anything."""
    made = scored(make_dataset(n_cells=180, n_rates=8, n_seeds=2))
    return relabelled(made, labels_of_pairs(made))


@pytest.fixture(scope="module")
def codes(dataset):
    """A number for each run that its label decides."""
    return np.array([DIAGNOSES.index(label) for label in dataset.labels], dtype=float)


def with_first(dataset, name, values):
    curves = dataset[name].copy()
    curves[:, 0] = values
    return changed(dataset, **{name: curves})


def test_without_a_leak_all_is_well(dataset):
    assert check_of("start_leaks_nothing", start_leaks_nothing(dataset)).status == PASSED
    assert check_of("schedule_leaks_little", schedule_leaks_little(dataset)).status == PASSED


@pytest.mark.parametrize("name", ["train_loss", "val_loss", "grad_norm"])
def test_a_first_point_that_tells_the_label_is_caught(dataset, codes, name):
    found = start_leaks_nothing(with_first(dataset, name, 1 + codes))
    assert found.values["accuracy"] == pytest.approx(1 - 1 / 6, abs=0.01)
    assert check_of("start_leaks_nothing", found).status == FAILED
    alone = found.details["above_chance_of_the_training_loss_alone"]["test"]
    assert (alone > 0.5) == (name == "train_loss")


def test_a_length_or_interval_that_tells_the_label_is_caught(dataset, codes):
    for leaking in (
        changed(dataset, length=(codes + 5).astype(int)),
        changed(dataset, step=(dataset["step"] * 0 + np.arange(dataset.n_points) * (1 + codes[:, None])).astype(int)),
    ):
        assert check_of("start_leaks_nothing", start_leaks_nothing(leaking)).status == FAILED


def test_what_comes_after_the_start_is_no_leak_of_the_start(dataset, codes):
    curves = dataset["train_loss"].copy()
    curves[:, 1:] = codes[:, None] + 1
    assert check_of("start_leaks_nothing", start_leaks_nothing(changed(dataset, train_loss=curves))).status == PASSED


def test_starts_that_are_not_finite_are_survived(dataset):
    values = np.where(np.arange(len(dataset)) % 3, np.nan, np.inf)
    assert (
        check_of("start_leaks_nothing", start_leaks_nothing(with_first(dataset, "grad_norm", values))).status == PASSED
    )


@pytest.mark.parametrize("column", ["schedule", "decay", "warmup", "learning_rate"])
def test_a_schedule_that_tells_the_label_is_caught(dataset, codes, column):
    time = np.linspace(0, 1, dataset.n_points)
    values = {
        "schedule": np.array([f"shape {code:.0f}" for code in codes]),
        "decay": 1 + codes,
        "warmup": codes / 10,
        "learning_rate": dataset["base_lr"][:, None] * np.exp(-codes[:, None] * time),
    }[column]
    found = schedule_leaks_little(changed(dataset, **{column: values}))
    assert found.values["accuracy"] > 0.9
    assert check_of("schedule_leaks_little", found).status == FAILED


def test_the_height_of_the_rate_is_no_schedule(dataset, codes):
    rates = 10.0 ** -codes[:, None] * np.ones(dataset.n_points)
    assert (
        check_of("schedule_leaks_little", schedule_leaks_little(changed(dataset, learning_rate=rates))).status == PASSED
    )


def test_rate_and_optimiser_must_say_less_than_the_curve(dataset, codes):
    time = np.linspace(0, 1, dataset.n_points)
    telling = changed(dataset, train_loss=np.exp(-(1 + codes[:, None]) * time))
    found = settings_say_less(telling)
    assert found.values["margin"] > 0.5
    assert check_of("settings_say_less", found).status == PASSED
    for column, values in (("base_lr", 10.0**-codes), ("decay", 1 + codes)):
        given_away = settings_say_less(changed(telling, **{column: values}))
        assert check_of("settings_say_less", given_away).status == FAILED, column
    optimizers = np.array(["sgd", "momentum", "adam", "adamw", "rmsprop", "sgd"])[codes.astype(int)]
    assert settings_say_less(changed(telling, optimizer=optimizers)).values["margin"] < 0.3
    assert check_of("settings_say_less", settings_say_less(dataset)).status == FAILED, "curves that say nothing"


def test_balanced_accuracy_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    labels, predictions = rng.choice(DIAGNOSES[:4], 100), rng.choice(DIAGNOSES[:4], 100)
    assert leaks._balanced_accuracy(labels, predictions) == pytest.approx(balanced_accuracy_score(labels, predictions))


@pytest.mark.parametrize("left", [["train"], ["test", "test_ood"]])
def test_two_splits_are_needed(dataset, left):
    part = dataset.select(np.isin(dataset["split"], left))
    for check in (start_leaks_nothing, schedule_leaks_little, settings_say_less):
        with pytest.raises(InputError, match="in the split train and in another one"):
            check(part)


def test_one_split_beside_train_is_enough(dataset):
    part = dataset.select(dataset["split"] != "test")
    assert list(start_leaks_nothing(part).details["above_chance"]) == ["test_ood"]
