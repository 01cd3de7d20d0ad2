"""docs/plugins.md: the tutorial works as written, and every hook is on the page as it is."""

import ast
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from antiphon import hookspecs, patch, plugins
from antiphon.block import StreamSpec
from antiphon.harness import run_processor

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "plugins.md").read_text()
HOOKS = [n for n in ast.parse(inspect.getsource(hookspecs)).body if isinstance(n, ast.FunctionDef)]


@pytest.fixture
def folder(tmp_path):
    """The tutorial's files, as a reader would have made them."""
    written = re.findall(r"```(?:python|toml)\n# (\S+)\n(.*?)```", PAGE, re.DOTALL)
    assert len(written) == 4
    for name, text in written:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_the_tutorial_loads_and_sounds(folder):
    loaded = plugins.load(folder)
    assert "wobble" not in {f.name for f in loaded.catalog.failures}
    assert loaded.catalog["tremolo"].plugin == "wobble"
    assert loaded.catalog["tremolo"].doc
    out = run_processor(loaded.make("tremolo"), StreamSpec(), np.ones((2, 48000), np.float32), {"depth": 1.0})
    assert out.min() < 0.01 < 0.99 < out.max()
    made = patch.load(folder / "wobble.toml", loaded.catalog, trusted=True)
    assert made.graph.node("tremolo").values == {"rate": 6.0}


def test_the_tutorials_own_test_passes(folder):
    source = os.pathsep.join([str(folder), str(ROOT / "server"), str(ROOT / "plugins")])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "wobble/test_tremolo.py"],
        cwd=folder, env={**os.environ, "PYTHONPATH": source}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert "2 passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook.name)
def test_each_hook_is_documented_with_its_exact_signature(hook):
    names = ", ".join(argument.arg for argument in hook.args.args)
    written = f"def {hook.name}({ast.unparse(hook.args)}) -> {ast.unparse(hook.returns)}"
    assert f"\n### {hook.name}({names})\n\n```\n{written}\n```\n" in PAGE


def test_no_hook_on_the_page_is_made_up():
    assert set(re.findall(r"^### (antiphon_\w+)", PAGE, re.MULTILINE)) == {hook.name for hook in HOOKS}


def test_each_hook_has_a_test_named_for_it():
    tests = (ROOT / "tests" / "test_hooks.py").read_text()
    for hook in HOOKS:
        assert re.search(rf"^(async )?def test_hook_{hook.name}\(", tests, re.MULTILINE), hook.name


def test_the_names_on_the_page_are_those_refused():
    from antiphon.graph import RESERVED
    from antiphon.plugincheck import TAKEN

    said = " ".join(PAGE.split())
    assert "(`bypass mute wet reset type`)" in said
    assert {"bypass", "mute", "wet", "reset", "type"} == TAKEN
    (reserved,) = re.findall(r"`(add remove [a-z ]+)`", said)
    assert set(reserved.split()) == RESERVED
