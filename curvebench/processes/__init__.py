"""Runs a foreign program under limits, talks to it over pipes, and leaves no process and no file of it behind. Linux.

What it protects from: crashes, hangs, floods of output, too much memory, too large files, too many processes. It is no
boundary for somebody who means harm: without `namespace` a program may read what its user may read, use the network,
and kill what its user may kill, us included.

The programs of packages that people install are run by `diagnosers.tools.program` and not by this: they are of known
versions, need a limit of time and output only, and are to work wherever Python does, Linux or not.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from curvebench.spec import UsageError

_SUPERVISOR = Path(__file__).with_name("supervisor.py")
_SECONDS_TO_END = 15.0  # a little longer than the supervisor gives itself
_CHUNK = 1 << 16
_KEPT_WORDS = 2000

PASSED_ON = (
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "LD_LIBRARY_PATH", "PYTHONHASHSEED",
    "VIRTUAL_ENV", "CONDA_PREFIX", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS", "NUMBA_NUM_THREADS",
)  # fmt: skip
"""Environment variables that an isolated program sees, beside LC_*; the others may hold somebody's secrets."""


class ChildFailed(Exception):  # noqa: N818 - named like the status that it leads to
    """A program crashed, broke a limit, or did not answer; says what happened in a sentence."""


class TimedOut(ChildFailed):
    """A program was still at work when its time was over."""


class OutOfMemory(ChildFailed):
    """A program used more memory than it may."""


@dataclass(frozen=True)
class ProcessLimits:
    """How much a foreign program may use.

    Attributes:
        seconds: wall-clock time for each question.
        memory_bytes: of each process by itself (data segment), and of all its processes together (resident).
        output_bytes: what it may write beside its answers, to standard error above all.
        file_bytes: of each file that it writes; in a namespace of all its files together.
        processes: how many it may have at a time.
    """

    seconds: float = 600.0
    memory_bytes: int = 4 << 30
    output_bytes: int = 16 << 20
    file_bytes: int = 256 << 20
    processes: int = 64

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise UsageError(f"The limit {name!r} is {value}; limits are positive.")


class Child:
    """A program that runs under limits, from the first question to `close`. To be used in a `with` statement.

    Args:
        argv: the program and its arguments; looked for as a shell would.
        limits: what it may use.
        called: what to call it in messages.
        namespace: run it in namespaces of its own: nothing to write to, no network, no other processes.
        hidden: files that it finds empty; with `namespace` only.
        environment: what it sees in place of our environment variables.

    Raises:
        UsageError: here is no Linux.
    """

    def __init__(
        self,
        argv: Sequence[str],
        limits: ProcessLimits,
        *,
        called: str,
        namespace: bool = False,
        hidden: Sequence[Path] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        if not sys.platform.startswith("linux"):
            raise UsageError("Foreign programs and isolated diagnosers run on Linux only.")
        self.limits, self.called, self._is_in_namespace = limits, called, namespace
        self._failure: ChildFailed | None = None
        self._words = b""
        self._n_written = 0
        self._temporary = tempfile.TemporaryDirectory(prefix="curvebench-child-", ignore_cleanup_errors=True)
        control_end, self._control = os.pipe()
        self._report, report_end = os.pipe()
        config = {
            "argv": list(argv),
            "DATA": limits.memory_bytes,
            "FSIZE": limits.file_bytes,
            "processes": limits.processes,
            "namespace": namespace,
            "hidden": [str(path.resolve()) for path in hidden],
            "temporary": self._temporary.name,
            "control": control_end,
            "report": report_end,
        }
        folder = self._temporary.name
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_SUPERVISOR), json.dumps(config)],
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=(control_end, report_end),
                start_new_session=True,  # Ctrl-C is for us, and we end it
                env={**(os.environ if environment is None else environment), "TMPDIR": folder},
            )
        except OSError:
            os.close(self._control)
            os.close(self._report)
            self._temporary.cleanup()
            raise
        finally:
            os.close(control_end)
            os.close(report_end)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def converse(
        self, question: bytes, *, most_bytes: int, is_whole: Callable[[bytearray], bool] | None = None
    ) -> bytes:
        """Ask something and wait for the answer.

        Args:
            question: bytes for its standard input.
            most_bytes: how long the answer may be.
            is_whole: whether the bytes read so far are all of the answer. None: the answer is what the program writes
                until it ends with exit status 0; its input is closed after the question.

        Returns:
            What it wrote to standard output.

        Raises:
            TimedOut: it took too long.
            OutOfMemory: it used more memory than it may.
            ChildFailed: it crashed, left early, or broke another limit. In all three cases it is no longer running,
                and every later question gets the same answer.
            UsageError: there are no namespaces here.
        """
        if self._failure is not None:
            raise self._failure
        try:
            return self._converse(question, most_bytes, is_whole)
        except ChildFailed as error:
            self._failure = error
            self.close()
            raise

    def _converse(self, question: bytes, most_bytes: int, is_whole: Callable[[bytearray], bool] | None) -> bytes:
        process, deadline = self._process, time.monotonic() + self.limits.seconds
        answer, rest = bytearray(), memoryview(question)
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)  # type: ignore[arg-type]
            selector.register(process.stderr, selectors.EVENT_READ)  # type: ignore[arg-type]
            selector.register(self._report, selectors.EVENT_READ)
            if rest:
                selector.register(process.stdin, selectors.EVENT_WRITE)  # type: ignore[arg-type]
            elif is_whole is None:
                process.stdin.close()  # type: ignore[union-attr]
            while not (is_whole is not None and not rest and is_whole(answer)):
                if len(answer) > most_bytes:
                    raise ChildFailed(f"{self.called} answered with more than {most_bytes:,} bytes.")
                events = selector.select(max(0.0, deadline - time.monotonic()))
                if not events:
                    raise TimedOut(f"{self.called} had no answer after {self.limits.seconds:g} s.")
                ready = {key.fileobj for key, _ in events}
                if process.stdin in ready:
                    rest = rest[self._write(rest) :]
                    if not rest:
                        selector.unregister(process.stdin)
                        if is_whole is None:
                            process.stdin.close()
                if process.stderr in ready and self._listen() is False:
                    selector.unregister(process.stderr)
                if process.stdout in ready and self._read(process.stdout, answer) is False:
                    selector.unregister(process.stdout)
                    if is_whole is not None:
                        self._judge(self._reported(deadline))
                        raise ChildFailed(f"{self.called} closed its output before it had answered.{self._last()}")
                if self._report in ready:
                    self._judge(self._reported(deadline), may_end=is_whole is None)
                    while len(answer) <= most_bytes and self._read(process.stdout, answer):
                        pass
                    break
        return bytes(answer)

    def _write(self, rest: memoryview) -> int:
        """How many bytes the program took; all of them where it does not listen, which is its own business."""
        try:
            return os.write(self._process.stdin.fileno(), rest[:_CHUNK])  # type: ignore[union-attr]
        except BlockingIOError:
            return 0
        except BrokenPipeError:
            return len(rest)

    @staticmethod
    def _read(pipe: Any, into: bytearray) -> bool | None:
        """Take what is there. Whether there was something; None where there is nothing yet."""
        try:
            piece = os.read(pipe.fileno(), _CHUNK)
        except BlockingIOError:
            return None
        into += piece
        return bool(piece)

    def _listen(self) -> bool | None:
        """Take what it says beside its answers; returns what `_read` does.

        Raises:
            ChildFailed: it is more than it may say.
        """
        heard = bytearray()
        is_more = self._read(self._process.stderr, heard)
        self._n_written += len(heard)
        self._words = (self._words + heard)[-_KEPT_WORDS:]
        if self._n_written > self.limits.output_bytes:
            raise ChildFailed(f"{self.called} wrote more than {self.limits.output_bytes:,} bytes beside its answers.")
        return is_more

    def _last(self) -> str:
        """The last line that it wrote, in quotes; nothing if it wrote none."""
        with suppress(ChildFailed):
            while self._listen():
                pass
        lines = self._words.decode("utf-8", "replace").split("\n")
        said = "".join(
            c if c.isprintable() else " " for c in next((x for x in reversed(lines) if x.strip()), "")
        ).strip()
        return f" It last said: {said!r}." if said else ""

    def _reported(self, deadline: float) -> Mapping[str, Any]:
        """What the supervisor says of the end; empty where it was killed itself."""
        said = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self._report, selectors.EVENT_READ)
            while selector.select(max(0.1, min(1.0, deadline - time.monotonic()))):
                piece = os.read(self._report, _CHUNK)
                if not piece:
                    break
                said += piece
            else:
                return {"running": True}
        reported: Mapping[str, Any] = json.loads(said) if said else {}
        return reported

    def _judge(self, reported: Mapping[str, Any], *, may_end: bool = False) -> None:
        """Raise what a report of the supervisor means, unless the program may end, and ended well."""
        limits = self.limits
        match reported:
            case {"ended": 0} if may_end:
                return
            case {"running": True}:
                return
            case {"ended": 0}:
                raise ChildFailed(f"{self.called} ended before it had answered.{self._last()}")
            case {"ended": int(code)} if code < 0:
                name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
                raise ChildFailed(f"{self.called} was ended by {name}.{self._last()}")
            case {"ended": code}:
                raise ChildFailed(f"{self.called} ended with the exit status {code}.{self._last()}")
            case {"killed": "memory"}:
                raise OutOfMemory(f"{self.called} used more than {limits.memory_bytes / 2**20:,.0f} MiB of memory.")
            case {"killed": "processes"}:
                raise ChildFailed(f"{self.called} had more than {limits.processes} processes.")
            case {"unavailable": why} if self._is_in_namespace:
                raise UsageError(
                    f"The isolation 'namespace' is not available here ({why}); this kernel, or the container around "
                    "us, does not allow it. Choose 'process', which protects from less, or another machine."
                )
            case {"unavailable": why}:
                raise ChildFailed(f"{self.called} could not be started: {why}.")
            case _:
                raise ChildFailed(f"{self.called} was killed together with what watched over it.")

    def close(self) -> None:
        """Kill the program and everything that it started, and remove its files. May be called again."""
        if self._control < 0:
            return
        os.close(self._control)
        try:
            self._process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        finally:
            for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
                with suppress(OSError):
                    pipe.close()  # type: ignore[union-attr]
            os.close(self._report)
            self._control = -1
            self._temporary.cleanup()


def our_program(module: str, *, heeds_environment: bool = True) -> list[str]:
    """The command that runs `main` of one of our modules in a new Python, with the import path that we have.

    The working directory is not searched before that: a json.py there is not ours to run. Without the environment
    that holds whatever PYTHONPATH says.
    """
    way = "-P" if heeds_environment else "-I"
    path = [os.path.abspath(entry) if os.path.exists(entry or ".") else entry for entry in sys.path]
    start = f"import json, sys; sys.path[:] = json.loads(sys.argv[1]); from {module} import main; main()"
    return [sys.executable, way, "-c", start, json.dumps(path)]


def passed_on_environment() -> dict[str, str]:
    """The environment variables of `PASSED_ON`, and what names the locale."""
    return {k: v for k, v in os.environ.items() if k in PASSED_ON or k.startswith("LC_")}
