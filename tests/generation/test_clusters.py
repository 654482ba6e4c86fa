"""Backends: real clusters of this machine make what this process makes, and their troubles come out as sentences."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from oracles.tiny_recipe import TINY, tiny_file

import curvebench
from curvebench.data.store import verify
from curvebench.data.versions import package_versions
from curvebench.generation import backends
from curvebench.generation.backends import BACKENDS, NEEDS, Workers, check_backend
from curvebench.generation.generate import _make_part_elsewhere, generate
from curvebench.spec import UsageError

TESTS = Path(__file__).parents[1]


def program(code: str, *arguments: str, where: Path) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process of its own: clusters leave threads and warnings behind that are none of ours."""
    path = os.pathsep.join([str(TESTS), str(Path(curvebench.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": path},
        cwd=where,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture(params=NEEDS)
def backend(request):
    if find_spec(NEEDS[request.param]) is None:
        pytest.skip(f"{NEEDS[request.param]} is not installed")
    return request.param


def on_this_machine(backend: str) -> str | None:
    return "local" if backend == "slurm" else None


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    pytest.importorskip("torch")
    return generate(tiny_file(), tmp_path_factory.mktemp("local") / "tiny.h5", workers=1).content_sha256


@pytest.mark.timeout(400)
def test_a_cluster_makes_the_same_folder(backend, content, tmp_path):
    (tmp_path / "tiny.toml").write_text(TINY, encoding="utf-8")
    address = on_this_machine(backend)
    options = ["--backend", backend, "--workers", "2", *(["--address", address] if address else [])]
    code = "import sys; from curvebench.cli import main; main()"
    done = program(code, "generate", "tiny.toml", "-o", "made/", *options, "--json", where=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout)["content_sha256"] == content
    report = verify(tmp_path / "made")
    assert (report.content_sha256, report.n_shards) == (content, 3)
    assert sorted(os.listdir(tmp_path)) == ["made", "tiny.toml"], "nothing else is left"


WORK = """
import json, sys
from functools import partial
from pathlib import Path
from curvebench.generation.backends import Workers, run_on
from oracles.work import fail_on_three, square

def main():
    backend, address = sys.argv[1], sys.argv[2] or None
    found = {}
    run_on(backend, square, range(1200), Workers(2, address), found.__setitem__)
    assert found == {i: i * i for i in range(1200)}, found
    try:
        run_on(backend, partial(fail_on_three, Path(sys.argv[3])), range(1, 8), Workers(2, address), found.__setitem__)
    except Exception as error:
        print(json.dumps([type(error).__name__, str(error)]))

if __name__ == "__main__":
    main()
"""


@pytest.mark.timeout(400)
def test_every_item_is_worked_on_and_an_error_comes_out(backend, tmp_path):
    folder = tmp_path / "done"
    folder.mkdir()
    done = program(WORK, backend, on_this_machine(backend) or "", str(folder), where=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.strip().splitlines()[-1]) == ["LookupError", "three is not allowed"]


LISTEN = """
import sys
from pathlib import Path
from curvebench.generation.backends import Workers, run_on

def addresses_of(inodes):
    for family in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{family}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:  # listening
                yield fields[1].rpartition(":")[0]

def sockets_of(marked):
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if marked in (process / "environ").read_bytes():
                yield from (str(file.readlink()) for file in (process / "fd").iterdir())
        except OSError:
            continue

def look(mark):
    sockets = sockets_of(b"CURVEBENCH_MARK=" + mark.encode())
    return set(addresses_of({name[8:-1] for name in sockets if name.startswith("socket:")}))

if __name__ == "__main__":
    found = set()
    run_on(sys.argv[1], str, range(50), Workers(2), lambda item, _: item % 10 or found.update(look(sys.argv[2])))
    print(*sorted(found))
"""


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="needs the tables of Linux")
@pytest.mark.parametrize("backend", ["ray", "dask"], indirect=True)
@pytest.mark.timeout(400)
def test_a_cluster_of_this_machine_listens_on_loopback_only(backend, tmp_path, monkeypatch):
    mark = tmp_path.name + str(os.getpid())
    monkeypatch.setenv("CURVEBENCH_MARK", mark)
    done = program(LISTEN, backend, mark, where=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    found = done.stdout.split()
    loopback = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}
    assert found, "somebody listens"
    assert set(found) <= loopback


@pytest.mark.parametrize(
    ("backend", "workers", "message"),
    [
        ("spark", Workers(), "no backend 'spark'; there are local, ray, dask, slurm"),
        ("local", Workers(0), "at least one"),
        ("local", Workers(None, "10.0.0.1:1"), "has no address"),
        ("ray", Workers(2, "10.0.0.1:1"), "leave their number out"),
        ("dask", Workers(2, "10.0.0.1:1"), "leave their number out"),
    ],
)
def test_what_cannot_work_is_refused_before_any_work(backend, workers, message):
    with pytest.raises(UsageError, match=message):
        check_backend(backend, workers)


def test_a_backend_that_is_not_installed_says_how(monkeypatch):
    monkeypatch.setattr(backends, "find_spec", lambda name: None)
    check_backend("local", Workers())
    for backend in NEEDS:
        with pytest.raises(UsageError, match=rf"pip install 'curvebench\[{backend}\]'"):
            check_backend(backend, Workers())


def test_every_backend_but_the_first_is_an_extra():
    assert list(BACKENDS) == ["local", *NEEDS]


def test_workers_that_are_unlike_who_asks_are_refused(tmp_path):
    made = []
    here = package_versions()
    _make_part_elsewhere(made.append, tmp_path, here, "group")
    assert made == ["group"]
    with pytest.raises(UsageError, match=r"has numpy .*, unlike the process that asks"):
        _make_part_elsewhere(made.append, tmp_path, {**here, "numpy": "0.0"}, "group")
    with pytest.raises(UsageError, match="must share a file system"):
        _make_part_elsewhere(made.append, tmp_path / "not-here", here, "group")
    assert made == ["group"]
