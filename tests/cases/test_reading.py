"""Files of cases, sound and hostile: every fault is a sentence with the number of its line."""

from __future__ import annotations

import gzip
import json
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curvebench.cases import reading
from curvebench.cases.case import CASE_LABELS, CONFIDENCES
from curvebench.cases.reading import read_cases
from curvebench.spec import InputError, UsageError

SOUND = {"id": "a", "loss": [2.0, 1.0], "label": "healthy"}


@pytest.fixture
def read(tmp_path):
    def read_text(text):
        path = tmp_path / "cases.jsonl"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_cases(path)

    return read_text


def line(**changes):
    return json.dumps({**SOUND, **changes})


def test_three_fields_are_enough(read):
    (case,) = read(line()).cases
    assert (case.id, case.label, case.loss.tolist()) == ("a", "healthy", [2.0, 1.0])
    assert (case.source_url, case.kind, case.confidence) == ("", "", "")
    assert case.steps is case.val_loss is case.learning_rate is None


def test_all_fields_are_read_and_others_passed_over(read):
    (case,) = read(
        line(
            source_url="https://example.org/1", kind="thread", confidence="high", steps=[1, 5], val_loss=[3],
            lr=0.1, schedule="constant (default)", remedy_text="line\none", note=None, output_activation="softmax",
            mine={"deep": [1]},
        )
    ).cases  # fmt: skip
    assert (case.kind, case.confidence, case.source) == ("thread", "high", "https://example.org/1")
    assert (case.steps.tolist(), case.val_loss.tolist()) == ([1, 5], [3])
    assert case.learning_rate.tolist() == [0.1, 0.1]


@pytest.mark.parametrize(
    ("lr", "schedule", "expected"),
    [
        (0.1, "constant", [0.1, 0.1]),
        (0.1, "Constant so far", [0.1, 0.1]),
        (0.1, "cosine", None),
        (0.1, None, None),
        ([0.1, 0.01], "step", [0.1, 0.01]),
        ("1e-3, then less", "constant", None),
        (None, "constant", None),
    ],
)
def test_a_rate_is_shown_only_where_it_is_known_at_every_point(read, lr, schedule, expected):
    (case,) = read(line(lr=lr, schedule=schedule)).cases
    assert (None if case.learning_rate is None else case.learning_rate.tolist()) == expected


@pytest.mark.parametrize(
    ("spelled", "value"),
    [
        (word, value)
        for words, value in (
            (("NaN", "nan", '"nan"', '"NaN"', '"NAN"', '"-nan"', "-NaN", '"1.#QNAN"', "null"), math.nan),
            (("Infinity", "inf", '"inf"', "1e999", '"1.#INF"', '"+Infinity"'), math.inf),
            (("-Infinity", '"-inf"', "-1e999"), -math.inf),
        )
        for word in words
    ],
)
def test_every_spelling_of_what_is_no_number_is_known(read, spelled, value):
    (case,) = read('{"id": "a", "label": "other", "loss": [1.5, %s]}' % spelled).cases  # noqa: UP031
    np.testing.assert_array_equal(case.loss, [1.5, value])


@pytest.mark.parametrize(
    "content",
    [
        line() + "\r\n\r\n" + line(id="b") + "\r\n",
        "\ufeff" + line() + "\n" + line(id="b"),
        (line() + "\n" + line(id="b")).encode("utf-16"),
        gzip.compress((line() + "\n" + line(id="b")).encode()),
        f"[{line()},\n {line(id='b')}]",
        line(note="a\u2028b") + "\n" + line(id="b"),
    ],
    ids=["windows", "mark", "utf-16", "gzip", "list", "odd line end in a text"],
)
def test_files_of_all_sorts_are_read(read, content):
    assert [case.id for case in read(content).cases] == ["a", "b"]


WRONG = [
    ("{}", r"line 2 must be a JSON object"),
    ("17", r"line 2 must be a JSON object"),
    ("{", r"line 2 is no JSON"),
    ('{"id": "b", "loss": [1]', r"line 2 is no JSON"),
    ("[" * 100_000, r"line 2 is no JSON: it is nested too deep"),
    ('{"id": "b", "label": "other", "loss": [1], "x": ' + "[" * 100_000, r"line 2 is no JSON"),
    ('{"id": "b", "label": "other", "loss": ' + "[" * 900 + "1" + "]" * 900 + "}", r"line 2"),
    ("x" * (2**20 + 1), r"line 2 has 1,048,577 characters"),
    (line(), r"line 2\.id is 'a', as line 1\.id is"),
    (line(id=""), r"line 2\.id is empty"),
    (line(id=5), r"line 2\.id .* text"),
    (line(id="a\x1b[31m"), r"line 2\.id .* text"),
    (line(id="i" * 201), r"line 2\.id .* 200"),
    (line(id=None), r"line 2 lacks 'id'"),
    (json.dumps({"id": "b", "label": "other"}), r"line 2 lacks 'loss'"),
    (line(id="b", loss=[]), r"line 2\.loss must be a list of at least one"),
    (line(id="b", loss=1.0), r"line 2\.loss must be a list"),
    (line(id="b", loss={"0": 1}), r"line 2\.loss must be a list"),
    (line(id="b", loss=[1, "much"]), r"line 2\.loss\[1\] is 'much'; it must be a number or 'nan'"),
    (line(id="b", loss=[1, True]), r"line 2\.loss\[1\] is 'True'"),
    (line(id="b", loss=[1, [2]]), r"line 2\.loss\[1\]"),
    (line(id="b", label="bad"), r"line 2\.label is 'bad'; it must be one of lr_too_high, .* other"),
    (line(id="b", label="indeterminate"), r"line 2\.label"),
    (line(id="b", label=["healthy"]), r"line 2\.label"),
    (line(id="b", confidence="sure"), r"line 2\.confidence is 'sure'; it must be one of high, medium, low"),
    (line(id="b", source_url=7), r"line 2\.source_url"),
    (line(id="b", source_url="u" * 1001), r"line 2\.source_url"),
    (line(id="b", kind={}), r"line 2\.kind"),
    (line(id="b", steps=[1]), r"line 2\.steps has 1 numbers and the loss 2"),
    (line(id="b", steps=[2, 1]), r"line 2\.steps must be finite"),
    (line(id="b", steps=[1, "nan"]), r"line 2\.steps must be finite"),
    (line(id="b", val_loss="nan"), r"line 2\.val_loss must be a list"),
    (line(id="b", lr=[1]), r"line 2\.lr has 1 numbers"),
    (line(id="b", lr=-1), r"line 2\.lr is '-1.0'; it must be a number from 0"),
    (line(id="b", lr=True), r"line 2\.lr"),
    (line(id="b", schedule=0.1), r"line 2\.schedule"),
]


@pytest.mark.parametrize(("bad", "sentence"), WRONG)
def test_what_is_wrong_is_said_with_its_line(read, bad, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        read(f"{line()}\n{bad}\n")
    assert len(str(caught.value)) < 700
    assert str(caught.value).isprintable()


def test_several_faults_are_told_at_once_but_not_all(read):
    with pytest.raises(InputError) as caught:
        read("\n".join("{" for _ in range(1000)))
    assert re.findall(r"line \d+", str(caught.value)) == [f"line {i}" for i in range(1, 1 + reading.MAX_FAULTS)]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "empty"),
        (b"\n \n", "has no cases"),
        ("[]", "has no cases"),
        ("[1, 2", "no JSON|cannot be read as JSON"),
        ("[{}]", r"case 1 must be a JSON object"),
        (b"\x80\x04\x95pickle", "pickle"),
        (b"\x00\x01\x02" * 100, "neither a text"),
        (gzip.compress(line().encode(), mtime=0)[:-9], "cannot be used in part"),
    ],
)
def test_what_is_no_file_of_cases_is_a_sentence(read, content, sentence):
    with pytest.raises(InputError, match=sentence):
        read(content)


def test_too_many_cases_are_refused(read, monkeypatch):
    monkeypatch.setattr(reading, "MAX_CASES", 2)
    with pytest.raises(InputError, match="more than 2 cases"):
        read("\n".join(line(id=str(i)) for i in range(3)))


def test_a_file_that_is_cut_at_the_limit_is_refused(read, monkeypatch):
    monkeypatch.setattr(reading, "MAX_TEXT_BYTES", 40)
    with pytest.raises(InputError, match="cannot be used in part"):
        read(line() + "\n" + line(id="b"))


@pytest.mark.parametrize("name", ["wilt", "x" * 5000, "a\0b"])
def test_a_file_that_is_not_there_is_a_sentence(name):
    with pytest.raises(UsageError, match="There is no file"):
        read_cases(name)


def test_a_shipped_name_that_is_nearly_right_is_suggested():
    with pytest.raises(UsageError, match="Did you mean 'wild'"):
        read_cases("wilde")


ANY = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ("id", "loss", "label", "source_url", "kind", "confidence", "steps", "val_loss", "lr", "schedule")


@settings(max_examples=200)
@given(st.lists(st.dictionaries(st.sampled_from(FIELDS), ANY), max_size=3), st.booleans())
def test_whatever_stands_in_a_file_it_is_cases_or_a_sentence(tmp_path_factory, objects, is_list):
    text = json.dumps(objects) if is_list else "\n".join(map(json.dumps, objects))
    path = tmp_path_factory.mktemp("any") / "x.jsonl"
    path.write_text(text, encoding="utf-8")
    try:
        found = read_cases(path).cases
    except InputError:
        return
    for case in found:
        assert case.label in CASE_LABELS
        assert case.confidence in ("", *CONFIDENCES)
        assert case.loss.dtype == np.float64
        assert case.channels("config").shape[1] == min(len(case.loss), 128)
