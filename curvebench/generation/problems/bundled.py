"""Real data from the files that scikit-learn ships. Nobody knows their noise floor.

Instances of a family are random parts of one data set (examples, and features or classes), so they share examples:
all of them belong in one split. scikit-learn is imported only when the first of them is made.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from curvebench.generation.portable_math import Float64
from curvebench.generation.problems.assembly import class_problem, regression_problem
from curvebench.generation.problems.draws import instance_streams, integer_between
from curvebench.generation.problems.problem import Problem
from curvebench.generation.random_streams import Stream

DIGITS_LICENCE = (
    "Alpaydin & Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, "
    "doi:10.24432/C50P49, CC BY 4.0; copy of the test set shipped with scikit-learn (BSD-3-Clause)"
)
BREAST_CANCER_LICENCE = (
    "Wolberg, Mangasarian, Street & Street (1995), Breast Cancer Wisconsin (Diagnostic), UCI Machine Learning "
    "Repository, doi:10.24432/C5DW2B, CC BY 4.0; copy shipped with scikit-learn (BSD-3-Clause)"
)
WINE_LICENCE = (
    "Aeberhard & Forina (1991), Wine, UCI Machine Learning Repository, doi:10.24432/C5PC7J, CC BY 4.0; "
    "copy shipped with scikit-learn (BSD-3-Clause)"
)
DIABETES_LICENCE = (
    "Efron, Hastie, Johnstone & Tibshirani (2004), Least Angle Regression, Annals of Statistics 32, 407-499; public, "
    "no licence stated at the source, in the R package lars (GPL-2); copy shipped with scikit-learn (BSD-3-Clause)"
)


def make_digits(index: int, master_seed: int, n_train: int, n_val: int) -> Problem:
    """Images of handwritten digits, 8 × 8 pixels; an instance tells 3 to 10 of the digits apart.

    Source: E. Alpaydin & C. Kaynak (1998), UCI Machine Learning Repository, CC BY 4.0.
    """
    pixels, digits = _load("digits")
    parameters, choice, _ = instance_streams("digits", index, master_seed)
    classes = np.sort(parameters.permutation(10)[: integer_between(parameters, 3, 10)])
    of_these = np.flatnonzero(np.isin(digits, classes))
    picked, n_train = _pick_rows(choice, len(of_these), n_train, n_val)
    rows = of_these[picked]
    return class_problem(
        "digits",
        index,
        n_train,
        inputs=pixels[rows],
        labels=np.searchsorted(classes, digits[rows]).astype(np.int64),
        n_classes=len(classes),
        task="multiclass",
        source_licence=DIGITS_LICENCE,
    )


def make_breast_cancer(index: int, master_seed: int, n_train: int, n_val: int) -> Problem:
    """Is a breast mass benign? From 10 to 30 measurements of the cell nuclei in an image; 569 examples.

    Source: W. H. Wolberg, W. N. Street & O. L. Mangasarian (1995), UCI Machine Learning Repository, CC BY 4.0.
    """
    inputs, labels, n_train = _part("breast_cancer", 10, index, master_seed, n_train, n_val)
    return class_problem(
        "breast_cancer",
        index,
        n_train,
        inputs=inputs,
        labels=labels.astype(np.int64),
        n_classes=2,
        task="binary",
        source_licence=BREAST_CANCER_LICENCE,
    )


def make_wine(index: int, master_seed: int, n_train: int, n_val: int) -> Problem:
    """Which of three cultivators grew a wine? From 8 to 13 chemical measurements; 178 examples.

    Source: S. Aeberhard & M. Forina (1991), UCI Machine Learning Repository, CC BY 4.0.
    """
    inputs, labels, n_train = _part("wine", 8, index, master_seed, n_train, n_val)
    return class_problem(
        "wine",
        index,
        n_train,
        inputs=inputs,
        labels=labels.astype(np.int64),
        n_classes=3,
        task="multiclass",
        source_licence=WINE_LICENCE,
    )


def make_diabetes(index: int, master_seed: int, n_train: int, n_val: int) -> Problem:
    """How far has diabetes progressed after a year? From 6 to 10 baseline measurements; 442 patients.

    Source: B. Efron, T. Hastie, I. Johnstone & R. Tibshirani (2004), Annals of Statistics 32, 407–499.
    """
    inputs, progression, n_train = _part("diabetes", 6, index, master_seed, n_train, n_val)
    return regression_problem(
        "diabetes",
        index,
        n_train,
        inputs=inputs,
        targets=progression[:, None],
        target_range="real",
        source_licence=DIABETES_LICENCE,
    )


def split_sizes(n_available: int, n_train: int, n_val: int) -> tuple[int, int]:
    """The sizes asked for, or all there is in the same proportion.

    >>> split_sizes(178, 512, 128)
    (143, 35)
    """
    if n_train + n_val <= n_available:
        return n_train, n_val
    clipped_val = max(1, n_available * n_val // (n_train + n_val))
    return n_available - clipped_val, clipped_val


def _part(
    family: str, min_features: int, index: int, master_seed: int, n_train: int, n_val: int
) -> tuple[Float64, Float64, int]:
    """Inputs and targets of an instance (random features, random examples), and how many are for training."""
    inputs, targets = _load(family)
    parameters, choice, _ = instance_streams(family, index, master_seed)
    n_features = integer_between(parameters, min_features, inputs.shape[1])
    features = np.sort(parameters.permutation(inputs.shape[1])[:n_features])
    rows, n_train = _pick_rows(choice, len(inputs), n_train, n_val)
    return inputs[rows][:, features], targets[rows], n_train


def _pick_rows(choice: Stream, n_available: int, n_train: int, n_val: int) -> tuple[NDArray[np.int64], int]:
    n_train, n_val = split_sizes(n_available, n_train, n_val)
    return choice.permutation(n_available)[: n_train + n_val], n_train


@functools.cache
def _load(family: str) -> tuple[Float64, Float64]:
    """Inputs (n, n_features) and targets (n,) of a data set, as measured, read-only."""
    from sklearn import datasets

    options = {"scaled": False} if family == "diabetes" else {}
    bunch = getattr(datasets, f"load_{family}")(**options)
    inputs, targets = np.array(bunch.data, dtype=np.float64), np.array(bunch.target, dtype=np.float64)
    inputs.setflags(write=False)
    targets.setflags(write=False)
    return inputs, targets
