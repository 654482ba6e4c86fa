"""Engines that train stacks of networks, by name. Each is imported when it is asked for."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from curvebench.spec import Engine, UsageError

ENGINES: dict[str, str] = {
    "torch": "curvebench.generation.engine.stacked:TorchEngine",
}
"""Name -> module:class."""


def make_engine(name: str, device: str = "cpu") -> Engine:
    """Make the engine of that name.

    Raises:
        UsageError: the engine is unknown, its library is not installed, or it cannot use the device.
    """
    if name not in ENGINES:
        raise UsageError(f"There is no engine {name!r}; known engines: {', '.join(ENGINES)}.")
    if name == "torch" and find_spec("torch") is None:
        raise UsageError("The engine 'torch' needs PyTorch, which is not installed; pip install 'curvebench[torch]'.")
    module, _, attribute = ENGINES[name].partition(":")
    engine: Engine = getattr(import_module(module), attribute)(device=device)
    return engine
