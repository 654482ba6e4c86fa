"""numba: the loops that one would write down, vectorised by the compiler as far as it can."""

import numpy as np
from benchmarks.workload import LAYERS, RATE, WORKLOAD, flatten, make_job, rows_of_networks, unflatten
from numba import njit

(N_INPUTS, WIDTH), (_, _), (_, N_OUTPUTS) = LAYERS
BATCH = WORKLOAD.batch
compiled = njit(nogil=True, fastmath=True, error_model="numpy")


@compiled
def add_product(a, b, c):
    """C += A B."""
    for i in range(a.shape[0]):
        for k in range(a.shape[1]):
            for j in range(b.shape[1]):
                c[i, j] += a[i, k] * b[k, j]


@compiled
def subtract_gradient(value, delta, weights, biases):
    """W -= rate * value^T delta, b -= rate * sum of delta."""
    for r in range(value.shape[0]):
        for i in range(value.shape[1]):
            for j in range(delta.shape[1]):
                weights[i, j] -= np.float32(RATE) * value[r, i] * delta[r, j]
        for j in range(delta.shape[1]):
            biases[0, j] -= np.float32(RATE) * delta[r, j]


@compiled
def layer(x, weights, biases, z):
    for r in range(z.shape[0]):
        for j in range(z.shape[1]):
            z[r, j] = biases[0, j]
    add_product(x, weights, z)


@compiled
def relu(z):
    for r in range(z.shape[0]):
        for j in range(z.shape[1]):
            z[r, j] = max(z[r, j], np.float32(0))


@compiled
def back_through(delta, weights, value, below):
    """The gradient by the value below a layer, through its ReLU."""
    transposed = np.ascontiguousarray(weights.T)
    below[:] = 0
    add_product(delta, transposed, below)
    for r in range(below.shape[0]):
        for j in range(below.shape[1]):
            if value[r, j] <= 0:
                below[r, j] = 0


@compiled
def softmax_minus_targets(z, targets):
    """The gradient of the mean cross entropy by the logits, in place."""
    for r in range(z.shape[0]):
        highest = z[r].max()
        total = np.float32(0)
        for j in range(z.shape[1]):
            z[r, j] = np.exp(z[r, j] - highest)
            total += z[r, j]
        for j in range(z.shape[1]):
            z[r, j] = (z[r, j] / total - targets[r, j]) / np.float32(z.shape[0])


@compiled
def train(x, y, rows, w1, b1, w2, b2, w3, b3):
    """All networks one after the other, in place; rows (n_steps, n_networks, batch)."""
    inputs, targets = np.empty((BATCH, N_INPUTS), np.float32), np.empty((BATCH, N_OUTPUTS), np.float32)
    h1, h2, z = np.empty((BATCH, WIDTH), np.float32), np.empty((BATCH, WIDTH), np.float32), np.empty_like(targets)
    d1, d2 = np.empty_like(h1), np.empty_like(h2)
    for n in range(rows.shape[1]):
        for step in range(rows.shape[0]):
            for r in range(BATCH):
                inputs[r] = x[rows[step, n, r]]
                targets[r] = y[rows[step, n, r]]
            layer(inputs, w1[n], b1[n], h1)
            relu(h1)
            layer(h1, w2[n], b2[n], h2)
            relu(h2)
            layer(h2, w3[n], b3[n], z)
            softmax_minus_targets(z, targets)
            back_through(z, w3[n], h2, d2)
            subtract_gradient(h2, z, w3[n], b3[n])
            back_through(d2, w2[n], h1, d1)
            subtract_gradient(h1, d2, w2[n], b2[n])
            subtract_gradient(inputs, d1, w1[n], b1[n])


def prepare(n_networks, n_steps, n_threads):
    job = make_job(n_networks, n_steps)
    x, y, rows = np.array(job.train_inputs), np.array(job.train_targets), rows_of_networks(job)
    start = unflatten(job.start.parameters)

    def run():
        parameters = [array.copy() for array in start]
        train(x, y, rows, *parameters)
        return flatten(parameters)

    return run
