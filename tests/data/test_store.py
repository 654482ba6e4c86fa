import errno
import json
import os
import re
import resource
import shutil
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.folders import by_group, write_folder
from oracles.forks import die, forking_into
from oracles.hostile_files import HOSTILE, make_hostile, replace_column

from curvebench.data import store
from curvebench.data.columns import COLUMNS
from curvebench.data.dataset import HASHED_ATTRIBUTES, Dataset, concatenate, content_sha256, to_stored
from curvebench.spec import NO_REMEDY, Action, CheckFailed, InputError, Remedy, UsageError

SPECIFICATION = Path(__file__).parents[2] / "docs" / "format.md"


@pytest.fixture(scope="module")
def dataset(make_dataset):
    small = make_dataset(n_cells=6, n_rates=2, n_seeds=2, n_points=8)
    train_loss = small["train_loss"].copy()
    train_loss[0, :3] = (np.inf, -np.inf, np.nan)
    return Dataset(dict(small.columns) | {"train_loss": train_loss}, small.meta)


@pytest.fixture(scope="module")
def written(dataset, tmp_path_factory):
    """A good file; tests work on copies."""
    path = tmp_path_factory.mktemp("written") / "good.h5"
    store.write(dataset, path)
    return path


@pytest.fixture
def copied(written, tmp_path):
    path = tmp_path / "copy.h5"
    shutil.copy(written, path)
    return path


def assert_same(one, other):
    assert one.meta == other.meta
    for name, column in COLUMNS.items():
        assert one[name].shape == other[name].shape
        assert to_stored(column, one[name]).tobytes() == to_stored(column, other[name]).tobytes(), name


# -------------------------------------------------------------------------------------------------- round trip


def test_round_trip(dataset, written):
    loaded = store.load(written)
    assert_same(loaded, dataset)
    assert store.read_meta(written) == dataset.meta
    assert str(loaded["train_loss"][0, :3].tolist()) == "[inf, -inf, nan]"


def test_verify_reports(dataset, written):
    report = store.verify(str(written))
    assert report.content_sha256 == content_sha256(dataset)
    assert report.n_runs == 24
    assert report.n_bytes == written.stat().st_size
    assert (report.path, report.recipe_name, report.format_version) == (str(written), "made-up", 1)


@pytest.mark.parametrize(
    "arguments", [{"n_cells": 0}, {"n_cells": 1, "n_rates": 1, "n_seeds": 1, "n_points": 1}, {"n_points": 40_000}]
)
def test_round_trip_of_unusual_sizes(make_dataset, tmp_path, arguments):
    dataset = make_dataset(**({"n_cells": 1, "n_rates": 1} | arguments))
    digest = store.write(dataset, tmp_path / "d.h5")
    assert store.verify(tmp_path / "d.h5").content_sha256 == digest
    assert_same(store.load(tmp_path / "d.h5"), dataset)


def test_the_same_content_gives_the_same_bytes(dataset, written, tmp_path):
    columns = dict(dataset.columns)
    is_nan = np.isnan(columns["grad_norm"])
    columns["grad_norm"] = columns["grad_norm"].copy()
    columns["grad_norm"].view(np.uint32)[is_nan] = 0xFFC12345
    store.write(Dataset(columns, dataset.meta), tmp_path / "again.h5")
    assert (tmp_path / "again.h5").read_bytes() == written.read_bytes()


def test_everything_has_the_integrity_profile(written):
    with h5py.File(written) as file:
        for name, column in COLUMNS.items():
            assert not file[name].id.get_create_plist().get_obj_track_times()
            assert (file[name].compression, file[name].compression_opts) == ("gzip", 4)
            assert file[name].shuffle
            assert file[name].fletcher32
            assert file[name].attrs["unit"] == column.unit.encode()
        for holder in (file, *file.values()):
            for name in holder.attrs:
                kind = holder.attrs.get_id(name).get_type()
                assert kind.get_class() == h5py.h5t.STRING
                assert not kind.is_variable_str()


def test_the_root_has_checksums_and_no_time_stamps(written):
    image = written.read_bytes()
    superblock_version, root = image[8], struct.unpack_from("<Q", image, 36)[0]
    assert superblock_version == 3
    assert image[root : root + 4] == b"OHDR"
    assert image[root + 5] & 0x20 == 0


def test_chunks_are_neither_tiny_nor_huge():
    for shape, itemsize in [((10_000, 128), 4), ((10_000, 40, 128), 4), ((100_000,), 32), ((10, 60, 5000), 4)]:
        chunk = store.chunk_shape(shape, itemsize)
        assert 64 * 1024 <= np.prod(chunk) * itemsize <= 256 * 1024
        assert all(1 <= c <= n for c, n in zip(chunk, shape, strict=True))


def test_long_recipes_stay_under_checksums(dataset, tmp_path):
    meta = replace(dataset.meta, source_licences={f"source {i}": "CC0-1.0" for i in range(1500)})
    store.write(Dataset(dataset.columns, meta), tmp_path / "d.h5")
    assert store.read_meta(tmp_path / "d.h5") == meta
    image = bytearray((tmp_path / "d.h5").read_bytes())
    place = image.find(b"source 777")
    image[place] ^= 1
    (tmp_path / "d.h5").write_bytes(image)
    with pytest.raises(InputError, match="damaged"):
        store.read_meta(tmp_path / "d.h5")


@st.composite
def arbitrary_datasets(draw, meta):
    """Columns of any content that the format allows: any bit patterns, any text."""
    n_runs, n_points = draw(st.integers(0, 4)), draw(st.integers(1, 3))
    resumes = tuple(Remedy(Action.RESUME, 0.1, at) for at in (0.5, 0.75)[: draw(st.integers(0, 2))])
    meta = replace(meta, remedies=(NO_REMEDY, *resumes), fixed_actions={})
    lengths = {"diagnosis": 6, "remedy": 1 + len(resumes), "resume": len(resumes), "point": n_points}
    columns = {}
    for name, column in COLUMNS.items():
        shape = (n_runs, *(lengths[axis] for axis in column.axes))
        n_values = int(np.prod(shape))
        if column.is_text:
            values = draw(st.lists(texts(column), min_size=n_runs, max_size=n_runs, unique=name == "run"))
            columns[name] = np.array(values, dtype=f"U{column.itemsize}")
            continue
        n_bytes = n_values * column.itemsize
        raw = np.frombuffer(draw(st.binary(min_size=n_bytes, max_size=n_bytes)), dtype=column.dtype).reshape(shape)
        columns[name] = raw % (n_points + 1) if name == "length" else raw % 2 if column.unit == "boolean" else raw
    return Dataset(columns, meta)


def texts(column):
    if column.values:
        return st.sampled_from(column.values)
    alphabet = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
    return st.text(alphabet, max_size=column.itemsize // 4)


@settings(max_examples=25)
@given(data=st.data())
def test_round_trip_of_anything(data, dataset, tmp_path_factory):
    anything = data.draw(arbitrary_datasets(dataset.meta))
    path = tmp_path_factory.mktemp("any") / "d.h5"
    digest = store.write(anything, path)
    assert store.verify(path).content_sha256 == digest == content_sha256(anything)
    assert_same(store.load(path), anything)


@pytest.mark.parametrize("options", [{}, {"compression": "gzip", "compression_opts": 9}, {"chunks": True}])
@pytest.mark.parametrize("libver", ["earliest", "v110"])
def test_repacked_files_keep_their_content_hash(written, tmp_path, options, libver):
    with h5py.File(written) as old, h5py.File(tmp_path / "repacked.h5", "x", libver=(libver, "v110")) as new:
        for name, value in old.attrs.items():
            new.attrs[name] = np.bytes_(value)
        for name in reversed(COLUMNS):
            new.create_dataset(name, data=old[name][...], **options)
    assert store.verify(tmp_path / "repacked.h5").content_sha256 == store.verify(written).content_sha256


# ----------------------------------------------------------------------------------------------- specification


def test_the_specification_has_the_table_of_columns():
    table = ["| column | type | axes | unit | meaning | values |", "|---|---|---|---|---|---|"]
    for column in COLUMNS.values():
        axes = ", ".join(("run", *column.axes))
        values = ", ".join(f"`{value}`" for value in column.values)
        dtype = column.dtype.replace("|", "\\|")
        cells = (f"`{column.name}`", f"`{dtype}`", axes, column.unit, column.description, values)
        table.append(f"| {' | '.join(cells)} |".replace("|  |", "| |"))
    rendered = "\n".join(table)
    assert rendered in SPECIFICATION.read_text(encoding="utf-8"), f"docs/format.md should have:\n{rendered}"


def test_the_specification_names_every_attribute(written):
    text = SPECIFICATION.read_text(encoding="utf-8")
    section = text.split("## Root attributes")[1].split("\n## ")[0]
    with h5py.File(written) as file:
        assert set(re.findall(r"^\| `(\w+)` ", section, flags=re.MULTILINE)) == set(file.attrs)
    hashed = text.split("## Content hash")[1].split("\n## ")[0]
    assert ", ".join(f"`{name}`" for name in HASHED_ATTRIBUTES) in " ".join(hashed.split())


def test_the_code_in_the_specification_runs(written, capsys):
    blocks = re.findall(r"```python\n(.*?)```", SPECIFICATION.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        exec(compile(block.replace("data.h5", str(written)), "docs/format.md", "exec"), {})
    assert "True" in capsys.readouterr().out


def test_plain_h5py_reads_it(dataset, written):
    with h5py.File(written) as file:
        assert file.attrs["format"].decode() == "curvebench"
        assert set(json.loads(file.attrs["columns"])) == set(file)
        assert file["diagnosis"].asstr()[...].tolist() == dataset.labels.tolist()
        np.testing.assert_array_equal(file["train_loss"][...], dataset["train_loss"])
        assert json.loads(file["remedy_gain"].attrs["axes"]) == ["run", "remedy"]
        assert "healthy" in json.loads(file["diagnosis"].attrs["values"])
        assert len({d.shape[0] for d in file.values()}) == 1


# ---------------------------------------------------------------------------------------------------- writing


def leftovers(folder):
    return sorted(p.name for p in folder.iterdir())


def test_an_existing_file_is_not_overwritten_unless_asked(dataset, tmp_path):
    path = tmp_path / "d.h5"
    path.write_text("precious")
    with pytest.raises(UsageError, match="already exists"):
        store.write(dataset, path)
    assert path.read_text() == "precious"
    store.write(dataset, path, overwrite=True)
    store.verify(path)
    assert leftovers(tmp_path) == ["d.h5"]


@pytest.mark.parametrize("has_hard_links", [True, False])
def test_a_file_that_appears_at_the_last_moment_survives(dataset, tmp_path, monkeypatch, has_hard_links):
    path = tmp_path / "d.h5"
    if not has_hard_links:
        monkeypatch.setattr(os, "link", raising(errno.EPERM))
    monkeypatch.setattr(store, "check_target", lambda path, overwrite: Path(path).write_text("precious"))
    with pytest.raises(UsageError, match="already exists"):
        store.write(dataset, path)
    assert path.read_text() == "precious"
    assert leftovers(tmp_path) == ["d.h5"]


def test_writing_without_hard_links(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "link", raising(errno.ENOTSUP))
    store.write(dataset, tmp_path / "d.h5")
    store.verify(tmp_path / "d.h5")
    monkeypatch.setattr(os, "replace", raising(errno.EIO))
    with pytest.raises(UsageError, match="cannot be written"):
        store.write(dataset, tmp_path / "e.h5")
    assert leftovers(tmp_path) == ["d.h5"]


def raising(code):
    def fail(*arguments, **options):
        raise OSError(code, os.strerror(code))

    return fail


def test_a_file_that_outgrows_its_limit_leaves_the_old_one(dataset, tmp_path):
    path = tmp_path / "d.h5"
    store.write(dataset, path)
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, hard))
    try:
        with pytest.raises(UsageError, match="there is no room"):
            store.write(dataset, path, overwrite=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert leftovers(tmp_path) == ["d.h5"]


@pytest.mark.parametrize("overwrite", [True, False])
@pytest.mark.parametrize("function", ["fsync", "link", "replace"])
def test_a_full_disk_leaves_the_old_file(dataset, tmp_path, monkeypatch, function, overwrite):
    path = tmp_path / "d.h5"
    if overwrite:
        path.write_text("precious")
    monkeypatch.setattr(os, function, raising(errno.ENOSPC))
    if (function, overwrite) in (("link", True), ("replace", False)):
        store.write(dataset, path, overwrite=overwrite)
        store.verify(path)
    else:
        with pytest.raises(UsageError, match=r"there is no room \(No space left"):
            store.write(dataset, path, overwrite=overwrite)
        assert not overwrite or path.read_text() == "precious"
    assert leftovers(tmp_path) == (["d.h5"] if path.exists() else [])


def test_an_interruption_leaves_nothing_behind(dataset, tmp_path, monkeypatch):
    def interrupt(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        store.write(dataset, tmp_path / "d.h5")
    assert leftovers(tmp_path) == []


UNIQUE = "0123456789abcdef" * 2


@pytest.mark.parametrize("name", ["d.h5", "d", "x" * 200, "é" * 100, "\n.h5", "d.h5.host.1"])
def test_what_a_killed_writer_left_can_be_cleared_and_nothing_else(dataset, tmp_path, monkeypatch, name):
    others = [f".{name}.tmp", f".{name}.h5.host.1.{UNIQUE}.tmp", f"..{name}.host.1.{UNIQUE}.tmp", f"{name}.tmp"]
    others = [other for other in others if len(os.fsencode(other)) < 255]
    for other in others:
        (tmp_path / other).write_text("mine")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", lambda path, missing_ok=False: None)  # the writer is no more
        patch.setattr(os, "fsync", raising(errno.EIO))
        with pytest.raises(UsageError):
            store.write(dataset, tmp_path / name)
    (left,) = set(leftovers(tmp_path)) - set(others)
    assert left.endswith(".tmp")
    assert len(os.fsencode(left)) <= 255
    store.remove_temporaries(tmp_path / "another.h5")
    assert left in leftovers(tmp_path)
    store.remove_temporaries(tmp_path / name)
    assert leftovers(tmp_path) == sorted(others)


def test_what_the_dead_left_is_cleared_by_the_next_writer(dataset, tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    host = store._host()
    stale = f".d.h5.{host}.{ended.pid}.{UNIQUE}.tmp"
    kept = [
        f".d.h5.{host}.{os.getpid()}.{UNIQUE}.tmp",  # of the living
        f".d.h5.elsewhere.{ended.pid}.{UNIQUE}.tmp",  # of another machine
        f".e.h5.{host}.{ended.pid}.{UNIQUE}.tmp",  # of another file
        f".d.h5.{host}.{10**30}.{UNIQUE}.tmp",
    ]
    for name in (stale, *kept):
        (tmp_path / name).write_text("half")
    store.write(dataset, tmp_path / "d.h5", sweep=False)
    assert stale in leftovers(tmp_path)
    store.write(dataset, tmp_path / "d.h5", overwrite=True)
    assert leftovers(tmp_path) == sorted([*kept, "d.h5"])


def test_half_a_file_is_not_taken_for_a_data_set(written, tmp_path):
    half = tmp_path / f".d.h5.host.1.{UNIQUE}.tmp"
    half.write_bytes(written.read_bytes()[:5000])
    refused(half, "damaged or cut short")


def test_places_that_cannot_be_written_to(dataset, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for path, message in [
        (tmp_path / "missing" / "d.h5", "missing does not exist; create it first"),
        (tmp_path / "file" / "d.h5", "file does not exist"),
        (tmp_path, "it is a folder"),
        ("/dev/null", "not a plain file"),
        (tmp_path / "dangling", "not a plain file"),
        (tmp_path / "a\0b", "no NUL character"),
        (tmp_path / ("x" * 300), "too long"),
    ]:
        with pytest.raises(UsageError, match=message):
            store.write(dataset, path, overwrite=True)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(UsageError, match="does not allow it"):
        store.check_target(tmp_path / "d.h5")
    assert leftovers(tmp_path) == ["dangling", "file"]


def test_a_folder_that_refuses_only_when_written_to(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "_write_synced", raising(errno.EROFS))
    with pytest.raises(UsageError, match="Read-only file system"):
        store.write(dataset, tmp_path / "d.h5")


def test_folders_that_cannot_be_synced_are_fine(dataset, tmp_path, monkeypatch):
    true_fsync = os.fsync

    def fsync(descriptor):
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.EINVAL, "no")
        true_fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    store.write(dataset, tmp_path / "d.h5")
    store.verify(tmp_path / "d.h5")


# ----------------------------------------------------------------------------------------- not a file of ours


def refused(path, message, error=InputError):
    for read in (store.verify,) if error is CheckFailed else (store.verify, store.load):
        with pytest.raises(error, match=message) as caught:
            read(path)
        assert str(caught.value).startswith(f"{path}: ")
        assert "\n" not in str(caught.value)


def test_paths_that_are_no_files(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "missing.h5", "no such file")
    refused(tmp_path, "it is a folder")
    refused(tmp_path / "pipe", "not a plain file")
    refused(tmp_path / "a\0b", "cannot be opened")


def test_files_that_are_not_hdf5(tmp_path, written):
    for content, message in [
        (b"", "is empty"),
        (b"run,loss\n1,2\n" * 100, "not an HDF5 file"),
        (b"\0" * 512 + written.read_bytes(), "not an HDF5 file"),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 500, "damaged"),
    ]:
        (tmp_path / "d.h5").write_bytes(content)
        refused(tmp_path / "d.h5", message)


def test_truncated_files(written, tmp_path):
    image = written.read_bytes()
    for length in np.unique(np.geomspace(1, len(image) - 1, 60).astype(int)):
        (tmp_path / "d.h5").write_bytes(image[:length])
        refused(tmp_path / "d.h5", "not an HDF5 file" if length < 8 else "damaged or cut short")


def test_foreign_hdf5_files(tmp_path):
    with h5py.File(tmp_path / "d.h5", "x") as file:
        file["loss"] = np.zeros(3)
    refused(tmp_path / "d.h5", "not a data set of CurveBench")
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file.attrs["format"] = np.bytes_("anndata")
    refused(tmp_path / "d.h5", "not a data set of CurveBench")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("format_version", "2", "its format version is '2'; this program reads version 1; update"),
        ("format_version", "one", "its format version is 'one'"),
        ("format_version", None, "its format version is 'none'"),
        ("remedies", None, "attributes remedies are missing"),
        ("content_sha256", None, "attributes content_sha256 are missing"),
        ("remedies", "[", "'remedies' does not hold what the format asks for"),
        ("remedies", '[{"action":"none","factor":1.0,"at":0.0}]', "points outside the 1 remedies"),
        ("recipe_text", "other", "not the SHA-256"),
        ("thresholds", '{"material":NaN}', "not finite"),
        ("licence", b"\xff\xfe", "not UTF-8"),
    ],
)
def test_broken_attributes(copied, name, value, message):
    with h5py.File(copied, "r+") as file:
        del file.attrs[name]
        if value is not None:
            file.attrs[name] = np.bytes_(value if isinstance(value, bytes) else value.encode())
    refused(copied, message)


def test_a_list_of_remedies_of_another_length(copied):
    with h5py.File(copied, "r+") as file:
        remedies = json.loads(file.attrs["remedies"])[:-1]
        file.attrs["remedies"] = np.bytes_(json.dumps(remedies))
    refused(copied, "`remedy_gain` has 9 along the axis remedy; the list of remedies has 8")


@pytest.mark.parametrize("value", ["of variable length", 3, np.array([b"a", b"b"])])
@pytest.mark.parametrize("name", ["format", "engine"])
def test_attributes_of_other_types(copied, name, value):
    with h5py.File(copied, "r+") as file:
        del file.attrs[name]
        file.attrs[name] = value
    refused(copied, f"attribute '{name}' is not one text of fixed length")


def test_a_newer_format_is_named_as_such_whatever_else_is_new(copied):
    with h5py.File(copied, "r+") as file:
        file.attrs["format_version"] = np.bytes_("17")
        del file["run"]
        file.create_group("curves")
    refused(copied, "format version is '17'")


# ---------------------------------------------------------------------------------------- hostile and broken


def lists_of_numbers(n):
    values = np.empty(n, dtype=h5py.vlen_dtype("i4"))
    values[:] = [np.zeros(2, dtype="i4")] * n
    return values


def test_missing_columns(copied):
    with h5py.File(copied, "r+") as file:
        del file["loss_cap"], file["seed"]
    refused(copied, "columns seed, loss_cap are missing")


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("train_loss", lambda v: v.astype("f8"), "`train_loss` has the type '<f8'; the format asks for '<f4'"),
        ("train_loss", lambda v: v.astype(">f4"), "`train_loss` has the type '>f4'"),
        ("train_loss", lambda v: v.astype("c8"), "does not hold numbers or text of fixed length"),
        ("train_loss", lambda v: v[:, :3], "`train_loss` has 3 along the axis point; `step` has 8"),
        ("train_loss", lambda v: v[:5], "`train_loss` has 5 along the axis run"),
        ("train_loss", lambda v: v[0], r"has the shape \(8,\)"),
        ("train_loss", lambda v: np.float32(1), r"has the shape \(\)"),
        ("train_loss", lambda v: h5py.Empty("f4"), r"has the shape \(\)"),
        ("accepted", lambda v: v.astype(bool), "`accepted` does not hold numbers or text"),
        ("seed", lambda v: v.astype("i8"), "'<i8'; the format asks for '<i2'"),
        ("run", lambda v: v.astype("S40"), r"'\|S40'; the format asks for 'S32'"),
        ("run", lambda v: v.astype(h5py.string_dtype()), "text of variable length"),
        ("run", lambda v: np.repeat(v[:1], len(v)), "names 1 runs more than once"),
        ("run", lambda v: np.array([b"\xff%d" % i for i in range(len(v))], dtype="S32"), "not UTF-8"),
        ("split", lambda v: np.full_like(v, b"valid"), "`split` holds 'valid' in 24 rows"),
        ("group", lambda v: np.full(len(v), None, dtype=h5py.ref_dtype), "does not hold numbers or text"),
        ("group", lambda v: np.zeros(len(v), dtype=[("a", "i4")]), "does not hold numbers or text"),
        ("group", lambda v: np.zeros(len(v), dtype="V4"), "does not hold numbers or text"),
        ("group", lambda v: np.zeros(len(v), dtype=h5py.enum_dtype({"a": 0})), "does not hold numbers or text"),
        ("group", lambda v: lists_of_numbers(len(v)), "does not hold numbers or text"),
    ],
)
def test_columns_of_other_types_shapes_and_values(copied, name, change, message):
    replace_column(copied, name, lambda file, values: file.create_dataset(name, data=change(values)))
    refused(copied, message)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_before_any_array_is_read(copied, monkeypatch, name):
    make, message = HOSTILE[name]
    make_hostile(copied, make)

    def read(*arguments):
        raise AssertionError("an array was read")

    monkeypatch.setattr(h5py.Dataset, "__getitem__", read)
    refused(copied, message)


def test_what_hangs_or_crashes_hdf5_does_so_elsewhere(copied, monkeypatch):
    here = os.getpid()

    def endless(file):
        while os.getpid() != here:
            pass

    monkeypatch.setattr(store, "REHEARSAL_SECONDS", 0.3)
    monkeypatch.setattr(store, "_read_attributes", endless)
    refused(copied, r"in a process of its own, and it took longer than 0\.\d+ s; do not trust the file")
    monkeypatch.setattr(store, "_read_attributes", lambda file: os.abort() if os.getpid() != here else None)
    refused(copied, "in a process of its own, and it crashed with SIGABRT")


@pytest.fixture
def no_fork_lives(monkeypatch):
    """Every fork of this process crashes before it does anything, as beside Ray at times."""
    monkeypatch.setattr(os, "fork", forking_into(die))


def test_a_file_that_is_changed_after_its_rehearsal_is_not_read(copied, tmp_path, monkeypatch):
    real = store.rehearse

    def rehearse_then_change(action, limits):
        real(action, limits)
        os.utime(copied, ns=(0, 0))

    monkeypatch.setattr(store, "rehearse", rehearse_then_change)
    refused(copied, "it was changed while it was read; try again")
    with pytest.raises(InputError, match="it was changed while it was read"), store.open_rows(copied):
        pass


def test_a_relative_path_means_the_same_to_the_other_program(copied, tmp_path, monkeypatch, no_fork_lives):
    assert store.load(copied).n_runs == 24  # the program is started here
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    Path("other.h5").write_bytes(copied.read_bytes())
    assert store.load("other.h5").n_runs == 24


def test_where_no_fork_lives_files_are_rehearsed_by_another_program(copied, tmp_path, no_fork_lives):
    assert store.load(copied).n_runs == 24
    replace_column(copied, "seed", lambda file, values: file.create_dataset("seed", data=values.astype("f8")))
    refused(copied, "`seed` has the type '<f8'")
    (tmp_path / "cut.h5").write_bytes(copied.read_bytes()[:5000])
    refused(tmp_path / "cut.h5", "damaged or cut short")


def test_true_inflation_is_limited_by_the_caller(written, dataset):
    n_bytes = sum(to_stored(column, dataset[name]).nbytes for name, column in COLUMNS.items())
    assert store.load(written, max_bytes=n_bytes).n_runs == 24
    with pytest.raises(InputError, match=f"declares {n_bytes} bytes of data; the limit is {n_bytes - 1}"):
        store.load(written, max_bytes=n_bytes - 1)


def test_the_best_compressible_columns_pass_the_screen(make_dataset, tmp_path):
    dataset = make_dataset(n_cells=1, n_rates=1, n_seeds=2, n_points=500_000)
    columns = {n: v if COLUMNS[n].is_text else np.zeros_like(v) for n, v in dataset.columns.items()}
    store.write(Dataset(columns, dataset.meta), tmp_path / "d.h5")
    store.verify(tmp_path / "d.h5")


def test_unknown_columns_are_ignored(copied, dataset):
    with h5py.File(copied, "r+") as file:
        file["of_the_future"] = np.zeros((3, 3))
        file.attrs["of_the_future"] = 1
    assert_same(store.load(copied), dataset)
    store.verify(copied)


# ---------------------------------------------------------------------------------------------------- damage


def test_changed_content_fails_the_check(copied):
    with h5py.File(copied, "r+") as file:
        file["train_loss"][3, 3] = 17
    refused(copied, "content hash is [0-9a-f]{64}, but '[0-9a-f]{64}' was written", CheckFailed)
    assert store.load(copied)["train_loss"][3, 3] == 17


def test_the_checksums_of_the_file_find_changed_bytes(copied):
    with h5py.File(copied) as file:
        place = file["train_loss"].id.get_chunk_info(0).byte_offset
    image = bytearray(copied.read_bytes())
    image[place + 40] ^= 1
    copied.write_bytes(image)
    refused(copied, "damaged")
    assert store.read_meta(copied).engine == "made-up"


@pytest.mark.parametrize("seed", range(4))
def test_no_changed_byte_goes_unnoticed(written, dataset, tmp_path, seed):
    rng = np.random.default_rng(seed)
    image, path = written.read_bytes(), tmp_path / "d.h5"
    for place in rng.integers(0, len(image) if seed % 2 else 6000, 75):
        mutant = bytearray(image)
        mutant[place] ^= rng.integers(1, 256)
        path.write_bytes(mutant)
        try:
            store.verify(path)
        except (InputError, CheckFailed):
            continue
        assert_same(store.load(path), dataset)


def test_words_of_zeros_that_become_ones_are_found(copied, dataset):
    """The one change that fletcher32 by itself is blind to."""
    with h5py.File(copied, "r+") as file:
        values = np.linspace(0, 1, 24, dtype=np.float32)
        del file["loss_floor"]
        file.create_dataset("loss_floor", data=values, chunks=values.shape, fletcher32=True)
        place = file["loss_floor"].id.get_chunk_info(0).byte_offset
    image = bytearray(copied.read_bytes())
    assert struct.unpack_from("<f", image, place) == (0.0,)
    image[place : place + 4] = b"\xff" * 4
    copied.write_bytes(image)
    refused(copied, "content hash", CheckFailed)


# ------------------------------------------------------------------------------------------ reading in parts


@pytest.mark.parametrize("n_bytes", [1, 5000, 10**9])
def test_the_parts_of_a_file_are_what_loading_it_gives(make_dataset, tmp_path, n_bytes):
    path = tmp_path / "a.h5"
    store.write(make_dataset(n_cells=6, n_points=4), path)
    whole = store.load(path)
    with store.open_rows(path) as opened:
        assert (opened.n_runs, opened.n_points, opened.meta) == (len(whole), whole.n_points, whole.meta)
        assert opened.content_sha256 == content_sha256(whole)
        assert opened.column("diagnosis").tolist() == whole.labels.tolist()
        assert opened.row_bytes == sum(to_stored(COLUMNS[n], v).nbytes for n, v in whole.columns.items()) / len(whole)
        parts = list(opened.batches(n_bytes))
    assert all(len(part) == 1 or len(part) * opened.row_bytes <= n_bytes for part in parts)
    assert content_sha256(concatenate(parts)) == content_sha256(whole)


@pytest.mark.parametrize("n_bytes", [1, 5000, 10**9])
def test_the_parts_of_a_folder_are_those_of_its_one_file(make_dataset, tmp_path, n_bytes):
    write_folder(by_group(make_dataset(n_cells=8, n_points=4)), tmp_path / "shards")
    store.pack(tmp_path / "shards", tmp_path / "a.h5")
    with store.open_rows(tmp_path / "shards") as folder, store.open_rows(tmp_path / "a.h5") as file:
        for name in ("meta", "n_runs", "n_points", "content_sha256", "row_bytes"):
            assert getattr(folder, name) == getattr(file, name)
        assert folder.column("diagnosis").tolist() == file.column("diagnosis").tolist()
        parts, wanted = list(folder.batches(n_bytes)), list(file.batches(n_bytes))
    assert [content_sha256(part) for part in parts] == [content_sha256(part) for part in wanted]


def test_a_folder_without_rows_has_no_parts(make_dataset, tmp_path):
    write_folder(make_dataset(n_cells=3).select([]), tmp_path / "shards")
    with store.open_rows(tmp_path / "shards") as opened:
        assert (opened.n_runs, list(opened.batches()), opened.column("run").tolist()) == (0, [], [])


def test_whoever_reads_in_parts_keeps_his_own_errors(make_dataset, tmp_path):
    store.write(make_dataset(n_cells=3), tmp_path / "a.h5")
    with pytest.raises(OSError, match="mine"), store.open_rows(tmp_path / "a.h5"):
        raise OSError("mine")
    with pytest.raises(InputError, match="no such file"), store.open_rows(tmp_path / "b.h5"):
        pass


def test_what_was_read_well_is_rehearsed_again_only_after_a_change(make_dataset, tmp_path, monkeypatch):
    path, rehearsed = tmp_path / "made-up.h5", []
    real = store.rehearse
    monkeypatch.setattr(store, "rehearse", lambda action, limits: (rehearsed.append(1), real(action, limits)))

    def n_rehearsals(action):
        rehearsed.clear()
        action()
        return len(rehearsed)

    store.write(make_dataset(n_cells=6), path)
    assert [n_rehearsals(lambda: store.read_columns(path, ["run", "split"])) for _ in range(2)] == [1, 0]
    assert n_rehearsals(lambda: store.read_columns(path, ["split", "seed"])) == 0
    assert n_rehearsals(lambda: store.load(path)) == 0
    os.utime(path, ns=(0, 0))
    assert n_rehearsals(lambda: store.load(path)) == 1
    store.write(make_dataset(n_cells=6, seed=1), path, overwrite=True)
    assert n_rehearsals(lambda: store.load(path)) == 1
    with open(path, "r+b") as file:
        file.truncate(1000)
    for _ in range(2):
        rehearsed.clear()
        with pytest.raises(InputError):
            store.load(path)
        assert rehearsed, "what went wrong is not remembered as good"
