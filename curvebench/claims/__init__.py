"""Common statements about adjusting a training run, each with an experiment that checks it.

A new claim is a function that judges what an experiment saw, and an entry in the `CLAIMS` of its theme. A new theme is
a module with an experiment, and a line in both registries here.
"""

from __future__ import annotations

from collections.abc import Mapping

from curvebench.claims import classes, decays, fine_tuning, gradients, outputs, rates, remedies
from curvebench.claims.claim import Claim, Experiment

EXPERIMENTS: Mapping[str, Experiment] = {
    "rates": rates.EXPERIMENT,
    "decays": decays.EXPERIMENT,
    "fine_tuning": fine_tuning.EXPERIMENT,
    "remedies": remedies.EXPERIMENT,
    "outputs": outputs.EXPERIMENT,
    "gradients_by_depth": gradients.BY_DEPTH,
    "gradients_at_output": gradients.AT_OUTPUT,
    "one_label": classes.ONE_LABEL,
    "several_labels": classes.SEVERAL_LABELS,
}
"""Name -> experiment; several claims may share one."""

CLAIMS: Mapping[str, Claim] = {
    claim.key: claim
    for theme in (rates, decays, fine_tuning, remedies, outputs, gradients, classes)
    for claim in theme.CLAIMS
}
"""Key -> claim, in the order of the report."""
