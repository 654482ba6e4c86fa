"""What is stored can be read back and checked, and nothing else can."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from oracles.answers_on_cases import made_up_cases_report

from curvebench.cases.reading import read_cases
from curvebench.cases.report import changed_answers, figures, read_report
from curvebench.spec import InputError


@pytest.fixture(scope="module")
def report():
    return made_up_cases_report()


@pytest.fixture
def path(report, tmp_path):
    path = tmp_path / "cases.json"
    path.write_bytes(report.to_bytes())
    return path


def test_what_was_stored_is_read_back(report, path):
    read = read_report(path, report.cases)
    assert read.to_bytes() == report.to_bytes()
    assert [v.name for v in read.verdicts] == ["rules", "constant", "half-seeing", "broken"]


def test_the_same_answers_make_the_same_bytes(report):
    assert made_up_cases_report().to_bytes() == report.to_bytes()


def test_whoever_failed_has_neither_answers_nor_figures(report):
    broken = report.to_json()["diagnosers"][-1]
    assert (broken["status"], broken["answers"], broken["agreement"]) == ("failed", [], [])


def test_figures_are_of_all_parts(report):
    shown = figures(report.cases.cases, report.verdicts[0])
    assert {part["of"] for part in shown} == {"all", "ours", "confidence", "kind", "label"}
    of_label = [part for part in shown if part["of"] == "label"]
    assert sum(part["n_cases"] for part in of_label) == shown[0]["n_cases"] == 30
    assert sum(part["n_right"] for part in of_label) == shown[0]["n_right"]


def set_in(value, *place):
    """A change of what stands at a place."""

    def change(document):
        for key in place[:-1]:
            document = document[key]
        document[place[-1]] = value

    return change


ANSWER = ("diagnosers", 0, "answers", 0)
FIGURE = ("diagnosers", 0, "agreement", 0)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (set_in("other", "format"), "format"),
        (set_in(2, "version"), "version"),
        (set_in("0" * 64, "cases", "sha256"), "about other cases"),
        (set_in(31, "cases", "n_cases"), "does not follow"),
        (set_in("x", "fit_on_sha256"), "64 hexadecimal"),
        (set_in("<script>", "diagnosers", 0, "kind"), "one of"),
        (set_in("a\u202eb", "diagnosers", 0, "name"), "one line of text"),
        (set_in("better", *ANSWER, "said"), "does not follow"),
        (set_in("c99", *ANSWER, "id"), "does not follow"),
        (set_in(1, *ANSWER, "abstained"), "does not follow"),
        (set_in(True, *ANSWER, "abstained"), "does not follow"),
        (set_in([1, 0, 0, 0, 0], *ANSWER, "probabilities"), "must have 6"),
        (set_in([0.5, 0, 0, 0, 0, 0], *ANSWER, "probabilities"), "sum to one"),
        (set_in([2, -1, 0, 0, 0, 0], *ANSWER, "probabilities"), "from 0.0 to 1.0"),
        (set_in([], "diagnosers", 0, "answers"), "must have 30"),
        (set_in(0.99, *FIGURE, "right", "value"), "right.value does not follow"),
        (set_in([0.9, 1.0], *FIGURE, "right", "interval"), "does not follow"),
        (set_in(30, *FIGURE, "n_right"), "n_right does not follow"),
        (set_in([], "diagnosers", 0, "agreement"), "does not follow"),
        (set_in("ok", "diagnosers", 3, "status"), "must have 30"),
        (set_in(1, "more"), "more"),
    ],
)
def test_what_does_not_hold_together_is_refused(report, path, change, sentence):
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    with pytest.raises(InputError, match=sentence):
        read_report(path, report.cases)


@pytest.mark.parametrize("text", ["", "[]", "{", "NaN", "[" * 100_000, '{"format": NaN}'])
def test_what_is_no_result_is_refused(report, path, text):
    path.write_text(text)
    with pytest.raises(InputError):
        read_report(path, report.cases)


def test_a_file_that_is_not_there_is_a_sentence(report, tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_report(tmp_path / "none.json", report.cases)


def test_changed_answers_are_named(report):
    rules = report.verdicts[0]
    assert changed_answers(rules, rules, report.cases.cases) == []
    probabilities, abstained = rules.probabilities.copy(), rules.abstained.copy()
    probabilities[3], abstained[5] = np.roll(probabilities[3], 1), True
    other = dataclasses.replace(rules, probabilities=probabilities, abstained=abstained)
    assert changed_answers(rules, other, report.cases.cases) == [report.cases.cases[i].id for i in (3, 5)]


def test_cases_that_were_edited_are_others(path, tmp_path):
    (tmp_path / "mine.jsonl").write_text('{"id": "a", "loss": [1], "label": "other"}')
    with pytest.raises(InputError, match="about other cases"):
        read_report(path, read_cases(tmp_path / "mine.jsonl"))
