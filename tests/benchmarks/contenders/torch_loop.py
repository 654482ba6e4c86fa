"""A plain loop over torch networks, as a tutorial would train them."""

import torch
from benchmarks.workload import LAYERS, RATE, make_job, rows_of_networks, unflatten
from torch import nn

FLAGS = {"default": {}, "for loop": {"foreach": False}, "foreach": {"foreach": True}, "fused": {"fused": True}}
"""Implementations of torch.optim.SGD."""


def prepare(n_networks, n_steps, n_threads, implementation):
    torch.set_num_threads(n_threads)
    job = make_job(n_networks, n_steps)
    x, y = torch.tensor(job.train_inputs), torch.tensor(job.train_targets).argmax(dim=1)
    rows = torch.tensor(rows_of_networks(job), dtype=torch.int64)
    start = [torch.tensor(array) for array in unflatten(job.start.parameters)]

    def train(network):
        linears = [nn.Linear(n_in, n_out) for n_in, n_out in LAYERS]
        with torch.no_grad():
            for linear, weights, biases in zip(linears, start[::2], start[1::2], strict=True):
                linear.weight.copy_(weights[network].T)
                linear.bias.copy_(biases[network, 0])
        model = nn.Sequential(linears[0], nn.ReLU(), linears[1], nn.ReLU(), linears[2])
        loss_function = nn.CrossEntropyLoss()
        optimizer = torch.optim.SGD(model.parameters(), lr=RATE, **FLAGS[implementation])
        for step in range(n_steps):
            batch = rows[step, network]
            optimizer.zero_grad()
            loss_function(model(x[batch]), y[batch]).backward()
            optimizer.step()
        return torch.cat([part.detach().flatten() for linear in linears for part in (linear.weight.T, linear.bias)])

    return lambda: torch.stack([train(network) for network in range(n_networks)]).numpy()
