"""What an export refuses, what it leaves behind when it fails, what it costs, and the command."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tracemalloc
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from command import command
from oracles.folders import by_group, write_folder

from curvebench.data import store
from curvebench.data.shipped import locate
from curvebench.interchange import FORMATS, export, formats, packages
from curvebench.interchange.source import Source
from curvebench.spec import InputError, UsageError

FOLDERS = [name for name, form in FORMATS.items() if form.is_folder]


@pytest.fixture(scope="module", autouse=True)
def _with_arrow():
    pytest.importorskip("pyarrow")


@pytest.fixture(scope="module")
def dataset(make_dataset):
    return make_dataset(n_cells=12, n_points=4)


@pytest.fixture
def file(dataset, tmp_path):
    store.write(dataset, tmp_path / "a.h5")
    return tmp_path / "a.h5"


def content(path):
    """Relative name -> bytes of everything at a path."""
    if path.is_file():
        return path.read_bytes()
    return {found.relative_to(path): found.read_bytes() for found in path.rglob("*") if found.is_file()}


# ----------------------------------------------------------------------------------------------- what it writes


@pytest.mark.parametrize("to", FORMATS)
def test_the_same_export_has_the_same_bytes(file, tmp_path, to):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    first, second = (export(file, to, tmp_path / folder / "Out") for folder in ("one", "two"))
    assert content(first.output) == content(second.output)
    assert sum(first.n_bytes.values()) == sum(map(len, _values(content(first.output))))
    assert sorted(p.name for p in (tmp_path / "one").iterdir()) == ["Out"]


def _values(found):
    return found.values() if isinstance(found, dict) else [found]


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize("n_bytes", [10_000, store.BATCH_BYTES])
def test_a_folder_gives_the_bytes_that_its_one_file_gives(dataset, tmp_path, monkeypatch, to, n_bytes):
    """Parts that end amid shards, and one part of all."""
    for opened in (store.Opened, store.OpenedFolder):
        monkeypatch.setattr(opened.batches, "__defaults__", (n_bytes,))
    write_folder(by_group(dataset), tmp_path / "shards")
    store.pack(tmp_path / "shards", tmp_path / "packed.h5")
    exports = []
    for source in ("shards", "packed.h5"):
        (tmp_path / f"of-{source}").mkdir()
        exports.append(export(tmp_path / source, to, tmp_path / f"of-{source}" / "Out", scored_only=n_bytes == 10_000))
    of_folder, of_file = exports
    assert content(of_folder.output) == content(of_file.output)
    assert (of_folder.n_runs, of_folder.n_bytes) == (of_file.n_runs, of_file.n_bytes)
    assert store.verify(tmp_path / "shards").n_shards == 7, "nothing was left in the folder"


@pytest.mark.parametrize("to", FORMATS)
def test_only_scored_runs(file, dataset, tmp_path, to):
    all_runs, scored = (export(file, to, tmp_path / str(s), scored_only=s) for s in (False, True))
    assert (all_runs.n_runs, scored.n_runs) == (len(dataset), int(dataset.is_scored.sum()))
    assert sum(scored.n_bytes.values()) < sum(all_runs.n_bytes.values())


def test_the_counts_of_a_source_are_those_of_its_parts(file):
    with store.open_rows(file) as opened:
        for scored_only in (False, True):
            source = Source(opened, scored_only, "curve", "a")
            slow = Counter((split, str(label)) for split, part in source.batches_by_split() for label in part.labels)
            assert source.counts == slow


def test_progress_ends_with_all_rows(file, dataset, tmp_path):
    seen = []
    export(file, "ts", tmp_path / "out", progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (len(dataset), len(dataset))


def test_progress_of_a_folder_is_told_in_rows(dataset, tmp_path):
    write_folder(by_group(dataset), tmp_path / "shards")
    seen = []
    export(tmp_path / "shards", "ts", tmp_path / "out", progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (len(dataset), len(dataset))


def test_a_split_without_runs_has_no_file(dataset, tmp_path):
    store.write(dataset.split("test_ood"), tmp_path / "ood.h5")
    assert list(export(tmp_path / "ood.h5", "ts", tmp_path / "Out").n_bytes) == ["Out_TEST_OOD.ts"]
    assert list(export(tmp_path / "ood.h5", "hf", tmp_path / "hf").n_bytes) == ["README.md", "data/test_ood.parquet"]


@pytest.mark.parametrize("is_folder", [False, True])
def test_memory_does_not_grow_with_the_data_set(make_dataset, tmp_path, monkeypatch, is_folder):
    """What Python and NumPy hold at the most, for a data set and for one that is four times as large."""
    for opened in (store.Opened, store.OpenedFolder):
        monkeypatch.setattr(opened.batches, "__defaults__", (50_000,))
    peaks = []
    for n_cells in (15, 60):
        made = make_dataset(n_cells=n_cells, n_points=16)
        if is_folder:
            write_folder(by_group(made), tmp_path / f"{n_cells}.h5")
        else:
            store.write(made, tmp_path / f"{n_cells}.h5")
        export(tmp_path / f"{n_cells}.h5", "ts", tmp_path / f"warm-{n_cells}")
        tracemalloc.start()
        export(tmp_path / f"{n_cells}.h5", "ts", tmp_path / f"{n_cells}")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


# ---------------------------------------------------------------------------------------------- what it refuses


@pytest.mark.parametrize("to", FORMATS)
def test_nothing_is_overwritten_unless_it_is_wished(file, tmp_path, to):
    done = export(file, to, tmp_path / "out", scored_only=True)
    before = content(done.output)
    with pytest.raises(UsageError, match="already exists"):
        export(file, to, tmp_path / "out")
    assert content(done.output) == before
    export(file, to, tmp_path / "out", overwrite=True)
    assert content(done.output) != before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.h5", "out"]


@pytest.mark.parametrize("to", FOLDERS)
@pytest.mark.parametrize("name", ["thesis.tex", "data/other.parquet", ".git/config", "more/runs.csv", "data"])
def test_a_folder_that_holds_anything_else_is_never_replaced(file, tmp_path, to, name):
    (tmp_path / "out" / name).parent.mkdir(parents=True)
    (tmp_path / "out" / name).write_text("mine")
    before = content(tmp_path / "out")
    with pytest.raises(UsageError, match=f"{name.partition('/')[0]}"):
        export(file, to, tmp_path / "out", overwrite=True)
    assert content(tmp_path / "out") == before


@pytest.mark.parametrize("to", FORMATS)
def test_nothing_is_put_into_a_folder_of_shards(dataset, tmp_path, to):
    write_folder(by_group(dataset), tmp_path / "shards")
    before = content(tmp_path / "shards")
    for output in ("shards", "shards/out"):
        with pytest.raises(UsageError, match=r"lies in it|not replaced|is a folder"):
            export(tmp_path / "shards", to, tmp_path / output, overwrite=True)
    assert content(tmp_path / "shards") == before


def test_a_damaged_shard_leaves_nothing(dataset, tmp_path):
    write_folder(by_group(dataset), tmp_path / "shards")
    last = sorted((tmp_path / "shards").glob("*.h5"))[-2]
    damaged = bytearray(last.read_bytes())
    damaged[len(damaged) // 2 :] = bytes(len(damaged) - len(damaged) // 2)
    last.write_bytes(damaged)
    with pytest.raises(InputError, match=rf"{last.name}: "):
        export(tmp_path / "shards", "ts", tmp_path / "out")
    assert os.listdir(tmp_path) == ["shards"]


def test_a_link_in_a_folder_or_to_one_is_not_followed(file, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "runs.csv").symlink_to(file)
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    for path in (tmp_path / "out", tmp_path / "link"):
        with pytest.raises(UsageError):
            export(file, "csv", path, overwrite=True)
    assert (tmp_path / "link").is_symlink()


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"to": "xlsx"}, UsageError, "parquet, hf, ts, csv, croissant"),
        ({"to": "ts", "track": "loss"}, UsageError, "curve, telemetry, config"),
        ({"to": "csv", "track": "curve"}, UsageError, "holds all columns"),
        ({"to": "hf", "output": "missing/out"}, UsageError, "does not exist; create it first"),
        ({"to": "parquet", "output": "missing/out"}, UsageError, "does not exist; create it first"),
        ({"to": "hf", "output": "a.h5", "overwrite": True}, UsageError, "not a folder"),
        ({"to": "parquet", "output": "a.h5", "overwrite": True}, UsageError, "the data set itself"),
        ({"to": "hf", "output": "o\0ut"}, UsageError, "NUL"),
        ({"to": "hf", "name_or_path": "mimi"}, InputError, "Did you mean 'mini'"),
    ],
)
def test_what_cannot_be_is_a_sentence(file, tmp_path, monkeypatch, arguments, error, words):
    monkeypatch.chdir(tmp_path)
    before = content(file)
    with pytest.raises(error, match=words):
        export(**{"name_or_path": "a.h5", "output": "out"} | arguments)
    assert content(file) == before
    assert os.listdir(tmp_path) == ["a.h5"]


@pytest.mark.parametrize("to", FORMATS)
def test_a_data_set_without_runs_is_not_exported(dataset, tmp_path, to):
    store.write(dataset.select([]), tmp_path / "none.h5")
    with pytest.raises(InputError, match="no runs to export"):
        export(tmp_path / "none.h5", to, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_without_pyarrow_it_is_named_before_anything_is_read(monkeypatch, tmp_path):
    def missing(module):
        raise ModuleNotFoundError("No module named 'pyarrow'", name="pyarrow")

    monkeypatch.setattr(packages, "import_module", missing)
    with pytest.raises(UsageError, match=r"needs pyarrow, .* pip install 'curvebench\[export\]'"):
        export("missing.h5", "hf", tmp_path / "out")
    export("mini", "ts", tmp_path / "out")


# ------------------------------------------------------------------------------------------------- when it fails


class Stop(BaseException):
    """As Ctrl-C is."""


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize("failure", [Stop(), OSError(errno.ENOSPC, "No space left on device")])
def test_a_failure_leaves_what_was_there_and_nothing_else(file, tmp_path, monkeypatch, to, failure):
    export(file, to, tmp_path / "out", scored_only=True)
    before, batches = content(tmp_path / "out"), Source.batches

    def fail_late(self):
        yield from batches(self)
        raise failure

    monkeypatch.setattr(Source, "batches", fail_late)
    with pytest.raises(Stop if isinstance(failure, Stop) else UsageError) as caught:
        export(file, to, tmp_path / "out", overwrite=True)
    if not isinstance(failure, Stop):
        assert "there is no room" in str(caught.value)
    assert content(tmp_path / "out") == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.h5", "out"]


FULL_DISK = """
import resource, sys
import pyarrow.parquet, pyarrow.csv
from curvebench.interchange import export
from curvebench.spec import UsageError
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
for to in sys.argv[1:]:
    try:
        export("mini", to, "out")
    except UsageError as error:
        print(error)
"""


def test_a_disk_that_is_really_full(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, *FORMATS], cwd=tmp_path, capture_output=True, text=True, timeout=100
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == len(FORMATS)
    assert all("out cannot be written: there is no room" in line for line in done.stdout.splitlines())
    assert os.listdir(tmp_path) == []


def test_damage_that_shows_late_leaves_nothing(tmp_path):
    damaged = bytearray(locate("mini").read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF
    (tmp_path / "a.h5").write_bytes(damaged)
    with pytest.raises(InputError, match=r"a\.h5: "):
        export(tmp_path / "a.h5", "ts", tmp_path / "out")
    assert os.listdir(tmp_path) == ["a.h5"]


def test_a_failure_of_the_output_is_not_blamed_on_the_data_set(file, tmp_path, monkeypatch):
    def fail(source, folder):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(formats, "FORMATS", {"ts": replace(FORMATS["ts"], write=fail)})
    with pytest.raises(UsageError) as caught:
        export(file, "ts", tmp_path / "out")
    assert str(caught.value) == f"{tmp_path / 'out'} cannot be written: Read-only file system."


# ------------------------------------------------------------------------------------------------- the command


def test_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = command("export", "mini", "--to", "ts", "-o", "Curves")
    assert (done.code, done.err) == (0, "")
    assert "1,800" in done.out
    again = command("export", "mini", "--to", "ts", "-o", "Curves")
    assert (again.code, again.out) == (2, "")
    assert again.err.endswith("already exists; choose another name or allow it to be overwritten.\n")
    forced = command("export", "mini", "--to", "ts", "-o", "Curves", "--force", "--scored-only", "--json")
    assert (forced.code, forced.json["output"], forced.json["n_runs"]) == (0, "Curves", 1800)
    assert set(forced.json["n_bytes"]) == {f"Curves_{split}.ts" for split in ("TRAIN", "TEST", "TEST_OOD")}
    assert command("export", "missing.h5", "--to", "ts", "-o", "x").code == 3
    assert command("export", "mini", "--to", "pdf", "-o", "x").code == 2


def test_a_title_is_the_name_of_the_folder_without_blanks(file, tmp_path):
    done = export(file, "ts", tmp_path / "my curves")
    assert "my-curves_TRAIN.ts" in done.n_bytes
    text = (done.output / "my-curves_TRAIN.ts").read_text()
    assert "\n@problemName my-curves\n" in text


def test_float32_as_text_is_its_shortest_form():
    assert np.float32([0.1, 1e-45, np.inf, -0.0]).astype("U16").tolist() == ["0.1", "1e-45", "inf", "-0.0"]
