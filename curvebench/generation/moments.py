"""When in a training something happens, in updates: points are recorded, outcomes evaluated, resumptions branch off."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np

from curvebench.spec import Int

OUTCOME_SHARE = 0.05
"""Share of the updates, at the end, over which the outcome is averaged."""

N_OUTCOMES = 4
"""Evaluations averaged in it."""


def count_updates(n_train: int, batch_size: int, epochs: int) -> int:
    """Updates of a training: every epoch its whole batches; examples left over are dropped.

    >>> count_updates(100, 32, epochs=2), count_updates(20, 32, epochs=2)
    (6, 2)
    """
    return epochs * (n_train // min(batch_size, n_train))


def record_steps(n_steps: int, n_points: int) -> Int:
    """Numbers of updates, from 0 to n_steps, at which points are recorded: n_points, or fewer in a short training.

    >>> record_steps(10, 6).tolist(), record_steps(3, 6).tolist()
    ([0, 2, 4, 6, 8, 10], [0, 1, 2, 3])
    """
    n = min(n_points, n_steps + 1)
    return np.array([(i * n_steps) // (n - 1) for i in range(n)], dtype=np.int32)


def outcome_steps(n_steps: int) -> Int:
    """Numbers of updates at which the outcome is evaluated: evenly in the last 5 % of training, the end included.

    >>> outcome_steps(400).tolist(), outcome_steps(12).tolist()
    ([385, 390, 395, 400], [9, 10, 11, 12])
    """
    distance = max(1, int(OUTCOME_SHARE * n_steps) // N_OUTCOMES)
    return np.array([n_steps - i * distance for i in reversed(range(min(N_OUTCOMES, n_steps)))], dtype=np.int32)


def branch_step(at: float, n_steps: int, n_points: int) -> int:
    """Number of updates at which a resumption from a fraction of training branches off.

    It is that of the nearest recorded point, so that curves join.

    >>> branch_step(0.5, n_steps=10, n_points=6), branch_step(0.45, n_steps=400, n_points=128)
    (4, 179)
    """
    n = min(n_points, n_steps + 1)
    return (round(at * (n - 1)) * n_steps) // (n - 1)


def branch_fault(moments: Iterable[float], n_steps: int, n_points: int) -> str | None:
    """What is wrong with resuming from these fractions of a training, in a sentence; None if nothing is.

    Every moment needs a branch of its own, or remedies that are named and priced apart would be the same; and one
    before the outcome is evaluated, or a part of the outcome would not be the remedy's own.

    >>> branch_fault([0.5, 0.75], n_steps=40, n_points=16)
    >>> branch_fault([0.5, 0.51], n_steps=40, n_points=16)
    'of 40 updates, 0.5 and 0.51 branch off after the same 21; leave one out, record more points or train longer.'
    """
    ordered = sorted(set(moments))
    branches = [branch_step(at, n_steps, n_points) for at in ordered]
    for (at, branch), (later, same) in pairwise(zip(ordered, branches, strict=True)):
        if branch == same:
            return (
                f"of {n_steps} updates, {at} and {later} branch off after the same {branch}; "
                "leave one out, record more points or train longer."
            )
    window = int(outcome_steps(n_steps)[0])
    if branches and branches[-1] >= window:
        return (
            f"of {n_steps} updates, {ordered[-1]} branches off after {branches[-1]}, but the outcome is evaluated "
            f"from {window} on; name an earlier moment, or train longer."
        )
    return None
