"""Short sequences of vectors whose class depends on one step: which one, a mark in the sequence says."""

from __future__ import annotations

import numpy as np

from curvebench.generation.problems.assembly import class_problem
from curvebench.generation.problems.draws import instance_streams, integer_between, number_between
from curvebench.generation.problems.mixtures import class_posterior
from curvebench.generation.problems.problem import Problem
from curvebench.spec import SEQUENCE_FEATURES

N_COORDINATES = SEQUENCE_FEATURES - 1
"""The last feature of a step is the mark."""

CLOUDS = np.concatenate([np.eye(N_COORDINATES), -np.eye(N_COORDINATES)])
"""Directions from the origin in which classes have their cloud, (n_clouds, n_coordinates)."""


def make_sequences(index: int, master_seed: int, n_train: int, n_val: int) -> Problem:
    """Of which of 3 to 6 clouds is the vector that stands 0 to 2 steps after the mark? 4 to 10 steps.

    The vector of each step comes from a random class: its cloud lies 2 to 4 from the origin on an axis and has
    deviation 1. One step has the mark. The label is the class of the step that the mark points at; 2 to 15 % of the
    labels are random. An example is flat, step by step: three coordinates, then the mark (0 or 1) before scaling.

    Source: in the spirit of the tasks of S. Hochreiter & J. Schmidhuber (1997), "Long short-term memory".
    """
    parameters, examples, noise = instance_streams("sequences", index, master_seed)
    n_steps, n_classes = integer_between(parameters, 4, 10), integer_between(parameters, 3, len(CLOUDS))
    lag = integer_between(parameters, 0, 2)
    centres = number_between(parameters, 2.0, 4.0) * CLOUDS[:n_classes]
    label_noise = number_between(parameters, 0.02, 0.15)
    n = n_train + n_val
    classes = examples.integers(n_classes, (n, n_steps))
    vectors = centres[classes] + examples.normal((n, n_steps, N_COORDINATES))
    marked = examples.integers(n_steps - lag, n)
    mark = np.arange(n_steps) == marked[:, None]
    asked = np.arange(n), marked + lag
    is_random = noise.uniform(n) < label_noise
    posterior = class_posterior(vectors[asked], centres[:, None], 1.0)
    return class_problem(
        "sequences",
        index,
        n_train,
        inputs=np.concatenate([vectors, mark[:, :, None]], axis=2).reshape(n, n_steps * SEQUENCE_FEATURES),
        labels=np.where(is_random, noise.integers(n_classes, n), classes[asked]),
        n_classes=n_classes,
        task="multiclass",
        posterior=(1.0 - label_noise) * posterior + label_noise / n_classes,
    )
