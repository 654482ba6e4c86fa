"""Engines that train stacks of networks, and the networks, by name. Each is imported when it is asked for."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from curvebench.spec import Engine, UsageError

ENGINES: dict[str, str] = {
    "fused": "curvebench.generation.engine.fused:FusedEngine",
    "torch": "curvebench.generation.engine.stacked:TorchEngine",
}
"""Name -> module:class."""

MLP = "mlp"
"""The network that every engine trains."""

MODULES: dict[str, str] = {
    "conv": "curvebench.generation.engine.modules:Convolutional",
    "recurrent": "curvebench.generation.engine.modules:Recurrent",
    "attention": "curvebench.generation.engine.modules:Attention",
    "dense": "curvebench.generation.engine.modules:Dense",
}
"""Name -> module:factory of the networks that the engine `torch` trains beside it."""

DENSE = "dense"
"""The one of them whose hidden layers can be stated one by one."""

_NEEDS = {
    "fused": ("numba", "pip install numba, or use --engine torch where there is no numba for your platform"),
    "torch": ("torch", "pip install 'curvebench[torch]'"),
}
"""Name -> library that is imported, and what to do without it."""


def make_engine(name: str, device: str = "cpu") -> Engine:
    """Make the engine of that name.

    Raises:
        UsageError: the engine is unknown, its library is not installed, or it cannot use the device.
    """
    if name not in ENGINES:
        raise UsageError(f"There is no engine {name!r}; known engines: {', '.join(ENGINES)}.")
    library, remedy = _NEEDS[name]
    if find_spec(library) is None:
        raise UsageError(f"The engine {name!r} needs {library}, which is not installed: {remedy}.")
    module, _, attribute = ENGINES[name].partition(":")
    engine: Engine = getattr(import_module(module), attribute)(device=device)
    return engine
