"""A linear regression that every framework can train, with rates at which it explodes or does well."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

N_EXAMPLES, N_FEATURES, BATCH_SIZE, N_EPOCHS = 320, 4, 16, 10
N_STEPS = N_EPOCHS * N_EXAMPLES // BATCH_SIZE
GOOD_RATE, HIGH_RATE = 0.1, 3.0
"""Gradient descent on this data is stable up to a rate of about one."""


def examples() -> tuple[np.ndarray, np.ndarray]:
    """Inputs (n, n_features) and targets (n, 1), float32."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(N_EXAMPLES, N_FEATURES))
    targets = inputs @ rng.normal(size=(N_FEATURES, 1)) + 0.001 * rng.normal(size=(N_EXAMPLES, 1))
    return inputs.astype(np.float32), targets.astype(np.float32)


class Exploding:
    """A diagnoser that is well when it is made and fails when training has begun."""

    def __init__(self) -> None:
        self.n_asked = 0

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        self.n_asked += 1
        if self.n_asked > 1:
            raise SystemExit("the diagnoser exploded")
        return np.full((len(X), 6), 1 / 6)


@contextmanager
def our_warnings() -> Iterator[list[str]]:
    """What CurveBench warns of; frameworks may warn of what they like."""
    found: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield found
    found += [str(w.message) for w in caught if "CurveBench" in str(w.message)]
