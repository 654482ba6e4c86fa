"""Files of fitted diagnosers: the same answers from them, and a sentence about every file that is none."""

from __future__ import annotations

import dataclasses
import io
import json
import pickle
import zipfile
from functools import cache

import numpy as np
import pytest
from command import command
from extras import NEEDED, skip_without_what_it_needs

from curvebench.data.dataset import content_sha256, joint_sha256
from curvebench.data.store import write
from curvebench.diagnosers import DIAGNOSERS, make_diagnoser, resolve
from curvebench.diagnosers.learned import describe, load_model, save_model
from curvebench.diagnosers.learned.models import KINDS, MAX_BYTES, _array, kind_of, model_bytes, model_from_bytes
from curvebench.diagnosers.trivial import Constant
from curvebench.evaluation.evaluate import evaluate, fit_on_train
from curvebench.spec import DIAGNOSES, TRACKS, InputError, UsageError

LIGHT = "boosting"
"""Fitted where any kind would do."""

ALLOWED = (ValueError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError)
"""What `model_from_bytes` says that it raises."""


def curves(n_channels: int = 1, n: int = 60, n_points: int = 20, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Curves of three kinds, and their labels."""
    rng = np.random.default_rng(seed)
    kind = np.arange(n) % 3
    speed = np.array([1.0, 8.0, 40.0])[kind][:, None, None] * rng.uniform(0.8, 1.2, (n, n_channels, 1))
    X = np.exp(-speed * np.linspace(0, 1, n_points)) + rng.uniform(0.01, 0.02, (n, n_channels, n_points))
    return X.astype(np.float32), np.array(["lr_too_low", "healthy", "lr_too_high"])[kind]


@cache
def fitted(name: str, n_channels: int = 1):
    skip_without_what_it_needs(name)
    return make_diagnoser(name).fit(*curves(n_channels))


@pytest.fixture(scope="module")
def image() -> bytes:
    """The bytes of a good file."""
    return model_bytes(fitted(LIGHT), "abc")


def changed(image: bytes, header: dict | None = None, **entries: bytes | None) -> bytes:
    """The same file with other fields of its header and other entries; None leaves one out."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(image)) as good, zipfile.ZipFile(made, "w") as archive:
        content = {name: good.read(name) for name in good.namelist()}
        if header is not None:
            content["model.json"] = json.dumps(json.loads(content["model.json"]) | header).encode()
        for name, entry in (content | {f"{name}.npy": entry for name, entry in entries.items()}).items():
            if entry is not None:
                archive.writestr(name, entry)
    return made.getvalue()


def npy(array: object, *, allow_pickle: bool = False) -> bytes:
    file = io.BytesIO()
    np.save(file, np.asarray(array), allow_pickle=allow_pickle)
    return file.getvalue()


def arrays_of(image: bytes) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(io.BytesIO(image)) as archive:
        return {n[:-4]: np.load(io.BytesIO(archive.read(n))) for n in archive.namelist() if n.endswith(".npy")}


# ------------------------------------------------------------------------------------------- good files


@pytest.mark.parametrize("track", TRACKS)
@pytest.mark.parametrize("name", KINDS)
def test_a_stored_model_answers_bit_for_bit_as_before(name, track, tmp_path):
    before = fitted(name, len(TRACKS[track]))
    save_model(before, tmp_path / "model.cbm", dataset_sha256="abc")
    after = load_model(tmp_path / "model.cbm")
    for n_points in (20, 1, 33):
        X, _ = curves(len(TRACKS[track]), 9, n_points, seed=1)
        X[0, 0, -1] = np.nan
        np.testing.assert_array_equal(after.predict_proba(X), before.predict_proba(X))
    assert after.track == track
    assert not hasattr(after, "fit")
    origin = after.origin
    assert (origin.kind, origin.track, origin.n_points, origin.dataset_sha256) == (name, track, 20, "abc")
    assert sorted(origin.diagnoses) == ["healthy", "lr_too_high", "lr_too_low"]
    assert origin.versions["numpy"] == np.__version__


def test_every_learned_kind_is_in_the_registry_under_its_name():
    for name in KINDS:
        assert name in DIAGNOSERS
        if name not in NEEDED:
            assert kind_of(make_diagnoser(name)) == name


def test_a_model_of_one_diagnosis_is_stored_too(tmp_path):
    X, y = curves()
    save_model(make_diagnoser(LIGHT).fit(X, np.full(len(y), "healthy")), tmp_path / "model.cbm")
    assert (load_model(tmp_path / "model.cbm").predict_proba(X)[:, DIAGNOSES.index("healthy")] == 1).all()


def test_the_same_model_makes_the_same_bytes(image):
    assert model_bytes(fitted.__wrapped__(LIGHT), "abc") == image


def test_a_larger_track_may_be_shown(image):
    model = model_from_bytes(image)
    X, _ = curves(3)
    np.testing.assert_array_equal(model.predict_proba(X), model.predict_proba(X[:, :1]))
    telemetry = model_from_bytes(model_bytes(fitted(LIGHT, 3)))
    with pytest.raises(ValueError, match="fitted to"):
        telemetry.predict_proba(X[:, :1])


def test_what_can_t_be_stored_is_said_before_anything_is_written(tmp_path):
    for diagnoser, said in ((Constant(), "can't be stored"), (make_diagnoser(LIGHT), "not fitted")):
        with pytest.raises(UsageError, match=said):
            save_model(diagnoser, tmp_path / "model.cbm")
    with pytest.raises(UsageError, match=r"must end in \.cbm"):
        save_model(fitted(LIGHT), tmp_path / "model.pkl")
    (tmp_path / "there.cbm").write_bytes(b"mine")
    with pytest.raises(UsageError, match="already exists"):
        save_model(fitted(LIGHT), tmp_path / "there.cbm")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"there.cbm": b"mine"}


def test_a_path_is_evaluated_without_being_fitted_again(make_dataset, tmp_path):
    dataset = make_dataset(n_cells=12, n_points=12)
    path = str(tmp_path / "model.cbm")
    save_model(fit_on_train(dataset, LIGHT), path, dataset_sha256=content_sha256(dataset))
    stored, fresh = (evaluate(dataset, name, n_bootstrap=2) for name in (path, LIGHT))
    assert stored.diagnoser == path
    assert stored.status == fresh.status == "ok"
    assert stored.scores == fresh.scores
    assert stored.confusion == fresh.confusion
    with pytest.raises(UsageError, match="no method fit"):
        fit_on_train(dataset, path)


def test_the_commands_fit_store_and_score(make_dataset, tmp_path):
    for name, seed in (("one", 0), ("two", 1)):
        write(make_dataset(n_cells=12, n_points=12, seed=seed), tmp_path / f"{name}.h5")
    model = tmp_path / "model.cbm"
    done = command("fit", tmp_path / "one.h5", "-d", LIGHT, "-o", model, "--track", "telemetry", "--json")
    assert (done.code, done.err) == (0, ""), done
    assert done.json == dataclasses.asdict(load_model(model).origin) | {"diagnoses": done.json["diagnoses"]}
    assert (done.json["kind"], done.json["track"], done.json["n_points"]) == (LIGHT, "telemetry", 12)
    shown = command("fit", tmp_path / "one.h5", "-d", LIGHT, "-o", model, "--track", "telemetry", "--force")
    assert done.json["dataset_sha256"] in shown.out
    scored = command("evaluate", tmp_path / "one.h5", "-d", model, "--json", "--split", "test")
    assert scored.code == 0, scored
    assert scored.json["results"][0]["track"] == "telemetry"
    assert "another data set" not in scored.err
    assert "another data set" in command("evaluate", tmp_path / "two.h5", "-d", model, "--split", "test").err
    again = command("fit", tmp_path / "one.h5", "-d", LIGHT, "-o", model)
    assert (again.code, "already exists" in again.err) == (2, True)
    rules = command("fit", tmp_path / "one.h5", "-d", "rules", "-o", tmp_path / "rules.cbm")
    assert (rules.code, "can't be stored" in rules.err) == (2, True)


def test_a_model_of_several_data_sets_learns_from_all(make_dataset, tmp_path):
    one, two = (make_dataset(n_cells=12, n_points=12, seed=seed) for seed in (0, 1))
    seen = {}

    class Learner(Constant):
        def fit(self, X, y):
            seen.update(X=X, y=y)

    fit_on_train(one, Learner, also=[two])
    rows = [(part["split"] == "train") & part.is_scored for part in (one, two)]
    np.testing.assert_array_equal(seen["X"], np.concatenate([one.to_numpy3d()[rows[0]], two.to_numpy3d()[rows[1]]]))
    np.testing.assert_array_equal(seen["y"], np.concatenate([one.labels[rows[0]], two.labels[rows[1]]]))
    for name, dataset in (("one", one), ("two", two)):
        write(dataset, tmp_path / f"{name}.h5")
    done = command("fit", tmp_path / "one.h5", "--also", tmp_path / "two.h5", "-d", LIGHT, "-o", tmp_path / "m.cbm")
    assert (done.code, done.err) == (0, ""), done
    assert load_model(tmp_path / "m.cbm").origin.dataset_sha256 == joint_sha256([one, two])
    assert joint_sha256([one]) == content_sha256(one) != joint_sha256([one, two]) != joint_sha256([two, one])


# --------------------------------------------------------------------------------------------- bad files


def test_files_that_are_none(tmp_path, image):
    path = tmp_path / "model.cbm"
    with pytest.raises(InputError, match="can't be read: No such file"):
        resolve(str(path))
    with pytest.raises(InputError, match=r"not a plain file|Is a directory"):
        load_model(tmp_path)
    for content in (b"", b"PK", b"\x80\x04.", image[:-1], image[: len(image) // 2], image[40:]):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"no model that can be read .*; fit it again\.$"):
            load_model(path)
    with open(path, "wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(InputError, match="models of up to"):
        load_model(path)


def test_a_byte_that_is_changed_is_seen_or_makes_no_difference(image):
    X, _ = curves(seed=1)
    before = model_from_bytes(image).predict_proba(X)
    ends = image.rindex(b"PK\x01\x02")  # every field of the last entry and of the end; elsewhere some of them
    places = [*range(200), *range(200, ends, max(1, ends // 200)), *range(ends, len(image))]
    n_seen = 0
    for place in places:
        broken = bytearray(image)
        broken[place] ^= 0xFF
        try:
            np.testing.assert_array_equal(model_from_bytes(bytes(broken)).predict_proba(X), before)
        except ALLOWED:
            n_seen += 1
    assert n_seen > 0.8 * len(places)


class Opens:
    """Unpickled, it would write a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (open, (self.path, "w"))


def test_pickles_are_never_opened(tmp_path, image):
    trap, path = Opens(tmp_path / "trapped"), tmp_path / "model.cbm"
    inside = npy(np.array([trap], dtype=object), allow_pickle=True)
    for content in (changed(image, baseline=inside), pickle.dumps(trap), changed(image, baseline=pickle.dumps(trap))):
        path.write_bytes(content)
        with pytest.raises(InputError, match="no model"):
            load_model(path)
    assert not (tmp_path / "trapped").exists()


@pytest.mark.parametrize(
    "header",
    [
        {"format": "other"},
        {"version": 2},
        {"version": True},
        {"kind": "os:system"},
        {"kind": ["forest"]},
        {"kind": "forest"},
        {"diagnoses": ["healthy", "healthy", "lr_too_low"]},
        {"diagnoses": ["healthy"]},
        {"diagnoses": ["tired"]},
        {"diagnoses": []},
        {"diagnoses": "healthy"},
        {"track": "all"},
        {"n_channels": 0},
        {"n_channels": 3},
        {"n_channels": 6, "track": "config"},
        {"n_channels": 10**30},
        {"n_points": 0},
        {"n_points": 1.5},
        {"dataset_sha256": None},
        {"versions": {"numpy": 2}},
        {"arrays": ["root"]},
        {"arrays": [3]},
        {"arrays": ["../root"]},
    ],
    ids=str,
)
def test_headers_that_do_not_fit(image, header):
    if header == {"version": True}:
        header = {"version": "1"}
    with pytest.raises(ValueError, match=r"\S"):
        model_from_bytes(changed(image, header))


def huge(entry: bytes, length: int) -> bytes:
    """An .npy file whose header promises more than it has."""
    array = np.load(io.BytesIO(entry))
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (length,)})
    return header.getvalue() + array.tobytes()


@pytest.mark.parametrize(
    "header",
    [
        "-" * 9000 + "1",
        "(" * 5000,
        "1L",
        "{[]: 1}",
        "{'descr': ',,', 'fortran_order': False, 'shape': (), }",
        "{'descr': '|O', 'fortran_order': False, 'shape': (), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (True,), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }",
        "{'descr': '<f8', 'fortran_order': True, 'shape': (), }",
        "{'descr': ('<f8', '<f8'), 'fortran_order': False, 'shape': (), }",
    ],
    ids=lambda header: header[:60],
)
def test_headers_of_arrays_that_would_trouble_a_parser(image, header):
    entry = np.lib.format.MAGIC_PREFIX + b"\x01\x00" + (len(header) + 1).to_bytes(2, "little") + header.encode() + b"\n"
    with pytest.raises(ValueError, match="not of numbers"):
        model_from_bytes(changed(image, sharpness=entry + bytes(8)))


@pytest.mark.parametrize("array", [np.array(1.5), np.zeros((0, 3), "<i4"), np.arange(6, dtype="<f4").reshape(1, 2, 3)])
def test_arrays_are_read_as_numpy_reads_them(array):
    read = _array(npy(array))
    assert read.dtype == array.dtype
    np.testing.assert_array_equal(read, array)


def test_arrays_that_do_not_fit(image):
    good = arrays_of(image)
    n_nodes = len(good["feature"])
    bad = {
        "feature": [np.full_like(good["feature"], 10**6), good["feature"] - 2, good["feature"][:-1]],
        "left": [np.zeros_like(good["left"]), good["left"] + n_nodes, np.roll(good["left"], 1)],
        "right": [np.zeros_like(good["right"]), good["right"] + n_nodes],
        "root": [good["root"] + n_nodes, good["root"] - 1, good["root"][:-1], good["root"][:0], good["root"][0]],
        "value": [np.where(good["value"] > 9, 0, np.nan), good["value"].ravel(), good["value"].astype("<f4")],
        "threshold": [good["threshold"].astype("S8"), good["threshold"] + np.inf, good["threshold"].astype(complex)],
        "baseline": [good["baseline"][:-1], np.asfortranarray(np.ones((3, 2)))],
        "sharpness": [np.ones(1)],
    }
    for name, arrays in bad.items():
        for array in arrays:
            with pytest.raises(ALLOWED, match=r"\S"):
                model_from_bytes(changed(image, **{name: npy(array)}))
        for entry in (None, b"", b"\x93NUMPY\x01\x00", huge(npy(good[name]), 2**60), huge(npy(good[name]), 2**200)):
            with pytest.raises(ALLOWED, match=r"\S"):
                model_from_bytes(changed(image, **{name: entry}))


@pytest.mark.parametrize("name", KINDS)
def test_every_array_of_every_kind_is_checked(name):
    """Another shape of any array is refused, and so are numbers that are none."""
    image = model_bytes(fitted(name))
    for array_name, array in arrays_of(image).items():
        wrong = [np.zeros((2, 3, 4, 5, 6), array.dtype)]
        if (name, array_name) != ("forest", "root"):  # a forest may have another tree
            wrong.append(np.append(array.ravel(), array.ravel()[:1]))
        if array.dtype.kind == "f":
            wrong.append(np.full_like(array, np.nan))
        else:
            wrong += [np.full_like(array, -1), np.full_like(array, 2**31 - 1)]
        for instead in wrong:
            with pytest.raises(ValueError, match=r"\S"):
                model_from_bytes(changed(image, **{array_name: npy(instead)}))


def test_zips_that_would_swell_or_hide_something(image):
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.json", b" " * 10**7)
    with pytest.raises(ValueError, match="compressed"):
        model_from_bytes(bomb.getvalue())
    with pytest.raises(ValueError, match="not those that it lists"):
        model_from_bytes(changed(image, more=npy(np.ones(3))))
    many = io.BytesIO()
    with zipfile.ZipFile(many, "w") as archive:
        for i in range(100):
            archive.writestr(str(i), b"")
    with pytest.raises(ValueError, match="100 entries"):
        model_from_bytes(many.getvalue())
    with pytest.raises(ValueError, match=r"nested too deeply|no valid|not that of"):
        model_from_bytes(changed_header(b"[" * 60_000))
    with pytest.raises(ValueError, match="too large"):
        model_from_bytes(changed_header(b" " * 100_000))


def changed_header(text: bytes) -> bytes:
    """A zip with nothing but this header."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("model.json", text)
    return file.getvalue()


def test_features_of_the_model_are_those_of_the_curves(image):
    """The check of trees counts features on a made-up curve; real ones have as many."""
    assert arrays_of(image)["feature"].max() < describe(curves()[0]).shape[1]
