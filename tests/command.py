"""The command line, run in this process as a shell would run it."""

from __future__ import annotations

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass

from curvebench.cli import main


class Terminal(io.StringIO):
    """A stream that says that somebody watches."""

    def isatty(self):
        return True


@dataclass(frozen=True)
class Done:
    """What a command left behind: its exit code, standard output and standard error."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


def command(*arguments, out=io.StringIO, err=io.StringIO):
    """Run `curvebench ARGUMENTS`; `out` and `err` make the streams that it writes to."""
    stdout, stderr, argv = out(), err(), sys.argv
    sys.argv = ["curvebench", *map(str, arguments)]
    try:
        with redirect_stdout(stdout), redirect_stderr(stderr):
            main()
        code = 0
    except SystemExit as exit_:
        code = exit_.code or 0
    finally:
        sys.argv = argv
    return Done(code, stdout.getvalue(), stderr.getvalue())
