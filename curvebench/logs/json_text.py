"""JSON as training logs have it: with NaN in dialects that JSON does not know; neither too deep nor too long."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from curvebench.logs.limits import MAX_JSON_BYTES, MAX_JSON_ITEMS
from curvebench.logs.numbers import number_of
from curvebench.spec import InputError

_STRING_OR_DIALECT = re.compile(r'"(?:[^"\\]++|\\.)*+"?|(?<![\w.])[-+]?(?:nan|inf(?:inity)?)(?![\w.])', re.I | re.S)

_FLAT_DEPTH = 3


def parse(text: str) -> object:
    """What a JSON text holds; whole numbers too as floats.

    Raises:
        ValueError: it is no JSON, too deep, or has more than MAX_JSON_ITEMS items.

    >>> parse('[1, nan, -inf, "nan"]')
    [1.0, nan, -inf, 'nan']
    """
    if text.count(",") + text.count(":") > MAX_JSON_ITEMS:
        raise ValueError(f"it has more than {MAX_JSON_ITEMS:,} items")
    try:
        try:
            return json.loads(text, parse_int=float)
        except json.JSONDecodeError:
            return json.loads(_STRING_OR_DIALECT.sub(_respelled, text), parse_int=float)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def _respelled(match: re.Match[str]) -> str:
    word = match[0]
    if word.startswith('"'):
        return word
    return "NaN" if word.lower().endswith("nan") else ("-" if word.startswith("-") else "") + "Infinity"


def parse_document(text: str) -> object:
    """What a JSON document holds.

    Raises:
        InputError: as `parse`, and for more than MAX_JSON_BYTES.
    """
    if len(text) > MAX_JSON_BYTES:
        raise InputError(f"It is JSON of more than {MAX_JSON_BYTES:,} characters; convert it to JSON lines or CSV.")
    try:
        return parse(text)
    except ValueError as error:
        raise InputError(f"It cannot be read as JSON: {error}.") from None


def numbers_in(value: object, name: str = "", depth: int = _FLAT_DEPTH) -> dict[str, float]:
    """The numbers in a value, those in objects under names joined by '/'; lists are passed over.

    >>> numbers_in({"loss": {"train": 0.5, "val": "NaN"}, "note": "x"})
    {'loss/train': 0.5, 'loss/val': nan}
    """
    if isinstance(value, Mapping):
        if depth == 0:
            return {}
        found: dict[str, float] = {}
        for key, inner in value.items():
            found.update(numbers_in(inner, f"{name}/{key}" if name else str(key), depth - 1))
        return found
    number = number_of(value)
    return {} if number is None or not name else {name: number}
