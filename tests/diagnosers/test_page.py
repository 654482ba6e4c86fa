"""The table of published rules on docs/diagnosers.md is what the registry and the mappings say.

Run as a command it prints the table.
"""

from __future__ import annotations

from pathlib import Path

from curvebench.diagnosers import DIAGNOSERS, KINDS, make_diagnoser

PAGE = Path(__file__).parents[2] / "docs" / "diagnosers.md"


def table() -> str:
    lines = ["| name | source | track | covers | finding → diagnosis |", "|---|---|---|---|---|"]
    for name, entry in DIAGNOSERS.items():
        if entry.kind == "published":
            rules = make_diagnoser(name)
            covers = ", ".join(f"`{diagnosis}`" for diagnosis in rules.covers)
            mapping = "; ".join(f"{finding} → `{diagnosis}`" for finding, diagnosis in rules.mapping.items())
            lines.append(f"| `{name}` | {rules.source} | {rules.track} | {covers} | {mapping} |")
    return "\n".join(lines)


def test_the_table_is_up_to_date():
    assert f"\n\n{table()}\n\n" in PAGE.read_text(encoding="utf-8")


def test_every_kind_is_explained():
    text = PAGE.read_text(encoding="utf-8")
    assert [
        line.split("`")[1] for line in text.splitlines() if line.startswith("| `") and line.count("|") == 3
    ] == list(KINDS)


if __name__ == "__main__":
    print(table())  # noqa: T201
