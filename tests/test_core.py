"""The benchmark itself: `core` is generated and held to what it promises. Some minutes; always run in CI.

Elsewhere: CURVEBENCH_SLOW=1 python -m pytest tests/test_core.py
A file that has already been generated is taken from the environment variable CURVEBENCH_CORE.
"""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from command import command

import curvebench
from curvebench.board.render import build
from curvebench.data.phenomena import find_phenomena
from curvebench.spec import DIAGNOSES, SPLITS

pytestmark = [
    pytest.mark.timeout(3000),
    pytest.mark.skipif(
        not any(os.environ.get(name) for name in ("CI", "CURVEBENCH_SLOW", "CURVEBENCH_CORE")),
        reason="takes some minutes; set CURVEBENCH_SLOW=1 to run it",
    ),
]


ROOT = Path(__file__).parents[1]
BOARD = ROOT / "leaderboard"


@pytest.fixture(scope="module")
def core_file(tmp_path_factory):
    if given := os.environ.get("CURVEBENCH_CORE"):
        return Path(given)
    path = tmp_path_factory.mktemp("core") / "core.h5"
    curvebench.generate("core", path)
    return path


@pytest.fixture(scope="module")
def core(core_file):
    return curvebench.load(core_file)


def test_it_has_the_bits_that_the_documentation_states(core):
    page = ROOT / "docs" / "data.md"
    assert core.summary()["content_sha256"] in page.read_text(encoding="utf-8")


def test_the_board_is_what_the_stored_results_give(core_file, tmp_path):
    build(BOARD / "results", tmp_path, core_file, BOARD / "cases.json")
    for name in ("README.md", "index.html"):
        assert (tmp_path / name).read_bytes() == (BOARD / name).read_bytes(), name


def test_stored_results_follow_from_their_answers(core_file, tmp_path):
    folder = tmp_path / "core-v1"
    folder.mkdir()
    for name in ("rules", "boosting"):
        for path in (BOARD / "results" / "core-v1").glob(f"{name}.[jp]*"):
            shutil.copy(path, folder)
    done = command("leaderboard", "verify", tmp_path, "--data", core_file, "--json")
    assert (done.code, len(done.json)) == (0, 2), done


def shares(dataset):
    scored = dataset["diagnosis"][dataset.is_scored]
    return {name: float(np.mean(scored == name)) for name in DIAGNOSES}


def test_every_label_is_at_least_eight_percent_of_the_scored_runs(core):
    assert min(shares(core).values()) >= 0.08, shares(core)


@pytest.mark.parametrize("split", SPLITS)
def test_every_split_has_every_label_and_twenty_problem_instances(core, split):
    part = core.split(split)
    assert set(DIAGNOSES) <= set(part["diagnosis"].tolist())
    assert len(set(part["problem"][part.is_scored].tolist())) >= 20


def test_no_problem_or_group_is_in_two_splits_and_what_is_held_out_is_new(core):
    held = {
        column: {split: set(core.split(split)[column].tolist()) for split in SPLITS}
        for column in ("problem", "group", "problem_family", "optimizer")
    }
    for column in ("problem", "group"):
        together = [held[column][split] for split in SPLITS]
        assert sum(map(len, together)) == len(set.union(*together))
    for split in ("train", "test"):
        assert not held["problem_family"]["test_ood"] & held["problem_family"][split]
    assert held["optimizer"]["test_ood"] - held["optimizer"]["train"] - held["optimizer"]["test"] == {"rmsprop"}


def test_seeds_of_a_cell_and_rate_are_complete_and_share_their_label(core):
    key = np.char.add(np.char.add(core["cell"], "/"), core["base_lr"].astype("U32"))
    _, inverse, counts = np.unique(key, return_inverse=True, return_counts=True)
    assert set(counts.tolist()) == {len(set(core["seed"].tolist()))}
    first = np.zeros(len(counts), dtype=int)
    first[inverse] = np.arange(len(key))
    assert (core["diagnosis"] == core["diagnosis"][first][inverse]).all()


def test_every_phenomenon_is_shown_and_not_by_one_problem_alone(core):
    for name, shown in find_phenomena(core).items():
        assert len(set(core["problem"][shown].tolist())) >= 2, name


@pytest.mark.parametrize("split", ["test", "test_ood"])
def test_rules_stand_between_doing_nothing_and_the_oracle(core, split):
    rules = curvebench.evaluate(core, "rules", split=split)
    constant = curvebench.evaluate(core, "constant", split=split)
    oracle = curvebench.evaluate(core, "oracle", split=split)
    assert constant.scores["value"] == 0.0
    assert oracle.scores["value"] == 1.0
    low, high = rules.intervals["value"]
    assert 0.0 < low < rules.scores["value"] < high < 1.0


def shapeless_features(dataset):
    """First value, number of points and recording interval: all that is known before the curve has any shape."""
    first = np.nan_to_num(dataset["train_loss"][:, 0].astype(np.float64), posinf=1e30)
    return np.column_stack([first, dataset["length"], dataset["step"][:, 1] - dataset["step"][:, 0]])


@pytest.mark.parametrize("split", ["test", "test_ood"])
def test_what_says_nothing_about_the_shape_does_not_predict_the_label(core, split):
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.tree import DecisionTreeClassifier

    train, unseen = (part.select(part.is_scored) for part in (core.split("train"), core.split(split)))
    chance = 1 / len(DIAGNOSES)
    for classifier in (
        DecisionTreeClassifier(max_depth=4, class_weight="balanced", random_state=0),
        RandomForestClassifier(200, min_samples_leaf=20, class_weight="balanced", random_state=0),
    ):
        classifier.fit(shapeless_features(train), train["diagnosis"])
        accuracy = balanced_accuracy_score(unseen["diagnosis"], classifier.predict(shapeless_features(unseen)))
        assert accuracy <= chance + 0.05, f"{type(classifier).__name__}: {accuracy:.3f}"


def test_a_learned_baseline_stands_between_the_rules_and_the_oracle(core):
    result = curvebench.evaluate(core, "forest", split="test")
    rules = curvebench.evaluate(core, "rules", split="test")
    assert result.status == "ok", result.message
    assert rules.scores["value"] < result.scores["value"] < 0.95
    assert rules.scores["macro_f1"] < result.scores["macro_f1"] < 0.95
