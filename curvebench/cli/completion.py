"""What the shell offers on Tab where a value is from a list. Nothing is imported before it is asked for."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from subprocess import SubprocessError

from typer._completion_classes import completion_init
from typer._completion_shared import Shells, get_completion_script, install

from curvebench.nearly import did_you_mean
from curvebench.spec import UsageError

PROGRAM, VARIABLE = "curvebench", "_CURVEBENCH_COMPLETE"
"""What is completed, and the environment variable by which a shell asks for it."""

SHELLS = tuple(str(shell.value) for shell in Shells)

Complete = Callable[[str], list[str]]
"""What was typed of a value -> the values that begin so; where there are none, shells offer files themselves."""


def _one_of(*places: str, files: tuple[str, ...] = ()) -> Complete:
    """Offers what is listed in `places` ("module:attribute"), and files with one of these endings."""

    def complete(incomplete: str) -> list[str]:
        listed: list[str] = []
        for place in places:
            module, attribute = place.split(":")
            names = getattr(import_module(module), attribute)
            listed += map(str, names() if callable(names) else names)
        return [name for name in dict.fromkeys([*listed, *_files(incomplete, files)]) if name.startswith(incomplete)]

    return complete


def _files(incomplete: str, endings: tuple[str, ...]) -> list[str]:
    folder = os.path.dirname(incomplete)
    try:
        names = sorted(os.listdir(folder or ".")) if endings else []
    except OSError:
        return []
    return [os.path.join(folder, name) for name in names if name.endswith(endings)]


_DIAGNOSERS = ("curvebench.diagnosers:DIAGNOSERS", "curvebench.diagnosers:installed")

data_set = _one_of("curvebench.data.shipped:SHIPPED", files=(".h5",))
recipe = _one_of("curvebench.generation.recipe:shipped_recipes", files=(".toml",))
diagnoser = _one_of(*_DIAGNOSERS, files=(".cbm",))
diagnoser_or_result = _one_of(*_DIAGNOSERS, files=(".cbm", ".json"))
learned_diagnoser = _one_of("curvebench.diagnosers.learned.models:KINDS")
cases = _one_of("curvebench.cases.reading:SHIPPED", files=(".jsonl", ".json"))
split = _one_of("curvebench.spec:SPLITS")
track = _one_of("curvebench.spec:TRACKS")
optimizer = _one_of("curvebench.spec:OPTIMIZERS")
isolation = _one_of("curvebench.evaluation.isolation:ISOLATIONS")
backend = _one_of("curvebench.generation.backends:BACKENDS")
engine = _one_of("curvebench.generation.engine:ENGINES")
export_format = _one_of("curvebench.interchange.formats:FORMATS")
claim = _one_of("curvebench.claims:CLAIMS")
effort = _one_of("curvebench.claims.trials:EFFORTS")
confidence = _one_of("curvebench.t_quantiles:CONFIDENCES")
shell = _one_of("curvebench.cli.completion:SHELLS")

completion_init()  # typer does so for its own two options, which take no name of a shell


def script(shell: str) -> str:
    """What a shell must read to complete our commands.

    Args:
        shell: one of `SHELLS`; empty for the one that this program was started from.

    Raises:
        UsageError: there is no completion for that shell.
    """
    return get_completion_script(prog_name=PROGRAM, complete_var=VARIABLE, shell=_checked(shell))


def install_script(shell: str) -> str:
    """Write the script of `script` to where the shell reads it when it starts; returns where that is.

    Raises:
        UsageError: there is no completion for that shell, or the file cannot be written.
    """
    shell = _checked(shell)
    try:
        _, path = install(shell=shell, prog_name=PROGRAM, complete_var=VARIABLE)
    except (OSError, SubprocessError) as error:
        raise UsageError(f"Completion cannot be installed for {shell}: {error}.") from None
    return str(path)


def _checked(shell: str) -> str:
    name = shell or _this_shell()
    if name not in SHELLS:
        raise UsageError(f"There is no completion for the shell {name!r}.{did_you_mean(name, SHELLS)} {_NAME_IT}")
    return name


_NAME_IT = f"Name one of {', '.join(SHELLS)}, as in `curvebench --show-completion bash`."


def _this_shell() -> str:
    import shellingham

    try:
        return str(shellingham.detect_shell()[0])
    except shellingham.ShellDetectionFailure:
        raise UsageError(f"The shell that this was started from is not known. {_NAME_IT}") from None
