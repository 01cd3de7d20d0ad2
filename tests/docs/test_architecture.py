"""docs/kernel.md, architecture.md and glossary.md: what they name is there; the rooms drawn are the contract."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = {name: (ROOT / "docs" / name).read_text() for name in ("kernel.md", "architecture.md")}
BASE = re.compile(r"below `([\w/]+)/`\s+unless")
KERNEL, MAP = PAGES["kernel.md"], PAGES["architecture.md"]
FILES = sorted({(page, name) for page, text in PAGES.items() for name in re.findall(r"`([\w/-]+\.py)`", text)})
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
STEPS = re.findall(r"^1\. .* \(`([\w/-]+\.py)`: (.*)\)\.$", KERNEL, re.MULTILINE)


def place(page: str, name: str) -> Path:
    """Where a file that the page names would be: below the base that its first lines name."""
    base = BASE.search(PAGES[page])
    assert base is not None
    top = name.startswith(("plugins/", "tests/", "bench/", "page/", "docs/", "models/", "server/", "tools/"))
    return ROOT / name if top else ROOT / base[1] / name


def defined(file: Path) -> set[str]:
    """Functions and classes of a module, and the methods as Class.method."""
    found = set()
    for item in ast.parse(file.read_text()).body:
        if isinstance(item, (*FUNCTIONS, ast.ClassDef)):
            found.add(item.name)
        if isinstance(item, ast.ClassDef):
            found |= {f"{item.name}.{part.name}" for part in item.body if isinstance(part, FUNCTIONS)}
    return found


def test_each_file_on_the_pages_exists() -> None:
    assert [name for page, name in FILES if not place(page, name).is_file()] == []


def test_each_step_names_its_functions() -> None:
    walks = re.findall(r"(?:^1\. .*\n)+", KERNEL, re.MULTILINE)
    assert len(walks) == 5
    assert KERNEL.count("\n1. ") == len(STEPS) > 80, "a step is: what happens, one file, its functions"
    for file, functions in STEPS:
        named = set(re.findall(r"`([\w.]+)`", functions))
        assert named, file
        assert named <= defined(place("kernel.md", file)), file


@pytest.mark.parametrize("contract", ["rooms", "kernel"])
def test_the_rooms_are_drawn_as_the_contract_has_them(contract: str) -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = [one["layers"] for one in contracts if one["id"] == contract]
    (drawn,) = [block for block in re.findall(r"```\n(.*?)```", MAP, re.DOTALL) if block.startswith(f" {layers[0]} ")]
    assert [re.split(r"\s{2,}", line.strip())[0] for line in drawn.splitlines()] == layers


def test_each_folder_of_a_room_is_on_a_page() -> None:
    bases = {place(page, "") for page in PAGES}
    folders = {file.parent.relative_to(base).as_posix() for base in bases for file in base.glob("*/**/__init__.py")}
    within = {name for name in folders if "/" in name and not name.startswith("kernel/") and "templates" not in name}
    rooms = {name.split("/")[0] for name in folders}
    named = {name for name in re.findall(r"`(\w+/[\w/]+)/`", KERNEL + MAP) if name.split("/")[0] in rooms - {"plugins"}}
    assert within == named


def test_what_the_glossary_names_exists() -> None:
    page = (ROOT / "docs" / "glossary.md").read_text()
    files = set(re.findall(r"^\| [\w ]+ \| .+ \| `(.+)` \|$", page, re.MULTILINE))
    files |= set(re.findall(r"`([\w/-]+\.py)`", page))
    tops = (ROOT, ROOT / "server" / "antiphon", ROOT / "server" / "antiphon" / "kernel")
    assert [name for name in files if not any((top / name).is_file() for top in tops)] == []
