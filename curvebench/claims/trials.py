"""The machinery of experiments: problems with paired seeds, and grids of runs that differ in their rates only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from curvebench.generation.moments import outcome_steps, record_steps
from curvebench.generation.networks import initial_parameters, initial_state
from curvebench.generation.portable_math import power10_of
from curvebench.generation.problems import Problem, constant_loss, make_problem
from curvebench.generation.random_streams import stream
from curvebench.generation.schedules import schedule_shape
from curvebench.spec import (
    OBJECTIVE_OF_LOSS,
    OBJECTIVES,
    Engine,
    Float,
    Int,
    Network,
    Optimizer,
    Output,
    TrainingJob,
)

MASTER_SEED = 4711
"""Of all random streams here. No published recipe has it, so that no problem instance is one of theirs."""

FAMILIES: tuple[str, ...] = (
    "teacher",
    "gaussian_mixture",
    "friedman1",
    "digits",
    "moons",
    "counts",
    "compass",
    "teacher_classes",
    "unit_teacher",
    "spirals",
    "sine",
    "breast_cancer",
    "diabetes",
    "wine",
)
"""One instance of each is a problem of the experiments; a small effort takes the first few."""

CLASS_FAMILIES: tuple[str, ...] = ("teacher_classes", "gaussian_mixture", "digits", "spirals", "wine")
"""Several classes, one of which is right; experiments about classes take instances of these in turn."""

N_TRAIN, N_VAL = 256, 256
"""Examples for training and validation; a real data set that is smaller gives what it has."""

DEPTH, WIDTH = 2, 16
ACTIVATIONS = ("relu", "tanh")
"""Hidden layers, units in each, and their activations, which problems take in turn."""


@dataclass(frozen=True)
class Effort:
    """How much is trained.

    Attributes:
        name: as on the command line.
        n_problems: problem instances, over which intervals are drawn.
        n_seeds: paired seeds of each.
        n_updates: updates of a training.
        rates_per_decade: density of every grid of learning rates.
        recipe: shipped recipe from which the remedies' groups are taken.
        n_groups: number of these groups.
    """

    name: str
    n_problems: int
    n_seeds: int
    n_updates: int
    rates_per_decade: int
    recipe: str
    n_groups: int


EFFORTS: Mapping[str, Effort] = {
    "full": Effort("full", 28, 3, 640, 3, "core", 64),
    "small": Effort("small", 4, 2, 64, 1, "quick", 4),
}


@dataclass(frozen=True)
class Trial:
    """What runs share that are compared: a problem, a network and, for each paired seed, first weights and batches.

    Attributes:
        problem: its data.
        network: its shape.
        output: output activation and loss.
        initial: (n_seeds, n_parameters) float32 first weights.
        batches: (n_seeds, n_updates, batch_size) rows of the training set.
    """

    problem: Problem
    network: Network
    output: Output
    initial: Float
    batches: Int

    @property
    def n_updates(self) -> int:
        """Updates of a training."""
        return int(self.batches.shape[1])

    @property
    def n_seeds(self) -> int:
        """Paired seeds."""
        return len(self.initial)

    @property
    def objective(self) -> int:
        """Index into `OBJECTIVES` of the loss."""
        return OBJECTIVES.index(OBJECTIVE_OF_LOSS[self.output.loss])

    @property
    def cap(self) -> float:
        """Objective of the best constant prediction."""
        return constant_loss(self.problem.train_targets, self.problem.task, OBJECTIVES[self.objective])


@dataclass(frozen=True)
class Runs:
    """What a grid of runs left behind; losses are shares of the loss of the best constant prediction.

    Attributes:
        train_loss: (n_rates, n_seeds, n_points) mean mini-batch loss since the last point; inf where not finite.
        val_loss: (n_rates, n_seeds, n_points), the same of the validation set.
        final: (n_rates, n_seeds) training objective at the end; inf where not finite.
        final_val: (n_rates, n_seeds), the same of the validation set.
        parameters: (n_rates, n_seeds, n_parameters) after the last update; NaN where the run died.
    """

    train_loss: Float
    val_loss: Float
    final: Float
    final_val: Float
    parameters: Float

    @property
    def capped(self) -> Float:
        """`final`, at most 1: no run is worse than one that learned nothing."""
        return np.asarray(np.minimum(self.final, 1.0))


# ------------------------------------------------------------------------------------------ problems


def problem_of(position: int, families: Sequence[str] = FAMILIES) -> Problem:
    """The problem of an experiment at a position: the first instance of each family in turn, then the second, ..."""
    index, family = divmod(position, len(families))
    return make_problem(families[family], index, MASTER_SEED, N_TRAIN, N_VAL)


def make_trial(
    problem: Problem,
    position: int,
    effort: Effort,
    *,
    batch_size: int = 8,
    output: Output | None = None,
    activation: str | None = None,
    depth: int = DEPTH,
) -> Trial:
    """Everything that a grid of runs shares.

    Args:
        problem: to train on.
        position: number of the problem in its experiment; keys the random streams.
        effort: gives the number of seeds and updates.
        batch_size: examples of an update.
        output: in place of the one that fits the targets.
        activation: of the hidden layers; by default those of `ACTIVATIONS` in turn.
        depth: hidden layers.
    """
    n_train, n_inputs = problem.train_inputs.shape
    network = Network(
        n_inputs,
        problem.train_targets.shape[1],
        depth,
        WIDTH,
        activation or ACTIVATIONS[position % len(ACTIVATIONS)],
    )
    seeds = range(effort.n_seeds)
    return Trial(
        problem=problem,
        network=network,
        output=output or Output(problem.fitting_output, problem.fitting_loss),
        initial=np.stack([initial_parameters(network, MASTER_SEED, position, seed) for seed in seeds]),
        batches=np.stack([_batches(position, seed, n_train, effort.n_updates, batch_size) for seed in seeds]),
    )


def _batches(position: int, seed: int, n_train: int, n_updates: int, batch_size: int) -> Int:
    """(n_updates, batch_size): every epoch a new permutation; examples left over are dropped."""
    size = min(batch_size, n_train)
    per_epoch = n_train // size
    orders = stream(MASTER_SEED, "claims", "batches", position, seed).permutations(n_train, -(-n_updates // per_epoch))
    return orders[:, : per_epoch * size].reshape(-1, size)[:n_updates].astype(np.int32)


# -------------------------------------------------------------------------------------------- rates


def rate_grid(lowest: int, highest: int, per_decade: int) -> Float:
    """Learning rates from 10**lowest to 10**highest: `per_decade` in every decade, half a step from its ends.

    >>> rate_grid(-2, 0, 2).round(4).tolist()
    [0.0178, 0.0562, 0.1778, 0.5623]
    """
    steps = np.arange((highest - lowest) * per_decade) + 0.5
    return np.array([power10_of(lowest + step / per_decade) for step in steps])


def scheduled(rates: Float, n_updates: int, shape: str = "constant", decay: float = 1.0) -> Float:
    """The rate of every update, (n_rates, n_updates): a schedule's shape times each base rate."""
    return rates[:, None] * schedule_shape(shape, n_updates, decay)


# ------------------------------------------------------------------------------------------ training


def train(
    trial: Trial,
    optimizer: str,
    rates: Float,
    engine: Engine,
    *,
    n_points: int = 2,
    start: Float | None = None,
) -> Runs:
    """Train a run for every row of rates and every seed.

    Args:
        trial: what the runs share.
        optimizer: one of `curvebench.spec.OPTIMIZERS`, with its default constants.
        rates: (n_rates, n_updates) learning rate of every update.
        engine: trains them.
        n_points: of the curves, the first before any update.
        start: (n_seeds, n_parameters) or (n_rates, n_seeds, n_parameters) weights to begin with in place of the
            trial's first ones.
    """
    n_rates, n_seeds, n_updates = len(rates), trial.n_seeds, trial.n_updates
    made = Optimizer(optimizer)
    first = trial.initial if start is None else start
    first_of_runs = np.broadcast_to(first, (n_rates, n_seeds, first.shape[-1])).reshape(n_rates * n_seeds, -1)
    job = TrainingJob(
        network=trial.network,
        task=trial.problem.task,
        output=trial.output,
        optimizer=made,
        train_inputs=trial.problem.train_inputs,
        train_targets=trial.problem.train_targets,
        val_inputs=trial.problem.val_inputs,
        val_targets=trial.problem.val_targets,
        batches=trial.batches,
        seed_of_run=np.tile(np.arange(n_seeds), n_rates),
        rates=np.repeat(rates, n_seeds, axis=0).astype(np.float32),
        start=initial_state(first_of_runs, made.n_slots),
        record_steps=record_steps(n_updates, n_points),
        outcome_steps=outcome_steps(n_updates),
        checkpoint_steps=(n_updates,),
        telemetry=n_points > 2,
    )
    done = engine.train(job)

    def shaped(values: Float) -> Float:
        return values.reshape(n_rates, n_seeds, *values.shape[1:])

    def share(losses: Float) -> Float:
        return np.where(np.isfinite(losses), losses, np.inf) / trial.cap

    return Runs(
        train_loss=share(shaped(done.train_loss)),
        val_loss=share(shaped(done.val_loss)),
        final=share(shaped(done.outcome[:, trial.objective])),
        final_val=share(shaped(done.val_outcome[:, trial.objective])),
        parameters=shaped(done.checkpoints[n_updates].parameters),
    )


# ---------------------------------------------------------------------- what one update of SGD can tell

HUGE_RATE = 2.0**60
"""So large that weights before an update vanish beside it: after it, only the gradient is left to all its digits."""


def evaluate(trial: Trial, parameters: Float, engine: Engine) -> Float:
    """Training objective of networks as a share of that of the best constant: one update at rate zero changes nothing.

    Args:
        trial: problem and output.
        parameters: (n_rates, n_seeds, n_parameters).
        engine: evaluates them.

    Returns:
        (n_rates, n_seeds); inf where not finite.
    """
    nothing = np.zeros((len(parameters), 1))
    return train(_one_update(trial), "sgd", nothing, engine, start=parameters).final


def gradient(trial: Trial, parameters: Float, engine: Engine) -> Float:
    """Gradient of the loss on the first batch: what one update of SGD takes off the weights, over its rate.

    Args:
        trial: problem, output and batches.
        parameters: (n_seeds, n_parameters) float32.
        engine: makes the update.

    Returns:
        (n_seeds, n_parameters) float64.
    """
    after = train(_one_update(trial), "sgd", np.full((1, 1), HUGE_RATE), engine, start=parameters).parameters[0]
    return np.asarray((parameters.astype(np.float64) - after) / HUGE_RATE)


def _one_update(trial: Trial) -> Trial:
    return replace(trial, batches=trial.batches[:, :1])
