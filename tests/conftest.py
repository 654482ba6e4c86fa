"""Made-up data sets for tests: small, random, in every way as the format wants them."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # threads that wait for each other crawl beside others

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from extras import REASONS
from hypothesis import settings
from long_forms import REASON as LONG_FORM

from curvebench.data.columns import COLUMNS
from curvebench.data.dataset import Dataset, Meta
from curvebench.spec import (
    DIAGNOSES,
    DIFFICULTIES,
    FAMILY_OF_DIAGNOSIS,
    LABELS,
    NO_REMEDY,
    OPTIMIZERS,
    SPLITS,
    Action,
    Remedy,
)

settings.register_profile("any machine", deadline=None)  # a first call loads models, and machines are busy
settings.load_profile("any machine")

os.environ.setdefault("KERAS_BACKEND", "torch")  # read when Keras is imported, by whichever test is the first

collect_ignore = ["oracles/fails_to_import.py"]
"""A module that ends the program when it is imported, which a search for doctests would do."""

Array = np.ndarray[Any, Any]

REMEDIES = (
    NO_REMEDY,
    Remedy(Action.RESTART, 0.1),
    Remedy(Action.RESTART, 10.0),
    Remedy(Action.RESUME, 0.1, 0.5),
    Remedy(Action.RESUME, 0.1, 0.75),
    Remedy(Action.RESUME, 10.0, 0.5),
    Remedy(Action.RESUME, 10.0, 0.75),
    Remedy(Action.CHANGE_OUTPUT),
    Remedy(Action.TRAIN_LONGER),
)
NEGLIGIBLE = 0.005
"""Differences of final losses below this share of the cap are no gain."""

PROBLEMS_OF_SPLIT = {
    "train": [f"{family}-{i}" for i in range(3) for family in ("teacher", "sine")],
    "test": [f"{family}-{i}" for i in range(3, 6) for family in ("teacher", "sine")],
    "test_ood": [f"{family}-{i}" for i in range(3) for family in ("spirals", "friedman")],
}


@pytest.fixture(scope="session")
def make_dataset() -> Callable[..., Dataset]:
    """A function that makes up data sets; see `_make_dataset` for its arguments."""
    return _make_dataset


def _make_dataset(n_cells: int = 24, n_rates: int = 4, n_seeds: int = 4, n_points: int = 16, seed: int = 0) -> Dataset:
    """A made-up data set of n_cells x n_rates x n_seeds runs in that order, the same for the same arguments.

    - Two cells that follow each other but one make a group. Cells go round the splits; `test_ood` has problem
      families and an optimiser of its own; every split has up to 6 problem instances, none in two splits.
    - Of every 8 (cell, rate) pairs of a split each has another of the `LABELS`, in random order; so with 8 pairs
      a split has all of them, and neither cell nor rate tells the label.
    - What a label says is what helps: of the remedies of its family one has a mean gain of about 0.6, all
      others help by less than 0.1 or do harm; `healthy` and `other` have no remedy that helps,
      `indeterminate` has one that helps some seeds and harms others.
    - `remedy_gain` follows from `final_loss`, `remedy_final_loss` and `loss_cap` by the formula of the design.
      Untried remedies are NaN: restarts beyond the grid, a change of an output that fits. Of `lr_too_high`,
      one seed in two ends at inf; its curves too. The remedies of `other` stay at the cap.

    Curves have the rough shape of their label, and noise. The relation between neighbouring runs (that a
    restart is another run of the table) is not made up: every row is on its own.
    """
    rng = np.random.default_rng(seed)
    rows = _rows(n_cells, n_rates, n_seeds, rng)
    columns = _what_was_trained(rows, rng)
    columns |= _outcomes(rows, columns, rng)
    columns |= _curves(rows, columns, n_points, rng)
    fixed_actions = _fixed_actions(columns)
    return Dataset({name: columns[name] for name in COLUMNS}, make_meta(fixed_actions))


def make_meta(fixed_actions: dict[str, int] | None = None) -> Meta:
    recipe = 'name = "made-up"\nversion = "1"\n'
    return Meta(
        recipe_name="made-up",
        recipe_version="1",
        recipe_text=recipe,
        recipe_sha256=hashlib.sha256(recipe.encode()).hexdigest(),
        engine="made-up",
        remedies=REMEDIES,
        fixed_actions=fixed_actions or {},
        cost_weight=0.02,
        thresholds={"material": 0.1, "accepted_share": 0.8, "negligible": NEGLIGIBLE, "confidence": 0.9},
        licence="CC0-1.0",
        source_licences={"teacher": "CC0-1.0", "sine": "CC0-1.0"},
        package_versions={"curvebench": "0.0.0", "numpy": np.__version__},
    )


@dataclass(frozen=True)
class _Rows:
    """Indices of every run, (n_runs,) each, and its label."""

    cell: Array
    rate: Array
    seed: Array
    n_rates: int
    split: Array
    label: Array

    def __len__(self) -> int:
        return len(self.cell)


def _rows(n_cells: int, n_rates: int, n_seeds: int, rng: np.random.Generator) -> _Rows:
    cell, rate, seed = (x.ravel() for x in np.indices((n_cells, n_rates, n_seeds)))
    n_splits, n_labels = len(SPLITS), len(LABELS)
    pair_in_split = (cell // n_splits) * n_rates + rate
    block = (pair_in_split // n_labels) * n_splits + cell % n_splits
    order = rng.permuted(np.tile(np.arange(n_labels), (n_cells * n_rates + n_splits, 1)), axis=1)
    return _Rows(
        cell=cell,
        rate=rate,
        seed=seed,
        n_rates=n_rates,
        split=np.array(SPLITS)[cell % n_splits],
        label=np.array(LABELS)[order[block, pair_in_split % n_labels]],
    )


def _what_was_trained(rows: _Rows, rng: np.random.Generator) -> dict[str, Array]:
    n_cells = int(rows.cell.max()) + 1 if len(rows) else 0
    n_splits = len(SPLITS)
    group_of_cell = (np.arange(n_cells) // (2 * n_splits)) * n_splits + np.arange(n_cells) % n_splits
    group, is_ood = group_of_cell[rows.cell], rows.split == "test_ood"
    names = [PROBLEMS_OF_SPLIT[SPLITS[g % n_splits]] for g in group_of_cell]
    problem_of_cell = [names[c][(g // n_splits) % len(names[c])] for c, g in enumerate(group_of_cell)]
    problem = np.array(problem_of_cell, dtype=str)[rows.cell]
    family = np.array([name.split("-")[0] for name in problem], dtype=str)
    is_classes = family == "spirals"

    def per_cell(*values: Any) -> Array:
        return rng.choice(np.array(values), n_cells)[rows.cell]

    def per_group(*values: Any) -> Array:
        return rng.choice(np.array(values), n_cells)[group]

    optimizer = np.where(is_ood, "rmsprop", per_group(*OPTIMIZERS[:4]))
    return {
        "run": np.array(
            [f"{g}-{c}-{r}-{s}" for g, c, r, s in zip(group, rows.cell, rows.rate, rows.seed, strict=True)],
            dtype=str,
        ),
        "cell": np.array([f"{g}-{c}" for g, c in zip(group, rows.cell, strict=True)], dtype=str),
        "group": group,
        "seed": rows.seed,
        "split": rows.split,
        "problem": problem,
        "problem_family": family,
        "task": np.where(is_classes, "binary", "regression"),
        "target_range": np.where(is_classes, "classes", "real"),
        "architecture": np.full(len(rows), "mlp"),
        "depth": per_group(1, 2),
        "width": per_group(8, 16),
        "activation": per_group("relu", "tanh"),
        "init_gain": per_group(1.0, 0.5),
        "input_scale": np.ones(len(rows)),
        "output_activation": np.where(
            rows.label == "output_mismatch", "relu", np.where(is_classes, "sigmoid", "identity")
        ),
        "loss": np.where(is_classes, "cross_entropy_logits", "squared_error"),
        "optimizer": optimizer,
        "batch_size": per_group(16, 32),
        "epochs": per_group(10, 20),
        "bad_batches": np.zeros(len(rows), dtype=int),
        "pretrained_on": np.full(len(rows), ""),
        "schedule": per_cell("constant", "cosine"),
        "decay": per_cell(1.0, 100.0),
        "warmup": per_cell(0.0, 0.1),
        "decay_until": np.ones(len(rows)),
        "cycles": np.ones(len(rows)),
        "base_lr": 10.0 ** (rows.rate / 2 - 3),
        "phenomenon": per_group("plain", "small_batch"),
        "difficulty": per_cell(*DIFFICULTIES),
        "injected": np.where(np.isin(rows.label, DIAGNOSES), rows.label, "healthy"),
        "sweep_complete": np.ones(len(rows), dtype=bool),
    }


def _outcomes(rows: _Rows, trained: dict[str, Array], rng: np.random.Generator) -> dict[str, Array]:
    n, label = len(rows), rows.label
    cap = np.float32(1.0 + 0.25 * (rows.cell % 4))
    final = np.float32(cap * rng.uniform(0.1, 0.4, n))
    final[label == "other"] = cap[label == "other"] * 2
    is_infinite = (label == "lr_too_high") & (rows.seed % 2 == 1)
    final[is_infinite] = np.inf
    remedy_final = np.float32(_after_remedies(rows, np.minimum(final, cap).astype(float), cap, rng))
    remedy_final[:, 0] = final
    remedy_final[is_infinite, 2] = np.inf
    remedy_final[(rows.rate == 0) & (label != "lr_too_high"), 1] = np.nan
    remedy_final[(rows.rate == rows.n_rates - 1) & (label != "lr_too_low"), 2] = np.nan
    fits = (trained["output_activation"] != "relu") & ~np.isin(label, ("other", "indeterminate"))
    remedy_final[fits, 7] = np.nan
    gain = _gain(final, remedy_final, cap)
    counted = np.isin(np.arange(len(REMEDIES)), (0, 8), invert=True)
    return {
        "diagnosis": label,
        "accepted": (label[:, None] == np.array(DIAGNOSES)).astype(np.uint8),
        "best_gain": _largest_mean_gain(rows, gain[:, counted]),
        "log10_lr_over_best": _decades(label) + rng.normal(0, 0.05, n),
        "log10_lr_over_stable": _decades(label) - 1 + rng.normal(0, 0.05, n),
        "onset": np.where(np.char.startswith(label, "late"), 0.5, np.nan),
        "diverged": is_infinite,
        "loss_cap": cap,
        "loss_floor": np.where(trained["problem_family"] == "teacher", 0.01, np.nan),
        "output_floor": np.full(len(rows), 0.0),
        "source_loss": np.full(len(rows), np.nan),
        "final_source_loss": np.full(len(rows), np.nan),
        "final_loss": final,
        "final_val_loss": final * 1.1,
        "remedy_final_loss": remedy_final,
        "remedy_final_val_loss": remedy_final * 1.1,
        "remedy_gain": gain,
    }


def _after_remedies(rows: _Rows, loss: Array, cap: Array, rng: np.random.Generator) -> Array:
    """(n_runs, n_remedies) final losses that bear the label out, none untried; `loss` is capped."""
    n, label = len(rows), rows.label
    factor = rng.uniform(0.97, 1.6, (n, len(REMEDIES)))
    for diagnosis, family in FAMILY_OF_DIAGNOSIS.items():
        best = next(i for i, r in enumerate(REMEDIES) if (r.action, np.sign(np.log(r.factor))) == family)
        if best:
            is_it = label == diagnosis
            factor[is_it, best] = rng.uniform(0.3, 0.5, is_it.sum())
    wavering = label == "indeterminate"
    factor[wavering, 3] = np.where(rows.seed[wavering] % 2, 0.3, 1.5)
    after = loss[:, None] * factor
    return np.where((label == "other")[:, None], cap[:, None] * np.float32(2), after)


def _gain(final: Array, remedy_final: Array, cap: Array) -> Array:
    """Gain by the formula of the design, (n_runs, n_remedies)."""
    cap_ = cap.astype(float)[:, None]
    none, after = np.minimum(final[:, None], cap_), np.minimum(remedy_final, cap_)
    gain = np.where(after <= none, 1 - after / none, none / after - 1)
    gain[np.abs(after - none) < NEGLIGIBLE * cap_] = 0.0
    gain[np.isnan(remedy_final)] = np.nan
    return gain


def _largest_mean_gain(rows: _Rows, gain: Array) -> Array:
    """(n_runs,) over the remedies of the mean over the seeds; a remedy is tried on all seeds or on none."""
    n_seeds = int(rows.seed.max()) + 1 if len(rows) else 1
    means = gain.reshape(-1, n_seeds, gain.shape[1]).mean(axis=1)
    largest = np.nanmax(means, axis=1) if len(means) else means[:, 0]
    return np.repeat(largest, n_seeds)


def _decades(label: Array) -> Array:
    return np.select([label == "lr_too_high", label == "late_lr_too_high", label == "lr_too_low"], [1, 0.5, -1.5], 0.0)


def _curves(rows: _Rows, columns: dict[str, Array], n_points: int, rng: np.random.Generator) -> dict[str, Array]:
    n, time = len(rows), np.linspace(0.0, 1.0, n_points)
    start, end = 2.0 * columns["loss_cap"], np.minimum(columns["final_loss"], columns["loss_cap"] * 2)
    speed = np.select([np.char.startswith(rows.label, "late"), rows.label == "lr_too_low"], [30.0, 1.0], 6.0)
    fall = np.exp(-speed[:, None] * time)
    loss = (end[:, None] + (start - end)[:, None] * fall) * np.exp(rng.normal(0, 0.02, (n, n_points)))
    is_dead = columns["diverged"][:, None] & (time >= 0.5)
    loss = np.where(is_dead, np.inf, loss)
    resumes = [r for r in REMEDIES if r.action is Action.RESUME]
    resumed = np.stack([np.where(time > r.at, loss * 0.9, np.nan) for r in resumes], axis=1)
    updates = columns["epochs"][:, None] * 8 * time
    return {
        "step": updates.astype(int),
        "train_loss": loss,
        "val_loss": loss * 1.1,
        "grad_norm": np.where(is_dead, np.nan, loss * 0.5),
        "learning_rate": columns["base_lr"][:, None] * columns["decay"][:, None] ** -time,
        "length": np.full(n, n_points),
        "resumed_train_loss": resumed,
    }


def _fixed_actions(columns: dict[str, Array]) -> dict[str, int]:
    """For every diagnosis the remedy with the highest mean gain on its runs in `train`."""
    actions = {}
    for diagnosis in DIAGNOSES:
        gain = columns["remedy_gain"][(columns["diagnosis"] == diagnosis) & (columns["split"] == "train"), :8]
        total, tried = np.nansum(gain, axis=0), np.isfinite(gain).sum(axis=0)
        actions[diagnosis] = int(np.argmax(total / np.maximum(tried, 1)))
    return actions


# ------------------------------------------------------------------------------------------------ skipped tests

MAY_SKIP_IN_CI = (
    "this machine has a GPU",
    "this processor cannot execute the target",
    "promised for x86-64 only",
    LONG_FORM,
)
"""Reasons for which a test may be skipped in CI; any other skip there means that CI lacks something."""

PASSED_WITH_AEON = "PASSED_WITH_AEON"
"""Environment variable: a file of names of tests. With aeon those that passed are written there; without it
these may be skipped for want of it."""


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """In CI a skipped test is a failure, unless its reason is expected."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if not os.environ.get("CI") or reporter is None or exitstatus != 0:
        return
    if (file := os.environ.get(PASSED_WITH_AEON)) and find_spec("aeon"):
        passed = [report.nodeid for report in reporter.stats.get("passed", [])]
        Path(file).write_text("".join(f"{name}\n" for name in passed), encoding="utf-8")
        return
    passed_with_aeon = set(Path(file).read_text(encoding="utf-8").splitlines()) if file else set()
    unexpected = [
        f"{report.nodeid}: {report.longrepr}"
        for report in reporter.stats.get("skipped", [])
        if not any(reason in str(report.longrepr) for reason in MAY_SKIP_IN_CI)
        and not (REASONS["aeon"] in str(report.longrepr) and report.nodeid in passed_with_aeon)
    ]
    if unexpected:
        reporter.write_line("skipped in CI: " + "; ".join(unexpected), red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
