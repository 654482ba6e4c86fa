"""What the shell offers on Tab where a value is from a list. Nothing is imported before it is asked for."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module

Complete = Callable[[str], list[str]]
"""What was typed of a value -> the values that begin so; where there are none, shells offer files themselves."""


def _one_of(*places: str, files: tuple[str, ...] = ()) -> Complete:
    """Offers what is listed in `places` ("module:attribute"), and files with one of these endings."""

    def complete(incomplete: str) -> list[str]:
        listed: list[str] = []
        for place in places:
            module, attribute = place.split(":")
            names = getattr(import_module(module), attribute)
            listed += map(str, names() if callable(names) else names)
        return [name for name in dict.fromkeys([*listed, *_files(incomplete, files)]) if name.startswith(incomplete)]

    return complete


def _files(incomplete: str, endings: tuple[str, ...]) -> list[str]:
    folder = os.path.dirname(incomplete)
    try:
        names = sorted(os.listdir(folder or ".")) if endings else []
    except OSError:
        return []
    return [os.path.join(folder, name) for name in names if name.endswith(endings)]


_DIAGNOSERS = ("curvebench.diagnosers:DIAGNOSERS", "curvebench.diagnosers:installed")

data_set = _one_of("curvebench.data.shipped:SHIPPED", files=(".h5",))
recipe = _one_of("curvebench.generation.recipe:shipped_recipes", files=(".toml",))
diagnoser = _one_of(*_DIAGNOSERS, files=(".cbm",))
diagnoser_or_result = _one_of(*_DIAGNOSERS, files=(".cbm", ".json"))
learned_diagnoser = _one_of("curvebench.diagnosers.learned.models:KINDS")
cases = _one_of("curvebench.cases.reading:SHIPPED", files=(".jsonl", ".json"))
split = _one_of("curvebench.spec:SPLITS")
track = _one_of("curvebench.spec:TRACKS")
optimizer = _one_of("curvebench.spec:OPTIMIZERS")
isolation = _one_of("curvebench.evaluation.isolation:ISOLATIONS")
backend = _one_of("curvebench.generation.backends:BACKENDS")
engine = _one_of("curvebench.generation.engine:ENGINES")
export_format = _one_of("curvebench.interchange.formats:FORMATS")
claim = _one_of("curvebench.claims:CLAIMS")
effort = _one_of("curvebench.claims.trials:EFFORTS")
confidence = _one_of("curvebench.t_quantiles:CONFIDENCES")
