import copy
import hashlib
import json
import math
import pickle
import struct
from dataclasses import replace

import numpy as np
import pytest

from curvebench.data.columns import COLUMNS
from curvebench.data.dataset import Dataset, Meta, check_columns, concatenate, content_sha256, to_stored
from curvebench.spec import DIAGNOSES, LABELS, OPTIMIZERS, SPLITS, Action, InputError, Remedy, UsageError


@pytest.fixture(scope="module")
def dataset(make_dataset):
    return make_dataset()


def changed(dataset, name, edit, meta=None):
    """The data set with one column replaced by what `edit` makes of a copy of it."""
    values = dataset[name].copy()
    result = edit(values)
    return Dataset(dict(dataset.columns) | {name: values if result is None else result}, meta or dataset.meta)


def set_first(value):
    def edit(values):
        values.reshape(-1)[0] = value

    return edit


def some_other(column, values):
    """A value that the first place of a column does not hold, and may."""
    if column.values:
        return next(v for v in column.values if v != values[0])
    if column.is_text:
        return "another"
    old = values.reshape(-1)[0]
    if column.unit == "boolean":
        return 1 - old
    return old - 1 if np.isfinite(old) else 0


# ------------------------------------------------------------------------------- the made-up data themselves


@pytest.mark.parametrize("seed", [0, 1])
def test_made_up_gains_follow_from_the_losses(make_dataset, seed):
    dataset = make_dataset(seed=seed)
    for i in range(0, len(dataset), 7):
        cap = float(dataset["loss_cap"][i])
        none = min(float(dataset["final_loss"][i]), cap)
        for j, gain in enumerate(dataset["remedy_gain"][i]):
            after = float(dataset["remedy_final_loss"][i, j])
            if math.isnan(after):
                assert math.isnan(gain)
                continue
            after = min(after, cap)
            expected = 1 - after / none if after <= none else -(1 - none / after)
            if abs(after - none) < 0.005 * cap:
                expected = 0.0
            assert gain == pytest.approx(expected, abs=1e-6)


def test_made_up_data_have_everything_in_every_split(dataset):
    summary = dataset.summary()
    for split in SPLITS:
        assert all(summary["labels_by_split"][split][label] >= 8 for label in LABELS)
        assert summary["n_problem_instances"][split] >= 4
        assert len(set(dataset.split(split)["problem_family"])) == 2
    instances = [set(dataset.split(split)["problem"]) for split in SPLITS]
    assert sum(map(len, instances)) == len(set.union(*instances))
    assert np.isinf(dataset["final_loss"]).any()
    assert np.isnan(dataset["remedy_gain"]).any()


def test_made_up_labels_name_what_helps(dataset):
    for diagnosis, action in dataset.meta.fixed_actions.items():
        gain = dataset["remedy_gain"][dataset.labels == diagnosis, action]
        assert (gain > 0.4).all() if diagnosis != "healthy" else action == 0


# ---------------------------------------------------------------------------------------------- looking at it


def test_columns_are_read_only_and_complete(dataset):
    assert list(dataset.columns) == list(COLUMNS)
    with pytest.raises(ValueError, match="read-only"):
        dataset["train_loss"][0, 0] = 1
    with pytest.raises(TypeError):
        dataset.columns["run"] = dataset["cell"]
    for name, column in COLUMNS.items():
        assert dataset[name].dtype.kind == "U" if column.is_text else dataset[name].dtype == column.dtype


def test_an_unknown_column_is_answered_with_one_like_it(dataset):
    with pytest.raises(UsageError, match=r"no column 'trainloss'; did you mean 'train_loss'"):
        dataset["trainloss"]


def test_select_by_mask_and_by_rows(dataset):
    mask = dataset["seed"] == 1
    by_mask, by_rows = dataset.select(mask), dataset.select(np.flatnonzero(mask).tolist())
    assert by_mask.n_runs == len(by_rows) == mask.sum()
    assert content_sha256(by_mask) == content_sha256(by_rows)
    assert dataset.select([]).n_runs == 0
    assert dataset.select([3, 1])["run"].tolist() == dataset["run"][[3, 1]].tolist()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([True], "mask has the shape"),
        ([[1, 2]], "whole numbers"),
        ([0.5], "whole numbers"),
        ([10_000], "there are 384 runs"),
        ([-1], "there are 384 runs"),
        ([5, 5], "asked for twice"),
    ],
)
def test_select_refuses(dataset, rows, message):
    with pytest.raises(UsageError, match=message):
        dataset.select(rows)


def test_splits(dataset):
    parts = [dataset.split(name) for name in SPLITS]
    assert sum(part.n_runs for part in parts) == dataset.n_runs
    assert all(set(part["split"]) == {name} for part, name in zip(parts, SPLITS, strict=True))
    with pytest.raises(UsageError, match="did you mean 'test'"):
        dataset.split("tests")


def test_to_numpy3d_stacks_the_channels_of_the_track(dataset):
    X = dataset.to_numpy3d("config", split="test", scored_only=True)
    kept = (dataset["split"] == "test") & np.isin(dataset.labels, DIAGNOSES)
    assert X.dtype == np.float32
    assert X.shape == (kept.sum(), 5, dataset.n_points)
    for i, name in enumerate(("train_loss", "val_loss", "grad_norm", "learning_rate")):
        np.testing.assert_array_equal(X[:, i], dataset[name][kept])
    codes = [OPTIMIZERS.index(name) for name in dataset["optimizer"][kept]]
    np.testing.assert_array_equal(X[:, 4], np.repeat(np.array(codes)[:, None], dataset.n_points, axis=1))
    assert dataset.targets(split="test", scored_only=True).tolist() == dataset.labels[kept].tolist()
    assert dataset.to_numpy3d().shape == (384, 1, 16)
    assert dataset.to_numpy3d("telemetry").shape == (384, 3, 16)


def test_to_numpy3d_refuses_what_it_does_not_know(dataset):
    with pytest.raises(UsageError, match="no track 'curves'; did you mean 'curve'"):
        dataset.to_numpy3d("curves")
    strange = changed(dataset, "optimizer", lambda v: np.array(["lion"] * len(v)))
    with pytest.raises(InputError, match="'lion'"):
        strange.to_numpy3d("config")
    assert strange.to_numpy3d("telemetry").shape[0] == 384


def test_summary_is_json_and_adds_up(dataset):
    summary = json.loads(json.dumps(dataset.summary()))
    assert summary["n_runs"] == 384
    assert summary["n_cells"] == 24
    assert summary["n_groups"] == 12
    assert list(summary["labels"]) == list(LABELS)
    assert sum(summary["labels"].values()) == sum(summary["splits"].values()) == 384
    assert summary["n_scored"] == dataset.is_scored.sum()
    assert summary["content_sha256"] == content_sha256(dataset)


def test_a_data_set_without_rows(make_dataset):
    empty = make_dataset(n_cells=0)
    assert len(empty) == 0
    assert empty.to_numpy3d("config").shape == (0, 5, 16)
    assert empty.summary()["n_cells"] == 0


def test_it_can_be_pickled_and_copied(dataset):
    for twin in (pickle.loads(pickle.dumps(dataset)), copy.deepcopy(dataset)):
        assert twin.meta == dataset.meta
        assert content_sha256(twin) == content_sha256(dataset)


# ------------------------------------------------------------------------------------------------ concatenate


def test_concatenate_puts_shards_together_again(dataset):
    shards = [dataset.select(dataset["group"] == group) for group in np.unique(dataset["group"])]
    whole = concatenate(shards)
    order = np.argsort(dataset["group"], kind="stable")
    assert content_sha256(whole) == content_sha256(dataset.select(order))


def test_concatenate_refuses(make_dataset, dataset):
    with pytest.raises(UsageError, match="at least one"):
        concatenate([])
    with pytest.raises(InputError, match="names 384 runs more than once"):
        concatenate([dataset, dataset])
    other = Dataset(make_dataset(seed=1).columns, replace(dataset.meta, cost_weight=0.5, engine="other"))
    with pytest.raises(UsageError, match="differ in 'engine', 'cost_weight'"):
        concatenate([dataset, other])
    with pytest.raises(InputError, match="16 points in one data set, 8 in another"):
        concatenate([dataset, make_dataset(n_points=8)])


# ------------------------------------------------------------------------------------------------------ checks


def test_check_columns_lists_every_fault(dataset):
    columns = dict(dataset.columns)
    del columns["val_loss"]
    columns["extra"] = columns["seed"]
    columns["width"] = columns["width"].astype(float)
    columns["split"] = np.where(columns["split"] == "test", "tset", columns["split"])
    columns["accepted"] = columns["accepted"][:, :5]
    columns["grad_norm"] = columns["grad_norm"][:, :3]
    columns["epochs"] = columns["epochs"][:7]
    columns["problem"] = np.array(["x" * 49] * 384)
    columns["remedy_gain"] = columns["remedy_gain"][0]
    columns["depth"] = columns["depth"].astype(int) + 40_000
    columns["diverged"] = columns["diverged"] + 1
    with pytest.raises(InputError) as caught:
        check_columns(columns, dataset.meta.remedies)
    message = str(caught.value)
    assert "11 faults" in message
    for part in (
        "column `val_loss` is missing",
        "no column `extra`",
        "`width` has the type float64; the format asks for whole numbers",
        "`split` holds 'tset' in 128 rows; allowed are 'train', 'test', 'test_ood'",
        "`accepted` has 5 along the axis diagnosis; the format has 6",
        "`grad_norm` has 3 along the axis point; `step` has 16",
        "`epochs` has 7 along the axis run; `run` has 384",
        "`problem` has room for 48 bytes of UTF-8",
        "`remedy_gain` has the shape (9,); its axes are (run, remedy)",
        "`depth` reaches from 40001 to 40002; allowed is -32768 to 32767",
        "`diverged` reaches from 1 to 2; allowed is 0 to 1",
    ):
        assert part in message


@pytest.mark.parametrize(
    ("name", "edit", "message"),
    [
        ("run", lambda v: np.array(["same"] * len(v)), r"names 1 runs more than once, such as 'same'"),
        ("run", set_first("a\0b"), "NUL"),
        ("run", set_first("\ud800"), "UTF-8 cannot express"),
        ("run", lambda v: v.astype("S"), r"type \|S\d+; the format asks for text"),
        ("run", lambda v: np.char.add(v, "é" * 16), "room for 32 bytes of UTF-8"),
        ("length", set_first(17), "from 16 to 17; curves have 16 points"),
        ("length", set_first(-1), "from -1 to 16"),
        ("train_loss", lambda v: v.astype(complex), "floating point"),
    ],
)
def test_check_columns_refuses(dataset, name, edit, message):
    with pytest.raises(InputError, match=message):
        changed(dataset, name, edit)


def test_check_columns_counts_remedies(dataset):
    fewer = replace(dataset.meta, remedies=dataset.meta.remedies[:-2], fixed_actions={})
    with pytest.raises(InputError, match="9 along the axis remedy; the list of remedies has 7"):
        Dataset(dataset.columns, fewer)
    check_columns(dataset.columns)


def test_curves_need_a_point(make_dataset):
    with pytest.raises(InputError, match="at least one point"):
        make_dataset(n_points=0)


def test_text_never_gets_cut(dataset):
    with pytest.raises(InputError, match=r"`split` has room for 8 bytes of UTF-8, but 'test_oodd' needs 9"):
        to_stored(COLUMNS["split"], np.array(["train", "test_oodd"]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"remedies": ()}, "must begin with the remedy none"),
        ({"remedies": (Remedy(Action.RESTART, 0.1),)}, "must begin with the remedy none"),
        ({"remedies": (Remedy(Action.NONE), Remedy(Action.RESUME, 0.1, 1.0))}, r"starts in \[0, 1\)"),
        ({"remedies": (Remedy(Action.NONE),) * 2}, "twice"),
        ({"fixed_actions": {"sick": 0}}, "names 'sick'; allowed are"),
        ({"fixed_actions": {"healthy": 9}}, "outside the 9 remedies"),
        ({"cost_weight": math.nan}, "not finite"),
        ({"thresholds": {"material": math.inf}}, "not finite"),
        ({"recipe_text": "other"}, "not the SHA-256"),
        ({"engine": "a\0"}, "NUL"),
        ({"licence": "x" * 60_001}, "60001 bytes; at most 60000"),
        ({"licence": "\ud800"}, "UTF-8"),
        ({"format_version": 2}, "this program writes 1"),
    ],
)
def test_meta_refuses(dataset, change, message):
    with pytest.raises(InputError, match=message):
        replace(dataset.meta, **change)


def test_meta_as_text_and_back(dataset):
    assert Meta.from_text(dataset.meta.to_text()) == dataset.meta
    assert [dataset.meta.remedies[i].action for i in dataset.meta.resumes] == [Action.RESUME] * 4


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("remedies", "{"),
        ("remedies", "3"),
        ("remedies", '[{"action": "pray", "factor": 1, "at": 0}]'),
        ("remedies", '[{"action": "none"}]'),
        ("remedies", "[" * 100_000),
        ("fixed_actions", "[]"),
        ("fixed_actions", '{"healthy": 0.0}'),
        ("thresholds", '{"material": true}'),
        ("cost_weight", '"0.02"'),
        ("package_versions", '{"numpy": 2}'),
        ("format_version", "1.0"),
    ],
)
def test_meta_from_broken_text(dataset, name, text):
    with pytest.raises(InputError, match=f"attribute '{name}' does not hold what the format asks for"):
        Meta.from_text(dataset.meta.to_text() | {name: text})


def test_meta_from_too_little_text(dataset):
    text = dataset.meta.to_text()
    del text["licence"]
    with pytest.raises(InputError, match="'licence' is missing"):
        Meta.from_text(text)


# ------------------------------------------------------------------------------------------------ content hash


def slow_content_sha256(dataset):
    """The content hash as docs/format.md words it, one value at a time."""
    text = dataset.meta.to_text()
    message = b"curvebench content\n"
    for name in ("format_version", "recipe_sha256", "remedies", "fixed_actions", "cost_weight", "thresholds"):
        value = text[name].encode("utf-8")
        message += b"attribute " + name.encode() + b" " + str(len(value)).encode() + b"\n" + value + b"\n"
    for name, column in COLUMNS.items():
        values = dataset[name]
        shape = ",".join(map(str, values.shape))
        message += f"column {name} {column.dtype} {shape}\n".encode()
        for value in values.reshape(-1).tolist():
            message += bytes_of(column.dtype, value)
    return hashlib.sha256(message).hexdigest()


def bytes_of(dtype, value):
    if dtype.startswith("S"):
        return value.encode("utf-8").ljust(int(dtype[1:]), b"\0")
    if isinstance(value, float) and math.isnan(value):
        return bytes.fromhex({"<f4": "0000c07f", "<f8": "000000000000f87f"}[dtype])
    code = {"<f4": "<f", "<f8": "<d", "<i2": "<h", "<i4": "<i", "|u1": "<B"}[dtype]
    return struct.pack(code, value)


@pytest.mark.parametrize("arguments", [{"n_cells": 3}, {"n_cells": 0}, {"n_cells": 1, "n_points": 1, "seed": 3}])
def test_content_hash_agrees_with_its_slow_twin(make_dataset, arguments):
    dataset = make_dataset(**arguments)
    assert content_sha256(dataset) == slow_content_sha256(dataset)


def test_content_hash_of_accents_agrees_with_its_slow_twin(make_dataset):
    dataset = changed(make_dataset(n_cells=3), "problem", set_first("Größe μ"))
    assert content_sha256(dataset) == slow_content_sha256(dataset)


@pytest.mark.parametrize("name", list(COLUMNS))
def test_content_hash_sees_a_change_in_any_column(make_dataset, name):
    dataset = make_dataset(n_cells=3, n_rates=2, n_seeds=2)
    other = changed(dataset, name, set_first(some_other(COLUMNS[name], dataset[name])))
    assert content_sha256(other) != content_sha256(dataset)


@pytest.mark.parametrize(
    ("change", "is_seen"),
    [
        ({"cost_weight": 0.03}, True),
        ({"thresholds": {"material": 0.2}}, True),
        ({"fixed_actions": {}}, True),
        ({"recipe_text": "", "recipe_sha256": hashlib.sha256(b"").hexdigest()}, True),
        ({"package_versions": {}, "licence": "MIT", "source_licences": {}}, False),
    ],
)
def test_content_hash_sees_what_gives_meaning(make_dataset, change, is_seen):
    dataset = make_dataset(n_cells=3)
    other = Dataset(dataset.columns, replace(dataset.meta, **change))
    assert (content_sha256(other) != content_sha256(dataset)) == is_seen


def test_content_hash_sees_remedies_and_the_order_of_rows(make_dataset):
    dataset = make_dataset(n_cells=3)
    remedies = (*dataset.meta.remedies[:-1], Remedy(Action.RESTART, 100.0))
    assert content_sha256(Dataset(dataset.columns, replace(dataset.meta, remedies=remedies))) != content_sha256(dataset)
    assert content_sha256(dataset.select(np.arange(len(dataset))[::-1])) != content_sha256(dataset)


@pytest.mark.parametrize("bits", [0x7FC00001, 0xFFC00000, 0x7F800001, 0xFFFFFFFF])
def test_content_hash_takes_every_nan_for_the_same(make_dataset, bits):
    dataset = make_dataset(n_cells=3)
    plain = changed(dataset, "grad_norm", set_first(np.nan))
    payload = np.array([bits], dtype=np.uint32).view(np.float32)
    assert np.isnan(payload).all()

    def edit(values):
        values.view(np.uint32)[0, 0] = bits

    assert content_sha256(changed(dataset, "grad_norm", edit)) == content_sha256(plain)


def test_content_hash_tells_zero_from_minus_zero(make_dataset):
    dataset = make_dataset(n_cells=3)
    zero, minus = (changed(dataset, "grad_norm", set_first(value)) for value in (0.0, -0.0))
    assert content_sha256(zero) != content_sha256(minus)


def test_content_hash_ignores_how_arrays_lie_in_memory(make_dataset):
    dataset = make_dataset(n_cells=3)
    twin = changed(dataset, "train_loss", np.asfortranarray)
    twin = changed(twin, "run", lambda v: v.astype("U60"))
    twin = changed(twin, "base_lr", lambda v: v.astype(">f8"))
    assert content_sha256(twin) == content_sha256(dataset)


def constant_dataset():
    """Two runs whose values nobody computes."""
    lengths = {"diagnosis": 6, "remedy": 2, "resume": 1, "point": 3}
    columns = {}
    for name, column in COLUMNS.items():
        shape = (2, *(lengths[axis] for axis in column.axes))
        fill = column.values[0] if column.values else "x" if column.is_text else 1
        columns[name] = np.full(shape, fill, dtype="U32" if column.is_text else column.dtype)
    columns["run"] = np.array(["a", "b"])
    columns["train_loss"][0] = (np.inf, np.nan, -0.0)
    meta = Meta(
        recipe_name="fixed",
        recipe_version="1",
        recipe_text="é\n",
        recipe_sha256=hashlib.sha256("é\n".encode()).hexdigest(),
        engine="none",
        remedies=(Remedy(Action.NONE), Remedy(Action.RESUME, 0.1, 0.5)),
        fixed_actions={"healthy": 0, "late_lr_too_high": 1},
        cost_weight=0.02,
        thresholds={"material": 0.1},
        licence="CC0-1.0",
        source_licences={},
        package_versions={},
    )
    return Dataset(columns, meta)


def test_content_hash_never_changes():
    """A published format is never edited: if this fails, the change needs a new format version."""
    assert content_sha256(constant_dataset()) == "d27631b24d831168405f3d769d74b52027caffb3c3518a738f679ad068fcffe1"
