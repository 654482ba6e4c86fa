"""The engine `torch`: many networks at once as stacked parameters, gradients by autograd, on any device.

It is the reference: short, and free of tricks. Dead runs leave the stack, so that they slow nobody down. An MLP and a
module of `modules.py` differ in their forward pass and in nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from curvebench.generation.engine.modules import HIDDEN, make_stackable, stack
from curvebench.spec import (
    OBJECTIVES,
    PROBABILITY_FLOOR,
    Float,
    Int,
    ModuleNetwork,
    Network,
    Optimizer,
    State,
    TrainingJob,
    Trajectories,
    UsageError,
)

STACK = 256
"""Networks trained side by side. Fixed, so that how runs are grouped follows from the job and not from the machine."""

EVALUATION_ROWS = 128
"""Examples evaluated at once on whole sets; bounds memory."""

DEAD_SHARE = 1 / 8
"""Share of dead runs at which the stack is made smaller."""

OUTPUT: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda z: z,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": F.relu,
    "softplus": F.softplus,
    "softmax": lambda z: torch.softmax(z, dim=-1),
    "hardtanh": F.hardtanh,
}


# -------------------------------------------------------------------------------------------- losses


def squared_error(predictions: Tensor, targets: Tensor, task: str) -> Tensor:
    """Mean over examples and outputs; predictions (n, rows, n_outputs) -> (n,)."""
    return (predictions - targets).square().mean(dim=(1, 2))


def cross_entropy_probabilities(predictions: Tensor, targets: Tensor, task: str) -> Tensor:
    """Cross entropy of clipped probabilities; of several classes they are scaled to sum to one, as Keras does."""
    if task == "binary":
        p = predictions.clamp(PROBABILITY_FLOOR, 1.0 - PROBABILITY_FLOOR)
        return -(targets * p.log() + (1.0 - targets) * (1.0 - p).log()).mean(dim=(1, 2))
    p = predictions.clamp(PROBABILITY_FLOOR, 1.0)
    p = p / p.sum(dim=-1, keepdim=True)
    return -(targets * p.log()).sum(dim=-1).mean(dim=-1)


def cross_entropy_logits(predictions: Tensor, targets: Tensor, task: str) -> Tensor:
    """Cross entropy of the sigmoid (binary) or softmax (multiclass) of the predictions."""
    if task == "binary":
        return (F.softplus(predictions) - targets * predictions).mean(dim=(1, 2))
    return -(targets * torch.log_softmax(predictions, dim=-1)).sum(dim=-1).mean(dim=-1)


Loss = Callable[[Tensor, Tensor, str], Tensor]

LOSS: dict[str, Loss] = {
    "squared_error": squared_error,
    "cross_entropy_logits": cross_entropy_logits,
    "cross_entropy_probabilities": cross_entropy_probabilities,
}
OBJECTIVE: dict[str, Loss] = {"squared_error": squared_error, "cross_entropy": cross_entropy_probabilities}


def in_target_space(outputs: Tensor, loss: str, task: str) -> Tensor:
    """Predictions as probabilities where the targets are classes: what the loss takes for logits is squashed."""
    if loss != "cross_entropy_logits":
        return outputs
    return torch.sigmoid(outputs) if task == "binary" else torch.softmax(outputs, dim=-1)


# ------------------------------------------------------------------------------------------ networks


@dataclass(frozen=True)
class Forward:
    """How stacked networks of one kind compute, and where their parameters lie in a flat row.

    Attributes:
        shapes: of the leaves of one network, in the order of `State.parameters`.
        logits: leaves (n, *shape) and inputs (n, rows, n_inputs) to (n, rows, n_outputs), before the output activation.
    """

    shapes: Sequence[tuple[int, ...]]
    logits: Callable[[list[Tensor], Tensor], Tensor]

    def leaves(self, parameters: Tensor) -> list[Tensor]:
        """Leaves that share memory with flat parameters (n, n_parameters)."""
        leaves, position = [], 0
        for shape in self.shapes:
            size = math.prod(shape)
            block = parameters[:, position : position + size].view(len(parameters), *shape)
            leaves.append(block.detach().requires_grad_())
            position += size
        return leaves


def forward_of_mlp(network: Network) -> Forward:
    """Layer by layer: weights (n_in, n_out) and biases (1, n_out)."""
    hidden = HIDDEN[network.activation]

    def logits(leaves: list[Tensor], x: Tensor) -> Tensor:
        for position in range(0, len(leaves) - 2, 2):
            x = hidden(torch.baddbmm(leaves[position + 1], x, leaves[position]))
        return torch.baddbmm(leaves[-1], x, leaves[-2])

    sizes = zip(network.sizes, network.sizes[1:], strict=False)
    return Forward([shape for n_in, n_out in sizes for shape in ((n_in, n_out), (1, n_out))], logits)


def forward_of_module(network: ModuleNetwork, device: torch.device, dtype: torch.dtype) -> Forward:
    """A module's parameters in its own order; torch.func runs its code for all networks at once."""
    module = make_stackable(network).to(device=device, dtype=dtype)
    return Forward([tuple(parameter.shape) for parameter in module.parameters()], stack(module))


# ----------------------------------------------------------------------------------------- optimisers
# In place on flat parameters p (n, P) and slots s (n, n_slots, P); rate (n, 1); k counts updates from 1.


def _sgd(p: Tensor, s: Tensor, g: Tensor, rate: Tensor, k: int, o: Optimizer) -> None:
    p.addcmul_(g, rate, value=-1)


def _momentum(p: Tensor, s: Tensor, g: Tensor, rate: Tensor, k: int, o: Optimizer) -> None:
    s[:, 0].mul_(o.momentum).add_(g)
    p.addcmul_(s[:, 0], rate, value=-1)


def _adam(p: Tensor, s: Tensor, g: Tensor, rate: Tensor, k: int, o: Optimizer) -> None:
    s[:, 0].lerp_(g, 1.0 - o.beta1)
    s[:, 1].mul_(o.beta2).addcmul_(g, g, value=1.0 - o.beta2)
    denominator = s[:, 1].sqrt().div_((1.0 - o.beta2**k) ** 0.5).add_(o.epsilon)
    p.addcdiv_(s[:, 0] * (rate / (1.0 - o.beta1**k)), denominator, value=-1)


def _adamw(p: Tensor, s: Tensor, g: Tensor, rate: Tensor, k: int, o: Optimizer) -> None:
    p.mul_(1.0 - rate * o.weight_decay)
    _adam(p, s, g, rate, k, o)


def _rmsprop(p: Tensor, s: Tensor, g: Tensor, rate: Tensor, k: int, o: Optimizer) -> None:
    s[:, 0].mul_(o.alpha).addcmul_(g, g, value=1.0 - o.alpha)
    p.addcdiv_(g * rate, s[:, 0].sqrt().add_(o.epsilon), value=-1)


UPDATE: dict[str, Callable[[Tensor, Tensor, Tensor, Tensor, int, Optimizer], None]] = {
    "sgd": _sgd,
    "momentum": _momentum,
    "adam": _adam,
    "adamw": _adamw,
    "rmsprop": _rmsprop,
}


# -------------------------------------------------------------------------------------------- engine


class TorchEngine:
    """Trains stacks of networks in torch; see `curvebench.spec.Engine`."""

    name = "torch"

    def __init__(self, device: str = "cpu", dtype: torch.dtype = torch.float32):
        """Take a device of torch ("cpu", "cuda") and the type to compute in.

        Raises:
            UsageError: torch does not know or does not see the device.
        """
        if device.startswith("cuda") and not torch.cuda.is_available():
            raise UsageError(f"The device {device!r} was asked for, but torch sees no GPU; use --device cpu.")
        try:
            torch.zeros(1, device=device).item()
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            reason = " ".join(str(error).split("\n")[0].split()).rstrip(".")
            raise UsageError(f"The device {device!r} cannot be used ({reason}); use --device cpu.") from None
        self.device, self.dtype = torch.device(device), dtype

    def prepare(self, say: Callable[[str], None]) -> None:
        """Nothing to do: torch comes compiled."""

    def forward_of(self, network: Network | ModuleNetwork) -> Forward:
        """The forward pass of a kind of network on this engine's device.

        Raises:
            UsageError: a module cannot be made or stacked.
        """
        if isinstance(network, Network):
            return forward_of_mlp(network)
        return forward_of_module(network, self.device, self.dtype)

    def train(self, job: TrainingJob) -> Trajectories:
        """Train every run of the job, `STACK` at a time."""
        with _one_thread_without_denormals():
            parts = [
                _Stack(self, job, np.arange(first, min(first + STACK, job.n_runs))).train()
                for first in range(0, job.n_runs, STACK)
            ]
        return _concatenate(parts)


@contextmanager
def _one_thread_without_denormals() -> Iterator[None]:
    """One thread for each worker; denormals, which decaying runs fill up with and which cost 100 x, become zero."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(threads)


class _Stack:
    """Up to `STACK` runs of a job, from the job's start to the end of training."""

    def __init__(self, engine: TorchEngine, job: TrainingJob, runs: Int):
        self.job, self.dtype, self.device = job, engine.dtype, engine.device
        self.forward = engine.forward_of(job.network)
        n, n_points = len(runs), len(job.record_steps)
        # what the living need; shrinks when the dead leave
        self.rows = torch.arange(n, device=self.device)  # where the living stand in the record
        self.parameters = self._tensor(job.start.parameters[runs])
        self.slots = self._tensor(job.start.slots[runs])
        self.rates = self._tensor(job.rates[runs])
        self.seeds = torch.tensor(job.seed_of_run[runs], dtype=torch.int64, device=self.device)
        self.loss_sum = torch.zeros(n, dtype=torch.float64, device=self.device)
        self.is_dead = torch.zeros(n, dtype=torch.bool, device=self.device)
        self.n_since_point = 0
        # what all share
        self.batches = torch.tensor(job.batches, dtype=torch.int64, device=self.device)
        self.train_set = self._tensor(job.train_inputs), self._tensor(job.train_targets)
        self.val_set = self._tensor(job.val_inputs), self._tensor(job.val_targets)
        # the record
        self.train_loss, self.val_loss, self.grad_norm = np.full((3, n, n_points), np.nan)
        self.outcome_sums = np.zeros((2, n, len(OBJECTIVES)))
        self.death_point = np.full(n, n_points)
        self.checkpoints: dict[int, State] = {}

    def _tensor(self, array: Float) -> Tensor:
        return torch.tensor(array, dtype=self.dtype, device=self.device)

    def train(self) -> Trajectories:
        job = self.job
        point_after = {int(step): point for point, step in enumerate(job.record_steps)}
        outcome_steps = {int(step) for step in job.outcome_steps if step > job.start.n_updates}
        if job.start.n_updates in job.checkpoint_steps:
            self._keep_checkpoint(job.start.n_updates)
        for step in range(job.start.n_updates, job.rates.shape[1]):
            loss, gradient = self._loss_and_gradient(step)
            if step == 0 and 0 in point_after:
                self._record(point_after[0], loss, gradient)
            rate = self.rates[:, step, None]
            UPDATE[job.optimizer.name](self.parameters, self.slots, gradient, rate, step + 1, job.optimizer)
            self.loss_sum += loss
            self.is_dead |= ~torch.isfinite(loss)
            self.n_since_point += 1
            n_updates = step + 1
            if n_updates in job.checkpoint_steps:
                self._keep_checkpoint(n_updates)
            if n_updates in outcome_steps:
                self._add_outcomes()
            if n_updates in point_after:
                self._record(point_after[n_updates], self.loss_sum / self.n_since_point, gradient)
                self.loss_sum.zero_()
                self.n_since_point = 0
                self._bury_the_dead(point_after[n_updates])
            if len(self.rows) == 0:
                break
        return self._trajectories(len(outcome_steps))

    def _loss_and_gradient(self, step: int) -> tuple[Tensor, Tensor]:
        """Mini-batch loss (n,) and its gradient (n, P) at the present parameters."""
        examples = self.batches[:, step][self.seeds]
        inputs, targets = (part[examples] for part in self.train_set)
        leaves = self.forward.leaves(self.parameters)
        outputs = self._outputs(leaves, inputs)
        loss = LOSS[self.job.output.loss](outputs, targets, self.job.task)
        gradients = torch.autograd.grad(loss.sum(), leaves)
        return loss.detach(), torch.cat([g.flatten(1) for g in gradients], dim=1)

    def _outputs(self, leaves: list[Tensor], inputs: Tensor) -> Tensor:
        """Outputs (n, rows, n_outputs) of the living for inputs (n, rows, n_inputs)."""
        return OUTPUT[self.job.output.activation](self.forward.logits(leaves, inputs))

    @torch.no_grad()
    def _record(self, point: int, loss: Tensor, gradient: Tensor) -> None:
        rows = self.rows.cpu().numpy()
        self.train_loss[rows, point] = loss.double().cpu().numpy()
        if self.job.telemetry:
            self.grad_norm[rows, point] = torch.linalg.vector_norm(gradient, dim=1).double().cpu().numpy()
            self.val_loss[rows, point] = self._means(self.val_set, [LOSS[self.job.output.loss]])[:, 0]

    @torch.no_grad()
    def _means(self, data: tuple[Tensor, Tensor], losses: list[Loss], *, in_targets: bool = False) -> Float:
        """Losses of the living on a whole set, (n_living, n_losses) float64, a block of examples at a time."""
        job, (inputs, targets) = self.job, data
        leaves = self.forward.leaves(self.parameters)
        total = torch.zeros(len(self.rows), len(losses), dtype=torch.float64, device=self.device)
        for x, y in zip(torch.split(inputs, EVALUATION_ROWS), torch.split(targets, EVALUATION_ROWS), strict=True):
            outputs = self._outputs(leaves, x.expand(len(self.rows), -1, -1))
            if in_targets:
                outputs = in_target_space(outputs, job.output.loss, job.task)
            for column, loss in enumerate(losses):
                total[:, column] += loss(outputs, y, job.task).double() * len(x)
        return (total / len(inputs)).cpu().numpy()

    def _add_outcomes(self) -> None:
        rows = self.rows.cpu().numpy()
        for sums, data in zip(self.outcome_sums, (self.train_set, self.val_set), strict=True):
            if self.job.task == "regression":
                sums[rows, 0] += self._means(data, [squared_error])[:, 0]
                sums[rows, 1] = np.nan
            else:
                sums[rows] += self._means(data, [OBJECTIVE[name] for name in OBJECTIVES], in_targets=True)

    def _keep_checkpoint(self, n_updates: int) -> None:
        n, rows = len(self.death_point), self.rows.cpu().numpy()
        kept = []
        for living in (self.parameters, self.slots):
            array = np.full((n, *living.shape[1:]), np.nan, dtype=living.cpu().numpy().dtype)
            array[rows] = living.cpu().numpy()
            kept.append(array)
        self.checkpoints[n_updates] = State(kept[0], kept[1], n_updates)

    def _bury_the_dead(self, point: int) -> None:
        """Note who died before this point; take the dead off the stack once they are many."""
        n_dead = int(self.is_dead.sum())
        if n_dead == 0:
            return
        dead_rows = self.rows[self.is_dead].cpu().numpy()
        self.death_point[dead_rows] = np.minimum(self.death_point[dead_rows], point)
        if n_dead >= DEAD_SHARE * len(self.rows):
            living = torch.nonzero(~self.is_dead)[:, 0]
            for name in ("rows", "parameters", "slots", "rates", "seeds", "loss_sum", "is_dead"):
                setattr(self, name, getattr(self, name)[living])

    def _trajectories(self, n_outcomes: int) -> Trajectories:
        for n_updates in self.job.checkpoint_steps:
            if n_updates not in self.checkpoints:  # all had died before
                self._keep_checkpoint(n_updates)
        n_points = self.train_loss.shape[1]
        is_dead = self.death_point < n_points
        is_dead[self.rows[self.is_dead].cpu().numpy()] = True
        last = np.minimum(np.arange(n_points), self.death_point[:, None])
        curves = [np.take_along_axis(c, last, axis=1) for c in (self.train_loss, self.val_loss, self.grad_norm)]
        outcomes = self.outcome_sums / n_outcomes if n_outcomes else np.full_like(self.outcome_sums, np.inf)
        is_absent = np.array([self.job.task == "regression" and name == "cross_entropy" for name in OBJECTIVES])
        outcomes[:, is_dead] = np.inf
        outcomes[~np.isfinite(outcomes)] = np.inf
        outcomes[..., is_absent] = np.nan
        return Trajectories(curves[0], curves[1], curves[2], outcomes[0], outcomes[1], is_dead, self.checkpoints)


def _concatenate(parts: list[Trajectories]) -> Trajectories:
    """Join the stacks of one job."""

    def join(name: str) -> Any:
        return np.concatenate([getattr(part, name) for part in parts])

    checkpoints = {}
    for step in parts[0].checkpoints:
        states = [part.checkpoints[step] for part in parts]
        checkpoints[step] = State(
            np.concatenate([s.parameters for s in states]), np.concatenate([s.slots for s in states]), step
        )
    names = ("train_loss", "val_loss", "grad_norm", "outcome", "val_outcome", "is_dead")
    return Trajectories(**{name: join(name) for name in names}, checkpoints=checkpoints)
