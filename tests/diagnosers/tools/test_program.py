"""Programs that crash, hang, flood or leave others behind, and logs that one of them stumbles over."""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import pytest

from curvebench.diagnosers.tools import program
from curvebench.diagnosers.tools.adapter import Meaning, Source
from curvebench.diagnosers.tools.program import ProgramFailed, ProgramTool, output_of
from curvebench.spec import Diagnosis


def run(code: str, folder, **limits) -> bytes:
    return output_of([sys.executable, "-c", code], folder=folder, **{"seconds": 20.0, **limits})


def test_what_it_prints_comes_back_and_its_errors_do_not(tmp_path, capfd):
    code = "import os, sys; print(os.getcwd()); print('noise', file=sys.stderr); sys.exit(1)"
    assert run(code, tmp_path, fine_codes=(0, 1)).decode().strip() == str(tmp_path.resolve())
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("code", ["raise SystemExit(3)", "import os; os.abort()", "import os; os.kill(os.getpid(), 9)"])
def test_a_crash(code, tmp_path):
    with pytest.raises(ProgramFailed):
        run(code, tmp_path)


@pytest.mark.parametrize(
    "code",
    [
        "import time; time.sleep(60)",
        "import os, sys, time; sys.stdout.close(); os.close(1); time.sleep(60)",
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)",
        "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])",
    ],
    ids=["hangs", "hangs without output", "does not want to end", "leaves a child that holds the pipe"],
)
def test_a_hang(code, tmp_path):
    begin = time.perf_counter()
    with pytest.raises(ProgramFailed):
        run(code, tmp_path, seconds=1.0)
    assert time.perf_counter() - begin < 15


def test_a_flood(tmp_path):
    with pytest.raises(ProgramFailed, match="too much output: True"):
        run("while True: print('x' * 1000)", tmp_path, most_output=10_000)
    assert run("print('x' * 9_999)", tmp_path, most_output=10_000) == b"x" * 9_999 + b"\n"


def test_a_flood_of_errors_is_not_read(tmp_path):
    assert run("import sys; [print('x' * 1000, file=sys.stderr) for _ in range(10_000)]; print(1)", tmp_path) == b"1\n"


READER = """
import csv, json, pathlib, sys
found = {}
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.csv")):
    last = float(list(csv.DictReader(path.open()))[-1]["loss"])
    assert last != 13
    found[str(path)] = ["rises"] if last > 1 else []
print("no report" if 7 in [last] else json.dumps(found))
"""


class Reader(ProgramTool):
    SOURCE = Source("numpy", "", "https://numpy.org")
    MAPPING = {"rises": Meaning(Diagnosis.LR_TOO_HIGH, "It rises.")}  # noqa: RUF012
    SILENCE = Meaning(Diagnosis.HEALTHY, "It does not rise.")
    COLUMN_NAMES = {"train_loss": "loss"}  # noqa: RUF012

    def arguments(self, folder):
        return [str(folder)]

    def read_report(self, report):
        return report


@pytest.fixture
def reader(monkeypatch):
    monkeypatch.setattr(program, "program", lambda package: [sys.executable, "-c", READER])
    return Reader()


def curves(*last: float) -> np.ndarray:
    X = np.ones((len(last), 1, 4), dtype=np.float32)
    X[:, 0, -1] = last
    return X


def test_many_logs_are_read_at_once(reader, monkeypatch):
    asked = []
    monkeypatch.setattr(program, "output_of", lambda *a, **k: asked.append(a) or output_of(*a, **k))
    X = curves(*[0.5, 2.0] * 12)
    assert [len(found) for found in reader.findings(X)] == [0, 1] * 12
    assert len(asked) == 1
    monkeypatch.setattr(program, "LOGS_AT_ONCE", 10)
    assert [len(found) for found in reader.findings(X)] == [0, 1] * 12
    assert len(asked) == 4


def test_a_log_that_it_stumbles_over_does_not_take_the_others_with_it(reader):
    X = curves(2, 13, 0.5, 2, 0.5)
    assert reader.crashed(X).tolist() == [False, True, False, False, False]
    assert reader.abstain(X).tolist() == [False, True, False, False, False]
    assert reader.findings(X) == [("rises",), (), (), ("rises",), ()]


def test_a_report_that_is_none_is_a_crash(reader):
    assert reader.crashed(curves(7)).tolist() == [True]


def test_numbers_survive_the_file(tmp_path):
    values = [0.1, 1e-45, 3.4e38, float("nan"), float("inf"), float("-inf"), 0.0]
    program._write_csv(tmp_path / "run.csv", [{"step": i, "loss": value} for i, value in enumerate(values)])
    code = "import csv, json; print(json.dumps([float(row['loss']) for row in csv.DictReader(open('run.csv'))]))"
    np.testing.assert_array_equal(json.loads(run(code, tmp_path)), values)
