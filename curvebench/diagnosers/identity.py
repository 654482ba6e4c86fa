"""What a diagnoser is made of: source code, arguments and version, and one hash of them all; what it says of itself.

Files are found and read for the hash without running any of them, so nothing of an isolated diagnoser runs here.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import packages_distributions, version
from pathlib import Path
from traceback import format_exception_only
from typing import Any

from curvebench.diagnosers import DIAGNOSERS, PROGRAM, Entry, file_of, find_entry, installed, is_model, resolve
from curvebench.diagnosers.external import External
from curvebench.spec import DIAGNOSES, UsageError

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


@dataclass(frozen=True)
class Statement:
    """What a diagnoser says of itself in its attributes, each of which it may lack.

    Attributes:
        description: first line of its docstring.
        source: citation or address of what it implements.
        version: `version`, or that of its `source`, of a foreign package that does the work; None where it says none.
        covers: diagnoses that it has a word for.
        mapping: its own findings -> diagnoses.
        is_slow: whether it asks to be asked about a fixed part of the runs only.
        largest_track: beyond which more channels tell it nothing; None where it says none.
        can_be_fitted: whether it has `fit`.
    """

    description: str = ""
    source: str = ""
    version: str | None = None
    covers: tuple[str, ...] = DIAGNOSES
    mapping: dict[str, str] = field(default_factory=dict)
    is_slow: bool = False
    largest_track: str | None = None
    can_be_fitted: bool = False


def statement_of(subject: object) -> Statement:
    """What a diagnoser says of itself; the function or classifier that it was made of speaks for it.

    Raises:
        UsageError: it cannot be read.
    """
    speaker: Any = getattr(subject, "speaker", subject)
    try:
        source = getattr(speaker, "source", "")
        said_version = getattr(speaker, "version", getattr(source, "version", None))
        largest = getattr(speaker, "largest_track", None)
        doc = speaker.__doc__ if isinstance(getattr(speaker, "__name__", None), str) else type(speaker).__doc__
        return Statement(
            description=str(doc or "").strip().partition("\n")[0],
            source=str(source),
            version=None if said_version is None else str(said_version),
            covers=tuple(map(str, getattr(speaker, "covers", DIAGNOSES))),
            mapping={str(k): str(v) for k, v in dict(getattr(speaker, "mapping", {})).items()},
            is_slow=bool(getattr(speaker, "is_slow", False)),
            largest_track=None if largest is None else str(largest),
            can_be_fitted=callable(getattr(subject, "fit", None)),
        )
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever stands in a foreign attribute
        said = "".join(format_exception_only(error)).strip()
        raise UsageError(f"The diagnoser can't be described: one of its attributes cannot be read ({said}).") from None


def identify(name: str, said: Statement | None = None) -> Identity:
    """Describe and hash a diagnoser.

    Args:
        name: anything that `curvebench.diagnosers.resolve` takes for one.
        said: what it says of itself; None to make it here and look.

    Raises:
        UsageError: there is none of that name, or it cannot be made.
    """
    entry = _entry_of(name)
    if said is None:
        said = statement_of(subject_of(name))
    found_version = _version(entry.target) if said.version is None else said.version
    return Identity(
        name=name,
        kind=entry.kind,
        description=entry.description or said.description,
        source=said.source,
        version=found_version,
        sha256=_sha256(entry.target, entry.arguments, found_version),
        covers=said.covers,
        mapping=said.mapping,
    )


def subject_of(name: str) -> Any:
    """Whose attributes describe a diagnoser: the diagnoser, or the class of one that only the evaluator can make."""
    if name in DIAGNOSERS and DIAGNOSERS[name].is_reference:
        module, _, attribute = DIAGNOSERS[name].target.partition(":")
        return getattr(importlib.import_module(module), attribute)
    return resolve(name)


def _entry_of(name: str) -> Entry:
    """The registry's entry of a diagnoser, or one like it for whoever is not in the registry."""
    if name.startswith(PROGRAM):
        return Entry(name, "", kind="external")
    if is_model(name):
        return Entry(name, "", kind="learned")
    if ":" in name:
        return Entry(name, "", kind="own")
    if name not in DIAGNOSERS and name in (points := installed()):
        return Entry(points[name], "", kind="own")
    return find_entry(name)


# --------------------------------------------------------------------------------------------- the hash


@cache
def _version(target: str) -> str:
    if target.startswith(PROGRAM) or is_model(target) or file_of(target):
        return ""
    distributions = packages_distributions().get(target.partition(":")[0].partition(".")[0], [])
    return version(distributions[0]) if distributions else ""


def _sha256(target: str, arguments: tuple[str, ...], version: str) -> str:
    files = {name: hashlib.sha256(content).hexdigest() for name, content in _sources(target)}
    content = json.dumps([target, list(arguments), version, files], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _sources(target: str) -> Iterator[tuple[str, bytes]]:
    """Name and content of the files that a diagnoser is made of.

    Of a program those that its command line names by a path (what lies on the search path, an interpreter above all, is
    known by its name alone); of a fitted model its file; of a file of Python that file and the neighbours that it
    imports, and so on; of a module it and those of the same package that it imports, and so on.
    """
    if target.startswith(PROGRAM):
        for argument in External(target.removeprefix(PROGRAM)).argv:
            if "/" in argument and (path := Path(argument)).is_file():
                yield argument, path.read_bytes()
    elif is_model(target):
        yield Path(target).name, Path(target).read_bytes()
    elif file := file_of(target):
        folders = [str(file.resolve().parent)]
        yield from _followed(file.stem, file, lambda name: _find(name, folders))
    else:
        module = target.partition(":")[0]
        package = _OURS if module.startswith(f"{_OURS}.") else module.partition(".")[0]
        yield from _followed(
            module, _find(module), lambda name: _find(name) if name.startswith(f"{package}.") else None
        )


def _followed(name: str, path: Path | None, find: Callable[[str], Path | None]) -> Iterator[tuple[str, bytes]]:
    """Name and text of a module, and of those that it imports and `find` finds, and so on."""
    waiting, seen = [(name, path)], set()
    while waiting:
        name, path = waiting.pop()
        if path is None or name in seen:
            continue
        seen.add(name)
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
        yield name, text.encode(errors="surrogateescape")
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        waiting += [(imported, find(imported)) for imported in _imports(text, package) if imported not in seen]


def _find(name: str, folders: list[str] | None = None) -> Path | None:
    """The file of a module, found as Python finds it, but without importing the packages that it lies in.

    Args:
        name: dotted.
        folders: where the first part is looked for; None for wherever Python looks.
    """
    finders = sys.meta_path if folders is None else [PathFinder]
    spec: ModuleSpec | None = None
    parts = name.split(".")
    for i in range(len(parts)):
        if spec is not None and spec.submodule_search_locations is None:
            return None
        where, full = (folders if spec is None else spec.submodule_search_locations), ".".join(parts[: i + 1])
        spec = next((found for finder in finders if (found := finder.find_spec(full, where))), None)
        if spec is None:
            return None
    origin = spec.origin if spec else None
    return Path(origin) if origin and origin.endswith(".py") else None


def _imports(text: str, package: str) -> Iterator[str]:
    """Full names of everything that a module of a package imports; none of what is no Python."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):  # a neighbour that is never imported may be anything
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level <= len(package.split(".")) * bool(package):
            module = "." * node.level + (node.module or "")
            start = importlib.util.resolve_name(module, package) if node.level else module
            yield start
            yield from (f"{start}.{alias.name}" for alias in node.names)
