"""Products and transposes on parts of flat arrays, against loops that add in the same order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("numba")

from curvebench.generation.engine.microkernel import LANES, matmul, padded, transpose


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
    n_k=st.integers(0, 19),
    seed=st.integers(0, 999),
    turned=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_matmul_sums_in_order_with_one_rounding_a_term(n_rows, n_columns, n_k, seed, turned):
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(n_rows, n_k)).astype(np.float32)
    b = rng.normal(size=(n_k, n_columns)).astype(np.float32)
    bias = rng.normal(size=(1, n_columns)).astype(np.float32)
    a_flat, a_0, a_stride = flat(a.T if turned else a)
    b_flat, b_0, b_stride = flat(b)
    bias_flat, bias_0, _ = flat(bias)
    c_flat, c_0, c_stride = flat(np.zeros((n_rows, n_columns), np.float32))
    before = c_flat.copy()
    a_row, a_k = (1, a_stride) if turned else (a_stride, 1)
    matmul(
        a_flat, a_0, a_row, a_k, b_flat, b_0, b_stride, bias_flat, bias_0, 0, c_flat, c_0, c_stride,
        n_rows, c_stride, n_k,
    )  # fmt: skip
    c = c_flat[c_0 : c_0 + n_rows * c_stride].reshape(n_rows, c_stride)[:, :n_columns]
    # a double rounding of the oracle (sum in float64, then float32) differs from one rounding in rare ties only
    np.testing.assert_allclose(c, fused_sums(bias, a, b), rtol=3e-7, atol=1e-7)
    outside = np.r_[0:c_0, c_0 + n_rows * c_stride : len(c_flat)]
    np.testing.assert_array_equal(c_flat[outside], before[outside])


@given(n_rows=st.integers(1, 50), n_columns=st.integers(1, 50))
@settings(max_examples=60, deadline=None)
def test_transpose(n_rows, n_columns):
    source = np.arange(n_rows * n_columns, dtype=np.float32).reshape(n_rows, n_columns) + 1
    source_flat, source_0, source_stride = flat(source)
    source_flat = np.concatenate([source_flat, np.zeros(LANES * source_stride, np.float32)])  # whole blocks are read
    stride = padded(n_rows)
    target = np.full(padded(n_columns) * stride, 9.0, dtype=np.float32)
    transpose(source_flat, source_0, source_stride, target, 0, stride, n_rows, n_columns)
    result = target.reshape(-1, stride)[:n_columns]
    np.testing.assert_array_equal(result[:, :n_rows], source.T)
