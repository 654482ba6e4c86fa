"""What the monitor would have said while the runs of a data set were trained, and how often it was right.

Each run is told point by point, with its planned length. A finding is right if it is an accepted diagnosis of the run.

    python tests/benchmarks/monitor_on_runs.py core.h5 --diagnoser rules --split test --runs 2000
"""

from __future__ import annotations

import argparse
import sys

import numpy as np

import curvebench
from curvebench import Monitor
from curvebench.diagnosers import resolve
from curvebench.monitoring.monitor import DEFAULT_DIAGNOSER, MIN_PROBABILITY
from curvebench.spec import CHANNELS, DIAGNOSES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", help="a data set, or mini")
    parser.add_argument("--diagnoser", default=DEFAULT_DIAGNOSER)
    parser.add_argument("--split", default="test")
    parser.add_argument("--runs", type=int, default=2000, help="this many of the split, drawn at random")
    parser.add_argument("--min-probability", type=float, default=MIN_PROBABILITY)
    asked = parser.parse_args()
    part = curvebench.load(asked.file).split(asked.split)
    part = part.select(part.is_scored)
    part = part.select(np.random.default_rng(0).permutation(part.n_runs)[: asked.runs])
    curves = part.to_numpy3d(track="config")
    diagnoser = resolve(asked.diagnoser)
    found = []
    for run in range(part.n_runs):
        steps = part["step"][run, : part["length"][run]].tolist()
        monitor = Monitor(steps[-1], diagnoser=diagnoser, min_probability=asked.min_probability)
        for point, step in enumerate(steps):
            monitor.update(
                step, curves[run, 0, point], **dict(zip(CHANNELS[1:4], curves[run, 1:4, point], strict=True))
            )
        found.append(monitor.findings)
    report(found, part["accepted"] > 0, part.labels == "healthy")


def report(
    found: list[tuple[curvebench.monitoring.Finding, ...]], accepted: np.ndarray, is_healthy: np.ndarray
) -> None:
    """Print the table; accepted (n_runs, 6) and is_healthy (n_runs,) are of the runs that were told."""
    said = [(run, finding) for run, findings in enumerate(found) for finding in findings]
    has_finding = np.array([bool(findings) for findings in found])
    right = [accepted[run, DIAGNOSES.index(finding.diagnosis)] for run, finding in said]
    out = sys.stdout.write
    out(f"{len(found)} runs: something is said about {has_finding.mean():.1%}, ")
    out(f"about {has_finding[is_healthy].mean():.1%} of the healthy ones\n\n")
    out("| diagnosis | said | right | median share of training when it was |\n|---|---|---|---|\n")
    for name in (*DIAGNOSES[:-1], "all"):
        rows = [i for i, (_, finding) in enumerate(said) if name in (finding.diagnosis, "all")]
        if rows:
            share = np.median([said[i][1].share for i in rows])
            out(f"| {name} | {len(rows)} | {np.mean([right[i] for i in rows]):.0%} | {share:.2f} |\n")


if __name__ == "__main__":
    main()
