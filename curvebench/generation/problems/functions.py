"""Known functions plus noise: Friedman's first, a sine, and the angle of a compass."""

from __future__ import annotations

import math

import numpy as np

from curvebench.generation.portable_math import Float64, cos, exp, ordered_matmul, sin, tanh
from curvebench.generation.problems.assembly import regression_problem
from curvebench.generation.problems.draws import instance_streams, integer_between, log_uniform, number_between
from curvebench.generation.problems.problem import Problem


def make_friedman1(index: int, master_seed: int, n_train: int, n_val: int) -> Problem:
    """Friedman 1: five inputs that matter among 5 to 15, noise of deviation 0.3 to 3 (the signal's is about 5).

    Source: J. H. Friedman (1991), "Multivariate adaptive regression splines", Annals of Statistics 19, 1–67:
    y = 10 sin(π x₁ x₂) + 20 (x₃ − ½)² + 10 x₄ + 5 x₅ + noise, inputs uniform in [0, 1).
    """
    parameters, examples, noise = instance_streams("friedman1", index, master_seed)
    x = examples.uniform((n_train + n_val, integer_between(parameters, 5, 15)))
    level = log_uniform(parameters, 0.3, 3.0)
    centred = x[:, 2] - 0.5
    expected = 10.0 * sin(math.pi * x[:, 0] * x[:, 1]) + 20.0 * (centred * centred) + 10.0 * x[:, 3] + 5.0 * x[:, 4]
    return _with_noise("friedman1", index, n_train, x, expected[:, None], level * noise.normal((len(x), 1)), level)


def make_sine(index: int, master_seed: int, n_train: int, n_val: int) -> Problem:
    """A plane sine wave over 1 to 3 inputs: 1 to 6 half-waves from −1 to 1, noise of 3 to 50 % of its amplitude."""
    parameters, examples, noise = instance_streams("sine", index, master_seed)
    n_inputs = integer_between(parameters, 1, 3)
    x = examples.uniform((n_train + n_val, n_inputs), -1.0, 1.0)
    direction = parameters.normal((n_inputs, 1))
    direction = direction / np.sqrt(ordered_matmul(direction.T, direction))
    half_waves, phase = log_uniform(parameters, 1.0, 6.0), number_between(parameters, 0.0, 2.0 * math.pi)
    level = log_uniform(parameters, 0.03, 0.5)
    expected = sin(0.5 * math.pi * half_waves * ordered_matmul(x, direction) + phase)
    return _with_noise("sine", index, n_train, x, expected, level * noise.normal(expected.shape), level)


def make_compass(index: int, master_seed: int, n_train: int, n_val: int) -> Problem:
    """Cosine and sine of an angle, in [−1, 1], from the saturating readings of 4 to 12 field sensors.

    The sensors are exact; the angle that is reported is off by Gaussian noise of s = 0.05 to 0.6 radians. So the
    expected target is exp(−s²/2) (cos, sin), and the variance, mean over both outputs, is (1 − exp(−s²)) / 2.
    """
    parameters, examples, noise = instance_streams("compass", index, master_seed)
    n_sensors = integer_between(parameters, 4, 12)
    harmonics = 1.0 + parameters.integers(3, n_sensors)
    harmonics[:2] = 1.0
    bearings = parameters.uniform(n_sensors, 0.0, 2.0 * math.pi)
    bearings[1] = bearings[0] + 0.5 * math.pi
    gain, level = number_between(parameters, 0.5, 2.0), log_uniform(parameters, 0.05, 0.6)
    angles = examples.uniform((n_train + n_val, 1), 0.0, 2.0 * math.pi)
    reported = angles + level * noise.normal(angles.shape)
    expected = float(exp(-0.5 * level * level)) * np.concatenate([cos(angles), sin(angles)], axis=1)
    return regression_problem(
        "compass",
        index,
        n_train,
        inputs=tanh(gain * cos(harmonics * angles - bearings)),
        targets=np.concatenate([cos(reported), sin(reported)], axis=1),
        target_range="symmetric_unit",
        expected=expected,
        noise_variance=np.full_like(expected, 0.5 * (1.0 - float(exp(-level * level)))),
    )


def _with_noise(
    family: str, index: int, n_train: int, inputs: Float64, expected: Float64, noise: Float64, level: float
) -> Problem:
    return regression_problem(
        family,
        index,
        n_train,
        inputs=inputs,
        targets=expected + noise,
        target_range="real",
        expected=expected,
        noise_variance=np.full_like(expected, level * level),
    )
