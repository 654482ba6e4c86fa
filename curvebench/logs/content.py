"""One file: finding out what it is, by its content rather than its name, and reading it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from curvebench.logs import delimited, history, json_lines, mlflow, tensorboard, text, trainer_state, wandb
from curvebench.logs.files import decode, read_bytes
from curvebench.logs.json_text import parse_document
from curvebench.logs.limits import MAX_BYTES
from curvebench.logs.run import Budget, Run, RunBuilder
from curvebench.spec import InputError

_MUST_BE_JSON = re.compile(r"""\s{0,1000}(?:\{\s{0,1000}["}]|\[\s{0,1000}[\[{"\]])""")
"""How a text begins that is JSON or nothing; a dictionary of Python or "[epoch 3]" may be a printed line."""


@dataclass(frozen=True)
class Content:
    """A file as bytes.

    Attributes:
        path: where it lies.
        name: what its run is called; empty if that goes without saying.
        data: its bytes, unpacked.
        notes: about reading it.
    """

    path: Path
    name: str
    data: bytes
    notes: list[str] = field(default_factory=list)


def open_content(path: Path, name: str, limit: int | None = None) -> Content:
    """The bytes of a file, no more than the limit, which is MAX_BYTES if not given.

    Raises:
        InputError: it cannot be read.
    """
    data, notes = read_bytes(path, MAX_BYTES if limit is None else limit)
    return Content(path, name, data, notes)


def read_content(content: Content, budget: Budget) -> list[Run]:
    """The runs in a file.

    Raises:
        InputError: there is none, or it is no file of a known kind.
    """
    runs = read_tracked(content, budget)
    if runs is None:
        runs = [text.read(decode(content.data, []), content.name, budget)]
    return runs


def read_tracked(content: Content, budget: Budget) -> list[Run] | None:
    """The runs in a file that a program was meant to read; None if it is a text for people.

    Raises:
        InputError: there is none, or it is no file of a known kind.
    """
    data, name = content.data, content.name
    if tensorboard.recognises(data):
        return [tensorboard.read(data, name, budget).build()]
    if wandb.recognises(data):
        return [wandb.read(data, name, budget).build()]
    if mlflow.recognises(data):
        return _built(mlflow.read_database(content.path, name, budget))
    string = decode(data, content.notes)
    if string.lstrip()[:1] in ("{", "["):
        try:
            return _read_json(string, name, budget)
        except InputError:
            if _MUST_BE_JSON.match(string):
                raise
    if json_lines.recognises(string):
        return _built(json_lines.read(string, name, budget))
    if mlflow.is_metric(string):
        points = mlflow.parse_metric(string, content.path.name, content.notes)
        return [mlflow.build(points, name, mlflow.FOLDER, budget, []).build()]
    if delimited.recognises(string):
        return delimited.read(string, name, budget)
    return None


def _read_json(string: str, name: str, budget: Budget) -> list[Run]:
    if json_lines.recognises(string) and "\n" in string.strip():
        return _built(json_lines.read(string, name, budget))
    document = parse_document(string)
    if trainer_state.recognises(document):
        return [trainer_state.read(document, name, budget).build()]
    try:
        return _built(history.read(document, name, budget))
    except InputError:
        if json_lines.recognises(string):  # a log of a single line
            return _built(json_lines.read(string, name, budget))
        raise


def _built(builders: Iterable[RunBuilder]) -> list[Run]:
    return [builder.build() for builder in builders]
