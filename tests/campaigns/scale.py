"""Measurements of docs/scale.md, each by one command; whoever runs it needs the extras ray and dask.

    python tests/campaigns/scale.py throughput quick    shards per second of each backend with 1 and 2 workers
    python tests/campaigns/scale.py throughput core 20  the same with a twentieth of the problem instances of `core`
    python tests/campaigns/scale.py hosts       two hosts in network namespaces, one killed or cut off (root, iproute2)
    python tests/campaigns/scale.py memory      peak memory of evaluating a folder and the same rows as one file

Every run ends by comparing content hashes. Results go to standard output, one JSON object a line.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

import curvebench
from curvebench.data.dataset import Dataset
from curvebench.data.folder import describe, sealed
from curvebench.data.store import load, read_columns, write, write_manifest
from curvebench.generation import generate as generate_module
from curvebench.generation.engine import make_engine
from curvebench.generation.generate import generate, generate_folder
from curvebench.generation.plan import Group
from curvebench.generation.recipe import RecipeFile, load_recipe, parse_recipe

RECIPE = "quick"
N_TURNS = 2
HOSTS = {"curvebench-a": "10.77.0.1", "curvebench-b": "10.77.0.2"}
SECONDS_UNTIL_THE_FAULT = 600
N_SHARDS_BEFORE_THE_FAULT = 3


def main() -> None:
    """Run what is asked for."""
    os.environ["PYTHONPATH"] = str(Path(curvebench.__file__).parents[1]) + os.pathsep + os.environ.get("PYTHONPATH", "")
    with tempfile.TemporaryDirectory(prefix="curvebench-scale-") as folder:
        match sys.argv[1:]:
            case ["throughput", name, *every]:
                throughput(Path(folder), name, int(every[0]) if every else 1)
            case ["hosts", *names]:
                hosts(Path(folder), names or ["dask", "ray"])
            case ["memory"]:
                memory(Path(folder))
            case ["evaluate", path]:  # in a process of its own, for `memory`
                evaluate_and_tell(Path(path))
            case _:
                sys.exit(__doc__)


def tell(**facts: object) -> None:
    """One line of results."""
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


# --------------------------------------------------------------------------------------------- throughput


def throughput(folder: Path, recipe_name: str, every: int) -> None:
    """Shards per second of each backend, and what of its workers' time is not training.

    All is measured in turn several times and the quickest of each kind is told, for machines are lent to others too.
    Overhead is what workers do beside training, as a share of it: the time of each worker from the end of its first
    shard, with which it loads compiled code, to the end of its last, over what `run_group` took of it in the same run.
    """
    recipe_file = thinned(recipe_name, every)
    make_engine(recipe_file.recipe.engine).prepare(lambda sentence: None)
    generate_module._made_untimed = generate_module._make_part
    contents: set[str] = set()
    measured: dict[tuple[str, int], list[dict[str, float]]] = {}
    for turn, backend, workers in itertools.product(range(N_TURNS), ("local", "dask", "ray"), (1, 2)):
        name = f"{backend}-{workers}-{turn}"
        (times := folder / f"{name}-times").mkdir()
        generate_module._make_part = partial(make_part_timed, times)
        moments: list[float] = []
        made = generate_folder(
            recipe_file,
            folder / name,
            backend=backend,
            workers=workers,
            progress=lambda done, total, group, moments=moments: moments.append(time.perf_counter()),
        )
        ended = time.perf_counter()
        contents.add(made.manifest.content_sha256)
        spans = sorted((json.loads(file.read_text()) for file in times.iterdir()), key=lambda span: span["begin"])
        busy = inside = training = 0.0
        for worker in {span["worker"] for span in spans}:
            first, *later = [span for span in spans if span["worker"] == worker]
            busy += [first, *later][-1]["end"] - first["end"]
            inside += sum(span["end"] - span["begin"] for span in later)
            training += sum(span["training"] for span in later)
        found = {
            "shards_per_second": len(spans) / (max(span["end"] for span in spans) - spans[0]["begin"]),
            "overhead": busy / training - 1,
            "of_this_between_shards": (busy - inside) / training,
            "seconds_until_first": moments[1] - moments[0],
            "seconds_for_the_manifest": ended - moments[-1],
        }
        measured.setdefault((backend, workers), []).append(found)
    for (backend, workers), turns in measured.items():
        best = {what: (max if what == "shards_per_second" else min)(t[what] for t in turns) for what in turns[0]}
        tell(what=f"{backend}, {workers} workers", n_shards=len(made.manifest.shards), **best)
    tell(what="content hashes", n_different=len(contents))


def make_part_timed(times: Path, recipe_text: str, folder: Path, device: str, group: Group) -> None:
    """Make a shard and write down when that began and ended, and how long its training took."""
    from curvebench.generation import generate as module

    make = getattr(module, "_made_untimed", module._make_part)  # the former where this is the process that asks
    seconds, train = [], module.run_group

    def train_timed(*arguments: object) -> object:
        begin = time.perf_counter()
        outcomes = train(*arguments)
        seconds.append(time.perf_counter() - begin)
        return outcomes

    module.run_group, begin = train_timed, time.time()
    try:
        make(recipe_text, folder, device, group)
    finally:
        module.run_group = train
    span = {"worker": os.getpid(), "begin": begin, "end": time.time(), "training": sum(seconds)}
    (times / f"{group.index}.json").write_text(json.dumps(span))


def thinned(name: str, every: int) -> RecipeFile:
    """A shipped recipe with one out of so many problem instances, at least one of each set."""

    def fewer(match: re.Match[str]) -> str:
        return f"instances = {-(-int(match[1]) // every)}\n"

    return parse_recipe(re.sub(r"instances = (\d+)\n", fewer, load_recipe(name).text))


# -------------------------------------------------------------------------------------------------- hosts


def hosts(folder: Path, backends: Sequence[str]) -> None:
    """Two hosts work; one is killed, or the link between them cut, when some shards are done."""
    os.environ["RAY_AUTH_MODE"] = "disabled"  # nobody else reaches the two namespaces
    expected = generate(RECIPE, folder / "local.h5").content_sha256
    for backend in backends:
        for fault in ("none", "kill", "cut"):
            with namespaces():
                tell(**with_fault(folder / f"{backend}-{fault}", backend, fault, expected))


def with_fault(output: Path, backend: str, fault: str, expected: str) -> dict[str, object]:
    """One run on two hosts."""
    near, far = HOSTS
    logs = output.with_name(output.name + ".log")
    with open(logs, "wb") as log:
        address = CLUSTERS[backend](log)
        command = [sys.executable, "-m", "curvebench", "generate", RECIPE, "-o", f"{output}/", "--json", "-q"]
        begin = time.perf_counter()
        driver = on(near, [*command, "--backend", backend, "--address", address], stdout=subprocess.PIPE, stderr=log)
        parts = output.with_name(output.name + ".parts")
        while len(list(parts.glob("*/group-*.h5"))) < N_SHARDS_BEFORE_THE_FAULT and driver.poll() is None:
            time.sleep(0.05)
        if fault == "kill":
            kill_all_in(far)
        elif fault == "cut":
            on(near, ["ip", "link", "set", "veth-a", "down"]).wait()
        said, _ = driver.communicate(timeout=SECONDS_UNTIL_THE_FAULT)
    content = json.loads(said)["content_sha256"] if driver.returncode == 0 else logs.read_text(errors="replace")[-2000:]
    return {
        "what": f"{backend} on two hosts, fault: {fault}",
        "code": driver.returncode,
        "seconds": time.perf_counter() - begin,
        "content_is_that_of_one_host": content == expected,
        **({} if driver.returncode == 0 else {"log": content}),
    }


def dask_cluster(log: object) -> str:
    """A scheduler and a worker on the near host, a worker on the far one."""
    near, far = HOSTS
    address = f"tcp://{HOSTS[near]}:8786"
    on(near, dask("scheduler", "--host", HOSTS[near], "--no-dashboard"), stdout=log, stderr=log)
    for host in (near, far):
        options = ("--host", HOSTS[host], "--nthreads", "1", "--no-dashboard", "--memory-limit", "0")
        on(host, dask("worker", address, *options), stdout=log, stderr=log)
    wait_for(
        "from distributed import Client\nwith Client(sys.argv[1]) as c: c.wait_for_workers(2, timeout=60)", address
    )
    return address


def dask(part: str, *options: str) -> list[str]:
    """The command that starts a part of Dask."""
    return [sys.executable, "-m", f"distributed.cli.dask_{part}", *options]


def ray_cluster(log: object) -> str:
    """A head on the near host, another node on the far one; one worker each."""
    near, far = HOSTS
    address, quiet = f"{HOSTS[near]}:6379", ["--num-cpus=1", "--disable-usage-stats", "--block"]
    ray = [sys.executable, "-m", "ray.scripts.scripts", "start"]
    head = ["--head", "--port=6379", f"--node-ip-address={HOSTS[near]}", "--include-dashboard=false"]
    on(near, [*ray, *head, *quiet], stdout=log, stderr=log)
    wait_for("import ray\nray.init(sys.argv[1], log_to_driver=False)", address)
    on(far, [*ray, f"--address={address}", f"--node-ip-address={HOSTS[far]}", *quiet], stdout=log, stderr=log)
    wait_for(
        "import ray, time\nray.init(sys.argv[1], log_to_driver=False)\n"
        "while ray.cluster_resources().get('CPU', 0) < 2: time.sleep(0.2)",
        address,
    )
    return address


CLUSTERS = {"dask": dask_cluster, "ray": ray_cluster}


def wait_for(code: str, address: str) -> None:
    """Run code on the near host until it succeeds: the cluster is up."""
    near, _ = HOSTS
    for _ in range(20):
        command = [sys.executable, "-c", "import sys\n" + code, address]
        if on(near, command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).wait(120) == 0:
            return
        time.sleep(1)
    sys.exit("the cluster did not come up")


def on(host: str, command: Sequence[str], **streams: object) -> subprocess.Popen[bytes]:
    """Start a command on a host."""
    return subprocess.Popen(["ip", "netns", "exec", host, *command], **streams)  # type: ignore[call-overload]


@contextmanager
def namespaces() -> Iterator[None]:
    """Two network namespaces with an address each and a link between them; whatever runs in them ends with them."""
    near, far = HOSTS
    remove_namespaces()  # of a call that was killed
    run(f"ip netns add {near}", f"ip netns add {far}")
    try:
        run(f"ip link add veth-a netns {near} type veth peer name veth-b netns {far}")
        for host, device in ((near, "veth-a"), (far, "veth-b")):
            run(
                f"ip -n {host} addr add {HOSTS[host]}/24 dev {device}",
                f"ip -n {host} link set {device} up",
                f"ip -n {host} link set lo up",
            )
        yield
    finally:
        remove_namespaces()


def remove_namespaces() -> None:
    """Both hosts, with all that runs in them, as far as they are there."""
    for host in HOSTS:
        if Path("/run/netns", host).exists():
            kill_all_in(host)
            run(f"ip netns del {host}")


def run(*commands: str) -> None:
    """Run commands that must succeed."""
    for command in commands:
        subprocess.run(command.split(), check=True)


def kill_all_in(host: str) -> None:
    """What happens to the processes of a host that loses its power."""
    for _ in range(3):  # some start others
        found = subprocess.run(["ip", "netns", "pids", host], capture_output=True, text=True, check=True)
        for pid in found.stdout.split():
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.2)


# ------------------------------------------------------------------------------------------------- memory


def memory(folder: Path) -> None:
    """Peak memory of evaluating data sets of one, four and sixteen times the shards, as a folder and as a file."""
    generate(RECIPE, folder / "one.h5")
    one = load(folder / "one.h5")
    for times in (1, 4, 16):
        for path in multiplied(one, times, folder):
            begin = time.perf_counter()
            done = subprocess.run(
                [sys.executable, __file__, "evaluate", str(path)], check=True, capture_output=True, text=True
            )
            tell(times=times, is_folder=path.is_dir(), seconds=time.perf_counter() - begin, **json.loads(done.stdout))


def multiplied(dataset: Dataset, times: int, folder: Path) -> tuple[Path, Path]:
    """A data set with the groups of another several times under other names, as a folder and as a file."""
    path, files = folder / f"times-{times}", []
    path.mkdir()
    groups = sorted(set(dataset["group"].tolist()))
    for copy in range(times):
        for group in groups:
            part = dataset.select(dataset["group"] == group)
            columns = dict(part.columns)
            for name in ("run", "cell", "problem"):
                columns[name] = np.char.add(f"{copy}-", part[name])
            columns["group"] = part["group"] + copy * (groups[-1] + 1)
            files.append(f"group-{columns['group'][0]:06d}.h5")
            write(Dataset(columns, replace(dataset.meta, fixed_actions={})), path / files[-1])
    whole = sealed(describe(path, files, read_columns), dataset.meta.fixed_actions)
    write_manifest(whole)
    write(load(path), path.with_suffix(".h5"))
    return path, path.with_suffix(".h5")


def evaluate_and_tell(path: Path) -> None:
    """Evaluate `rules` on `test`, and say what came out and how much memory it took."""
    from curvebench.data.store import open_table

    before = peak_mib()
    table = open_table(path)
    result = curvebench.evaluate(table, "rules")
    tell(n_runs=table.n_runs, value=result.scores["value"], mib_before=before, mib_peak=peak_mib())


def peak_mib() -> float:
    """Most memory that this process ever had; `getrusage` would count what its parent had before it."""
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM:")) / 1024


if __name__ == "__main__":
    main()
