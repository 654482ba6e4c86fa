"""Every format, as its real writer writes it; and each trap that is known of it."""

from __future__ import annotations

import gzip
import json
import math
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from oracles import log_writers as made

from curvebench.logs import FORMATS, read_log
from curvebench.logs.tensorboard import crc32c
from curvebench.spec import InputError

FILES = Path(__file__).parent / "files"


def write(folder, content, name="log"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def one(path, **names):
    (curve,) = read_log(path, **names)
    assert curve.source in FORMATS
    return curve


def has_note(curve, words):
    return any(words in note for note in curve.notes)


def falls(n, pace, shift=0.0, scale=2.0):
    return scale * np.exp(-np.arange(n) / pace) + shift


# ------------------------------------------------------------------------------------------- TensorBoard


def test_tensorboardx():
    a, b = read_log(FILES / "tensorboardx")
    assert (a.run, b.run) == ("run_a", "run_b")
    assert a.source == "tensorboard"
    np.testing.assert_array_equal(a.steps, np.arange(40))
    np.testing.assert_allclose(a.train_loss, falls(40, 10, 0.1), rtol=1e-6)
    np.testing.assert_allclose(a.learning_rate, 0.1, rtol=1e-6)
    assert np.isnan(a.val_loss[:9]).all()
    np.testing.assert_allclose(a.val_loss[9:19], falls(40, 10, 0.2)[9], rtol=1e-6)
    np.testing.assert_array_equal(np.isnan(b.train_loss), np.arange(20) >= 10)
    assert has_note(b, "Not finite, and left as logged: 10 of 20")


def test_torch_with_add_scalars():
    curve = one(FILES / "torch_tensorboard")
    np.testing.assert_allclose(curve.train_loss, 1 / (1 + np.arange(25)), rtol=1e-6)
    assert curve.val_loss[0] == 2.0
    assert curve.val_loss[-1] == 1.5
    assert has_note(curve, "'Loss/train'; there is also 'Loss_train/Loss'")


def test_tensors_of_keras_and_its_folders():
    curve = one(FILES / "keras_tensorboard")
    np.testing.assert_allclose(curve.train_loss, np.exp(-np.arange(6) / 3), rtol=1e-6)
    np.testing.assert_allclose(curve.val_loss, curve.train_loss + 0.2, rtol=1e-5)
    np.testing.assert_allclose(curve.learning_rate, 0.01, rtol=1e-6)


def test_more_points_than_tensorboard_itself_keeps(tmp_path):
    messages = [made.event("loss", 1.0, i) for i in range(10_500)]
    assert len(one(write(tmp_path, made.events(*messages)))) == 10_500


def test_checksum_is_that_of_the_bitwise_twin():
    for data in (b"", b"a", bytes(range(256)), b"123456789"):
        assert crc32c(data) == made.crc32c(data)


@pytest.mark.parametrize(
    "tensor",
    [
        made.field(1, 1) + made.fixed32(5, 0.5),
        made.field(1, 1) + made.field(5, np.float32(0.5).tobytes()),
        made.field(1, 1) + made.field(4, np.float32(0.5).tobytes()),
        made.field(1, 2) + made.field(4, np.float64(0.5).tobytes()),
        made.field(1, 2) + made.field(6, 0.5),
        made.field(1, 19) + made.field(4, np.float16(0.5).tobytes()),
        made.field(1, 19) + made.field(13, int(np.float16(0.5).view(np.uint16))),
        made.field(1, 14) + made.field(13, made.varint(0x3F00)),
    ],
    ids=["float", "packed", "content", "double", "double-val", "half", "half-val", "bfloat16"],
)
def test_tensors_of_every_type(tensor, tmp_path):
    messages = [made.event("loss", 0, i, tensor=tensor) for i in range(3)]
    np.testing.assert_array_equal(one(write(tmp_path, made.events(*messages))).train_loss, 0.5)


def test_integers_and_tensors_that_are_no_scalars(tmp_path):
    integer = made.field(1, 9) + made.field(10, 7)
    several = made.field(1, 1) + made.field(4, np.float32([1, 2]).tobytes())
    string = made.field(1, 7) + made.field(8, b"hello")
    messages = [made.event("loss", 0, i, tensor=t) for i, t in enumerate((integer, several, string))]
    np.testing.assert_array_equal(one(write(tmp_path, made.events(*messages))).train_loss, [7.0])


def test_cut_short_as_by_a_kill(tmp_path):
    whole = made.events(*[made.event("loss", float(i), i) for i in range(5)])
    for n in range(1, 40):
        curve = one(write(tmp_path, whole[:-n]))
        assert len(curve) == 4
        assert has_note(curve, "cut short")


def test_wrong_checksums(tmp_path):
    whole = bytearray(made.events(*[made.event("loss", float(i), i) for i in range(5)]))
    size = len(made.tfrecord(made.event("loss", 1.0, 1)))
    of_data = whole.copy()
    of_data[-2 * size - 6] ^= 1
    curve = one(write(tmp_path, bytes(of_data)))
    np.testing.assert_array_equal(curve.train_loss, [0, 1, 3, 4])
    assert has_note(curve, "Left out: 1 record with a wrong checksum")
    of_length = whole.copy()
    of_length[-2 * size] ^= 1
    curve = one(write(tmp_path, bytes(of_length)))
    np.testing.assert_array_equal(curve.train_loss, [0, 1, 2])
    assert has_note(curve, "nothing can be read")


def test_a_restart_in_a_second_file_overrules(tmp_path):
    first = made.events(*[made.event("loss", 10.0 + i, i) for i in range(10)])
    second = made.events(*[made.event("loss", 20.0 + i, i) for i in range(6, 15)])
    write(tmp_path, first, "events.out.tfevents.1.host")
    write(tmp_path, second, "events.out.tfevents.2.host")
    curve = one(tmp_path)
    np.testing.assert_array_equal(curve.train_loss, [*range(10, 16), *range(26, 35)])
    assert has_note(curve, "resumed")
    assert has_note(curve, "left out: 4 points")


def test_a_file_without_scalars(tmp_path):
    with pytest.raises(InputError, match="event file without scalars"):
        read_log(write(tmp_path, made.events()))


# --------------------------------------------------------------------------------------------------- tables


def test_lightning_logs_training_and_validation_in_different_rows():
    curve = one(FILES / "lightning" / "metrics.csv")
    assert curve.source == "lightning"
    np.testing.assert_array_equal(curve.steps, np.arange(2, 30, 3))
    assert curve.train_loss[0] == 3.113914966583252
    assert np.isnan(curve.val_loss[:2]).all()
    assert curve.val_loss[2] == 1.1965652704238892  # logged at step 7, between the points 5 and 8
    np.testing.assert_allclose(curve.learning_rate[[0, -1]], [0.05, 0.005])
    assert has_note(curve, "there is also 'train_loss_epoch'")


def test_keras_appends_a_second_run_that_diverges():
    first, second = read_log(FILES / "keras.csv")
    assert first.source == "keras-csv"
    np.testing.assert_array_equal(first.steps, np.arange(6))
    np.testing.assert_array_equal(second.steps, np.arange(8))
    assert first.train_loss[0] == 2.083409070968628
    assert second.train_loss[1] == math.inf
    assert np.isnan(second.train_loss[2:]).all()
    assert second.val_loss[0] == 687285010432.0
    assert has_note(second, "Training began 2 times")
    assert has_note(second, "7 of 8")


def test_keras_writes_na_where_nothing_was_measured(tmp_path):
    curve = one(write(tmp_path, "epoch,loss,val_loss\n0,1.5,NA\n1,1.0,NA\n"))
    assert curve.val_loss is None
    np.testing.assert_array_equal(curve.train_loss, [1.5, 1.0])


def test_history_of_keras():
    curve = one(FILES / "keras_history.json")
    assert (curve.source, curve.step_name, len(curve)) == ("json", "point", 6)
    np.testing.assert_array_equal(curve.train_loss, read_log(FILES / "keras.csv")[0].train_loss)
    assert has_note(curve, "'loss'; there is also 'mae'")


def test_progress_bar_of_keras():
    curve = one(FILES / "keras.log")
    assert curve.source == "text"
    np.testing.assert_array_equal(curve.steps, [1, 2, 3, 4])
    assert curve.train_loss[0] == 4.0790  # the last of what the bar showed in that epoch
    assert curve.val_loss[0] == 7.2808


def test_ultralytics_with_padded_names():
    curve = one(FILES / "ultralytics.csv")
    assert curve.source == "ultralytics"
    np.testing.assert_array_equal(curve.steps, [0, 1, 3])
    np.testing.assert_array_equal(curve.train_loss, [3.75, 3.0, 2.25])
    np.testing.assert_allclose(curve.val_loss, [4.0, 3.8, 3.6])
    np.testing.assert_array_equal(curve.learning_rate, [0.07, 0.05, 0.03])
    assert has_note(curve, "sum of train/box_loss, train/cls_loss, train/dfl_loss")
    assert has_note(curve, "never writes an epoch whose loss was NaN")
    np.testing.assert_array_equal(one(FILES / "ultralytics.csv", y="train/box_loss").train_loss, [1.5, 1.25, 1.0])


def test_page_of_wandb_with_several_runs():
    first, second = read_log(FILES / "wandb_page.csv")
    assert (first.run, second.run) == ("brisk-sun-1", "calm-sea-2")
    np.testing.assert_array_equal(first.train_loss, [2.1, 1.1, 0.6])
    np.testing.assert_array_equal(second.steps, [0, 20])
    np.testing.assert_array_equal(second.train_loss, [2.3, math.nan])


def test_page_of_tensorboard(tmp_path):
    curve = one(write(tmp_path, "Wall time,Step,Value\n1600000000.1,0,2.5\n1600000001.1,10,1.5\n"))
    np.testing.assert_array_equal(curve.steps, [0, 10])
    np.testing.assert_array_equal(curve.train_loss, [2.5, 1.5])
    assert has_note(curve, "the only one that can be, 'Value'")


@pytest.mark.parametrize(
    "content",
    [
        "step,loss\n1,0.5\n2,0.25\n",
        "step;loss\r\n1;0,5\r\n2;0,25\r\n",
        "step\tloss\n1\t0,5\n2\t0,25\n",
        "step|loss\n1|0.5\n2|0.25",
        "step loss\n1 0.5\n2 0.25\n",
        "# step,loss\n1,0.5\n# a remark\n2,0.25\n",
        '"step","loss"\n"1","0.5"\n"2","0.25"\n',
        "\ufeffstep,loss\n1,0.5\n2,0.25\n",
        " step , loss \n 1 , 0.5 \n\n 2 , 0.25 \n",
        "step,loss\r1,0.5\r2,0.25\r",
        "step,loss,\n1,0.5,\n2,0.25,\n",
    ],
    ids=["comma", "semicolon", "tab", "bar", "blank", "hash", "quotes", "mark", "padded", "old-mac", "comma-at-end"],
)
def test_tables_of_every_dialect(content, tmp_path):
    for encoding in ("utf-8", "utf-16", "utf-16-le", "utf-16-be"):
        curve = one(write(tmp_path, content.encode(encoding)))
        np.testing.assert_array_equal(curve.steps, [1, 2])
        np.testing.assert_array_equal(curve.train_loss, [0.5, 0.25])
    packed = one(write(tmp_path, gzip.compress(content.encode())))
    np.testing.assert_array_equal(packed.train_loss, [0.5, 0.25])


def test_a_table_without_names(tmp_path):
    np.testing.assert_array_equal(one(write(tmp_path, "3\n2\n1.5\n")).train_loss, [3, 2, 1.5])
    with pytest.raises(InputError, match="'column 1', 'column 2'"):
        read_log(write(tmp_path, "1,3\n2,2\n"))
    curve = one(write(tmp_path, "1,3\n2,2\n"), x="column 1", y="column 2")
    np.testing.assert_array_equal(curve.train_loss, [3, 2])


def test_runs_told_apart_by_a_column_or_by_headers(tmp_path):
    curves = read_log(write(tmp_path, "run,step,loss\na,0,1\nb,0,2\na,1,0.5\nb,1,1.5\n"))
    assert [(c.run, *c.train_loss) for c in curves] == [("a", 1, 0.5), ("b", 2, 1.5)]
    curves = read_log(write(tmp_path, "step,loss\n0,1\n1,0.5\nstep,loss,lr\n0,2,0.1\n1,1.5,0.1\n"))
    assert [c.train_loss.tolist() for c in curves] == [[1, 0.5], [2, 1.5]]
    assert curves[0].learning_rate is None
    assert curves[1].learning_rate.tolist() == [0.1, 0.1]


def test_a_half_written_last_row(tmp_path):
    curve = one(write(tmp_path, "step,loss,lr\n1,0.5,0.1\n2,0.25,0.1\n3,0.1"))
    np.testing.assert_array_equal(curve.train_loss, [0.5, 0.25])
    assert has_note(curve, "Left out: 1 row of fewer cells")


def test_empty_cells_where_pandas_had_nan(tmp_path):
    curve = one(write(tmp_path, "epoch,loss,accuracy\n0,1.5,0.1\n1,9.5,0.1\n2,,0.1\n3,,0.1\n"))
    np.testing.assert_array_equal(curve.train_loss, [1.5, 9.5, math.nan, math.nan])
    assert has_note(curve, "taken for NaN: 2 empty cells")
    curve = one(write(tmp_path, "step,loss,val_loss\n0,1.5,\n1,1.2,\n2,,1.1\n"))  # sparse rows are not NaN
    np.testing.assert_array_equal(curve.train_loss, [1.5, 1.2])


# ----------------------------------------------------------------------------------------------------- JSON


def test_trainer_state_and_its_checkpoints():
    curve = one(FILES / "huggingface")
    assert curve.source == "trainer-state"
    np.testing.assert_array_equal(curve.steps, np.arange(5, 45, 5))
    last = one(FILES / "huggingface" / "checkpoint-20" / "trainer_state.json")
    np.testing.assert_array_equal(last.train_loss, curve.train_loss[:4])
    np.testing.assert_array_equal(curve.epochs[[0, -1]], [0.625, 5.0])
    assert np.isnan(curve.val_loss[0])
    assert round(curve.val_loss[-1], 3) == 2.538
    assert curve.grad_norm.shape == curve.learning_rate.shape == (8,)
    assert has_note(curve, "logging_nan_inf_filter")
    assert has_note(curve, "Several states (3)")


def test_trainer_state_with_bare_nan(tmp_path):
    content = (
        '{"log_history": [{"loss": 1.5, "step": 1, "grad_norm": 2.0}, {"loss": 0.0, "grad_norm": NaN, "step": 2}]}'
    )
    curve = one(write(tmp_path, content))
    np.testing.assert_array_equal(curve.grad_norm, [2, math.nan])
    assert has_note(curve, "may have been filtered")


def test_the_summary_at_the_end_of_a_trainer_state_is_no_point():
    curve = one(FILES / "huggingface" / "trainer_state.json")
    assert len(curve) == 8
    assert not has_note(curve, "'train_loss'")


def test_an_empty_trainer_state(tmp_path):
    with pytest.raises(InputError, match="empty log_history"):
        read_log(write(tmp_path, '{"log_history": []}'))


def test_what_the_trainer_printed():
    curve = one(FILES / "huggingface.log")
    np.testing.assert_array_equal(curve.steps, one(FILES / "huggingface").epochs)
    np.testing.assert_allclose(curve.train_loss, one(FILES / "huggingface").train_loss, rtol=1e-3)


def test_a_history_wherever_it_lies(tmp_path):
    epochs = [{"epoch": i, "train_loss": 1.0 - i / 10, "valid_loss": 1.0} for i in range(5)]
    curve = one(write(tmp_path, json.dumps({"life": [{"state": "running"}], "job": {"history": epochs}})))
    np.testing.assert_allclose(curve.train_loss, [1, 0.9, 0.8, 0.7, 0.6])


def test_tables_under_train_and_val_are_one_run(tmp_path):
    document = {
        "train": {"iter": [50, 100, 150, 200], "loss": [4, 3, 2, 1], "lr": [0.1] * 4},
        "val": {"iter": [0, 100, 200], "loss": [5, 3.5, 1.5]},
        "wa": {"iter": [], "loss": []},
    }
    curve = one(write(tmp_path, json.dumps({"history": document, "config": {"betas": [0.9, 0.95]}})))
    np.testing.assert_array_equal(curve.steps, [50, 100, 150, 200])
    np.testing.assert_array_equal(curve.val_loss, [5, 3.5, 3.5, 1.5])
    np.testing.assert_array_equal(curve.learning_rate, 0.1)


def test_a_validation_loss_that_may_be_of_any_start_is_left_out(tmp_path):
    document = {"train": {"iter": [0, 1, 2, 0, 1, 2], "loss": [6, 5, 4, 3, 2, 1]}, "val": {"iter": [2], "loss": [9]}}
    curves = read_log(write(tmp_path, json.dumps(document)))
    assert [curve.train_loss.tolist() for curve in curves] == [[6, 5, 4], [3, 2, 1]]
    assert all(curve.val_loss is None and has_note(curve, "Left out: val_loss") for curve in curves)


def test_runs_by_name_in_a_document(tmp_path):
    curves = read_log(write(tmp_path, json.dumps({"a": {"loss": [2, 1]}, "b": {"loss": [3, 2]}})))
    assert [(c.run, *c.train_loss) for c in curves] == [("a", 2, 1), ("b", 3, 2)]
    curves = read_log(write(tmp_path, json.dumps([{"name": "a", "loss": [2, 1]}, {"name": "b", "loss": [3, 2]}])))
    assert [(c.run, *c.train_loss) for c in curves] == [("a", 2, 1), ("b", 3, 2)]
    np.testing.assert_array_equal(one(write(tmp_path, "[3, 2, null, NaN]")).train_loss, [3, 2, math.nan])


def test_json_lines(tmp_path):
    lines = [
        '{"step": 0, "train": {"loss": 2.0}, "note": "x"}',
        '{"step": 1, "train": {"loss": 1.5}}',
        '{"step": 1, "val": {"loss": 1.6}}',
        '{"step": 2, "train": {"lo',
    ]
    curve = one(write(tmp_path, "\n".join(lines)))
    assert curve.source == "json-lines"
    np.testing.assert_array_equal(curve.train_loss, [2, 1.5])
    assert curve.val_loss[-1] == 1.6
    assert has_note(curve, "Left out: 1 line that is no JSON object")
    assert len(one(write(tmp_path, '{"step": 0, "loss": 2.0}\n'))) == 1


# ------------------------------------------------------------------------------------------------------ W&B


def test_run_of_wandb():
    curve = one(FILES / "run.wandb")
    assert (curve.run, curve.source) == ("brisk-sun-1", "wandb")
    np.testing.assert_array_equal(curve.steps, np.arange(30))
    np.testing.assert_allclose(curve.train_loss[:28], falls(28, 8, 0.1))
    assert curve.train_loss[28] == math.inf
    assert math.isnan(curve.train_loss[29])
    np.testing.assert_allclose(curve.grad_norm, 1 / (1 + np.arange(30)))
    np.testing.assert_allclose(curve.val_loss[9:19], falls(30, 8, 0.2)[9])


def test_keys_in_parts_and_records_over_several_blocks(tmp_path):
    rows = [made.history(_step=str(i), train__loss=str(1.5 - i), note='"' + "x" * 20_000 + '"') for i in range(9)]
    curve = one(write(tmp_path, made.wandb_file(*rows)))
    np.testing.assert_array_equal(curve.train_loss, 1.5 - np.arange(9))
    np.testing.assert_array_equal(curve.steps, np.arange(9))


def test_damaged_block_of_wandb(tmp_path):
    rows = [made.history(_step=str(i), loss=str(float(i)), note='"' + "x" * 9_000 + '"') for i in range(12)]
    whole = bytearray(made.wandb_file(*rows))
    whole[100] ^= 1
    curve = one(write(tmp_path, bytes(whole)))
    assert 6 <= len(curve) < 12
    assert curve.steps[-1] == 11
    assert has_note(curve, "block with a wrong checksum")
    cut = one(write(tmp_path, made.wandb_file(*rows)[:-100]))
    assert len(cut) == 11
    assert has_note(cut, "cut short")


# --------------------------------------------------------------------------------------------------- MLflow


def test_folder_of_mlflow():
    a, b = read_log(FILES / "mlruns")
    assert (a.run, b.run) == ("quick-fox", "mlruns/0/bb")
    np.testing.assert_allclose(a.train_loss, 2 / (1 + np.arange(5)))
    np.testing.assert_allclose(a.val_loss, 3 / (1 + np.arange(5)))
    np.testing.assert_array_equal(b.train_loss, [1.5, math.nan])
    np.testing.assert_array_equal(b.steps, [0, 1])  # two fields: the order is the step
    for part in ("mlruns/0", "mlruns/0/aa", "mlruns/0/aa/metrics", "mlruns/0/aa/metrics/train/loss"):
        np.testing.assert_allclose(read_log(FILES / part)[0].train_loss, a.train_loss)


def make_database(path):
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE runs (run_uuid TEXT PRIMARY KEY, name TEXT)")
    connection.execute(
        "CREATE TABLE metrics (key TEXT, value REAL, timestamp INTEGER, run_uuid TEXT, step INTEGER, is_nan BOOLEAN)"
    )
    connection.execute("INSERT INTO runs VALUES ('aa', 'quick-fox')")
    for i, (value, is_nan) in enumerate([(2.5, 0), (1.5, 0), (1.7976931348623157e308, 0), (0, 1)]):
        connection.execute("INSERT INTO metrics VALUES ('train/loss', ?, ?, 'aa', ?, ?)", (value, 10 + i, i, is_nan))
    connection.execute("INSERT INTO metrics VALUES ('loss', 3.5, 10, 'bb', 0, 0)")
    connection.commit()
    connection.close()


def test_database_of_mlflow(tmp_path):
    make_database(tmp_path / "mlflow.db")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    a, b = read_log(tmp_path / "mlflow.db")
    assert (a.run, b.run, a.source) == ("quick-fox", "bb", "mlflow-db")
    np.testing.assert_array_equal(a.train_loss, [2.5, 1.5, math.inf, math.nan])
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert [curve.run for curve in read_log(tmp_path)] == ["mlflow.db/quick-fox", "mlflow.db/bb"]


# ---------------------------------------------------------------------------------------------------- texts


def test_printed_lines_among_settings_and_tests():
    curve = one(FILES / "printed.log")
    np.testing.assert_array_equal(curve.steps, [100, 200, 300, 400])
    np.testing.assert_array_equal(curve.train_loss, [2.5, 2.0, 1.5, math.nan])
    np.testing.assert_array_equal(curve.val_loss, [math.nan, 2.2, 2.2, 1.9])
    np.testing.assert_array_equal(curve.learning_rate, [1e-3, 1e-3, 1e-4, 1e-4])
    np.testing.assert_array_equal(curve.epochs, [1, 1, 2, 2])
    assert has_note(curve, "begins anew in every epoch")


@pytest.mark.parametrize(
    "lines",
    [
        "epoch 1 loss 0.5 lr 1e-3\nepoch 2 loss 0.25 lr 1e-3",
        "iter 1: loss 0.5\niter 2: loss 0.25",
        "[INFO] step=1, train_loss=0.5\n[INFO] step=2, train_loss=0.25",
        "Epoch [1/2] | Loss: 0.5000\nEpoch [2/2] | Loss: 0.2500",
        "Epoch #1: the loss is 0.5\nEpoch #2: the loss is 0.25",
        "step:1/2 train_loss:0.5 train_time:479ms\nstep:2/2 train_loss:0.25 train_time:942ms",
        "s:1 tel:9.5\ns:1 trl:0.5\ns:2 trl:0.25",
        "Epoch 1 - Train Loss: 0.5 - Val Loss: 0.7\nEpoch 2 - Train Loss: 0.25 - Val Loss: 0.6",
        "ep 1, loss=tensor(0.5, grad_fn=<X>)\nep 2, loss=tensor(0.25, grad_fn=<X>)",
        "Epoch 1/2\n8/8 [====] - 1s 2ms/step - loss: 0.5\nEpoch 2/2\n8/8 [====] - 1s 2ms/step - loss: 0.25",
        "epoch 1, loss 0,5, lr 0,001\nepoch 2, loss 0,250, lr 0,001",
        "iter 1,0.5 loss 0.5\niter 2,0.25 loss 0.25",
        "\x1b[1mepoch 1\x1b[0m loss \x1b[31m0.5\x1b[0m\nepoch 2 loss 0.9\repoch 2 loss 0.25",
    ],
)
def test_lines_of_every_kind(lines, tmp_path):
    curve = one(write(tmp_path, lines))
    np.testing.assert_array_equal(curve.steps, [1, 2])
    np.testing.assert_array_equal(curve.train_loss, [0.5, 0.25])


def test_commas_in_printed_numbers(tmp_path):
    curve = one(write(tmp_path, "step 1,000/5,000 loss 1,234.5 lr 0.1\nstep 2,000/5,000 loss 2,5 lr 0.1\n"))
    np.testing.assert_array_equal(curve.steps, [1000, 2000])
    np.testing.assert_array_equal(curve.train_loss, [1234.5, 2.5])
    assert has_note(curve, "Commas were read as decimal points, as in 2,5.")
    one_more = one(write(tmp_path, "step 10,000: loss=3\nstep 1,000,000: loss=2\n"))
    np.testing.assert_array_equal(one_more.steps, [1e4, 1e6])
    assert not has_note(one_more, "Commas")


def test_a_table_of_blanks_with_times(tmp_path):
    """As fastai prints it."""
    rows = "epoch     train_loss  valid_loss  time    \n0         0.500000    0.700000    00:10     \n"
    curve = one(write(tmp_path, rows + "1         0.250000    0.600000    00:11     \n"))
    np.testing.assert_array_equal(curve.train_loss, [0.5, 0.25])
    np.testing.assert_array_equal(curve.val_loss, [0.7, 0.6])
    assert not has_note(curve, "Taken for empty")


def test_a_log_of_validation_only(tmp_path):
    curve = one(write(tmp_path, "s:0 tel:10.9\ns:250 tel:6.3\n"))
    np.testing.assert_array_equal(curve.train_loss, [10.9, 6.3])
    assert has_note(curve, "stands in for it")


# ------------------------------------------------------------------------------------------------- folders


def test_printed_texts_are_read_only_where_nothing_else_is(tmp_path):
    write(tmp_path, "epoch 1 loss 9\nepoch 2 loss 8", "out.log")
    np.testing.assert_array_equal(one(tmp_path).train_loss, [9, 8])
    shutil.copy(FILES / "lightning" / "metrics.csv", tmp_path)
    assert one(tmp_path).source == "lightning"


def test_links_are_not_followed(tmp_path):
    outside = write(tmp_path, "step,loss\n1,0.5\n2,0.4\n", "outside/log.csv")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link.csv").symlink_to(outside)
    (inside / "folder").symlink_to(outside.parent)
    (inside / "loop").symlink_to(inside)
    with pytest.raises(InputError, match="no log in this folder"):
        read_log(inside)
    write(inside, "step,loss\n1,3\n2,2\n", "own.csv")
    curve = one(inside)
    np.testing.assert_array_equal(curve.train_loss, [3, 2])
    assert has_note(curve, "Not followed: 3 links")
