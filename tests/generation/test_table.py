"""Shards: columns as the format wants them, severity, thinning, and labels of runs from labels of rates."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from oracles.tiny_recipe import TINY, tiny_file, tiny_outcomes

from curvebench.data.columns import COLUMNS
from curvebench.generation.label import Thresholds, label_rates
from curvebench.generation.plan import remedies_of_recipe
from curvebench.generation.recipe import parse_recipe
from curvebench.generation.table import is_useless, label_runs, make_shard, thresholds_of
from curvebench.remedies import gain
from curvebench.spec import LABELS, Action, Remedy

CLASSES, REGRESSION = 0, 2
KEEP_ALL = (("lr_too_low = 0.5\n", ""),)
FILE = tiny_file(*KEEP_ALL)
REMEDIES = remedies_of_recipe(FILE.recipe)
groups = pytest.mark.parametrize("group", [CLASSES, REGRESSION])


def outcomes(group: int, *changes: tuple[str, str]):
    return tiny_outcomes(group, *KEEP_ALL, *changes)


def shard(group: int):
    return make_shard(FILE, outcomes(group))


# ------------------------------------------------------------------------------------------------ columns


@groups
def test_every_run_is_a_row_with_every_column(group):
    data, o = shard(group), outcomes(group)
    assert list(data.columns) == list(COLUMNS)
    assert len(data) == len(o.seed)
    for name, column in COLUMNS.items():
        kind = "U" if column.is_text else np.dtype(column.dtype).kind
        assert data[name].dtype.kind == kind
    assert set(data.labels.tolist()) <= set(LABELS)
    np.testing.assert_array_equal(data["final_loss"], o.final_loss)
    np.testing.assert_array_equal(data["seed"], o.seed)


@groups
def test_ids_are_unique_and_say_what_a_run_is(group):
    data, o = shard(group), outcomes(group)
    assert len(set(data["run"].tolist())) == len(data)
    for run, cell, k, seed in zip(data["run"], o.cell, o.rate_index, o.seed, strict=True):
        found = re.fullmatch(r"g(\d{6})\.c(\d{2})\.r([+-]\d{2})\.s(\d{2})", run)
        assert tuple(map(int, found.groups())) == (group, cell, k, seed)
    assert all(run.startswith(f"{cell}.") for run, cell in zip(data["run"], data["cell"], strict=True))
    assert set(data["group"].tolist()) == {group}


@groups
def test_what_was_trained_stands_in_every_row(group):
    data, o = shard(group), outcomes(group)
    assert set(data["split"]) == {o.group.split}
    assert set(data["problem"]) == {o.problem.name}
    assert set(data["problem_family"]) == {o.group.family}
    constant = {
        "task": o.problem.task,
        "depth": 1,
        "width": 6,
        "activation": "tanh",
        "init_gain": 1.0,
        "optimizer": "momentum",
        "batch_size": 8,
        "epochs": 8,
        "warmup": 0.0,
        "phenomenon": "all",
    }
    for name, value in constant.items():
        assert set(data[name].tolist()) == {value}, name
    cells = [o.cells[i] for i in o.cell]
    assert data["schedule"].tolist() == [cell.schedule.shape for cell in cells]
    assert data["decay"].tolist() == [cell.schedule.decay for cell in cells]
    assert data["output_activation"].tolist() == [cell.output.activation for cell in cells]
    assert data["loss"].tolist() == [cell.output.loss for cell in cells]
    assert data["loss_cap"].tolist() == [np.float32(o.caps[i]) for i in o.cell]
    assert data["base_lr"].tolist() == [o.group.grid.rate(int(k)) for k in o.rate_index]


def test_a_constant_schedule_has_no_decay_whatever_its_entry_says():
    change = ('shape = "constant"\n', 'shape = "constant"\ndecay = 50.0\n')
    data = make_shard(tiny_file(*KEEP_ALL, change), outcomes(CLASSES, change))
    assert set(data["decay"][data["schedule"] == "constant"].tolist()) == {1.0}


def test_a_batch_is_never_larger_than_the_training_set():
    change = ("batch_size = 8", "batch_size = 1000")
    data = make_shard(tiny_file(*KEEP_ALL, change), outcomes(CLASSES, change))
    assert set(data["batch_size"].tolist()) == {40}
    assert data["step"].max() == 8, "one update an epoch"


@groups
def test_the_learning_rate_is_the_base_rate_times_the_schedule(group):
    data = shard(group)
    n_steps = 40
    assert data["step"][0].tolist() == [i * n_steps // 15 for i in range(16)]
    assert np.all(data["step"] == data["step"][0])
    # the rate of the last update before the point; before any update that of the first
    u = np.maximum(data["step"][0] - 1, 0) / (n_steps - 1)
    cosine = 0.01 + 0.99 * (0.5 + 0.5 * np.cos(np.pi * u))
    for schedule, shape in (("constant", np.ones(16)), ("cosine", cosine)):
        rows = data["schedule"] == schedule
        assert rows.any()
        expected = data["base_lr"][rows, None] * shape
        np.testing.assert_allclose(data["learning_rate"][rows], expected, rtol=1e-6)


def test_a_short_training_repeats_its_last_point():
    change = ("epochs = 8", "epochs = 2")
    o = outcomes(CLASSES, change)
    data = make_shard(tiny_file(*KEEP_ALL, change), o)
    assert set(data["length"].tolist()) == {11}
    assert data["step"][0].tolist() == [*range(11), 10, 10, 10, 10, 10]
    for name in ("train_loss", "val_loss", "grad_norm", "learning_rate"):
        assert data[name].shape == (len(data), 16)
        np.testing.assert_array_equal(data[name][:, 11:], np.repeat(data[name][:, 10:11], 5, axis=1))
    np.testing.assert_array_equal(data["train_loss"][:, :11], o.train_loss)
    np.testing.assert_array_equal(data["resumed_train_loss"][:, :, 11], data["resumed_train_loss"][:, :, 10])


@groups
def test_gains_are_those_of_the_stored_outcomes(group):
    data = shard(group)
    expected = gain(data["final_loss"][:, None], data["remedy_final_loss"], data["loss_cap"][:, None], 0.005)
    np.testing.assert_array_equal(data["remedy_gain"], expected.astype(np.float32))
    assert not data["remedy_gain"][:, 0].any()


@groups
def test_severity_is_in_decades_from_the_best_and_the_largest_stable_rate(group):
    data = shard(group)
    for cell in set(data["cell"].tolist()):
        rows = data["cell"] == cell
        rates = np.unique(data["base_lr"][rows])
        share = np.array(
            [
                np.minimum(data["final_loss"][rows & (data["base_lr"] == r)] / data["loss_cap"][rows][0], 1).mean()
                for r in rates
            ]
        )
        best, stable = rates[np.argmin(share)], rates[share < 0.995].max()
        for name, reference in (("log10_lr_over_best", best), ("log10_lr_over_stable", stable)):
            expected = np.log10(data["base_lr"][rows] / reference)
            np.testing.assert_allclose(data[name][rows], expected, atol=1e-5)
        is_complete = rates[0] < best and share[-1] >= 0.995
        assert set(data["sweep_complete"][rows].tolist()) == {int(is_complete)}


@groups
def test_the_injected_cause_follows_from_rate_schedule_and_output(group):
    data, o = shard(group), outcomes(group)
    fits = (data["output_activation"] == o.problem.fitting_output) & (data["loss"] == o.problem.fitting_loss)
    assert fits.any()
    assert not fits.all()
    assert set(data["injected"][~fits].tolist()) == {"output_mismatch"}
    over_best = data["log10_lr_over_best"]
    assert set(data["injected"][fits & (over_best > 0.4)].tolist()) == {"lr_too_high"}
    assert set(data["injected"][fits & (over_best < -0.4)].tolist()) == {"lr_too_low"}
    tuned = fits & (over_best == 0)
    assert set(data["injected"][tuned & (data["schedule"] == "constant")].tolist()) == {"late_lr_too_high"}
    assert set(data["injected"][tuned & (data["schedule"] == "cosine")].tolist()) == {"healthy"}


def test_diverged_are_the_dead_and_those_who_ended_far_above_both_start_and_constant():
    o = outcomes(REGRESSION)
    cap = o.caps[o.cell].astype(np.float32)
    start = np.maximum(o.train_loss[:, 0], o.val_loss[:, 0])
    diverged = make_shard(FILE, o)["diverged"].astype(bool)
    exploded = np.isfinite(o.final_loss) & (o.final_loss > 10 * np.maximum(start, cap))
    assert o.is_dead.any()
    assert exploded.any(), "some explode without reaching infinity"
    assert diverged[o.is_dead | exploded].all()
    assert not diverged[~o.is_dead & (o.final_loss <= np.maximum(start, cap))].any()
    assert (~diverged).any()


def with_final_loss(o, final_loss: float):
    """Living runs, all of which began at a loss of 2, where the best constant has 1."""
    n = len(o.seed)
    curves = {name: np.full_like(o.train_loss, 2.0) for name in ("train_loss", "val_loss")}
    caps, final = np.ones_like(o.caps), np.full(n, final_loss, np.float32)
    return replace(o, is_dead=np.zeros(n, dtype=bool), caps=caps, final_loss=final, **curves)


@pytest.mark.parametrize(("final", "expected"), [(0.5, 0), (1.0, 0), (1.9, 0), (2.0, 0), (20.0, 1), (np.inf, 1)])
def test_a_run_that_ends_above_the_constant_has_diverged_only_if_it_went_up(final, expected):
    assert set(make_shard(FILE, with_final_loss(outcomes(REGRESSION), final))["diverged"].tolist()) == {expected}


# ------------------------------------------------------------------------------------------------- labels


@groups
def test_all_seeds_of_a_rate_share_the_label_of_their_gains(group):
    data = shard(group)
    rules = thresholds_of(FILE.recipe)
    useless = is_useless(data["final_loss"], data["loss_cap"], data["loss_floor"], rules.tie)
    keys = np.char.add(data["cell"], data["base_lr"].astype(str))
    for key in np.unique(keys):
        rows = np.flatnonzero(keys == key)
        assert data["seed"][rows].tolist() == [0, 1]
        expected = label_rates(
            data["remedy_gain"][rows][None],
            REMEDIES,
            rules,
            useless[rows].all(keepdims=True),
            data["sweep_complete"][rows[:1]].astype(bool),
        )
        for row in rows:
            assert data["diagnosis"][row] == expected.diagnosis[0]
            assert data["difficulty"][row] == expected.difficulty[0]
            assert data["accepted"][row].tolist() == expected.accepted[0].tolist()
            np.testing.assert_equal(data["best_gain"][row], np.float32(expected.best_gain[0]))
            np.testing.assert_equal(data["onset"][row], np.float32(expected.onset[0]))


def test_labels_of_runs_with_different_numbers_of_seeds_keep_their_rows():
    remedies = (Remedy(Action.NONE), Remedy(Action.RESTART, 10.0))
    key = np.array([7, 7, 7, 2, 2, 9, 9, 9, 1, 1])
    gains = np.zeros((10, 2))
    gains[key == 2, 1] = 0.5
    gains[key == 9, 1] = 0.9
    complete = key != 1
    useless = np.array([True, True, True, False, False, False, False, False, True, True])
    labels = label_runs(key, gains, remedies, Thresholds(), useless, complete)
    names = {7: "other", 2: "lr_too_low", 9: "lr_too_low", 1: "indeterminate"}
    assert labels.diagnosis.tolist() == [names[k] for k in key]
    assert labels.best_gain.tolist() == gains[:, 1].tolist()
    one_learned = useless.copy()
    one_learned[1] = False
    labels = label_runs(key, gains, remedies, Thresholds(), one_learned, complete)
    assert labels.diagnosis[:3].tolist() == ["healthy"] * 3, "other is what no seed learned"


@pytest.mark.parametrize(
    ("final", "floor", "expected"),
    [
        (2.0, np.nan, True),
        (np.inf, np.nan, True),
        (1.991, np.nan, True),
        (1.98, np.nan, False),
        (2.0, 1.0, True),
        (2.0, 1.9, False),  # hardly anything to learn
        (2.0, 5.0, False),
    ],
)
def test_useless_is_at_the_cap_though_something_can_be_learned(final, floor, expected):
    found = is_useless(np.array([final]), np.array([2.0]), np.array([floor]), 0.005)
    assert found.tolist() == [expected]


def test_the_floor_is_that_of_the_cells_own_loss():
    """A classifier trained on squared errors cannot be compared with an entropy."""
    o, data = outcomes(CLASSES), shard(CLASSES)
    p = o.problem.best_predictions.astype(np.float64)
    entropy = -(p * np.log(np.where(p > 0, p, 1))).sum(axis=1).mean()
    brier = (p * (1 - p)).mean()
    floors = {loss: set(data["loss_floor"][data["loss"] == loss].tolist()) for loss in set(data["loss"].tolist())}
    assert floors.keys() == {"cross_entropy_logits", "squared_error"}
    assert list(floors["cross_entropy_logits"]) == pytest.approx([entropy], rel=1e-5)
    assert list(floors["squared_error"]) == pytest.approx([brier], rel=1e-5)
    assert np.all(data["loss_floor"] < data["loss_cap"])


def test_where_nobody_knows_the_floor_there_is_none():
    o = outcomes(CLASSES)
    unknown = replace(o, problem=replace(o.problem, floor=None, best_predictions=None))
    assert np.isnan(make_shard(FILE, unknown)["loss_floor"]).all()


# ----------------------------------------------------------------------------------------------- thinning


def rates_by_label(data) -> set[tuple[str, float]]:
    return set(zip(data["diagnosis"].tolist(), data["base_lr"].tolist(), strict=True))


@groups
@pytest.mark.parametrize("share", [1e-12, 0.3, 0.7])
def test_thinning_drops_all_runs_of_a_rate_and_label_or_none(group, share):
    whole = shard(group)
    keep = "".join(f"{label} = {share}\n" for label in LABELS)
    thinned = make_shard(tiny_file(("lr_too_low = 0.5\n", keep)), outcomes(group))
    kept = rates_by_label(thinned)
    rows = [pair in kept for pair in zip(whole["diagnosis"].tolist(), whole["base_lr"].tolist(), strict=True)]
    for name in COLUMNS:
        np.testing.assert_array_equal(thinned[name], whole[name][rows], err_msg=name)
    n, total = len(kept), len(rates_by_label(whole))
    assert abs(n - share * total) <= 4 * np.sqrt(share * (1 - share) * total)
    assert share > 0.1 or n == 0


def test_thinning_touches_only_the_labels_named_and_a_larger_share_keeps_what_a_smaller_kept():
    whole = shard(REGRESSION)
    label = "lr_too_high"
    assert (whole["diagnosis"] == label).any()
    kept = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        data = make_shard(tiny_file(("lr_too_low = 0.5", f"{label} = {share}")), outcomes(REGRESSION))
        others = whole["diagnosis"] != label
        assert data["run"][data["diagnosis"] != label].tolist() == whole["run"][others].tolist()
        kept.append({pair for pair in rates_by_label(data) if pair[0] == label})
    assert kept[0] == set()
    assert kept[-1] == {pair for pair in rates_by_label(whole) if pair[0] == label}
    assert all(smaller <= larger for smaller, larger in pairwise(kept))
    assert any(0 < len(pairs) < len(kept[-1]) for pairs in kept)


def test_thinning_of_a_group_does_not_depend_on_the_other_groups():
    more = '[[problems]]\nfamily = "sine"\nsplit = "test_ood"\ninstances = 1\nn_train = 40\nn_val = 16\n[[networks]]'
    longer = parse_recipe(TINY.replace("[[networks]]", more, 1))
    for group in (CLASSES, REGRESSION):
        here, there = (make_shard(file, outcomes(group)) for file in (tiny_file(), longer))
        assert here["run"].tolist() == there["run"].tolist()


def test_every_group_is_thinned_by_a_draw_of_its_own():
    o = outcomes(REGRESSION)
    file = tiny_file(("lr_too_low = 0.5\n", "".join(f"{label} = 0.5\n" for label in LABELS)))
    numbered = [replace(o, group=replace(o.group, index=index)) for index in range(4)]
    kept = [frozenset(rates_by_label(make_shard(file, group))) for group in numbered]
    assert len(set(kept)) == 4


def test_a_shard_may_be_empty():
    keep = "".join(f"{label} = 1e-12\n" for label in LABELS)
    assert len(make_shard(tiny_file(("lr_too_low = 0.5\n", keep)), outcomes(CLASSES))) == 0


# --------------------------------------------------------------------------------------------------- meta


def test_a_shard_says_where_it_comes_from():
    meta, o = shard(REGRESSION).meta, outcomes(REGRESSION)
    assert (meta.recipe_text, meta.recipe_sha256) == (FILE.text, FILE.sha256)
    assert (meta.recipe_name, meta.recipe_version, meta.engine) == ("tiny", "1", "torch")
    assert meta.remedies == REMEDIES
    assert meta.cost_weight == 0.02
    assert dict(meta.source_licences) == {"friedman1": o.problem.source_licence}
    assert meta.fixed_actions == {}, "they follow from all groups of train"
    changed = tiny_file(*KEEP_ALL, ("[keep]", "[labels]\nmaterial_gain = 0.3\ntie = 0.01\n[keep]"))
    thresholds = make_shard(changed, o).meta.thresholds
    assert thresholds == {**Thresholds().to_dict(), "material_gain": 0.3, "tie": 0.01}
