"""Runs one command, watches it and whatever it starts, and leaves nothing of it alive; a program of its own.

Started by path (`python -I -S supervisor.py CONFIGURATION`), so that it starts in a hundredth of a second; for that it
imports nothing but the standard library. It is the ancestor to which Linux gives every orphan of the command (a
subreaper, or the first process of a namespace of processes), so that nothing gets out of its sight: not by a new
session, not by forking twice. What it has to say it writes as one JSON object to the pipe `report`: how the command
ended, or for what it was killed. When the pipe `control` is closed, because the caller wants an end or has died, it
kills the command too.

In a namespace the command sees all files read-only but a temporary folder of its own and /dev/shm, nothing of /run
(where services listen), the files of `hidden` as empty, no network and no process but its own.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

SECONDS_BETWEEN_LOOKS = 0.1
SECONDS_TO_STOP, SECONDS_TO_KILL = 3.0, 10.0  # the second holds for both together

# from linux/prctl.h, linux/sched.h, linux/mount.h and linux/capability.h
PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 24, 36, 38
CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 8, 4096, 16384, 1 << 18
SYS_MOUNT_SETATTR, AT_FDCWD, AT_RECURSIVE, MOUNT_ATTR_RDONLY = 442, -100, 0x8000, 1
LINUX_CAPABILITY_VERSION_3, N_CAPABILITIES = 0x20080522, 64

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(what: str, returned: int) -> None:
    """Make a failed system call an error that says which it was.

    Raises:
        OSError: it returned something negative.
    """
    if returned < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def _prctl(option: int, value: int) -> int:
    return int(_libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0))


# ------------------------------------------------------------------------------------------- namespaces


def _enter_namespaces() -> None:
    """User, mount, network, IPC, name and process namespaces of its own; the last from the next fork on."""
    user, group = os.getuid(), os.getgid()
    flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS
    _checked("unshare", _libc.unshare(flags))
    for name, line in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(line)


def _mount(source: str, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    encoded = [None if text is None else os.fsencode(text) for text in (source, target, kind, options)]
    source_, target_, kind_, options_ = encoded
    _checked(f"mount {target}", _libc.mount(source_, target_, kind_, ctypes.c_ulong(flags), options_))


def _restrict_files(temporary: str, hidden: list[str], n_bytes: int) -> None:
    """Everything read-only but two small file systems in memory; hidden files, hidden folders and /run empty."""
    _mount("none", "/", None, MS_REC | MS_PRIVATE)
    _mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    for path in hidden:
        if os.path.isdir(path):
            _mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, "size=4k,mode=755")
        else:
            _mount("/dev/null", path, None, MS_BIND)
    if os.path.isdir("/run"):
        _mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "size=4k,mode=755")
    attributes = (ctypes.c_uint64 * 4)(MOUNT_ATTR_RDONLY, 0, 0, 0)
    _checked(
        "mount_setattr",
        _libc.syscall(
            SYS_MOUNT_SETATTR, AT_FDCWD, b"/", AT_RECURSIVE, ctypes.byref(attributes), ctypes.sizeof(attributes)
        ),
    )
    for folder in ("/dev/shm", temporary):
        if os.path.isdir(folder):
            _mount("tmpfs", folder, "tmpfs", MS_NOSUID | MS_NODEV, f"size={n_bytes},mode=700")


def _drop_capabilities() -> None:
    """Give up what a namespace's first user may do in it, for good: unmounting what hides something, above all."""
    for capability in range(N_CAPABILITIES):
        _prctl(PR_CAPBSET_DROP, capability)  # fails for numbers that this kernel has not
    header = (ctypes.c_uint32 * 2)(LINUX_CAPABILITY_VERSION_3, 0)
    _checked("capset", _libc.capset(ctypes.byref(header), ctypes.byref((ctypes.c_uint32 * 6)())))


# ------------------------------------------------------------------------------------------- the command


def _start(config: Mapping[str, Any]) -> int:
    """Fork, limit and execute the command; its process id."""
    worker = os.fork()
    if worker:
        return worker
    try:
        os.setsid()
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if config["namespace"]:
            _drop_capabilities()
        _checked("prctl", _prctl(PR_SET_NO_NEW_PRIVS, 1))
        for name in ("DATA", "FSIZE"):
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (config[name], config[name]))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        for ignored_by_python in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(ignored_by_python, signal.SIG_DFL)
        os.execvp(config["argv"][0], config["argv"])
    except BaseException as error:
        os.write(2, f"{error}\n".encode(errors="replace"))
    finally:
        os._exit(127)


def _descendants() -> dict[int, int]:
    """Process id -> resident pages, of all living descendants of this process."""
    children: dict[int, list[int]] = {}
    pages = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
                state, parent, *others = file.read().rpartition(b")")[2].split()
                if state not in b"ZX":
                    pages[int(name)] = int(others[19])
                children.setdefault(int(parent), []).append(int(name))
    found, waiting = {}, [os.getpid()]
    while waiting:
        for pid in children.get(waiting.pop(), ()):
            waiting.append(pid)
            if pid in pages:
                found[pid] = pages[pid]
    return found


def _memory(pages: Mapping[int, int], limit: int) -> int:
    """Bytes of memory in use. Shared pages count once, but are told apart only where that may matter."""
    resident = sum(pages.values()) * resource.getpagesize()
    if resident <= limit:
        return resident
    return sum(_proportional_memory(pid, n) for pid, n in pages.items())


def _proportional_memory(pid: int, n_pages: int) -> int:
    with suppress(OSError, StopIteration), open(f"/proc/{pid}/smaps_rollup", "rb") as file:
        return 1024 * int(next(line for line in file if line.startswith(b"Pss:")).split()[1])
    return n_pages * resource.getpagesize()


def _reap(worker: int) -> int | None:
    """Take leave of all who ended; the wait status of the worker if it is among them."""
    status = None
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if ended[0] == worker:
                status = ended[1]
    return status


def _watch(worker: int, control: int, config: Mapping[str, Any]) -> dict[str, Any]:
    """Wait until the command ends, is to end, or exceeds a limit; what there is to report."""
    events = select.poll()
    events.register(os.pidfd_open(worker), select.POLLIN)
    events.register(control, select.POLLIN)
    while True:
        happened = [fd for fd, _ in events.poll(1000 * SECONDS_BETWEEN_LOOKS)]
        status = _reap(worker)
        if status is not None:
            return {"ended": os.waitstatus_to_exitcode(status)}
        if control in happened:
            return {"killed": "stopped"}
        pages = _descendants()
        if len(pages) > config["processes"]:
            return {"killed": "processes"}
        if _memory(pages, config["DATA"]) > config["DATA"]:
            return {"killed": "memory"}


def _kill_group(worker: int) -> None:
    """Kill the process group of the command in one call, in which no member can fork.

    Processes that multiply faster than they can be listed would outrun everything else that is done against them.
    """
    with suppress(ProcessLookupError):
        os.killpg(worker, signal.SIGKILL)


def _kill_all() -> None:
    """Stop every descendant, so that none forks any more, then kill and reap them all."""
    start = time.monotonic()
    stopped: set[int] = set()
    while time.monotonic() < start + SECONDS_TO_STOP:
        alive = set(_descendants())
        if alive <= stopped:
            break
        _signal_all(alive, signal.SIGSTOP)
        stopped = alive
    while time.monotonic() < start + SECONDS_TO_KILL:
        _signal_all(_descendants(), signal.SIGKILL)
        try:
            if not os.waitpid(-1, os.WNOHANG)[0]:
                time.sleep(0.001)
        except ChildProcessError:
            return


def _signal_all(pids: Any, number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _leave_pipes() -> None:
    """Leave the command's standard streams to it alone, so that their other ends see when it closes them."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nothing, stream)


def main() -> None:
    """Do what the configuration, a JSON object in the first argument, asks for."""
    config = json.loads(sys.argv[1])
    control, report = config["control"], config["report"]
    for pipe in (control, report):
        os.set_inheritable(pipe, False)
    try:
        if config["namespace"]:
            _enter_namespaces()
            if init := os.fork():
                _leave_pipes()
                os.waitpid(init, 0)
                return
            _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            _restrict_files(config["temporary"], config["hidden"], config["FSIZE"])
        else:
            _checked("prctl", _prctl(PR_SET_CHILD_SUBREAPER, 1))
        worker = _start(config)
    except OSError as error:
        said = {"unavailable": error.strerror}
    else:
        _leave_pipes()
        said = _watch(worker, control, config)
        if "killed" in said:  # so the worker was not reaped, and its number is still its own
            _kill_group(worker)
        _kill_all()
    os.write(report, json.dumps(said).encode())


if __name__ == "__main__":
    main()
