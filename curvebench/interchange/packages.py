"""Packages of other tools, imported when they are needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from curvebench.spec import UsageError


def needed(module: str, *, what: str, extra: str) -> Any:
    """The module of a package that may be missing.

    Args:
        module: its dotted name.
        what: that needs it, to begin a sentence with.
        extra: of this package that installs it.

    Raises:
        UsageError: the package is not installed.

    >>> needed("math", what="Counting", extra="none").floor(1.5)
    1
    """
    package = module.partition(".")[0]
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise UsageError(
            f"{what} needs {package}, which is not installed: pip install 'curvebench[{extra}]'."
        ) from None
