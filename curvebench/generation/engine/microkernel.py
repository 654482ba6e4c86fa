"""The inner product of everything: a block of a matrix product held in registers, as LLVM vectors of 16 floats.

C[i, j] = init[i, j] + sum over k of A[i, k] * B[k, j], summed in the order of k by fused multiply-adds. Every element
is summed in the same order whatever the block it falls into and however wide the machine's vectors are, so that the
result has the same bits on every machine. Matrices are parts of flat float32 arrays; A is read with any two strides,
which makes it transposed for free.
"""

from __future__ import annotations

import platform
from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import njit, types
from numba.core import cgutils, config
from numba.extending import intrinsic

LANES = 16
"""Floats in a vector: one AVX-512 register, two of AVX2, four of SSE or NEON. Output widths are padded to it."""

_FLOAT = ir.FloatType()
_VECTOR = ir.VectorType(_FLOAT, LANES)
_FLOATS = types.CPointer(types.float32)

part_of_kernel = njit(nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)
"""Decorates what only compiled functions call: without entries for Python and C it is compiled faster."""


def padded(width: int) -> int:
    """The width rounded up to whole vectors.

    >>> padded(1), padded(16), padded(17)
    (16, 16, 32)
    """
    return -(-width // LANES) * LANES


@intrinsic
def at(typing_context: Any, place: Any, offset: Any) -> Any:
    """The address of an element of an array in C order, counted in elements, or so many elements after an address."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        base = arguments[0]
        if isinstance(place, types.Array):
            base = context.make_array(place)(context, builder, base).data
        return builder.gep(base, [arguments[1]])

    return types.CPointer(place.dtype)(place, types.intp), generate


@intrinsic
def not_inlined(typing_context: Any) -> Any:
    """Keep LLVM from copying the function that calls this into its callers, which takes long and gains nothing."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.function.attributes.add("noinline")
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def inlined(typing_context: Any) -> Any:
    """Make LLVM copy the function that calls this into its callers: small products are not slowed down by calls."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.function.attributes.add("alwaysinline")
        return context.get_dummy_value()

    return types.void(), generate


_CONTROL_WORD_FLUSHES = 0x8040
"""Bits of x86's MXCSR: denormal results become zero, denormal inputs count as zero."""


@intrinsic
def set_flushing(typing_context: Any, control_word: Any) -> Any:
    """Set this thread's floating-point control word, or with -1 let denormals be zero; returns the one before.

    Decaying runs fill up with denormals, and each costs a hundred normal numbers. On other processors than x86-64
    nothing is set and 0 is returned.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word = ir.IntType(32)
        if not _IS_X86:
            return ir.Constant(word, 0)
        pointer = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [pointer])
        read = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse.stmxcsr")
        write = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse.ldmxcsr")
        place = cgutils.alloca_once(builder, word)
        builder.call(read, [builder.bitcast(place, pointer)])
        before = builder.load(place)
        flushing = builder.or_(before, ir.Constant(word, _CONTROL_WORD_FLUSHES))
        is_default = builder.icmp_signed("==", arguments[0], ir.Constant(word, -1))
        builder.store(builder.select(is_default, flushing, arguments[0]), place)
        builder.call(write, [builder.bitcast(place, pointer)])
        return before

    return types.int32(types.int32), generate


_IS_X86 = platform.machine().lower() in ("x86_64", "amd64")


AS_IT_IS, NOT_BELOW_ZERO, WHERE_POSITIVE = (np.int64(code) for code in range(3))
"""What becomes of a sum when it is stored: nothing; zero if it is below; zero unless the gate is positive there."""


def _make_block(n_rows: int, n_vectors: int) -> Any:
    """An intrinsic for a block of n_rows x (n_vectors * LANES), with its accumulators in registers over the k loop."""

    @intrinsic
    def block(
        typing_context: Any,
        a: Any,
        a_row: Any,
        a_k: Any,
        b: Any,
        b_row: Any,
        init: Any,
        init_row: Any,
        c: Any,
        c_row: Any,
        gate: Any,
        ending: Any,
        n_k: Any,
    ) -> Any:
        size = types.intp
        signature = types.void(_FLOATS, size, size, _FLOATS, size, _FLOATS, size, _FLOATS, size, _FLOATS, size, size)
        return signature, lambda context, builder, _, arguments: _generate(
            context, builder, arguments, n_rows, n_vectors
        )

    return block


def _generate(context: Any, builder: Any, arguments: Any, n_rows: int, n_vectors: int) -> Any:
    """Emit the block: load the accumulators, loop over k, store them as the ending says."""
    a, a_row, a_k, b, b_row, init, init_row, c, c_row, gate, ending, n_k = arguments
    places = [(row, vector) for row in range(n_rows) for vector in range(n_vectors)]

    def number(value: int) -> Any:
        return ir.Constant(a_row.type, value)

    def pointer(base: Any, row_stride: Any, row: int, vector: int) -> Any:
        offset = builder.add(builder.mul(row_stride, number(row)), number(vector * LANES))
        return builder.bitcast(builder.gep(base, [offset]), _VECTOR.as_pointer())

    fma = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(_VECTOR, [_VECTOR] * 3), f"llvm.fma.v{LANES}f32"
    )
    starts = [builder.load(pointer(init, init_row, *place), align=4) for place in places]
    a_offsets = [builder.mul(a_row, number(row)) for row in range(n_rows)]
    before = builder.block
    loop, after = builder.append_basic_block("k.loop"), builder.append_basic_block("k.end")
    builder.branch(loop)

    builder.position_at_end(loop)
    k, a_here, b_here, *sums = (_phi(builder, value, before) for value in (number(0), a, b, *starts))
    columns = [builder.load(pointer(b_here, b_row, 0, vector), align=4) for vector in range(n_vectors)]
    factors = [_broadcast(builder, builder.load(builder.gep(a_here, [offset]))) for offset in a_offsets]
    added = [
        builder.call(fma, [factors[row], columns[vector], total])
        for (row, vector), total in zip(places, sums, strict=True)
    ]
    following = (builder.add(k, number(1)), builder.gep(a_here, [a_k]), builder.gep(b_here, [b_row]), *added)
    for phi, value in zip((k, a_here, b_here, *sums), following, strict=True):
        phi.add_incoming(value, loop)
    builder.cbranch(builder.icmp_signed("<", following[0], n_k), loop, after)

    builder.position_at_end(after)
    zero = ir.Constant(_VECTOR, [0.0] * LANES)
    done = builder.append_basic_block("done")
    choice = builder.switch(ending, done)
    for code, end in _ENDINGS.items():
        store = builder.append_basic_block("store")
        choice.add_case(number(int(code)), store)
        builder.position_at_end(store)
        for place, total in zip(places, added, strict=True):
            value = end(builder, total, zero, pointer(gate, c_row, *place))
            builder.store(value, pointer(c, c_row, *place), align=4)
        builder.branch(done)
    builder.position_at_end(done)
    return context.get_dummy_value()


def _as_it_is(builder: Any, value: Any, zero: Any, gate: Any) -> Any:
    return value


def _not_below_zero(builder: Any, value: Any, zero: Any, gate: Any) -> Any:
    return builder.select(builder.fcmp_ordered("<", value, zero), zero, value)


def _where_positive(builder: Any, value: Any, zero: Any, gate: Any) -> Any:
    return builder.select(builder.fcmp_ordered(">", builder.load(gate, align=4), zero), value, zero)


_ENDINGS = {AS_IT_IS: _as_it_is, NOT_BELOW_ZERO: _not_below_zero, WHERE_POSITIVE: _where_positive}


def _phi(builder: Any, value: Any, block: Any) -> Any:
    phi = builder.phi(value.type)
    phi.add_incoming(value, block)
    return phi


def _broadcast(builder: Any, value: Any) -> Any:
    """A vector with the same float in every lane."""
    undefined = ir.Constant(_VECTOR, ir.Undefined)
    first = builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))


@intrinsic
def _transpose_block(typing_context: Any, source: Any, source_row: Any, target: Any, target_row: Any) -> Any:
    """target[j, i] = source[i, j] for a block of LANES x LANES."""
    signature = types.void(_FLOATS, types.intp, _FLOATS, types.intp)
    return signature, lambda context, builder, _, arguments: _generate_transpose(context, builder, arguments)


def _generate_transpose(context: Any, builder: Any, arguments: Any) -> Any:
    """log2(LANES) rounds, each of which exchanges halves of pieces of half the size between two vectors."""
    source, source_row, target, target_row = arguments

    def pointer(base: Any, stride: Any, row: int) -> Any:
        offset = builder.mul(stride, ir.Constant(stride.type, row))
        return builder.bitcast(builder.gep(base, [offset]), _VECTOR.as_pointer())

    rows = [builder.load(pointer(source, source_row, row), align=4) for row in range(LANES)]
    half = LANES // 2
    while half:
        exchanged = list(rows)
        for row in range(LANES):
            if row & half:
                continue
            upper, lower = rows[row], rows[row + half]
            kept = [lane if not lane & half else LANES + lane - half for lane in range(LANES)]
            moved = [lane + half if not lane & half else LANES + lane for lane in range(LANES)]
            exchanged[row] = _shuffle(builder, upper, lower, kept)
            exchanged[row + half] = _shuffle(builder, upper, lower, moved)
        rows = exchanged
        half //= 2
    for row, vector in enumerate(rows):
        builder.store(vector, pointer(target, target_row, row), align=4)
    return context.get_dummy_value()


@intrinsic
def copy_vector(typing_context: Any, source: Any, target: Any) -> Any:
    """Copy `LANES` floats from one address to another."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, target = (builder.bitcast(address, _VECTOR.as_pointer()) for address in arguments)
        builder.store(builder.load(source, align=4), target, align=4)
        return context.get_dummy_value()

    return types.void(_FLOATS, _FLOATS), generate


@intrinsic
def sum_rows(typing_context: Any, source: Any, source_row: Any, n_rows: Any, target: Any) -> Any:
    """`LANES` sums of the columns of a matrix, each in the order of its rows, of which there is at least one."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, source_row, n_rows, target = arguments
        before, loop, after = builder.block, builder.append_basic_block("rows"), builder.append_basic_block("rows.end")
        builder.branch(loop)
        builder.position_at_end(loop)
        starts = ir.Constant(n_rows.type, 0), source, ir.Constant(_VECTOR, [0.0] * LANES)
        row, here, total = (_phi(builder, value, before) for value in starts)
        added = builder.fadd(total, builder.load(builder.bitcast(here, _VECTOR.as_pointer()), align=4))
        following = builder.add(row, ir.Constant(row.type, 1)), builder.gep(here, [source_row]), added
        for phi, value in zip((row, here, total), following, strict=True):
            phi.add_incoming(value, loop)
        builder.cbranch(builder.icmp_signed("<", following[0], n_rows), loop, after)
        builder.position_at_end(after)
        builder.store(added, builder.bitcast(target, _VECTOR.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(_FLOATS, types.intp, types.intp, _FLOATS), generate


def _shuffle(builder: Any, first: Any, second: Any, lanes: list[int]) -> Any:
    return builder.shuffle_vector(first, second, ir.Constant(ir.VectorType(ir.IntType(32), LANES), lanes))


@njit(nogil=True, error_model="numpy")
def transpose(
    source: Any,
    source_0: int,
    source_row: int,
    target: Any,
    target_0: int,
    target_row: int,
    n_rows: int,
    n_columns: int,
) -> None:
    """Target = source transposed, on parts of flat float32 arrays, in whole blocks of `LANES` x `LANES`.

    Both have room for their rows rounded up to `LANES`; what stands in the padding of one comes to stand in that of the
    other.

    Args:
        source: (n_rows, n_columns), rows padded to `LANES`.
        source_0: where it begins.
        source_row: distance of its rows.
        target: (n_columns, n_rows), rows padded to `LANES`.
        target_0: where it begins.
        target_row: distance of its rows.
        n_rows: rows of the source.
        n_columns: columns of the source.
    """
    not_inlined()
    for i in range(0, n_rows, LANES):
        for j in range(0, n_columns, LANES):
            _transpose_block(
                at(source, source_0 + i * source_row + j),
                source_row,
                at(target, target_0 + j * target_row + i),
                target_row,
            )


def _has_wide_registers() -> bool:
    """Whether the compilation target has the 32 registers of 16 floats that the largest block needs."""
    if config.CPU_FEATURES is not None:
        return "+avx512f" in str(config.CPU_FEATURES)
    if config.CPU_NAME is not None:
        return False
    return bool(binding.get_host_cpu_features().get("avx512f", False))


WIDE = _has_wide_registers()
"""Blocks of 8 x 32 where they fit into registers, else of 4 x 16; the sums are the same."""


_FIRST: Any = np.int64(0)
"""The first row or column; a literal would be compiled as a type of its own."""


def _make_strip(n_rows: int, n_vectors: int) -> Any:
    """A function that computes blocks of n_rows x (n_vectors * LANES), one below the other, while there are rows."""
    block = _make_block(n_rows, n_vectors)
    height: Any = np.int64(n_rows)

    @part_of_kernel
    def strip(
        a: Any, a_row: int, a_k: int,
        b: Any, b_row: int,
        init: Any, init_row: int,
        c: Any, c_row: int,
        gate: Any, ending: int,
        n_k: int, row: int, end: int,
    ) -> int:  # fmt: skip
        not_inlined()
        while row + height <= end:
            block(
                at(a, row * a_row), a_row, a_k,
                b, b_row,
                at(init, row * init_row), init_row,
                at(c, row * c_row), c_row,
                at(gate, row * c_row), ending,
                n_k,
            )  # fmt: skip
            row += height
        return row

    return strip


def _make_panel(n_vectors: int) -> Any:
    """A function that computes n_vectors * LANES columns: blocks as high as fit, then lower ones."""
    eights, fours, ones = (_make_strip(n_rows, n_vectors) for n_rows in (8, 4, 1))

    @part_of_kernel
    def panel(
        a: Any, a_row: int, a_k: int,
        b: Any, b_row: int,
        init: Any, init_row: int,
        c: Any, c_row: int,
        gate: Any, ending: int,
        n_k: int, n_rows: int,
    ) -> None:  # fmt: skip
        inlined()
        row = _FIRST
        if WIDE and n_rows >= 8:
            row = eights(a, a_row, a_k, b, b_row, init, init_row, c, c_row, gate, ending, n_k, row, n_rows)
        if n_rows - row >= 4:
            row = fours(a, a_row, a_k, b, b_row, init, init_row, c, c_row, gate, ending, n_k, row, n_rows)
        if n_rows > row:
            ones(a, a_row, a_k, b, b_row, init, init_row, c, c_row, gate, ending, n_k, row, n_rows)

    return panel


_panel_2, _panel_1 = _make_panel(2), _make_panel(1)


@part_of_kernel
def matmul(
    a: Any, a_row: int, a_k: int,
    b: Any, b_row: int,
    init: Any, init_row: int,
    c: Any, c_row: int,
    gate: Any, ending: int,
    n_rows: int, n_columns: int, n_k: int,
) -> None:  # fmt: skip
    """C = ending of (init + A B) on parts of flat float32 arrays, given by address; `x_row` is the distance of rows.

    Args:
        a: A; its element (i, k) stands at a + i * a_row + k * a_k.
        b: B, (n_k, n_columns).
        init: what the sums start from; a stride of 0 repeats one row.
        c: C, (n_rows, n_columns).
        gate: what `WHERE_POSITIVE` looks at, laid out like C; any address otherwise.
        ending: what becomes of a sum when it is stored.
        n_rows: rows of C.
        n_columns: columns of C, a multiple of `LANES`.
        n_k: terms of each sum, at least one.
    """
    inlined()
    column = _FIRST
    while column < n_columns:
        b_here, init_here, c_here, gate_here = at(b, column), at(init, column), at(c, column), at(gate, column)
        if WIDE and n_columns - column >= 2 * LANES:
            _panel_2(a, a_row, a_k, b_here, b_row, init_here, init_row, c_here, c_row, gate_here, ending, n_k, n_rows)
            column += 2 * LANES
        else:
            _panel_1(a, a_row, a_k, b_here, b_row, init_here, init_row, c_here, c_row, gate_here, ending, n_k, n_rows)
            column += LANES
