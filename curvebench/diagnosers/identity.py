"""What a diagnoser of the registry is made of: its source code, arguments and version, and one hash of them all."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Any

from curvebench.diagnosers import DIAGNOSERS, Entry, find_entry, resolve
from curvebench.spec import DIAGNOSES

_OURS = "curvebench.diagnosers"


@dataclass(frozen=True)
class Identity:
    """Who a diagnoser is.

    Attributes:
        name: as it is asked for.
        kind: what a board lists it under.
        description: one line.
        source: citation or address of what it implements; may be empty.
        version: of the package that implements it; empty where there is none.
        sha256: of its source code, arguments and version.
        covers: diagnoses that it has a word for.
        mapping: its own findings -> diagnoses, of tools and published rules.
    """

    name: str
    kind: str
    description: str
    source: str
    version: str
    sha256: str
    covers: tuple[str, ...] = DIAGNOSES
    mapping: dict[str, str] = field(default_factory=dict)


def identify(name: str) -> Identity:
    """Describe and hash a diagnoser.

    What only it can know, it says in attributes: `source`, `covers`, `mapping`, and `version` (or that of its `source`)
    where it is a foreign package that does the work.

    Args:
        name: of the registry, or "package.module:attribute".

    Raises:
        UsageError: there is none of that name, or it cannot be made.
    """
    if ":" in name:
        entry = Entry(name, "", kind="own")
    else:
        entry = find_entry(name)
    subject = subject_of(name)
    source = getattr(subject, "source", "")
    found_version = str(getattr(subject, "version", getattr(source, "version", _version(entry.target))))
    return Identity(
        name=name,
        kind=entry.kind,
        description=entry.description or _first_line(subject),
        source=str(source),
        version=found_version,
        sha256=_sha256(entry.target, entry.arguments, found_version),
        covers=tuple(map(str, getattr(subject, "covers", DIAGNOSES))),
        mapping={str(k): str(v) for k, v in dict(getattr(subject, "mapping", {})).items()},
    )


def subject_of(name: str) -> Any:
    """Whose attributes describe a diagnoser: the diagnoser, or the class of one that only the evaluator can make."""
    if name in DIAGNOSERS and DIAGNOSERS[name].is_reference:
        module, _, attribute = DIAGNOSERS[name].target.partition(":")
        return getattr(importlib.import_module(module), attribute)
    return resolve(name)


def _first_line(subject: object) -> str:
    return (type(subject).__doc__ or "").strip().partition("\n")[0]


@cache
def _version(target: str) -> str:
    distributions = packages_distributions().get(target.partition(":")[0].partition(".")[0], [])
    return version(distributions[0]) if distributions else ""


def _sha256(target: str, arguments: tuple[str, ...], version: str) -> str:
    files = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in _sources(target.partition(":")[0])}
    content = json.dumps([target, list(arguments), version, files], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _sources(module: str) -> Iterator[tuple[str, str]]:
    """Name and text of a module, and of those of the same package that it imports, and so on."""
    package = _OURS if module.startswith(f"{_OURS}.") else module.partition(".")[0]
    waiting, seen = [module], set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, ValueError):  # a name in a module, or a module that was made up
            continue
        if spec is None or not spec.origin or not spec.origin.endswith(".py"):
            continue
        text = Path(spec.origin).read_text(encoding="utf-8")
        yield name, text
        here = name.rpartition(".")[0]
        waiting += [imported for imported in _imports(text, here) if imported.startswith(f"{package}.")]


def _imports(text: str, package: str) -> Iterator[str]:
    """Full names of everything that a module of a package imports."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            start = importlib.util.resolve_name(module, package) if node.level else module
            yield start
            yield from (f"{start}.{alias.name}" for alias in node.names)
