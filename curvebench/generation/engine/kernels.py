"""The compiled training of one network: forward, backward, update, record, on flat arrays that stay in the cache.

Everything here is compiled by numba. Matrices are parts of flat float32 arrays with rows padded to whole vectors; what
stands in the padding is never read into a result. The last layer and the head of a network (output activation and loss)
have few outputs and work transposed: its weights stand as (n_outputs, n_inputs), its outputs as (n_outputs, n_rows), so
that their loops run over units and examples and not over padding. Sums are made in one fixed order.

Functions pass addresses, not arrays: numba counts references at every call that takes an array, and those atomic
additions, on counters that all threads share, would take as long as the products.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numba import float32, njit

from curvebench.generation.engine.float32_math import (
    exp,
    fma,
    gelu,
    gelu_slope,
    log,
    sigmoid,
    softplus,
    tanh,
)
from curvebench.generation.engine.microkernel import (
    AS_IT_IS,
    LANES,
    NOT_BELOW_ZERO,
    WHERE_POSITIVE,
    at,
    copy_vector,
    matmul,
    not_inlined,
    part_of_kernel,
    set_flushing,
    sum_rows,
    transpose,
)
from curvebench.spec import PROBABILITY_FLOOR

HIDDEN = ("relu", "tanh", "gelu", "sigmoid")
OUTPUT = ("identity", "sigmoid", "tanh", "relu", "softplus", "softmax", "hardtanh")
LOSS = ("squared_error", "cross_entropy_logits", "cross_entropy_probabilities")
TASK = ("regression", "binary", "multiclass")
OPTIMIZER = ("sgd", "momentum", "adam", "adamw", "rmsprop")
"""What these kernels know, in the order of the codes below; a test holds them to the names of the contract."""

RELU, TANH, GELU, SIGMOID = (np.int64(code) for code in range(len(HIDDEN)))
OUT_IDENTITY, OUT_SIGMOID, OUT_TANH, OUT_RELU, OUT_SOFTPLUS, OUT_SOFTMAX, OUT_HARDTANH = (
    np.int64(code) for code in range(len(OUTPUT))
)
SQUARED_ERROR, LOGITS, PROBABILITIES = (np.int64(code) for code in range(len(LOSS)))
REGRESSION, BINARY, MULTICLASS = (np.int64(code) for code in range(len(TASK)))
SGD, MOMENTUM, ADAM, ADAMW, RMSPROP = (np.int64(code) for code in range(len(OPTIMIZER)))

NONE, UNIT = np.int64(0), np.int64(1)
"""Offsets and strides 0 and 1 as plain integers: a literal would be compiled as a type of its own."""

ZERO, ONE, TWO = float32(0.0), float32(1.0), float32(2.0)
LEAST, MOST = float32(PROBABILITY_FLOOR), float32(1.0 - PROBABILITY_FLOOR)
SOFTPLUS_IS_LINEAR = float32(20.0)
"""From here on softplus is the identity, as in torch."""


class Net(NamedTuple):
    """A network as offsets into flat arrays; layer l leads from sizes[l] to sizes[l + 1] units.

    Its vectors are arrays where Python makes it and addresses inside the kernels.
    """

    n_layers: int
    sizes: Any  # (n_layers + 1,) int64
    pads: Any  # (n_layers + 1,) int64, sizes rounded up to whole vectors
    weights: Any  # (n_layers,) int64, where the weights of a layer begin in the padded parameters; the last transposed
    biases: Any  # (n_layers,) int64
    units: Any  # (n_layers,) int64, where the values of a layer begin in `Work.z` and `Work.h`; outputs have their own
    n_padded: int  # parameters, padded
    n_rows: int  # examples that `Work` has room for, whole vectors of them
    hidden: int
    output: int
    loss: int
    task: int
    optimizer: int


class Hyper(NamedTuple):
    """Constants of the optimiser, float32; corrections[k] are those of Adam's moments after k updates."""

    momentum: Any
    beta1: Any
    beta2: Any
    alpha: Any
    epsilon: Any
    weight_decay: Any
    corrections1: Any  # (n_steps + 1,) 1 - beta1**k
    corrections2: Any  # (n_steps + 1,) square root of 1 - beta2**k


class Data(NamedTuple):
    """Training and validation set, float32; inputs in rows padded to whole vectors."""

    x: Any
    y: Any
    x_val: Any
    y_val: Any
    order: Any  # 0, 1, 2, …, as far as the larger set; int32


class Set(NamedTuple):
    """One of them inside the kernels: addresses, and how many examples there are."""

    x: Any
    y: Any
    order: Any
    n_examples: int


class Plan(NamedTuple):
    """What every run does when; see `curvebench.spec.TrainingJob`."""

    first: int
    batches: Any
    seed_of_run: Any
    rates: Any
    record_steps: Any
    outcome_steps: Any
    checkpoint_steps: Any
    telemetry: bool


class Start(NamedTuple):
    """Where the runs begin; see `curvebench.spec.State`."""

    parameters: Any
    slots: Any


class Out(NamedTuple):
    """What the runs leave behind; see `curvebench.spec.Trajectories`."""

    train_loss: Any
    val_loss: Any
    grad_norm: Any
    outcome: Any
    val_outcome: Any
    is_dead: Any
    parameters: Any  # (n_runs, n_checkpoints, n_parameters)
    slots: Any  # (n_runs, n_checkpoints, n_slots, n_parameters)


class Work(NamedTuple):
    """Scratch memory of one thread, float32: arrays where Python makes it, addresses inside the kernels."""

    parameters: Any  # (n_padded,)
    gradient: Any  # (n_padded,)
    first: Any  # (n_padded,) the optimiser's slots
    second: Any  # (n_padded,)
    transposed: Any  # (largest pad ** 2,) weights of one layer, transposed
    z: Any  # values before activation; not those of ReLU, which products apply as they store
    h: Any  # values after activation; the inputs first
    delta: Any  # (n_rows * largest pad,) gradient by z of a layer
    other: Any  # (n_rows * largest pad,) and of its neighbour
    zeros: Any  # (largest pad,)
    columns: Any  # (last pad of a hidden layer, n_rows) what the last layer takes in, transposed
    output_z: Any  # (n_outputs, n_rows) the head: z, outputs, targets, predicted probabilities, gradients
    outputs: Any
    targets: Any
    probabilities: Any
    slopes: Any
    losses: Any  # (n_rows,) one number per example: loss, maximum, sum, product
    most: Any
    total: Any
    product: Any
    lanes: Any  # (LANES,) float64, running sums


@part_of_kernel
def _net_at(net: Net) -> Net:
    """The network with addresses in place of arrays."""
    return Net(
        net.n_layers,
        at(net.sizes, NONE), at(net.pads, NONE), at(net.weights, NONE), at(net.biases, NONE), at(net.units, NONE),
        net.n_padded, net.n_rows, net.hidden, net.output, net.loss, net.task, net.optimizer,
    )  # fmt: skip


@part_of_kernel
def _hyper_at(hyper: Hyper) -> Hyper:
    """The constants of the optimiser with addresses in place of arrays."""
    return Hyper(
        hyper.momentum, hyper.beta1, hyper.beta2, hyper.alpha, hyper.epsilon, hyper.weight_decay,
        at(hyper.corrections1, NONE), at(hyper.corrections2, NONE),
    )  # fmt: skip


@part_of_kernel
def _set_at(x: Any, y: Any, order: Any) -> Set:
    return Set(at(x, NONE), at(y, NONE), at(order, NONE), len(x))


@part_of_kernel
def _work_at(work: Work) -> Work:
    """Scratch memory as addresses."""
    return Work(
        at(work.parameters, NONE), at(work.gradient, NONE), at(work.first, NONE), at(work.second, NONE),
        at(work.transposed, NONE), at(work.z, NONE), at(work.h, NONE), at(work.delta, NONE), at(work.other, NONE),
        at(work.zeros, NONE), at(work.columns, NONE), at(work.output_z, NONE),
        at(work.outputs, NONE), at(work.targets, NONE), at(work.probabilities, NONE), at(work.slopes, NONE),
        at(work.losses, NONE), at(work.most, NONE), at(work.total, NONE), at(work.product, NONE), at(work.lanes, NONE),
    )  # fmt: skip


# ------------------------------------------------------------------------------------------- forward


@part_of_kernel
def _forward(net: Net, work: Work, n: int) -> None:
    """All layers for n examples whose inputs stand in `work.h`."""
    not_inlined()
    last, is_relu = net.n_layers - 1, net.hidden == RELU
    for layer in range(last):
        pad, source, target = net.pads[layer + 1], net.units[layer], net.units[layer + 1]
        z, h = at(work.z, target), at(work.h, target)
        matmul(
            at(work.h, source), net.pads[layer], UNIT,
            at(work.parameters, net.weights[layer]), pad,
            at(work.parameters, net.biases[layer]), NONE,
            h if is_relu else z, pad,
            z, NOT_BELOW_ZERO if is_relu else AS_IT_IS,
            n, pad, net.sizes[layer],
        )  # fmt: skip
        if not is_relu:
            _activate(net.hidden, z, h, n * pad)
    pad = net.pads[last]
    transpose(work.h, net.units[last], pad, work.columns, NONE, net.n_rows, n, pad)
    for c in range(net.sizes[net.n_layers]):
        z, bias = at(work.output_z, c * net.n_rows), work.parameters[net.biases[last] + c]
        for r in range(net.n_rows):
            z[r] = bias
    matmul(
        at(work.parameters, net.weights[last]), pad, UNIT,
        work.columns, net.n_rows,
        work.output_z, net.n_rows,
        work.output_z, net.n_rows,
        work.output_z, AS_IT_IS,
        net.sizes[net.n_layers], _in_vectors(n), net.sizes[last],
    )  # fmt: skip


@part_of_kernel
def _in_vectors(n: int) -> int:
    """N rounded up to whole vectors."""
    return (n + LANES - 1) // LANES * LANES


@part_of_kernel
def _activate(hidden: int, z: Any, h: Any, n: int) -> None:
    """Any activation but ReLU."""
    not_inlined()
    if hidden == TANH:
        for i in range(n):
            h[i] = tanh(z[i])
    elif hidden == GELU:
        for i in range(n):
            h[i] = gelu(z[i])
    else:
        for i in range(n):
            h[i] = sigmoid(z[i])


@part_of_kernel
def _times_slope(hidden: int, z: Any, h: Any, delta: Any, n: int) -> None:
    """Multiply a gradient by h into one by z, for any activation but ReLU."""
    not_inlined()
    if hidden == TANH:
        for i in range(n):
            delta[i] *= fma(-h[i], h[i], ONE)
    elif hidden == GELU:
        for i in range(n):
            delta[i] *= gelu_slope(z[i])
    else:
        for i in range(n):
            delta[i] *= h[i] * (ONE - h[i])


# ---------------------------------------------------------------------------------------------- head
# All of these work on (n_outputs, n_rows): column c of the head is the contiguous part [c * n_rows, c * n_rows + n).


@part_of_kernel
def _softmax(net: Net, z: Any, a: Any, work: Work, n: int) -> None:
    """A = softmax of z; leaves each example's maximum in `work.most` and sum of exponentials in `work.total`."""
    not_inlined()
    most, total = work.most, work.total
    n_outputs = net.sizes[net.n_layers]
    for r in range(n):
        most[r] = z[r]
        total[r] = ZERO
    for c in range(1, n_outputs):
        column = at(z, c * net.n_rows)
        for r in range(n):
            most[r] = most[r] if most[r] > column[r] else column[r]
    for c in range(n_outputs):
        column, out = at(z, c * net.n_rows), at(a, c * net.n_rows)
        for r in range(n):
            out[r] = exp(column[r] - most[r])
            total[r] += out[r]
    for c in range(n_outputs):
        out = at(a, c * net.n_rows)
        for r in range(n):
            out[r] = out[r] / total[r]


@part_of_kernel
def _outputs(net: Net, work: Work, n: int) -> None:
    """Output activation: z to outputs."""
    not_inlined()
    if net.output == OUT_SOFTMAX:
        _softmax(net, work.output_z, work.outputs, work, n)
        return
    for c in range(net.sizes[net.n_layers]):
        z = at(work.output_z, c * net.n_rows)
        a = at(work.outputs, c * net.n_rows)
        if net.output == OUT_IDENTITY:
            for r in range(n):
                a[r] = z[r]
        elif net.output == OUT_SIGMOID:
            for r in range(n):
                a[r] = sigmoid(z[r])
        elif net.output == OUT_TANH:
            for r in range(n):
                a[r] = tanh(z[r])
        elif net.output == OUT_RELU:
            for r in range(n):
                a[r] = z[r] if not (z[r] < ZERO) else ZERO
        elif net.output == OUT_HARDTANH:
            for r in range(n):
                above = z[r] if not (z[r] < -ONE) else -ONE
                a[r] = above if not (above > ONE) else ONE
        else:
            for r in range(n):
                a[r] = z[r] if z[r] > SOFTPLUS_IS_LINEAR else softplus(z[r])


@part_of_kernel
def _clipped(p: float, most: float) -> float:
    """P in [LEAST, most]; NaN stays."""
    p = LEAST if p < LEAST else p
    return most if p > most else p


@part_of_kernel
def _row_losses(net: Net, work: Work, n: int, loss: int, a: Any) -> None:
    """Each example's loss at predictions a into `work.losses`, for the targets."""
    not_inlined()
    n_outputs = net.sizes[net.n_layers]
    losses = work.losses
    for r in range(n):
        losses[r] = ZERO
    if loss == SQUARED_ERROR:
        for c in range(n_outputs):
            p, y = at(a, c * net.n_rows), at(work.targets, c * net.n_rows)
            for r in range(n):
                losses[r] += (p[r] - y[r]) * (p[r] - y[r])
        for r in range(n):
            losses[r] /= float32(n_outputs)
    elif net.task == BINARY:
        for c in range(n_outputs):
            p, y = at(a, c * net.n_rows), at(work.targets, c * net.n_rows)
            if loss == LOGITS:
                for r in range(n):
                    losses[r] += softplus(p[r]) - y[r] * p[r]
            else:
                for r in range(n):
                    q = _clipped(p[r], MOST)
                    losses[r] -= y[r] * log(q) + (ONE - y[r]) * log(ONE - q)
        for r in range(n):
            losses[r] /= float32(n_outputs)
    elif loss == LOGITS:
        _softmax(net, a, work.probabilities, work, n)
        product = work.product
        _products(net, work, a, product, n)
        most, total = work.most, work.total
        for r in range(n):
            losses[r] = log(total[r]) + (most[r] - product[r])
    else:
        total = work.total
        for r in range(n):
            total[r] = ZERO
        for c in range(n_outputs):
            p = at(a, c * net.n_rows)
            for r in range(n):
                total[r] += _clipped(p[r], ONE)
        for c in range(n_outputs):
            p, y = at(a, c * net.n_rows), at(work.targets, c * net.n_rows)
            for r in range(n):
                losses[r] -= y[r] * log(_clipped(p[r], ONE) / total[r])


@part_of_kernel
def _products(net: Net, work: Work, a: Any, product: Any, n: int) -> None:
    """Each example's sum of targets times a."""
    not_inlined()
    for r in range(n):
        product[r] = ZERO
    for c in range(net.sizes[net.n_layers]):
        p, y = at(a, c * net.n_rows), at(work.targets, c * net.n_rows)
        for r in range(n):
            product[r] = fma(y[r], p[r], product[r])


@part_of_kernel
def _output_gradient(net: Net, work: Work, n: int) -> None:
    """Gradient of the mean loss by the outputs into `work.slopes`; needs what `_row_losses` left behind."""
    not_inlined()
    n_outputs = net.sizes[net.n_layers]
    share = ONE / float32(n * n_outputs)
    if net.loss == SQUARED_ERROR or net.task == BINARY:
        for c in range(n_outputs):
            a = at(work.outputs, c * net.n_rows)
            y = at(work.targets, c * net.n_rows)
            g = at(work.slopes, c * net.n_rows)
            if net.loss == SQUARED_ERROR:
                for r in range(n):
                    g[r] = TWO * (a[r] - y[r]) * share
            elif net.loss == LOGITS:
                for r in range(n):
                    g[r] = (sigmoid(a[r]) - y[r]) * share
            else:
                for r in range(n):
                    q = _clipped(a[r], MOST)
                    slope = (ONE - y[r]) / (ONE - q) - y[r] / q
                    inside = (a[r] >= LEAST) and (a[r] <= MOST)
                    g[r] = slope * share if inside else (ZERO if a[r] == a[r] else a[r])
        return
    share = ONE / float32(n)
    total = work.total
    for c in range(n_outputs):
        a = at(work.outputs, c * net.n_rows)
        y = at(work.targets, c * net.n_rows)
        p = at(work.probabilities, c * net.n_rows)
        g = at(work.slopes, c * net.n_rows)
        if net.loss == LOGITS:
            for r in range(n):
                g[r] = (p[r] - y[r]) * share
        else:  # targets are one-hot: they sum to one
            for r in range(n):
                slope = ONE / total[r] - y[r] / _clipped(a[r], ONE)
                inside = (a[r] >= LEAST) and (a[r] <= ONE)
                g[r] = slope * share if inside else (ZERO if a[r] == a[r] else a[r])


@part_of_kernel
def _head_gradient(net: Net, work: Work, n: int) -> None:
    """Gradient by the head's z, from that by its outputs, both in `work.slopes`."""
    not_inlined()
    n_outputs = net.sizes[net.n_layers]
    product = work.product
    if net.output == OUT_SOFTMAX:
        for r in range(n):
            product[r] = ZERO
        for c in range(n_outputs):
            a = at(work.outputs, c * net.n_rows)
            g = at(work.slopes, c * net.n_rows)
            for r in range(n):
                product[r] = fma(g[r], a[r], product[r])
    for c in range(n_outputs):
        z = at(work.output_z, c * net.n_rows)
        a = at(work.outputs, c * net.n_rows)
        g = at(work.slopes, c * net.n_rows)
        if net.output == OUT_SIGMOID:
            for r in range(n):
                g[r] *= a[r] * (ONE - a[r])
        elif net.output == OUT_TANH:
            for r in range(n):
                g[r] *= fma(-a[r], a[r], ONE)
        elif net.output == OUT_RELU:
            for r in range(n):
                g[r] = g[r] if a[r] > ZERO else ZERO
        elif net.output == OUT_SOFTPLUS:
            for r in range(n):
                g[r] *= ONE if z[r] > SOFTPLUS_IS_LINEAR else sigmoid(z[r])
        elif net.output == OUT_HARDTANH:
            for r in range(n):
                g[r] = g[r] if (a[r] > -ONE) and (a[r] < ONE) else ZERO
        elif net.output == OUT_SOFTMAX:
            for r in range(n):
                g[r] = a[r] * (g[r] - product[r])


# ------------------------------------------------------------------------------------------ backward


@part_of_kernel
def _backward(net: Net, work: Work, n: int) -> None:
    """The gradient of the mean loss by all parameters, for the examples that went forward."""
    not_inlined()
    delta, other = work.delta, work.other
    _head_gradient(net, work, n)
    _backward_last(net, work, n, delta)
    for step in range(1, net.n_layers):
        layer = net.n_layers - 1 - step
        n_in, n_out = net.sizes[layer], net.sizes[layer + 1]
        pad_in, pad_out, units = net.pads[layer], net.pads[layer + 1], net.units[layer]
        matmul(
            at(work.h, units), UNIT, pad_in,
            delta, pad_out,
            work.zeros, NONE,
            at(work.gradient, net.weights[layer]), pad_out,
            delta, AS_IT_IS,
            n_in, pad_out, n,
        )  # fmt: skip
        for first in range(NONE, pad_out, LANES):
            sum_rows(at(delta, first), pad_out, n, at(work.gradient, net.biases[layer] + first))
        if layer > 0:
            transpose(work.parameters, net.weights[layer], pad_out, work.transposed, NONE, pad_in, n_in, n_out)
            matmul(
                delta, pad_out, UNIT,
                work.transposed, pad_in,
                work.zeros, NONE,
                other, pad_in,
                at(work.h, units), WHERE_POSITIVE if net.hidden == RELU else AS_IT_IS,
                n, pad_in, n_out,
            )  # fmt: skip
            if net.hidden != RELU:
                _times_slope(net.hidden, at(work.z, units), at(work.h, units), other, n * pad_in)
            delta, other = other, delta


@part_of_kernel
def _backward_last(net: Net, work: Work, n: int, delta: Any) -> None:
    """The gradient by the last layer's parameters, and by z of the layer before into `delta`."""
    not_inlined()
    last = net.n_layers - 1
    n_in, n_out, pad, units = net.sizes[last], net.sizes[net.n_layers], net.pads[last], net.units[last]
    matmul(
        work.slopes, net.n_rows, UNIT,
        at(work.h, units), pad,
        work.zeros, NONE,
        at(work.gradient, net.weights[last]), pad,
        work.zeros, AS_IT_IS,
        n_out, pad, n,
    )  # fmt: skip
    for c in range(n_out):
        for unit in range(n_in, pad):  # whose values are not zero where the activation of zero is not
            work.gradient[net.weights[last] + c * pad + unit] = ZERO
        slopes, total = at(work.slopes, c * net.n_rows), ZERO
        for r in range(n):
            total += slopes[r]
        work.gradient[net.biases[last] + c] = total
    if last > 0:
        matmul(
            work.slopes, UNIT, net.n_rows,
            at(work.parameters, net.weights[last]), pad,
            work.zeros, NONE,
            delta, pad,
            at(work.h, units), WHERE_POSITIVE if net.hidden == RELU else AS_IT_IS,
            n, pad, n_out,
        )  # fmt: skip
        if net.hidden != RELU:
            _times_slope(net.hidden, at(work.z, units), at(work.h, units), delta, n * pad)


# -------------------------------------------------------------------------------------------- update


@part_of_kernel
def _update(net: Net, hyper: Hyper, work: Work, rate: float, k: int) -> None:
    """One step of the optimiser; k counts updates from 1. The semantics are those of torch.optim."""
    not_inlined()
    p, g = work.parameters, work.gradient
    first, second = work.first, work.second
    if net.optimizer == SGD:
        for i in range(net.n_padded):
            p[i] = fma(-rate, g[i], p[i])
    elif net.optimizer == MOMENTUM:
        for i in range(net.n_padded):
            first[i] = fma(hyper.momentum, first[i], g[i])
            p[i] = fma(-rate, first[i], p[i])
    elif net.optimizer == RMSPROP:
        rest = ONE - hyper.alpha
        for i in range(net.n_padded):
            first[i] = fma(rest * g[i], g[i], hyper.alpha * first[i])
            p[i] -= (rate * g[i]) / (np.sqrt(first[i]) + hyper.epsilon)
    else:
        if net.optimizer == ADAMW:
            kept = ONE - rate * hyper.weight_decay
            for i in range(net.n_padded):
                p[i] *= kept
        rest1, rest2 = ONE - hyper.beta1, ONE - hyper.beta2
        step, root = rate / hyper.corrections1[k], hyper.corrections2[k]
        for i in range(net.n_padded):
            first[i] = fma(rest1, g[i] - first[i], first[i])
            second[i] = fma(rest2 * g[i], g[i], hyper.beta2 * second[i])
            p[i] -= (step * first[i]) / (np.sqrt(second[i]) / root + hyper.epsilon)


# ----------------------------------------------------------------------------- whole sets and records


@part_of_kernel
def _take(net: Net, work: Work, examples: Set, rows: Any, n: int) -> None:
    """Put n examples where `_forward` and the head look for them: those rows of a set."""
    not_inlined()
    pad, n_outputs = net.pads[0], net.sizes[net.n_layers]
    for r in range(n):
        source, target = at(examples.x, np.int64(rows[r]) * pad), at(work.h, r * pad)
        for first in range(NONE, pad, LANES):
            copy_vector(at(source, first), at(target, first))
    for c in range(n_outputs):
        labels, targets = at(examples.y, c), at(work.targets, c * net.n_rows)
        for r in range(n):
            targets[r] = labels[np.int64(rows[r]) * n_outputs]


@part_of_kernel
def _sum_of_row_losses(work: Work, n: int) -> float:
    total = 0.0
    for r in range(n):
        total += np.float64(work.losses[r])
    return total


@part_of_kernel
def _mean_loss(net: Net, work: Work, examples: Set) -> float:
    """The training loss on a whole set."""
    not_inlined()
    total = 0.0
    for first in range(NONE, examples.n_examples, net.n_rows):
        n = min(net.n_rows, examples.n_examples - first)
        _take(net, work, examples, at(examples.order, first), n)
        _forward(net, work, n)
        _outputs(net, work, n)
        _row_losses(net, work, n, net.loss, work.outputs)
        total += _sum_of_row_losses(work, n)
    return total / examples.n_examples


@part_of_kernel
def _add_objectives(net: Net, work: Work, examples: Set, sums: Any) -> None:
    """Add the objectives on a whole set, with predictions in target space, to sums (2,)."""
    not_inlined()
    squared = entropy = 0.0
    for first in range(NONE, examples.n_examples, net.n_rows):
        n = min(net.n_rows, examples.n_examples - first)
        _take(net, work, examples, at(examples.order, first), n)
        _forward(net, work, n)
        _outputs(net, work, n)
        predictions = work.outputs
        if net.loss == LOGITS:
            predictions = work.slopes
            if net.task == MULTICLASS:
                _softmax(net, work.outputs, predictions, work, n)
            else:
                for c in range(net.sizes[net.n_layers]):
                    for r in range(n):
                        predictions[c * net.n_rows + r] = sigmoid(work.outputs[c * net.n_rows + r])
        _row_losses(net, work, n, SQUARED_ERROR, predictions)
        squared += _sum_of_row_losses(work, n)
        if net.task != REGRESSION:
            _row_losses(net, work, n, PROBABILITIES, predictions)
            entropy += _sum_of_row_losses(work, n)
    sums[0] += squared / examples.n_examples
    sums[1] += entropy / examples.n_examples if net.task != REGRESSION else np.nan


@part_of_kernel
def _norm_of_gradient(net: Net, work: Work) -> float:
    """Euclidean norm; running sums of every 16th value in float64, added up in order."""
    not_inlined()
    sums = work.lanes
    for lane in range(LANES):
        sums[lane] = 0.0
    for first in range(NONE, net.n_padded, LANES):
        part = at(work.gradient, first)
        for lane in range(LANES):
            sums[lane] += np.float64(part[lane]) * np.float64(part[lane])
    total = 0.0
    for lane in range(LANES):
        total += sums[lane]
    return np.sqrt(total)


# --------------------------------------------------------------------------------- padded and unpadded


@part_of_kernel
def _pad(net: Net, flat: Any, padded: Any) -> None:
    """From the layout of the contract to rows of whole vectors; the padding becomes zero."""
    not_inlined()
    for i in range(net.n_padded):
        padded[i] = ZERO
    position = 0
    for layer in range(net.n_layers):
        row, column = _strides(net, layer)
        for i in range(net.sizes[layer]):
            for j in range(net.sizes[layer + 1]):
                padded[net.weights[layer] + i * row + j * column] = flat[position]
                position += 1
        for j in range(net.sizes[layer + 1]):
            padded[net.biases[layer] + j] = flat[position]
            position += 1


@part_of_kernel
def _unpad(net: Net, padded: Any, flat: Any) -> None:
    """The inverse of `_pad`."""
    not_inlined()
    position = 0
    for layer in range(net.n_layers):
        row, column = _strides(net, layer)
        for i in range(net.sizes[layer]):
            for j in range(net.sizes[layer + 1]):
                flat[position] = padded[net.weights[layer] + i * row + j * column]
                position += 1
        for j in range(net.sizes[layer + 1]):
            flat[position] = padded[net.biases[layer] + j]
            position += 1


@part_of_kernel
def _strides(net: Net, layer: int) -> tuple[Any, Any]:
    """How far apart the weights of neighbouring inputs and of neighbouring outputs of a layer are."""
    return (UNIT, net.pads[layer]) if layer == net.n_layers - 1 else (net.pads[layer + 1], UNIT)


# ---------------------------------------------------------------------------------------------- runs


@part_of_kernel
def _behind(plan: Plan) -> tuple[int, int, int]:
    """How many points, outcomes and checkpoints lie behind the start; point 0 is left to the first step."""
    not_inlined()
    point = outcome = checkpoint = 0
    while point < len(plan.record_steps) and plan.record_steps[point] <= plan.first:
        point += 1
    while outcome < len(plan.outcome_steps) and plan.outcome_steps[outcome] <= plan.first:
        outcome += 1
    while checkpoint < len(plan.checkpoint_steps) and plan.checkpoint_steps[checkpoint] < plan.first:
        checkpoint += 1
    return point, outcome, checkpoint


@part_of_kernel
def _keep(net: Net, start: Start, out: Out, work: Work, run: int, checkpoint: int) -> None:
    """Keep the state of a run."""
    not_inlined()
    _unpad(net, work.parameters, out.parameters[run, checkpoint])
    for slot in range(start.slots.shape[1]):
        _unpad(net, work.first if slot == 0 else work.second, out.slots[run, checkpoint, slot])


@part_of_kernel
def _repeat_last(out: Out, run: int, point: int) -> None:
    """From `point` on repeat what was recorded last."""
    not_inlined()
    for later in range(max(point, 1), out.train_loss.shape[1]):
        out.train_loss[run, later] = out.train_loss[run, later - 1]
        out.val_loss[run, later] = out.val_loss[run, later - 1]
        out.grad_norm[run, later] = out.grad_norm[run, later - 1]


def _compile_train_runs(source: int) -> Any:
    """Compile the training of runs.

    Args:
        source: a number that stands for the code of all modules that are compiled into it. numba's cache looks only
            at the file in which a function stands and at the variables that it closes over, of which this is one.
    """

    def train_runs(
        network: Net,
        constants: Hyper,
        data: Data,
        plan: Plan,
        start: Start,
        out: Out,
        scratch: Work,
        begin: int,
        end: int,
    ) -> int:
        """Train runs begin .. end - 1 of a job, one after the other."""
        control_word = set_flushing(np.int32(-1))
        net, hyper, work = _net_at(network), _hyper_at(constants), _work_at(scratch)
        train_set, val_set = _set_at(data.x, data.y, data.order), _set_at(data.x_val, data.y_val, data.order)
        n_steps, n_points = plan.rates.shape[1], len(plan.record_steps)
        n = np.int64(plan.batches.shape[2])
        for run in range(begin, end):
            batches = at(plan.batches, plan.seed_of_run[run] * plan.batches.shape[1] * n)
            _pad(net, start.parameters[run], work.parameters)
            for slot in range(start.slots.shape[1]):
                _pad(net, start.slots[run, slot], work.first if slot == 0 else work.second)
            point, outcome, checkpoint = _behind(plan)
            if checkpoint < len(plan.checkpoint_steps) and plan.checkpoint_steps[checkpoint] == plan.first:
                _keep(net, start, out, work, run, checkpoint)
                checkpoint += 1
            loss_sum, n_since, is_dead = 0.0, 0, False
            for step in range(plan.first, n_steps):
                _take(net, work, train_set, at(batches, step * n), n)
                _forward(net, work, n)
                _outputs(net, work, n)
                _row_losses(net, work, n, net.loss, work.outputs)
                loss = _sum_of_row_losses(work, n) / n
                _output_gradient(net, work, n)
                _backward(net, work, n)
                if step == 0 and n_points > 0 and plan.record_steps[0] == 0:
                    out.train_loss[run, 0] = loss
                    if plan.telemetry:
                        out.grad_norm[run, 0] = _norm_of_gradient(net, work)
                        out.val_loss[run, 0] = _mean_loss(net, work, val_set)
                _update(net, hyper, work, plan.rates[run, step], step + 1)
                loss_sum += loss
                n_since += 1
                is_dead = is_dead or not np.isfinite(loss)
                if checkpoint < len(plan.checkpoint_steps) and plan.checkpoint_steps[checkpoint] == step + 1:
                    _keep(net, start, out, work, run, checkpoint)
                    checkpoint += 1
                if outcome < len(plan.outcome_steps) and plan.outcome_steps[outcome] == step + 1:
                    _add_objectives(net, work, train_set, out.outcome[run])
                    _add_objectives(net, work, val_set, out.val_outcome[run])
                    outcome += 1
                if point < n_points and plan.record_steps[point] == step + 1:
                    out.train_loss[run, point] = loss_sum / n_since
                    if plan.telemetry:
                        out.grad_norm[run, point] = _norm_of_gradient(net, work)
                        out.val_loss[run, point] = _mean_loss(net, work, val_set)
                    loss_sum, n_since = 0.0, 0
                    point += 1
                    if is_dead:
                        break
            out.is_dead[run] = is_dead
            if is_dead:
                _repeat_last(out, run, point)
        set_flushing(control_word)
        return source

    try:
        return njit(train_runs, nogil=True, error_model="numpy", cache=True)
    except RuntimeError:  # numba finds no folder that it may write to
        return njit(train_runs, nogil=True, error_model="numpy")


def _hash_of_sources() -> int:
    """A number that changes with any of the compiled modules."""
    folder = Path(__file__).parent
    names = ("float32_math.py", "kernels.py", "microkernel.py")
    return zlib.crc32(b"".join((folder / name).read_bytes() for name in names))


train_runs = _compile_train_runs(_hash_of_sources())
