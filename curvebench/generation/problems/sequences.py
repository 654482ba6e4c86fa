"""Short sequences of vectors whose class depends on the order of what happens in them."""

from __future__ import annotations

import numpy as np

from curvebench.generation.portable_math import Float64, exp, ordered_sum
from curvebench.generation.problems.assembly import class_problem
from curvebench.generation.problems.draws import instance_streams, integer_between, number_between
from curvebench.generation.problems.problem import Problem
from curvebench.spec import SEQUENCE_FEATURES


def make_sequences(index: int, master_seed: int, n_train: int, n_val: int) -> Problem:
    """Which of 2 or 3 kinds was the first of two events, and which the second? 4 or 9 classes, 4 to 8 steps.

    At two steps of a sequence something happens: the coordinate of its kind is 1 higher. All four coordinates of every
    step have Gaussian noise of deviation 0.15 to 0.4, and 2 to 20 % of the labels are random. An example is flat, step
    by step.

    Source: after the temporal order problem of S. Hochreiter & J. Schmidhuber (1997), "Long short-term memory",
    Neural Computation 9, 1735-1780.
    """
    parameters, examples, noise = instance_streams("sequences", index, master_seed)
    n_steps, n_kinds = integer_between(parameters, 4, 8), integer_between(parameters, 2, 3)
    scatter, label_noise = number_between(parameters, 0.15, 0.4), number_between(parameters, 0.02, 0.2)
    n, n_classes = n_train + n_val, n_kinds * n_kinds
    steps = np.sort(examples.permutations(n_steps, n)[:, :2], axis=1)
    kinds = examples.integers(n_kinds, (n, 2))
    vectors = scatter * examples.normal((n, n_steps, SEQUENCE_FEATURES))
    vectors[np.arange(n)[:, None], steps, kinds] += 1.0
    is_random = noise.uniform(n) < label_noise
    return class_problem(
        "sequences",
        index,
        n_train,
        inputs=vectors.reshape(n, n_steps * SEQUENCE_FEATURES),
        labels=np.where(is_random, noise.integers(n_classes, n), n_kinds * kinds[:, 0] + kinds[:, 1]),
        n_classes=n_classes,
        task="multiclass",
        posterior=(1.0 - label_noise) * _posterior(vectors[:, :, :n_kinds], scatter) + label_noise / n_classes,
    )


def _posterior(coordinates: Float64, scatter: float) -> Float64:
    """Probabilities (n, n_kinds²) of the pairs of kinds before label noise, by Bayes' rule.

    An event of some kind at some step makes the coordinate there likelier by a factor; every pair of steps is as likely
    as the next.

    Args:
        coordinates: (n, n_steps, n_kinds), one for each kind.
        scatter: deviation of their noise.
    """
    factor = exp((coordinates - 0.5) / (scatter * scatter))
    earlier = np.zeros_like(factor[:, 0])
    pairs = np.zeros((*earlier.shape, earlier.shape[1]))
    for step in range(factor.shape[1]):
        pairs += earlier[:, :, None] * factor[:, step, None, :]
        earlier = earlier + factor[:, step]
    flat = pairs.reshape(len(pairs), -1)
    return flat / ordered_sum(flat, axis=1)[:, None]
