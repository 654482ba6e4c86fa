"""What a data set is, in words, for those who meet it in another tool."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from curvebench.data.columns import COLUMNS
from curvebench.data.dataset import Meta
from curvebench.spec import LABELS, SPLITS, Diagnosis

SUMMARY = (
    "Loss curves of small neural networks, labelled by intervention: the same network was trained again with every "
    "remedy, and the remedy that really helped names the diagnosis."
)

MEANINGS: Mapping[str, str] = MappingProxyType(
    {
        Diagnosis.LR_TOO_HIGH: "a lower learning rate, started again, really helped",
        Diagnosis.LATE_LR_TOO_HIGH: "a lower learning rate for the last epochs really helped",
        Diagnosis.LR_TOO_LOW: "a higher learning rate, started again, really helped",
        Diagnosis.LATE_LR_TOO_LOW: "a higher learning rate for the last epochs really helped",
        Diagnosis.OUTPUT_MISMATCH: "another output activation or its loss really helped",
        Diagnosis.HEALTHY: "no remedy helped by a material amount",
        "other": "nothing was learned though something could be, and no remedy helped; not scored",
        "indeterminate": "the seeds do not agree; not scored",
    }
)
"""Label -> what it says."""

Counts = Mapping[tuple[str, str], int]
"""(split, label) -> runs."""


def describe(meta: Meta) -> str:
    """A page of Markdown about a data set: what it holds, what its labels mean, where it comes from, its licence."""
    labels = "\n".join(f"| `{label}` | {meaning} |" for label, meaning in MEANINGS.items())
    sources = "\n".join(f"| {plain(name)} | {plain(licence)} |" for name, licence in meta.source_licences.items())
    return f"""{SUMMARY}

A row is a run: one training of one network. Curves hold NaN and infinities as they happened. Rows of one `problem`
belong together: split by it, not by row. The split `test_ood` has problem families and optimisers that the others
never show.

| label | meaning |
|---|---|
{labels}

Recipe {plain(meta.recipe_name)}, version {plain(meta.recipe_version)}, engine {plain(meta.engine)}. Licence of the
data: {plain(meta.licence)}. What it was made from:

| source | licence |
|---|---|
{sources}
"""


def describe_columns() -> str:
    """A table of Markdown with what stands in each column."""
    rows = [
        f"| `{name}` | {', '.join(('run', *column.axes))} | {column.unit} | {column.description} |"
        for name, column in COLUMNS.items()
    ]
    return "\n".join(["| column | axes | unit | meaning |", "|---|---|---|---|", *rows])


def describe_counts(counts: Counts) -> str:
    """A table of Markdown with the number of runs of each label in each split that has some."""
    splits = splits_of(counts)
    rows = [
        f"| `{label}` | " + " | ".join(f"{counts.get((split, label), 0):,}" for split in splits) + " |"
        for label in LABELS
    ]
    return "\n".join([f"| runs | {' | '.join(splits)} |", "|---" * (len(splits) + 1) + "|", *rows])


def splits_of(counts: Counts) -> list[str]:
    """The splits that have runs, in their order."""
    return [split for split in SPLITS if any(counts.get((split, label), 0) for label in LABELS)]


def one_line(text: str) -> str:
    r"""Text of a file that nobody vouches for, without line ends and other characters that do something.

    >>> one_line("a\u2028b\n  c")
    'a b c'
    """
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def plain(text: str) -> str:
    """The same as code in Markdown, wherever it stands.

    >>> plain("CC-BY-4.0"), plain("a|b`<i>")
    ('`CC-BY-4.0`', '`a b <i>`')
    """
    return f"`{one_line(text.replace('`', ' ').replace('|', ' '))}`"
