"""What the fused engine computes has the same bits for every compilation target, and the bits that stand here.

A change of them is a decision: it means a new version of every published data set.
"""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("numba")

from llvmlite import binding

JOBS = "fd1f37ffcad6caeaa7273960d5f72dc42798322080c5441de21466db4808fc0c"
TUNED = "100ec9282f835e3de7b9690dcc74834cb5df4b34870513dfdf71297ff323dfe8"
CONTENT = "0d3f3f8300038e1e4ba65dc73a78cc72e27e60991cb43c90da6b0d3377fbde72"

TARGETS = {
    # name: (environment, features of the host that it needs, vector registers and instructions expected in the code)
    "avx512": ({}, ("avx512f",), {"zmm": True, "vfmadd": True}),
    "avx2": ({"NUMBA_CPU_NAME": "haswell"}, ("avx2", "fma"), {"zmm": False, "ymm": True, "vfmadd": True}),
    "generic": ({"NUMBA_CPU_NAME": "x86-64"}, (), {"zmm": False, "ymm": False, "vfmadd": False}),
}


@pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="promised for x86-64 only")
@pytest.mark.parametrize("target", TARGETS)
def test_bits_are_the_same_for_every_target(target, tmp_path):
    environment, needed, expected = TARGETS[target]
    host = binding.get_host_cpu_features()
    if not all(host.get(feature) for feature in needed):
        pytest.skip("this processor cannot execute the target")
    folder = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, str(folder / "oracles" / "bits.py"), "1" if environment else "2"],
        env={
            **os.environ,
            **({"NUMBA_CPU_FEATURES": ""} if environment else {}),
            **environment,
            "NUMBA_CACHE_DIR": str(tmp_path),
            "PYTHONPATH": str(folder),
        },
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert {name: found[name] for name in expected} == expected
    assert (found["jobs"], found["content"], found["tuned"]) == (JOBS, CONTENT, TUNED)
