"""JAX: vmap over networks, lax.scan over steps, all of it in one jit with donated buffers."""

import jax
import jax.numpy as jnp
from benchmarks.workload import RATE, flatten, make_job, rows_of_networks, unflatten


def loss(parameters, inputs, targets):
    for layer in range(0, len(parameters), 2):
        inputs = inputs @ parameters[layer] + parameters[layer + 1]
        if layer < len(parameters) - 2:
            inputs = jax.nn.relu(inputs)
    return -(targets * jax.nn.log_softmax(inputs)).sum(axis=-1).mean()


def update(parameters, inputs, targets):
    gradients = jax.grad(loss)(parameters, inputs, targets)
    return [parameter - RATE * gradient for parameter, gradient in zip(parameters, gradients, strict=True)]


def prepare(n_networks, n_steps, n_threads):
    """The number of threads follows from XLA_FLAGS and from the cores that the process may use."""
    job = make_job(n_networks, n_steps)
    x, y = jnp.asarray(job.train_inputs), jnp.asarray(job.train_targets)
    rows = jnp.asarray(rows_of_networks(job))
    start = unflatten(job.start.parameters)

    def scan(parameters, rows):
        def step(parameters, batch):
            return jax.vmap(update)(parameters, x[batch], y[batch]), None

        return jax.lax.scan(step, parameters, rows)[0]

    train = jax.jit(scan, donate_argnums=0)
    return lambda: flatten(train([jnp.array(array) for array in start], rows))
