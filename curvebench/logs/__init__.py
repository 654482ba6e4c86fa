"""Readers of real training logs: from files of any tracker, framework or print statement to loss curves.

>>> from curvebench.logs import read_log
>>> read_log("no/such/log.csv")
Traceback (most recent call last):
    ...
curvebench.spec.InputError: no/such/log.csv: There is no such file or folder.
"""

from curvebench.logs.curve import Curve
from curvebench.logs.reading import FORMATS, read_log

__all__ = ["FORMATS", "Curve", "read_log"]
