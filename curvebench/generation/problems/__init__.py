"""Problems to train on: families of data sets, real and synthetic, and the one table that lists them.

A new family is a maker in a module of this folder and a line in `FAMILIES`. Instance 0, 1, 2, … of a family differ in
their examples and in natural parameters (dimension, noise, number of classes, frequency, …). Each array is a pure
function of family, index, master seed and sizes, with the same bits on every machine.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping

from curvebench.generation.problems.bundled import (
    make_breast_cancer,
    make_diabetes,
    make_digits,
    make_wine,
)
from curvebench.generation.problems.documented import (
    make_blobs,
    make_doubles,
    make_equal_bits,
    make_hypercube,
    make_linear_map,
    make_parabola,
    make_quartic,
    make_two_squares,
    make_xor,
)
from curvebench.generation.problems.floors import output_floor
from curvebench.generation.problems.functions import make_compass, make_friedman1, make_sine
from curvebench.generation.problems.mixtures import (
    make_gaussian_mixture,
    make_many_classes,
    make_moons,
    make_noisy_labels,
    make_spirals,
)
from curvebench.generation.problems.problem import FITTING, TARGET_RANGES, Problem, constant_loss
from curvebench.generation.problems.sequences import make_sequences
from curvebench.generation.problems.teachers import (
    make_counts,
    make_label_sets,
    make_shares,
    make_teacher,
    make_teacher_classes,
    make_unit_teacher,
)
from curvebench.generation.problems.variations import in_units, turned
from curvebench.spec import UsageError

Maker = Callable[[int, int, int, int], Problem]
"""(index, master_seed, n_train, n_val) -> problem."""

DOCUMENTED: Mapping[str, Maker] = {
    "parabola": make_parabola,
    "quartic": make_quartic,
    "doubles": make_doubles,
    "linear_map": make_linear_map,
    "xor": make_xor,
    "equal_bits": make_equal_bits,
    "two_squares": make_two_squares,
    "blobs": make_blobs,
    "hypercube": make_hypercube,
}
"""Data of documented programs: in their own units, some of them with a size of their own."""

FAMILIES: Mapping[str, Maker] = {
    "digits": make_digits,
    "breast_cancer": make_breast_cancer,
    "wine": make_wine,
    "diabetes": make_diabetes,
    "teacher": make_teacher,
    "teacher_classes": make_teacher_classes,
    "unit_teacher": make_unit_teacher,
    "counts": make_counts,
    "label_sets": make_label_sets,
    "shares": make_shares,
    "friedman1": make_friedman1,
    "sine": make_sine,
    "compass": make_compass,
    "spirals": make_spirals,
    "moons": make_moons,
    "gaussian_mixture": make_gaussian_mixture,
    "noisy_labels": make_noisy_labels,
    "many_classes": make_many_classes,
    "sequences": make_sequences,
    **DOCUMENTED,
}

MIN_TRAIN, MIN_VAL = 16, 8
"""The smallest sets that a problem can be asked for."""


def make_problem(family: str, index: int, master_seed: int, n_train: int = 512, n_val: int = 128) -> Problem:
    """Make one instance of a family.

    Args:
        family: a key of `FAMILIES`.
        index: which instance, from 0.
        master_seed: the recipe's; other seeds give other instances.
        n_train: training examples wanted; a real data set that is too small gives what it has, in the same proportion;
            documented data that are listed point by point give those.
        n_val: validation examples wanted.

    Raises:
        UsageError: there is no such family, the index is negative or a set is too small.

    >>> problem = make_problem("moons", 3, master_seed=0, n_train=64, n_val=16)
    >>> problem.name, problem.train_inputs.shape, problem.val_targets.shape
    ('moons-03', (64, 2), (16, 1))
    """
    if family not in FAMILIES:
        near = difflib.get_close_matches(family, FAMILIES, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UsageError(f"There is no problem family {family!r}.{hint} Known families: {', '.join(FAMILIES)}.")
    if index < 0:
        raise UsageError(f"Instances of a problem family are numbered from 0; {index} was asked for.")
    if n_train < MIN_TRAIN or n_val < MIN_VAL:
        raise UsageError(
            f"A problem needs at least {MIN_TRAIN} training and {MIN_VAL} validation examples; "
            f"{n_train} and {n_val} were asked for."
        )
    return FAMILIES[family](index, master_seed, n_train, n_val)


__all__ = [
    "DOCUMENTED",
    "FAMILIES",
    "FITTING",
    "MIN_TRAIN",
    "MIN_VAL",
    "TARGET_RANGES",
    "Maker",
    "Problem",
    "constant_loss",
    "in_units",
    "make_problem",
    "output_floor",
    "turned",
]
