"""A pytest plugin: files marked `slow` run where what they test changed, with `--slow`, and in CI.

Changed is what differs from the branch that this one goes back to, committed or not. A file of tests depends on the
room or plugin beside which it stands and on all that these may import (`tool.importlinter` has the order).
"""

from __future__ import annotations

import os
import subprocess
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest

MOST = 30
"""Files that may bear the mark (`tests/project/test_slow.py`)."""
ROOT = Path(__file__).parents[1]
BASES = ("@{upstream}", "origin/HEAD", "main")
"""What a branch may go back to: the first that there is."""
USED_FROM_ABOVE = ("plugins/", "patches/", "lessons/")
"""What commands play, patches, servers and pages: their tests use what is no module below them."""
_changes = pytest.StashKey[list[str] | None]()
"""Where a run keeps what changed; None where every file runs."""
_left: set[str] = set()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run files marked slow though nothing that they use changed")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: a file that runs in CI, and where what it tests changed")
    if hasattr(config, "workerinput"):
        config.stash[_changes] = config.workerinput["changes"]
    elif config.getoption("--slow") or os.environ.get("CI") or config.args_source is config.ArgsSource.ARGS:
        config.stash[_changes] = None
    else:
        config.stash[_changes] = changes()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["changes"] = node.config.stash[_changes]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    _left.update(getattr(node, "workeroutput", {}).get("left", ()))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    changed = config.stash[_changes]
    if changed is None:
        return
    slow = {str(item.path.relative_to(ROOT)) for item in items if item.get_closest_marker("slow")}
    _left.update(file for file in slow if not any(depends(file, other) for other in changed))
    items[:] = [item for item in items if str(item.path.relative_to(ROOT)) not in _left]
    if hasattr(config, "workeroutput"):
        config.workeroutput["left"] = sorted(_left)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _left:
        terminalreporter.write_line(
            f"{len(_left)} slow files were left out, since nothing that they use changed; run them by "
            "make test ARGS=--slow"
        )


def changes() -> list[str] | None:
    """Paths from the root that differ from where this branch began; None where git cannot say."""
    for base in BASES:
        began = _git("merge-base", "HEAD", base)
        if began is not None:
            break
    tracked = _git("diff", "--name-only", *(began or ["HEAD"]))
    new = _git("ls-files", "--others", "--exclude-standard")
    return None if tracked is None or new is None else tracked + new


def depends(test: str, changed: str) -> bool:
    """Whether a file of tests uses another file, by where both stand; paths from the root."""
    if changed == test or changed.startswith((f"{Path(test).parent}/", "server/antiphon/testing/")):
        return True
    if changed in ("conftest.py", "pyproject.toml"):
        return True
    room = place(test)
    if test.startswith("tests/") and room[0] >= _heights()["cli"] and changed.startswith(USED_FROM_ABOVE):
        return True
    if not changed.endswith(".py") or "tests" in Path(changed).parts[:-1]:
        shared = changed.startswith("tests/") and changed.count("/") == 1
        return shared or test.startswith("tests/docs/")
    other = place(changed)
    return room == other or other[0] < room[0]


def place(path: str) -> tuple[int, str]:
    """A path's height, from 0 for the lowest, and its room, plugin or folder."""
    heights = _heights()
    match Path(path).with_suffix("").parts:
        case ("plugins", _, plugin, *_):
            return len(heights), plugin
        case ("server", _, "kernel", room, *_):
            return heights.get(f"kernel/{room}", len(heights)), room
        case ("server", _, room, *_) | ("tests", room, *_):
            return heights.get(room, heights.get(f"kernel/{room}", len(heights))), room
        case (*folders, _):
            return len(heights) + 1, "/".join(folders[:3])
    return 0, path


@cache
def _heights() -> dict[str, int]:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = {contract["id"]: contract.get("layers", [])[::-1] for contract in contracts}
    rooms, inside = layers["rooms"], [[f"kernel/{room}" for room in line.split(" | ")] for line in layers["kernel"]]
    at = rooms.index("kernel")
    ordered = [[each] for each in rooms[:at]] + inside + [line.split(" | ") for line in rooms[at:]]
    return {room: n for n, line in enumerate(ordered) for room in line}


def _git(*command: str) -> list[str] | None:
    try:
        done = subprocess.run(["git", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.split() if done.returncode == 0 else None
