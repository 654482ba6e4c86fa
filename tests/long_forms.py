"""Tests that take too long for CI and are commands of their own."""

from __future__ import annotations

import os

import pytest

REASON = "takes too long for CI; set CURVEBENCH_SLOW=1 to run it"
"""The one reason of the kind that `conftest` expects of a test that is skipped in CI."""


def skipped_unless_wanted(*given: str | None) -> pytest.MarkDecorator:
    """A mark: skip unless CURVEBENCH_SLOW is set or one of the files that the tests would make is given."""
    return pytest.mark.skipif(not any((os.environ.get("CURVEBENCH_SLOW"), *given)), reason=REASON)
