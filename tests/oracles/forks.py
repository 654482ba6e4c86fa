"""Forks that never come to do what they were made for."""

from __future__ import annotations

import os
from collections.abc import Callable


def forking_into(fate: Callable[[], object]) -> Callable[[], int]:
    """An `os.fork` whose copies meet their fate before anything else."""
    true_fork = os.fork

    def fork() -> int:
        child = true_fork()
        if child == 0:
            fate()
        return child

    return fork


def die() -> None:
    """End this process as a crash does."""
    os.kill(os.getpid(), 9)
