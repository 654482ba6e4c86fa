"""Feeds made-up bytes to everything that reads files of strangers, and counts what is neither read nor refused.

    PYTHONPATH=tests python -m campaigns.fuzz --inputs 20000                 changes to good files
    PYTHONPATH=tests python -m campaigns.fuzz --examples 5000                texts, tables, JSON and bytes by hypothesis
    PYTHONPATH=tests python -m campaigns.fuzz --seconds 600 tensorboard      guided by coverage, with atheris
    PYTHONPATH=tests python -m campaigns.fuzz --gigabytes                    lines of 1 GiB, and other extremes

Whatever comes in, a reader returns or raises the error that it documents. An input may take 20 s and 2 GiB.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import re
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING

from oracles import log_writers as made
from oracles.mutations import mutate
from oracles.tiny_recipe import TINY

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

FILES = Path(__file__).parents[1] / "logs" / "files"

PATIENCE = 20
"""Seconds that no input may take."""

MEMORY_MIB = 2048


@dataclass(frozen=True)
class Target:
    """A reader.

    Attributes:
        read: gets the bytes; may raise `InputError`, `UsageError` and what stands in `also`.
        seeds: makes good inputs.
        also: further errors that it documents.
    """

    read: Callable[[bytes], object]
    seeds: Callable[[], Sequence[bytes]]
    also: tuple[type[Exception], ...] = ()


# ------------------------------------------------------------------------------------------------- readers


def _scratch(content: bytes, name: str) -> Path:
    path = Path(_folder().name) / name
    path.write_bytes(content)
    return path


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)


def _log(content: bytes) -> None:
    from curvebench.logs import read_log

    read_log(_scratch(content, "log"))


def _tensorboard(content: bytes) -> None:
    from curvebench.logs import tensorboard
    from curvebench.logs.run import Budget

    tensorboard.read(content, "run", Budget()).build()


def _tensorboard_event(content: bytes) -> None:
    """With right checksums, past which most changes of a file never get."""
    _tensorboard(made.events(content))


def _wandb(content: bytes) -> None:
    from curvebench.logs import wandb
    from curvebench.logs.run import Budget

    wandb.read(content, "run", Budget()).build()


def _wandb_record(content: bytes) -> None:
    """With right checksums."""
    _wandb(made.wandb_file(content))


def _cases(content: bytes) -> None:
    from curvebench.cases.reading import read_cases

    read_cases(_scratch(content, "cases.json"))


def _recipe(content: bytes) -> None:
    from curvebench.generation.recipe import load_recipe

    load_recipe(_scratch(content, "recipe.toml"))


def _model(content: bytes) -> None:
    from curvebench.diagnosers.learned.models import load_model

    load_model(_scratch(content, "model.cbm"))


def _predictions(content: bytes) -> None:
    from curvebench.evaluation.predictions import from_npz

    from_npz(content, "predictions")


def _answers(content: bytes) -> None:
    from curvebench.board.stored import read_answers

    read_answers(_scratch(content, "answers.npz"), 10).of(0, 10, 9)


def _result(content: bytes) -> None:
    from curvebench.evaluation.report import read_report

    read_report(content, b"", "result")


def _board(content: bytes) -> None:
    from curvebench.board.stored import read_results

    folder = Path(_folder().name) / "results" / "made-up-v1"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mine.json").write_bytes(content)
    read_results(folder.parent)


def _baseline(content: bytes) -> None:
    from curvebench.evaluation.baselines import read_baseline

    read_baseline(_scratch(content, "baseline.json"))


def _manifest(content: bytes) -> None:
    from curvebench.data.folder import MANIFEST, read_manifest

    read_manifest(_scratch(content, MANIFEST).parent)


# --------------------------------------------------------------------------------------------------- seeds


def _logs(pattern: str = "*") -> list[bytes]:
    return [path.read_bytes() for path in sorted(FILES.rglob(pattern)) if path.is_file()]


def _npz() -> list[bytes]:
    import numpy as np

    arrays = {
        "run": np.arange(10),
        "prediction_0": np.zeros(10, np.uint8),
        "remedy_0": np.zeros(10, np.int16),
        "probabilities_0": np.full((10, 6), 1 / 6, np.float32),
        "abstained_0": np.zeros(10, bool),
        "crashed_0": np.zeros(10, bool),
    }
    files = []
    for save in (np.savez, np.savez_compressed):
        image = io.BytesIO()
        save(image, **arrays)
        files.append(image.getvalue())
    return files


def _zip(entries: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    image = io.BytesIO()
    with zipfile.ZipFile(image, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return image.getvalue()


def _models() -> list[bytes]:
    from conftest import _make_dataset

    from curvebench.diagnosers import make_diagnoser
    from curvebench.diagnosers.learned.models import model_bytes

    data = _make_dataset(n_cells=6)
    X = data.to_numpy3d(track="curve", split="train", scored_only=True)
    forest = make_diagnoser("forest").fit(X, data.targets(split="train", scored_only=True))
    return [model_bytes(forest), _zip({"model.json": b"{}"})]


def _results() -> list[bytes]:
    from conftest import _make_dataset
    from oracles.stored_results import write_result

    return [write_result(Path(_folder().name), _make_dataset(n_cells=6), "mine", slug="mine").read_bytes()]


def _manifests() -> list[bytes]:
    from conftest import _make_dataset
    from oracles.folders import by_group, write_folder

    from curvebench.data.folder import MANIFEST

    with tempfile.TemporaryDirectory() as name:
        write_folder(by_group(_make_dataset(n_cells=6)), Path(name) / "made-up")
        return [(Path(name) / "made-up" / MANIFEST).read_bytes()]


def _shipped_cases() -> list[bytes]:
    import curvebench.cases.reading as reading

    content = reading.SHIPPED[reading.WILD].read_bytes()
    one = {"id": "a", "loss": [1, "nan", None, 0.5], "label": "healthy", "steps": [1, 2, 3, 4], "lr": 0.1}
    return [content[:4000], json.dumps(one).encode(), json.dumps([one]).encode()]


TARGETS = {
    "logs": Target(_log, _logs),
    "tensorboard": Target(_tensorboard, lambda: _logs("events*")),
    "tensorboard-event": Target(
        _tensorboard_event, lambda: [made.event("loss", 0.5, 3), made.event("loss", 0.0, 3, tensor=made.field(1, 1))]
    ),
    "wandb": Target(_wandb, lambda: _logs("*.wandb")),
    "wandb-record": Target(
        _wandb_record,
        lambda: [made.field(2, made.field(1, made.field(1, b"loss") + made.field(16, b"0.5")))],
    ),
    "cases": Target(_cases, _shipped_cases),
    "recipe": Target(_recipe, lambda: [TINY.encode()]),
    "model": Target(_model, _models),
    "predictions": Target(_predictions, _npz),
    "answers": Target(_answers, _npz),
    "result": Target(_result, _results),
    "board": Target(_board, _results),
    "manifest": Target(_manifest, _manifests),
    "baseline": Target(_baseline, lambda: [b'{"format": "curvebench-baseline", "version": 1, "entries": {}}']),
}
"""Name -> the reader. `logs` finds out itself what it is given."""


OF_LINES = ("logs", "cases", "recipe", "board")
"""Readers of text from files."""


# --------------------------------------------------------------------------------------------------- fuzzing


def attempt(name: str, content: bytes) -> None:
    """Give a reader some bytes; whatever else it does but return or refuse is raised."""
    from curvebench.spec import InputError, UsageError

    target = TARGETS[name]
    begin = time.monotonic()
    try:
        target.read(content)
    except (InputError, UsageError, *target.also) as error:
        if len(str(error)) > 10_000:
            raise AssertionError("a refusal of more than 10,000 characters") from error
    if time.monotonic() - begin > PATIENCE:
        raise AssertionError(f"an input of {len(content)} bytes took longer than {PATIENCE} s")


def by_changes(name: str, n_inputs: int, seed: int = 0) -> dict[str, object]:
    """Figures of a reader that gets good files with a few changes; `failures` must be empty."""
    seeds, begin = TARGETS[name].seeds(), time.monotonic()
    failures: list[str] = []
    for i in range(n_inputs):
        content = mutate(seeds[i % len(seeds)], seed + i)
        try:
            attempt(name, content)
        except Exception as error:
            failures.append(f"input {i}: {type(error).__name__}: {error}"[:300])
    return {
        "inputs": n_inputs,
        "seconds": round(time.monotonic() - begin, 1),
        "most_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "failures": failures,
    }


def by_examples(name: str, n_inputs: int, seed: int = 0) -> dict[str, object]:
    """Figures of a reader that gets what hypothesis makes up from the words of good files; `failures` must be empty."""
    from hypothesis import HealthCheck, given, settings
    from hypothesis import seed as seeded

    n_read, failures, begin = 0, [], time.monotonic()

    @seeded(seed)
    @settings(max_examples=n_inputs, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(_made_up(TARGETS[name].seeds()))
    def search(content: bytes) -> None:
        nonlocal n_read
        n_read += 1
        attempt(name, content)

    try:
        search()
    except Exception as error:
        failures.append(f"{type(error).__name__}: {error} {' '.join(getattr(error, '__notes__', ()))}"[:1000])
    return {
        "inputs": n_read,
        "seconds": round(time.monotonic() - begin, 1),
        "most_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "failures": failures,
    }


def _made_up(seeds: Sequence[bytes]) -> SearchStrategy[bytes]:
    """Good files with pieces replaced; tables and JSON of their words; any text; any bytes."""
    from hypothesis import strategies as st

    found = {word.decode() for seed in seeds for word in re.findall(rb"[A-Za-z_][\w/.-]{1,30}", seed[:20_000])}
    words = st.sampled_from([*sorted(found), "loss", "step", "nan", "-Infinity", "1,5", "1e999", "../x", "<script>"])
    leaves = st.none() | st.booleans() | st.integers() | st.floats() | words | st.text(max_size=20)
    values = st.recursive(
        leaves, lambda of: st.lists(of) | st.dictionaries(words | st.text(max_size=5), of), max_leaves=30
    )
    cells = words | st.integers().map(str) | st.floats().map(str) | st.text(max_size=5)
    tables = st.tuples(
        st.sampled_from([",", ";", "\t", " ", " = "]),
        st.sampled_from(["\n", "\r\n", "\r"]),
        st.sampled_from(["", "\ufeff"]),
        st.lists(st.lists(cells, max_size=6), max_size=12),
    ).map(lambda parts: parts[2] + parts[1].join(parts[0].join(row) for row in parts[3]))
    pieces = st.tuples(st.integers(0, 20_000), st.integers(0, 30), st.binary(max_size=12) | words.map(str.encode))
    changed = st.tuples(st.sampled_from(list(seeds)), st.lists(pieces, min_size=1, max_size=6)).map(_with_pieces)
    texts = (values.map(json.dumps) | tables | st.text()).map(lambda text: text.encode("utf-8", "surrogatepass"))
    return changed | texts | st.binary(max_size=2000)


def _with_pieces(parts: tuple[bytes, Sequence[tuple[int, int, bytes]]]) -> bytes:
    content = bytearray(parts[0])
    for at, n_removed, piece in parts[1]:
        start = at % (len(content) + 1)
        content[start : start + n_removed] = piece
    return bytes(content)


@cache
def extreme_inputs() -> dict[str, bytes]:
    """What has troubled readers elsewhere."""
    return {
        "lists in lists": b"[" * 10**5,
        "lists in a list": b"[1," * 10**5 + b"]" * 10**5,
        "objects in objects": b'{"loss":' * 10**5 + b"1" + b"}" * 10**5,
        "tables in tables": b"a = " + b"{a = " * 10**4,
        "keys in keys": b"a" + b".a" * 29_000 + b" = 1",
        "quoted keys in keys": b'"="' + b'."="' * 14_000 + b" = 1",
        "tables in tables by dots": b"[a" + b".a" * 29_000 + b"]",
        "a number without end": b"9" * 10**6,
        "a negative without end": b"-" * 10**6,
        "numbers that are none": b"step,loss\n"
        + b"\n".join(
            b"%d,%s" % (i, word)
            for i, word in enumerate(
                [
                    b"nan",
                    b"NaN",
                    b"NAN",
                    b"-nan",
                    b"nan(0x7)",
                    b"NA",
                    b"N/A",
                    b"null",
                    b"None",
                    b"inf",
                    b"-Inf",
                    b"Infinity",
                    b"1.#QNAN",
                    b"1.#INF",
                    b"1e999",
                    b"0x1p3",
                    b"1_000",
                    b"\xd9\xa3",
                    b"",
                    b"-",
                    b"?",
                    b"1,5",
                    b"1.000,5",
                    b"'1",
                ]
            )
        ),
        "marks and ends": b"\xef\xbb\xbf\xef\xbb\xbfstep;loss\r1;0,5\r\n2;0,25\n\r3;0,1\x00\x1a",
        "names that differ in case": b'{"loss": [1, 2], "Loss": [3, 4], "LOSS": [5, 6], "lo\\u0073s": [7]}',
        "names that lead elsewhere": b'[{"run": "../../etc/passwd", "loss": 1}, {"run": "/dev/zero", "loss": 2}]',
        "script in names": b'{"<script>alert(1)</script>": [1, 2], "loss\\u202e": [1, 2], "\\"><img onerror=x>": [1]}',
        "half a surrogate": b'[{"id": "\\ud800", "loss": [1], "label": "healthy"}]',
        "the same key again and again": b"{" + b'"loss": 1,' * 10**5 + b'"loss": 1}',
        "columns without end": b",".join(b"loss%d" % i for i in range(10**5)) + b"\n" + b"1," * 10**5,
        "a zip that leads elsewhere": _zip({"../../evil.npy": b"x", "model.json": b"{}", "MODEL.json": b"{}"}),
        "a zip that swells": _zip({"run.npy": bytes(3 * 10**7), "model.json": bytes(3 * 10**7)}, zipfile.ZIP_DEFLATED),
    }


FILLERS = (b"1", b"a", b" ", b'"', b",", b"[", b"\x00")


def extremes(name: str, line_bytes: int = 0) -> dict[str, object]:
    """Figures of a reader that gets extremes, and lines of so many bytes; `failures` must be empty."""
    failures, slowest = [], 0.0
    lines = (filler * line_bytes for filler in FILLERS if line_bytes)
    for content in chain(extreme_inputs().values(), lines):
        begin = time.monotonic()
        try:
            attempt(name, content)
        except Exception as error:
            failures.append(f"{content[:40]!r}: {type(error).__name__}: {error}"[:300])
        slowest = max(slowest, time.monotonic() - begin)
    return {
        "inputs": len(extreme_inputs()) + (len(FILLERS) if line_bytes else 0),
        "slowest_seconds": round(slowest, 1),
        "most_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "failures": failures,
    }


def by_coverage(name: str, seconds: int) -> dict[str, object]:
    """Figures of a reader that atheris looks for trouble in, in a process of its own; `failed` must be False."""
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "corpus"
        corpus.mkdir()
        for number, seed in zip(count(), TARGETS[name].seeds(), strict=False):
            (corpus / str(number)).write_bytes(seed)
        limits = [f"-max_total_time={seconds}", f"-timeout={PATIENCE}", f"-rss_limit_mb={MEMORY_MIB}", "-max_len=20000"]
        program = [sys.executable, "-m", "campaigns.fuzz", "--guided", name, str(corpus), *limits]
        done = subprocess.run([*program, "-print_final_stats=1", f"-artifact_prefix={folder}/"], stderr=subprocess.PIPE)
        said = done.stderr.decode(errors="replace")
        bad = [path.read_bytes() for path in sorted(Path(folder).glob("*-*")) if path.is_file()]
        executed = re.search(r"number_of_executed_units: (\d+)", said)
        return {
            "inputs": int(executed[1]) if executed else 0,
            "seconds": seconds,
            "failed": done.returncode != 0,
            "said": said[-3000:] if done.returncode else "",
            "bad_inputs": [base64.b64encode(content).decode() for content in bad],
        }


def _guided(name: str, arguments: Sequence[str]) -> None:
    """Hand over to libFuzzer, which ends the process."""
    import atheris

    with atheris.instrument_imports(include=["curvebench"]):
        for seed in TARGETS[name].seeds():  # readers import what they need when they read
            attempt(name, seed)
    atheris.Setup([sys.argv[0], *arguments], lambda content: attempt(name, content))
    atheris.Fuzz()


def _figures(name: str, arguments: argparse.Namespace) -> dict[str, object]:
    if arguments.gigabytes:
        return extremes(name, 2**30 if name in OF_LINES else 0)
    if arguments.seconds is not None:
        return by_coverage(name, arguments.seconds)
    if arguments.examples is not None:
        return by_examples(name, arguments.examples, arguments.seed)
    return by_changes(name, arguments.inputs, arguments.seed)


def main() -> None:
    """Print the figures."""
    if sys.argv[1:2] == ["--guided"]:
        _guided(sys.argv[2], sys.argv[3:])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", help=f"of {', '.join(TARGETS)}; all of them if none is named")
    parser.add_argument("--inputs", type=int, default=20_000, help="for each reader")
    parser.add_argument("--examples", type=int, help="let hypothesis make up so many inputs for each reader")
    parser.add_argument("--seconds", type=int, help="let atheris find the inputs, so long for each reader")
    parser.add_argument("--gigabytes", action="store_true", help="extremes in place of changes")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    figures = {name: _figures(name, arguments) for name in arguments.targets or TARGETS}
    print(json.dumps(figures, indent=1))  # noqa: T201


if __name__ == "__main__":
    main()
