"""Baselines are read back as they were written, and what is none is refused in a sentence."""

from __future__ import annotations

import dataclasses
import json
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curvebench.data.dataset import Dataset
from curvebench.evaluation.baselines import entry_of, judgement_before, read_baseline, to_text, write_baseline
from curvebench.evaluation.compare import compare_judgements
from curvebench.evaluation.evaluate import examine
from curvebench.spec import InputError


@pytest.fixture(scope="module")
def dataset(make_dataset):
    return make_dataset(n_cells=18)


def ask(dataset, name):
    (examination,) = examine(dataset, name, {"test": None})
    return examination.result, examination.judgement


@pytest.fixture(scope="module")
def examined(dataset):
    return ask(dataset, "forest")


@pytest.fixture(scope="module")
def entries(dataset, examined):
    return {'a "test"': entry_of(*examined, dataset), "another": entry_of(*ask(dataset, "rules"), dataset)}


def test_it_comes_back_to_the_last_bit(entries, tmp_path):
    write_baseline(entries, tmp_path / "b.json")
    back = read_baseline(tmp_path / "b.json")
    assert set(back) == set(entries)
    for key, entry in entries.items():
        for name, value in vars(entry).items():
            np.testing.assert_array_equal(getattr(back[key], name), value)


def test_a_line_for_each_run(entries, examined):
    lines = to_text(entries).splitlines()
    for run in entries["another"].runs:
        assert sum(run in line for line in lines) == 2


def test_no_change_is_exactly_none(dataset, examined, entries, tmp_path):
    write_baseline(entries, tmp_path / "b.json")
    before = judgement_before(read_baseline(tmp_path / "b.json")['a "test"'], *examined, dataset)
    differences, _, _ = compare_judgements(examined[1], before)
    for difference in differences.values():
        assert difference.interval == (0.0, 0.0) or np.isnan(difference.second)


def test_another_data_set_is_refused(dataset, examined, entries):
    other = Dataset(dataset.columns, dataclasses.replace(dataset.meta, cost_weight=0.03))
    with pytest.raises(InputError, match="made with another data set"):
        judgement_before(entries["another"], *ask(other, "rules"), other)
    changed = dataclasses.replace(entries["another"], runs=entries["another"].runs[::-1])
    with pytest.raises(InputError, match="other runs"):
        judgement_before(changed, *examined, dataset)


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"There is no baseline .*b\.json\.$"):
        read_baseline(tmp_path / "b.json")
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        read_baseline(tmp_path)


def changed(text, **fields):
    file = json.loads(text)
    file["entries"]["another"] |= fields
    return json.dumps(file)


ROW = ["run", "healthy", 0.5, [0, 0, 0, 0, 0, 1]]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: "", "Expecting value"),
        (lambda text: text[: len(text) // 2], "damaged"),
        (lambda text: "[]", "does not say"),
        (lambda text: '{"format": "curvebench-baseline", "format_version": 2}', "format version is 2"),
        (lambda text: '{"format": "curvebench-baseline", "format_version": 1}', "'entries' is missing"),
        (lambda text: '{"format": "curvebench-baseline", "format_version": 1, "entries": []}', "no object"),
        (lambda text: '{"format": "curvebench-baseline", "format_version": 1, "entries": {"a": 3}}', "damaged"),
        (lambda text: changed(text, split=3), "no text"),
        (lambda text: changed(text, answers=[]), "damaged"),
        (lambda text: changed(text, answers=[ROW[:3]]), "damaged"),
        (lambda text: changed(text, answers=[["run", "ill", 0.5, ROW[3]]]), "damaged"),
        (lambda text: changed(text, answers=[["run", "healthy", "much", ROW[3]]]), "damaged"),
        (lambda text: changed(text, answers=[["run", "healthy", 0.5, [1.0]]]), "six probabilities"),
        (lambda text: changed(text, answers=[["run", "healthy", 1e999, ROW[3]]]), "Infinity"),
        (lambda text: changed(text, answers=[["run", "healthy", 0.5, [-1, 0, 0, 0, 0, 1]]]), "no probabilities"),
        (lambda text: "[" * 100_000, "damaged"),
    ],
)
def test_what_is_no_baseline(entries, tmp_path, change, reason):
    (tmp_path / "b.json").write_text(change(to_text(entries)), encoding="utf-8")
    with pytest.raises(InputError, match=r"b\.json is no baseline of CurveBench, or it is damaged") as caught:
        read_baseline(tmp_path / "b.json")
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


@settings(max_examples=100)
@given(data=st.data())
def test_whatever_happens_to_a_file_it_is_read_or_refused(entries, tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "damaged.json"
    of_runs = ("runs", "prediction", "net_gain", "probabilities")
    few = dataclasses.replace(entries["another"], **{name: getattr(entries["another"], name)[:3] for name in of_runs})
    text = bytearray(to_text({"another": few}).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(text)
    with suppress(InputError):
        assert all(len(entry.runs) == len(entry.net_gain) for entry in read_baseline(path).values())
