"""What every contender trains: many small networks on one problem, with the same weights and mini-batches for all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from curvebench.spec import Network, Optimizer, Output, State, TrainingJob

N_EXAMPLES, N_SEEDS, RATE = 512, 4, 0.05


@dataclass(frozen=True)
class Shape:
    """A network, its batch size and its optimiser; the defaults are the workload on which contenders are compared."""

    depth: int = 2
    width: int = 32
    batch: int = 32
    optimizer: str = "sgd"
    n_inputs: int = 16
    n_outputs: int = 4

    def __str__(self) -> str:
        sizes = "-".join(str(size) for size in self.network.sizes)
        return f"MLP {sizes}, batch {self.batch}, {self.optimizer}"

    @property
    def network(self) -> Network:
        return Network(self.n_inputs, self.n_outputs, self.depth, self.width, "relu")

    @property
    def flops(self) -> int:
        """Useful floating point operations of one step of one network, those of its matrix products.

        Forward, gradients of the weights, and gradients of the inputs of all layers but the first.

        >>> Shape().flops
        286720
        """
        products = [n_in * n_out for n_in, n_out in zip(self.network.sizes, self.network.sizes[1:], strict=False)]
        return 2 * self.batch * (2 * sum(products) + sum(products[1:]))


WORKLOAD = Shape()
LAYERS = tuple(zip(WORKLOAD.network.sizes, WORKLOAD.network.sizes[1:], strict=False))
"""(n_in, n_out) of each layer of the workload."""


def make_job(n_networks: int, n_steps: int, shape: Shape = WORKLOAD) -> TrainingJob:
    """Networks to train: weights of their own, mini-batches by paired seed; only the final state is kept."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N_EXAMPLES, shape.n_inputs)).astype(np.float32)
    y = np.eye(shape.n_outputs, dtype=np.float32)[rng.integers(0, shape.n_outputs, size=N_EXAMPLES)]
    optimizer = Optimizer(shape.optimizer)
    parameters = (0.2 * rng.normal(size=(n_networks, shape.network.n_parameters))).astype(np.float32)
    slots = np.zeros((n_networks, optimizer.n_slots, shape.network.n_parameters), np.float32)
    return TrainingJob(
        network=shape.network,
        task="multiclass",
        output=Output("identity", "cross_entropy_logits"),
        optimizer=optimizer,
        train_inputs=x,
        train_targets=y,
        val_inputs=x[:1],
        val_targets=y[:1],
        batches=rng.integers(0, N_EXAMPLES, size=(N_SEEDS, n_steps, shape.batch), dtype=np.int32),
        seed_of_run=np.arange(n_networks) % N_SEEDS,
        rates=np.full((n_networks, n_steps), RATE if shape.optimizer == "sgd" else RATE / 10, dtype=np.float32),
        start=State(parameters, slots, 0),
        record_steps=np.array([0, n_steps], dtype=np.int32),
        outcome_steps=np.array([], dtype=np.int32),
        checkpoint_steps=(n_steps,),
        telemetry=False,
    )


def rows_of_networks(job: TrainingJob) -> np.ndarray:
    """(n_steps, n_networks, batch) rows of the training set that each network sees at each step."""
    return np.ascontiguousarray(job.batches[job.seed_of_run].swapaxes(0, 1))


def unflatten(parameters: np.ndarray) -> list[np.ndarray]:
    """Weights (n, n_in, n_out) and biases (n, 1, n_out) of every layer in turn, copied from (n, n_parameters)."""
    arrays, position = [], 0
    for n_in, n_out in LAYERS:
        for n_rows in (n_in, 1):
            part = parameters[:, position : position + n_rows * n_out]
            arrays.append(part.reshape(-1, n_rows, n_out).copy())
            position += n_rows * n_out
    return arrays


def flatten(arrays: list[np.ndarray]) -> np.ndarray:
    """The inverse of `unflatten`."""
    return np.concatenate([np.asarray(array).reshape(len(array), -1) for array in arrays], axis=1)
