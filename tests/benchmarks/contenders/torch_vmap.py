"""torch.func: vmap of grad over stacked networks, optionally compiled."""

import torch
from benchmarks.workload import RATE, flatten, make_job, rows_of_networks, unflatten
from torch.func import grad, vmap
from torch.nn.functional import cross_entropy


def loss(parameters, inputs, targets):
    for layer in range(0, len(parameters), 2):
        inputs = inputs @ parameters[layer] + parameters[layer + 1]
        if layer < len(parameters) - 2:
            inputs = torch.relu(inputs)
    return cross_entropy(inputs, targets)


def update(parameters, inputs, targets):
    gradients = vmap(grad(loss))(parameters, inputs, targets)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.sub_(gradient, alpha=RATE)


def prepare(n_networks, n_steps, n_threads, compiled):
    torch.set_num_threads(n_threads)
    job = make_job(n_networks, n_steps)
    x, y = torch.tensor(job.train_inputs), torch.tensor(job.train_targets)
    rows = torch.tensor(rows_of_networks(job), dtype=torch.int64)
    start = unflatten(job.start.parameters)
    step = torch.compile(update, dynamic=False) if compiled else update

    def run():
        parameters = [torch.tensor(array) for array in start]
        for batch in rows:
            step(parameters, x[batch], y[batch])
        return flatten(parameters)

    return run
