"""A diagnoser that runs in a process of its own, and looks like any other from outside.

It gets curves, and labels of the runs that it may be fitted to; the labels that it is scored by never leave us. A
crash, a hang or a flood ends its process and costs it its status, nothing else. `process` keeps accidents out,
`namespace` also whoever would change files, look for labels in hidden ones, or talk to somebody;
`curvebench.processes` says how.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from curvebench.diagnosers import check_name
from curvebench.diagnosers.answers import InvalidOutput
from curvebench.diagnosers.identity import Statement
from curvebench.evaluation import wire
from curvebench.evaluation.json_reading import Node
from curvebench.processes import (
    Child,
    ChildFailed,
    OutOfMemory,
    ProcessLimits,
    TimedOut,
    our_program,
    passed_on_environment,
)
from curvebench.spec import DIAGNOSES, TRACKS, Bool, Float, InputError, Remedy, UsageError

ISOLATIONS: tuple[str, ...] = ("none", "process", "namespace")
"""How a diagnoser may be run: as part of us, in a process under limits, in one that is also alone in its world."""

_OPTIONAL = ("fit", "abstain", "prescribe", "crashed")

_COMPLAINTS: dict[str, type[Exception]] = {
    "failed": ChildFailed,
    "invalid_output": InvalidOutput,
    "timed_out": TimedOut,
    "out_of_memory": OutOfMemory,
}


def check_isolation(isolation: str) -> None:
    """See that there is such an isolation.

    Raises:
        UsageError: there is none.
    """
    if isolation not in ISOLATIONS:
        raise UsageError(f"There is no isolation {isolation!r}; there are {', '.join(ISOLATIONS)}.")


@contextmanager
def isolated(
    diagnoser: object, isolation: str, limits: ProcessLimits, hidden: Sequence[Path] = ()
) -> Iterator[IsolatedDiagnoser]:
    """Make a diagnoser in a process of its own, which ends with the `with` statement.

    Args:
        diagnoser: a name, as `curvebench.diagnosers.resolve` takes it.
        isolation: "process" or "namespace".
        limits: what it may use.
        hidden: files that it finds empty in a namespace: those that hold labels.

    Raises:
        UsageError: there is no such isolation or name, it is no name, or there are no namespaces here.
        ChildFailed: it could not be made, or broke a limit while it was.
    """
    with maker(diagnoser, isolation, limits, hidden) as make:
        yield make()


@contextmanager
def maker(
    diagnoser: object, isolation: str, limits: ProcessLimits, hidden: Sequence[Path] = ()
) -> Iterator[Callable[[], IsolatedDiagnoser]]:
    """A function that makes a diagnoser in a new process every time; arguments and errors as for `isolated`.

    A process ends with its diagnoser, when nobody refers to that any more, and all end with the `with` statement.
    """
    check_isolation(isolation)
    if not isinstance(diagnoser, str):
        raise UsageError(
            f"A {type(diagnoser).__name__} can't be isolated, for it is in our process already: give its name, "
            "as package.module:attribute or path/to/file.py:attribute."
        )
    check_name(diagnoser)
    name = diagnoser
    with ExitStack() as stack:

        def make() -> IsolatedDiagnoser:
            child = stack.enter_context(
                Child(
                    our_program("curvebench.evaluation.worker"),
                    limits,
                    called="The diagnoser",
                    namespace=isolation == "namespace",
                    hidden=hidden,
                    environment=passed_on_environment(),
                )
            )
            made = IsolatedDiagnoser(child, name)
            weakref.finalize(made, child.close)
            return made

        yield make


class IsolatedDiagnoser:
    """The outside of an isolated diagnoser; has those of the optional methods that the inside has.

    Attributes:
        track: what it needs to see, one of `TRACKS`.
    """

    def __init__(self, child: Child, name: str) -> None:
        self._child = child
        header, _ = self._exchange(wire.encode({"ask": "make", "name": name}), wire.most_bytes((0,), np.uint8))
        methods = header.get("methods")
        self._methods = [name for name in _OPTIONAL if isinstance(methods, list) and name in methods]
        self.track = header.get("track")
        if self.track not in tuple(TRACKS):
            raise InvalidOutput(f"There is no track {str(self.track)[:40]!r}; there are {', '.join(TRACKS)}.")

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """An optional method, if the inside has it."""
        if name in _OPTIONAL and name in self._methods:
            return getattr(self, f"_{name}", partial(self._flags, name))
        raise AttributeError(name)

    def statement(self) -> Statement:
        """What it says of itself.

        Raises:
            InvalidOutput: it says something else.
            ChildFailed: its attributes cannot be read, or it crashed over it.
        """
        header, _ = self._exchange(wire.encode({"ask": "describe"}), wire.most_bytes((0,), np.uint8))
        return _statement(header.get("says"))

    def predict_proba(self, X: Float) -> NDArray[np.float64]:
        """(n_curves, 6) probabilities of the curves X (n_curves, n_channels, n_points).

        Raises:
            InvalidOutput: the answer is none.
            ChildFailed: the diagnoser raised, crashed or broke a limit.
        """
        return self._asked("predict_proba", X, (len(X), len(DIAGNOSES)), np.float64)

    def _fit(self, X: Float, y: NDArray[np.str_]) -> None:
        question = wire.encode({"ask": "fit", "arrays": 2}, np.asarray(X), np.asarray(y, dtype=np.str_))
        self._exchange(question, wire.most_bytes((0,), np.uint8))

    def _prescribe(self, X: Float) -> list[Remedy | None]:
        array = self._asked("prescribe", X, (len(X), 3), np.float64)
        try:
            return wire.remedies_from_array(array)
        except wire.BrokenFrame as error:
            raise InvalidOutput(str(error)) from None

    def _flags(self, method: str, X: Float) -> Bool:
        return self._asked(method, X, (len(X),), np.uint8)

    def _asked(self, method: str, X: Float, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        question = wire.encode({"ask": method, "arrays": 1}, np.asarray(X))
        _, body = self._exchange(question, wire.most_bytes(shape, dtype))
        try:
            return wire.read_array(body, shape, dtype)
        except wire.BrokenFrame as error:
            raise InvalidOutput(str(error)) from None

    def _exchange(self, question: bytes, most_bytes: int) -> tuple[dict[str, Any], bytes]:
        answer = self._child.converse(question, most_bytes=most_bytes, is_whole=wire.is_whole)
        try:
            header, body = wire.read_header(answer)
        except wire.BrokenFrame as error:
            raise InvalidOutput(str(error)) from None
        if (status := header.get("status")) is not None:
            raise _COMPLAINTS.get(str(status), ChildFailed)(str(header.get("message"))[:1000])
        return header, body


def _statement(said: object) -> Statement:
    """What a diagnoser says of itself, from JSON that may be anything.

    Raises:
        InvalidOutput: it says nothing of the kind.
    """

    def text(node: Node) -> str:
        if not isinstance(node.value, str):
            raise InputError(f"{node.place} is no text.")
        return node.value

    try:
        entries = Node(said, "What it says of itself").object(*(f.name for f in fields(Statement)))
        return Statement(
            description=text(entries["description"]),
            source=text(entries["source"]),
            version=None if entries["version"].is_null else text(entries["version"]),
            covers=tuple(map(text, entries["covers"].list())),
            mapping={key: text(value) for key, value in entries["mapping"].map().items()},
            is_slow=entries["is_slow"].value is True,
            largest_track=None if entries["largest_track"].is_null else text(entries["largest_track"]),
            can_be_fitted=entries["can_be_fitted"].value is True,
        )
    except InputError as error:
        raise InvalidOutput(str(error)) from None
