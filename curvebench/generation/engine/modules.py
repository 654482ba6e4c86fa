"""Networks as torch modules: ours, foreign ones by their address, and what a module must be like to be stacked.

A factory is called with `(n_inputs, n_outputs, depth, width, activation)` and returns a new `torch.nn.Module` that maps
(batch, n_inputs) to (batch, n_outputs), before the output activation. Examples are flat; a module reshapes them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, vmap

from curvebench.generation.engine import DENSE, MODULES
from curvebench.spec import SEQUENCE_FEATURES, Float, ModuleNetwork, UsageError

Factory = Callable[..., nn.Module]

HIDDEN: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "tanh": torch.tanh,
    "gelu": F.gelu,
    "sigmoid": torch.sigmoid,
}
"""Hidden activations of all networks."""

LAYERS: dict[str, Callable[[Tensor], Tensor]] = {**HIDDEN, "elu": F.elu}
"""Hidden activations of layers that are stated one by one."""


# ---------------------------------------------------------------------------------------------- ours


class Convolutional(nn.Module):
    """Convolutions of square images with one channel, row by row; each halves the image. Then one linear layer.

    `depth` convolutions of 3 × 3 pixels with stride 2 and `width` channels.
    """

    def __init__(self, n_inputs: int, n_outputs: int, depth: int, width: int, activation: str):
        """Raise a UsageError if the inputs are no square."""
        super().__init__()
        self.side = math.isqrt(n_inputs)
        if self.side**2 != n_inputs:
            raise UsageError(f"The network 'conv' needs square images; {n_inputs} inputs are none.")
        self.activation = HIDDEN[activation]
        channels = [1] + [width] * depth
        self.convolutions = nn.ModuleList(
            nn.Conv2d(n_in, n_out, kernel_size=3, stride=2, padding=1) for n_in, n_out in pairwise(channels)
        )
        side_at_end = -(-self.side // 2**depth)
        self.head = nn.Linear(width * side_at_end**2, n_outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, n_inputs) -> (batch, n_outputs)."""
        x = inputs.reshape(-1, 1, self.side, self.side)
        for convolution in self.convolutions:
            x = self.activation(convolution(x))
        outputs: Tensor = self.head(x.flatten(1))
        return outputs


class Recurrent(nn.Module):
    """A recurrent network (Elman 1990) over the steps of a sequence; its last state goes through a linear layer.

    `depth` layers of `width` units, each over the states of the layer below.
    """

    def __init__(self, n_inputs: int, n_outputs: int, depth: int, width: int, activation: str):
        """Raise a UsageError if the inputs are no sequence."""
        super().__init__()
        self.n_steps = steps_of(n_inputs, "recurrent")
        self.activation = HIDDEN[activation]
        sizes = [SEQUENCE_FEATURES] + [width] * (depth - 1)
        self.from_below = nn.ModuleList(nn.Linear(size, width) for size in sizes)
        self.from_before = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in sizes)
        self.head = nn.Linear(width, n_outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, n_inputs) -> (batch, n_outputs)."""
        states = inputs.reshape(-1, self.n_steps, SEQUENCE_FEATURES)
        for from_below, from_before in zip(self.from_below, self.from_before, strict=True):
            driven = from_below(states)
            state = self.activation(driven[:, 0])
            visited = [state]
            for step in range(1, self.n_steps):
                state = self.activation(driven[:, step] + from_before(state))
                visited.append(state)
            states = torch.stack(visited, dim=1)
        outputs: Tensor = self.head(states[:, -1])
        return outputs


class Attention(nn.Module):
    """Blocks of self-attention over the steps of a sequence; their mean goes through a linear layer.

    `depth` blocks of `width` features, one head each, layer norm before each half (Vaswani et al. 2017; Xiong et al.
    2020), learned positions.
    """

    def __init__(self, n_inputs: int, n_outputs: int, depth: int, width: int, activation: str):
        """Raise a UsageError if the inputs are no sequence."""
        super().__init__()
        self.n_steps = steps_of(n_inputs, "attention")
        self.embedding = nn.Linear(SEQUENCE_FEATURES, width)
        self.positions = nn.Parameter(torch.randn(self.n_steps, width))
        self.blocks = nn.Sequential(*(_AttentionBlock(width, activation) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, n_outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, n_inputs) -> (batch, n_outputs)."""
        x = self.embedding(inputs.reshape(-1, self.n_steps, SEQUENCE_FEATURES)) + self.positions
        outputs: Tensor = self.head(self.norm(self.blocks(x)).mean(dim=1))
        return outputs


class _AttentionBlock(nn.Module):
    """Self-attention, then a hidden layer for each step; both are added to what came in, (batch, n_steps, width)."""

    def __init__(self, width: int, activation: str):
        super().__init__()
        self.activation = HIDDEN[activation]
        self.norm_before_attention = nn.LayerNorm(width)
        # a bias of the keys would cancel out, and its rounding errors be all that adaptive optimisers follow
        self.queries_keys_values = nn.Linear(width, 3 * width, bias=False)
        self.mix = nn.Linear(width, width)
        self.norm_before_hidden = nn.LayerNorm(width)
        self.hidden = nn.Linear(width, width)
        self.back = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        queries, keys, values = self.queries_keys_values(self.norm_before_attention(x)).chunk(3, dim=-1)
        scores = queries @ keys.transpose(-1, -2) / math.sqrt(x.shape[-1])
        x = x + self.mix(torch.softmax(scores, dim=-1) @ values)
        changed: Tensor = x + self.back(self.activation(self.hidden(self.norm_before_hidden(x))))
        return changed


class Dense(nn.Module):
    """A multi-layer perceptron as Keras makes it: each hidden layer has its own size and activation.

    `layers` states them, as "50 relu"; without it there are `depth` layers of `width` units, none if the depth is 0.
    Weights are uniform in ±sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio 2010), biases zero.
    """

    def __init__(
        self, n_inputs: int, n_outputs: int, depth: int, width: int, activation: str, layers: Sequence[str] = ()
    ):
        """Draw the weights."""
        super().__init__()
        stated = [layer.split() for layer in layers] or [[str(width), activation]] * depth
        self.activations = [LAYERS[name] for _, name in stated]
        sizes = [n_inputs, *(int(units) for units, _ in stated), n_outputs]
        linear = [nn.Linear(n_in, n_out) for n_in, n_out in pairwise(sizes)]
        for layer in linear:
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.linear = nn.ModuleList(linear)

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, n_inputs) -> (batch, n_outputs)."""
        *hidden, last = self.linear
        x = inputs
        for linear, activation in zip(hidden, self.activations, strict=True):
            x = activation(linear(x))
        outputs: Tensor = last(x)
        return outputs


def steps_of(n_inputs: int, module: str) -> int:
    """Steps of the sequences that flat inputs stand for.

    Raises:
        UsageError: the inputs are no whole number of steps.
    """
    if n_inputs % SEQUENCE_FEATURES:
        raise UsageError(
            f"The network {module!r} needs sequences with {SEQUENCE_FEATURES} features a step; {n_inputs} inputs are "
            "none."
        )
    return n_inputs // SEQUENCE_FEATURES


# ------------------------------------------------------------------------------------- making modules


def make_module(network: ModuleNetwork, seed: int = 0) -> nn.Module:
    """Call the factory; where torch's default device is "meta", the module has shapes and no numbers.

    Args:
        network: what the factory is and what it is told.
        seed: of the generator that torch's initialisations draw from; afterwards it is as it was.

    Raises:
        UsageError: there is no such factory, it fails, or it makes something else than a module.
    """
    factory = find_factory(network.module)  # first: what is drawn while it is imported is drawn once only
    try:
        with _own_random_numbers(seed):
            shape = (network.n_inputs, network.n_outputs, network.depth, network.width, network.activation)
            made = factory(*shape, network.layers) if network.module == DENSE else factory(*shape)
    except UsageError:
        raise
    except (Exception, SystemExit) as error:  # whatever foreign code does
        asked = f"{network.n_inputs} inputs, {network.n_outputs} outputs, depth {network.depth}, width {network.width}"
        raise UsageError(f"The network {network.module!r} cannot be made for {asked}: {_one_line(error)}.") from error
    if not isinstance(made, nn.Module):
        raise UsageError(
            f"The factory {network.module!r} must return a torch.nn.Module; it returned a {type(made).__name__}."
        )
    return made


def find_factory(module: str) -> Factory:
    """The factory of that name in `MODULES`, or at "package.module:callable".

    Raises:
        UsageError: it cannot be imported.
    """
    module_name, _, attribute = MODULES.get(module, module).partition(":")
    try:
        factory: Factory = getattr(import_module(module_name), attribute)
    except (Exception, SystemExit) as error:  # whatever a foreign module does while it is imported
        raise UsageError(f"Can't load the network {module!r}: {_one_line(error)}.") from error
    if not callable(factory):
        raise UsageError(f"The network {module!r} is a {type(factory).__name__}; it must be callable.")
    return factory


def n_parameters(network: ModuleNetwork) -> int:
    """Numbers that are trained, from a module without memory.

    >>> n_parameters(ModuleNetwork("recurrent", n_inputs=20, n_outputs=3, depth=1, width=8, activation="tanh"))
    131
    """
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in make_module(network).parameters())


def initial_parameters(network: ModuleNetwork, seed: int) -> Float:
    """The factory's own initial values, those with two axes or more times the gain; (n_parameters,) float32."""
    parts = [
        (parameter * network.init_gain if parameter.dim() > 1 else parameter).flatten()
        for parameter in make_module(network, seed).parameters()
    ]
    flat: Float = torch.cat(parts).detach().float().numpy()
    return flat


@contextmanager
def _own_random_numbers(seed: int) -> Iterator[None]:
    """Torch's generator of the CPU under a seed, and afterwards as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def _one_line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".")


# ------------------------------------------------------------------------------------ stacking modules


def stack(module: nn.Module) -> Callable[[Sequence[Tensor], Tensor], Tensor]:
    """The forward pass of many networks like one module.

    Returns:
        A function of the parameters, each (n, *shape) in the order of `named_parameters`, and of inputs
        (n, rows, n_inputs); it returns (n, rows, n_outputs).
    """
    names = [name for name, _ in module.named_parameters()]

    def forward(parameters: Sequence[Tensor], inputs: Tensor) -> Tensor:
        outputs: Tensor = functional_call(module, dict(zip(names, parameters, strict=True)), (inputs,))
        return outputs

    return vmap(forward)


def make_stackable(network: ModuleNetwork) -> nn.Module:
    """A module whose numbers do not matter, for `stack`.

    Raises:
        UsageError: it cannot be made, or networks like it cannot be trained side by side.
    """
    check_stackable(network)
    return make_module(network)


ROWS = 6
"""Examples on which a module is tried."""

RTOL, ATOL = 1e-3, 1e-5
"""What the order of sums may change in outputs, in float32."""


@cache
def check_stackable(network: ModuleNetwork) -> None:
    """Try out whether stacked networks do what each would do alone.

    Raises:
        UsageError: they do not; it says what about the module is in the way.
    """
    with _own_random_numbers(0):
        inputs = torch.randn(ROWS, network.n_inputs)
        fault = _fault_of_factory(network) or _fault_of_forward(network, inputs) or _fault_of_stack(network, inputs)
    if fault:
        raise UsageError(f"The network {network.module!r} cannot be trained in a stack: {fault}.")


def _fault_of_factory(network: ModuleNetwork) -> str | None:
    one, twin, other = (dict(make_module(network, seed).named_parameters()) for seed in (0, 0, 1))
    if not one:
        return "it has no parameters"
    shapes = [[(name, parameter.shape) for name, parameter in made.items()] for made in (one, twin, other)]
    if shapes[0] != shapes[1] or shapes[0] != shapes[2]:
        return "its factory does not make the same parameters every time"
    for name, parameter in one.items():
        if not (parameter.requires_grad and parameter.dtype == torch.float32):
            return f"its parameter {name} is not trained, or not of type float32"
        if parameter is twin[name]:
            return "its factory returns the same parameters again; every call must make new ones"
        if not torch.equal(parameter, twin[name]):
            return "its initial values do not follow from the seed of torch's generator"
    return None


def _fault_of_forward(network: ModuleNetwork, inputs: Tensor) -> str | None:
    module, untouched = make_module(network, 0), dict(make_module(network, 1).named_buffers())
    before = torch.get_rng_state()
    try:
        outputs, again, few = module(inputs), module(inputs), module(inputs[:2])
    except Exception as error:  # whatever a foreign module does
        return f"its forward pass fails ({_one_line(error)})"
    if not torch.equal(before, torch.get_rng_state()):
        return "it draws random numbers in its forward pass, as dropout does"
    shape = (len(inputs), network.n_outputs)
    if not isinstance(outputs, Tensor) or outputs.shape != shape:
        returned = tuple(outputs.shape) if isinstance(outputs, Tensor) else f"a {type(outputs).__name__}"
        return f"it maps {tuple(inputs.shape)} to {returned} and not to {shape}"
    if not outputs.isfinite().all():
        return "its outputs are not finite before any training"
    for name, buffer in module.named_buffers():
        if not torch.equal(buffer, untouched[name]):
            return f"its buffer {name} changes in training, as those of batch normalisation do, or is random"
    if not torch.equal(outputs, again):
        return "it keeps a state from one forward pass to the next"
    if not torch.allclose(outputs[:2], few, rtol=RTOL, atol=ATOL):
        return "its outputs for an example depend on the other examples of the batch"
    torch.autograd.backward(outputs.sum())
    for name, parameter in module.named_parameters():
        if parameter.grad is None:
            return f"its parameter {name} takes no part in the outputs"
    return None


def _fault_of_stack(network: ModuleNetwork, inputs: Tensor) -> str | None:
    one, other = (make_module(network, seed) for seed in (0, 1))
    parameters = [torch.stack(pair) for pair in zip(one.parameters(), other.parameters(), strict=True)]
    try:
        together = stack(one)(parameters, inputs.expand(2, -1, -1))
    except Exception as error:  # whatever torch.func cannot do
        return f"torch.func.vmap cannot run it ({_one_line(error)})"
    if not torch.allclose(together, torch.stack([one(inputs), other(inputs)]), rtol=RTOL, atol=ATOL):
        return "it computes something else there than alone; has it tensors that are no parameters?"
    return None
