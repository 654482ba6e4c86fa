"""Classes whose points scatter around known centres, with label noise, so that the posterior is known exactly.

A point belongs to a class and to one of its centres, each as likely as the next, plus Gaussian scatter. A curve is 200
centres along it: dense against the scatter. A share of the labels is then replaced by random ones.
"""

from __future__ import annotations

import math

import numpy as np

from curvebench.generation.portable_math import Float64, cos, exp, log, ordered_sum, sin
from curvebench.generation.problems.assembly import class_problem
from curvebench.generation.problems.draws import instance_streams, integer_between, log_uniform, number_between
from curvebench.generation.problems.problem import Problem
from curvebench.generation.random_streams import Stream

N_CENTRES_OF_CURVE = 200

NEGLIGIBLE_EXPONENT = -50.0
"""Centres whose density is below exp(−50) of the nearest one's are left out of the posterior."""


def make_gaussian_mixture(index: int, master_seed: int, n_train: int, n_val: int) -> Problem:
    """3 to 8 classes of 1 to 3 Gaussian clouds in 2 to 16 dimensions; 2 to 20 % of the labels are random."""
    parameters, examples, noise = instance_streams("gaussian_mixture", index, master_seed)
    n_classes, n_clouds = integer_between(parameters, 3, 8), integer_between(parameters, 1, 3)
    n_inputs = integer_between(parameters, 2, 16)
    separation = number_between(parameters, 2.0, 4.0)
    centres = parameters.normal((n_classes, n_clouds, n_inputs)) * (separation * math.sqrt(2.0 / n_inputs))
    return _problem_around(
        centres,
        scatter=1.0,
        label_noise=number_between(parameters, 0.02, 0.2),
        streams=(examples, noise),
        identity=("gaussian_mixture", index, "multiclass"),
        sizes=(n_train, n_val),
    )


def make_noisy_labels(index: int, master_seed: int, n_train: int, n_val: int) -> Problem:
    """2 to 4 classes of a Gaussian cloud each, well apart in 2 to 8 dimensions; 25 to 45 % random labels."""
    parameters, examples, noise = instance_streams("noisy_labels", index, master_seed)
    n_classes, n_inputs = integer_between(parameters, 2, 4), integer_between(parameters, 2, 8)
    centres = parameters.normal((n_classes, 1, n_inputs)) * (4.0 * math.sqrt(2.0 / n_inputs))
    return _problem_around(
        centres,
        scatter=1.0,
        label_noise=number_between(parameters, 0.25, 0.45),
        streams=(examples, noise),
        identity=("noisy_labels", index, "multiclass"),
        sizes=(n_train, n_val),
    )


def make_many_classes(index: int, master_seed: int, n_train: int, n_val: int) -> Problem:
    """10 to 40 classes of a Gaussian cloud each in 8 to 16 dimensions, some near others; 0 to 30 % random labels.

    The k-th class is as frequent as k to a power between 0 and -1.2, as words are (Zipf): frequent classes are learned
    early and rare ones late, so the loss goes on falling for long.
    """
    parameters, examples, noise = instance_streams("many_classes", index, master_seed)
    n_classes, n_inputs = integer_between(parameters, 10, 40), integer_between(parameters, 8, 16)
    separation = number_between(parameters, 2.0, 4.0)
    centres = parameters.normal((n_classes, 1, n_inputs)) * (separation * math.sqrt(2.0 / n_inputs))
    frequencies = exp(-number_between(parameters, 0.0, 1.2) * log(np.arange(1.0, n_classes + 1.0)))
    return _problem_around(
        centres,
        frequencies / ordered_sum(frequencies),
        scatter=1.0,
        label_noise=number_between(parameters, 0.0, 0.3),
        streams=(examples, noise),
        identity=("many_classes", index, "multiclass"),
        sizes=(n_train, n_val),
    )


def make_moons(index: int, master_seed: int, n_train: int, n_val: int) -> Problem:
    """Two interleaved half-circles of radius 1, turned by any angle; scatter 0.05 to 0.25, 2 to 15 % random labels.

    Source: the shape of `make_moons` (scikit-learn).
    """
    parameters, examples, noise = instance_streams("moons", index, master_seed)
    t = math.pi * np.arange(N_CENTRES_OF_CURVE) / (N_CENTRES_OF_CURVE - 1)
    upper = np.stack([cos(t), sin(t)], axis=-1)
    lower = np.stack([1.0 - cos(t), 0.5 - sin(t)], axis=-1)
    turn = number_between(parameters, 0.0, 2.0 * math.pi)
    return _problem_around(
        _turned(np.stack([upper, lower]), turn),
        scatter=log_uniform(parameters, 0.05, 0.25),
        label_noise=number_between(parameters, 0.02, 0.15),
        streams=(examples, noise),
        identity=("moons", index, "binary"),
        sizes=(n_train, n_val),
    )


def make_spirals(index: int, master_seed: int, n_train: int, n_val: int) -> Problem:
    """2 to 4 spiral arms of radius 0.1 to 1 and 0.6 to 1.4 turns; scatter 0.02 to 0.06, 2 to 15 % random labels.

    Source: after the two spirals of K. J. Lang & M. J. Witbrock (1988), "Learning to tell two spirals apart".
    """
    parameters, examples, noise = instance_streams("spirals", index, master_seed)
    n_arms, n_turns = integer_between(parameters, 2, 4), number_between(parameters, 0.6, 1.4)
    t = np.arange(N_CENTRES_OF_CURVE) / (N_CENTRES_OF_CURVE - 1)
    angle = 2.0 * math.pi * n_turns * t
    arm = (0.1 + 0.9 * t)[:, None] * np.stack([cos(angle), sin(angle)], axis=-1)
    return _problem_around(
        np.stack([_turned(arm, 2.0 * math.pi * k / n_arms) for k in range(n_arms)]),
        scatter=log_uniform(parameters, 0.02, 0.06),
        label_noise=number_between(parameters, 0.02, 0.15),
        streams=(examples, noise),
        identity=("spirals", index, "multiclass"),
        sizes=(n_train, n_val),
    )


def _problem_around(
    centres: Float64,
    shares: Float64 | None = None,
    *,
    scatter: float,
    label_noise: float,
    streams: tuple[Stream, Stream],
    identity: tuple[str, int, str],
    sizes: tuple[int, int],
) -> Problem:
    """Draw points and labels around centres (n_classes, n_centres, n_inputs).

    Args:
        centres: where the points scatter.
        shares: (n_classes,) of the classes, which sum to one; None: all are equal.
        scatter: standard deviation in each direction.
        label_noise: share of the labels that are replaced by random ones (which may be right).
        streams: for points and for labels.
        identity: family, index, task.
        sizes: numbers of training and validation examples.
    """
    (family, index, task), (points_of, labels_of) = identity, streams
    n, (n_classes, n_centres, n_inputs) = sum(sizes), centres.shape
    if shares is None:
        classes = points_of.integers(n_classes, n)
    else:
        classes = np.minimum(np.searchsorted(np.cumsum(shares), points_of.uniform(n), side="right"), n_classes - 1)
    members = points_of.integers(n_centres, n)
    inputs = centres[classes, members] + scatter * points_of.normal((n, n_inputs))
    is_random = labels_of.uniform(n) < label_noise
    clean = posterior_of_clouds(inputs, centres, scatter, shares)
    return class_problem(
        family,
        index,
        sizes[0],
        inputs=inputs,
        labels=np.where(is_random, labels_of.integers(n_classes, n), classes),
        n_classes=n_classes,
        task=task,
        posterior=(1.0 - label_noise) * clean + label_noise / n_classes,
    )


def posterior_of_clouds(points: Float64, centres: Float64, scatter: float, shares: Float64 | None = None) -> Float64:
    """Probabilities (n, n_classes) of the classes of points (n, n_inputs) before label noise, by Bayes' rule."""
    squares = np.zeros((len(points), *centres.shape[:2]))
    for k in range(points.shape[1]):
        difference = points[:, k, None, None] - centres[:, :, k]
        squares += difference * difference
    exponents = (squares.min(axis=(1, 2), keepdims=True) - squares) * (0.5 / (scatter * scatter))
    is_near = exponents > NEGLIGIBLE_EXPONENT
    weights = np.zeros_like(exponents)
    weights[is_near] = exp(exponents[is_near])
    density = ordered_sum(weights, axis=2) * (1.0 if shares is None else shares)
    return density / ordered_sum(density, axis=1)[:, None]


def _turned(points: Float64, angle: float) -> Float64:
    """Points (..., 2) turned about the origin by an angle in radians."""
    x, y = points[..., 0], points[..., 1]
    c, s = float(cos(angle)), float(sin(angle))
    return np.stack([c * x - s * y, s * x + c * y], axis=-1)
