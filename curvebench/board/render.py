"""Renders the board: a page that opens from disk without a network, and a README. The same results, the same bytes."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from curvebench.board.curves import explorer_data
from curvebench.board.entries import TABLE_SPLITS, Row, page_of, rows_of, title_of
from curvebench.board.real import RealTable, real_table
from curvebench.board.stored import DataSet, Submission, read_results
from curvebench.board.texts import to_markdown
from curvebench.cases.reading import WILD, read_cases
from curvebench.cases.report import CasesReport, read_report
from curvebench.data.dataset import Dataset, content_sha256
from curvebench.data.store import load, publish
from curvebench.spec import DIAGNOSES, SPLITS, TRACKS, InputError, UsageError

SCRIPTS = ("dom.js", "plots.js", "table.js", "diagnoser.js", "explorer.js", "main.js")
"""Parts of the page's one script, in the order in which they are joined."""

AXIS = (-0.5, 1.0)
"""Values between which the small intervals of the table are drawn."""

CASES_FILE = "cases.json"
"""What diagnosers said about the shipped real cases lies in a file of this name beside the folder of results."""

MAX_PAGE_BYTES = 3_000_000
"""A page beyond this would be a burden to whoever opens it from a phone."""


@dataclass(frozen=True)
class Board:
    """What was rendered.

    Attributes:
        page: index.html.
        readme: README.md.
        n_results: results that are on it.
        n_curves: curves in its explorer.
    """

    page: str
    readme: str
    n_results: int
    n_curves: int


def build(results: Path, output: Path, data: Path | None = None, cases: Path | None = None) -> Board:
    """Render what lies in a folder of results and write `README.md` and `index.html` to another.

    Args:
        results: holds a folder for each data set.
        output: an existing folder; both files are replaced.
        data: data set whose curves the page shows; it must be one that the results are about.
        cases: what diagnosers said about the shipped real cases; by default the file `CASES_FILE` beside the folder of
            results, if there is one.

    Raises:
        InputError: a result, an answer beside it, or the file on cases is not what it should be; or no result is about
            the data set.
        UsageError: there is no such folder, or it can't be written to.
    """
    for folder in (results, output):
        if not folder.is_dir():
            raise UsageError(f"There is no folder {folder}; give one with --results or --output.")
    beside = results.resolve().parent / CASES_FILE
    if cases is None and beside.exists():
        cases = beside
    board = render(
        read_results(results),
        None if data is None else load(data),
        None if cases is None else read_report(cases, read_cases(WILD)),
    )
    publish(board.readme.encode(), output / "README.md", overwrite=True)
    publish(board.page.encode(), output / "index.html", overwrite=True)
    return board


def render(
    results: Mapping[DataSet, Sequence[Submission]], dataset: Dataset | None = None, cases: CasesReport | None = None
) -> Board:
    """Both files as text, a pure function of what was read.

    Raises:
        InputError: as for `build`; or the page would be larger than `MAX_PAGE_BYTES`.
    """
    tables = [_table(data_set, submissions) for data_set, submissions in results.items()]
    explored = None if dataset is None else _explored(results, dataset)
    real: RealTable | None = None if cases is None else real_table(cases)
    data = {
        "diagnoses": list(DIAGNOSES),
        "sets": [
            {
                "id": data_set.folder,
                "title": title_of(data_set),
                "sha256": data_set.content_sha256,
                "results": [page_of(submission) for submission in submissions],
            }
            for data_set, submissions in results.items()
        ],
        "explorer": explored,
    }
    environment = _environment()
    script = "\n".join(
        ["(() => {", '"use strict";', *(_shipped(name) for name in SCRIPTS), "})();"],
    )
    style = _shipped("style.css")
    page = environment.get_template("page.html.j2").render(
        tables=tables,
        real=real,
        kinds=sorted({row.kind for table in tables for row in table["all_rows"]}),
        tracks=[t for t in TRACKS if any(row.track == t for table in tables for row in table["all_rows"])],
        splits=[s for s in SPLITS if any(s in table["rows"] for table in tables)],
        has_curves=explored is not None,
        style=Markup(style),
        script=Markup(script),
        style_hash=_csp_hash(style),
        script_hash=_csp_hash(script),
        data=Markup(json_block(data)),
        whisker=_whisker,
    )
    if len(page.encode()) > MAX_PAGE_BYTES:
        raise InputError(
            f"The page would have {len(page.encode()):,} bytes, more than the {MAX_PAGE_BYTES:,} that a phone can be "
            "asked to load; render fewer results."
        )
    readme = environment.get_template("README.md.j2").render(
        tables=tables,
        real=real,
        splits=TABLE_SPLITS,
        markdown=lambda text: Markup(to_markdown(text)),
    )
    n_results = sum(len(submissions) for submissions in results.values())
    return Board(page, readme, n_results, 0 if explored is None else len(explored["runs"]))


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("curvebench.board", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["number"] = _number
    environment.filters["percent"] = lambda share: "–" if share is None else f"{100 * share:.0f}"
    environment.filters["key"] = lambda value: "" if value is None else repr(float(value))
    return environment


def _shipped(name: str) -> str:
    return files("curvebench.board").joinpath("page", name).read_text(encoding="utf-8")


def _csp_hash(text: str) -> str:
    """What a content security policy calls an inline script or style."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def json_block(data: Any) -> str:
    r"""JSON that may stand in a script element: nothing in it can end the element or begin a comment.

    >>> json_block("</script><!--")
    '"\\u003c/script\\u003e\\u003c!--"'
    """
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _number(value: float | None, digits: int = 2, *, signed: bool = False) -> str:
    """A number with a true minus sign; a dash where there is none."""
    if value is None:
        return "–"
    text = f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("+-")
    return text.replace("-", "−")


def _whisker(row: Row) -> dict[str, str] | None:
    """Where the value, its interval and zero lie on the small axis of the table, 0 to 100."""
    value, interval = row.score("value"), row.interval("value")
    if value is None or interval is None:
        return None
    low, high = AXIS
    places = {"value": value, "low": interval[0], "high": interval[1], "zero": 0.0}
    return {name: f"{100 * min(1.0, max(0.0, (x - low) / (high - low))):.1f}" for name, x in places.items()}


def _table(data_set: DataSet, submissions: Sequence[Submission]) -> dict[str, Any]:
    rows = rows_of(submissions)
    return {
        "id": data_set.folder,
        "title": title_of(data_set),
        "sha256": data_set.content_sha256,
        "rows": rows,
        "all_rows": [row for of_split in rows.values() for row in of_split],
        "about": {split: _about(of_split) for split, of_split in rows.items()},
    }


def _about(rows: Sequence[Row]) -> str:
    """What the scores of a split rest on: the most runs that any of them was asked about."""
    counts = [row.evaluation.counts for row in rows if row.evaluation.counts is not None]
    if not counts:
        return "no scores"
    most = max(counts, key=lambda c: c.n_runs)
    return f"{most.n_runs:,} runs of {most.n_problem_instances:,} problem instances"


def _explored(results: Mapping[DataSet, Sequence[Submission]], dataset: Dataset) -> dict[str, Any]:
    digest = content_sha256(dataset)
    for data_set, submissions in results.items():
        if data_set.content_sha256 == digest:
            return {"set": data_set.folder, **explorer_data(dataset, submissions)}
    raise InputError(
        f"No result is about the data set that was given, whose content is {digest}; they are about "
        f"{', '.join(f'{d.folder} ({d.content_sha256})' for d in results)}."
    )
