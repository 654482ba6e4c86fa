"""Exported files, opened by the programs that they are meant for: they read what the data set holds, bit for bit."""

from __future__ import annotations

import dataclasses
import logging
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from extras import REASONS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import curvebench
from curvebench.data import store
from curvebench.data.columns import COLUMNS
from curvebench.data.dataset import Dataset
from curvebench.data.shipped import locate
from curvebench.interchange import export
from curvebench.interchange.tables import curve_table, remedy_table, run_table
from curvebench.spec import DIAGNOSES, LABELS, NO_REMEDY, SPLITS, TRACKS, Action, Remedy

ROOT = Path(__file__).parents[2]
NAMES_OF_SPLITS = {split: split.upper() for split in SPLITS}


@pytest.fixture(scope="module")
def mini():
    return curvebench.load("mini")


@pytest.fixture
def in_small_parts(monkeypatch):
    """Every file is written in many parts."""
    whole = store.Opened.batches
    monkeypatch.setattr(store.Opened, "batches", lambda self: whole(self, self.n_runs * self.row_bytes // 17))


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """The library `datasets`, which keeps to this machine and to a folder of the test."""
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()

    load_dataset = datasets.load_dataset

    def load(*arguments, **options):
        return load_dataset(*arguments, **options, cache_dir=str(tmp_path / "cache"))

    return load


def assert_same(found, expected):
    """Two arrays with the same type, shape and bytes; text with the same characters."""
    if expected.dtype.kind == "U":
        assert np.asarray(found).tolist() == expected.tolist()
        return
    found = np.asarray(found)
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    assert found.tobytes() == expected.tobytes()


def column_of(rows, name, kind):
    """A column of a data set of `datasets`, whose arrays have whole numbers in 64 bits and floats in 32."""
    if kind == np.float64:
        return np.array(rows.with_format(None)[name][:])
    values = rows.with_format("numpy")[name][:]
    return values.astype(kind) if kind.kind in "iu" else values


def with_losses(dataset, losses):
    """The data set with other losses in the training curves, cut and repeated to its size."""
    columns = dict(dataset.columns)
    columns["train_loss"] = np.resize(losses, columns["train_loss"].shape).astype(np.float32)
    return Dataset(columns, dataset.meta)


# ------------------------------------------------------------------------------------------------ Parquet


def columns_of(table):
    """Column -> array of an Arrow table, lists of fixed length as axes."""
    for name in table.column_names:
        values, shape = table[name].combine_chunks(), [len(table)]
        while hasattr(values.type, "list_size"):
            shape.append(values.type.list_size)
            values = values.flatten()
        yield name, np.asarray(values.to_numpy(zero_copy_only=False)).reshape(shape)


def test_pyarrow_and_pandas_read_parquet(mini, tmp_path, in_small_parts):
    pq, pd = pytest.importorskip("pyarrow.parquet"), pytest.importorskip("pandas")
    done = export("mini", "parquet", tmp_path / "mini.parquet")
    table = pq.read_table(tmp_path / "mini.parquet")
    assert table.column_names == list(COLUMNS)
    for name, values in columns_of(table):
        assert_same(values, mini[name])
    about = {key.decode(): text.decode() for key, text in table.schema.metadata.items() if b"curvebench." in key}
    assert {name: about[f"curvebench.{name}"] for name in mini.meta.to_text()} == mini.meta.to_text()
    assert about["curvebench.content_sha256"] == curvebench.verify("mini").content_sha256
    assert table.schema.field("grad_norm").metadata[b"unit"] == b"loss per parameter"
    frame = pd.read_parquet(tmp_path / "mini.parquet")
    assert_same(np.stack(frame["train_loss"]), mini["train_loss"])
    assert frame["diagnosis"].tolist() == mini.labels.tolist()
    assert (done.n_runs, dict(done.n_bytes)) == (len(mini), {"mini.parquet": done.output.stat().st_size})
    assert pq.ParquetFile(done.output).num_row_groups > 10


def test_a_data_set_without_resumptions_has_no_column_of_their_curves(make_dataset, tmp_path, offline):
    pq = pytest.importorskip("pyarrow.parquet")
    made = make_dataset(n_cells=6, n_points=4)
    remedies = (NO_REMEDY, Remedy(Action.RESTART, 0.1))
    columns = {name: v[:, :2] if COLUMNS[name].axes == ("remedy",) else v for name, v in made.columns.items()}
    columns["resumed_train_loss"] = np.zeros((len(made), 0, 4), np.float32)
    meta = dataclasses.replace(made.meta, remedies=remedies, fixed_actions={"healthy": 0})
    store.write(Dataset(columns, meta), tmp_path / "a.h5")
    export(tmp_path / "a.h5", "parquet", tmp_path / "a.parquet")
    assert pq.read_table(tmp_path / "a.parquet").column_names == [c for c in COLUMNS if c != "resumed_train_loss"]
    export(tmp_path / "a.h5", "hf", tmp_path / "hf")
    assert "resumed_train_loss" not in offline(str(tmp_path / "hf"), split="train").features


# ------------------------------------------------------------------------------------------- Hugging Face


def test_datasets_opens_the_folder(mini, tmp_path, offline, in_small_parts, caplog):
    export("mini", "hf", tmp_path / "mini-hf")
    with caplog.at_level(logging.WARNING):
        loaded = offline(str(tmp_path / "mini-hf"))
    assert caplog.messages == []  # it says so where it takes only a part of the card
    assert list(loaded) == list(SPLITS)
    for split, rows in loaded.items():
        part = mini.split(split)
        assert rows.column_names == list(COLUMNS)
        assert [rows.features["diagnosis"].names[i] for i in rows["diagnosis"][:]] == part.labels.tolist()
        for name in set(COLUMNS) - {"diagnosis"}:
            assert_same(column_of(rows, name, part[name].dtype), part[name])
    assert loaded["train"].features["diagnosis"].names == list(LABELS)


def test_the_card_is_one_that_the_hub_understands(mini, tmp_path):
    hub = pytest.importorskip("huggingface_hub")
    export("mini", "hf", tmp_path / "mini-hf")
    card = hub.DatasetCard.load(tmp_path / "mini-hf" / "README.md")
    assert card.data.license == "cc-by-4.0"
    assert card.data.size_categories == ["1K<n<10K"]
    info = card.data.to_dict()["dataset_info"]
    assert {s["name"]: s["num_examples"] for s in info["splits"]} == {s: len(mini.split(s)) for s in SPLITS}
    assert [feature["name"] for feature in info["features"]] == list(COLUMNS)
    for label in DIAGNOSES:
        counts = [int((mini.split(split).labels == label).sum()) for split in SPLITS]
        assert f"| `{label}` | {' | '.join(map(str, counts))} |" in card.text
    for word in (*COLUMNS, *mini.meta.source_licences, curvebench.verify("mini").content_sha256):
        assert f"`{word}`" in card.text


def test_the_code_on_the_card_runs(tmp_path, monkeypatch, offline):
    import datasets

    export("mini", "hf", tmp_path / "mini-hf")
    code = re.search(r"```python\n(.*?)```", (tmp_path / "mini-hf" / "README.md").read_text(), re.DOTALL)[1]
    monkeypatch.setattr(datasets, "load_dataset", offline)
    names = {}
    exec(code.replace("path/of/this/folder", str(tmp_path / "mini-hf")), names)
    assert names["loss"].shape == (len(names["diagnosis"]), 128)


@settings(max_examples=25)
@given(name=st.text(max_size=40), licence=st.text(max_size=20), source=st.text(max_size=20))
def test_no_text_in_a_file_breaks_the_card(make_dataset, tmp_path_factory, name, licence, source):
    """Whoever wrote the file may have called things as they liked."""
    yaml = pytest.importorskip("yaml")
    from curvebench.interchange.huggingface import make_card
    from curvebench.interchange.source import Source

    def is_storable(text):
        try:
            return bool(text.encode()) or True
        except UnicodeEncodeError:
            return False

    name, licence, source = (t.replace("\0", "") if is_storable(t) else "" for t in (name, licence, source))
    made = make_dataset(n_cells=3, n_points=2)
    meta = dataclasses.replace(made.meta, recipe_name=name, licence=licence, source_licences={source: licence})
    path = tmp_path_factory.mktemp("card") / "a.h5"
    store.write(Dataset(made.columns, meta), path)
    with store.open_rows(path) as opened:
        card = make_card(Source(opened, False, "curve", "a"), dict.fromkeys(SPLITS, 1))
    opening, front, text = card.split("---\n", 2)
    assert opening == ""
    about = yaml.safe_load(front)
    assert next(iter(about)) == "pretty_name"
    assert about["configs"][0]["data_files"][0] == {"split": "train", "path": "data/train.parquet"}
    assert "<" not in re.sub(r"`[^`\n]*`|```.*?```", "", text, flags=re.DOTALL)


# ---------------------------------------------------------------------------------------------------- .ts


def read_by_aeon(path):
    pytest.importorskip("aeon", reason=REASONS["aeon"])
    from aeon.datasets import load_from_ts_file

    return load_from_ts_file(str(path))


def read_by_sktime(path):
    pytest.importorskip("sktime")
    from sktime.datasets import load_from_tsfile

    return load_from_tsfile(str(path), return_data_type="numpy3d")


@pytest.mark.parametrize("track", TRACKS)
@pytest.mark.parametrize("read", [read_by_aeon, read_by_sktime])
def test_aeon_and_sktime_read_ts(mini, tmp_path, track, read, in_small_parts):
    part = mini.select(np.arange(0, len(mini), 20))
    store.write(part, tmp_path / "part.h5")
    export(tmp_path / "part.h5", "ts", tmp_path / "Curves", track=track)
    for split, name in NAMES_OF_SPLITS.items():
        X, y = read(tmp_path / "Curves" / f"Curves_{name}.ts")
        assert_same(X.astype(np.float32), part.to_numpy3d(track, split))
        assert y.tolist() == part.targets(split).tolist()


def test_aeon_finds_the_problem_by_its_name(mini, tmp_path):
    pytest.importorskip("aeon", reason=REASONS["aeon"])
    from aeon.datasets import load_classification

    export("mini", "ts", tmp_path / "Curves", scored_only=True)
    X, y, about = load_classification("Curves", split="test", extract_path=str(tmp_path), return_metadata=True)
    assert_same(X.astype(np.float32), mini.to_numpy3d(split="test"))
    assert (y.tolist(), about["class_values"]) == (mini.targets("test").tolist(), list(DIAGNOSES))


def header_of(path):
    lines = path.read_text().split("@data\n")[0].splitlines()
    return {key[1:]: value.strip() for key, _, value in (line.partition(" ") for line in lines) if key[0] == "@"}


@pytest.mark.parametrize("where", ["nowhere", "first", "last"])
def test_the_header_says_whether_a_value_is_missing(make_dataset, tmp_path, where, in_small_parts):
    made = make_dataset(n_cells=24, n_points=5)
    losses = np.ones_like(made["train_loss"])
    train = np.flatnonzero(made["split"] == "train")
    if where != "nowhere":
        losses[train[0 if where == "first" else -1], 2] = np.nan
    store.write(with_losses(made, losses), tmp_path / "a.h5")
    export(tmp_path / "a.h5", "ts", tmp_path / "Curves")
    header = header_of(tmp_path / "Curves" / "Curves_TRAIN.ts")
    assert header == {
        "problemName": "Curves",
        "timeStamps": "false",
        "missing": "false" if where == "nowhere" else "true",
        "univariate": "true",
        "equalLength": "true",
        "seriesLength": "5",
        "classLabel": f"true {' '.join(LABELS)}",
    }
    X, _ = read_by_sktime(tmp_path / "Curves" / "Curves_TRAIN.ts")
    assert_same(X[:, 0].astype(np.float32), losses[train])


# ---------------------------------------------------------------------------------------------------- CSV

EXACT = {"float_precision": "round_trip", "keep_default_na": False, "na_values": ["nan"]}


def test_pandas_reads_csv(mini, tmp_path, in_small_parts):
    pd = pytest.importorskip("pandas")
    part = mini.select(np.arange(0, len(mini), 10))
    store.write(part, tmp_path / "part.h5")
    export(tmp_path / "part.h5", "csv", tmp_path / "csv")
    for name, table in {"runs": run_table(part), "curves": curve_table(part), "remedies": remedy_table(part)}.items():
        frame = pd.read_csv(tmp_path / "csv" / f"{name}.csv", **EXACT)
        assert list(frame.columns) == list(table)
        for column, values in table.items():
            assert_same(frame[column].astype(values.dtype if values.dtype.kind != "U" else str).to_numpy(), values)


ANY_LOSSES = arrays(np.float32, (48,), elements=st.floats(width=32, allow_nan=False, allow_subnormal=True))


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(losses=ANY_LOSSES)
def test_any_number_survives_text(make_dataset, tmp_path_factory, losses):
    pd = pytest.importorskip("pandas")
    folder = tmp_path_factory.mktemp("any")
    made = with_losses(make_dataset(n_cells=3, n_points=4), losses)
    store.write(made, folder / "a.h5")
    export(folder / "a.h5", "csv", folder / "csv")
    export(folder / "a.h5", "ts", folder / "Curves")
    # without being told, pandas takes a column of whole numbers for integers, which have no minus zero
    frame = pd.read_csv(folder / "csv" / "curves.csv", dtype={"train_loss": np.float32}, **EXACT)
    assert_same(frame["train_loss"].to_numpy(), made["train_loss"].reshape(-1))
    for split, name in NAMES_OF_SPLITS.items():
        lines = (folder / "Curves" / f"Curves_{name}.ts").read_text().split("@data\n")[1].splitlines()
        numbers = np.array([[float(x) for x in line.split(":")[0].split(",")] for line in lines])
        assert_same(numbers.astype(np.float32), made.split(split)["train_loss"])


# ---------------------------------------------------------------------------------------------- Croissant


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_croissant_validates_and_gives_the_records(mini, tmp_path, caplog):
    mlc = pytest.importorskip("mlcroissant")
    part = mini.select(np.arange(0, len(mini), 30))
    store.write(part, tmp_path / "part.h5")
    export(tmp_path / "part.h5", "croissant", tmp_path / "out")
    found = mlc.Dataset(str(tmp_path / "out" / "croissant.json"))
    issues = found.metadata.ctx.issues
    assert not issues.errors
    assert len(issues.warnings) == 1
    assert "datePublished" in next(iter(issues.warnings))
    assert [record_set.id for record_set in found.metadata.record_sets] == list(SPLITS)
    for split in SPLITS:
        rows, records = part.split(split), list(found.records(split))
        for name, column in COLUMNS.items():
            values = [record[f"{split}/{name}"] for record in records]
            if column.is_text:
                assert [value.decode() for value in values] == rows[name].tolist()
            else:
                numbers = np.array([np.nan if value is None else value for value in values], rows[name].dtype)
                assert_same(numbers, rows[name])


def test_croissant_tells_a_file_that_was_changed(tmp_path, monkeypatch):
    import hashlib
    import json

    pytest.importorskip("pyarrow")
    export("mini", "croissant", tmp_path / "out")
    about = json.loads((tmp_path / "out" / "croissant.json").read_text())
    for file in about["distribution"]:
        content = (tmp_path / "out" / file["contentUrl"]).read_bytes()
        assert file["sha256"] == hashlib.sha256(content).hexdigest()


# ----------------------------------------------------------------------------- the file itself, as it is


def test_h5ls_lists_the_columns(tmp_path):
    if shutil.which("h5ls") is None:
        pytest.skip("h5ls (Debian's hdf5-tools) is not installed")
    done = subprocess.run(["h5ls", locate("mini")], capture_output=True, text=True, check=True, timeout=60)
    listed = dict(re.findall(r"^(\S+) +Dataset \{(.*)\}$", done.stdout, re.MULTILINE))
    assert set(listed) == set(COLUMNS)
    assert (listed["run"], listed["train_loss"]) == ("1800/Inf", "1800/Inf, 128") or (
        listed["run"],
        listed["train_loss"],
    ) == ("1800", "1800, 128")
    done = subprocess.run(
        ["h5ls", "-d", f"{locate('mini')}/diagnosis"], capture_output=True, text=True, check=True, timeout=60
    )
    assert '"lr_too_high' in done.stdout


def test_h5py_reads_it_without_this_package(tmp_path):
    page = (ROOT / "docs" / "format.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", page, re.DOTALL)[1]
    shutil.copy(locate("mini"), tmp_path / "data.h5")
    (tmp_path / "read.py").write_text(f"{code}\nimport sys\nassert 'curvebench' not in sys.modules\n")
    done = subprocess.run([sys.executable, "read.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    n_rows = int((curvebench.load("mini")["split"] == "test").sum())
    assert done.stdout.startswith(f"({n_rows}, 128) loss {{")


def test_the_loader_of_datasets_reads_hdf5(mini, offline):
    rows = offline("hdf5", data_files=str(locate("mini")), split="train")
    assert set(rows.column_names) == set(COLUMNS)
    for name, column in COLUMNS.items():
        values = column_of(rows, name, mini[name].dtype)
        assert_same([text.decode() for text in values] if column.is_text else values, mini[name])
