"""Tools that people install to watch their training, as diagnosers: one thin adapter a file."""

from __future__ import annotations

from collections.abc import Mapping

TOOLS: Mapping[str, tuple[str, str]] = {
    "gradsnitch": ("gradsnitch:Gradsnitch", "a linter of training runs, ten rules"),
    "runmedic": ("runmedic:Runmedic", "checks of a run with causes and fixes, through its command line"),
    "trainspotter": ("trainspotter:Trainspotter", "nine detectors on robust statistics"),
    "training-doctor": (
        "training_doctor:TrainingDoctor",
        "a live monitor with detectors of rates too high and too low",
    ),
    "losslint": ("losslint:Losslint", "a linter of training logs, through its command line"),
    "trainproof": ("trainproof:Trainproof", "a verdict on the logs of a run, fourteen checks"),
    "pytscope": ("pytscope:Pytscope", "a profiler with rules on convergence"),
    "silver-diagnostics": ("silver_diagnostics:SilverDiagnostics", "a health score for a history of metrics"),
    "sk-autod": ("sk_autod:SkAutod", "ten detectors on the losses of epochs"),
    "reduce-lr-on-plateau": ("reduce_lr_on_plateau:ReduceLROnPlateau", "torch's scheduler, patience 10: where it cuts"),
    "early-stopping": ("early_stopping:EarlyStopping", "Lightning's callback, patience 3: where it stops"),
}
"""Name -> module:class below this package, and one line. Each is shown the training loss alone, and NAME/full
all columns."""

VARIANTS: Mapping[str, tuple[str, str]] = {
    "reduce-lr-on-plateau/patient": (
        "reduce_lr_on_plateau:PatientReduceLROnPlateau",
        "torch's scheduler, patience 50: where it cuts",
    ),
    "early-stopping/patient": (
        "early_stopping:PatientEarlyStopping",
        "Lightning's callback, patience 50: where it stops",
    ),
}
"""The same with other settings, on the training loss alone."""
