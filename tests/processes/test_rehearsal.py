"""A copy of this process takes the harm: loops, crashes and floods of memory end there, and are told in a sentence."""

import ctypes
import errno
import os
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from oracles.forks import die, forking_into

from curvebench.processes import ChildFailed, OutOfMemory, TimedOut, afresh, our_program
from curvebench.processes.afresh import rehearse_afresh
from curvebench.processes.rehearsal import CAN_REHEARSE, ForkFailed, RehearsalLimits, rehearse
from curvebench.spec import CheckFailed, InputError, UsageError

pytestmark = pytest.mark.skipif(not CAN_REHEARSE, reason="rehearsals are for Linux")

LIMITS = RehearsalLimits(seconds=30, memory_bytes=2**28)


def test_what_is_rehearsed_leaves_nothing_here(tmp_path):
    done = []
    rehearse(lambda: done.append((tmp_path / "proof").write_text(str(os.getpid()))), LIMITS)
    assert done == []
    assert int((tmp_path / "proof").read_text()) != os.getpid()


def test_our_errors_come_back_as_their_sentence():
    for error in (InputError("it is empty.\nReally."), CheckFailed("é")):
        with pytest.raises(InputError) as caught:
            rehearse(raising(error), LIMITS)
        assert str(caught.value) == str(error)


def raising(error):
    def act():
        raise error

    return act


def endless():
    while True:
        pass


def endless_in_c():
    """Never lets Python run again."""
    ctypes.PyDLL(None).pause()


@pytest.mark.parametrize("act", [endless, endless_in_c])
def test_what_never_ends_is_ended(act):
    begin = time.monotonic()
    with pytest.raises(TimedOut, match=r"it took longer than 0\.3 s"):
        rehearse(act, RehearsalLimits(seconds=0.3, memory_bytes=2**28))
    assert time.monotonic() - begin < 10


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (os.abort, "it crashed with SIGABRT"),
        (lambda: ctypes.string_at(0), "it crashed with SIGSEGV"),
        (lambda: os._exit(3), "it crashed"),
        (raising(ValueError("odd")), "it failed with ValueError: odd"),
        (raising(KeyboardInterrupt()), "it failed with KeyboardInterrupt"),
        (raising(SystemExit(0)), "it failed with SystemExit"),
    ],
)
def test_crashes_are_told(act, message, capfd):
    with pytest.raises(ChildFailed, match=message):
        rehearse(act, LIMITS)
    assert capfd.readouterr() == ("", "")


def test_a_copy_that_never_begins_is_told_from_an_action_that_crashes(monkeypatch):
    with pytest.raises(ChildFailed) as caught:
        rehearse(os.abort, LIMITS)
    assert not isinstance(caught.value, ForkFailed)
    monkeypatch.setattr(os, "fork", forking_into(die))
    with pytest.raises(ForkFailed, match="crashed with SIGKILL before it began"):
        rehearse(lambda: None, LIMITS)


@pytest.mark.parametrize(
    ("target", "arguments", "error", "message"),
    [
        ("os:abort", [], ChildFailed, "it crashed with SIGABRT"),
        ("time:sleep", [30], TimedOut, "it took longer than 0.5 s"),
        ("builtins:bytearray", [2**33], OutOfMemory, "it needed too much memory"),
        ("curvebench.data.store:load", ["nowhere.h5"], InputError, "nowhere.h5: there is no such file"),
        ("math:sqrt", [-1], ChildFailed, "it failed with ValueError"),
    ],
)
def test_a_program_that_was_started_afresh_takes_the_harm_too(target, arguments, error, message):
    limits = RehearsalLimits(seconds=0.5 if error is TimedOut else 30.0, memory_bytes=2**28)
    with pytest.raises(error, match=message):
        rehearse_afresh(target, arguments, limits)
    rehearse_afresh("math:sqrt", [4], limits)


def test_an_answer_that_nobody_waited_for_is_not_taken_for_the_next(monkeypatch):
    """A person interrupts while a file is read, then reads another."""

    def interrupt(number, frame):
        raise KeyboardInterrupt

    rehearse_afresh("math:sqrt", [4], LIMITS)
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with pytest.raises(KeyboardInterrupt):
            rehearse_afresh("time:sleep", [1], LIMITS)
    finally:
        signal.signal(signal.SIGALRM, before)
    with pytest.raises(ChildFailed, match="ValueError"):
        rehearse_afresh("math:sqrt", [-1], LIMITS)
    rehearse_afresh("math:sqrt", [4], LIMITS)


def test_a_program_that_somebody_ended_is_started_again():
    rehearse_afresh("math:sqrt", [4], LIMITS)
    afresh._program_of(os.getpid())._process.kill()
    with pytest.raises(UsageError, match=r"Nothing can be rehearsed here: .* Try again\."):
        rehearse_afresh("math:sqrt", [4], LIMITS)
    rehearse_afresh("math:sqrt", [4], LIMITS)


def test_a_copy_that_hangs_before_it_begins_is_not_held_against_the_action(monkeypatch):
    monkeypatch.setattr(os, "fork", forking_into(lambda: time.sleep(60)))
    with pytest.raises(ForkFailed, match=r"did not begin within 0\.3 s"):
        rehearse(lambda: None, RehearsalLimits(seconds=0.3, memory_bytes=2**28))


def test_memory_counts_from_what_is_there():
    held = bytearray(2 * LIMITS.memory_bytes)
    rehearse(lambda: bytes(LIMITS.memory_bytes // 2), LIMITS)
    with pytest.raises(OutOfMemory, match="too much memory"):
        rehearse(lambda: bytes(2 * LIMITS.memory_bytes), LIMITS)
    assert len(held) == 2 * LIMITS.memory_bytes


def test_beside_threads_and_with_open_files(tmp_path):
    stop = threading.Event()
    busy = [threading.Thread(target=stop.wait) for _ in range(4)]
    for thread in busy:
        thread.start()
    try:
        with open(tmp_path / "file", "w") as file:
            file.write("once")  # in a buffer, which the copy must not write too
            for _ in range(5):
                rehearse(lambda: None, LIMITS)
    finally:
        stop.set()
        for thread in busy:
            thread.join()
    assert (tmp_path / "file").read_text() == "once"


def test_several_threads_at_once(tmp_path):
    """A fork of one thread holds the pipe of another open; nobody waits for that."""
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(rehearse, lambda: time.sleep(3), LIMITS)
        begin = time.monotonic()
        for _ in range(5):
            pool.submit(rehearse, lambda: None, RehearsalLimits(seconds=2, memory_bytes=2**28)).result()
        assert time.monotonic() - begin < 2.5 or slow.done()
        slow.result()


def test_no_process_can_be_started(monkeypatch):
    def fork():
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", fork)
    with pytest.raises(UsageError, match="No process can be started"):
        rehearse(lambda: None, LIMITS)


def test_no_descriptor_and_no_child_is_left():
    def descriptors():
        return set(os.listdir("/proc/self/fd"))

    def children():
        return Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text()

    before = descriptors(), children()
    for act in (lambda: None, os.abort, raising(InputError("no"))):
        with suppress(InputError, ChildFailed):
            rehearse(act, LIMITS)
    assert (descriptors(), children()) == before


@pytest.mark.parametrize(("heeds_environment", "python_path", "code"), [(False, ".", 0), (True, "", 0), (True, ".", 3)])
def test_a_program_of_ours_is_not_led_astray(heeds_environment, python_path, code, tmp_path):
    (tmp_path / "json.py").write_text("raise SystemExit(3)")
    command = our_program("curvebench.processes.afresh", heeds_environment=heeds_environment)
    environment = {**os.environ, "PYTHONPATH": python_path}
    if not python_path:
        del environment["PYTHONPATH"]
    done = subprocess.run(command, cwd=tmp_path, stdin=subprocess.DEVNULL, env=environment, check=False)
    assert done.returncode == code
