"""A board of made-up diagnosers on a made-up data set; what is made here is shared and only read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from oracles.answers_on_cases import made_up_cases_report
from oracles.stored_results import write_result

from curvebench.board.render import CASES_FILE
from curvebench.cases.report import CasesReport
from curvebench.data import store

PARTIAL = ("lr_too_high", "lr_too_low", "healthy")


@dataclass(frozen=True)
class Made:
    """A data set, the file that it lies in, the folder of the results about it, and what was said about real cases."""

    dataset: Any
    data: Path
    results: Path
    cases: CasesReport


@pytest.fixture(scope="session")
def made(make_dataset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("board")
    dataset = make_dataset(n_cells=24, n_points=32)
    store.write(dataset, folder / "data.h5")
    results = folder / "results"
    write_result(results, dataset, "rules", slug="rules", kind="rules", skill=2.5, seed=1)
    write_result(
        results, dataset, "zoo/late-slope", slug="zoo-late-slope", kind="one-liner", skill=1.0,
        tracks=("curve", "telemetry"), seed=2,
    )  # fmt: skip
    write_result(
        results, dataset, "plateau-watcher", slug="plateau-watcher", kind="tool", skill=2.0, covers=PARTIAL, share=0.5,
        mapping={"loss explodes": "lr_too_high", "loss crawls": "lr_too_low"}, seed=3,
    )  # fmt: skip
    write_result(
        results, dataset, "broken", slug="broken", status="timed_out", texts={"message": "took longer than 600 s"}
    )
    write_result(results, dataset, "rules", slug="rules", kind="rules", skill=2, version=2, digest="f" * 64, seed=4)
    cases = made_up_cases_report()
    (folder / CASES_FILE).write_bytes(cases.to_bytes())
    return Made(dataset, folder / "data.h5", results, cases)
