"""Reads files of cases, for which nobody vouches: what is wrong is said with the number of its line."""

from __future__ import annotations

import difflib
import hashlib
import json
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from curvebench.cases.case import CASE_LABELS, CONFIDENCES, Case
from curvebench.evaluation.json_reading import MAX_TEXT, Node
from curvebench.logs.files import decode, read_bytes
from curvebench.logs.json_text import parse, parse_document
from curvebench.logs.limits import MAX_LINE, MAX_TEXT_BYTES
from curvebench.logs.numbers import number_of
from curvebench.nearly import did_you_mean_file
from curvebench.spec import InputError, UsageError

WILD = "wild"
"""The cases that come with the package: figures printed in public threads."""

SHIPPED = {WILD: Path(__file__).parents[1] / "data" / "wild.json"}

MAX_CASES = 10_000
"""Of a file; one with more is refused."""

MAX_NUMBERS = 1_000_000
"""Of a series; one with more is refused."""

MAX_FAULTS = 5
"""How many faults of a file are told at once."""

_MAX_ID = 200


@dataclass(frozen=True)
class Cases:
    """The cases of a file.

    Attributes:
        name: of shipped ones; else what the file is called.
        sha256: of the file's bytes.
        cases: in the order of the file.
    """

    name: str
    sha256: str
    cases: tuple[Case, ...]


def read_cases(name_or_path: str | Path) -> Cases:
    """Read the cases of a file of JSON lines or of a JSON list, or those that are shipped under a name.

    Raises:
        UsageError: there is no such file.
        InputError: it is no file of cases; it says why, with the numbers of lines.
    """
    path = Path(name_or_path)
    name = path.name
    if not os.path.exists(path):
        if str(name_or_path) not in SHIPPED:
            near = difflib.get_close_matches(str(name_or_path), SHIPPED, n=1)
            hint = f" Did you mean {near[0]!r}, which comes with the package?" if near else did_you_mean_file(path)
            raise UsageError(f"There is no file {name_or_path}.{hint}")
        name, path = str(name_or_path), SHIPPED[str(name_or_path)]
    try:
        data, notes = read_bytes(path, MAX_TEXT_BYTES)
        text = decode(data, notes)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    if notes:
        raise InputError(f"{path} cannot be used in part: {notes[0]}")
    return Cases(name, hashlib.sha256(data).hexdigest(), tuple(_parsed(text, str(path))))


def _parsed(text: str, path: str) -> list[Case]:
    """The cases in a text, or what is wrong with the first few that are none."""
    found: list[Case] = []
    places: dict[str, str] = {}
    faults: list[str] = []
    for n_found, (place, value) in enumerate(_objects(text, path), 1):
        if n_found > MAX_CASES:
            raise InputError(f"{path} has more than {MAX_CASES:,} cases; split it.")
        try:
            if isinstance(value, InputError):
                raise value
            case = _case(Node(value, place))
            if case.id in places:
                raise InputError(f"{place}.id is {case.id[:40]!r}, as {places[case.id]}.id is; ids must differ.")
            places[case.id] = place
            found.append(case)
        except (InputError, RecursionError) as error:
            faults.append(str(error) if isinstance(error, InputError) else f"{place} is nested too deep.")
            if len(faults) == MAX_FAULTS:
                break
    if faults:
        raise InputError(f"{path} is no file of cases. " + " ".join(faults))
    if not found:
        raise InputError(f"{path} has no cases: it must hold a JSON object for each, one a line.")
    return found


def _objects(text: str, path: str) -> Iterator[tuple[str, object]]:
    """Place and value of every case; an `InputError` in place of what cannot be read."""
    if text.lstrip().startswith("["):
        try:
            document = parse_document(text)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        assert isinstance(document, list)
        yield from ((f"case {i}", value) for i, value in enumerate(document, 1))
        return
    for number, line in enumerate(text.split("\n"), 1):
        place = f"line {number}"
        if not line.strip():
            continue
        if len(line) > MAX_LINE:
            yield place, InputError(f"{place} has {len(line):,} characters; at most {MAX_LINE:,} are read.")
            continue
        try:
            yield place, parse(line)
        except ValueError as error:
            what = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
            yield place, InputError(f"{place} is no JSON: {what[:100]}.")


def _case(node: Node) -> Case:
    """A case; fields that are not known are passed over, texts that no program reads are not looked at."""
    fields = {} if not isinstance(node.value, dict) else node.value
    if not fields:
        raise InputError(f"{node.place} must be a JSON object with id, loss and label.")
    for name in ("id", "loss", "label"):
        if fields.get(name) is None:
            raise InputError(f"{node.place} lacks {name!r}; id, loss and label must be there.")

    def given(name: str) -> Node | None:
        return None if fields.get(name) is None else Node(fields[name], f"{node.place}.{name}")

    def text(name: str, longest: int = MAX_TEXT, allowed: Sequence[str] | None = None) -> str:
        found = given(name)
        return "" if found is None else found.text(longest=longest, allowed=allowed)

    def series(name: str) -> NDArray[np.float64] | None:
        found = given(name)
        return None if found is None else _numbers(found)

    loss = series("loss")
    assert loss is not None
    if not (identity := text("id", _MAX_ID)):
        raise InputError(f"{node.place}.id is empty.")
    return Case(
        id=identity,
        label=text("label", allowed=CASE_LABELS),
        loss=loss,
        source_url=text("source_url"),
        kind=text("kind"),
        confidence=text("confidence", allowed=CONFIDENCES),
        steps=_steps(given("steps"), len(loss)),
        val_loss=series("val_loss"),
        learning_rate=_rate(given("lr"), text("schedule"), len(loss)),
    )


def _numbers(node: Node) -> NDArray[np.float64]:
    """(n,) at least one number; null, which JavaScript and pandas write for NaN, is NaN.

    Raises:
        InputError: it is no list of numbers.
    """
    values = node.value
    if not isinstance(values, list) or not 0 < len(values) <= MAX_NUMBERS:
        raise InputError(f"{node.place} must be a list of at least one number, and at most {MAX_NUMBERS:,}.")
    numbers = np.empty(len(values))
    for i, value in enumerate(values):
        number = math.nan if value is None else number_of(value)
        if number is None:
            raise InputError(f"{node.place}[{i}] is {str(value)[:40]!r}; it must be a number or 'nan'.")
        numbers[i] = number
    return numbers


def _steps(node: Node | None, n_points: int) -> NDArray[np.float64] | None:
    if node is None:
        return None
    steps = _numbers(node)
    if len(steps) != n_points:
        raise InputError(f"{node.place} has {len(steps)} numbers and the loss {n_points}; there must be one for each.")
    if not np.isfinite(steps).all() or not (steps[1:] > steps[:-1]).all():
        raise InputError(f"{node.place} must be finite numbers, each larger than the one before.")
    return steps


def _rate(node: Node | None, schedule: str, n_points: int) -> NDArray[np.float64] | None:
    """(n_points,) the learning rate, None where it is not known at every point.

    A list has one for each point. A number is the rate at every point if the schedule's first word is "constant", else
    one of them, and of no use here. A text is for people.
    """
    if node is None or isinstance(node.value, str):
        return None
    if isinstance(node.value, list):
        rates = _numbers(node)
        if len(rates) != n_points:
            raise InputError(
                f"{node.place} has {len(rates)} numbers and the loss {n_points}; there must be one for each, or one."
            )
        return rates
    rate = node.number(low=0.0)
    is_constant = schedule.lower().split()[:1] == ["constant"]
    return np.full(n_points, rate) if is_constant else None
