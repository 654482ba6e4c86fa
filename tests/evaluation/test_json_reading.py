"""JSON from strangers: what is in order is read, and all else is one sentence."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curvebench.evaluation.json_reading import MAX_ITEMS, Node, parse
from curvebench.spec import InputError

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=70),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
ASKS = [
    Node.text,
    Node.sha256,
    Node.integer,
    Node.number,
    Node.number_or_none,
    Node.list,
    Node.map,
    lambda node: node.object("a", "b"),
]


@pytest.mark.parametrize("ask", ASKS)
@given(value=values)
def test_a_value_is_what_was_asked_for_or_is_refused_with_its_place(ask, value):
    message = "the place"
    try:
        ask(Node(value, message))
    except InputError as error:
        message = str(error)
    assert "the place" in message
    assert len(message) < 300


@given(content=st.binary(max_size=60))
def test_any_bytes_are_json_or_are_refused(content):
    message = "f.json is no JSON"
    try:
        parse(content, "f.json")
    except InputError as error:
        message = str(error)
    assert message.startswith("f.json is no JSON")


@pytest.mark.parametrize("content", [b"NaN", b"[Infinity]", b"[" * 100_000, b"9" * 5000, b"\xff", b'"\\ud800'])
def test_what_other_readers_take(content):
    with pytest.raises(InputError, match="no JSON"):
        parse(content, "f.json")


def test_what_is_right_is_read():
    root = parse(json.dumps({"a": [1, 2.5, None], "b": "text"}).encode(), "f").object("a", "b")
    items = root["a"].list(3)
    assert (items[0].integer(), items[1].number(), items[2].number_or_none(), root["b"].text()) == (
        1,
        2.5,
        None,
        "text",
    )


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda: Node("x" * 2000, "p").text(), "at most 1000 characters"),
        (lambda: Node("a\nb", "p").text(), "one line of text"),
        (lambda: Node("\x1b[2J", "p").text(), "one line of text"),
        (lambda: Node("z", "p").text(allowed=("a", "b")), "one of a, b"),
        (lambda: Node("A" * 64, "p").sha256(), "64 hexadecimal digits"),
        (lambda: Node(True, "p").integer(), "a whole number"),
        (lambda: Node(11, "p").integer(0, 10), "from 0 to 10"),
        (lambda: Node(10**400, "p").number(), "a number"),
        (lambda: Node(float("inf"), "p").number(), "a number"),
        (lambda: Node([0] * (MAX_ITEMS + 1), "p").list(), "at most"),
        (lambda: Node([0], "p").list(2), "must have 2"),
        (lambda: Node({"a": 0, "c": 0}, "p").object("a", "b"), "has the key 'c'"),
        (lambda: Node({"a": 0}, "p").object("a", "b"), "lacks the key 'b'"),
    ],
)
def test_what_is_wrong_is_said(ask, words):
    with pytest.raises(InputError, match="p") as error:
        ask()
    assert words in str(error.value)
