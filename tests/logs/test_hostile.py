"""Whatever a log holds, the answer is curves or one sentence, in bounded time and memory."""

from __future__ import annotations

import gzip
import json
import os
import sqlite3
import time
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from command import command
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from oracles import log_writers as made
from oracles.mutations import mutate

from curvebench.logs import FORMATS, Curve, content, delimited, files, folder, json_text, mlflow, read_log, tensorboard
from curvebench.logs import run as runs
from curvebench.logs import text as text_logs
from curvebench.spec import InputError

FILES = Path(__file__).parent / "files"

PATIENCE = 20
"""Seconds that no log of this file may take, on the slowest machine."""


def write(folder, content, name="log"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def outcome(path, **names):
    """Curves that are sound, or the sentence that says why there are none."""
    begin = time.monotonic()
    try:
        curves = read_log(path, **names)
    except InputError as error:
        said = str(error)
        assert said.startswith(str(path))
        assert said.endswith((".", ". ", "?"))
        assert len(said) < 3000 + len(str(path))
        return said
    finally:
        assert time.monotonic() - begin < PATIENCE
    assert curves
    for curve in curves:
        assert isinstance(curve, Curve)
        assert curve.source in FORMATS
        assert len(curve) > 0
        assert np.isfinite(curve.steps).all()
        assert (np.diff(curve.steps) > 0).all()
        for values in (curve.train_loss, curve.val_loss, curve.grad_norm, curve.learning_rate, curve.epochs):
            assert values is None or values.shape == curve.steps.shape
        assert all(note.endswith(".") for note in curve.notes), curve.notes
    return curves


# --------------------------------------------------------------------------------------------------- mutations


def database(path):
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE metrics (key, value, timestamp, run_uuid, step, is_nan)")
    connection.execute("CREATE TABLE runs (run_uuid, name)")
    connection.executemany("INSERT INTO metrics VALUES ('loss', ?, ?, 'aa', ?, 0)", [(i, i, i) for i in range(30)])
    connection.commit()
    connection.close()
    return path.read_bytes()


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """Real logs by name, small ones."""
    found = {name: (FILES / name).read_bytes() for name in REAL}
    found["mlflow.db"] = database(tmp_path_factory.mktemp("db") / "mlflow.db")
    found["log.csv.gz"] = gzip.compress(found["keras.csv"], mtime=0)
    found["utf-16.csv"] = found["keras.csv"].decode().encode("utf-16")
    return found


REAL = tuple(path.relative_to(FILES).as_posix() for path in sorted(FILES.rglob("*")) if path.is_file())
SAMPLES = (*REAL, "mlflow.db", "log.csv.gz", "utf-16.csv")


@pytest.mark.parametrize("name", SAMPLES)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_mutated_logs(name, samples, tmp_path, seed):
    outcome(write(tmp_path, mutate(samples[name], seed)))


@pytest.mark.parametrize("name", SAMPLES)
def test_logs_cut_anywhere(name, samples, tmp_path):
    data = samples[name]
    for n in sorted({*range(0, len(data), max(1, len(data) // 25)), *range(max(0, len(data) - 5), len(data))}):
        outcome(write(tmp_path, data[:n]))


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300))
@example(b"\x1f\x8b")
@example(b":W&B")
@example(b"SQLite format 3\0")
@example(b"\xff\xfe")
@example(b'{"log_history": [1, null, {}]}')
@example(b'{"log_history": {"loss": 1}}')
@example(b"[[[[1]]]]")
@example(b"loss\n")
@example(b"step,loss\n")
@example(b"loss,loss\n1,2\n3,4\n")
@example(b"step,loss\nnan,1\ninf,2\n")
def test_any_bytes(tmp_path, data):
    outcome(write(tmp_path, data))


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet='0123456789.,;:-+eE naifNI"{}[]\n\t\r\\/|=()#%lostrvp_\x1b\0é', max_size=200))
def test_any_text(tmp_path, text):
    outcome(write(tmp_path, text))
    outcome(write(tmp_path, "epoch,loss\n1,2\n" + text))
    outcome(write(tmp_path, "epoch 1 loss 2\n" + text))


KEYS = st.sampled_from(["loss", "step", "train", "val", "run", "history", "log_history", "x"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["loss", "nan", "1", "a"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=25,
)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(JSON)
def test_any_json(tmp_path, value):
    outcome(write(tmp_path, json.dumps(value)))
    outcome(write(tmp_path, "\n".join([json.dumps(value)] * 2)))


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=40), max_size=5), st.sampled_from([made.events, made.wandb_file]))
def test_any_records_with_right_checksums(tmp_path, messages, writer):
    wrapped = [field for message in messages for field in (message, made.field(5, message), made.field(2, message))]
    outcome(write(tmp_path, writer(*wrapped, *(made.field(5, made.field(1, m)) for m in messages))))


@settings(max_examples=30)
@given(
    st.sampled_from(["x", "y", "lr"]), st.text(max_size=20), st.sampled_from(["keras.csv", "lightning", "run.wandb"])
)
def test_any_name_that_is_asked_for(which, name, log):
    outcome(FILES / log, **{which: name})


def test_a_folder_of_mutated_logs(samples, tmp_path):
    for i, (name, data) in enumerate(samples.items()):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(mutate(data, i))
    outcome(tmp_path)


# ------------------------------------------------------------------------------------------------------ limits


def test_json_that_is_deep_or_crowded(tmp_path, monkeypatch):
    for deep in ("[" * 10**5, "[" * 10**5 + "]" * 10**5, '{"a":' * 10**5 + "1" + "}" * 10**5):
        assert "nested too deep" in outcome(write(tmp_path, deep))
    monkeypatch.setattr(json_text, "MAX_JSON_ITEMS", 1000)
    assert "more than 1,000 items" in outcome(write(tmp_path, json.dumps({"loss": list(range(2000))})))
    monkeypatch.setattr(json_text, "MAX_JSON_BYTES", 1000)
    assert "more than 1,000 characters" in outcome(write(tmp_path, json.dumps({"loss": list(range(2000))})))


@pytest.mark.parametrize("filler", [b"1", b"a", b" ", b'"', b",", b"{", b"loss ", b"nan", b"(", b"\\", b"-", b"\t"])
def test_a_line_without_end_takes_little_time_and_memory(filler, tmp_path, monkeypatch):
    """Lengths are in the proportion of a line of a gigabyte to the limits as they are."""
    monkeypatch.setattr(files, "MAX_TEXT_BYTES", 2**20)
    monkeypatch.setattr(content, "MAX_BYTES", 2**21)
    long = filler * (2**24 // len(filler))
    tracemalloc.start()
    try:
        outcome(write(tmp_path, long))
        outcome(write(tmp_path, b"step,loss\n1,2\n" + long + b"\n3,4\n"))
        curves = outcome(write(tmp_path, b"step,loss\n1,2\n" + filler * 2000 + b"\n3,4\n"))
        assert tracemalloc.get_traced_memory()[1] < 2**27
    finally:
        tracemalloc.stop()
    assert isinstance(curves, str) or {1.0} <= set(curves[0].steps.tolist())


def test_lines_that_are_too_long_are_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(delimited, "MAX_LINE", 100)
    (curve,) = outcome(write(tmp_path, "step,loss\n1,2\n" + "2,3," * 100 + "\n3,4\n"))
    assert curve.steps.tolist() == [1, 3]
    assert any("Left out: 1 line of more than 100 characters." in note for note in curve.notes)
    monkeypatch.setattr(text_logs, "MAX_TEXT_LINE", 100)
    (curve,) = outcome(write(tmp_path, "epoch 1 loss 2\n" + "epoch 2 loss 3 " * 100 + "\nepoch 3 loss 4\n"))
    assert curve.steps.tolist() == [1, 3]


@pytest.mark.parametrize(
    "line", ["a" * 16_000, "loss" * 4_000, "loss " * 3_200, "a b" * 5_000, "1" * 16_000, "loss:" + " " * 16_000]
)
def test_no_line_takes_quadratic_time(line, tmp_path):
    begin = time.monotonic()
    outcome(write(tmp_path, "epoch 1 loss 2\n" + f"{line}\n" * 20))
    assert time.monotonic() - begin < 5


def test_a_bomb_of_gzip_is_unpacked_no_further_than_allowed(tmp_path, monkeypatch):
    monkeypatch.setattr(content, "MAX_BYTES", 2**18)
    bomb = write(tmp_path, gzip.compress(b"step,loss\n1,2\n" + b"\n" * 2**25))
    tracemalloc.start()
    try:
        (curve,) = outcome(bomb)
        assert tracemalloc.get_traced_memory()[1] < 2**25
    finally:
        tracemalloc.stop()
    assert curve.train_loss.tolist() == [2]
    assert any("Only the first 262,144 bytes" in note for note in curve.notes)
    twice = gzip.compress(gzip.compress(b"step,loss\n1,2\n"))
    assert isinstance(outcome(write(tmp_path, twice)), str)


def test_a_broken_gzip_gives_what_comes_before_the_break(tmp_path):
    rows = "step,loss\n" + "".join(f"{i},{1 / (1 + i)}\n" for i in range(5000))
    packed = gzip.compress(rows.encode())
    (curve,) = outcome(write(tmp_path, packed[: len(packed) // 2]))
    assert 1000 < len(curve) < 5000
    assert any("cut short" in note for note in curve.notes)
    both = gzip.compress(b"step,loss\n1,2\n") + gzip.compress(b"2,3\n")
    assert outcome(write(tmp_path, both))[0].train_loss.tolist() == [2, 3]


def test_numbers_columns_and_curves_are_limited(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "MAX_COLUMNS", 2)
    wide = json.dumps({"step": 1, "loss": 2, "extra": 3})
    (curve,) = outcome(write(tmp_path, f"{wide}\n{wide}\n"))
    assert any("first 2 columns" in note for note in curve.notes)
    budget = runs.Budget(10)
    builder = runs.RunBuilder("", "csv", budget)
    for i in range(100):
        builder.add({"loss": float(i)})
    built = builder.build()
    assert len(built.columns["loss"].values) < 10
    assert "Only the first" in built.notes[0]
    rows = "".join(f"run{i},0,1\n" for i in range(1200))
    assert "more than 1,000 curves" in outcome(write(tmp_path, "run,step,loss\n" + rows))


def test_lines_are_limited(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MAX_LINES", 3)
    (curve,) = outcome(write(tmp_path, "step,loss\n1,2\n2,3\n3,4\n4,5\n"))
    assert curve.steps.tolist() == [1, 2]
    assert any("Only the first 3 lines were read." in note for note in curve.notes)


def test_a_folder_is_looked_at_up_to_its_limits(tmp_path, monkeypatch):
    for i in range(30):
        write(tmp_path, "step,loss\n1,2\n", f"{i:02}.csv")
    monkeypatch.setattr(files, "MAX_FILES", 10)
    curves = outcome(tmp_path)
    assert len(curves) == 10
    assert any("not all of it was looked at" in note for note in curves[0].notes)
    monkeypatch.setattr(folder, "MAX_FOLDER_BYTES", 30)
    assert len(outcome(tmp_path)) == 2
    deep = tmp_path.joinpath(*"abcdefghijklmnop")
    deep.mkdir(parents=True)
    write(deep, "step,loss\n1,2\n")
    assert isinstance(outcome(tmp_path / "a"), str)


def test_records_that_are_long_are_passed_over(tmp_path, monkeypatch):
    monkeypatch.setattr(tensorboard, "MAX_RECORD", 1000)
    picture = made.field(5, made.field(1, made.field(1, b"picture") + made.field(4, b"x" * 5000)))
    messages = [made.event("loss", 1.0, 0), picture, made.event("loss", 2.0, 1)]
    (curve,) = outcome(write(tmp_path, made.events(*messages)))
    assert curve.train_loss.tolist() == [1, 2]


# --------------------------------------------------------------------------------------------------- databases


def test_databases_that_never_end(tmp_path, monkeypatch):
    monkeypatch.setattr(mlflow, "MAX_SQL_STEPS", 10**6)
    path = tmp_path / "mlflow.db"
    connection = sqlite3.connect(path)
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
    connection.execute(
        f"CREATE VIEW metrics AS {endless}SELECT i AS run_uuid, 'loss' AS key, i AS value, i AS timestamp, i AS step, "
        "0 AS is_nan FROM n"
    )
    connection.commit()
    assert "without a table 'metrics'" in outcome(path)
    connection.execute("DROP VIEW metrics")
    connection.execute("CREATE TABLE metrics (run_uuid, key, value, timestamp, step, is_nan)")
    connection.execute(f"INSERT INTO metrics {endless}SELECT 'a', 'loss', i, i, i, 0 FROM n LIMIT 300000")
    connection.commit()
    connection.close()
    assert "interrupted" in outcome(path)


def test_databases_with_odd_cells(tmp_path):
    path = tmp_path / "mlflow.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE metrics (key, value, timestamp, run_uuid, step, is_nan)")
    odd = [("loss", 1.5, 1, "a", 1, 0), (b"\xff", "x", None, None, b"", "?"), ("loss", b"\x00", 1, "a", 2**62, 0),
           ("loss", 2.5, "2", b"\xff\xfe", "3", None), (None, None, None, None, None, None)]  # fmt: skip
    connection.executemany("INSERT INTO metrics VALUES (?, ?, ?, ?, ?, ?)", odd)
    connection.commit()
    connection.close()
    curves = outcome(path)
    assert sorted(curve.train_loss.tolist() for curve in curves) == [[1.5], [2.5]]
    packed = write(tmp_path, gzip.compress(path.read_bytes()), "packed.db")
    assert isinstance(outcome(packed), str)


def test_a_write_ahead_log_is_left_alone_and_said(tmp_path):
    database(tmp_path / "mlflow.db")
    write(tmp_path, b"what is here is not read", "mlflow.db-wal")
    (curve,) = outcome(tmp_path / "mlflow.db")
    assert any("write-ahead log" in note for note in curve.notes)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mlflow.db", "mlflow.db-wal"]


# ------------------------------------------------------------------------------------------------ what is no log


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "The file is empty."),
        (b"\x80\x04\x95", "pickle, which is never read"),
        (b"PK\x03\x04 and so on", "zip archive"),
        (b"\x89PNG\r\n\x1a\n", "picture"),
        (b"\x00\x01\x02\x03" * 100, "neither a text nor a binary log"),
        (b"hello\nworld\n", "no line has a loss"),
        (b"name,age,size\nann,12,3\n", "No column is called a loss"),
        (b"{}", "without numbers"),
        (b'{"loss": [1, 2', "cannot be read as JSON"),
    ],
)
def test_files_that_are_no_logs(content, words, tmp_path):
    path = write(tmp_path, content)
    assert words in outcome(path)
    done = command("logs", path)
    assert (done.code, done.out) == (3, "")


def test_pickles_are_not_read_whatever_they_are_called(tmp_path):
    marker = tmp_path / "ran"
    evil = b"cos\nsystem\n(S'touch " + str(marker).encode() + b"'\ntR."
    for name in ("history.json", "metrics.csv", "events.out.tfevents.1", "run-1.wandb", "trainer_state.json"):
        assert isinstance(outcome(write(tmp_path, evil, name)), str)
        assert isinstance(outcome(write(tmp_path, zlib.compress(evil), name)), str)
    assert not marker.exists()


def test_places_that_are_no_files(tmp_path):
    assert "no such file" in outcome(tmp_path / "missing")
    assert isinstance(outcome(tmp_path), str)
    assert isinstance(outcome(tmp_path / ("x" * 5000)), str)
    assert isinstance(outcome("a\0b"), str)
    os.mkfifo(tmp_path / "pipe")
    assert "neither a file nor a folder" in outcome(tmp_path / "pipe")
    assert "no log in this folder" in outcome(tmp_path)
    assert "neither a file nor a folder" in outcome("/dev/zero")
    (tmp_path / "nothing").symlink_to("nothing")
    assert isinstance(outcome(tmp_path / "nothing"), str)


@pytest.mark.parametrize("name", ["keras.csv", "keras.log", "run.wandb", "tensorboardx/run_a", "huggingface", "mlruns"])
def test_reading_ends_when_enough_numbers_are_kept(name, monkeypatch):
    whole = outcome(FILES / name)
    monkeypatch.setattr(runs.Budget.__init__, "__defaults__", (14,))
    curves = outcome(FILES / name)
    assert sum(map(len, curves)) < sum(map(len, whole))
    assert any("Only the first" in note for note in curves[0].notes)
