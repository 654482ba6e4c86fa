"""What an instance of a family is like: its random streams and the draws of its natural parameters."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curvebench.generation.portable_math import Float64, exp, log
from curvebench.generation.random_streams import Stream, stream


def instance_streams(family: str, index: int, master_seed: int) -> tuple[Stream, Stream, Stream]:
    """Streams for the parameters of an instance, for its inputs and for its noise.

    They are apart so that an instance keeps its parameters when it is made with more examples.
    """
    parameters, inputs, noise = (
        stream(master_seed, "problem", family, index, purpose) for purpose in ("parameters", "inputs", "noise")
    )
    return parameters, inputs, noise


def integer_between(draw: Stream, low: int, high: int) -> int:
    """An integer from low to high, both included."""
    return low + int(draw.integers(high - low + 1))


def number_between(draw: Stream, low: float, high: float) -> float:
    """A uniform number."""
    return float(draw.uniform((), low, high))


def log_uniform(draw: Stream, low: float, high: float) -> float:
    """A number whose logarithm is uniform."""
    return float(exp(draw.uniform((), float(log(low)), float(log(high)))))


def draw_labels(draw: Stream, posterior: Float64) -> NDArray[np.int64]:
    """One class for each row of probabilities (n, n_classes), (n,) int64."""
    limits = np.cumsum(posterior, axis=1)[:, :-1]
    return np.asarray(np.count_nonzero(draw.uniform((len(posterior), 1)) >= limits, axis=1), dtype=np.int64)
