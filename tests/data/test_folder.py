"""A folder of shards is the data set that one file is, and nothing that was done to it goes unnoticed."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from oracles.folders import LIES, by_group, write_folder

from curvebench.data import folder as folders
from curvebench.data import store
from curvebench.data.columns import COLUMNS
from curvebench.data.dataset import concatenate, gather, rows_of_split, summarize
from curvebench.data.folder import MANIFEST, Manifest
from curvebench.spec import SPLITS, CheckFailed, CurveBenchError, InputError, UsageError


@pytest.fixture(scope="module")
def dataset(make_dataset):
    return by_group(make_dataset(n_cells=12, n_points=12))


@pytest.fixture(scope="module")
def written(dataset, tmp_path_factory):
    path = tmp_path_factory.mktemp("folder") / "made-up"
    write_folder(dataset, path)
    return path


@pytest.fixture
def copied(written, tmp_path):
    return Path(shutil.copytree(written, tmp_path / "copy"))


def shards(path: Path) -> list[Path]:
    return sorted(path.glob("*.h5"))


# ----------------------------------------------------------------------------------- the same as one file


def test_a_folder_has_the_content_of_one_file(dataset, written, tmp_path):
    store.write(dataset, tmp_path / "one.h5")
    one = store.verify(tmp_path / "one.h5")
    several = store.verify(written)
    assert several.content_sha256 == one.content_sha256 == store.open_table(written).content_sha256
    assert (several.n_runs, several.n_shards, one.n_shards) == (one.n_runs, 7, 1)
    loaded = store.load(written)
    assert loaded.meta == dataset.meta
    assert all(np.array_equal(loaded[name], dataset[name], equal_nan=name in FLOATS) for name in COLUMNS)


FLOATS = {name for name, column in COLUMNS.items() if "f" in column.dtype}


def test_a_folder_is_counted_as_one_file(dataset, written):
    assert summarize(store.open_table(written)) == dataset.summary()


def test_rows_are_found_and_gathered_as_in_memory(dataset, written):
    folder = store.open_table(written)
    for split in SPLITS:
        for scored_only in (False, True):
            rows = rows_of_split(folder, split, scored_only=scored_only)
            wanted = (dataset["split"] == split) & (dataset.is_scored if scored_only else True)
            assert rows.tolist() == np.flatnonzero(wanted).tolist()
            found = gather(folder, ("run", "train_loss"), rows[::3])
            assert found["run"].tolist() == dataset["run"][rows[::3]].tolist()
            assert np.array_equal(found["train_loss"], dataset["train_loss"][rows[::3]], equal_nan=True)
    assert len(gather(folder, ("run",), np.array([], dtype=int))["run"]) == 0


@pytest.mark.parametrize("held_bytes", [2**15, 2**30])
def test_the_hash_does_not_depend_on_what_is_held_in_memory(dataset, written, monkeypatch, held_bytes):
    monkeypatch.setattr(folders, "HELD_BYTES", held_bytes)
    assert store.open_table(written).content_sha256 == dataset.content_sha256


@pytest.mark.parametrize("held_bytes", [2**15, 2**30])
def test_a_packed_folder_is_the_one_file(dataset, written, tmp_path, monkeypatch, held_bytes):
    monkeypatch.setattr(folders, "HELD_BYTES", held_bytes)
    assert store.pack(written, tmp_path / "packed.h5") == dataset.content_sha256
    assert os.listdir(tmp_path) == ["packed.h5"]
    packed = store.load(tmp_path / "packed.h5")
    assert packed.content_sha256 == dataset.content_sha256
    assert packed.meta == dataset.meta
    with pytest.raises(UsageError, match="already exists"):
        store.pack(written, tmp_path / "packed.h5")
    store.pack(written, tmp_path / "packed.h5", overwrite=True)
    with pytest.raises(UsageError, match="one file already"):
        store.pack(tmp_path / "packed.h5", tmp_path / "again.h5")


def test_packing_takes_memory_for_a_shard_and_not_for_all(dataset, make_dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "HELD_BYTES", 2**15)
    peaks = []
    for n_cells, name in ((6, "small"), (18, "large")):
        write_folder(by_group(make_dataset(n_cells=n_cells, n_points=12)), tmp_path / name)
        folder = store.open_table(tmp_path / name)
        held, largest = 0, 0
        for _, blocks in folder.by_column():
            for block in blocks:
                held = max(held, block.nbytes)
            largest = max(largest, held)
        peaks.append(largest)
    assert peaks[1] == peaks[0], "blocks are as large as those of a shard"


@pytest.mark.parametrize("n_written", [0, 1, 5, 40])
def test_a_disk_that_fills_up_while_packing_leaves_the_old_file(written, tmp_path, monkeypatch, n_written):
    target = tmp_path / "packed.h5"
    target.write_bytes(b"old")
    real, calls = store._Patient._write, []

    def write(self, position, content):
        calls.append(position)
        if len(calls) > n_written:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(self, position, content)

    monkeypatch.setattr(store._Patient, "_write", write)
    with pytest.raises(UsageError, match="no room"):
        store.pack(written, target, overwrite=True)
    assert len(calls) == n_written + 1, "nothing is tried again"
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["packed.h5"]


# ---------------------------------------------------------------------------------------- what is noticed


def noticed(path: Path, message: str) -> None:
    with pytest.raises((CheckFailed, InputError), match=message) as caught:
        store.verify(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_missing_extra_renamed_swapped_and_truncated_shards_are_found(copied):
    first, second, *_ = shards(copied)
    spare, content = copied.parent / "spare", first.read_bytes()
    first.rename(spare)
    noticed(copied, "missing")
    spare.rename(copied / "group-777777.h5")
    noticed(copied, "missing")
    (copied / "group-777777.h5").rename(first)
    shutil.copy(first, copied / "group-777777.h5")
    noticed(copied, "does not belong")
    (copied / "group-777777.h5").unlink()
    second_content = second.read_bytes()
    first.write_bytes(second_content)
    second.write_bytes(content)
    noticed(copied, "bytes")
    second.write_bytes(second_content)
    for n in (0, 1, 100, len(content) - 1):
        first.write_bytes(content[:n])
        noticed(copied, "bytes")
    first.unlink()
    first.symlink_to(second)
    noticed(copied, "not a plain file")
    first.unlink()
    first.write_bytes(content)
    assert store.verify(copied).n_shards == 7


def test_shards_in_another_order_are_found_even_where_nobody_verifies(dataset, tmp_path):
    folder = write_folder(dataset, tmp_path / "a")
    first, second, *rest = folder.manifest.shards
    store.write_manifest(replace(folder, manifest=replace(folder.manifest, shards=(second, first, *rest))))
    with pytest.raises(InputError, match="do not follow"):
        store.load(tmp_path / "a")


def test_any_flipped_byte_is_found(copied):
    rng = np.random.default_rng(0)
    files = [*shards(copied), copied / MANIFEST]
    sizes = np.array([path.stat().st_size for path in files])
    for place in rng.integers(sizes.sum(), size=40):
        number = int(np.searchsorted(np.cumsum(sizes), place, side="right"))
        content = files[number].read_bytes()
        offset = int(place - np.cumsum(sizes)[number] + sizes[number])
        changed = bytearray(content)
        changed[offset] ^= int(rng.integers(1, 256))
        files[number].write_bytes(changed)
        with pytest.raises((CheckFailed, InputError)):
            store.verify(copied)
        files[number].write_bytes(content)
    store.verify(copied)


def test_every_byte_of_the_manifest_counts(written):
    text = (written / MANIFEST).read_text()
    assert Manifest.from_text(text).to_text() == text
    for offset in range(0, len(text), 11):
        changed = text[:offset] + ("0" if text[offset] != "0" else "1") + text[offset + 1 :]
        with pytest.raises(CurveBenchError):
            Manifest.from_text(changed)


@pytest.mark.parametrize("lie", LIES)
def test_a_manifest_that_lies_is_found_though_its_own_hash_is_right(copied, lie):
    manifest = LIES[lie](Manifest.from_text((copied / MANIFEST).read_text()))
    (copied / MANIFEST).write_text(manifest.to_text())
    noticed(copied, ".")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "not a JSON object"),
        ("{}", "format"),
        ('{"format": "curvebench-folder", "version": 2}', "version"),
        ('{"format": "curvebench-folder", "version": 1}', "format asks"),
        ('{"format": "curvebench-folder", "version": 1, "attributes": 1}', "format asks"),
        ("\ufeff{}", "not JSON"),
    ],
)
def test_manifests_that_are_none(copied, text, message):
    (copied / MANIFEST).write_text(text)
    for read in (store.load, store.verify, store.open_table):
        with pytest.raises(InputError, match=message):
            read(copied)


def test_manifests_that_are_not_read(copied, monkeypatch):
    (copied / MANIFEST).write_bytes(b"\xff")
    noticed(copied, "UTF-8")
    monkeypatch.setattr(folders, "MAX_MANIFEST_BYTES", 10)
    (copied / MANIFEST).write_bytes(b" " * 11)
    noticed(copied, "larger than")
    (copied / MANIFEST).unlink()
    (copied / MANIFEST).symlink_to("/etc/passwd")
    noticed(copied, "plain file")
    (copied / MANIFEST).unlink()
    noticed(copied, "without a manifest")


def test_shards_of_another_making_are_refused(dataset, copied):
    first = shards(copied)[0]
    part = store.load(first)
    store.write(replace(part, meta=replace(part.meta, engine="other")), first, overwrite=True)
    manifest = Manifest.from_text((copied / MANIFEST).read_text())
    content = first.read_bytes()
    told = replace(manifest.shards[0], n_bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    (copied / MANIFEST).write_text(replace(manifest, shards=(told, *manifest.shards[1:])).to_text())
    noticed(copied, "differs in engine")


def test_a_run_that_two_shards_name_is_found(dataset, copied):
    first, second, *_ = shards(copied)
    part = store.load(second)
    renamed = np.array([*part["run"][:-1], store.load(first)["run"][0]])
    store.write(replace(part, columns={**part.columns, "run": renamed}), second, overwrite=True)
    found = folders.describe(copied, [path.name for path in shards(copied)], store.read_columns)
    meta = replace(found.meta, fixed_actions=dataset.meta.fixed_actions)
    store.write_manifest(replace(found, manifest=replace(found.manifest, meta=meta, content_sha256="0" * 64)))
    noticed(copied, "names a run more than once")
    for read in (lambda path: store.open_table(path).content_sha256, store.load, lambda path: next(opened_rows(path))):
        with pytest.raises(InputError, match="`run` names"):
            read(copied)


def opened_rows(path):
    with store.open_rows(path) as opened:
        yield opened


def test_a_folder_that_does_not_fit_into_memory_is_not_loaded(written):
    with pytest.raises(InputError, match="the limit is 1000"):
        store.load(written, max_bytes=1000)


def test_the_manifest_says_what_the_specification_says(dataset, written):
    told = json.loads((written / MANIFEST).read_text())
    assert told["n_runs"] == sum(shard["n_runs"] for shard in told["shards"]) == len(dataset)
    for shard in told["shards"]:
        content = (written / shard["file"]).read_bytes()
        assert (shard["n_bytes"], shard["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
        assert shard["content_sha256"] == store.verify(written / shard["file"]).content_sha256
    parts = [store.load(written / shard["file"]) for shard in told["shards"]]
    whole = concatenate([replace(part, meta=dataset.meta) for part in parts])
    assert whole.content_sha256 == told["content_sha256"]
    own = told.pop("manifest_sha256")
    assert own == hashlib.sha256(json.dumps(told).encode()).hexdigest()
