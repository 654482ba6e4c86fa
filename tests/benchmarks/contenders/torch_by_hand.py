"""Stacked networks in torch with the gradients written by hand, in place, optionally compiled."""

import torch
from benchmarks.workload import RATE, flatten, make_job, rows_of_networks, unflatten


def update(weights, biases, inputs, targets):
    """One step of SGD on cross entropy; weights (n, n_in, n_out), biases (n, 1, n_out), inputs (n, batch, n_in)."""
    values, last = [inputs], len(weights) - 1
    for layer in range(last):
        values.append(torch.baddbmm(biases[layer], values[layer], weights[layer]).relu_())
    logits = torch.baddbmm(biases[last], values[last], weights[last])
    delta = torch.softmax(logits, dim=-1).sub_(targets).mul_(1 / inputs.shape[1])
    for layer in reversed(range(len(weights))):
        value, here = values[layer], delta
        if layer > 0:
            delta = torch.bmm(here, weights[layer].mT).mul_(value > 0)
        weights[layer].baddbmm_(value.mT, here, alpha=-RATE)
        biases[layer].sub_(here.sum(dim=1, keepdim=True), alpha=RATE)


@torch.no_grad()
def prepare(n_networks, n_steps, n_threads, compiled):
    torch.set_num_threads(n_threads)
    job = make_job(n_networks, n_steps)
    x, y = torch.tensor(job.train_inputs), torch.tensor(job.train_targets)
    rows = torch.tensor(rows_of_networks(job), dtype=torch.int64)
    start = unflatten(job.start.parameters)
    step = torch.compile(update, dynamic=False) if compiled else update

    @torch.no_grad()
    def run():
        parameters = [torch.tensor(array) for array in start]
        for batch in rows:
            step(parameters[::2], parameters[1::2], x[batch], y[batch])
        return flatten(parameters)

    return run
