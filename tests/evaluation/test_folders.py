"""A folder is evaluated shard by shard, to the last digit as the one file with the same rows."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from command import command
from oracles.folders import by_group, write_folder

from curvebench.data import store
from curvebench.data.folder import Folder
from curvebench.data.views import VIEWS
from curvebench.evaluation import evaluate as evaluation
from curvebench.spec import DIAGNOSES

N_POINTS = 32


class Nearest:
    """A diagnoser that is fitted: the label of the nearest mean of final losses and slopes."""

    def fit(self, X, y):
        self.means = {d: self._seen(X[y == d]).mean(axis=0) for d in DIAGNOSES if (y == d).any()}

    def predict_proba(self, X):
        seen = self._seen(X)
        far = [
            np.square(seen - self.means[d]).sum(axis=1) if d in self.means else np.full(len(X), 9e9) for d in DIAGNOSES
        ]
        return np.eye(len(DIAGNOSES))[np.argmin(far, axis=0)]

    def _seen(self, X):
        losses = np.log(np.clip(np.nan_to_num(X[:, 0].astype(float)), 1e-6, 1e6))
        return np.stack([losses[:, -1], losses[:, -1] - losses[:, 0]], axis=1)

    def abstain(self, X):
        return X[:, 0, -1] > 1.2


@pytest.fixture(scope="module")
def dataset(make_dataset):
    return by_group(make_dataset(n_cells=24, n_points=N_POINTS))


@pytest.fixture(scope="module")
def folder(dataset, tmp_path_factory):
    path = tmp_path_factory.mktemp("folder") / "made-up"
    write_folder(dataset, path)
    return path


def of(examinations):
    """All that was found out, without how long it took."""
    return [
        (dataclasses.replace(e.result, microseconds_per_curve=None), e.view, e.judgement.rows.tolist(), e.answers)
        for e in examinations
    ]


@pytest.mark.parametrize(
    ("diagnoser", "batch", "views"),
    [
        *((name, 4096, ["whole"]) for name in ("rules", "chance", "constant-best", "oracle")),
        *((name, 5, ["whole"]) for name in ("chance", "constant-best", Nearest)),
        (Nearest, 37, list(VIEWS)),
        ("oracle", 37, list(VIEWS)),
    ],
)
def test_the_same_to_the_last_digit(dataset, folder, monkeypatch, diagnoser, batch, views):
    runs = {"test": None, "test_ood": None}
    whole = of(evaluation.examine(dataset, diagnoser, runs, views=views))
    monkeypatch.setattr(evaluation, "BATCH", batch)
    streamed = of(evaluation.examine(store.open_table(folder), diagnoser, runs, views=views))
    assert len(streamed) == len(whole) == 2 * len(views)
    for (result, view, rows, answers), (expected, expected_view, expected_rows, expected_answers) in zip(
        streamed, whole, strict=True
    ):
        assert (view, rows) == (expected_view, expected_rows)
        assert repr(result) == repr(expected), "every digit; NaN is NaN"
        assert np.array_equal(answers.probabilities, expected_answers.probabilities)
        assert answers.prescribed == expected_answers.prescribed


def test_fitting_on_a_folder_and_scoring_a_file_and_the_other_way_round(dataset, folder):
    table = store.open_table(folder)
    results = [
        evaluation.evaluate(one, Nearest(), split="test", fit_on=other, n_bootstrap=20)
        for one, other in ((dataset, dataset), (dataset, table), (table, dataset), (table, table))
    ]
    assert len({repr(dataclasses.replace(result, microseconds_per_curve=None)) for result in results}) == 1


def test_no_more_than_a_shard_of_curves_is_read_at_once(folder, monkeypatch):
    largest, read = max(shard.n_runs for shard in store.open_table(folder).manifest.shards), []
    real = Folder._columns

    def watched(self, shard, names):
        columns = real(self, shard, names)
        read.append((len(columns["group"]), set(names)))
        return columns

    shown = []

    class Watching:
        def predict_proba(self, X):
            shown.append(len(X))
            return np.full((len(X), 6), 1 / 6)

    monkeypatch.setattr(Folder, "_columns", watched)
    monkeypatch.setattr(evaluation, "BATCH", 10)
    monkeypatch.setattr(evaluation, "MAX_REPETITIONS", 1)
    table = store.open_table(folder)
    evaluation.evaluate(table, Watching(), split="test", n_bootstrap=5)
    assert max(n for n, _ in read) == largest < len(table)
    assert any("train_loss" in names for _, names in read)
    assert max(shown) == 10


def test_the_command_takes_a_folder(dataset, folder, tmp_path):
    store.write(dataset, tmp_path / "one.h5")
    from_folder, from_file = (command("evaluate", path, "--json", "-q") for path in (folder, tmp_path / "one.h5"))
    assert from_folder.code == from_file.code == 0, from_folder.err
    for one, other in zip(from_folder.json["results"], from_file.json["results"], strict=True):
        assert one.pop("microseconds_per_curve") > 0
        assert other.pop("microseconds_per_curve") > 0
        assert one == other


SPY = """
import os
class Spy:
    def predict_proba(self, X):
        assert os.listdir("FOLDER") == [], "labels are to be seen"
        return [[1 / 6] * 6] * len(X)
"""


def test_a_namespace_hides_a_folder_as_it_hides_a_file(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spy.py").write_text(SPY.replace("FOLDER", str(folder)))
    arguments = ["evaluate", folder, "-d", "spy.py:Spy", "--split", "test", "--no-references", "-q", "--isolation"]
    done = command(*arguments, "namespace")
    assert (done.code, done.err) == (0, "") or "'namespace' is not available here" in done.err
    open_ = command(*arguments, "process")
    assert open_.code == 1
    assert "labels are to be seen" in open_.err
    assert store.verify(folder).n_runs == 384
