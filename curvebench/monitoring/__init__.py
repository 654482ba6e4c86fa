"""Diagnosing while training runs: a monitor without a framework, and thin adapters for those that people use.

`callbacks` has one module for each framework, which alone imports it.

>>> from curvebench.monitoring import Monitor
>>> monitor = Monitor(total_steps=1000, diagnoser="rules")
>>> [said for step in range(1, 1001) if (said := monitor.update(step, 9 / step if step < 300 else float("nan")))]
[<Diagnosis.LR_TOO_HIGH: 'lr_too_high'>]
>>> print(monitor.findings[0])
Step 302, 30 % of training: lr_too_high (probability 0.90). Lower the learning rate and start again.
"""

from curvebench.monitoring.monitor import Finding, Monitor
from curvebench.monitoring.watch import Watch

__all__ = ["Finding", "Monitor", "Watch"]
