"""Results are read as if a stranger had written them."""

from __future__ import annotations

import copy
import hashlib
import json

import pytest

from curvebench.evaluation.predictions import from_npz, to_npz
from curvebench.evaluation.report import json_bytes, read_report
from curvebench.evaluation.reporting import make_report
from curvebench.spec import InputError


@pytest.fixture(scope="module")
def stored(make_dataset):
    report = make_report(make_dataset(n_cells=12, n_points=16), "constant-best")
    predictions = report.predictions()
    return report.to_json(predictions), predictions


def places(value, place=()):
    """Every key and index in a JSON value; of the evaluations only the first."""
    items = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    for key, entry in items:
        yield (*place, key)
        yield from places(entry, (*place, key))


def changed(root, place, change):
    """A copy in which `change(container, key)` was called at one place."""
    root = copy.deepcopy(root)
    container = root
    for key in place[:-1]:
        container = container[key]
    change(container, place[-1])
    return root


def complaint(root, predictions):
    with pytest.raises(InputError) as error:
        read_report(json_bytes(root), predictions, "r.json")
    message = str(error.value)
    assert message.startswith(("r.json", "a key of r.json"))
    assert len(message) < 700
    return message


FREE = {("diagnoser", "mapping"), ("run", "versions")}
"""Objects with any keys."""


def test_no_key_may_be_missing(stored):
    root, predictions = stored
    n_keys = 0
    for place in places(root):
        if isinstance(place[-1], str) and place[:-1] not in FREE:
            n_keys += 1
            complaint(changed(root, place, lambda container, key: container.pop(key)), predictions)
    assert n_keys > 100


def test_no_key_may_be_added(stored):
    root, predictions = stored
    for place in [(), ("data_set",), ("evaluations", 0), ("evaluations", 0, "scores"), ("early", "test", 0)]:
        with_more = changed(root, (*place, "more"), lambda container, key: container.update({key: 0}))
        assert "'more'" in complaint(with_more, predictions)


@pytest.mark.parametrize("wrong", [{"odd": 1}, [[]], "x" * 2000, True])
def test_no_value_may_be_of_another_kind(stored, wrong):
    root, predictions = stored
    for place in places(root):
        if place not in FREE and place[:2] != ("run", "versions"):

            def put(container, key):
                container[key] = wrong

            complaint(changed(root, place, put), predictions)


def put(value):
    def change(container, key):
        container[key] = value

    return change


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (("format",), "other", "is no result"),
        (("version",), 2, "format version 2; this program reads 1"),
        (("predictions_sha256",), "0" * 64, "another hash"),
        (("diagnoser", "kind"), "best", "one of reference"),
        (("diagnoser", "name"), "x" * 81, "at most 80"),
        (("diagnoser", "description"), "two\nlines", "one line of text"),
        (("diagnoser", "covers"), ["tired"], "one of lr_too_high"),
        (("run", "time"), "yesterday", "such as 2026-11-23T04:00:00Z"),
        (("subset", "n_of", "test"), [5, 4], "uses 5 runs of 4"),
        (("subset", "n_of"), {}, "names no split"),
        (("evaluations",), [], "has no evaluations"),
        (("evaluations", 0, "status"), "great", "one of ok"),
        (("evaluations", 0, "status"), "failed", "and yet 'scores'"),
        (("evaluations", 0, "counts", "n_runs"), 3, "runs are missing"),
        (("evaluations", 0, "counts", "n_runs"), -3, "a whole number from 0"),
        (("evaluations", 0, "scores", "value"), 1e301, "must be a number"),
        (("evaluations", 0, "view"), "upside-down", "one of whole"),
        (("evaluations", 0, "view"), "noised", "twice"),
        (("evaluations", 0, "track"), "config", "lacks the evaluation"),
        (("evaluations", 0, "confusion"), [[0] * 6] * 5, "must have 6"),
        (("early", "test"), [], "must have 4"),
    ],
)
def test_what_is_wrong_is_said(stored, place, value, words):
    root, predictions = stored
    assert words in complaint(changed(root, place, put(value)), predictions)


def test_an_evaluation_that_is_missing(stored):
    root, predictions = stored
    without = changed(root, ("evaluations", 3), lambda container, key: container.pop(key))
    assert "lacks the evaluation on curve, test, first-75" in complaint(without, predictions)


def test_larger_tracks_show_whole_curves_only(stored):
    root, predictions = stored
    extra = {**root["evaluations"][4], "track": "config"}
    more = changed(root, ("evaluations",), lambda container, key: container[key].append(extra))
    assert "has no place there" in complaint(more, predictions)


def with_arrays(root, predictions, change):
    arrays = dict(from_npz(predictions, "p"))
    change(arrays)
    content = to_npz(arrays)
    return {**root, "predictions_sha256": hashlib.sha256(content).hexdigest()}, content


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("run", lambda a: a[:-1], "runs are missing"),
        ("run", lambda a: a[::-1].copy(), "does not rise"),
        ("run", lambda a: -a[::-1], "does not rise"),
        ("prediction_2", lambda a: a[:-1], "prediction_2 is uint8"),
        ("prediction_2", lambda a: (a + 1) % 6, "not the most probable"),
    ],
)
def test_arrays_that_do_not_fit(stored, name, change, words):
    def swap(arrays):
        arrays[name] = change(arrays[name])

    assert words in complaint(*with_arrays(*stored, swap))


def test_without_predictions_there_is_no_result(stored):
    root, predictions = stored
    with pytest.raises(InputError, match="no predictions beside it"):
        read_report(json_bytes(root), None, "r.json")
    with pytest.raises(InputError, match="another hash"):
        read_report(json_bytes(root), predictions[:-1], "r.json")


def test_nan_is_no_json(stored):
    root, predictions = stored
    text = json.dumps({**root, "transfer": {"value": float("nan"), "macro_f1": 0}}).encode()
    with pytest.raises(InputError, match="no JSON"):
        read_report(text, predictions, "r.json")
