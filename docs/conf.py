"""How the site is made of these pages: pip install '.[docs]' && python -m sphinx -W docs site."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from typer.core import TyperGroup
from typer.main import get_command

import curvebench
from curvebench.cli import app

ROOT = Path(__file__).parents[1]

project = "CurveBench"
copyright = "The CurveBench authors"
version = release = curvebench.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}

# links to headings as code hosts make them
myst_heading_anchors = 4
myst_linkify_fuzzy_links = False

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True}
autodoc_type_aliases = {"Float": "Float", "Int": "Int", "Bool": "Bool"}
python_use_unqualified_type_names = True
default_role = "code"  # docstrings have single backticks around code

html_theme = "furo"
html_title = "CurveBench"
html_copy_source = html_show_sourcelink = False
html_show_sphinx = False
suppress_warnings = ["myst.header"]  # pages that are included begin where they are included


# ------------------------------------------------------------------------- pages that are not only in this folder


def _read(app_: Any, name: str, source: list[str]) -> None:
    """The README is the home page, a file of LICENSES a page, and all commands are another."""
    if name == "index":
        home = (ROOT / "README.md").read_text(encoding="utf-8")
        home = home.replace("](docs/", "](").replace("](LICENSES/DATA.md)", "](licences.md)")
        home = home.replace("](CITATION.cff)", "](licences.md#how-to-cite)")
        source[0] = home + source[0].split("-->", 1)[1]
    elif name == "licences":
        source[0] = (ROOT / "LICENSES" / "DATA.md").read_text(encoding="utf-8") + source[0].split("-->", 1)[1]
    elif name == "reference/commands":
        source[0] += "\n" + "\n\n".join(_sections(get_command(app), "curvebench"))
    source[0] = re.sub(r"\]\((\.\./)+README\.md", f"]({'../' * name.count('/')}index.md", source[0])


def _sections(group: Any, path: str) -> list[str]:
    sections = []
    for name in sorted(group.commands):
        command, full = group.commands[name], f"{path} {name}"
        if isinstance(command, TyperGroup):
            sections += _sections(command, full)
        else:
            sections += [f"## {full}", _unstyled(command.help or ""), _table(command)]
    return sections


def _table(command: Any) -> str:
    rows = ["| argument or option | meaning |", "|---|---|"]
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            names = f"`{parameter.metavar or parameter.name.upper()}`"
        else:
            value = "" if parameter.is_flag else f" {parameter.metavar or parameter.name.upper()}"
            names = ", ".join(f"`{name}{value}`" for name in (*parameter.opts, *parameter.secondary_opts))
        rows.append(f"| {names} | {_unstyled(parameter.help or '')}{_default(parameter)} |")
    return "\n".join(rows)


def _default(parameter: Any) -> str:
    shown, value = parameter.show_default, parameter.default
    if isinstance(shown, str):
        return f" Default: {shown}."
    if not shown or value is None or callable(value) or getattr(parameter, "is_flag", False):
        return ""
    return f" Default: `{value}`."


def _unstyled(text: str) -> str:
    """The help of a command as Markdown: what is bold there is a command."""
    return re.sub(r"\[bold\](.*?)\[/bold\]", r"`\1`", text).replace("|", "\\|")


def setup(app_: Any) -> None:
    """Called by Sphinx."""
    app_.connect("source-read", _read)
