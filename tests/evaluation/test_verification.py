"""Stored results: made once, never edited, and every number of them can be computed again."""

from __future__ import annotations

import dataclasses
import hashlib
import json

import numpy as np
import pytest

from curvebench.data import store
from curvebench.data.dataset import Dataset
from curvebench.evaluation.predictions import from_npz, to_npz
from curvebench.evaluation.report import json_bytes
from curvebench.evaluation.reporting import make_report, name_data_set
from curvebench.evaluation.stored_results import (
    awaiting_rerun,
    evaluate_and_store,
    load_report,
    pending,
    rerun_and_store,
    result_path,
    store_report,
)
from curvebench.evaluation.verification import check_numbers, verify_results
from curvebench.spec import CheckFailed, InputError, UsageError

NAMES = ["rules", "constant-best"]


@pytest.fixture(scope="module")
def dataset(make_dataset):
    return make_dataset(n_cells=12, n_points=16)


@pytest.fixture(scope="module")
def reports(dataset):
    return {name: make_report(dataset, name) for name in NAMES}


@pytest.fixture
def folder(tmp_path, reports):
    for report in reports.values():
        store_report(report, tmp_path)
    return tmp_path


def rewrite(path, change):
    """Edit the JSON of a result."""
    root = json.loads(path.read_bytes())
    change(root)
    path.write_bytes(json_bytes(root))


def faults(folder, dataset=None):
    return {v.path.name: v.fault for v in verify_results(folder, dataset)}


# ------------------------------------------------------------------------------------------ made once


def test_where_results_lie(folder, dataset, reports):
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))
    assert files == [
        "made-up-v1/constant-best.json",
        "made-up-v1/constant-best.predictions.npz",
        "made-up-v1/rules.json",
        "made-up-v1/rules.predictions.npz",
    ]
    path = result_path(folder, name_data_set(dataset), "rules")
    stored, made = load_report(path), reports["rules"]
    assert stored.to_json(b"") == made.to_json(b"")


def test_what_is_there_is_not_made_again(folder, dataset):
    data_set = name_data_set(dataset)
    assert pending(data_set, [*NAMES, "chance"], folder) == ["chance"]
    assert pending(data_set, NAMES, folder / "elsewhere") == NAMES


def test_what_differs_is_refused_unless_it_is_to_be_replaced(folder, dataset):
    data_set = name_data_set(dataset)
    path = result_path(folder, data_set, "rules")
    rewrite(path, lambda root: root["diagnoser"].update(sha256="0" * 64))
    with pytest.raises(UsageError, match=r"made by another version of rules.*--replace"):
        pending(data_set, [*NAMES, "chance"], folder)
    assert pending(data_set, [*NAMES, "chance"], folder, may_replace=True) == ["rules", "chance"]
    other = dataclasses.replace(data_set, content_sha256="1" * 64)
    with pytest.raises(UsageError, match="other content of made-up version 1"):
        pending(other, ["constant-best"], folder)
    path.write_bytes(b"{}")
    with pytest.raises(UsageError, match="is no result"):
        pending(data_set, ["rules"], folder)


def test_a_report_is_not_written_over_another(folder, reports):
    with pytest.raises(UsageError, match="already exists"):
        store_report(reports["rules"], folder)
    store_report(reports["rules"], folder, overwrite=True)


def test_names_that_would_share_a_file(folder, dataset):
    with pytest.raises(UsageError, match="the same file name"):
        pending(name_data_set(dataset), ["zoo/late-slope", "zoo:late-slope"], folder)


# ------------------------------------------------------------------------------------------- checked


def test_what_was_stored_is_in_order(folder, dataset):
    assert faults(folder) == faults(folder, dataset) == {"rules.json": "", "constant-best.json": ""}
    assert faults(folder / "made-up-v1", dataset) == faults(folder)


def numbers(value, place=()):
    """Where the JSON of an evaluation holds numbers that are computed."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in items:
        if isinstance(entry, int | float) and key != "microseconds_per_curve":
            yield (*place, key)
        yield from numbers(entry, (*place, key))


def test_no_number_may_be_another(folder, dataset, reports):
    """A number in fifty of every part, so that it does not take long; by the check of one report and not of a file."""
    path = result_path(folder, name_data_set(dataset), "rules")
    original = path.read_bytes()
    root = json.loads(original)
    parts = {key: root[key] for key in ("early", "transfer", "worst_view")}
    parts |= {"evaluations": [root["evaluations"][i] if i in (0, 11) else None for i in range(16)]}
    everywhere = [place for place in numbers(parts) if place[-1] != "n_runs"]
    assert len(everywhere) > 300
    for place in everywhere[::50]:

        def change(root, place=place):
            container = root
            for key in place[:-1]:
                container = container[key]
            container[place[-1]] += 1 if isinstance(container[place[-1]], int) else 1e-6

        rewrite(path, change)
        with pytest.raises((CheckFailed, InputError)):
            check_numbers(load_report(path), dataset)
        path.write_bytes(original)


def test_a_rosier_score_is_found_by_its_name(folder, dataset):
    path = result_path(folder, name_data_set(dataset), "rules")
    rewrite(path, lambda root: root["evaluations"][0]["scores"].update(value=0.99))
    assert faults(folder)["rules.json"] == ""
    assert faults(folder, dataset)["rules.json"].startswith(
        "evaluations[0].scores.value is stored as 0.99 and computed"
    )


def test_other_answers_do_not_fit_the_numbers(folder, dataset):
    path = result_path(folder, name_data_set(dataset), "constant-best")
    predictions = path.with_name("constant-best.predictions.npz")

    def with_arrays(change):
        arrays = dict(from_npz(predictions.read_bytes(), "p"))
        change(arrays)
        predictions.write_bytes(to_npz(arrays))
        digest = hashlib.sha256(predictions.read_bytes()).hexdigest()
        rewrite(path, lambda root: root.update(predictions_sha256=digest))

    with_arrays(lambda arrays: arrays.update(remedy_0=np.zeros_like(arrays["remedy_0"])))
    assert "not those that the answers lead to" in faults(folder, dataset)["constant-best.json"]
    with_arrays(lambda arrays: arrays.update(prescribed_0=arrays["prescribed_0"] * [0, 1, 0]))
    assert "evaluations[0]" in faults(folder, dataset)["constant-best.json"]


def test_answers_about_other_runs(folder, dataset):
    path = result_path(folder, name_data_set(dataset), "rules")
    report = load_report(path)
    shifted = {split: rows + 1 for split, rows in report.rows.items()}
    store_report(dataclasses.replace(report, rows=shifted), folder, overwrite=True)
    assert "about other runs" in faults(folder, dataset)["rules.json"]


def test_files_that_do_not_belong_there(folder, dataset):
    path = result_path(folder, name_data_set(dataset), "rules")
    moved = folder / "made-up-v2" / "rules.json"
    moved.parent.mkdir()
    for name in ("rules.json", "rules.predictions.npz"):
        (moved.parent / name).write_bytes((path.parent / name).read_bytes())
    copied = path.with_name("better.json")
    copied.write_bytes(path.read_bytes())
    path.with_name("better.predictions.npz").write_bytes(path.with_name("rules.predictions.npz").read_bytes())
    found = {str(v.path.relative_to(folder)): v.fault for v in verify_results(folder)}
    assert "belongs into a folder of that name" in found["made-up-v2/rules.json"]
    assert "whose file has another name" in found["made-up-v1/better.json"]
    assert found["made-up-v1/rules.json"] == ""


def test_results_about_other_content_side_by_side(folder, make_dataset, dataset):
    other = make_dataset(n_cells=12, n_points=16, seed=3)
    store_report(make_report(other, "chance"), folder)
    found = faults(folder)
    assert sum("about other content" in fault for fault in found.values()) == 2, "all that differ from the first"
    assert "another data set" in faults(folder, dataset)["chance.json"]


def test_what_is_too_large_is_not_read(folder, dataset, monkeypatch):
    monkeypatch.setattr("curvebench.evaluation.stored_results.MAX_JSON_BYTES", 1000)
    assert all("more than 1,000 bytes" in fault for fault in faults(folder).values())


def test_an_empty_folder(tmp_path):
    with pytest.raises(InputError, match="no results in"):
        faults(tmp_path)


# ------------------------------------------------------------------------------------------ repeated


@pytest.fixture(scope="module")
def files(dataset, make_dataset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    other = make_dataset(n_cells=12, n_points=16, seed=1)
    for name, made in (("first.h5", dataset), ("second.h5", other)):
        store.write(made, folder / name)
    return folder / "first.h5", folder / "second.h5"


def test_from_file_to_result_to_rerun(tmp_path, dataset, files, reports):
    data_set = name_data_set(dataset)
    path = evaluate_and_store(files[0], tmp_path, {}, {}, "rules")
    assert load_report(path).early == reports["rules"].early
    assert awaiting_rerun(data_set, tmp_path, 8) == ([path], [])
    rerun_and_store(files[1], 8, {}, path)
    report = load_report(path)
    assert report.rerun.master_seed == 8
    assert set(report.rerun.scores) == {"test", "test_ood"}
    assert report.evaluations == load_report(path).evaluations
    assert faults(tmp_path, dataset) == {"rules.json": ""}
    assert awaiting_rerun(data_set, tmp_path, 8) == ([], [])
    with pytest.raises(UsageError, match=r"rules \(seed 8\); --replace"):
        awaiting_rerun(data_set, tmp_path, 9)
    assert awaiting_rerun(data_set, tmp_path, 9, may_replace=True) == ([path], [])


def test_who_is_not_here_any_more_is_not_repeated(folder, dataset):
    data_set = name_data_set(dataset)
    path = result_path(folder, data_set, "rules")
    rewrite(path, lambda root: root["diagnoser"].update(sha256="0" * 64))
    paths, obstacles = awaiting_rerun(data_set, folder, 8)
    assert [p.name for p in paths] == ["constant-best.json"]
    assert obstacles == [f"rules is not repeated: {path} was made by another version of rules."]


def test_another_data_set_has_no_results_here(folder, dataset):
    other = Dataset(dataset.columns, dataclasses.replace(dataset.meta, recipe_name="else"))
    with pytest.raises(InputError, match="no results in"):
        awaiting_rerun(name_data_set(other), folder, 8)
