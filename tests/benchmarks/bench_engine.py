"""Network-steps per second of the stacked engine, beside a plain loop over torch networks and torch.func.vmap.

Run it with: python -m pytest tests/benchmarks/bench_engine.py

Workload: MLP 16-32-32-4, ReLU, cross entropy on logits, SGD, batch 32. Every contender runs as one single-threaded
process on each core, its best number of networks is taken, and the rounds are interleaved, because a shared
machine's speed drifts. Reported are ratios of medians.
"""

import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

from curvebench.generation.backends import available_cores

SIZES = (16, 32, 32, 4)
BATCH, N_EXAMPLES, RATE = 32, 512, 0.05
ROUNDS = 5
CONTENDERS = {
    # name -> (function, networks, steps): sized so that a round takes about a second
    "plain loop": [("plain_loop", 4, 500)],
    "torch.func.vmap": [("vmapped", 64, 200), ("vmapped", 256, 60), ("vmapped", 1024, 15)],
    "engine torch": [("stacked", 64, 300), ("stacked", 256, 100), ("stacked", 1024, 30)],
}


def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N_EXAMPLES, SIZES[0])).astype(np.float32)
    y = rng.integers(0, SIZES[-1], size=N_EXAMPLES)
    return x, y


def plain_loop(n_networks, n_steps):
    import torch
    from torch import nn

    x, y = (torch.as_tensor(part) for part in data())
    start = time.perf_counter()
    for network in range(n_networks):
        torch.manual_seed(network)
        parts = []
        for n_in, n_out in zip(SIZES, SIZES[1:], strict=False):
            parts += [nn.Linear(n_in, n_out), nn.ReLU()]
        model, loss_function = nn.Sequential(*parts[:-1]), nn.CrossEntropyLoss()
        optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
        for _ in range(n_steps):
            rows = torch.randint(0, N_EXAMPLES, (BATCH,))
            optimizer.zero_grad()
            loss_function(model(x[rows]), y[rows]).backward()
            optimizer.step()
    return n_networks * n_steps / (time.perf_counter() - start)


def vmapped(n_networks, n_steps):
    import torch
    from torch.func import grad, vmap

    x, y = (torch.as_tensor(part) for part in data())
    parameters = []
    for n_in, n_out in zip(SIZES, SIZES[1:], strict=False):
        parameters += [torch.randn(n_networks, n_in, n_out) * n_in**-0.5, torch.zeros(n_networks, n_out)]

    def loss(weights, inputs, targets):
        for layer in range(0, len(weights), 2):
            inputs = inputs @ weights[layer] + weights[layer + 1]
            if layer < len(weights) - 2:
                inputs = torch.relu(inputs)
        return torch.nn.functional.cross_entropy(inputs, targets)

    gradient = vmap(grad(loss))
    start = time.perf_counter()
    for _ in range(n_steps):
        rows = torch.randint(0, N_EXAMPLES, (n_networks, BATCH))
        gradients = gradient(parameters, x[rows], y[rows])
        for parameter, step in zip(parameters, gradients, strict=True):
            parameter.sub_(step, alpha=RATE)
    return n_networks * n_steps / (time.perf_counter() - start)


def stacked(n_networks, n_steps):
    from curvebench.generation.engine import make_engine
    from curvebench.generation.networks import initial_parameters, initial_state
    from curvebench.spec import Network, Optimizer, Output, TrainingJob

    x, y = data()
    targets = np.eye(SIZES[-1], dtype=np.float32)[y]
    network = Network(SIZES[0], SIZES[-1], depth=2, width=32, activation="relu")
    seeds = 4
    initial = np.stack([initial_parameters(network, 0, 0, seed) for seed in range(seeds)])
    job = TrainingJob(
        network=network,
        task="multiclass",
        output=Output("identity", "cross_entropy_logits"),
        optimizer=Optimizer("sgd"),
        train_inputs=x,
        train_targets=targets,
        val_inputs=x[:64],
        val_targets=targets[:64],
        batches=np.random.default_rng(1).integers(0, N_EXAMPLES, size=(seeds, n_steps, BATCH)),
        seed_of_run=np.arange(n_networks) % seeds,
        rates=np.full((n_networks, n_steps), RATE, dtype=np.float32),
        start=initial_state(initial[np.arange(n_networks) % seeds], 0),
        record_steps=np.array([0, n_steps]),
        outcome_steps=np.array([n_steps]),
        telemetry=False,
    )
    engine = make_engine("torch")
    start = time.perf_counter()
    engine.train(job)
    return n_networks * n_steps / (time.perf_counter() - start)


def _run(name, n_networks, n_steps):
    import torch

    torch.set_num_threads(1)
    return globals()[name](n_networks, n_steps)


@pytest.fixture(scope="module")
def pool():
    with ProcessPoolExecutor(available_cores(), mp_context=get_context("spawn")) as workers:
        yield workers


def rate_on_all_cores(pool, work):
    """Network-steps per second of one process on each core, added up."""
    futures = [pool.submit(_run, *work) for _ in range(available_cores())]
    return sum(future.result() for future in futures)


@pytest.mark.timeout(600)
def test_engine_beside_plain_loop_and_vmap(pool, benchmark, capsys):
    for works in CONTENDERS.values():  # warm up
        rate_on_all_cores(pool, (works[0][0], 4, 5))
    rates = {(name, work): [] for name, works in CONTENDERS.items() for work in works}
    for _ in range(ROUNDS):
        for name, work in rates:
            rates[name, work].append(rate_on_all_cores(pool, work))
    best = {
        name: max((statistics.median(rates[name, work]), work[1]) for work in works)
        for name, works in CONTENDERS.items()
    }
    benchmark.pedantic(rate_on_all_cores, args=(pool, CONTENDERS["engine torch"][1]), rounds=ROUNDS)
    plain = best["plain loop"][0]
    with capsys.disabled():
        print(f"\n{available_cores()} cores, one single-threaded process on each, median of {ROUNDS} rounds")  # noqa: T201
        for name, (rate, n_networks) in best.items():
            print(f"{name:18s} {rate:12,.0f} network-steps/s {rate / plain:6.1f} x plain loop, {n_networks} networks")  # noqa: T201
    benchmark.extra_info.update({name: rate for name, (rate, _) in best.items()})
    assert best["engine torch"][0] >= 10 * plain
