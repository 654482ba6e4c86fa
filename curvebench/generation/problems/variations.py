"""Problems made from others: seen through turned inputs, or given in other units."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from curvebench.generation.portable_math import cos, sin
from curvebench.generation.problems.problem import Problem
from curvebench.generation.random_streams import Stream
from curvebench.spec import Float


def turned(problem: Problem, angle: float, draw: Stream) -> Problem:
    """A related problem: pairs of inputs, drawn at random, are turned by an angle.

    At 0 it is the same problem; the further the inputs are turned, the less of what a network learned on one helps on
    the other. An input that is left without a partner, an only one for instance, is paired with the constant one:
    it is scaled and shifted.

    Args:
        problem: the instance.
        angle: in radians.
        draw: pairs the inputs.
    """
    order = draw.permutation(problem.train_inputs.shape[1])
    c, s = (np.float32(function(np.float64(angle))) for function in (cos, sin))

    def turn(inputs: Float) -> Float:
        result = inputs.copy()
        for first, second in zip(order[0::2], order[1::2], strict=False):
            x, y = inputs[:, first], inputs[:, second]
            result[:, first], result[:, second] = c * x - s * y, s * x + c * y
        if len(order) % 2:
            result[:, order[-1]] = c * inputs[:, order[-1]] - s
        return result

    return replace(
        problem,
        name=f"{problem.name} turned",
        train_inputs=turn(problem.train_inputs),
        val_inputs=turn(problem.val_inputs),
    )


def in_units(problem: Problem, scale: float) -> Problem:
    """The problem with all inputs times a factor.

    A network whose first weights are divided by it is the same function, but its first layer learns faster by the
    factor (Adam and its kin) or its square (SGD): what rate is too high is another one.
    """
    factor = np.float32(scale)
    return replace(problem, train_inputs=problem.train_inputs * factor, val_inputs=problem.val_inputs * factor)
