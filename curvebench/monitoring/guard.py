"""What keeps a fault of ours out of somebody's training."""

from __future__ import annotations

import logging
import warnings
from types import TracebackType

LOGGER = logging.getLogger("curvebench.monitoring")


class Guard:
    """A context that lets no error out. The first is warned about; after it the owner stays silent.

    What ends a program on purpose (an interruption by the keyboard) passes; a `SystemExit` does not, since a foreign
    diagnoser may be a command line inside.

    Attributes:
        is_open: whether nothing has gone wrong yet.
    """

    def __init__(self) -> None:
        self.is_open = True

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> bool:
        if not isinstance(error, Exception | SystemExit):
            return False
        if self.is_open:
            self.is_open = False
            warn(f"The monitor of CurveBench stays silent from here on: {type(error).__name__}: {error}")
        return True


def warn(sentence: str) -> None:
    """Warn; where warnings are made errors, which would end the training, log."""
    try:
        warnings.warn(sentence, RuntimeWarning, stacklevel=2)
    except RuntimeWarning:
        LOGGER.warning(sentence)
