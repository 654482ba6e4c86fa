"""Somebody else's networks: some that can be trained in a stack, and everything that cannot."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn


class Simple(nn.Module):
    """One hidden layer; the others change what they are about."""

    def __init__(self, n_inputs, n_outputs, depth, width, activation):
        super().__init__()
        self.n_outputs = n_outputs
        self.first, self.head = nn.Linear(n_inputs, width), nn.Linear(width, n_outputs)

    def hidden(self, x):
        return torch.tanh(self.first(x))

    def forward(self, x):
        return self.head(self.hidden(x))


# ---------------------------------------------------------------------------------------- what can be stacked


def make_plain(n_inputs, n_outputs, depth, width, activation):
    return nn.Sequential(nn.Linear(n_inputs, width), nn.Tanh(), nn.Linear(width, n_outputs))


class ConstantBuffer(Simple):
    def __init__(self, n_inputs, n_outputs, depth, width, activation):
        super().__init__(n_inputs, n_outputs, depth, width, activation)
        self.register_buffer("scale", torch.linspace(0.5, 1.5, n_inputs))

    def hidden(self, x):
        return super().hidden(x * self.scale)


class TiedWeights(nn.Module):
    def __init__(self, n_inputs, n_outputs, depth, width, activation):
        super().__init__()
        self.into, self.out_of = nn.Linear(n_inputs, width), nn.Linear(width, n_inputs)
        self.out_of.weight = nn.Parameter(self.into.weight.T.detach().clone())
        self.again = nn.Linear(width, n_inputs)
        self.again.weight = self.out_of.weight
        self.head = nn.Linear(n_inputs, n_outputs)

    def forward(self, x):
        x = x + self.out_of(torch.tanh(self.into(x)))
        return self.head(x + self.again(torch.tanh(self.into(x))))


STACKABLE = ("make_plain", "ConstantBuffer", "TiedWeights")


# ------------------------------------------------------------------------------------- what cannot, and why


class BatchNorm(Simple):
    def __init__(self, n_inputs, n_outputs, depth, width, activation):
        super().__init__(n_inputs, n_outputs, depth, width, activation)
        self.norm = nn.BatchNorm1d(width)

    def hidden(self, x):
        return self.norm(super().hidden(x))


class BatchNormWithoutMemory(Simple):
    def hidden(self, x):
        x = super().hidden(x)
        return (x - x.mean(dim=0)) / x.std(dim=0)


class Dropout(Simple):
    def hidden(self, x):
        return nn.functional.dropout(super().hidden(x), 0.1)


class Remembers(Simple):
    last = 0.0

    def hidden(self, x):
        x = super().hidden(x) + self.last
        self.last = float(x[0, 0].detach())
        return x


class RandomBuffer(Simple):
    def __init__(self, n_inputs, n_outputs, depth, width, activation):
        super().__init__(n_inputs, n_outputs, depth, width, activation)
        self.register_buffer("directions", torch.randn(n_inputs, n_inputs))

    def hidden(self, x):
        return super().hidden(x @ self.directions)


class NoParameter(Simple):
    """A tensor that is drawn, and neither a parameter nor a buffer."""

    def __init__(self, n_inputs, n_outputs, depth, width, activation):
        super().__init__(n_inputs, n_outputs, depth, width, activation)
        self.directions = torch.randn(n_inputs, n_inputs)

    def hidden(self, x):
        return super().hidden(x @ self.directions)


class Frozen(Simple):
    def __init__(self, n_inputs, n_outputs, depth, width, activation):
        super().__init__(n_inputs, n_outputs, depth, width, activation)
        self.first.weight.requires_grad_(False)


class Unused(Simple):
    def __init__(self, n_inputs, n_outputs, depth, width, activation):
        super().__init__(n_inputs, n_outputs, depth, width, activation)
        self.spare = nn.Linear(2, 2)


class NumpyWeights(Simple):
    def __init__(self, n_inputs, n_outputs, depth, width, activation):
        super().__init__(n_inputs, n_outputs, depth, width, activation)
        drawn = np.random.default_rng().normal(size=(width, n_inputs)).astype(np.float32)
        self.first.weight = nn.Parameter(torch.from_numpy(drawn))


class Growing(Simple):
    n_made = 0

    def __init__(self, n_inputs, n_outputs, depth, width, activation):
        Growing.n_made += 1
        super().__init__(n_inputs, n_outputs, depth, width + Growing.n_made, activation)


class Branching(Simple):
    def hidden(self, x):
        x = super().hidden(x)
        return x if x.sum() > 0 else -x


class Infinite(Simple):
    def hidden(self, x):
        return super().hidden(x) / 0.0


class Tuple(Simple):
    def forward(self, x):
        return super().forward(x), None


class Flat(Simple):
    def forward(self, x):
        return super().forward(x).sum(dim=1)


class Failing(Simple):
    def forward(self, x):
        raise LookupError("no such thing.")


ONE = Simple(16, 3, 1, 6, "tanh")


def make_the_same(n_inputs, n_outputs, depth, width, activation):
    return ONE


def make_nothing(n_inputs, n_outputs, depth, width, activation):
    return None


def make_identity(n_inputs, n_outputs, depth, width, activation):
    return nn.Identity()


def make_trouble(n_inputs, n_outputs, depth, width, activation):
    raise ZeroDivisionError("division by zero")


NOT_CALLABLE = 3

REFUSED = {
    "BatchNorm": "its buffer norm.running_mean changes in training",
    "BatchNormWithoutMemory": "depend on the other examples of the batch",
    "Dropout": "draws random numbers in its forward pass, as dropout does",
    "Remembers": "keeps a state from one forward pass to the next",
    "RandomBuffer": "its buffer directions .* is random",
    "NoParameter": "has it tensors that are no parameters",
    "Frozen": "its parameter first.weight is not trained",
    "Unused": "its parameter spare.weight takes no part in the outputs",
    "NumpyWeights": "do not follow from the seed of torch's generator",
    "Growing": "does not make the same parameters every time",
    "Branching": "torch.func.vmap cannot run it .*data-dependent",
    "Infinite": "not finite before any training",
    "Tuple": r"maps \(6, 16\) to a tuple and not to \(6, 3\)",
    "Flat": r"maps \(6, 16\) to \(6,\) and not to \(6, 3\)",
    "Failing": r"its forward pass fails \(LookupError: no such thing\)",
    "make_the_same": "every call must make new ones",
    "make_nothing": "must return a torch.nn.Module; it returned a NoneType",
    "make_identity": "it has no parameters",
    "make_trouble": r"cannot be made for 16 inputs, 3 outputs, depth 2, width 6: ZeroDivisionError: division by zero\.",
    "NOT_CALLABLE": "is a int; it must be callable",
    "missing": r"Can't load the network .*: AttributeError",
}
"""Name of a factory here -> what it is refused for."""
