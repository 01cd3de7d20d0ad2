"""What may import what: the pure parts stay pure, and no one loads torch."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

SERVER = Path(__file__).parents[1] / "server"
PURE = ["wire", "session", "router", "patch", "params", "graph"]
WORLD = {"asyncio", "socket", "socketserver", "selectors", "ssl", "http", "torch", "sounddevice", "jack"}


def files(name):
    place = SERVER / "antiphon" / name
    return sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]


def imported(file):
    """Modules a file imports when it is loaded; not what is for type checkers alone, nor inside functions."""
    waiting = list(ast.parse(file.read_text()).body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            waiting += [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)]


def ours(module):
    """The file of a module of ours, or None."""
    place = SERVER / Path(*module.split("."))
    for file in (place.with_suffix(".py"), place / "__init__.py"):
        if file.is_file():
            return file
    return None


def reached(start):
    """Every outside module loaded by loading these files, with the file that asks for it."""
    seen, outside, waiting = set(), {}, list(start)
    while waiting:
        file = waiting.pop()
        if file in seen:
            continue
        seen.add(file)
        for module in imported(file):
            found = ours(module)
            if found is not None:
                waiting.append(found)
            elif not module.startswith("antiphon"):
                outside.setdefault(module.partition(".")[0], file)
    return outside


@pytest.mark.parametrize("name", PURE)
def test_the_pure_parts_touch_no_world(name):
    start = files(name)
    assert all(file.is_file() for file in start), f"{name} is gone; mend this test"
    outside = reached(start)
    assert {module: outside[module] for module in WORLD & set(outside)} == {}


@pytest.mark.parametrize("name", ["patch", "params", "graph", "catalog", "commands"])
def test_control_reads_patches_without_numpy(name):
    assert "numpy" not in reached(files(name))
    run = f"import sys, antiphon.{name}; assert not {{'numpy', 'torch', 'asyncio'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", run], check=True, env={**os.environ, "PYTHONPATH": str(SERVER)}, timeout=60)


def test_no_file_of_the_server_imports_torch_at_its_top():
    for file in (SERVER / "antiphon").rglob("*.py"):
        assert "torch" not in {module.partition(".")[0] for module in imported(file)}, file


def test_the_walk_sees_what_it_looks_for(tmp_path):
    file = tmp_path / "x.py"
    file.write_text("try:\n    import asyncio\nexcept ImportError:\n    pass\ndef f():\n    import torch\n")
    assert set(reached([file])) == {"asyncio"}
