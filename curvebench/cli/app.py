"""The application that commands register with, and the options that they share."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from curvebench.cli import completion
from curvebench.console import say, show

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""

FIRST_STEPS = {
    "curvebench evaluate mini": "score the reference classifier on a small data set that comes with the package",
    "curvebench plot mini -o gallery.png": "see what the labels mean",
    "curvebench generate quick -o quick.h5": "train and label a small data set; under a minute",
    "curvebench diagnose LOG": "what is wrong with a training run of yours, from its log",
}
"""Command -> what it is good for, in the order in which a newcomer may try them."""

WHAT_NEXT = {
    "curvebench --help": "all commands",
    "curvebench COMMAND --help": "one of them, with an example",
    "curvebench --install-completion": "have the shell complete commands and names on Tab",
}

_EXIT_CODES = "Exit codes: 0 fine, 1 a check failed, 2 usage, 3 bad input, 4 internal error, 130 interrupted."
_STEPS = [f"[bold]{step}[/bold]  {what}" for step, what in FIRST_STEPS.items()]


class Commands(TyperGroup):
    """The commands; an interruption of any becomes one word and its documented exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            say("interrupted")
            sys.exit(INTERRUPTED)


app = typer.Typer(
    name="curvebench",
    cls=Commands,
    epilog="\n\n".join(["First steps:", *_STEPS, _EXIT_CODES]),
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Nothing on standard error but errors.")]
DataFile = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help="A data set: a file, a folder of shards, or mini, which comes with the package.",
        show_default=False,
        autocompletion=completion.data_set,
    ),
]
Output = Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="File to write.", show_default=False)]
Force = Annotated[bool, typer.Option("--force", "-f", help="Replace the output if it exists.")]
WHO = "Name, package.module:attribute, file.py:attribute, exec:program or model.cbm"
"""What names a diagnoser."""


def diagnosers_option(by_default: str, who: str = WHO) -> Any:
    """The option that names diagnosers, with what it says about who is asked without it."""
    return typer.Option(
        "--diagnoser",
        "-d",
        metavar="NAME",
        help=f"{who}; may be repeated.",
        show_default=by_default,
        autocompletion=completion.diagnoser,
    )


ENOUGH_INSTANCES = 20
"""Problem instances of a split from which on its intervals mean something."""


def given(**options: Any) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in options.items() if value is not None}


def show_facts(facts: Mapping[str, Any]) -> None:
    """A line for each: its name and its value."""
    width = max(map(len, facts))
    show("\n".join(f"{name:{width}}  {value}" for name, value in facts.items()))


def look_here() -> None:
    """Let modules of the current folder be found."""
    if not sys.flags.safe_path and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
