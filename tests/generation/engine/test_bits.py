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

JOBS = "299c06c0cc66a82812024d2b0d917453e05171b1dc8cb16d4583167e7bcf66bc"
CONTENT = "d16dd030efe45162b06462615ecd010fc0b5c2abd0a374bfa7d83db0a53c52bc"

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
    assert (found["jobs"], found["content"]) == (JOBS, CONTENT)
