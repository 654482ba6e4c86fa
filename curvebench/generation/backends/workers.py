"""Who works: how many, and where they are met."""

from __future__ import annotations

from dataclasses import dataclass

IN_FLIGHT = 1000
"""Items that a cluster holds at once; the rest waits here, where it takes no message and no memory of others."""

RETRIES = 5
"""How often an item is given out again whose worker or host was lost. An error of the work itself ends all work."""


@dataclass(frozen=True)
class Workers:
    """Who is to work.

    Attributes:
        n: processes, or jobs of a queue; None: all cores of this machine, or whatever a cluster has.
        address: where an existing cluster is met; None: one that is started here and ends with the work.
    """

    n: int | None = None
    address: str | None = None
