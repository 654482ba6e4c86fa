"""Does every label occur often enough, and is nearly every run decided?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from curvebench.data.dataset import Dataset
from curvebench.data.plain_files import parse_toml
from curvebench.evaluation.audit.report import Measured
from curvebench.spec import DIAGNOSES, INDETERMINATE, LABELS, InputError


def balance(dataset: Dataset) -> Measured:
    """Share of the rarest of the six labels in the scored runs, and of indeterminate runs in all.

    Raises:
        InputError: no run is scored.
    """
    counts = Counter(dataset.labels.tolist())
    n_scored = sum(counts[name] for name in DIAGNOSES)
    if n_scored == 0:
        raise InputError("The data set has no runs that are scored.")
    shares = {name: counts[name] / n_scored for name in DIAGNOSES}
    details = {
        "share_of_scored": shares,
        "runs": {name: counts[name] for name in LABELS},
    }
    if (before := _before_thinning(dataset.meta.recipe_text, counts)) is not None:
        details["indeterminate_before_thinning"] = before[INDETERMINATE] / sum(before.values())
    return Measured(
        {"rarest_label": min(shares.values()), "indeterminate": counts[INDETERMINATE] / len(dataset)}, details
    )


def _before_thinning(recipe_text: str, counts: Mapping[str, int]) -> dict[str, float] | None:
    """Expected number of runs of each label before the recipe's `[keep]` thinned them; None where nobody knows."""
    try:
        keep = parse_toml(recipe_text).get("keep", {})
        kept = {name: float(keep.get(name, 1.0)) for name in LABELS}
    except (ValueError, TypeError, AttributeError, RecursionError):  # some other text than a recipe of ours
        return None
    if any(share <= 0 for share in kept.values()):
        return None
    return {name: counts[name] / kept[name] for name in LABELS}
