"""Work for processes started afresh, which can only import it from a module."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path


def square(item: int) -> int:
    return item * item


def square_and_say_where(item: int) -> tuple[int, int]:
    time.sleep(0.05)
    return item * item, os.getpid()


def fail_on_three(folder: Path, item: int) -> int:
    """Leaves a file for each item done; the third fails, those after it take their time."""
    if item == 3:
        raise LookupError("three is not allowed")
    if item > 3:
        time.sleep(0.2)
    (folder / str(item)).touch()
    return item


def say_who_and_wait(folder: Path, item: int) -> int:
    (folder / str(os.getpid())).touch()
    time.sleep(60)
    return item


def is_deaf_to_interrupts(_: int) -> bool:
    return signal.getsignal(signal.SIGINT) is signal.SIG_IGN
