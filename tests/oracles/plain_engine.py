"""One network at a time in `torch.nn` and `torch.optim`, written to be read: the oracle of every engine.

A module is made by its own factory; what is checked against this loop is how many of them are trained at once.
"""

import math

import numpy as np
import torch
from torch import nn

from curvebench.generation.engine.modules import make_module
from curvebench.spec import ModuleNetwork, Network, Optimizer, State, TrainingJob, Trajectories

HIDDEN = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU, "sigmoid": nn.Sigmoid}
OUTPUT = {
    "identity": nn.Identity,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "softplus": nn.Softplus,
    "softmax": lambda: nn.Softmax(dim=-1),
    "hardtanh": nn.Hardtanh,
}


class PlainEngine:
    name = "plain"

    def __init__(self, dtype=torch.float64):
        self.dtype = dtype

    def train(self, job: TrainingJob) -> Trajectories:
        runs = [self.train_one(job, run) for run in range(job.n_runs)]
        columns = {name: np.array([run[name] for run in runs]) for name in runs[0] if name != "checkpoints"}
        checkpoints = {
            step: State(
                np.stack([run["checkpoints"][step][0] for run in runs]),
                np.stack([run["checkpoints"][step][1] for run in runs]),
                step,
            )
            for step in job.checkpoint_steps
        }
        return Trajectories(**columns, checkpoints=checkpoints)

    def train_one(self, job: TrainingJob, run: int) -> dict:
        def to_tensor(array):
            return torch.tensor(np.asarray(array), dtype=self.dtype)

        def loss_function(outputs, targets):
            return training_loss(job.output.loss, outputs, targets, job.task)

        x, y = to_tensor(job.train_inputs), to_tensor(job.train_targets)
        x_val, y_val = to_tensor(job.val_inputs), to_tensor(job.val_targets)
        model = make_model(job.network, job.output.activation, self.dtype)
        set_parameters(model, to_tensor(job.start.parameters[run]))
        optimizer = make_optimizer(model, job.optimizer)
        set_slots(model, optimizer, job.optimizer.name, to_tensor(job.start.slots[run]), job.start.n_updates)

        n_points = len(job.record_steps)
        curves = {name: np.full(n_points, np.nan) for name in ("train_loss", "val_loss", "grad_norm")}
        outcomes = {"outcome": [], "val_outcome": []}
        checkpoints = {}
        losses, is_dead = [], False

        def record(point: int, loss: float) -> None:
            curves["train_loss"][point] = loss
            if job.telemetry:
                curves["grad_norm"][point] = gradient_norm(model)
                with torch.no_grad():
                    curves["val_loss"][point] = loss_function(model(x_val), y_val).item()

        for step in range(job.start.n_updates, job.rates.shape[1]):
            batch = job.batches[job.seed_of_run[run], step].astype(np.int64)
            for group in optimizer.param_groups:
                group["lr"] = float(job.rates[run, step])
            optimizer.zero_grad()
            loss = loss_function(model(x[batch]), y[batch])
            loss.backward()
            if step == 0:
                record(0, loss.item())
            optimizer.step()
            losses.append(loss.item())
            is_dead = is_dead or not math.isfinite(loss.item())
            if step + 1 in job.checkpoint_steps:
                checkpoints[step + 1] = (get_parameters(model), get_slots(model, optimizer, job.optimizer))
            if step + 1 in job.outcome_steps:
                with torch.no_grad():
                    outcomes["outcome"].append(objectives(job, model(x), y))
                    outcomes["val_outcome"].append(objectives(job, model(x_val), y_val))
            if step + 1 in job.record_steps:
                point = job.record_steps.tolist().index(step + 1)
                record(point, sum(losses) / len(losses))
                losses = []
                if is_dead:
                    for curve in curves.values():
                        curve[point:] = curve[point]
                    break
        final = {name: np.mean(values, axis=0) if values else np.full(2, np.inf) for name, values in outcomes.items()}
        for name in final:
            final[name] = np.where(is_dead | ~np.isfinite(final[name]), np.inf, final[name])
            if job.task == "regression":
                final[name][1] = np.nan
        dead_state = tuple(np.full(start.shape[1:], np.nan) for start in (job.start.parameters, job.start.slots))
        return {
            **curves,
            **final,
            "is_dead": is_dead,
            "checkpoints": {step: checkpoints.get(step, dead_state) for step in job.checkpoint_steps},
        }


def make_model(network: Network | ModuleNetwork, output_activation: str, dtype) -> nn.Sequential:
    if isinstance(network, ModuleNetwork):
        return nn.Sequential(make_module(network), OUTPUT[output_activation]()).to(dtype)
    parts = []
    for n_in, n_out in zip(network.sizes[:-2], network.sizes[1:-1], strict=True):
        parts += [nn.Linear(n_in, n_out), HIDDEN[network.activation]()]
    parts += [nn.Linear(network.sizes[-2], network.sizes[-1]), OUTPUT[output_activation]()]
    return nn.Sequential(*parts).to(dtype)


def linear_layers(model: nn.Sequential) -> list[nn.Linear]:
    return [part for part in model if isinstance(part, nn.Linear)]


def parameters_in_order(model: nn.Sequential) -> list[tuple[nn.Parameter, bool]]:
    """The parameters in the order of `State.parameters`, and whether they stand there transposed."""
    if all(len(list(part.children())) == 0 for part in model):
        return [pair for layer in linear_layers(model) for pair in ((layer.weight, True), (layer.bias, False))]
    return [(parameter, False) for parameter in model.parameters()]


def unflatten(model: nn.Sequential, flat: torch.Tensor) -> dict[nn.Parameter, torch.Tensor]:
    """Every parameter's part of a flat row, in its shape."""
    parts, position = {}, 0
    for parameter, is_transposed in parameters_in_order(model):
        part = flat[position : position + parameter.numel()]
        parts[parameter] = part.view(parameter.T.shape).T if is_transposed else part.view(parameter.shape)
        position += parameter.numel()
    assert position == len(flat)
    return parts


def set_parameters(model: nn.Sequential, flat: torch.Tensor) -> None:
    with torch.no_grad():
        for parameter, values in unflatten(model, flat).items():
            parameter.copy_(values)


def get_parameters(model: nn.Sequential) -> np.ndarray:
    return flatten(model, lambda parameter: parameter)


def flatten(model: nn.Sequential, value_of) -> np.ndarray:
    parts = []
    for parameter, is_transposed in parameters_in_order(model):
        values = value_of(parameter).detach()
        parts.append((values.T if is_transposed else values).reshape(-1))
    return torch.cat(parts).numpy().copy()


SLOTS = {
    "sgd": (),
    "momentum": ("momentum_buffer",),
    "adam": ("exp_avg", "exp_avg_sq"),
    "adamw": ("exp_avg", "exp_avg_sq"),
    "rmsprop": ("square_avg",),
}


def make_optimizer(model: nn.Module, o: Optimizer) -> torch.optim.Optimizer:
    match o.name:
        case "sgd":
            return torch.optim.SGD(model.parameters(), lr=1.0)
        case "momentum":
            return torch.optim.SGD(model.parameters(), lr=1.0, momentum=o.momentum)
        case "adam":
            return torch.optim.Adam(model.parameters(), lr=1.0, betas=(o.beta1, o.beta2), eps=o.epsilon)
        case "adamw":
            return torch.optim.AdamW(
                model.parameters(), lr=1.0, betas=(o.beta1, o.beta2), eps=o.epsilon, weight_decay=o.weight_decay
            )
        case "rmsprop":
            return torch.optim.RMSprop(model.parameters(), lr=1.0, alpha=o.alpha, eps=o.epsilon)
    raise ValueError(o.name)


def set_slots(model, optimizer, name: str, slots: torch.Tensor, n_updates: int) -> None:
    if n_updates == 0:
        return
    for slot, flat in zip(SLOTS[name], slots, strict=True):
        for parameter, values in unflatten(model, flat).items():
            optimizer.state[parameter][slot] = values.clone()
            optimizer.state[parameter]["step"] = torch.tensor(float(n_updates))


def get_slots(model, optimizer, o: Optimizer) -> np.ndarray:
    slots = [flatten(model, lambda p, slot=slot: optimizer.state[p][slot]) for slot in SLOTS[o.name]]
    return np.stack(slots) if slots else np.zeros((0, get_parameters(model).size))


def gradient_norm(model: nn.Module) -> float:
    return math.sqrt(sum(float((p.grad.double() ** 2).sum()) for p in model.parameters()))


def training_loss(name: str, outputs, targets, task: str):
    match name, task:
        case "squared_error", _:
            return nn.MSELoss()(outputs, targets)
        case "cross_entropy_logits", "binary":
            return nn.BCEWithLogitsLoss()(outputs, targets)
        case "cross_entropy_logits", _:
            return nn.CrossEntropyLoss()(outputs, targets)
        case "cross_entropy_probabilities", "binary":
            return nn.BCELoss()(outputs.clamp(1e-7, 1 - 1e-7), targets)
        case "cross_entropy_probabilities", _:
            clipped = outputs.clamp(1e-7, 1.0)
            log_p = torch.log(clipped / clipped.sum(dim=-1, keepdim=True))
            return nn.NLLLoss()(log_p, targets.argmax(dim=-1))
    raise ValueError((name, task))


def objectives(job: TrainingJob, outputs, targets) -> list[float]:
    predictions = outputs
    if job.output.loss == "cross_entropy_logits":
        predictions = torch.sigmoid(outputs) if job.task == "binary" else torch.softmax(outputs, dim=-1)
    squared = training_loss("squared_error", predictions, targets, job.task).item()
    if job.task == "regression":
        return [squared, math.nan]
    return [squared, training_loss("cross_entropy_probabilities", predictions, targets, job.task).item()]
