"""Products and transposes on parts of flat arrays, against loops that add in the same order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("numba")

from numba import njit

from curvebench.generation.engine.microkernel import (
    AS_IT_IS,
    LANES,
    NOT_BELOW_ZERO,
    WHERE_POSITIVE,
    at,
    matmul,
    padded,
    sum_rows,
    transpose,
)


@njit
def product_of_arrays(
    a, a_0, a_row, a_k, b, b_0, b_row, init, init_0, c, c_0, c_row, gate, ending, n_rows, n_columns, n_k
):  # fmt: skip
    matmul(
        at(a, a_0), a_row, a_k, at(b, b_0), b_row, at(init, init_0), 0, at(c, c_0), c_row, at(gate, c_0), ending,
        n_rows, n_columns, n_k,
    )  # fmt: skip


@njit
def sums_of_array(source, source_0, source_row, n_rows, target):
    for first in range(0, source_row, LANES):
        sum_rows(at(source, source_0 + first), source_row, n_rows, at(target, first))


def flat(matrix):
    """The matrix in rows padded to whole vectors, with something in front and behind; and its place and stride."""
    n_rows, n_columns = matrix.shape
    stride = padded(n_columns)
    rows = np.full((n_rows, stride), 7.0, dtype=np.float32)
    rows[:, :n_columns] = matrix
    return (
        np.concatenate([np.full(5, 9.0, np.float32), rows.ravel(), np.full(LANES * LANES, 9.0, np.float32)]),
        5,
        stride,
    )


def fused_sums(init, a, b):
    """init + a @ b, each element summed in the order of k, one rounding a term (float64 holds a product exactly)."""
    c = np.broadcast_to(init, (a.shape[0], b.shape[1])).astype(np.float32)
    for k in range(a.shape[1]):
        c = (c.astype(np.float64) + np.outer(a[:, k].astype(np.float64), b[k].astype(np.float64))).astype(np.float32)
    return c


@given(
    n_rows=st.integers(1, 21),
    n_columns=st.integers(1, 70),
    n_k=st.integers(1, 19),
    seed=st.integers(0, 999),
    turned=st.booleans(),
    ending=st.sampled_from([AS_IT_IS, NOT_BELOW_ZERO, WHERE_POSITIVE]),
)
@settings(max_examples=60)
def test_matmul_sums_in_order_with_one_rounding_a_term(n_rows, n_columns, n_k, seed, turned, ending):
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(n_rows, n_k)).astype(np.float32)
    b = rng.normal(size=(n_k, n_columns)).astype(np.float32)
    bias = rng.normal(size=(1, n_columns)).astype(np.float32)
    a_flat, a_0, a_stride = flat(a.T if turned else a)
    b_flat, b_0, b_stride = flat(b)
    bias_flat, bias_0, _ = flat(bias)
    c_flat, c_0, c_stride = flat(np.zeros((n_rows, n_columns), np.float32))
    before = c_flat.copy()
    gate = rng.normal(size=(n_rows, n_columns)).astype(np.float32)
    gate_flat, _, _ = flat(gate)
    a_row, a_k = (1, a_stride) if turned else (a_stride, 1)
    product_of_arrays(
        a_flat, a_0, a_row, a_k, b_flat, b_0, b_stride, bias_flat, bias_0, c_flat, c_0, c_stride, gate_flat, ending,
        n_rows, c_stride, n_k,
    )  # fmt: skip
    c = c_flat[c_0 : c_0 + n_rows * c_stride].reshape(n_rows, c_stride)[:, :n_columns]
    # a double rounding of the oracle (sum in float64, then float32) differs from one rounding in rare ties only
    expected = fused_sums(bias, a, b)
    if ending == NOT_BELOW_ZERO:
        expected = np.maximum(expected, 0)
    elif ending == WHERE_POSITIVE:
        expected = np.where(gate > 0, expected, 0)
    np.testing.assert_allclose(c, expected, rtol=3e-7, atol=1e-7)
    outside = np.r_[0:c_0, c_0 + n_rows * c_stride : len(c_flat)]
    np.testing.assert_array_equal(c_flat[outside], before[outside])


@given(n_rows=st.integers(1, 50), n_columns=st.integers(1, 50))
@settings(max_examples=60)
def test_transpose(n_rows, n_columns):
    source = np.arange(n_rows * n_columns, dtype=np.float32).reshape(n_rows, n_columns) + 1
    source_flat, source_0, source_stride = flat(source)
    source_flat = np.concatenate([source_flat, np.zeros(LANES * source_stride, np.float32)])  # whole blocks are read
    stride = padded(n_rows)
    target = np.full(padded(n_columns) * stride, 9.0, dtype=np.float32)
    transpose(source_flat, source_0, source_stride, target, 0, stride, n_rows, n_columns)
    result = target.reshape(-1, stride)[:n_columns]
    np.testing.assert_array_equal(result[:, :n_rows], source.T)


def test_endings_keep_what_is_no_number_except_behind_a_closed_gate():
    size = LANES * LANES
    one, sums = np.ones(1, np.float32), np.full(LANES, np.nan, np.float32)
    sums[0] = -np.inf
    for ending, gate, expected in (
        (AS_IT_IS, 0.0, sums),
        (NOT_BELOW_ZERO, 0.0, np.r_[0.0, sums[1:]]),
        (WHERE_POSITIVE, 1.0, sums),
        (WHERE_POSITIVE, 0.0, np.zeros(LANES)),
        (WHERE_POSITIVE, np.nan, np.zeros(LANES)),
    ):
        found, gates = np.zeros(size, np.float32), np.full(size, gate, np.float32)
        product_of_arrays(one, 0, 1, 1, sums, 0, LANES, sums, 0, found, 0, LANES, gates, ending, 1, LANES, 1)
        np.testing.assert_array_equal(found[:LANES], expected)


@given(n_rows=st.integers(1, 40), n_columns=st.integers(1, 40), seed=st.integers(0, 999))
@settings(max_examples=30)
def test_rows_are_summed_in_order(n_rows, n_columns, seed):
    matrix = np.random.default_rng(seed).normal(size=(n_rows, n_columns)).astype(np.float32)
    source, source_0, stride = flat(matrix)
    sums = np.zeros(stride, np.float32)
    sums_of_array(source, source_0, stride, n_rows, sums)
    expected = np.zeros(n_columns, np.float32)
    for row in matrix:
        expected += row
    np.testing.assert_array_equal(sums[:n_columns], expected)
