"""Diagnosers that do their worst, each in a process of its own: it costs them their status, and nobody else a thing."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from curvebench.diagnosers import check_name, resolve
from curvebench.diagnosers.answers import InvalidOutput
from curvebench.diagnosers.trivial import Constant
from curvebench.evaluation.evaluate import evaluate
from curvebench.evaluation.isolation import isolated, maker
from curvebench.evaluation.results import FAILED, INVALID_OUTPUT, OK, OUT_OF_MEMORY, TIMED_OUT
from curvebench.processes import Child, ChildFailed, OutOfMemory, ProcessLimits
from curvebench.spec import NO_REMEDY, Action, InputError, Remedy, UsageError

SECRET = "CURVEBENCH_TEST_SECRET"

WORST = '''
import ctypes, mmap, os, signal, subprocess, sys, time
import numpy as np
from curvebench.spec import Action, Remedy


def answer(X):
    return np.tile([0, 0, 0, 0, 0, 1.0], (len(X), 1))


class Good:
    track = "telemetry"
    def fit(self, X, y): self.seen = (X.shape, X.dtype, sorted(set(y)))
    def predict_proba(self, X):
        assert self.seen[1] == X.dtype == np.float32 and not X.flags.writeable
        print("said aloud")
        return answer(X)
    def abstain(self, X): return np.arange(len(X)) % 2 == 0
    def crashed(self, X): return np.arange(len(X)) % 4 == 0
    def prescribe(self, X): return [None, Remedy(Action.RESUME, 0.1, 0.75)] * (len(X) // 2) + [None] * (len(X) % 2)


def asked(function):
    """A class that answers by that function."""
    return type(function.__name__, (), {"predict_proba": lambda self, X: function(X)})


@asked
def Segfault(X): ctypes.string_at(0)

@asked
def Suicide(X): os.kill(os.getpid(), signal.SIGKILL)

@asked
def Abort(X): os.abort()

@asked
def Leaving(X): os._exit(0)

@asked
def Looping(X):
    while True: pass

@asked
def Sleeping(X): time.sleep(1000)

@asked
def Deaf(X):
    for number in range(1, 32):
        if number not in (signal.SIGKILL, signal.SIGSTOP): signal.signal(number, signal.SIG_IGN)
    time.sleep(1000)

@asked
def Closing(X):
    os.closerange(0, 100)
    time.sleep(1000)

@asked
def ClosingStdout(X):
    os.closerange(1, 2)
    return answer(X)

@asked
def Flooding(X):
    for _ in range(100): os.write(1, b"x" * 2**20)
    return answer(X)

@asked
def FloodingAnswers(X):
    for descriptor in range(3, 50):
        try:
            for _ in range(100): os.write(descriptor, b"x" * 2**20)
        except OSError: pass
    return answer(X)

@asked
def Nonsense(X):
    for descriptor in range(3, 50):
        try: os.write(descriptor, (5).to_bytes(4, "little") + (0).to_bytes(8, "little") + b"hello")
        except OSError: pass
    time.sleep(1000)

@asked
def Huge(X): return bytearray(10 * 2**30)

@asked
def Shared(X):
    kept = mmap.mmap(-1, 2**31)
    for _ in range(2**11): kept.write(b"x" * 2**20)
    time.sleep(1000)

@asked
def Family(X):
    for _ in range(4):
        if os.fork() == 0:
            kept = b"x" * (120 * 2**20)
            time.sleep(1000)
    time.sleep(1000)

@asked
def Writing(X):
    with open(os.environ["TMPDIR"] + "/big", "wb") as file:
        for _ in range(1000): file.write(b"x" * 2**20)
    return answer(X)

@asked
def Littering(X):
    open(os.environ["TMPDIR"] + "/litter", "w").close()
    os.makedirs(os.environ["TMPDIR"] + "/more/of/it", exist_ok=True)
    return answer(X)

@asked
def Forking(X):
    for _ in range(20): subprocess.Popen(["sleep", "1000"])
    time.sleep(1000)

@asked
def Bomb(X):
    for _ in range(6): os.fork()
    time.sleep(1000)

@asked
def Crowd(X):
    for _ in range(40): subprocess.Popen(["sleep", open("MARK").read()])
    time.sleep(1000)

@asked
def Patricide(X):
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(1000)

@asked
def Orphans(X):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0: os.execvp("sleep", ["sleep", open("MARK").read()])
        os._exit(0)
    subprocess.Popen(["setsid", "sleep", open("MARK").read()])
    return answer(X)

@asked
def OrphansOfACrash(X):
    Orphans().predict_proba(X)
    os.kill(os.getpid(), signal.SIGKILL)

@asked
def Moody(X):
    """Another mistake for every first value."""
    def fail(error): raise error
    return [
        lambda: answer(X)[:, :5], lambda: answer(X)[1:], lambda: answer(X) * np.nan, lambda: answer(X) * 2,
        lambda: np.array([object()] * len(X)), lambda: ["healthy"] * len(X), lambda: fail(KeyboardInterrupt()),
        lambda: fail(SystemExit(0)), lambda: fail(RuntimeError("no luck")), lambda: fail(MemoryError()),
        lambda: answer(X),
    ][int(X[0, 0, 0])]()

@asked
def Spying(X):
    assert "CURVEBENCH_TEST_SECRET" not in os.environ
    assert np.isfinite(X).any()
    return answer(X)

class Unlucky(Good):
    @property
    def track(self): raise OSError("no track today")

class Elsewhere(Good):
    track = "moon"

class Forging:
    """Answers through a worker that was tampered with."""
    def predict_proba(self, X):
        from curvebench.evaluation import wire
        wire.encode = lambda header, *arrays: self.encode(header, *arrays)
        return answer(X)
    def encode(self, header, *arrays):
        text = b'{"x": ' + b"[" * 30000
        return len(text).to_bytes(4, "little") + (0).to_bytes(8, "little") + text

class Pickling(Forging):
    def encode(self, header, *arrays):
        import io, pickle
        body = io.BytesIO()
        np.save(body, np.array([print, "x"] * 200, dtype=object), allow_pickle=True)
        text, body = b"{}", body.getvalue()
        return len(text).to_bytes(4, "little") + len(body).to_bytes(8, "little") + text + body
'''

EXPECTED = {
    "Segfault": (FAILED, "ended by SIGSEGV"),
    "Suicide": (FAILED, "ended by SIGKILL"),
    "Abort": (FAILED, "ended by SIGABRT"),
    "Leaving": (FAILED, "ended before it had answered"),
    "Looping": (TIMED_OUT, "no answer after 3 s"),
    "Sleeping": (TIMED_OUT, "no answer after 3 s"),
    "Deaf": (TIMED_OUT, "no answer after 3 s"),
    "Closing": (FAILED, "closed its output"),
    "ClosingStdout": (OK, ""),
    "Flooding": (FAILED, "wrote more than 1,048,576 bytes"),
    "FloodingAnswers": (FAILED, "answered with more than"),
    "Nonsense": (INVALID_OUTPUT, "The answer is broken"),
    "Huge": (OUT_OF_MEMORY, "MemoryError"),
    "Shared": (OUT_OF_MEMORY, "used more than 400 MiB"),
    "Family": (OUT_OF_MEMORY, "used more than 400 MiB"),
    "Writing": (FAILED, "File too large"),
    "Littering": (OK, ""),
    "Forking": (FAILED, "more than 16 processes"),
    "Bomb": (FAILED, "more than 16 processes"),
    "Patricide": (FAILED, "killed together with what watched over it"),
    "Orphans": (OK, ""),
    "OrphansOfACrash": (FAILED, "ended by SIGKILL"),
    "Spying": (OK, ""),
    "Unlucky": (FAILED, "no track today"),
    "Elsewhere": (INVALID_OUTPUT, "no track 'moon'"),
    "Forging": (INVALID_OUTPUT, "The answer is broken"),
    "Pickling": (INVALID_OUTPUT, "no array of the shape"),
    "Missing": (FAILED, "there is no 'Missing' in worst"),
}

LIMITS = ProcessLimits(seconds=30.0, memory_bytes=400 << 20, output_bytes=1 << 20, file_bytes=8 << 20, processes=16)
LIMITS_OF = {name: replace(LIMITS, seconds=3.0) for name, (status, _) in EXPECTED.items() if status == TIMED_OUT}


@pytest.fixture(scope="module")
def dataset(make_dataset):
    return make_dataset(n_cells=24, n_points=8)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The current folder, with the module and a mark by which processes are known as ours; and what must be gone."""
    mark = f"{1000 + os.getpid() / 1e7 + time.monotonic() / 1e9:.12f}"
    (tmp_path / "worst.py").write_text(WORST)
    (tmp_path / "MARK").write_text(mark)
    (tmp_path / "temporary").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(SECRET, "hunter2")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    n_open, before = len(os.listdir("/proc/self/fd")), children()  # of tests that ran earlier, a resource tracker
    yield tmp_path
    assert len(os.listdir("/proc/self/fd")) == n_open
    assert list((tmp_path / "temporary").iterdir()) == []
    assert children() <= before
    assert [line for line in command_lines() if mark in line] == []


def children():
    """Numbers of the processes that have this one for parent, zombies too."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rpartition(")")[2].split()[1]) == os.getpid():
                found.add(stat.parent.name)
        except OSError:
            continue
    return found


def command_lines():
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue


@pytest.mark.parametrize("name", EXPECTED)
def test_the_worst_costs_a_status_and_leaves_nothing(dataset, name):
    status, words = EXPECTED[name]
    limits = LIMITS_OF.get(name, LIMITS)
    result = evaluate(dataset, f"worst.py:{name}", isolation="process", limits=limits, n_bootstrap=2)
    assert (result.status, result.isolation) == (status, "process"), result.message
    assert words in result.message
    assert "\n" not in result.message
    assert (result.scores is None) == (status != OK)
    json.dumps(result.to_json(), allow_nan=False)


def test_a_crowd_is_killed_in_one_call_before_it_is_listed(dataset, monkeypatch, folder):
    """A supervisor without time to list and kill one by one stands for a crowd that multiplies faster than that."""
    ours = Path(__import__("curvebench.processes", fromlist=["x"]).__file__).with_name("supervisor.py").read_text()
    hurried = ours.replace(
        "SECONDS_TO_STOP, SECONDS_TO_KILL = 3.0, 10.0", "SECONDS_TO_STOP, SECONDS_TO_KILL = 0.0, 0.0"
    )
    assert hurried != ours
    (folder / "supervisor.py").write_text(hurried)
    monkeypatch.setattr("curvebench.processes._SUPERVISOR", folder / "supervisor.py")
    result = evaluate(dataset, "worst.py:Crowd", isolation="process", limits=LIMITS, n_bootstrap=2)
    assert (result.status, "more than 16 processes" in result.message) == (FAILED, True)
    assert not any((folder / "MARK").read_text() in line for line in command_lines())


def test_the_isolated_is_like_any_other(dataset):
    inside = evaluate(dataset, "worst.py:Good")
    isolated_ = evaluate(dataset, "worst.py:Good", isolation="process")
    assert (isolated_.status, isolated_.track) == (OK, "telemetry")
    assert isolated_.scores == pytest.approx(inside.scores, nan_ok=True)
    assert isolated_.counts == inside.counts
    assert isolated_.counts.n_crashed == -(-isolated_.counts.n_runs // 4)
    with isolated("worst.py:Good", "process", LIMITS) as diagnoser:
        diagnoser.fit(np.ones((4, 3, 5), np.float32), np.array(["healthy"] * 4))
        X = np.zeros((2, 3, 5), np.float32)
        np.testing.assert_array_equal(diagnoser.predict_proba(X), Constant().predict_proba(X))
        assert diagnoser.prescribe(X) == [None, Remedy(Action.RESUME, 0.1, 0.75)]
        assert diagnoser.abstain(X).tolist() == [True, False]
        assert diagnoser.predict_proba(X[:0]).shape == (0, 6)
    with isolated("constant", "process", LIMITS) as diagnoser:
        assert not hasattr(diagnoser, "fit")


def test_a_mistake_is_told_and_the_next_question_answered():
    mistakes = [
        (InvalidOutput, "returned the shape"),
        (InvalidOutput, "returned the shape"),
        (InvalidOutput, "NaN"),
        (InvalidOutput, "sums to 2"),
        (InvalidOutput, "no array of real numbers"),
        (InvalidOutput, "no array of real numbers"),
        (ChildFailed, "KeyboardInterrupt"),
        (ChildFailed, "SystemExit: 0"),
        (ChildFailed, "RuntimeError: no luck"),
        (OutOfMemory, "MemoryError"),
    ]
    with isolated("worst.py:Moody", "process", LIMITS) as diagnoser:
        for number, (kind, words) in enumerate(mistakes):
            with pytest.raises(kind, match=words):
                diagnoser.predict_proba(np.full((4, 1, 5), number, np.float32))
        answer = diagnoser.predict_proba(np.full((4, 1, 5), len(mistakes), np.float32))
    np.testing.assert_array_equal(answer, Constant().predict_proba(answer))


def test_after_the_end_there_is_one_answer(dataset):
    with isolated("worst.py:Suicide", "process", LIMITS) as diagnoser:
        for _ in range(2):
            with pytest.raises(ChildFailed, match="SIGKILL"):
                diagnoser.predict_proba(np.zeros((1, 1, 5), np.float32))
    with pytest.raises(KeyboardInterrupt), isolated("constant", "process", LIMITS):
        raise KeyboardInterrupt


def test_references_are_ours_and_not_isolated(dataset):
    result = evaluate(dataset, "oracle", isolation="process", n_bootstrap=2)
    assert (result.isolation, result.scores["value"]) == ("none", 1.0)


@pytest.mark.parametrize(
    ("diagnoser", "options", "words"),
    [
        (Constant(), {}, "can't be isolated"),
        ("rulez", {}, "Did you mean 'rules'"),
        ("missing.py:x", {}, "there is no file missing.py"),
        ("exec:./missing", {}, "no program"),
        ("rules", {"isolation": "moat"}, "no isolation 'moat'; there are none, process, namespace"),
    ],
)
def test_what_the_caller_gets_wrong(dataset, diagnoser, options, words):
    with pytest.raises(UsageError, match=words):
        evaluate(dataset, diagnoser, **{"isolation": "process"} | options)
    with pytest.raises(UsageError, match="limits are positive"):
        ProcessLimits(seconds=0)


# --------------------------------------------------------------------------------------------- namespaces

SPY = """
import os, socket, sys
import numpy as np
from pathlib import Path

def tried(function, *arguments):
    try: return repr(function(*arguments))
    except OSError as error: return type(error).__name__

class Spy:
    def predict_proba(self, X):
        sys.stderr.write("|".join([
            tried(Path("labels").read_text),
            tried(Path("labels").write_text, "x"), tried(Path("new").write_text, "x"),
            tried(os.system, "umount labels 2>/dev/null"),
            tried(socket.create_connection, ("127.0.0.1", PORT), 1),
            str(len([x for x in os.listdir("/proc") if x.isdigit()]) < 10),
            tried(os.listdir, "/run"),
            tried((Path(os.environ["TMPDIR"]) / "mine").write_text, "x"),
            tried((Path(os.environ["TMPDIR"]) / "big").write_bytes, b"x" * 9000000),
        ]) + "\\n")
        sys.stderr.flush()
        os._exit(3)
"""


def available():
    """Whether this machine has namespaces for us."""
    try:
        with Child(["true"], LIMITS, called="It", namespace=True) as child:
            child.converse(b"", most_bytes=0)
    except UsageError:
        return False
    return True


def test_a_namespace_holds_nothing_but_the_diagnoser(dataset, folder):
    import socket

    (folder / "labels").write_text("secret")
    with socket.create_server(("127.0.0.1", 0)) as server:
        (folder / "spy.py").write_text(SPY.replace("PORT", str(server.getsockname()[1])))
        arguments = {"limits": LIMITS, "hidden": [folder / "labels"], "n_bootstrap": 2}
        open_ = evaluate(dataset, "spy.py:Spy", isolation="process", **arguments)
        (folder / "labels").write_text("secret")
        (folder / "new").unlink()
        if not available():
            with pytest.raises(UsageError, match="not available here"):
                evaluate(dataset, "spy.py:Spy", isolation="namespace", **arguments)
            return
        closed = evaluate(dataset, "spy.py:Spy", isolation="namespace", **arguments)
    found = open_.message.split("It last said: ")[1].strip('".').split("|")
    assert found[0] == "'secret'"
    assert "socket" in found[4]
    found = closed.message.split("It last said: ")[1].strip('".').split("|")
    assert found[0] == "''", "labels are hidden"
    assert found[1:3] == ["1", "OSError"], "what is written to the hidden file is lost; there can be no new one"
    assert found[3] != "0", "what hides them stays"
    assert found[4].endswith("Error"), "no network"
    assert found[5:8] == ["True", "[]", "1"]
    assert found[8] == "OSError"
    assert (folder / "labels").read_text() == "secret"
    assert not (folder / "new").exists()


def test_without_namespaces_nothing_is_run_instead(dataset, monkeypatch, folder):
    """A kernel that refuses is played by a supervisor that asks for a namespace that does not exist."""
    supervisor = folder / "supervisor.py"
    ours = Path(__import__("curvebench.processes", fromlist=["x"]).__file__).with_name("supervisor.py").read_text()
    supervisor.write_text(ours.replace("flags = CLONE_NEWUSER", "flags = 1 | CLONE_NEWUSER"))
    monkeypatch.setattr("curvebench.processes._SUPERVISOR", supervisor)
    with pytest.raises(UsageError, match=r"'namespace' is not available here \(unshare: Invalid argument\)"):
        evaluate(dataset, "constant", isolation="namespace", limits=LIMITS)


def test_the_worst_in_a_namespace(dataset):
    if not available():
        return
    for name in ("Suicide", "Orphans", "Bomb"):
        status, words = EXPECTED[name]
        result = evaluate(dataset, f"worst.py:{name}", isolation="namespace", limits=LIMITS, n_bootstrap=2)
        assert (result.status, words in result.message) == (status, True), result.message


def test_remedies_survive_the_wire():
    from curvebench.evaluation import wire

    remedies = [None, NO_REMEDY, Remedy(Action.RESTART, 1 / 3), Remedy(Action.RESUME, 10.0, 0.7)]
    assert wire.remedies_from_array(wire.remedies_to_array(remedies)) == remedies
    for action in (7.0, 0.5, np.nan, -2.0):
        with pytest.raises(wire.BrokenFrame):
            wire.remedies_from_array(np.array([[action, 1.0, 0.0]]))


def test_new_ones_are_made_in_new_processes_that_end_with_them(folder):
    with maker("worst.py:Good", "process", LIMITS) as make:
        first, second = make(), make()
        n_two = len(children())
        del first
        assert len(children()) == n_two - 1
        assert second.statement().can_be_fitted
        third = make()
        assert (third.track, len(children())) == ("telemetry", n_two)


def test_what_lies_in_the_current_folder_is_not_run_in_place_of_the_standard_library(folder):
    (folder / "json.py").write_text("raise SystemExit('not this one')")
    with isolated("rules", "process", LIMITS) as diagnoser:
        assert diagnoser.track == "curve"


def test_programs_and_models_are_known_by_their_names_alone(folder):
    (folder / "no.cbm").write_bytes(b"no model")
    check_name("exec:true no.cbm")
    with pytest.raises(InputError, match="is no model"):
        check_name("no.cbm")
    assert type(resolve("exec:true no.cbm")).__name__ == "External"
