"""Copies and lookalikes, held against loops over all pairs."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from curvebench.data.dataset import Dataset
from curvebench.data.neighbours import (
    CAUSES,
    CONVERGED,
    COPY,
    LABEL_NOISE,
    causes_of_plateaus,
    copies,
    lookalikes,
)

N_POINTS = 32
T = np.linspace(0, 1, N_POINTS)


def changed(dataset: Dataset, **columns) -> Dataset:
    return Dataset({**dataset.columns, **columns}, dataset.meta)


@pytest.fixture(scope="module")
def dataset(make_dataset):
    return make_dataset(n_cells=24, n_rates=4, n_seeds=3, n_points=N_POINTS)


# ------------------------------------------------------------------------------------------------ copies


def all_copies(dataset: Dataset, rows, others) -> list[tuple[int, int]]:
    found = []
    for i in rows:
        for j in others:
            a, b = (dataset["train_loss"][row].astype(float) for row in (i, j))
            if not all(np.isfinite(c).all() and (c > 0).all() and np.log(c.max() / c.min()) > COPY for c in (a, b)):
                continue
            if np.abs(np.log(a / b)).max() <= COPY:
                found.append((i, j))
    return found


def test_copies_are_found_and_nothing_else(dataset):
    loss = dataset["train_loss"].copy()
    loss[50] = loss[3] * (1 + COPY / 2)
    loss[51], loss[60] = loss[4] * (1 + 2 * COPY), loss[4] * np.where(np.arange(N_POINTS) == 5, 1.1, 1)
    loss[5] = loss[52] = 0.7
    loss[6] = loss[53] = np.nan
    loss[7], loss[54] = np.where(T > 0.5, 0, 1), np.where(T > 0.5, 0, 1)
    planted = changed(dataset, train_loss=loss)
    rows, others = np.arange(50), np.arange(50, 100)
    assert copies(planted, rows, others).tolist() == [[3, 50]]
    assert all_copies(planted, rows, others) == [(3, 50)]


def test_the_same_as_the_plain_loop_among_a_few(dataset):
    rows = np.arange(0, 60)
    assert sorted(map(tuple, copies(dataset, rows, rows).tolist())) == all_copies(dataset, rows, rows)


def test_nothing_has_no_copies(dataset):
    nothing = np.empty(0, dtype=int)
    assert copies(dataset, nothing, np.arange(5)).shape == (0, 2)
    assert copies(dataset, np.arange(5), nothing).shape == (0, 2)


# ----------------------------------------------------------------------------------------------- plateaus


@pytest.fixture(scope="module")
def flat(dataset):
    """Falls that are soon level, at a depth and with a noise of each cell; half of the healthy stand on their floor."""
    rng = np.random.default_rng(0)
    depth = rng.uniform(0.1, 0.5, dataset.n_runs)[dataset.cell_rate % dataset.n_runs]
    loss = depth[:, None] + (1 - depth[:, None]) * np.exp(-30 * T)
    loss = loss * np.exp(rng.normal(0, 0.02, loss.shape))
    floor = np.where(dataset.cell_rate % 2, dataset["final_loss"] * 0.9, np.nan)
    return changed(dataset, train_loss=loss, loss_floor=floor)


def test_causes_of_plateaus(flat):
    cause = causes_of_plateaus(flat)
    assert set(cause.tolist()) == {"", *CAUSES}
    healthy = flat.labels == "healthy"
    on_floor = ~np.isnan(flat["loss_floor"])
    assert set(cause[healthy & on_floor]) == {LABEL_NOISE}
    assert set(cause[healthy & ~on_floor]) == {CONVERGED}
    for label in ("late_lr_too_high", "late_lr_too_low", "output_mismatch"):
        assert set(cause[flat.labels == label]) == {label}
    assert set(cause[np.isin(flat.labels, ("lr_too_high", "lr_too_low", "other", "indeterminate"))]) == {""}


@pytest.mark.parametrize(
    ("curve", "is_plateau"),
    [
        (np.exp(-6 * T), False),
        (0.3 + 0.7 * np.exp(-30 * T), True),
        (np.full(N_POINTS, 0.7), False),
        (0.9 + 0.1 * np.exp(-30 * T), False),
        (np.where(T > 0.9, np.inf, 0.3 + 0.7 * np.exp(-30 * T)), False),
        (np.where(T > 0.9, 0.0, 0.3 + 0.7 * np.exp(-30 * T)), False),
    ],
    ids=["still falls", "level", "never fell", "hardly fell", "dies", "reaches zero"],
)
def test_what_a_plateau_is(dataset, curve, is_plateau):
    found = causes_of_plateaus(changed(dataset, train_loss=np.tile(curve, (dataset.n_runs, 1))))
    assert (found[dataset.labels == "output_mismatch"] == "output_mismatch").all() == is_plateau
    assert (found != "").any() == is_plateau


def plain_lookalikes(dataset: Dataset, first: str, second: str) -> list[tuple[int, int]]:
    """All pairs, one after the other."""
    logs = np.log10(np.where(np.isfinite(dataset["train_loss"]), dataset["train_loss"], 1).astype(float))
    centred = logs - logs.mean(axis=1, keepdims=True)
    cause, key, group = causes_of_plateaus(dataset), dataset.cell_rate, dataset["group"]

    def distance(i, j):
        return np.sqrt(np.mean((centred[i] - centred[j]) ** 2))

    def reach(i):
        return np.median([distance(i, j) for j in np.flatnonzero(key == key[i]) if j != i])

    def noise(i):
        late = logs[i, N_POINTS // 2 :]
        return np.mean([abs(late[k + 1] - 2 * late[k] + late[k - 1]) for k in range(1, len(late) - 1)])

    pairs = sorted(
        (distance(i, j), i, j)
        for i in np.flatnonzero(cause == first)
        for j in np.flatnonzero(cause == second)
        if group[i] != group[j] and distance(i, j) <= min(reach(i), reach(j)) and 0.5 <= noise(i) / noise(j) <= 2
    )
    taken_first, taken_second, chosen = set(), set(), []
    for _, i, j in pairs:
        if key[i] not in taken_first and key[j] not in taken_second:
            taken_first.add(key[i])
            taken_second.add(key[j])
            chosen.append((i, j))
    return chosen


def test_lookalikes_are_those_of_the_plain_loop(flat):
    found = lookalikes(flat)
    assert list(found) == list(combinations(CAUSES, 2))
    for causes, pairs in found.items():
        assert pairs.causes == causes
        assert list(map(tuple, pairs.rows.tolist())) == plain_lookalikes(flat, *causes)
        assert (np.diff(pairs.distance) >= 0).all()
    assert sum(len(pairs.rows) for pairs in found.values()) > 10


def test_a_smooth_plateau_does_not_look_like_a_noisy_one(flat):
    smooth = (0.3 + 0.7 * np.exp(-30 * T)) * np.exp(0.02 * (flat.cell_rate % 3 + flat["seed"])[:, None] * T)
    is_late = np.char.startswith(flat.labels, "late")[:, None]
    found = lookalikes(changed(flat, train_loss=np.where(is_late, smooth, flat["train_loss"])))
    for causes, pairs in found.items():
        n_late = sum(cause.startswith("late") for cause in causes)
        assert (len(pairs.rows) > 0) == (n_late != 1), causes


def test_causes_whose_plateaus_look_different_have_no_lookalikes(flat):
    cause = causes_of_plateaus(flat)
    late = np.where(cause[:, None] == "late_lr_too_high", 1.5 - 0.7 * (T > 0.1) * T**0.1, 1.0)
    found = lookalikes(changed(flat, train_loss=flat["train_loss"] * late))
    for causes, pairs in found.items():
        assert len(pairs.rows) == 0 or "late_lr_too_high" not in causes


def test_a_data_set_without_plateaus_has_no_lookalikes(dataset):
    empty = dataset.select(np.empty(0, dtype=int))
    assert all(len(pairs.rows) == 0 for pairs in lookalikes(empty).values())
