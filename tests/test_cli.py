"""Every command, as a person and as a program meets it."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import shlex
import subprocess
import sys

import h5py
import pytest
from command import Terminal, command
from oracles.tiny_recipe import TINY
from typer.main import get_command

import curvebench
from curvebench.cli import data_sets
from curvebench.cli.app import FIRST_STEPS, PANELS, app
from curvebench.data import store
from curvebench.data.dataset import content_sha256
from curvebench.data.phenomena import PHENOMENA, count_phenomena
from curvebench.data.shipped import locate
from curvebench.data.subset import subset
from curvebench.diagnosers import DIAGNOSERS
from curvebench.diagnosers.conformance import CHECKS
from curvebench.evaluation import audit as audits
from curvebench.evaluation import evaluate as evaluation
from curvebench.evaluation.audit.report import THRESHOLDS
from curvebench.evaluation.compare import COMPARED, compare
from curvebench.evaluation.scores import SCORES
from curvebench.generation import generate as generation
from curvebench.generation import recipe as recipes
from curvebench.generation.generate import Limits
from curvebench.generation.label import Thresholds
from curvebench.generation.recipe import load_recipe, shipped_recipes
from curvebench.spec import LABELS, SPLITS

COMMANDS = (
    "generate", "info", "verify", "relabel", "subset", "plot", "phenomena", "evaluate", "compare", "audit", "claims",
    "logs", "recipes", "documented", "diagnosers", "check-diagnoser", "fit", "export",
)  # fmt: skip
SUMMARY = {"n_runs", "n_cells", "labels", "splits", "content_sha256", "recipe", "format_version"}


@pytest.fixture(scope="module")
def dataset(make_dataset):
    made = make_dataset(n_cells=24, n_points=12)
    return curvebench.Dataset(made.columns, dataclasses.replace(made.meta, thresholds=Thresholds().to_dict()))


@pytest.fixture(scope="module")
def file(dataset, tmp_path_factory):
    path = tmp_path_factory.mktemp("cli") / "made-up.h5"
    store.write(dataset, path)
    return path


@pytest.fixture(autouse=True)
def _ordinary_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")


def lengths(text):
    return [len(line) for line in text.splitlines()]


# ------------------------------------------------------------------------------------------- first contact


def test_without_arguments_it_says_what_to_do_first():
    done = command()
    assert (done.code, done.err) == (0, "")
    assert done.out.index("What to do first:") < done.out.index("curvebench evaluate mini ")
    assert len(done.out.splitlines()) < 20, "it is seen at a glance"
    for width in (60, 80, 200):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("COLUMNS", str(width))
            assert max(lengths(command(out=Terminal).out.split("\n", 1)[1])) <= width


def test_help_lists_all_commands_and_what_to_do_first():
    help_ = command("--help").out
    for name in COMMANDS:
        assert f" {name} " in help_
    for step in FIRST_STEPS:
        assert step in help_
    assert "Exit codes: 0 fine, 1 a check failed, 2 usage, 3 bad input, 4 internal" in help_


def test_every_command_stands_below_a_title_of_the_help():
    placed = [name for names in PANELS.values() for name in names]
    assert sorted(placed) == sorted(get_command(app).commands)
    help_ = command("--help").out
    assert [help_.index(f" {title} ─") for title in PANELS] == sorted(help_.index(f" {title} ─") for title in PANELS)
    assert [help_.index(f"│ {name} ") for name in placed] == sorted(help_.index(f"│ {name} ") for name in placed)


def test_help_flows_as_wide_as_the_terminal(monkeypatch):
    for width in (60, 80, 200):
        monkeypatch.setenv("COLUMNS", str(width))
        prose = command("evaluate", "--help").out.split("Example: ")[0].split("\n" + " " * width + "\n")
        assert max(map(len, prose)) > 0
        for paragraph in prose:
            lines = paragraph.strip().splitlines()
            for line, below in itertools.pairwise(lines):
                assert len(line.rstrip()) + len(below.split()[0]) + 1 >= width - 2, "no line ends before it must"


def test_help_states_the_limits_that_hold():
    help_ = " ".join(command("generate", "--help").out.replace("│", " ").split())
    limits = Limits()
    for option, limit in {
        "--max-runs": f"{limits.max_runs:,}",
        "--max-bytes": f"{limits.max_bytes // 2**30} GiB",
        "--max-memory": f"{limits.max_memory // 2**30} GiB",
    }.items():
        assert f"[default: ({limit})]" in help_.split(option, 1)[1].split(" --")[0]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name):
    done = command(name, "--help")
    assert done.code == 0
    assert f"Example: curvebench {name}" in done.out
    assert "--json" in done.out
    assert max(lengths(done.out)) <= 80
    assert command(name, "-h").out == done.out


def test_version():
    assert command("--version").out == f"curvebench {curvebench.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["evalute"], "Did you mean 'evaluate'"),
        (["info"], "FILE"),
        (["info", "a.h5", "b.h5"], "b.h5"),
        (["audit", "a.h5", "--sample", "0"], "--sample"),
        (["generate", "quick"], "--output"),
        (["generate", "quick", "-o", "x.h5", "--workers", "many"], "--workers"),
        (["generate", "quick", "-o", "x.h5", "--workers", "0"], "--workers"),
        (["--nonsense"], "--nonsense"),
    ],
)
def test_wrong_usage(arguments, words):
    done = command(*arguments)
    assert (done.code, done.out) == (2, "")
    assert words in done.err


def test_what_nobody_foresaw_is_one_sentence(monkeypatch, file):
    def fail(path):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(store, "open_table", fail)
    monkeypatch.delenv("CURVEBENCH_DEBUG", raising=False)
    done = command("info", file)
    assert (done.code, done.out) == (4, "")
    assert done.err.startswith("internal error: ZeroDivisionError: division by zero. Please report it")
    assert done.err.count("\n") == 1
    monkeypatch.setenv("CURVEBENCH_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        command("info", file)


def test_ctrl_c_is_no_traceback(monkeypatch, file):
    def interrupt(path):
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "open_table", interrupt)
    done = command("info", file)
    assert (done.code, done.out, done.err) == (130, "", "interrupted\n")


def test_the_installed_program(file, tmp_path):
    """What only a process of its own can show: exit codes, clean streams, a reader that leaves, odd names."""
    program = [sys.executable, "-m", "curvebench"]
    done = subprocess.run([*program, "info", tmp_path / "missing.h5"], capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == f"error: {tmp_path / 'missing.h5'}: there is no such file.\n"

    for arguments in (["info", file], ["info", "--help"]):
        end_to_read, end_to_write = os.pipe()
        os.close(end_to_read)
        done = subprocess.run([*program, *arguments], stdout=end_to_write, stderr=subprocess.PIPE, timeout=100)
        os.close(end_to_write)
        assert (done.returncode, done.stderr) == (0, b"")
    for closed, arguments, code in ((">&-", ["info", file], 0), ("2>&-", ["info", tmp_path / "missing.h5"], 3)):
        line = f"{shlex.join(map(str, [*program, *arguments]))} {closed}"
        done = subprocess.run(["sh", "-c", line], capture_output=True, timeout=100)
        assert (done.returncode, done.stdout, done.stderr) == (code, b"", b""), "nobody listens, and nothing breaks"

    for arguments in (["info", file], ["info", file, "--json"], ["--version"], ["--help"], ["info", "--help"], []):
        with open("/dev/full", "w") as full:
            done = subprocess.run([*program, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, timeout=100)
        assert done.returncode == 2
        assert done.stderr == "error: Standard output cannot be written: No space left on device.\n"

    odd = os.fsencode(tmp_path) + b"/odd-\xff.h5"
    os.link(file, odd)
    done = subprocess.run(
        [*program, "info", odd], capture_output=True, text=True, timeout=100, env={**os.environ, "LC_ALL": "C"}
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert r"odd-\udcff.h5" in done.stdout


# ---------------------------------------------------------------------------------------------- generate


@pytest.fixture(scope="module")
def tiny_recipe(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="module")
def generated(tiny_recipe, tmp_path_factory):
    """A data set made by the command, and what the command printed."""
    path = tmp_path_factory.mktemp("generated") / "tiny.h5"
    return path, command("generate", tiny_recipe, "-o", path, "--workers", 1, "--json")


def test_generate(generated):
    path, done = generated
    assert done.code == 0
    assert done.json == {"file": str(path), **curvebench.load(path).summary()}
    assert done.json.keys() >= SUMMARY
    assert done.json["recipe"] == "tiny"
    assert sorted(os.listdir(path.parent)) == ["tiny.h5"]
    assert command("verify", path).code == 0


def test_into_a_pipe_generate_says_the_cost_and_nothing_else(generated):
    _, done = generated
    assert done.err.count("\n") == 1
    assert done.err.startswith("tiny: 3 groups, about ")
    for word in ("trainings", "network-steps", "MiB uncompressed", "MiB of memory"):
        assert word in done.err


def test_in_a_terminal_generate_shows_a_bar_that_moves_per_group(tiny_recipe, tmp_path, monkeypatch, dataset):
    def generate(recipe, output, *, progress, **options):
        for i in range(4):
            if progress:
                progress(i, 3, None)
        return dataset

    monkeypatch.setattr(generation, "generate", generate)
    done = command("generate", tiny_recipe, "-o", tmp_path / "x.h5", err=Terminal)
    for share in ("100 %", "time left 0:00:00"):
        assert share in done.err
    assert command("generate", tiny_recipe, "-o", tmp_path / "x.h5", "--quiet", err=Terminal).err == ""


def test_a_shipped_recipe_ends_with_what_fell_short(tiny_recipe, generated, tmp_path, monkeypatch):
    monkeypatch.setattr(recipes, "shipped_recipes", lambda: {"tiny": tiny_recipe})
    monkeypatch.setattr(generation, "generate", lambda *arguments, **options: curvebench.load(generated[0]))
    assert len(command("generate", "tiny", "-o", tmp_path / "x.h5").err.splitlines()) == 1, "too few problems to judge"
    monkeypatch.setattr(data_sets, "ENOUGH_INSTANCES", 1)
    done = command("generate", "tiny", "-o", tmp_path / "x.h5", "--json")
    assert done.code == 0
    assert done.json["recipe"] == "tiny"
    _, note = done.err.splitlines()
    assert note.startswith("note: this data set falls short of what a benchmark must be: share of the rarest label in ")
    assert note.endswith(f"`curvebench audit {tmp_path / 'x.h5'}` measures all of it.")
    assert command("generate", "tiny", "-o", tmp_path / "x.h5", "--quiet").err == ""
    assert command("generate", "tiny", "-o", tmp_path / "x.h5", "--engine", "fused").err.count("\n") == 2
    changed = tmp_path / "tiny.toml"
    changed.write_text(TINY.replace("master_seed = 11", "master_seed = 12"))
    assert command("generate", changed, "-o", tmp_path / "x.h5").err.count("\n") == 1, "a recipe of somebody's own"


def test_generate_refuses_to_replace_a_file_before_any_work(tiny_recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(generation, "generate", lambda *arguments, **options: pytest.fail("it went to work"))
    (tmp_path / "x.h5").write_text("precious")
    done = command("generate", tiny_recipe, "-o", tmp_path / "x.h5")
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        f"error: {tmp_path / 'x.h5'} already exists; choose another name or allow it to be overwritten.\n"
    )
    assert (tmp_path / "x.h5").read_text() == "precious"


def test_generate_can_be_interrupted(tiny_recipe, tmp_path, monkeypatch):
    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(generation, "generate", interrupt)
    done = command("generate", tiny_recipe, "-o", tmp_path / "x.h5", "-q")
    assert (done.code, done.err) == (130, f"interrupted; the same command goes on from {tmp_path / 'x.h5'}.parts\n")


@pytest.mark.parametrize("switch", ["--max-runs", "--max-bytes", "--max-memory"])
def test_a_recipe_that_asks_for_too_much_is_refused_with_the_switch_that_allows_it(tiny_recipe, tmp_path, switch):
    done = command("generate", tiny_recipe, "-o", tmp_path / "x.h5", switch, 1)
    assert done.code == 2
    assert f"the limit is 1. Pass {switch} " in done.err
    assert os.listdir(tmp_path) == []


# ------------------------------------------------------------------------------------------ looking at files


def test_info_as_json(file, dataset):
    done = command("info", file, "--json")
    assert (done.code, done.err) == (0, "")
    assert done.json == {"file": str(file), **dataset.summary()}
    assert done.json.keys() >= SUMMARY
    assert list(done.json["labels"]) == list(LABELS)
    assert sum(done.json["labels"].values()) == sum(done.json["splits"].values()) == done.json["n_runs"]


def test_info_fits_and_cuts_nothing(file, dataset):
    done = command("info", file, out=Terminal)
    assert (
        max(n for line, n in zip(done.out.splitlines(), lengths(done.out), strict=True) if str(file) not in line) <= 80
    )
    assert done.out == command("info", file).out, "in a terminal of 80 columns and in a pipe alike"
    summary = dataset.summary()
    assert summary["content_sha256"] in done.out
    lines = {line.split("  ")[0]: line.split() for line in done.out.splitlines()}
    assert lines["runs by label"][-4:] == [*SPLITS, "all"]
    for label in LABELS:
        counts = [summary["labels_by_split"][split][label] for split in SPLITS]
        assert lines[label][1:] == [str(n) for n in (*counts, sum(counts))]
    assert lines["all runs"][-1] == str(summary["n_runs"])


def test_verify(file, dataset):
    done = command("verify", file, "--json")
    assert done.code == 0
    assert (done.json["verified"], done.json["content_sha256"]) == (True, dataset.summary()["content_sha256"])
    assert dataset.summary()["content_sha256"] in command("verify", file).out


def test_verify_says_no_with_exit_code_1(file, tmp_path):
    changed = tmp_path / "changed.h5"
    changed.write_bytes(file.read_bytes())
    with h5py.File(changed, "r+") as opened:
        opened["base_lr"][0] = 0.5
    done = command("verify", changed, "--json")
    assert done.code == 1
    assert done.json["verified"] is False
    assert "the content was changed" in done.json["message"]
    assert done.err == f"error: {done.json['message']}\n"
    assert command("verify", changed).out == ""


def test_relabel(generated, tmp_path):
    path, _ = generated
    before = path.read_bytes()
    same = command("relabel", path, "-o", tmp_path / "same.h5", "--json")
    assert (same.code, same.err, same.json["n_relabelled"]) == (0, "", 0)
    assert same.json["content_sha256"] == curvebench.load(path).summary()["content_sha256"]
    strict = command("relabel", path, "--material-gain", 0.6, "-o", tmp_path / "strict.h5", "--json").json
    assert (
        strict["n_relabelled"] == (curvebench.load(tmp_path / "strict.h5").labels != curvebench.load(path).labels).sum()
    )
    assert strict["n_relabelled"] > 0
    assert "n_relabelled" in command("relabel", path, "-o", tmp_path / "again.h5").out
    for name, material_gain in ((path, 0.1), (tmp_path / "strict.h5", 0.6)):
        assert command("info", name, "--json").json["thresholds"]["material_gain"] == material_gain
        assert f"material_gain   {material_gain}\n" in command("info", name).out
    assert path.read_bytes() == before


def test_subset(file, dataset, tmp_path):
    done = command("subset", file, "--runs", 100, "--scored-only", "--no-resumed", "-o", tmp_path / "part.h5", "--json")
    assert (done.code, done.err) == (0, "")
    expected = subset(dataset, 100, scored_only=True, resumed=False)
    assert done.json == {"file": str(tmp_path / "part.h5"), **expected.summary()}
    assert curvebench.verify(tmp_path / "part.h5").content_sha256 == content_sha256(expected)
    assert command("subset", file, "--runs", 100, "-o", tmp_path / "part.h5").code == 2
    assert command("subset", file, "--runs", 100, "-o", tmp_path / "part.h5", "--force").code == 0


def test_plot(file, dataset, tmp_path):
    done = command("plot", file, "-o", tmp_path / "gallery.png", "--json")
    assert (done.code, done.err, done.json["picture"]) == (0, "", str(tmp_path / "gallery.png"))
    assert (tmp_path / "gallery.png").read_bytes().startswith(b"\x89PNG")
    labels = {dataset["diagnosis"][dataset["run"].tolist().index(run)] for run in done.json["runs"]}
    assert labels == set(curvebench.DIAGNOSES)
    run = done.json["runs"][0]
    done = command("plot", file, run, "-o", tmp_path / "run.svg")
    assert done.code == 0
    assert run in done.out
    assert command("plot", file, run, "-o", tmp_path / "run.svg", "--force").code == 0


def test_plot_injected(file, tmp_path):
    done = command("plot", file, "--injected", "-o", tmp_path / "injected.svg")
    assert (done.code, done.out, done.err) == (0, f"picture  {tmp_path / 'injected.svg'}\n", "")
    assert (tmp_path / "injected.svg").read_text().startswith("<?xml")
    assert command("plot", file, "--injected", "-o", tmp_path / "injected.svg").code == 2, "it is not replaced"
    done = command("plot", file, "--injected", "--lookalikes", "-o", tmp_path / "other.svg")
    assert (done.code, "ask for one of them" in done.err) == (2, True)
    assert not (tmp_path / "other.svg").exists()


def test_phenomena(file, dataset, tmp_path):
    done = command("phenomena", file, "-o", tmp_path / "all.svg", "--json")
    assert (done.code, done.err) == (0, "")
    assert done.json["phenomena"] == count_phenomena(dataset)
    picture = (tmp_path / "all.svg").read_text()
    assert picture.startswith("<?xml")
    again = command("phenomena", file, "-o", tmp_path / "all.svg")
    assert again.code == 2
    assert "already exists" in again.err
    table = command("phenomena", file).out
    crawls = sum(sum(by_label.values()) for by_label in count_phenomena(dataset)["crawls"].values())
    row = next(line for line in table.splitlines() if line.startswith("crawls"))
    assert f" {crawls} " in f"{row} ", "all of them are labelled lr_too_low"
    assert len(table.splitlines()) == 1 + len(PHENOMENA)


# ---------------------------------------------------------------------------------------------- evaluate

OUTSIDER = """
import ctypes
import os
import shlex
import subprocess
import sys

import numpy as np

def gloomy(curve):
    print("thinking")
    return "lr_too_high"

class Loud:
    def __init__(self):
        os.write(1, b"made\\n")

    def predict_proba(self, X):
        os.write(1, b"written\\n")
        sys.__stdout__.write("past print\\n")
        ctypes.CDLL(None).printf(b"printed by C\\n")
        subprocess.run(["echo", "said by another program"])
        return np.tile([0, 0, 0, 0, 0, 1.0], (len(X), 1))

class NeedsAll:
    track = "config"

    def predict_proba(self, X):
        return np.full((len(X), 6), 1 / 6)

def broken(curve):
    raise ValueError("no idea")

class Confused:
    def predict_proba(self, X):
        return np.full((len(X), 6), np.nan)
"""


@pytest.fixture
def outsider(tmp_path, monkeypatch):
    """A folder with a module of somebody else, in which the command is run."""
    (tmp_path / "outsider_of_test_cli.py").write_text(OUTSIDER)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    yield "outsider_of_test_cli"
    sys.modules.pop("outsider_of_test_cli", None)


def test_evaluate_as_json(file):
    done = command("evaluate", file, "--json")
    assert (done.code, done.err) == (0, "")
    results = done.json["results"]
    names = ["rules", "constant", "constant-best", "chance", "oracle"]
    assert [(r["split"], r["diagnoser"]) for r in results] == [(s, n) for s in ("test", "test_ood") for n in names]
    for result in results:
        assert (result["status"], result["track"]) == ("ok", "curve")
        assert result["scores"].keys() == result["intervals"].keys() >= {"value", "macro_f1", "balanced_accuracy"}
    of = {(r["split"], r["diagnoser"]): r["scores"]["value"] for r in results}
    assert (of["test", "constant"], of["test", "oracle"]) == (0.0, 1.0)


def test_evaluate_takes_names_splits_and_tracks(file):
    done = command(
        "evaluate",
        file,
        "-d",
        "chance",
        "-d",
        "constant",
        "--split",
        "train",
        "--track",
        "config",
        "--no-references",
        "--json",
    )
    assert [(r["diagnoser"], r["split"], r["track"]) for r in done.json["results"]] == [
        ("chance", "train", "config"),
        ("constant", "train", "config"),
    ]


def test_the_table_fits_a_terminal_of_80_columns_and_is_whole_in_a_pipe(file):
    narrow, piped = command("evaluate", file, "-q", out=Terminal), command("evaluate", file)
    assert max(lengths(narrow.out)) <= 80
    narrow_row, piped_row = (
        next(x for x in d.out.splitlines() if x.startswith("constant-best")) for d in (narrow, piped)
    )
    assert narrow_row.count("[") == 3
    assert piped_row.count("[") == 4
    assert piped_row.startswith(narrow_row)
    assert "false alarms" in piped.out
    assert "no room for: false alarms %, µs/curve" in narrow.out
    for text in (narrow.out, piped.out):
        assert "\033" not in text
        assert "-0.00" not in text
        assert "test: " in text
        assert "…" not in text


def test_fewer_than_twenty_instances_are_pointed_out(file):
    assert "fewer than 20 problem instances" in command("evaluate", file).out


def test_own_diagnosers_are_found_in_the_current_folder_and_cannot_spoil_the_output(file, outsider):
    done = command("evaluate", file, "-d", f"{outsider}:gloomy", "--no-references", "--split", "test", "--json")
    assert done.code == 0
    assert done.json["results"][0]["diagnoser"] == f"{outsider}:gloomy"
    assert "thinking" in done.err


def test_what_diagnosers_write_past_python_goes_to_standard_error(file, outsider):
    arguments = ["evaluate", file, "-d", f"{outsider}:Loud", "--no-references", "--split", "test", "--json"]
    done = subprocess.run([sys.executable, "-m", "curvebench", *arguments], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0
    assert json.loads(done.stdout)["results"][0]["status"] == "ok"
    for words in ("made", "written", "past print", "printed by C", "said by another program"):
        assert f"{words}\n" in done.stderr


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ("nonsense", "there is no 'nonsense' in"),
        ("Confuse", "Did you mean 'Confused'"),
        ("np", "module is no diagnoser"),
        ("NeedsAll", "needs the track 'config'"),
    ],
)
def test_all_diagnosers_are_looked_up_before_any_is_scored(bad, words, file, outsider, monkeypatch):
    monkeypatch.setattr(evaluation, "evaluate", lambda *arguments, **options: pytest.fail("it went to work"))
    done = command("evaluate", file, "-d", "rules", "-d", f"{outsider}:{bad}", "-d", "oracle", "--track", "curve")
    assert (done.code, done.out) == (2, "")
    assert words in done.err


def test_a_diagnoser_that_fails_has_no_score_and_the_others_are_shown(file, outsider):
    arguments = [
        "evaluate",
        file,
        "-d",
        f"{outsider}:broken",
        "-d",
        f"{outsider}:Confused",
        "-d",
        "rules",
        "--split",
        "test",
    ]
    done = command(*arguments)
    assert done.code == 1
    assert done.err.splitlines()[-1].startswith(f"error: {outsider}:broken on test: failed: ValueError: no idea; ")
    rows = {line.split()[0]: line.split()[1:] for line in done.out.splitlines() if line}
    assert rows[f"{outsider}:broken"] == ["failed"]
    assert rows[f"{outsider}:Confused"] == ["invalid_output"]
    assert len(rows["rules"]) > 8
    results = {r["diagnoser"]: r for r in command(*arguments, "--json").json["results"]}
    assert results[f"{outsider}:broken"]["scores"] is None
    assert results["rules"]["scores"]["value"] is not None


HOSTILE = """
import os, time
import numpy as np

class Crashing:
    def predict_proba(self, X): os.abort()

class Sleeping:
    def predict_proba(self, X): time.sleep(1000)

class Greedy:
    def predict_proba(self, X): return bytearray(10 * 2**30)

class Unlucky:
    @property
    def track(self): raise OSError("no track today")
    def predict_proba(self, X): return np.full((len(X), 6), 1 / 6)

class Shy(Unlucky):
    track = "curve"
    def abstain(self, X): return np.arange(len(X)) < 3
    def crashed(self, X): return np.arange(len(X)) < 2

class Spying(Unlucky):
    track = "curve"
    def predict_proba(self, X):
        assert os.path.getsize("NAME") == 0
        return np.full((len(X), 6), 1 / 6)
"""


def test_whatever_an_isolated_diagnoser_does_the_others_are_scored(file, tmp_path, monkeypatch):
    (tmp_path / "hostile.py").write_text(HOSTILE)
    monkeypatch.chdir(tmp_path)
    named = [word for name in ("Crashing", "Sleeping", "Greedy", "Unlucky") for word in ("-d", f"hostile.py:{name}")]
    limits = ["--isolation", "process", "--time-limit", "5", "--memory-limit", "500"]
    done = command("evaluate", file, *named, "-d", "rules", *limits, "--split", "test", "--json", "-q")
    assert done.code == 1
    results = {r["diagnoser"].removeprefix("hostile.py:"): r for r in done.json["results"]}
    assert {name: r["status"] for name, r in results.items()} == {
        "Crashing": "failed",
        "Sleeping": "timed_out",
        "Greedy": "out_of_memory",
        "Unlucky": "failed",
        **dict.fromkeys(["rules", "constant", "constant-best", "chance", "oracle"], "ok"),
    }
    assert (results["rules"]["isolation"], results["oracle"]["isolation"]) == ("process", "none")
    assert "hostile.py:Sleeping on test: timed_out: The diagnoser had no answer after 5 s; " in done.err


def test_a_track_that_raises_fails_one_diagnoser_only(file, tmp_path, monkeypatch):
    (tmp_path / "hostile.py").write_text(HOSTILE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    done = command("evaluate", file, "-d", "hostile.py:Unlucky", "-d", "hostile.py:Shy", "--split", "test")
    assert done.code == 1
    assert "hostile.py:Unlucky on test: failed: OSError: no track today" in done.err
    assert "hostile.py:Shy took no action on 3 of " in done.out
    assert "runs: it abstained, on 2 of them because it crashed" in done.out


def test_who_cannot_be_fitted_does_not_keep_others_from_their_scores(dataset, tmp_path):
    store.write(dataset.select(dataset["split"] == "test"), tmp_path / "asked.h5")
    done = command("evaluate", tmp_path / "asked.h5", "-d", "forest", "-d", "rules", "--split", "test", "--json")
    assert done.code == 1
    assert [(r["diagnoser"], r["status"]) for r in done.json["results"]][:2] == [("forest", "failed"), ("rules", "ok")]
    assert "'train'" in done.json["results"][0]["message"]


def test_in_a_namespace_the_labels_are_hidden_or_it_is_said_that_there_is_none(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    codes = set()
    for asked in (file, "mini"):
        (tmp_path / "hostile.py").write_text(HOSTILE.replace("NAME", str(locate(asked))))
        arguments = ["evaluate", asked, "-d", "hostile.py:Spying", "--split", "test", "--no-references", "--isolation"]
        done = command(*arguments, "namespace")
        codes.add(done.code)
        if done.code == 2:
            assert "'namespace' is not available here" in done.err
            assert done.out == ""
        else:
            assert (done.code, done.err) == (0, "")
        assert command(*arguments, "process").code == 1, "there the file is as it is"
    assert len(codes) == 1, "a shipped data set is hidden as any file is"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--isolation", "moat"], "there are none, process, namespace"),
        (["--time-limit", "3"], "give --isolation process or namespace too"),
        (["--isolation", "process", "--memory-limit", "0"], "--memory-limit is 0.0 MiB; it must be positive"),
        (["--isolation", "process", "-d", "rulez"], "Did you mean 'rules'"),
        (["--isolation", "process", "-d", "exec:./nothing"], "no program"),
    ],
)
def test_isolations_that_are_none(arguments, words, file):
    done = command("evaluate", file, *arguments)
    assert (done.code, done.out) == (2, "")
    assert words in done.err


def test_another_file_may_be_fitted_on(dataset, file, tmp_path):
    asked = tmp_path / "asked.h5"
    store.write(dataset.select(dataset["split"] == "test"), asked)
    done = command("evaluate", asked, "--split", "test", "--json")
    assert "constant-best is left out" in done.err
    assert "--fit-on names a data set that has" in done.err
    with_train = command("evaluate", asked, "--split", "test", "--fit-on", file, "--json")
    assert (with_train.code, with_train.err) == (0, "")
    whole = command("evaluate", file, "--split", "test", "--json")
    for found, expected in zip(with_train.json["results"], whole.json["results"], strict=True):
        assert found["diagnoser"] == expected["diagnoser"]
        assert found["scores"] == expected["scores"]
        assert found["fit_on_sha256"] == expected["dataset_sha256"] != found["dataset_sha256"]
    assert command("evaluate", asked, "--fit-on", tmp_path / "missing.h5").code == 3


def test_remedies_that_the_scored_file_has_not_are_named(dataset, file, tmp_path):
    meta = dataset.meta
    milder = tuple(dataclasses.replace(r, factor=0.2) if r.factor == 0.1 else r for r in meta.remedies)
    store.write(curvebench.Dataset(dataset.columns, dataclasses.replace(meta, remedies=milder)), tmp_path / "other.h5")
    done = command("evaluate", file, "--fit-on", tmp_path / "other.h5", "--no-references", "--json")
    assert done.code == 0
    absent = "resume x0.2 at 0.5 (late_lr_too_high), restart x0.2 (lr_too_high)"
    assert done.err == f"note: the nearest tried remedy stands in for {absent}, which the scored data set has not\n"
    assert all(result["n_snapped"] > 0 for result in done.json["results"])


def test_unknown_names_are_refused_before_the_file_is_read(tmp_path):
    done = command("evaluate", tmp_path / "missing.h5", "-d", "rule")
    assert done.code == 2
    assert "Did you mean 'rules'?" in done.err
    assert "`curvebench diagnosers` lists all" in done.err
    done = command("evaluate", tmp_path / "missing.h5", "--split", "validation")
    assert done.code == 2
    assert "train, test, test_ood" in done.err


def test_a_default_split_without_scored_runs_is_left_out_with_a_note(dataset, tmp_path):
    store.write(dataset.select(dataset["split"] != "test_ood"), tmp_path / "small.h5")
    done = command("evaluate", tmp_path / "small.h5", "--json")
    assert (done.code, done.err) == (0, "note: the split test_ood has no runs that are scored\n")
    assert {r["split"] for r in done.json["results"]} == {"test"}
    assert command("evaluate", tmp_path / "small.h5", "--split", "test_ood").code == 3


def test_compare(file, dataset, tmp_path):
    done = command("compare", file, "rules", "constant", "--split", "test_ood", "--json")
    assert (done.code, done.err) == (0, "")
    expected = compare(dataset, "rules", "constant", "test_ood")
    assert done.json == [expected.to_json()]
    arguments = ("compare", file, "rules", "constant", "--split", "test_ood")
    for options, shown in ((), COMPARED), (("--all-scores",), SCORES):
        lines = command(*arguments, *options).out.splitlines()
        assert lines[1].split()[:4] == ["score", "rules", "constant", "difference"]
        assert [line.split()[0] for line in lines[2 : 2 + len(shown)]] == list(shown)
        assert lines[2 + len(shown) :] == expected.in_words()


def test_compare_needs_two_diagnosers_that_answer(file, outsider):
    done = command("compare", file, "rules", "rulez")
    assert (done.code, done.out) == (2, "")
    assert "Did you mean 'rules'?" in done.err
    done = command("compare", file, "rules", f"{outsider}:broken")
    assert (done.code, done.out) == (1, "")
    assert done.err == f"error: {outsider}:broken has no scores to compare: ValueError: no idea\n"


# ------------------------------------------------------------------------------------------------- audit


def test_audit_trains_a_sample_again_and_shows_every_figure(generated, tmp_path):
    path, _ = generated
    report = tmp_path / "audit.md"
    done = command("audit", path, "--sample", 8, "--workers", 1, "--against", path, "-o", report)
    assert done.code == 1, "three groups are no benchmark"
    said = done.err.splitlines()
    assert said[0].startswith("training 8 (cell, rate)s and their remedies again with 2 other seeds: about ")
    assert said[-1].startswith("error: ")
    assert said[-1].endswith(" of the figures do not meet their thresholds")
    rows = [line for line in done.out.splitlines() if line.split(" ")[0] in THRESHOLDS]
    assert len(rows) == len(report.read_text().split("|\n|---|")[1].split("\n\n")[0].splitlines()) - 1
    assert {row.split(" ")[0] for row in rows} == set(THRESHOLDS)
    assert f"content_sha256  {curvebench.load(path).summary()['content_sha256']}" in done.out
    assert report.read_text().startswith("# Audit of tiny, version 1\n")
    assert command("audit", path, "--no-retrain", "-o", report).code == 2, "it is not replaced"


def test_audit_as_json(file, tmp_path):
    done = command("audit", file, "--no-retrain", "--json")
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert done.json["file"] == str(file)
    assert done.json["passed"] is False
    assert list(done.json["checks"]) == list(THRESHOLDS)
    assert done.json["checks"]["replication"]["reason"] == "Nothing was trained again"
    balance = done.json["checks"]["balance"]["figures"]["indeterminate"]
    assert (balance["relation"], balance["bound"], balance["value"]) == ("<=", 0.2, 0.125)


def test_audit_fits_a_terminal(file):
    done = command("audit", file, "--no-retrain", out=Terminal)
    assert max(lengths(done.out.partition("\n\n")[2])) <= 80


def test_audit_that_meets_all_that_is_measured_ends_well(file, monkeypatch):
    whole = audits.audit

    def only_balance(dataset, **options):
        return whole(dataset, checks=("balance",))

    monkeypatch.setattr(audits, "audit", only_balance)
    done = command("audit", file, "--no-retrain")
    assert (done.code, done.err) == (0, "")


def test_in_a_terminal_audit_shows_how_far_it_is(generated):
    path, _ = generated
    done = command("audit", path, "--sample", 4, "--workers", 1, err=Terminal)
    for words in ("training again", "measuring", "100 %"):
        assert words in done.err
    assert "training" not in command("audit", path, "--sample", 4, "--workers", 1, "--quiet", err=Terminal).err


# ------------------------------------------------------------------------------------------ what there is


def test_foreign_networks_need_trust(tmp_path, monkeypatch):
    module = "networks_of_test_cli"
    (tmp_path / f"{module}.py").write_text(
        "from torch import nn\n\n\ndef make(n_inputs, n_outputs, depth, width, activation):\n"
        "    return nn.Linear(n_inputs, n_outputs)\n"
    )
    (tmp_path / "mine.toml").write_text(TINY.replace("depth = 1", f'depth = 1\nmodule = "{module}:make"'))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    done = command("generate", "mine.toml", "-o", "x.h5", "--workers", 1)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"error: mine.toml names foreign code as a network ({module}:make), which runs with all")
    assert module not in sys.modules
    assert f'module = "{module}:make"' in command("recipes", "mine.toml").out, "printing runs nothing"
    done = command("generate", "mine.toml", "-o", "x.h5", "--workers", 1, "--trust", "--engine", "fused", "-q")
    assert (done.code, "needs --engine torch" in done.err) == (2, True)
    assert command("generate", "mine.toml", "-o", "x.h5", "--workers", 1, "--trust", "-q", "--json").json["n_runs"] > 0
    sys.modules.pop(module)


def test_recipes():
    listed = command("recipes", "--json").json
    assert [row["name"] for row in listed] == list(shipped_recipes())
    assert {"quick", "core"} <= {row["name"] for row in listed}
    for row in listed:
        assert row["n_trainings"] > row["n_runs"] > row["n_groups"] > 0
    assert max(lengths(command("recipes", out=Terminal).out)) <= 80
    assert len(command("recipes").out.splitlines()) == 1 + len(listed)


def test_a_recipe_is_printed_as_it_is():
    assert command("recipes", "quick").out == load_recipe("quick").text
    assert command("recipes", "quick", "--json").json["name"] == "quick"
    assert command("recipes", "--schema").json["type"] == "object"


def test_diagnosers():
    assert [row["name"] for row in command("diagnosers", "--json").json] == list(DIAGNOSERS)
    shown = command("diagnosers").out
    for name, entry in DIAGNOSERS.items():
        assert f"{name} " in shown
        assert entry.description in shown


def test_check_diagnoser(outsider):
    done = command("check-diagnoser", "rules", "--track", "curve")
    assert (done.code, done.err) == (0, "")
    assert "failed" not in done.out
    assert all(f"{name} " in done.out for name in CHECKS)
    done = command("check-diagnoser", f"{outsider}:Confused", "--json")
    assert (done.code, done.json["passed"], len(done.json["checks"])) == (1, False, len(CHECKS))
    assert done.err == f"error: {outsider}:Confused does not keep the contract: 11 of 13 checks failed.\n"
    assert len(command("check-diagnoser", f"{outsider}:Confused", "--json", "--track", "all").json["checks"]) == 39
    assert all("NaN" in check["problem"] for check in done.json["checks"] if check["problem"])
    for name, words in (("oracle", "told answers"), ("rulez", "Did you mean"), ("missing.py:x", "no file")):
        done = command("check-diagnoser", name)
        assert (done.code, words in done.err) == (2, True)


@pytest.mark.parametrize(("name", "track"), [("mine.py:falls", "curve"), ("diagnose", "config")])
def test_a_diagnoser_is_checked_on_the_track_that_it_needs(name, track, tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        "def falls(curve):\n    return 'healthy' if curve[-1] < curve[0] else 'lr_too_high'\n"
    )
    monkeypatch.chdir(tmp_path)
    done = command("check-diagnoser", name)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"{name} needs the track {track} and is checked on it\n")
    assert [row.split()[-2:] for row in done.out.splitlines()[2:]] == [[track, "passed"]] * len(CHECKS)


def test_a_stranger_is_checked_in_a_process_of_its_own(tmp_path, monkeypatch):
    (tmp_path / "stranger.py").write_text(
        "import os\nimport numpy as np\nopen('PID', 'w').write(str(os.getpid()))\n"
        "def leaves_on_nan(curve):\n    if np.isnan(curve).all(): os._exit(7)\n    return 'healthy'\n"
    )
    monkeypatch.chdir(tmp_path)
    name = ("check-diagnoser", "stranger.py:leaves_on_nan", "--isolation", "process")
    done = command(*name, "--track", "curve", "--json")
    assert done.code == 1
    problems = {check["check"]: check["problem"] for check in done.json["checks"] if check["problem"]}
    left = "The diagnoser ended with the exit status 7."
    assert problems == {
        "constant curves": f"Curves with every value nan: {left}",
        "lengths": f"Curves with 1 points: {left}",
    }
    assert (tmp_path / "PID").read_text() != str(os.getpid())
    for options in (("--time-limit", "-1"), ("--memory-limit", "nan"), ("--memory-limit", "1e30")):
        assert command(*name, *options).code == 2
    done = command("check-diagnoser", "rules", "--time-limit", "9")
    assert (done.code, "give --isolation process or namespace too" in done.err) == (2, True)


def test_json_is_plain_ascii(file):
    """It survives any terminal, pipe and locale."""
    assert command("info", file, "--json").out.isascii()
    json.loads(command("evaluate", file, "--json").out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
