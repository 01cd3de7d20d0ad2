"""docs/architecture.md: the files and functions it names are there, and its picture of the rooms is the contract."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
ROWS = re.findall(r"^\| .* \| `([\w/]+\.py)` \| (.*) \|$", PAGE, re.MULTILINE)


def place(name: str) -> Path:
    """Where a file that the page names would be."""
    return ROOT / name if name.startswith("plugins/") else ROOT / "server" / "antiphon" / name


def defined(file: Path) -> set[str]:
    """Functions and classes of a module, and the methods as Class.method."""
    found = set()
    for item in ast.parse(file.read_text()).body:
        if isinstance(item, (*FUNCTIONS, ast.ClassDef)):
            found.add(item.name)
        if isinstance(item, ast.ClassDef):
            found |= {f"{item.name}.{part.name}" for part in item.body if isinstance(part, FUNCTIONS)}
    return found


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`([\w/]+\.py)`", PAGE))))
def test_each_file_on_the_page_exists(name: str) -> None:
    assert place(name).is_file()


def test_each_step_names_its_functions() -> None:
    steps = re.findall(r"^\| (?!step|-).*\|$", PAGE, re.MULTILINE)
    assert len(steps) == len(ROWS) > 40, "a row is: what happens, one file, its functions"
    for file, functions in ROWS:
        named = set(re.findall(r"`([\w.]+)`", functions))
        assert named, file
        assert named <= defined(place(file)), file


def test_the_rooms_are_drawn_as_the_contract_has_them() -> None:
    (drawn,) = [block for block in re.findall(r"```\n(.*?)```", PAGE, re.DOTALL) if block.startswith(" api")]
    rooms = [re.split(r"\s{2,}", line.strip())[0] for line in drawn.splitlines()]
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = [contract["layers"] for contract in contracts if contract["id"] == "rooms"]
    assert rooms == layers


def test_each_folder_of_a_room_is_on_the_page() -> None:
    server = ROOT / "server" / "antiphon"
    folders = {file.parent.relative_to(server).as_posix() for file in server.glob("*/**/__init__.py")}
    within = {folder for folder in folders if "/" in folder and "templates" not in folder}
    rooms = {folder.split("/")[0] for folder in folders}
    named = {name for name in re.findall(r"`(\w+/[\w/]+)/`", PAGE) if name.split("/")[0] in rooms - {"plugins"}}
    assert within == named
