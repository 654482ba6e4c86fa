"""What an export reads: a data set in parts, so that memory does not grow with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

from curvebench.data.columns import COLUMNS, Column
from curvebench.data.dataset import Dataset, Meta, axis_lengths
from curvebench.data.store import Opened, OpenedFolder
from curvebench.interchange.description import Counts
from curvebench.spec import DIAGNOSES, SPLITS

Progress = Callable[[int, int], None]
"""Called with the rows that were read and with all there are."""


@dataclass(frozen=True)
class Source:
    """Rows of an open data set.

    Attributes:
        opened: the data set.
        scored_only: leave out the runs whose label is not one of the six diagnoses.
        track: channels that a format of curves alone holds.
        title: what to call it, a name without blanks.
        progress: told how far the reading is.
    """

    opened: Opened | OpenedFolder
    scored_only: bool
    track: str
    title: str
    progress: Progress | None = None

    @property
    def meta(self) -> Meta:
        """What gives the columns their meaning."""
        return self.opened.meta

    @property
    def content_sha256(self) -> str:
        """The content hash that stands in the file or the manifest."""
        return self.opened.content_sha256

    @cached_property
    def lengths(self) -> dict[str, int]:
        """Name of an axis after the first -> its length."""
        return axis_lengths(self.meta, self.opened.n_points)

    @property
    def columns(self) -> list[Column]:
        """The columns in file order, without those that have no values: curves of resumptions where none was tried."""
        return [column for column in COLUMNS.values() if all(self.lengths[axis] for axis in column.axes)]

    @cached_property
    def counts(self) -> Counts:
        """(split, label) -> rows that are exported."""
        kinds = zip(self.opened.column("split").tolist(), self.opened.column("diagnosis").tolist(), strict=True)
        return Counter((split, label) for split, label in kinds if label in DIAGNOSES or not self.scored_only)

    def batches(self) -> Iterator[Dataset]:
        """The rows that are exported, in their order, in parts that are not empty.

        Raises:
            InputError: something in the file is not as the format wants it.
        """
        n_read = 0
        for batch in self.opened.batches():
            chosen = batch.select(batch.is_scored) if self.scored_only else batch
            if len(chosen):
                yield chosen
            n_read += len(batch)
            if self.progress is not None:
                self.progress(n_read, self.opened.n_runs)

    def batches_by_split(self) -> Iterator[tuple[str, Dataset]]:
        """The same parts, each divided into those of its splits."""
        for batch in self.batches():
            for split in SPLITS:
                part = batch.split(split)
                if len(part):
                    yield split, part
