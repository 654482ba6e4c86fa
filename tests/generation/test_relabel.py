"""Relabelling: nothing changed gives the same data set; other thresholds give other labels of the same runs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from oracles.tiny_recipe import tiny_file, tiny_outcomes

from curvebench.data.columns import COLUMNS
from curvebench.data.dataset import Dataset, concatenate, content_sha256
from curvebench.generation.generate import with_fixed_actions
from curvebench.generation.relabel import relabel
from curvebench.generation.table import make_shard
from curvebench.remedies import fixed_actions
from curvebench.spec import DIAGNOSES, InputError, UsageError

LABEL_COLUMNS = {"remedy_gain", "diagnosis", "accepted", "best_gain", "onset", "difficulty"}


def merged(*changes: tuple[str, str]) -> Dataset:
    shards = [make_shard(tiny_file(*changes), tiny_outcomes(group)) for group in range(3)]
    shards = [Dataset(shard.columns, replace(shard.meta, source_licences={})) for shard in shards]
    return with_fixed_actions(concatenate(shards))


@pytest.fixture(scope="module")
def data() -> Dataset:
    return merged()


def test_the_same_thresholds_give_the_same_data_set(data):
    assert content_sha256(relabel(data)) == content_sha256(data)
    assert content_sha256(relabel(data, **data.meta.thresholds)) == content_sha256(data)


def test_other_thresholds_give_what_the_recipe_with_them_would_have_given(data):
    """Where nothing is thinned."""
    whole = merged(("lr_too_low = 0.5\n", ""))
    rules = {"material_gain": 0.3, "confidence": 0.8, "tie": 0.05, "accept_share": 0.5, "largest_ratio": 10.0}
    lines = "".join(f"{name} = {value}\n" for name, value in rules.items())
    expected = merged(("lr_too_low = 0.5\n", ""), ("[keep]", f"[labels]\n{lines}[keep]"))
    found = relabel(whole, **rules)
    assert found.meta.thresholds == expected.meta.thresholds == rules
    assert found.meta.fixed_actions == expected.meta.fixed_actions
    for name in COLUMNS:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)
    assert (found.labels != whole.labels).any()


def test_only_labels_change(data):
    other = relabel(data, material_gain=0.5, tie=0.1)
    for name in COLUMNS:
        if name not in LABEL_COLUMNS:
            np.testing.assert_array_equal(other[name], data[name], err_msg=name)
    assert (other["remedy_gain"] != data["remedy_gain"]).any()
    assert content_sha256(other) != content_sha256(data)
    assert content_sha256(relabel(other, **data.meta.thresholds)) == content_sha256(data), "there and back"


def test_the_more_a_gain_must_be_the_healthier_the_runs(data):
    n_healthy = [int((relabel(data, material_gain=g).labels == "healthy").sum()) for g in (0.02, 0.1, 0.4, 0.9, 0.999)]
    assert n_healthy == sorted(n_healthy)
    assert n_healthy[0] < n_healthy[-1]
    strict, loose = relabel(data, material_gain=0.4), relabel(data, material_gain=0.1)
    assert (strict.labels == "healthy")[loose.labels == "healthy"].all(), "no healthy run falls ill"


def test_fixed_actions_follow_the_new_labels(data):
    other = relabel(data, material_gain=0.5)
    train = other.split("train")
    assert other.meta.fixed_actions == fixed_actions(
        train["diagnosis"], train["remedy_gain"], other.meta.remedies, other.meta.cost_weight
    )
    forgotten = Dataset(data.columns, replace(data.meta, fixed_actions=dict.fromkeys(DIAGNOSES, 1)))
    assert relabel(forgotten).meta.fixed_actions == data.meta.fixed_actions


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_rows_does_not_matter(data, seed):
    order = np.random.default_rng(seed).permutation(len(data))
    shuffled, straight = relabel(data.select(order), material_gain=0.3), relabel(data, material_gain=0.3)
    for name in COLUMNS:
        np.testing.assert_array_equal(shuffled[name], straight[name][order], err_msg=name)
    assert shuffled.meta.fixed_actions == straight.meta.fixed_actions


def test_an_unknown_threshold_lists_the_known(data):
    with pytest.raises(UsageError, match=r"'material'.*material_gain, confidence, tie, accept_share, largest_ratio"):
        relabel(data, material=0.1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("material_gain", -0.1),
        ("material_gain", 0.0),
        ("material_gain", 1.0),
        ("material_gain", 1.1),
        ("material_gain", float("nan")),
        ("confidence", 0.85),
        ("confidence", float("nan")),
        ("tie", -1e-9),
        ("tie", 1.0),
        ("tie", float("inf")),
        ("accept_share", 0.0),
        ("accept_share", 1.01),
        ("largest_ratio", 0.5),
        ("largest_ratio", 1.0),
        ("largest_ratio", 1e7),
    ],
)
def test_a_value_that_is_not_allowed_is_refused_in_the_words_of_a_recipe(data, name, value):
    with pytest.raises(UsageError, match=rf"^No recipe may have .*: {name}: .* \(given: .*\)\.$") as caught:
        relabel(data, **{name: value})
    with pytest.raises(InputError) as fault:
        tiny_file(("[keep]", f"[labels]\n{name} = {value}\n[keep]"))
    assert str(fault.value).splitlines()[-1].strip() == "labels." + str(caught.value).partition(": ")[2]


@pytest.mark.parametrize(
    ("name", "value"),
    [("material_gain", 1e-9), ("tie", 0.0), ("accept_share", 1.0), ("largest_ratio", 1e6), ("confidence", 0.975)],
)
def test_what_a_recipe_may_say_may_be_asked_for(data, name, value):
    tiny_file(("[keep]", f"[labels]\n{name} = {value}\n[keep]"))
    assert relabel(data, **{name: value}).meta.thresholds[name] == value


def test_labels_need_more_than_one_seed(data):
    for rows in (data["seed"] == 0, np.zeros(len(data), dtype=bool)):
        with pytest.raises(InputError, match="at least two"):
            relabel(data.select(rows))


def test_labels_made_by_other_rules_cannot_be_changed(make_dataset):
    with pytest.raises(InputError, match="was labelled with the thresholds"):
        relabel(make_dataset(), tie=0.01)
