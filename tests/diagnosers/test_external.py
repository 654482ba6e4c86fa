"""A program as a diagnoser: what it is asked, what it may answer, and what happens when it does not."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curvebench.diagnosers import conformance, resolve
from curvebench.diagnosers.answers import InvalidOutput, checked_probabilities
from curvebench.diagnosers.external import External, question, read_answers
from curvebench.processes import ChildFailed, ProcessLimits, TimedOut
from curvebench.spec import CHANNELS, DIAGNOSES, Action, Remedy, UsageError

PROGRAM = f"""#!{sys.executable} -IS
import json, sys
answers = []
for line in sys.stdin:
    curve = json.loads(line)
    values = [float(value) for value in curve["train_loss"]]
    answer = {{"id": curve["id"]}}
    if curve["id"] == 2:
        answer["abstain"] = True
    elif curve["id"] == 3:
        answer["crashed"] = True
    elif not values[-1] < values[0]:
        answer |= {{"diagnosis": "lr_too_high", "remedy": {{"action": "restart", "factor": 0.1}}}}
    else:
        answer["probabilities"] = {{"healthy": 0.75, "lr_too_low": 0.25}}
    answers.append(json.dumps(answer))
print("\\n".join(reversed(answers)))
"""


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "my program"
    path.write_text(PROGRAM)
    path.chmod(0o755)
    return f"exec:'{path}'"


def test_answers_come_in_any_order_and_kind(program):
    X = np.array([[[1, 2]], [[2, 1]], [[1, 1]], [[1, 1]], [[1, np.nan]], [[1, -np.inf]]], dtype=np.float32)
    diagnoser = resolve(program)
    proba = diagnoser.predict_proba(X)
    high, likely_healthy, healthy = [1, 0, 0, 0, 0, 0], [0, 0, 0.25, 0, 0, 0.75], [0, 0, 0, 0, 0, 1]
    assert proba.tolist() == [high, likely_healthy, healthy, healthy, high, likely_healthy]
    assert diagnoser.abstain(X).tolist() == [False, False, True, False, False, False]
    assert diagnoser.crashed(X).tolist() == [False, False, False, True, False, False]
    lower = Remedy(Action.RESTART, 0.1)
    assert diagnoser.prescribe(X) == [lower, None, None, None, lower, None]
    assert diagnoser.prescribe(X[:2]) == [lower, None], "asked about others than the last"
    assert diagnoser.predict_proba(X[:0]).shape == (0, 6)
    assert diagnoser.abstain(X[:0]).tolist() == []


def test_an_external_program_keeps_the_contract():
    awk = r"""exec:awk -F'[:,]' '{print "{\"id\":" $2 ",\"diagnosis\":\"healthy\"}"}'"""
    findings = conformance.check(lambda: resolve(awk), "curve")
    assert {f.check: f.problem for f in findings if f.problem} == {}


@given(
    values=st.lists(st.floats(width=32), min_size=1, max_size=5),
    n_channels=st.sampled_from([1, 3, 5]),
    number=st.integers(0, 9),
)
def test_a_question_says_all_there_is_in_plain_json(values, n_channels, number):
    curve = np.tile(np.float32(values), (n_channels, 1))
    asked = json.loads(question(number, curve), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert list(asked) == ["id", *CHANNELS[:n_channels]]
    for name in CHANNELS[: min(n_channels, 4)]:
        np.testing.assert_array_equal(np.float32([float(value) for value in asked[name]]), np.float32(values))


def test_the_optimizer_is_named():
    assert json.loads(question(0, np.full((5, 3), 2.0)))["optimizer"] == "adam"
    assert json.loads(question(0, np.full((5, 3), np.nan)))["optimizer"] is None


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("", "0 of 1 answers; the curve 0 has none"),
        ("healthy", "which is no JSON object"),
        ("[1]", "which is no JSON object"),
        ("[" * 100_000, "which is no JSON object"),
        ('{"diagnosis": "healthy"}', "the id None"),
        ('{"id": true, "diagnosis": "healthy"}', "the id True"),
        ('{"id": 1, "diagnosis": "healthy"}', "the id 1; it must be one from 0 to 0"),
        ('{"id": 0}', "one of diagnosis, probabilities"),
        ('{"id": 0, "abstain": false}', "one of diagnosis, probabilities"),
        ('{"id": 0, "abstain": true, "diagnosis": "healthy"}', "one of diagnosis, probabilities"),
        ('{"id": 0, "diagnosis": "tired"}', "'tired' is no diagnosis"),
        ('{"id": 0, "diagnosis": ["healthy"]}', "is no diagnosis"),
        ('{"id": 0, "probabilities": {"tired": 1}}', "'tired' is no diagnosis"),
        ('{"id": 0, "probabilities": {"healthy": "1"}}', "must map names to numbers"),
        ('{"id": 0, "probabilities": {"healthy": true}}', "must map names to numbers"),
        ('{"id": 0, "probabilities": [1, 0, 0, 0, 0, 0]}', "must map names to numbers"),
        ('{"id": 0, "diagnosis": "healthy"}\n{"id": 0, "diagnosis": "healthy"}', "twice about the curve 0"),
        ('{"id": 0, "diagnosis": "healthy", "remedy": "restart"}', "a remedy has an action"),
        ('{"id": 0, "diagnosis": "healthy", "remedy": {"action": "pray"}}', "a remedy has an action"),
        ('{"id": 0, "diagnosis": "healthy", "remedy": {"action": "train_longer"}}', "a remedy has an action"),
        ('{"id": 0, "diagnosis": "healthy", "remedy": {"action": "restart", "factor": "2"}}', "a remedy has"),
        ('{"id": 0, "diagnosis": "healthy", "remedy": {"action": "restart", "factor": 1e400}}', "a remedy has"),
        ('{"id": 0, "diagnosis": "healthy", "remedy": {"action": "resume", "factor": 2, "at": 1}}', "a remedy has"),
    ],
)
def test_what_is_no_answer_is_said(said, words):
    with pytest.raises(InvalidOutput) as caught:
        read_answers(said.encode(), 1)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 400


json_values = (
    st.sampled_from([None, True, False, {}, [], "restart", float("nan"), float("inf"), 10**400, *DIAGNOSES])
    | st.floats()
    | st.dictionaries(st.sampled_from(["healthy", "action", "factor", "at"]), st.floats() | st.just("resume"))
)
keys = st.sampled_from(["id", "diagnosis", "probabilities", "abstain", "crashed", "remedy"])
lines = st.dictionaries(keys, json_values | st.just(0)).map(lambda line: json.dumps(line).encode())


@given(lines=st.lists(lines | st.binary(max_size=20), max_size=2))
def test_whatever_comes_is_an_answer_or_invalid(lines):
    try:
        answers = read_answers(b"\n".join(lines), 1)
    except InvalidOutput:
        return
    assert len(answers) == 1
    assert len(answers[0].probabilities) == 6


def test_probabilities_are_checked_like_any():
    answers = read_answers(b'{"id": 0, "probabilities": {"healthy": NaN}}', 1)
    with pytest.raises(InvalidOutput, match="NaN"):
        checked_probabilities([answer.probabilities for answer in answers], 1, None)


@pytest.mark.parametrize(
    ("command", "error", "words"),
    [
        ("sh -c 'exit 3'", ChildFailed, "The program ended with the exit status 3"),
        ("sh -c 'echo no luck >&2; exit 1'", ChildFailed, "It last said: 'no luck'"),
        ("sh -c 'kill -SEGV $$'", ChildFailed, "ended by SIGSEGV"),
        ("sleep 100", TimedOut, "no answer after 0.5 s"),
        ("yes", ChildFailed, "answered with more than 8,192 bytes"),
        ("true", InvalidOutput, "0 of 1 answers"),
        ("cat", InvalidOutput, "one of diagnosis"),
    ],
)
def test_programs_that_fail(command, error, words):
    diagnoser = External(command, ProcessLimits(seconds=0.5 if error is TimedOut else 30))
    with pytest.raises(error) as caught:
        diagnoser.predict_proba(np.ones((1, 1, 4), np.float32))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("command", "words"),
    [("./nothing", "no program"), ("", "no program"), ("sh 'x", "can't be read"), ("README.md", "no program")],
)
def test_commands_that_are_none(command, words):
    with pytest.raises(UsageError, match=words):
        resolve(f"exec:{command}")
