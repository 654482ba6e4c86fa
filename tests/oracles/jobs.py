"""Small training jobs for tests of engines."""

import numpy as np

from curvebench.generation.moments import outcome_steps, record_steps
from curvebench.generation.networks import initial_parameters, initial_state
from curvebench.generation.schedules import schedule_shape
from curvebench.spec import ModuleNetwork, Network, Optimizer, Output, TrainingJob

N_STEPS = 24
CURVES = ("train_loss", "val_loss", "grad_norm", "outcome", "val_outcome")


def make_job(
    task="multiclass",
    output=None,
    optimizer="sgd",
    activation="relu",
    schedule="constant",
    rates=(0.01, 0.1),
    depth=2,
    width=6,
    gain=1.0,
    seed=0,
    n_steps=N_STEPS,
    checkpoints=(),
    module=None,
    layers=(),
):
    """An MLP on 4 inputs, or a module on 16: an image of 4 x 4, or a sequence of 4 steps."""
    rng = np.random.default_rng(seed)
    n_inputs, n_outputs = 16 if module else 4, {"regression": 2, "binary": 1, "multiclass": 3}[task]
    shape = (n_inputs, n_outputs, depth, width, activation, gain)
    network = ModuleNetwork(module, *shape, layers) if module else Network(*shape)
    output = output or Output("identity", "squared_error" if task == "regression" else "cross_entropy_logits")

    def data(n):
        x = rng.normal(size=(n, n_inputs))
        if task == "regression":
            return x, np.stack([np.sin(x[:, 0]), x[:, 1] * x[:, 2]], axis=1)
        if task == "binary":
            return x, (x[:, :1] + 0.3 * rng.normal(size=(n, 1)) > 0).astype(float)
        return x, np.eye(3)[np.argmax(x[:, :3] + 0.3 * rng.normal(size=(n, 3)), axis=1)]

    train, val = data(40), data(12)
    n_seeds = 2
    batches = rng.integers(0, 40, size=(n_seeds, n_steps, 5))
    runs = [(rate, s) for rate in rates for s in range(n_seeds)]
    shape = schedule_shape(schedule, n_steps, decay=30.0, warmup=0.2)
    initial = np.stack([initial_parameters(network, seed, 0, s) for _, s in runs]).astype(np.float64)
    return TrainingJob(
        network=network,
        task=task,
        output=output,
        optimizer=Optimizer(optimizer),
        train_inputs=train[0],
        train_targets=train[1],
        val_inputs=val[0],
        val_targets=val[1],
        batches=batches,
        seed_of_run=np.array([s for _, s in runs]),
        rates=np.array([rate * shape for rate, _ in runs]),
        start=initial_state(initial, Optimizer(optimizer).n_slots),
        record_steps=record_steps(n_steps, 9),
        outcome_steps=outcome_steps(n_steps),
        checkpoint_steps=checkpoints,
    )
