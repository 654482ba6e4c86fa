"""Runs the experiments of claims, problem by problem on several processes, and judges what they saw."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from curvebench.claims import CLAIMS, EXPERIMENTS
from curvebench.claims.claim import Claim, Measurement
from curvebench.claims.remedies import GainTable, tables_of
from curvebench.claims.trials import EFFORTS, Effort
from curvebench.data.dataset import Dataset
from curvebench.generation.backends import available_cores, run_local
from curvebench.generation.engine import make_engine
from curvebench.spec import InputError, UsageError


@dataclass(frozen=True)
class Investigation:
    """What was found.

    Attributes:
        effort: how much was trained.
        engine: name of the engine.
        measurements: key of a claim -> measurement.
        problems: name of an experiment -> problem instances it looked at.
        dataset: where the gains of remedies were read off, or None where groups of a recipe were trained for them.
    """

    effort: Effort
    engine: str
    measurements: Mapping[str, Measurement]
    problems: Mapping[str, tuple[str, ...]]
    dataset: Dataset | None


Case = tuple[str, int]
"""Name of an experiment, number of one of its cases."""


def investigate(
    keys: Sequence[str] = (),
    *,
    effort: str = "full",
    engine: str = "fused",
    dataset: Dataset | None = None,
    workers: int | None = None,
    progress: Callable[[float, float], None] | None = None,
    say: Callable[[str], None] = lambda sentence: None,
) -> Investigation:
    """Check claims. The same effort and engine give the same figures, for any number of workers.

    Args:
        keys: of the claims; all by default.
        effort: key of `EFFORTS`.
        engine: name of the training engine.
        dataset: labelled runs whose remedies are looked at; by default groups of a shipped recipe are trained.
        workers: processes; all cores by default. See `curvebench.generation.generate.generate`.
        progress: called with what is done, and of how much.
        say: told what takes long besides.

    Raises:
        UsageError: there is no such claim, effort or engine.
        InputError: the data set has no scored runs.
    """
    claims = [find_claim(key) for key in keys] or list(CLAIMS.values())
    how = find_effort(effort)
    seen: dict[str, list[Any]] = {name: [] for name in dict.fromkeys(claim.experiment for claim in claims)}
    if dataset is not None:
        seen["remedies"] = _tables_of(dataset, seen)
    cases = [(name, i) for name in seen if not seen[name] for i in range(EXPERIMENTS[name].n_cases(how))]
    if cases:
        make_engine(engine).prepare(say)
    observed = _observe_all(cases, how, engine, workers or available_cores(), progress)
    for name, i in cases:
        seen[name].append(observed[name, i])
    return Investigation(
        effort=how,
        engine=engine,
        measurements={claim.key: claim.judge(seen[claim.experiment]) for claim in claims},
        problems={name: tuple(dict.fromkeys(one.problem for one in records)) for name, records in seen.items()},
        dataset=dataset,
    )


def _tables_of(dataset: Dataset, experiments: Collection[str]) -> list[GainTable]:
    if "remedies" not in experiments:
        keys = ", ".join(key for key, claim in CLAIMS.items() if claim.experiment == "remedies")
        raise UsageError(f"A data set was given, but none of the claims that look at one: {keys}.")
    tables = tables_of(dataset)
    if not tables:
        raise InputError("The data set has no scored runs, so there is no gain of a remedy to look at.")
    return tables


def find_claim(key: str) -> Claim:
    """The claim of that key.

    Raises:
        UsageError: there is none.
    """
    if key not in CLAIMS:
        near = difflib.get_close_matches(key, CLAIMS, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UsageError(f"There is no claim {key!r}.{hint} Known claims: {', '.join(CLAIMS)}.")
    return CLAIMS[key]


def find_effort(name: str) -> Effort:
    """The effort of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in EFFORTS:
        raise UsageError(f"There is no effort {name!r}; there are {', '.join(EFFORTS)}.")
    return EFFORTS[name]


def _observe_all(
    cases: Sequence[Case],
    effort: Effort,
    engine: str,
    workers: int,
    progress: Callable[[float, float], None] | None,
) -> dict[Case, Any]:
    cost = {case: EXPERIMENTS[case[0]].cost for case in cases}
    observed: dict[Case, Any] = {}

    def report(case: Case, record: Any) -> None:
        observed[case] = record
        if progress:
            progress(sum(cost[done] for done in observed), sum(cost.values()))

    # the most expensive first, so that no worker is left with one at the end
    run_local(partial(_observe, effort, engine), sorted(cases, key=lambda case: -cost[case]), workers, report)
    return observed


def _observe(effort: Effort, engine: str, case: Case) -> Any:
    name, number = case
    return EXPERIMENTS[name].observe(number, effort, make_engine(engine))
