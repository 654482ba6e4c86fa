"""The tables of docs/tools.md are those of the code. `python tests/diagnosers/tools/test_page.py` writes them again."""

from __future__ import annotations

import re
import tomllib
from importlib import import_module
from pathlib import Path

from curvebench.diagnosers.tools import TOOLS
from curvebench.diagnosers.tools.adapter import Meaning, Tool
from curvebench.spec import DIAGNOSES

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "tools.md"
BEGIN, END = "<!-- tables of the code begin -->\n", "<!-- tables of the code end -->\n"


def adapters() -> dict[str, type[Tool]]:
    targets = {name: target.split(":") for name, (target, _) in TOOLS.items()}
    return {
        name: getattr(import_module(f"curvebench.diagnosers.tools.{module}"), attribute)
        for name, (module, attribute) in targets.items()
    }


def covered(tool: type[Tool]) -> str:
    """Diagnoses that it has a word for; in italics those that take more columns than the loss."""
    alone = {m.diagnosis for m in (*tool.MAPPING.values(), tool.SILENCE) if not m.needs}
    ever = {m.diagnosis for m in (*tool.MAPPING.values(), tool.SILENCE)}
    return ", ".join(f"`{d}`" if d in alone else f"*`{d}`*" for d in DIAGNOSES if d in ever)


def row(finding: str, meaning: Meaning) -> str:
    needs = ", ".join(f"`{column}`" for column in meaning.needs)
    diagnosis = f"`{meaning.diagnosis}`" if meaning.diagnosis else "none"
    return f"| {finding} | {diagnosis} | {needs} | {meaning.reason} |"


def tables() -> str:
    lines = ["| name | package | covers | slow |", "|---|---|---|---|"]
    for name, tool in adapters().items():
        source = tool.SOURCE
        package = f"[{source.package}]({source.address}) {source.version or '2.6 to 2.13'}"
        lines.append(f"| `{name}` | {package} | {covered(tool)} | {'yes' if tool.is_slow else ''} |")
    for name, tool in adapters().items():
        lines += ["", f"### {name}", "", "| finding | diagnosis | needs | why |", "|---|---|---|---|"]
        lines += [row(f"`{finding}`", meaning) for finding, meaning in tool.MAPPING.items()]
        lines.append(row("(nothing)", tool.SILENCE))
    return "\n".join(lines) + "\n"


def test_the_tables_are_those_of_the_code():
    text = PAGE.read_text(encoding="utf-8")
    between = text.partition(BEGIN)[2].partition(END)[0]
    assert between == tables(), "python tests/diagnosers/tools/test_page.py writes the tables again"


def test_the_extra_pins_the_versions_that_the_adapters_know():
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["tools"]
    pinned = dict(requirement.split("==") for requirement in extra if "==" in requirement)
    assert pinned == {t.SOURCE.package: t.SOURCE.version for t in adapters().values() if t.SOURCE.version}
    unpinned = [re.split(r"[<>]", requirement)[0] for requirement in extra if "==" not in requirement]
    assert unpinned == [t.SOURCE.package for t in adapters().values() if not t.SOURCE.version]


def main() -> None:
    text = PAGE.read_text(encoding="utf-8")
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    PAGE.write_text(before + BEGIN + tables() + END + after, encoding="utf-8")


if __name__ == "__main__":
    main()
