"""All campaigns in their long forms, a line of JSON for each as it ends: hours of work.

    PYTHONPATH=tests python -m campaigns
    PYTHONPATH=tests python -m campaigns kills hostile

`scale.py` stands apart, for it measures and breaks nothing.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec

from campaigns import flips, fuzz, hostile, kills


def _of_every_reader(figures: Callable[[str], dict[str, object]]) -> dict[str, object]:
    return {name: figures(name) for name in fuzz.TARGETS}


def _extremes(name: str) -> dict[str, object]:
    return fuzz.extremes(name, 2**30 if name in fuzz.OF_LINES else 0)


CAMPAIGNS: dict[str, Callable[[], object]] = {
    "kills": lambda: kills.run(n_kills=200),
    "flips": lambda: flips.run(n_flips=10_000, n_cuts=2_000),
    "hostile": lambda: hostile.run(n_mutants=3_000),
    "changes": lambda: _of_every_reader(lambda name: fuzz.by_changes(name, 20_000)),
    "examples": lambda: _of_every_reader(lambda name: fuzz.by_examples(name, 2_000)),
    "extremes": lambda: _of_every_reader(_extremes),
    "coverage": lambda: _of_every_reader(partial(fuzz.by_coverage, seconds=100)),
}
"""Name -> what gives its figures; `coverage` needs atheris (`pip install atheris`)."""


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(CAMPAIGNS)}; all of them if none is named")
    names = parser.parse_args().names or list(CAMPAIGNS)
    if unknown := sorted(set(names) - set(CAMPAIGNS)):
        parser.error(f"there is no campaign {unknown[0]!r}; there are {', '.join(CAMPAIGNS)}")
    for name in names:
        is_possible = name != "coverage" or find_spec("atheris") is not None
        figures = CAMPAIGNS[name]() if is_possible else "left out: atheris is not installed"
        print(json.dumps({name: figures}), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
