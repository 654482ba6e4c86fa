"""Data sets in memory, in the layouts of other tools, held against those tools and against slow twins."""

from __future__ import annotations

import importlib
import math

import numpy as np
import pytest

import curvebench
from curvebench.data.dataset import Dataset
from curvebench.interchange import curves_frame, packages, remedies_frame, runs_frame, to_torch, to_tslearn
from curvebench.interchange.tables import CURVES
from curvebench.spec import DIAGNOSES, LABELS, TRACKS, InputError, UsageError


@pytest.fixture(scope="module")
def dataset(make_dataset):
    """Curves of many lengths; points after a curve's end repeat its last."""
    made = make_dataset(n_cells=12, n_points=9)
    length = np.random.default_rng(1).integers(0, 10, len(made))
    columns = dict(made.columns) | {"length": length}
    for name in CURVES:
        columns[name] = columns[name].copy()
        for values, n in zip(columns[name], length, strict=True):
            values[n:] = values[max(n - 1, 0)]
    return Dataset(columns, made.meta)


@pytest.fixture(scope="module")
def mini():
    return curvebench.load("mini")


# ------------------------------------------------------------------------------------------- scikit-learn


@pytest.mark.parametrize("track", TRACKS)
def test_the_entries_are_those_of_scikit_learns_own_loaders(mini, track):
    from sklearn.datasets import load_digits

    ours, theirs = curvebench.load_curvebench("mini", track=track), load_digits()
    assert set(theirs) - {"images"} <= set(ours)
    assert type(ours) is type(theirs)
    assert (ours.data.ndim, ours.target.dtype, ours.frame) == (theirs.data.ndim, theirs.target.dtype, None)
    assert ours.data.shape == (len(mini), len(ours.feature_names))
    assert len(set(ours.feature_names)) == len(ours.feature_names)
    assert ours.data.tobytes() == mini.to_numpy3d(track).tobytes()
    assert ours.curves.tobytes() == mini.to_numpy3d(track).tobytes()
    assert ours.target_names[ours.target].tolist() == mini.labels.tolist()
    assert ours.channel_names == list(TRACKS[track])
    assert ours.groups.tolist() == mini["problem"].tolist()
    assert ours.run.tolist() == mini["run"].tolist()
    assert str(ours.filename).endswith("mini.h5")


def test_names_of_features_say_where_they_stand(mini):
    ours = curvebench.load_curvebench(track="telemetry")
    at = ours.feature_names.index("grad_norm_7")
    assert np.array_equal(ours.data[:, at], mini["grad_norm"][:, 7], equal_nan=True)


def test_the_description_explains_every_label_and_names_every_source(mini):
    text = curvebench.load_curvebench().DESCR
    for word in (*LABELS, *mini.meta.source_licences, mini.meta.licence, "by intervention"):
        assert word in text


def test_as_frame_and_return_X_y(mini):  # noqa: N802 - the argument's name
    pd = pytest.importorskip("pandas")
    ours = curvebench.load_curvebench(as_frame=True, split="test")
    X, y = curvebench.load_curvebench(as_frame=True, split="test", return_X_y=True)
    pd.testing.assert_frame_equal(ours.frame, pd.concat([X, y], axis=1))
    assert (list(X.columns), y.name) == (ours.feature_names, "target")
    assert X.to_numpy().tobytes() == mini.to_numpy3d(split="test").tobytes()
    bare, codes = curvebench.load_curvebench(split="test", return_X_y=True)
    assert bare.tobytes() == X.to_numpy().tobytes()
    assert codes.tolist() == y.tolist()


def test_runs_that_are_not_scored_are_left_out_unless_they_are_wanted(dataset, tmp_path):
    curvebench.data.store.write(dataset, tmp_path / "a.h5")
    scored = curvebench.load_curvebench(tmp_path / "a.h5")
    everything = curvebench.load_curvebench(tmp_path / "a.h5", scored_only=False)
    assert scored.target_names.tolist() == list(DIAGNOSES)
    assert scored.target_names[scored.target].tolist() == dataset.labels[dataset.is_scored].tolist()
    assert everything.target_names[everything.target].tolist() == dataset.labels.tolist()
    assert scored.run.tolist() == dataset["run"][dataset.is_scored].tolist()


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"split": "tests"}, UsageError, "'test'"),
        ({"track": "loss"}, UsageError, "'curve'"),
        ({"name_or_path": "mimi"}, InputError, "'mini'"),
    ],
)
def test_what_does_not_exist(arguments, error, words):
    with pytest.raises(error, match=words):
        curvebench.load_curvebench(**arguments)


# ------------------------------------------------------------------------------------------------- frames


def test_a_row_for_each_run(dataset):
    pytest.importorskip("pandas")
    frame = runs_frame(dataset)
    for i, run in enumerate(dataset["run"]):
        row = frame.loc[run]
        assert row["diagnosis"] == dataset["diagnosis"][i]
        assert [bool(row[f"accepted_{d}"]) for d in DIAGNOSES] == dataset["accepted"][i].astype(bool).tolist()
    for name in set(dataset.columns) & set(frame.columns):
        values = frame[name].to_numpy()
        if dataset[name].dtype.kind == "U":
            assert values.tolist() == dataset[name].tolist()
        else:
            assert (values.dtype, values.tobytes()) == (dataset[name].dtype, dataset[name].tobytes())
    with_axes = {name for name, values in dataset.columns.items() if values.ndim > 1}
    assert set(dataset.columns) - set(frame.columns) == with_axes | {"run"}


def test_a_row_for_each_recorded_point(dataset):
    pytest.importorskip("pandas")
    frame = curves_frame(dataset)
    slow = [(str(run), p) for run, n in zip(dataset["run"], dataset["length"], strict=True) for p in range(n)]
    assert list(zip(frame["run"], frame["point"], strict=True)) == slow
    for name in CURVES:
        kept = [values[:n] for values, n in zip(dataset[name], dataset["length"], strict=True)]
        assert frame[name].to_numpy().tobytes() == np.concatenate(kept).tobytes()


def test_a_row_for_each_remedy_that_was_tried(dataset):
    pytest.importorskip("pandas")
    frame = remedies_frame(dataset)
    slow = [
        (str(run), r, remedy.action.value, remedy.factor, remedy.at, gain)
        for run, gains in zip(dataset["run"], dataset["remedy_gain"].tolist(), strict=True)
        for r, (remedy, gain) in enumerate(zip(dataset.meta.remedies, gains, strict=True))
        if not math.isnan(gain)
    ]
    assert list(frame[["run", "remedy", "action", "factor", "at", "gain"]].itertuples(index=False, name=None)) == slow
    assert len(frame) < dataset["remedy_gain"].size


def test_outcomes_and_labels_stay_together_when_frames_are_joined(mini):
    pytest.importorskip("pandas")
    outcomes = remedies_frame(mini).join(runs_frame(mini)[["final_loss"]], on="run", rsuffix="_of_run")
    of_none = outcomes[outcomes["action"] == "none"]
    assert of_none["final_loss"].tolist() == of_none["final_loss_of_run"].tolist()
    assert len(of_none) == len(mini)


# ---------------------------------------------------------------------------------- tslearn, torch, sktime


@pytest.mark.parametrize("track", TRACKS)
def test_tslearn_finds_the_lengths_of_curves(dataset, track):
    utils = pytest.importorskip("tslearn.utils")
    X = to_tslearn(dataset, track, split="train")
    part = dataset.split("train")
    channels = part.to_numpy3d(track)
    assert X.shape == (len(part), part.n_points, len(TRACKS[track]))
    for curve, (channel, n) in zip(X, zip(channels, part["length"], strict=True), strict=True):
        assert np.array_equal(curve[:n].T, channel[:, :n], equal_nan=True)
        assert np.isnan(curve[n:]).all()
    finite = [i for i, n in enumerate(part["length"]) if n and np.isfinite(X[i, :n]).all()]
    assert finite
    assert [utils.ts_size(X[i]) for i in finite] == part["length"][finite].tolist()
    assert np.array_equal(utils.to_time_series_dataset(X).astype(np.float32), X, equal_nan=True)


def test_sktime_takes_the_array_for_a_collection(mini):
    datatypes = pytest.importorskip("sktime.datatypes")
    assert datatypes.check_is_mtype(mini.to_numpy3d("telemetry")[:50], "numpy3D")


@pytest.mark.parametrize("track", TRACKS)
def test_torch_loads_batches(mini, track):
    torch = pytest.importorskip("torch")
    curves = to_torch(mini, track, split="test")
    assert isinstance(curves, torch.utils.data.Dataset)
    assert len(curves) == len(mini.split("test"))
    batches = list(torch.utils.data.DataLoader(curves, batch_size=100))
    X, y = (torch.cat(parts).numpy() for parts in zip(*batches, strict=True))
    assert X.tobytes() == mini.to_numpy3d(track, "test").tobytes()
    assert [LABELS[i] for i in y] == mini.targets("test").tolist()
    curve, label = curves[0]
    assert (curve.shape, curve.dtype, label.dtype) == ((len(TRACKS[track]), mini.n_points), torch.float32, torch.int64)


# ----------------------------------------------------------------------------------------- what is missing


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda d: runs_frame(d), "A data frame needs pandas, which is not installed: pip install 'curvebench"),
        (lambda d: to_torch(d), "A torch data set needs torch, which is not installed: pip install 'curvebench"),
        (lambda d: curvebench.load_curvebench(as_frame=True), "as_frame needs pandas"),
    ],
)
def test_a_package_that_is_missing_is_named_with_what_installs_it(monkeypatch, dataset, call, words):
    def missing(module):
        package = module.partition(".")[0]
        if package in ("pandas", "torch"):
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)
        return importlib.import_module(module)

    monkeypatch.setattr(packages, "import_module", missing)
    with pytest.raises(UsageError, match=words.replace("(", r"\(")):
        call(dataset)


def test_a_package_that_is_there_but_broken_is_not_called_missing(monkeypatch):
    def broken(module):
        raise ModuleNotFoundError("No module named 'dateutil'", name="dateutil")

    monkeypatch.setattr(packages, "import_module", broken)
    with pytest.raises(ModuleNotFoundError, match="dateutil"):
        packages.needed("pandas", what="A data frame", extra="export")
