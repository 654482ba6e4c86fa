"""The house: arrows between modules go down only, and heavy libraries stay in their rooms."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import curvebench
from curvebench.claims import CLAIMS
from curvebench.diagnosers import DIAGNOSERS
from curvebench.generation.engine import ENGINES
from curvebench.generation.engine import MODULES as NETWORKS
from curvebench.generation.problems import FAMILIES
from curvebench.generation.recipe import load_recipe, shipped_recipes
from curvebench.generation.schedules import SHAPES

PACKAGE = Path(curvebench.__file__).parent

MAY_IMPORT = {
    "spec": set(),
    "console": {"spec"},
    "t_quantiles": set(),
    "nearly": set(),
    "remedies": {"spec"},
    "materiality": {"spec", "remedies", "t_quantiles"},
    "data": {"spec", "nearly", "remedies", "processes"},
    "processes": {"spec"},
    "diagnosers": {"spec", "nearly", "remedies", "processes", "data"},
    "generation": {"spec", "nearly", "remedies", "materiality", "t_quantiles", "data"},
    "evaluation": {"spec", "remedies", "materiality", "data", "diagnosers", "processes"},
    "logs": {"spec", "nearly"},
    "diagnosis": {"spec", "remedies", "data", "diagnosers", "logs"},
    "monitoring": {"spec", "diagnosers", "diagnosis"},
    "plots": {"spec", "data", "diagnosis"},
    "cases": {"spec", "nearly", "remedies", "materiality", "data", "diagnosers", "evaluation", "logs"},
    "guard": {"spec", "console", "data", "evaluation", "plots"},
    "pytest_plugin": {"spec", "data", "evaluation", "guard"},
    "claims": {"spec", "remedies", "data", "generation", "plots"},
    "board": {"spec", "remedies", "data", "cases"},
    "interchange": {"spec", "data"},
    "__init__": {"spec", "data", "generation", "evaluation", "interchange", "monitoring", "logs", "diagnosis"},
    "cli": {
        "__init__",
        "spec",
        "nearly",
        "console",
        "processes",
        "data",
        "diagnosers",
        "diagnosis",
        "generation",
        "evaluation",
        "plots",
        "claims",
        "board",
        "cases",
        "logs",
        "interchange",
    },
    "__main__": {"cli"},
}
"""Part of the house -> the parts that it may import beside itself. A new part has to find its place here."""

TOOL_LIBRARIES = (
    "gradsnitch", "lightning", "pandas", "pytscope", "silver_diagnostics", "sk_autod", "training_doctor",
    "trainproof", "trainspotter",
)  # fmt: skip

ROOMS = {
    "torch": (
        "generation/engine/stacked.py",
        "generation/engine/modules.py",
        "diagnosers/learned/convolution.py",
        "diagnosers/tools/",
        "interchange/layouts.py",
        "monitoring/callbacks/huggingface.py",
    ),
    "aeon": ("diagnosers/learned/nearest.py", "diagnosers/learned/minirocket.py"),
    "numba": ("generation/engine/",),
    "h5py": ("data/store.py",),
    "matplotlib": ("plots/", "claims/pictures.py"),
    "sklearn": (
        "generation/problems/bundled.py",
        "data/neighbours.py",
        "diagnosers/learned/",
        "evaluation/audit/",
        "interchange/loading.py",
    ),
    "scipy": ("cases/scores.py", "diagnosers/learned/relogged.py"),
    "typer": ("cli/",),
    "rich": ("console.py",),
    "pytest": ("pytest_plugin.py",),
    "pydantic": ("generation/recipe.py", "board/stored.py"),
    "pydantic_core": ("generation/recipe.py",),
    **dict.fromkeys(TOOL_LIBRARIES, ("diagnosers/tools/",)),
    "pandas": ("diagnosers/tools/", "interchange/frames.py"),
    "lightning": ("diagnosers/tools/", "monitoring/callbacks/lightning.py"),
    "pytorch_lightning": ("monitoring/callbacks/lightning.py",),
    "transformers": ("monitoring/callbacks/huggingface.py",),
    "keras": ("monitoring/callbacks/keras.py",),
    "jinja2": ("board/render.py",),
    "ray": ("generation/backends/ray.py",),
    "distributed": ("generation/backends/dask.py",),
    "submitit": ("generation/backends/slurm.py",),
}
"""Library -> the only files, or folders of them, that may import it."""

LAZY = (
    "torch",
    "numba",
    "matplotlib",
    "sklearn",
    "rich",
    "typer",
    "pandas",
    "pyarrow",
    "aeon",
    "lightning",
    "transformers",
    "keras",
)
"""What `import curvebench` leaves alone; the first four by contract."""

FILES = sorted(path for path in PACKAGE.rglob("*.py") if "data_recipes" not in path.parts)
PLACES = {path: path.relative_to(PACKAGE).as_posix() for path in FILES}
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}


def module_of(path: Path) -> str:
    """Dotted name: curvebench.data.store; that of a package for its __init__."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in FILES}


def part_of(module: str) -> str:
    """Top-level part that a module belongs to."""
    return "__init__" if module == "curvebench" else module.split(".")[1]


def imports(tree: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Full names of what is imported, anywhere in a file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from ((f"{node.module}.{alias.name}", node) for alias in node.names)


def our_imports(path: Path) -> set[str]:
    """Our modules that a file imports."""
    found = set()
    for name, _ in imports(TREES[path]):
        if name.split(".")[0] == "curvebench":
            found.add(name if name in MODULES else name.rpartition(".")[0])
    return found


@pytest.mark.parametrize("path", FILES, ids=PLACES.get)
def test_imports_go_down_only(path):
    part = part_of(module_of(path))
    assert part in MAY_IMPORT, f"{PLACES[path]} is new; say in MAY_IMPORT what it may import"
    for module in our_imports(path):
        allowed = MAY_IMPORT[part] | {part}
        assert part_of(module) in allowed, f"{PLACES[path]} imports {module}; it may import {sorted(allowed)}"


def test_diagnosers_know_no_data_set():
    """Only the file of a model borrows from `data`: how a file is written in one step, and the versions to say."""
    for path in (path for path in FILES if part_of(module_of(path)) == "diagnosers"):
        borrowed = {module for module in our_imports(path) if part_of(module) == "data"}
        allowed = {"curvebench.data.store", "curvebench.data.versions"} if path.name == "models.py" else set()
        assert borrowed <= allowed, f"{PLACES[path]} imports {sorted(borrowed)}"


def test_no_cycles():
    graph = {module: our_imports(path) for module, path in MODULES.items()}
    done, below = set(), []

    def visit(module):
        assert module not in below, f"a cycle: {' -> '.join([*below[below.index(module) :], module])}"
        if module in done:
            return
        below.append(module)
        for imported in graph[module]:
            visit(imported)
        done.add(below.pop())

    for module in graph:
        visit(module)


@pytest.mark.parametrize("library", ROOMS)
def test_libraries_stay_in_their_rooms(library):
    for path, tree in TREES.items():
        if any(name.split(".")[0] == library for name, _ in imports(tree)):
            assert PLACES[path].startswith(ROOMS[library]), f"{library} is not for {PLACES[path]}"


@pytest.mark.parametrize("room", ROOMS["matplotlib"])
def test_matplotlib_is_imported_when_something_is_drawn(room):
    n_found = 0
    for tree in (tree for path, tree in TREES.items() if PLACES[path].startswith(room)):
        in_functions = {
            id(node) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) for node in ast.walk(f) if node is not f
        }
        for name, node in imports(tree):
            if name.split(".")[0] == "matplotlib":
                assert id(node) in in_functions, f"{name} is imported with the module"
                assert "pyplot" not in name
                n_found += 1
    assert n_found > 0


def test_importing_the_package_is_cheap():
    code = f"import sys, curvebench; print(*[name for name in {LAZY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=100)
    assert done.stdout.strip() == ""


def test_no_room_for_leftovers():
    forbidden = {"util", "utils", "helper", "helpers", "common", "misc", "manager", "managers", "base", "core"}
    assert not {part for place in PLACES.values() for part in Path(place).with_suffix("").parts} & forbidden


def test_what_is_public_exists():
    assert len(set(curvebench.__all__)) == len(curvebench.__all__)
    for name in curvebench.__all__:
        assert hasattr(curvebench, name)


# -------------------------------------------------------------------------------------------- registries


@pytest.mark.parametrize(
    "target", [*ENGINES.values(), *NETWORKS.values(), *(entry.target for entry in DIAGNOSERS.values())]
)
def test_what_a_registry_names_exists(target):
    module, _, attribute = target.partition(":")
    assert module in MODULES
    assert callable(getattr(import_module(module), attribute))


@pytest.mark.parametrize(
    "registry",
    [DIAGNOSERS, ENGINES, FAMILIES, NETWORKS, SHAPES, CLAIMS],
    ids=["diagnosers", "engines", "problems", "networks", "shapes", "claims"],
)
def test_names_are_words_that_are_typed_easily(registry):
    assert registry
    for name in registry:
        assert re.fullmatch(r"([a-z0-9]+(-[a-z0-9]+)*/)?[a-z0-9]+([-_][a-z0-9]+)*", name)


def test_recipes_are_called_like_their_files():
    for name in shipped_recipes():
        assert load_recipe(name).recipe.name == name


# ----------------------------------------------------------------------------------------------- pickles

PICKLING = {"pickle", "_pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}


@pytest.mark.parametrize("path", FILES, ids=PLACES.get)
def test_no_pickle_is_read(path):
    """Unpickling runs whatever a file says. numpy and pandas unpickle too where they are allowed to."""
    assert not {name.split(".")[0] for name, _ in imports(TREES[path])} & PICKLING
    for call in (node for node in ast.walk(TREES[path]) if isinstance(node, ast.Call)):
        allowed = {keyword.arg: keyword.value for keyword in call.keywords}
        if isinstance(call.func, ast.Attribute):
            assert call.func.attr not in ("read_pickle", "to_pickle", "unpickle")
            is_of_numpy = isinstance(call.func.value, ast.Name) and call.func.value.id == "np"
            if is_of_numpy and call.func.attr in ("load", "save"):
                assert "allow_pickle" in allowed, f"line {call.lineno} leaves it to numpy whether to unpickle"
            is_of_torch = isinstance(call.func.value, ast.Name) and call.func.value.id == "torch"
            assert not (is_of_torch and call.func.attr == "load")
        if "allow_pickle" in allowed:
            assert getattr(allowed["allow_pickle"], "value", None) is False
