"""The commands about stored results, as a person and as a program meets them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from command import command
from oracles.tiny_recipe import tiny_file

from curvebench.data import store
from curvebench.generation.generate import generate


@pytest.fixture(scope="module")
def file(make_dataset, tmp_path_factory):
    path = tmp_path_factory.mktemp("cli") / "made-up.h5"
    store.write(make_dataset(n_cells=12, n_points=12), path)
    return path


@pytest.fixture(scope="module")
def made(file, tmp_path_factory):
    """Results that two processes made."""
    folder = tmp_path_factory.mktemp("cli") / "results"
    done = command("leaderboard", "run", file, "-d", "rules", "-d", "chance", "--results", folder, "--workers", 2)
    assert (done.code, done.out.count(" made")) == (0, 2)
    return folder


@pytest.fixture
def results(made, tmp_path):
    return Path(shutil.copytree(made, tmp_path / "results"))


def run(file, folder, *more):
    return command("leaderboard", "run", file, "--results", folder, "--workers", 1, *more)


@pytest.mark.parametrize("name", ["run", "verify", "rerun"])
def test_every_command_has_help_with_an_example(name):
    done = command("leaderboard", name, "--help")
    assert (done.code, done.err) == (0, "")
    assert f"Example: curvebench leaderboard {name}" in done.out
    assert "--json" in done.out
    assert f" {name} " in command("leaderboard").out


def test_a_result_is_made_once(results, file):
    done = run(file, results, "-d", "rules", "-d", "constant", "--json")
    assert (done.code, done.err) == (0, "")
    assert [(row["diagnoser"], row["was_made"]) for row in done.json] == [("rules", False), ("constant", True)]
    assert done.json[1]["value"] == {"test": 0.0, "test_ood": 0.0}
    assert "was there" in run(file, results, "-d", "rules").out


def test_another_result_is_not_replaced_unasked(results, file, make_dataset, tmp_path):
    other = tmp_path / "other.h5"
    store.write(make_dataset(n_cells=12, n_points=12, seed=2), other)
    done = run(other, results, "-d", "rules")
    assert (done.code, done.out) == (2, "")
    assert "about other content of made-up version 1" in done.err
    assert run(other, results, "-d", "rules", "--replace").code == 0
    assert "was there" in run(other, results, "-d", "rules").out


def test_who_fails_is_kept_and_said(file, tmp_path, monkeypatch):
    (tmp_path / "bad_one.py").write_text("def shout(curve):\n    raise RuntimeError('no')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    done = run(file, tmp_path / "results", "-d", "bad_one:shout", "-d", "constant")
    assert done.code == 1
    assert "bad_one:shout on test: failed: RuntimeError: no" in done.err
    assert command("leaderboard", "verify", tmp_path / "results", "--data", file).code == 0


def test_in_several_processes_it_is_the_same(results, file, tmp_path):
    one = tmp_path / "one"
    assert run(file, one, "-d", "rules", "-d", "chance").code == 0
    for name in ("rules", "chance"):
        place = f"made-up-v1/{name}.predictions.npz"
        assert (one / place).read_bytes() == (results / place).read_bytes()


def test_verify_refuses_with_the_reason(results, file):
    done = command("leaderboard", "verify", results)
    assert (done.code, done.out.count("in order")) == (0, 2)
    path = results / "made-up-v1" / "rules.json"
    root = json.loads(path.read_text())
    root["evaluations"][0]["scores"]["value"] = 0.99
    path.write_text(json.dumps(root))
    assert command("leaderboard", "verify", results).code == 0
    done = command("leaderboard", "verify", results, "--data", file, "--json")
    assert done.code == 1
    assert [row["verified"] for row in done.json] == [True, False]
    assert "evaluations[0].scores.value is stored as 0.99" in done.json[1]["message"]
    assert "1 of 2 results are refused" in done.err


def test_verify_needs_results(tmp_path):
    done = command("leaderboard", "verify", tmp_path)
    assert (done.code, done.out) == (3, "")
    assert "There are no results in" in done.err


def test_compare_says_who_is_better(results, file):
    stored = results / "made-up-v1" / "rules.json"
    done = command("compare", file, stored, "chance")
    assert done.code == 0
    assert "value: rules is better than chance (by" in done.out
    assert done.out.count("problem instances") == 2
    machine = command("compare", file, "rules", "chance", "--split", "test", "--json").json
    assert [c["split"] for c in machine] == ["test"]
    assert machine[0]["scores"]["value"]["words"] in done.out
    assert command("compare", file, "nobody", "chance").code == 2
    assert command("compare", file, "missing.json", "chance").code == 3


def test_rerun_generates_evaluates_and_stores(tmp_path):
    pytest.importorskip("torch")
    recipe_file = tiny_file()
    path, folder = tmp_path / "tiny.h5", tmp_path / "results"
    generate(recipe_file, path, workers=1)
    assert run(path, folder, "-d", "rules").code == 0
    assert command("leaderboard", "rerun", path, "--seed", 11, "--results", folder).code == 2
    done = command("leaderboard", "rerun", path, "--seed", 12, "--results", folder, "--workers", 1, "--json")
    assert done.code == 0
    assert done.json[0]["rerun"]["master_seed"] == 12
    made = tmp_path / "tiny-seed-12.h5"
    assert (
        done.json[0]["rerun"]["content_sha256"]
        == store.verify(made).content_sha256
        != store.verify(path).content_sha256
    )
    assert command("leaderboard", "verify", folder, "--data", path).code == 0
    again = command("leaderboard", "rerun", path, "--seed", 12, "--results", folder, "--json")
    assert (again.code, again.json) == (0, [])
    other = command("leaderboard", "rerun", path, "--seed", 13, "--results", folder, "--replace", "-o", made)
    assert other.code == 2
    assert "was not made by the recipe of" in other.err
