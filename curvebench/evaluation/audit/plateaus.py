"""Are there plateaus that look alike and have different causes? Telling them apart is the point of the benchmark."""

from __future__ import annotations

from curvebench.data.dataset import Dataset
from curvebench.data.neighbours import lookalikes
from curvebench.evaluation.audit.report import Measured


def plateaus(dataset: Dataset) -> Measured:
    """Of every two causes of a plateau how many pairs of runs look alike; see `lookalikes`."""
    counts = {" / ".join(causes): len(found.rows) for causes, found in lookalikes(dataset).items()}
    return Measured({"fewest": min(counts.values())}, {"pairs": counts})
