"""The report on an investigation: its numbers as JSON, a page in Markdown made from that JSON alone, and pictures."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from curvebench.claims import CLAIMS, EXPERIMENTS
from curvebench.claims.claim import Cell, Estimate, Measurement, Panel, Rule, number
from curvebench.claims.investigation import Investigation
from curvebench.claims.pictures import draw
from curvebench.claims.remedies import groups_of
from curvebench.claims.statistics import LEVEL, N_DRAWS
from curvebench.claims.trials import MASTER_SEED
from curvebench.data.store import check_target, publish
from curvebench.data.versions import package_versions
from curvebench.spec import UsageError

PAGE, FOLDER, NUMBERS = "claims.md", "claims", "claims.json"
"""The page, the folder of pictures beside it, and the file of numbers in that folder."""

DIGITS = 6
"""Significant digits of the numbers in the JSON."""

INTRODUCTION = """# Common claims, checked

What is commonly said about adjusting a training run, and what small experiments say to it. The networks are small
and the trainings short: a verdict is about them. It shows how far a rule of thumb carries, not what holds for large
networks.

Made by

```bash
{command}
```

(`--force` replaces this page; `--effort small` takes seconds and has too few problems to judge by). All figures are in
[{numbers}]({numbers}), and this page is made from that file alone. Effort `{effort}`: {n_problems} problem
instances (half as many for decays), {n_seeds} paired seeds each, {n_updates} updates a training unless it says
otherwise, {rates_per_decade} rates in every decade. Engine `{engine}`, master seed {master_seed}; {versions}.
Remedies were looked at on {remedies}.

Losses are shares of the loss of the best constant prediction. A gain g above zero says that a loss fell by the
share g, one below zero that it rose by so much that going back would be a gain of -g. A figure with brackets is a
mean over problem instances with its {level} interval ({n_draws} bootstrap samples of the instances); one of no width
says that all instances agree, and not that others would. Instances made from one real data set (digits, wine,
breast_cancer, diabetes) share examples, which the intervals do not know.

Every verdict follows from the figures by one rule: the whole interval must lie within the bound that is asked for.
If it does under all conditions that are listed, the claim **holds**; if under some, it **holds only when** they are
met. If under none, one interval beyond the bound is enough and it **does not hold**; else it is **not decided**.
"""


# ------------------------------------------------------------------------------------------------ JSON


def to_json(found: Investigation, command: str) -> dict[str, Any]:
    """All that was found, ready for JSON.

    Args:
        found: by `investigate`.
        command: the command that did it, for the reader.
    """
    effort = found.effort
    return {
        "command": command,
        "effort": dict(vars(effort)),
        "engine": found.engine,
        "master_seed": MASTER_SEED,
        "versions": package_versions(),
        "remedies": _where_remedies_are_from(found),
        "problems": {name: list(problems) for name, problems in found.problems.items()},
        "claims": [_claim_to_json(key, measurement) for key, measurement in found.measurements.items()],
    }


def _where_remedies_are_from(found: Investigation) -> str:
    if found.dataset is None:
        recipe_file, groups = groups_of(found.effort)
        recipe = recipe_file.recipe
        return (
            f"{len(groups)} groups of the recipe `{recipe.name}`, version {recipe.version}, sha256 {recipe_file.sha256}"
        )
    meta = found.dataset.meta
    return f"a data set of the recipe `{meta.recipe_name}`, version {meta.recipe_version}, sha256 {meta.recipe_sha256}"


def _claim_to_json(key: str, measurement: Measurement) -> dict[str, Any]:
    claim, rule, verdict = CLAIMS[key], measurement.rule, measurement.verdict
    return {
        "key": key,
        "statement": claim.statement,
        "experiment": claim.experiment,
        "what": EXPERIMENTS[claim.experiment].what,
        "note": claim.note,
        "rule": {"quantity": rule.quantity, "at_least": rule.at_least, "at_most": rule.at_most},
        "effects": {condition: _plain(effect) for condition, effect in measurement.effects.items()},
        "verdict": {
            "ruling": verdict.ruling.value,
            "when": list(verdict.when),
            "why": verdict.why,
        },
        "table": {
            "caption": measurement.table.caption,
            "columns": list(measurement.table.columns),
            "rows": [[_plain(cell) for cell in row] for row in measurement.table.rows],
        },
        "panels": [_panel_to_json(panel) for panel in measurement.panels],
    }


def _plain(cell: Cell) -> Any:
    """A cell as JSON has it; numbers that are not finite become null."""
    if isinstance(cell, Estimate):
        return {name: _plain(value) if name != "n" else value for name, value in vars(cell).items()}
    if isinstance(cell, str):
        return cell
    return float(f"{cell:.{DIGITS}g}") if math.isfinite(cell) else None


def _panel_to_json(panel: Panel) -> dict[str, Any]:
    series = [
        {name: value if name == "name" else [_plain(v) for v in value] for name, value in vars(one).items()}
        for one in panel.series
    ]
    return {**vars(panel), "ticks": list(panel.ticks), "lines": list(panel.lines), "series": series}


# -------------------------------------------------------------------------------------------- Markdown


def to_markdown(report: Mapping[str, Any]) -> str:
    """The page of a report, as `to_json` gives it."""
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    introduction = INTRODUCTION.format(
        command=report["command"],
        numbers=f"{FOLDER}/{NUMBERS}",
        engine=report["engine"],
        master_seed=report["master_seed"],
        versions=versions,
        remedies=report["remedies"],
        level=f"{100 * LEVEL:.0f} %",
        n_draws=f"{N_DRAWS:,}",
        **{**report["effort"], "effort": report["effort"]["name"]},
    )
    overview = [
        (f"[{claim['statement']}](#{claim['key']})", f"**{claim['verdict']['ruling']}** {_conditions(claim)}".strip())
        for claim in report["claims"]
    ]
    problems = [f"- {name}: {', '.join(names)}" for name, names in report["problems"].items()]
    parts = [
        introduction,
        "## Verdicts\n",
        _markdown_table(["claim", "verdict"], overview, n_text=2),
        *(_section(claim) for claim in report["claims"]),
        "## Problem instances\n",
        "\n".join(problems) + "\n",
    ]
    return "\n".join(parts)


def _conditions(claim: Mapping[str, Any]) -> str:
    return "; or ".join(claim["verdict"]["when"])


def _section(claim: Mapping[str, Any]) -> str:
    table, verdict = claim["table"], claim["verdict"]
    rows = [[_text(cell) for cell in row] for row in table["rows"]]
    n_text = next((i for i, cell in enumerate(table["rows"][0]) if not isinstance(cell, str)), len(table["columns"]))
    paragraphs = [
        f"## {claim['key']}",
        f"*{claim['statement']}*",
        f"Verdict: **{verdict['ruling']}** {_conditions(claim)}".rstrip() + f". {verdict['why']}",
        " ".join([claim["what"], claim["note"]]).rstrip(),
        f"What the verdict rests on, {claim['rule']['quantity']}:",
        _markdown_table(["when", "effect", "asked for", "met"], _effect_rows(claim), n_text=1).rstrip(),
        *([f"{table['caption']}:"] if table["caption"] else []),
        _markdown_table(table["columns"], rows, n_text).rstrip(),
        *([f"![{claim['statement']}]({FOLDER}/{claim['key']}.png)"] if claim["panels"] else []),
    ]
    return "\n\n".join(paragraphs) + "\n"


def _effect_rows(claim: Mapping[str, Any]) -> list[tuple[str, ...]]:
    rule = Rule(**claim["rule"])
    rows: list[tuple[str, ...]] = []
    for condition, cell in claim["effects"].items():
        effect = _estimate(cell)
        rows.append((condition, str(effect), rule.bounds, _MET[rule.holds(effect)]))
    return rows


_MET = {True: "yes", False: "no", None: "undecided"}


def _text(cell: Any) -> str:
    if isinstance(cell, dict):
        return str(_estimate(cell))
    if cell is None:
        return ""
    return cell if isinstance(cell, str) else number(cell)


def _estimate(cell: Mapping[str, Any]) -> Estimate:
    value, low, high = (math.nan if cell[name] is None else cell[name] for name in ("value", "low", "high"))
    return Estimate(value, low, high, cell["n"])


def _markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]], n_text: int) -> str:
    """A table whose first columns are text and whose others are figures."""
    ruler = ["---" if i < n_text else "--:" for i in range(len(columns))]
    lines = [f"| {' | '.join(row)} |" for row in (columns, ruler, *rows)]
    return "\n".join(lines) + "\n"


# -------------------------------------------------------------------------------------------- writing


def check_folder(folder: str | Path, *, overwrite: bool = False) -> None:
    """Find out early whether a report could be written into a folder, which may be missing if its parent is there.

    Raises:
        UsageError: it could not, and why.
    """
    folder = Path(folder)
    if not folder.is_dir():
        check_target(folder)
        return
    check_target(folder / PAGE, overwrite=overwrite)
    if not (folder / FOLDER).is_dir():
        check_target(folder / FOLDER)


def write_report(found: Investigation, folder: str | Path, command: str, *, overwrite: bool = False) -> dict[str, Any]:
    """Write the page, its numbers and its pictures into a folder; the page last.

    Returns:
        The report, as `to_json` gives it.

    Raises:
        UsageError: something cannot be written, or the page exists and may not be replaced.
    """
    folder = Path(folder)
    check_folder(folder, overwrite=overwrite)
    try:
        (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"The folder {str(folder / FOLDER)!r} cannot be made: {error.strerror}.") from None
    report = to_json(found, command)
    for key, measurement in found.measurements.items():
        if measurement.panels:
            publish(draw(measurement.panels), folder / FOLDER / f"{key}.png", overwrite=True)
    numbers = json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    publish(numbers.encode(), folder / FOLDER / NUMBERS, overwrite=True)
    publish(to_markdown(report).encode(), folder / PAGE, overwrite=overwrite)
    return report
