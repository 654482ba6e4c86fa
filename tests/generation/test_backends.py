"""Workers: the same results from one process and from several, errors and interrupts that end the work."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from oracles.work import fail_on_three, is_deaf_to_interrupts, square, square_and_say_where

from curvebench.generation.backends import available_cores, run_local


def collect(work, items, n_workers: int) -> dict:
    results = {}

    def on_done(item, result) -> None:
        assert item not in results
        results[item] = result

    run_local(work, items, n_workers, on_done)
    return results


def wait_for_no_children() -> None:
    deadline = time.monotonic() + 20
    while multiprocessing.active_children() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert multiprocessing.active_children() == []


def test_one_worker_works_here_and_several_elsewhere():
    here = collect(square_and_say_where, range(6), 1)
    there = collect(square_and_say_where, range(6), 2)
    assert {item: result for item, (result, _) in here.items()} == {item: item * item for item in range(6)}
    assert {item: result for item, (result, _) in there.items()} == {item: item * item for item in range(6)}
    assert {pid for _, pid in here.values()} == {os.getpid()}
    pids = {pid for _, pid in there.values()}
    assert os.getpid() not in pids
    assert len(pids) <= 2
    wait_for_no_children()


@pytest.mark.parametrize("n_workers", [0, 1, 7])
def test_nothing_and_one_item_need_no_processes(n_workers):
    assert collect(square, [], n_workers) == {}
    assert collect(square_and_say_where, [5], n_workers) == {5: (25, os.getpid())}


@pytest.mark.parametrize("n_workers", [1, 2])
def test_an_error_comes_out_and_stops_the_rest(n_workers, tmp_path):
    with pytest.raises(LookupError, match="three is not allowed"):
        collect(partial(fail_on_three, tmp_path), range(1, 40), n_workers)
    wait_for_no_children()
    done = {int(path.name) for path in tmp_path.iterdir()}
    assert {1, 2} <= done if n_workers == 1 else done
    assert len(done) < 20


@pytest.mark.parametrize("n_workers", [1, 2])
def test_an_interrupt_comes_out_and_stops_the_rest(n_workers, tmp_path):
    done = []

    def on_done(item, result) -> None:
        done.append(item)
        if len(done) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_local(partial(fail_on_three, tmp_path), range(4, 40), n_workers, on_done)
    wait_for_no_children()
    assert len(done) == 2
    time.sleep(0.3)
    assert len(list(tmp_path.iterdir())) < 12, "the workers went on"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs the process table of Linux")
def test_workers_die_with_a_parent_that_is_killed(tmp_path):
    code = (
        "import sys; from functools import partial; from pathlib import Path\n"
        "sys.path.insert(0, sys.argv[2])\n"
        "from oracles.work import say_who_and_wait\n"
        "from curvebench.generation.backends import run_local\n"
        "run_local(partial(say_who_and_wait, Path(sys.argv[1])), range(4), 2, print)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(Path(__file__).parents[1])]) as parent:
        deadline = time.monotonic() + 30
        while len(workers := [path.name for path in tmp_path.iterdir()]) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        parent.kill()
    while (survivors := [pid for pid in workers if is_running(pid)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    for pid in survivors:
        os.kill(int(pid), signal.SIGKILL)
    assert not survivors, "the workers outlive their parent"


def is_running(pid: str) -> bool:
    """Whether the process is there and not a zombie that nobody has buried yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_workers_leave_an_interrupt_to_the_parent():
    assert collect(is_deaf_to_interrupts, range(2), 2) == {0: True, 1: True}


def test_cores_are_those_that_this_process_may_use():
    assert 1 <= available_cores() <= os.cpu_count()
