"""The commands about stored results, as a person and as a program meets them."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from command import command
from oracles.tiny_recipe import tiny_file

from curvebench.data import store
from curvebench.evaluation.report import slug
from curvebench.evaluation.reporting import name_data_set
from curvebench.evaluation.stored_results import awaiting_rerun, load_report
from curvebench.generation.generate import generate
from curvebench.spec import UsageError


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
    done = run(other, results, "-d", "rules", "--replace")
    assert (done.code, "chance.json is about other content than this data set" in done.err) == (2, True)
    assert run(other, results, "-d", "constant").code == 2
    both = ("-d", "rules", "-d", "chance")
    assert run(other, results, *both, "--replace").code == 0
    assert run(other, results, *both).out.count("was there") == 2


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


def test_a_part_that_comes_with_the_package_has_a_table_of_its_own(tmp_path):
    done = run("mini", tmp_path, "-d", "constant", "--json")
    assert (done.code, done.json[0]["file"]) == (0, str(tmp_path / "mini-v1" / "constant.json"))
    assert command("leaderboard", "verify", tmp_path, "--data", "mini", "--json").json[0]["computed"]
    done = command("leaderboard", "rerun", "mini", "--seed", 99, "--results", tmp_path)
    assert (done.code, "mini is a part of the data set of its recipe, core" in done.err) == (2, True)


def test_numbers_are_not_checked_by_another_data_set(results):
    done = command("leaderboard", "verify", results, "--data", "mini")
    assert done.code == 2
    assert done.out.count("as far as it goes without its data set") == 2
    assert "no number was computed again" in done.err


OWN = '''
import os
import numpy as np
from sklearn.dummy import DummyClassifier

with open("LOG", "a") as log:
    print(os.getpid(), file=log)

def says_healthy(curve):
    """Never worried."""
    return "healthy"

class Learner:
    """Learns nothing."""
    covers, mapping, version, largest_track = ("healthy",), {"fine": "healthy"}, "7.1", "telemetry"
    def fit(self, X, y): return self
    def predict_proba(self, X): return np.eye(6)[[5] * len(X)]

class Crashing(Learner):
    def predict_proba(self, X): os.kill(os.getpid(), 9)

class Unmakeable:
    def __init__(self): os._exit(3)

class Unspeakable(Learner):
    mapping = 5

classifier = DummyClassifier()
'''
HEALTHY_SH = """#!/bin/sh
awk -F'[:,]' '{printf "{\\"id\\": %d, \\"diagnosis\\": \\"healthy\\"}\\n", $2}'
"""


@pytest.fixture
def own(tmp_path, monkeypatch, file):
    """The current folder, with diagnosers of every form."""
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "healthy.sh").write_text(HEALTHY_SH)
    (tmp_path / "healthy.sh").chmod(0o755)
    assert command("fit", file, "-d", "forest", "-o", tmp_path / "forest.cbm").code == 0
    about = tmp_path / "site" / "named-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: named\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[curvebench.diagnosers]\nnamed = named_diagnoser:says_healthy\n")
    (tmp_path / "site" / "named_diagnoser.py").write_text("def says_healthy(curve):\n    return 'healthy'\n")
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in ("own", "named_diagnoser"):
        sys.modules.pop(name, None)


def asking(*names):
    return [part for name in names for part in ("-d", name)]


FORMS = ("own.py:says_healthy", "own:Learner", "own.py:classifier", "exec:./healthy.sh", "forest.cbm", "named")


def test_whoever_can_be_evaluated_can_have_a_result_isolated_or_not(own, file):
    inside, outside = own / "inside", own / "outside"
    isolated = ("--isolation", "process")
    done = run(file, outside, *asking(*FORMS), *isolated, "--json")
    assert done.code == 0, done.err
    assert str(os.getpid()) not in (own / "LOG").read_text().split(), "nothing of it runs in this process"
    assert run(file, inside, *asking(*FORMS)).code == 0
    for row in done.json:
        path = Path(row["file"])
        here, there = (load_report(folder / path.relative_to(outside)) for folder in (inside, outside))
        assert here.diagnoser == there.diagnoser
        assert here.evaluation("test").status == "ok"
        assert here.evaluation("test").scores == there.evaluation("test").scores
    learner = load_report(outside / "made-up-v1" / f"{slug('own:Learner')}.json")
    assert (learner.diagnoser.version, learner.diagnoser.mapping) == ("7.1", {"fine": "healthy"})
    assert {e.track for e in learner.evaluations} == {"curve", "telemetry"}
    function = load_report(outside / "made-up-v1" / "own.py-says_healthy.json").diagnoser
    assert (function.kind, function.description) == ("own", "Never worried.")
    assert command("leaderboard", "verify", outside, "--data", file).code == 0


def test_a_diagnoser_that_changed_is_another(own, file):
    names = asking("own.py:says_healthy", "exec:./healthy.sh")
    assert run(file, own / "results", *names).code == 0
    for changed in ("own.py", "healthy.sh"):
        with (own / changed).open("a") as text:
            text.write("\n# changed\n")
    done = run(file, own / "results", *names)
    assert (done.code, done.err.count("was made by another version of")) == (2, 2)


def test_the_isolated_cost_their_status_and_nobody_elses(own, file):
    names = asking("own.py:Crashing", "own.py:Unmakeable", "own.py:Unspeakable", "constant")
    done = run(file, own / "results", *names, "--isolation", "process", "--json")
    assert done.code == 1
    assert [row["value"]["test"] for row in done.json] == [None, 0.0]
    assert "own.py:Crashing on test: failed: The diagnoser was ended by SIGKILL" in done.err
    assert "own.py:Unmakeable could not be made: The diagnoser ended with the exit status 3" in done.err
    assert "own.py:Unspeakable could not be made: The diagnoser can't be described" in done.err
    assert run(file, own / "results", "-d", "own.py:Unspeakable").code == 2


def test_nothing_is_run_again_because_a_stranger_named_it(own, file):
    assert run(file, own / "results", "-d", "own.py:says_healthy").code == 0
    (own / "LOG").unlink()
    about = name_data_set(store.load(file))
    paths, obstacles = awaiting_rerun(about, own / "results", 8)
    assert (paths, (own / "LOG").exists()) == ([], False)
    assert obstacles[0].endswith("it does not come with the package; name it with --diagnoser.")
    assert len(awaiting_rerun(about, own / "results", 8, names=["own.py:says_healthy"])[0]) == 1
    with pytest.raises(UsageError, match="no result of nobody"):
        awaiting_rerun(about, own / "results", 8, names=["nobody"])
