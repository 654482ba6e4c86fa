"""Data of documented faulty programs, in the units in which these programs train: nothing is standardised.

Scale and shift of inputs and targets are part of what was documented. A family is one program's data; where these are
listed or lie on a grid, its instances differ by what their docstrings say and not by chance. Which programs they are
stands in `curvebench.cases.programs`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curvebench.generation.portable_math import Float64, ordered_matmul, ordered_mean
from curvebench.generation.problems.assembly import MADE_HERE, instance_name, mean_and_scale
from curvebench.generation.problems.draws import instance_streams
from curvebench.generation.problems.mixtures import posterior_of_clouds
from curvebench.generation.problems.problem import Problem, class_probabilities, entropy
from curvebench.generation.random_streams import Stream


def make_parabola(index: int, master_seed: int, n_train: int, n_val: int) -> Problem:
    """Y = 5 x² + e³ with a standard normal e, x evenly spaced in [0, 5). The cube of e has a variance of 15."""
    _, _, noise = instance_streams("parabola", index, master_seed)
    x = _grid_with_rest(0.0, 5.0, n_train, n_val)
    expected = 5.0 * (x * x)
    e = noise.normal(x.shape)
    return _regression("parabola", index, n_train, x, expected + e * e * e, expected, variance=15.0)


def make_quartic(index: int, master_seed: int, n_train: int, n_val: int) -> Problem:
    """Y = x⁴, x evenly spaced in [-100, 100); in every second instance x and y are standardised."""
    x = _grid_with_rest(-100.0, 100.0, n_train, n_val)
    y = x * x * x * x
    if index % 2:
        (x_mean, x_scale), (y_mean, y_scale) = mean_and_scale(x[:n_train]), mean_and_scale(y[:n_train])
        x, y = (x - x_mean) / x_scale, (y - y_mean) / y_scale
    return _regression("quartic", index, n_train, x, y, y)


def make_doubles(index: int, master_seed: int, n_train: int, n_val: int) -> Problem:
    """Y = 2 x for x = 0, 1, 2, … ; those for validation lie between."""
    x = _grid_with_rest(0.0, float(n_train), n_train, n_val)
    return _regression("doubles", index, n_train, x, 2.0 * x, 2.0 * x)


def make_linear_map(index: int, master_seed: int, n_train: int, n_val: int) -> Problem:
    """18 standard normal inputs, of which 10 add to the target with weights uniform in [0, 100); no noise.

    Source: `sklearn.datasets.make_regression` with its defaults.
    """
    parameters, inputs, _ = instance_streams("linear_map", index, master_seed)
    weights = np.zeros((18, 1))
    weights[parameters.permutation(18)[:10], 0] = parameters.uniform(10, 0.0, 100.0)
    x = inputs.normal((n_train + n_val, 18))
    y = ordered_matmul(x, weights)
    return _regression("linear_map", index, n_train, x, y, y)


def make_xor(index: int, master_seed: int, n_train: int, n_val: int) -> Problem:
    """Exclusive or of two bits: four points, or six with both of the class 0 twice in every second instance.

    There are no others to validate on, so the same ones serve.
    """
    points = np.array([[0, 0], [0, 1], [1, 0], [1, 1], [0, 0], [1, 1]][: 6 if index % 2 else 4], dtype=np.float64)
    labels = (points[:, 0] != points[:, 1]).astype(np.int64)
    twice = np.concatenate([points, points]), np.concatenate([labels, labels])
    return _classes("xor", index, len(points), *twice, n_classes=2)


def make_equal_bits(index: int, master_seed: int, n_train: int, n_val: int) -> Problem:
    """Two random bits and whether they are equal."""
    _, inputs, _ = instance_streams("equal_bits", index, master_seed)
    bits = inputs.integers(2, (n_train + n_val, 2))
    labels = (bits[:, 0] == bits[:, 1]).astype(np.int64)
    return _classes("equal_bits", index, n_train, bits.astype(np.float64), labels, n_classes=2)


def make_two_squares(index: int, master_seed: int, n_train: int, n_val: int) -> Problem:
    """Two classes, uniform in unit squares that touch at a corner, as many of one as of the other."""
    _, inputs, order = instance_streams("two_squares", index, master_seed)
    labels = np.concatenate([_shuffled_labels(order, n, 2) for n in (n_train, n_val)])
    x = inputs.uniform((n_train + n_val, 2)) + labels[:, None]
    return _classes("two_squares", index, n_train, x, labels, n_classes=2, task="multiclass")


def make_blobs(index: int, master_seed: int, n_train: int, n_val: int) -> Problem:
    """Three classes, standard normal around centres uniform in the square from -10 to 10.

    Source: `sklearn.datasets.make_blobs` with its defaults.
    """
    parameters, inputs, order = instance_streams("blobs", index, master_seed)
    centres = parameters.uniform((3, 2), -10.0, 10.0)
    labels = np.concatenate([_shuffled_labels(order, n, 3) for n in (n_train, n_val)])
    x = centres[labels] + inputs.normal((n_train + n_val, 2))
    posterior = posterior_of_clouds(x, centres[:, None, :], 1.0)
    return _classes("blobs", index, n_train, x, labels, n_classes=3, task="multiclass", posterior=posterior)


def make_hypercube(index: int, master_seed: int, n_train: int, n_val: int) -> Problem:
    """Two classes of two clouds each on the corners of a square; of seven inputs two tell, two mix these.

    Three inputs are noise. Each cloud is squeezed by a random matrix; 1 % of the labels are random. Nobody knows the
    floor.

    Source: `sklearn.datasets.make_classification` with its defaults (I. Guyon 2003, design of Madelon).
    """
    parameters, inputs, order = instance_streams("hypercube", index, master_seed)
    n = n_train + n_val
    corners = (2.0 * np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.float64) - 1.0)[parameters.permutation(4)]
    cloud = np.concatenate([_shuffled_labels(order, size, 4) for size in (n_train, n_val)])
    informative = inputs.normal((n, 2))
    for k, corner in enumerate(corners):
        squeeze = parameters.uniform((2, 2), -1.0, 1.0)
        informative[cloud == k] = ordered_matmul(informative[cloud == k], squeeze) + corner
    mixed = ordered_matmul(informative, parameters.uniform((2, 2), -1.0, 1.0))
    x = np.concatenate([informative, mixed, inputs.normal((n, 3))], axis=1)[:, parameters.permutation(7)]
    labels = np.where(inputs.uniform(n) < 0.01, inputs.integers(2, n), cloud % 2)
    return _classes("hypercube", index, n_train, x, labels, n_classes=2, is_known=False)


def _grid_with_rest(low: float, high: float, n_train: int, n_val: int) -> Float64:
    """(n_train + n_val, 1): evenly spaced in [low, high), then others, in the middle between two of them or nearly."""
    train = low + (high - low) * np.arange(n_train) / n_train
    val = low + (high - low) * (np.arange(n_val) * n_train // n_val + 0.5) / n_train
    return np.concatenate([train, val])[:, None]


def _shuffled_labels(order: Stream, n: int, n_classes: int) -> NDArray[np.int64]:
    """As many of each class as there can be, in random order, (n,)."""
    return np.asarray((np.arange(n) % n_classes)[order.permutation(n)], dtype=np.int64)


def _regression(
    family: str, index: int, n_train: int, x: Float64, y: Float64, expected: Float64, variance: float = 0.0
) -> Problem:
    return Problem(
        name=instance_name(family, index),
        family=family,
        task="regression",
        train_inputs=x[:n_train].astype(np.float32),
        train_targets=y[:n_train].astype(np.float32),
        val_inputs=x[n_train:].astype(np.float32),
        val_targets=y[n_train:].astype(np.float32),
        target_range="real",
        floor=variance,
        best_predictions=expected[:n_train].astype(np.float32),
        source_licence=MADE_HERE,
    )


def _classes(
    family: str,
    index: int,
    n_train: int,
    x: Float64,
    labels: NDArray[np.int64],
    *,
    n_classes: int,
    task: str = "binary",
    posterior: Float64 | None = None,
    is_known: bool = True,
) -> Problem:
    """Classes in the inputs' own units; without a posterior the labels are certain, or else nobody knows."""
    first_column = 1 if task == "binary" else 0
    y = np.eye(n_classes)[labels][:, first_column:]
    best = (y if posterior is None else posterior[:, first_column:])[:n_train] if is_known else None
    return Problem(
        name=instance_name(family, index),
        family=family,
        task=task,
        train_inputs=x[:n_train].astype(np.float32),
        train_targets=y[:n_train].astype(np.float32),
        val_inputs=x[n_train:].astype(np.float32),
        val_targets=y[n_train:].astype(np.float32),
        target_range="classes",
        floor=None if best is None else float(ordered_mean(entropy(class_probabilities(best, task)))),
        best_predictions=None if best is None else best.astype(np.float32),
        source_licence=MADE_HERE,
    )
