"""Whatever is given, the answer is a sentence and an exit code, and what was there before is still there."""

from __future__ import annotations

import dataclasses
import errno
import os
import resource
from pathlib import Path

import h5py
import numpy as np
import pytest
from command import command
from extras import is_installed
from oracles.tiny_recipe import TINY, tiny_text

from curvebench.data import store
from curvebench.data.dataset import Dataset
from curvebench.diagnosers import DIAGNOSERS
from curvebench.generation.label import Thresholds
from curvebench.spec import SPLITS

USAGE, BAD_INPUT = 2, 3


@pytest.fixture(scope="module")
def dataset(make_dataset):
    made = make_dataset(n_cells=12, n_points=8)
    return Dataset(made.columns, dataclasses.replace(made.meta, thresholds=Thresholds().to_dict()))


@pytest.fixture(scope="module")
def image(dataset, tmp_path_factory):
    """The bytes of a good file."""
    path = tmp_path_factory.mktemp("good") / "good.h5"
    store.write(dataset, path)
    return path.read_bytes()


@pytest.fixture
def good(image, tmp_path):
    path = tmp_path / "good.h5"
    path.write_bytes(image)
    return path


def contents(folder: Path) -> dict[str, bytes | None]:
    """Every file of a folder with its bytes; folders with None."""
    return {
        path.relative_to(folder).as_posix(): None if path.is_dir() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
    }


def refuses(code, *arguments, words=(), folder=None):
    """Run a command that must fail with one sentence and leave a folder as it was; what it said."""
    before = contents(folder) if folder else None
    done = command(*arguments)
    assert done.code == code, done
    assert done.out == ""
    assert [line.startswith("error: ") for line in done.err.splitlines()].count(True) == 1, done.err
    assert "Traceback" not in done.err
    assert "Error(" not in done.err
    for word in (words,) if isinstance(words, str) else words:
        assert word in done.err
    if folder:
        assert contents(folder) == before
    return done.err


# ------------------------------------------------------------------------------------ data sets that are none


def missing(path, image):
    pass


def empty(path, image):
    path.write_bytes(b"")


def truncated(path, image):
    path.write_bytes(image[: len(image) // 2])


def short_of_one_byte(path, image):
    path.write_bytes(image[:-1])


def not_hdf5(path, image):
    path.write_bytes(b"name,loss\na,1\n" * 100)


def foreign(path, image):
    with h5py.File(path, "w") as file:
        file["weights"] = np.zeros(3)


def newer(path, image):
    path.write_bytes(image)
    with h5py.File(path, "r+") as file:
        file.attrs.create("format_version", np.array(b"2", dtype="S1"))


def bit_flipped(path, image):
    """A bit in the compressed bytes of the curves."""
    path.write_bytes(image)
    with h5py.File(path) as file:
        place = file["train_loss"].id.get_chunk_info(0).byte_offset
    flipped = bytearray(image)
    flipped[place + 10] ^= 4
    path.write_bytes(flipped)


def folder(path, image):
    path.mkdir()


def unreadable(path, image):
    """Root may read everything but the memory of a process at address 0."""
    path.write_bytes(image)
    path.chmod(0)
    if os.access(path, os.R_OK):
        path.unlink()
        path.symlink_to("/proc/self/mem")


FAULTY = {
    missing: "there is no such file",
    empty: "the file is empty",
    truncated: "damaged or cut short",
    short_of_one_byte: "damaged or cut short",
    not_hdf5: "not an HDF5 file",
    foreign: "not a data set of CurveBench",
    newer: "format version is '2'; this program reads version 1",
    bit_flipped: "damaged or cut short",
    folder: "it is a folder",
    unreadable: "cannot be opened",
}
"""How to make a faulty file -> words of the sentence."""

READERS = {
    "info": (),
    "verify": (),
    "evaluate": (),
    "relabel": ("-o", "out.h5"),
    "plot": ("-o", "out.png"),
    "audit": ("-o", "out.md"),
}
"""Command that reads a data set -> what else it is given."""


@pytest.mark.parametrize(
    "arguments", [*([name, "NAME", *more] for name, more in READERS.items()), ["evaluate", "mini", "--fit-on", "NAME"],
    ["leaderboard", "run", "NAME", "-d", "rules"], ["leaderboard", "rerun", "NAME", "--seed", "8"],
    ["export", "NAME", "--to", "ts", "-o", "out"]]
)  # fmt: skip
def test_a_name_that_no_file_can_have(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = "x" * 300 + ".h5"
    said = refuses(BAD_INPUT, *(name if word == "NAME" else word for word in arguments), folder=tmp_path)
    assert name in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("make", FAULTY, ids=lambda make: make.__name__)
def test_faulty_data_sets(make, name, image, tmp_path, monkeypatch):
    path = tmp_path / "data.h5"
    make(path, image)
    monkeypatch.chdir(tmp_path)
    before = {} if make is unreadable else contents(tmp_path)
    said = refuses(BAD_INPUT, name, path, *READERS[name], words=(str(path), FAULTY[make]))
    assert said.count("\n") == 1
    assert said.startswith("error: ")
    if make is not unreadable:
        assert contents(tmp_path) == before


# --------------------------------------------------------------------------------- data sets with odd content


@pytest.fixture
def empty_file(dataset, tmp_path):
    store.write(dataset.select([]), tmp_path / "empty.h5")
    return tmp_path / "empty.h5"


def test_an_empty_data_set(empty_file, tmp_path):
    assert command("info", empty_file, "--json").json["n_runs"] == 0
    assert command("info", empty_file).code == 0
    assert command("verify", empty_file).code == 0
    refuses(BAD_INPUT, "evaluate", empty_file, words="no runs that are scored", folder=tmp_path)
    refuses(BAD_INPUT, "evaluate", empty_file, "--split", "test", words="no runs that are scored", folder=tmp_path)
    refuses(BAD_INPUT, "plot", empty_file, "-o", tmp_path / "x.png", words="no runs", folder=tmp_path)
    refuses(BAD_INPUT, "relabel", empty_file, "-o", tmp_path / "x.h5", words="at least two", folder=tmp_path)
    refuses(BAD_INPUT, "audit", empty_file, words="no label can be tested again", folder=tmp_path)


def of_one_point(dataset):
    one = {name: values[..., :1] for name, values in dataset.columns.items() if values.shape[-1:] == (8,)}
    return Dataset({**dataset.columns, **one, "length": np.ones(len(dataset), dtype="<i4")}, dataset.meta)


def all_nan(dataset):
    names = ("train_loss", "val_loss", "grad_norm", "learning_rate", "resumed_train_loss")
    return Dataset({**dataset.columns, **{n: np.full_like(dataset[n], np.nan) for n in names}}, dataset.meta)


@pytest.mark.parametrize("odd", [of_one_point, all_nan])
def test_odd_curves_are_judged_drawn_and_relabelled_like_any(odd, dataset, tmp_path):
    path = tmp_path / "odd.h5"
    store.write(odd(dataset), path)
    names = [name for name, entry in DIAGNOSERS.items() if entry.kind != "tool" and is_installed(name)]
    diagnosers = [word for name in names for word in ("-d", name)]
    done = command("evaluate", path, *diagnosers, "--json")
    assert (done.code, done.err) == (0, "")
    assert {result["status"] for result in done.json["results"]} == {"ok"}
    for arguments in (["info", path], ["verify", path], ["plot", path, "-o", tmp_path / "x.png"]):
        assert command(*arguments).code == 0
    assert command("plot", path, dataset["run"][0], "-o", tmp_path / "run.png").code == 0
    assert command("relabel", path, "-o", tmp_path / "x.h5").code == 0
    done = command("audit", path, "--no-retrain", "--json")
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert {check["status"] for check in done.json["checks"].values()} == {"passed", "failed", "not measured"}


def test_a_data_set_labelled_by_other_rules_is_not_relabelled(dataset, tmp_path):
    other = Dataset(dataset.columns, dataclasses.replace(dataset.meta, thresholds={"patience": 3.0}))
    store.write(other, tmp_path / "other.h5")
    refuses(BAD_INPUT, "relabel", tmp_path / "other.h5", "-o", tmp_path / "x.h5", words="patience", folder=tmp_path)
    assert command("plot", tmp_path / "other.h5", dataset["run"][0], "-o", tmp_path / "x.png").code == 0


# ------------------------------------------------------------------------------------------------ recipes

TEN_FAULTS = tiny_text(
    ("format = 1", "format = 2"),
    ('name = "tiny"', 'name = "../tiny"'),
    ("master_seed = 11", "master_seed = -1"),
    ('engine = "torch"', 'engine = "abacus"'),
    ("n_points = 16", 'n_points = "many"'),
    ("depth = 1", "depth = 1.5"),
    ('activation = "tanh"\n\n[[settings]]', 'activation = "softtanh"\n\n[[settings]]'),
    ("epochs = 8", "epochs = 0"),
    ('schedules = ["constant", "cosine-100"]', 'schedules = ["constant", "cosine-10"]'),
    ("seeds = 2", "seeds = 2\npatience = 3"),
)
PLACES = (
    "format", "name", "master_seed", "engine", "n_points", "networks[0].depth", "networks[0].activation",
    "settings[0].epochs", "mix[0].schedules", "sweep.patience",
)  # fmt: skip


def test_a_recipe_with_ten_faults_is_told_all_of_them_at_once(tmp_path):
    path = tmp_path / "faulty.toml"
    path.write_text(TEN_FAULTS)
    said = refuses(BAD_INPUT, "generate", path, "-o", tmp_path / "x.h5", folder=tmp_path).splitlines()
    assert said[0] == f"error: {path} has 10 faults:"
    assert sorted(line.split(":")[0].strip() for line in said[1:]) == sorted(PLACES)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x00\x01\xfe\xff" * 500, "cannot be read"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "cannot be read"),
        (b"", "faults"),
        (b"name = ", "not valid TOML"),
        (b"a = [" * 10_000, "not valid TOML"),
        (b"a = [" * 100_000, "the text has 500000 bytes"),
        (b"a" + b".a" * 25_000 + b" = 1", "a line has 25000 dots; at most 200 are read"),
        (b"#" * 2_000_000, "it has more than 1,048,576 bytes"),
        (b'format = 1\n"name" = 3', "faults"),
        (None, "cannot be read"),
    ],
    ids=["junk", "picture", "empty", "cut-short", "deep", "long", "dots", "huge", "wrong", "folder"],
)
def test_recipes_that_are_none(content, words, tmp_path):
    path = tmp_path / "recipe.toml"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    for arguments in (["generate", path, "-o", tmp_path / "x.h5"], ["recipes", path]):
        refuses(BAD_INPUT, *arguments, words=(str(path), words), folder=tmp_path)


def test_an_unknown_recipe_is_told_the_known_ones(tmp_path):
    said = refuses(BAD_INPUT, "generate", "quik", "-o", tmp_path / "x.h5", words=("'quik'", "core", "quick"))
    assert "Did you mean 'quick'?" in said


# -------------------------------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    "name", ["nonsense", "rule", "", "no.such.module:thing", "math:no_such_thing", "math:pi", ":", "a:"]
)
def test_unknown_diagnosers(name, good, tmp_path):
    words = () if ":" in name else ("Did you mean 'rules'",) if name == "rule" else list(DIAGNOSERS)
    refuses(USAGE, "evaluate", good, "-d", name, words=words, folder=tmp_path)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["evaluate", "good.h5", "--split", "holdout"], SPLITS),
        (["evaluate", "good.h5", "--track", "race"], ("curve", "telemetry", "config")),
        (["plot", "good.h5", "no-such-run", "-o", "x.png"], ("no-such-run", "Runs are named like")),
        (["plot", "good.h5", "0-0-0-0", "--lookalikes", "-o", "x.png"], ("ask for one of them",)),
        (["plot", "good.h5", "-o", "x.gif"], (".png", ".svg", ".pdf")),
        (["relabel", "good.h5", "--confidence", "0.91", "-o", "x.h5"], ("0.8", "0.9", "0.95", "0.975")),
        (["relabel", "good.h5", "--material-gain", "nan", "-o", "x.h5"], ("material_gain",)),
        (["relabel", "good.h5", "--material-gain", "1", "-o", "x.h5"], ("material_gain", "less than 1")),
        (["relabel", "good.h5", "--tie", "-1", "-o", "x.h5"], ("tie",)),
        (["generate", "tiny.toml", "-o", "x.h5", "--device", "abacus", "--quiet"], ("abacus", "--device cpu")),
        (["generate", "tiny.toml", "-o", "x.h5", "--device", "meta", "--quiet"], ("meta", "--device cpu")),
    ],
)
def test_values_that_are_not_allowed(arguments, words, good, tmp_path, monkeypatch):
    (tmp_path / "tiny.toml").write_text(TINY)
    monkeypatch.chdir(tmp_path)
    refuses(USAGE, *arguments, words=words, folder=tmp_path)


# ------------------------------------------------------------------------------------------------- outputs

WRITERS = {
    "generate": ("tiny.toml", "out.h5"),
    "relabel": ("good.h5", "out.h5"),
    "plot": ("good.h5", "out.png"),
}
"""Command that writes a file -> what it reads, and how its output may be called."""


@pytest.fixture(params=WRITERS)
def writer(request, good, tmp_path, monkeypatch):
    """In a folder with inputs: how to run a command with some output."""
    (tmp_path / "tiny.toml").write_text(TINY)
    monkeypatch.chdir(tmp_path)
    given, output = WRITERS[request.param]
    more = ["--quiet", "--workers", "1"] if request.param == "generate" else []

    def arguments(folder="."):
        return [request.param, given, "-o", Path(folder) / output, *more]

    return arguments


def test_output_in_a_missing_folder(writer, tmp_path):
    refuses(USAGE, *writer("no/such/folder"), words=("no/such/folder", "create it first"), folder=tmp_path)


def test_output_below_a_file(writer, tmp_path):
    refuses(USAGE, *writer("tiny.toml"), words="does not exist", folder=tmp_path)


def test_output_that_is_a_folder(writer, tmp_path):
    writer()[3].mkdir()
    refuses(USAGE, *writer(), words="it is a folder", folder=tmp_path)
    refuses(USAGE, *writer(), "--force", words="it is a folder", folder=tmp_path)


@pytest.mark.parametrize("output", ["", ".", "/", ".."])
def test_output_that_has_no_name(output, tmp_path, monkeypatch):
    (tmp_path / "tiny.toml").write_text(TINY)
    monkeypatch.chdir(tmp_path)
    refuses(
        USAGE,
        "generate",
        "tiny.toml",
        "-q",
        "-o",
        output,
        words=("cannot be written", "already exists")[output.endswith("/")],
    )
    assert os.listdir(tmp_path) == ["tiny.toml"]


def test_output_that_exists(writer, tmp_path):
    writer()[3].write_text("precious")
    refuses(USAGE, *writer(), words="already exists", folder=tmp_path)


@pytest.mark.parametrize(
    ("output", "words"), [("no/such/folder/x.md", "create it first"), ("good.h5", "already exists"), (".", "a folder")]
)
def test_outputs_of_an_audit_are_looked_at_before_any_work(output, words, good, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refuses(USAGE, "audit", good, "-o", output, words=words, folder=tmp_path)


def test_what_was_not_generated_can_not_be_trained_again(good, tmp_path):
    refuses(BAD_INPUT, "audit", good, words="the recipe in the data set has", folder=tmp_path)
    assert command("audit", good, "--no-retrain", "-q").code == 1


def test_a_second_data_set_that_is_none(good, tmp_path):
    (tmp_path / "other.h5").write_bytes(b"nothing of the kind")
    refuses(BAD_INPUT, "audit", good, "--against", tmp_path / "other.h5", words="other.h5", folder=tmp_path)


def test_output_with_a_name_that_is_too_long(writer, tmp_path):
    command_, given, output, path, *more = writer()
    refuses(USAGE, command_, given, output, "x" * 300 + path.suffix, *more, words="cannot be written", folder=tmp_path)


def without_parts(folder):
    """Contents but for the finished groups, which `generate` keeps to go on from."""
    return {name: image for name, image in contents(folder).items() if not name.startswith("out.h5.parts")}


@pytest.mark.parametrize("exists", [False, True])
def test_a_disk_that_is_full(writer, exists, tmp_path):
    if exists:
        writer()[3].write_text("precious")
    before = without_parts(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
    try:
        done = command(*writer(), "--force")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (done.code, done.out) == (USAGE, "")
    assert done.err.startswith("error: ")
    assert "there is no room" in done.err
    assert done.err.count("\n") == 1
    assert without_parts(tmp_path) == before
    assert not [name for name in contents(tmp_path) if name.endswith(".tmp")]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_disk_that_fails_at_the_last_moment(writer, code, tmp_path, monkeypatch):
    def fail(*arguments, **options):
        raise OSError(code, os.strerror(code))

    writer()[3].write_text("precious")
    before = without_parts(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        done = command(*writer(), "--force")
    assert (done.code, done.out) == (USAGE, "")
    assert os.strerror(code) in done.err
    assert without_parts(tmp_path) == before
