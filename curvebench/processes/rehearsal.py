"""Does something in a copy of this process first, which may hang or crash in place of it. Linux.

The copy is a fork, so it costs milliseconds and knows all that is loaded; it is for C libraries that may break on what
they are given, not for foreign programs. What it protects from: endless loops, crashes, too much memory. It is no
boundary for code that takes the library over.
"""

from __future__ import annotations

import ctypes
import faulthandler
import os
import resource
import select
import signal
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

from curvebench.processes import ChildFailed, OutOfMemory, TimedOut
from curvebench.spec import CurveBenchError, InputError, UsageError

CAN_REHEARSE = sys.platform == "linux"
"""Elsewhere nothing is done first: forks of a running program are not reliable there, or do not exist."""

_PR_SET_PDEATHSIG = 1
_BEGUN, _FINE, _REFUSED = b"!", b"+", b"-"
_MOST_SAID = 1 << 16


class ForkFailed(ChildFailed):
    """A copy of this process did nothing: it is this process, and not the action, that is amiss."""


@dataclass(frozen=True)
class RehearsalLimits:
    """How much a rehearsal may use.

    Attributes:
        seconds: wall-clock time.
        memory_bytes: on top of what this process has already.
    """

    seconds: float
    memory_bytes: int


def rehearse(action: Callable[[], object], limits: RehearsalLimits) -> None:
    """Do something in a copy of this process, and return if it went well there; nothing of it is kept.

    Args:
        action: without effects outside the process; what it returns is forgotten.
        limits: what it may use.

    Raises:
        InputError: the action raised one of our errors; with its sentence.
        UsageError: no process can be started.
        ForkFailed: the copy did not live to begin.
        TimedOut: it took too long.
        OutOfMemory: it needed too much memory.
        ChildFailed: it crashed, or raised anything else.
    """
    if not CAN_REHEARSE:
        return
    hearing, speaking = os.pipe()
    try:
        try:
            if (child := _fork()) == 0:
                _perform(action, limits, speaking)
        finally:
            os.close(speaking)
        try:
            said = _heard(hearing, child, limits.seconds)
        finally:
            status = _end(child)
    finally:
        os.close(hearing)
    if said[:1] != _BEGUN:
        _complain_of_fork(status)
    said = said[1:]
    if said[:1] == _REFUSED:
        raise InputError(said[1:].decode("utf-8", "replace"))
    if said != _FINE:
        _complain(said.decode("utf-8", "replace"), status)


def _fork() -> int:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads; h5py and Python allow for it
            return os.fork()
    except OSError as error:
        raise UsageError(f"No process can be started to read a file in: {error.strerror}; end others first.") from None


def _perform(action: Callable[[], object], limits: RehearsalLimits, speaking: int) -> NoReturn:
    """The life of the copy: limits, the action, a word about it, and no way back into the caller's code."""
    said = b""
    try:
        os.write(speaking, _BEGUN)
        faulthandler.disable()  # a crash is expected here and nobody else's business
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nothing, stream)
        _limit(resource.RLIMIT_DATA, _data_bytes() + limits.memory_bytes)
        _limit(resource.RLIMIT_CORE, 0)
        action()
        said = _FINE
    except CurveBenchError as error:
        said = _REFUSED + str(error).encode("utf-8", "replace")
    except MemoryError:
        said = b"MemoryError"
    except BaseException as error:
        said = f"{type(error).__name__}: {error}".encode("utf-8", "replace")
    finally:
        with suppress(BaseException):
            os.write(speaking, said[:_MOST_SAID])
        os._exit(0)


def _limit(which: int, value: int) -> None:
    _, hard = resource.getrlimit(which)
    highest = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (highest, hard))


def _data_bytes() -> int:
    """What of the memory of this process counts for its limit."""
    with open("/proc/self/status", "rb") as file:
        return 1024 * next(int(line.split()[1]) for line in file if line.startswith(b"VmData:"))


def _heard(pipe: int, child: int, seconds: float) -> bytes:
    """What the copy says before it ends.

    Raises:
        ForkFailed: it has not begun when its time is over.
        TimedOut: it has, and does not end in time.
    """
    deadline, said, is_over = time.monotonic() + seconds, b"", False
    ending = os.pidfd_open(child)  # the pipe alone may be held open by another fork, made by another thread
    events = select.poll()
    events.register(ending, select.POLLIN)  # looked at first: what was said before the end is there by then
    events.register(pipe, select.POLLIN)
    try:
        while not is_over:
            ready = [descriptor for descriptor, _ in events.poll(max(0.0, 1000 * (deadline - time.monotonic())))]
            if not ready and not said:
                raise ForkFailed(f"the process did not begin within {seconds:g} s")
            if not ready:
                raise TimedOut(f"it took longer than {seconds:g} s")
            piece = os.read(pipe, _MOST_SAID) if pipe in ready else b""
            said += piece
            is_over = not piece
        return said
    finally:
        os.close(ending)


def _end(child: int) -> int:
    """Kill what is left of the copy; its wait status, 0 where somebody else asked for it first."""
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    with suppress(ChildProcessError):
        return os.waitpid(child, 0)[1]
    return 0


def _complain(said: str, status: int) -> NoReturn:
    if said == "MemoryError":
        raise OutOfMemory("it needed too much memory")
    if said:
        raise ChildFailed(f"it failed with {said}")
    raise ChildFailed(f"it {_crash(status)}")


def _complain_of_fork(status: int) -> NoReturn:
    raise ForkFailed(f"the process {_crash(status)} before it began")


def _crash(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"crashed with {signal.Signals(-code).name}" if code < 0 else "crashed"
