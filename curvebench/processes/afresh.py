"""Rehearses in a program that was started afresh, for a process whose forks do not live.

Some libraries leave a process in a state in which every fork of it crashes before it runs a line of ours; Ray was seen
to, after some starts and ends. The program that is started once in their place forks for every rehearsal, and ends
with this process.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
from collections.abc import Sequence
from functools import cache, partial
from importlib import import_module
from threading import Lock

from curvebench.processes import Child, ChildFailed, OutOfMemory, ProcessLimits, TimedOut, our_program
from curvebench.processes.rehearsal import RehearsalLimits, rehearse
from curvebench.spec import InputError, UsageError

_LIMITS = ProcessLimits(seconds=7 * 86_400.0)
"""Of the program; each rehearsal has its own, which are narrower."""

_MOST_SAID = 1 << 17

_FAILURES: dict[str, type[Exception]] = {
    kind.__name__: kind for kind in (InputError, TimedOut, OutOfMemory, ChildFailed)
}

_one_at_a_time = Lock()


def rehearse_afresh(target: str, arguments: Sequence[str | int | None], limits: RehearsalLimits) -> None:
    """As `curvebench.processes.rehearsal.rehearse`, in a fork of another program.

    Args:
        target: what to call, as "package.module:function".
        arguments: of it; paths are absolute, for the program stays in the folder where it was started.
        limits: what it may use.

    Raises:
        InputError: it raised one of our errors; with its sentence.
        UsageError: the program could not be started, or was ended by somebody.
        TimedOut: it took too long.
        OutOfMemory: it needed too much memory.
        ChildFailed: it crashed, or raised anything else.
    """
    question = json.dumps([target, list(arguments), limits.seconds, limits.memory_bytes]).encode() + b"\n"
    with _one_at_a_time:
        program = _program_of(os.getpid())
        try:
            said = program.converse(question, most_bytes=_MOST_SAID, is_whole=lambda answer: answer.endswith(b"\n"))
        except BaseException as error:
            program.close()  # or the answer that nobody waited for would be taken for that to the next question
            _program_of.cache_clear()
            if isinstance(error, ChildFailed):
                raise UsageError(f"Nothing can be rehearsed here: {error} Try again.") from None
            raise
    kind, sentence = json.loads(said)
    if kind:
        raise _FAILURES[kind](sentence)


@cache
def _program_of(process: int) -> Child:
    """The program of a process; its forks have their own."""
    child = Child(our_program(__name__, heeds_environment=False), _LIMITS, called="The program that rehearses")
    atexit.register(lambda: child.close() if os.getpid() == process else None)
    return child


def main() -> None:
    """The life of the program: a question a line, an answer a line."""
    for line in sys.stdin:
        target, arguments, seconds, memory_bytes = json.loads(line)
        module, _, name = target.partition(":")
        kind, sentence = "", ""
        try:
            rehearse(partial(getattr(import_module(module), name), *arguments), RehearsalLimits(seconds, memory_bytes))
        except tuple(_FAILURES.values()) as error:
            kind = next(name for name, found in _FAILURES.items() if isinstance(error, found))
            sentence = str(error)[: _MOST_SAID // 8]
        sys.stdout.write(json.dumps([kind, sentence]) + "\n")
        sys.stdout.flush()
