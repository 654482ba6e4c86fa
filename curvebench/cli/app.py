"""The application that commands register with, and the options that they share."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from inspect import cleandoc
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from curvebench.cli import completion
from curvebench.console import say, show_text, writing_output
from curvebench.spec import UsageError

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

PANELS: Mapping[str, Sequence[str]] = {
    "Judge diagnosers": (
        "evaluate", "compare", "diagnosers", "check-diagnoser", "fit", "evaluate-cases", "documented",
    ),
    "Look at data sets": ("info", "verify", "plot", "phenomena", "audit", "export"),
    "Make data sets": ("recipes", "generate", "relabel", "subset", "pack"),
    "Real training runs": ("diagnose", "logs", "calibrate"),
    "Results and claims": ("leaderboard", "claims"),
}  # fmt: skip
"""Title -> the commands below it in the help, in the order in which a newcomer may want them."""

_EXIT_CODES = "Exit codes: 0 fine, 1 a check failed, 2 usage, 3 bad input, 4 internal error, 130 interrupted."
_STEPS = [f"[bold]{step}[/bold]  {what}" for step, what in FIRST_STEPS.items()]


class _Context(typer.Context):
    """Of a command: help is written past `show`, and fails as that does."""

    def get_help(self) -> str:
        """What typer makes of it; most it writes itself."""
        with writing_output():
            try:
                text = super().get_help()
            except SystemExit:  # rich gives up with 1 where the reader has gone; `show` does with 0
                raise SystemExit(0) from None
            sys.stdout.flush()
        return text


class Commands(TyperGroup):
    """The commands; an interruption of any becomes one word and its documented exit code."""

    context_class = _Context

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name."""
        command = super().get_command(ctx, cmd_name)
        if command is not None:
            command.context_class = _Context
            command.help = _flowing(command.help or "")
        return command

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            say("interrupted")
            sys.exit(INTERRUPTED)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """What was asked for; an option about completion may stand without the name of a shell."""
        return super().parse_args(ctx, [*args, ""] if args in _WITHOUT_A_SHELL else args)


class _AllCommands(Commands):
    """The same, below the titles of `PANELS`."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names of the commands, in the order of `PANELS`."""
        in_order = [name for names in PANELS.values() for name in names]
        return sorted(super().list_commands(ctx), key=in_order.index)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name, which knows what it stands below."""
        command = super().get_command(ctx, cmd_name)
        if command is not None:
            command.rich_help_panel = next(title for title, names in PANELS.items() if cmd_name in names)
        return command


def _flowing(text: str) -> str:
    """Help whose lines end where the terminal does, not where those of its source do."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in cleandoc(text).split("\n\n"))


_WITHOUT_A_SHELL = (["--install-completion"], ["--show-completion"])


app = typer.Typer(
    name="curvebench",
    cls=_AllCommands,
    add_completion=False,
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
NameOfSteps = Annotated[
    str | None, typer.Option(metavar="NAME", help="Name under which the steps are logged.", show_default="found")
]
NameOfLoss = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Name under which the training loss is logged.", show_default="found"),
]
NameOfRate = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Name under which the learning rate is logged.", show_default="found"),
]
Workers = Annotated[
    int | None, typer.Option(metavar="N", min=1, max=4096, help="Processes at a time.", show_default="all cores")
]
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


Isolation = Annotated[
    str,
    typer.Option(
        metavar="HOW",
        help="Where diagnosers run: none (in this process), process or namespace.",
        autocompletion=completion.isolation,
    ),
]
TimeLimit = Annotated[
    float | None,
    typer.Option(metavar="SECONDS", help="For each question to an isolated diagnoser.", show_default="600"),
]
MemoryLimit = Annotated[
    float | None, typer.Option(metavar="MIB", help="Of an isolated diagnoser.", show_default="4096")
]


def where_to_run(
    isolation: str, time_limit: float | None, memory_limit: float | None, hidden: Sequence[Path] = ()
) -> dict[str, Any]:
    """The arguments of an evaluation that say where diagnosers run, from the options; none for in this process.

    Args:
        isolation: one of `curvebench.evaluation.isolation.ISOLATIONS`.
        time_limit: seconds.
        memory_limit: MiB.
        hidden: what a diagnoser finds empty in a namespace.

    Raises:
        UsageError: there is no such isolation, or limits without one.
    """
    from curvebench.evaluation.isolation import check_isolation
    from curvebench.processes import ProcessLimits

    check_isolation(isolation)
    if isolation == "none":
        if time_limit is not None or memory_limit is not None:
            raise UsageError("Limits hold for isolated diagnosers: give --isolation process or namespace too.")
        return {}
    memory_bytes = None if memory_limit is None else _bytes(memory_limit)
    limits = ProcessLimits(**given(seconds=time_limit, memory_bytes=memory_bytes))
    return {"isolation": isolation, "limits": limits, "hidden": list(hidden)}


def _bytes(mib: float) -> int:
    if not 0 < mib < 2**43:
        raise UsageError(f"--memory-limit is {mib} MiB; it must be positive and no more than a machine can have.")
    return int(mib * 2**20)


def look_up(names: Sequence[str], how: Mapping[str, Any], track: str | None = None) -> None:
    """Complain of who cannot be asked before any work, and let modules of the current folder be found.

    Nothing is run of a diagnoser that is to be isolated; what is wrong with it becomes its status.

    Args:
        names: of diagnosers.
        how: what `where_to_run` returned.
        track: what they are to be shown.

    Raises:
        UsageError: there is none of that name, or it does not take the track.
        InputError: it is the path of a file that is no model.
    """
    from curvebench.diagnosers import check_name, is_reference, resolve
    from curvebench.evaluation.evaluate import checked_track

    if any(":" in name for name in names):
        look_here()
    for name in names:
        if is_reference(name):
            continue
        if how:
            check_name(name)
            continue
        candidate = resolve(name)
        try:
            checked_track(candidate, track)
        except (UsageError, KeyboardInterrupt):
            raise
        except BaseException:  # its property `track` raises, which will be its result
            say(f"note: {name} does not say which track it needs")


ENOUGH_INSTANCES = 20
"""Problem instances of a split from which on its intervals mean something."""


def given(**options: Any) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in options.items() if value is not None}


def show_facts(facts: Mapping[str, Any]) -> None:
    """A line for each: its name and its value."""
    width = max(map(len, facts))
    show_text("\n".join(f"{name:{width}}  {value}" for name, value in facts.items()))


def look_here() -> None:
    """Let modules of the current folder be found."""
    if not sys.flags.safe_path and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
