"""Every name of `antiphon.api` is documented; plugins import nothing else of Antiphon."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from tools import api_reference as reference

from antiphon.api import Processor

ROOT = Path(__file__).parents[2]
NAMES = [(module, name) for module in reference.modules() for name in reference.exported_names(module)]
TORCH = {"antiphon.api.networks", "antiphon.api.training"} & set(reference.modules())
TEMPLATES = ROOT / "server" / "antiphon" / "newplugin" / "templates"
SOURCES = [
    *(path for path in sorted((ROOT / "plugins").rglob("*.py")) if "tests" not in path.parts),
    *(path for path in sorted(TEMPLATES.rglob("*.txt")) if not path.name.endswith(".md.txt")),
]


def test_authors_of_processors_have_a_page_of_few_names() -> None:
    assert len([name for module, name in NAMES if module in reference.AUTHORS]) <= 70


def test_a_processor_has_few_attributes() -> None:
    assert len(Processor.__annotations__) <= 14


def test_the_pages_have_every_module_and_name() -> None:
    page = reference.page("authors") + reference.page("backends")
    assert [module for module in reference.modules() if f"\n## {module}\n" not in page] == []
    assert [name for _, name in NAMES if f"\n### {name}\n" not in page] == []


def test_a_name_stands_in_one_module() -> None:
    assert len({name for _, name in NAMES}) == len(NAMES) > 100


@pytest.mark.parametrize("module", reference.modules())
def test_a_module_has_the_names_it_offers(module: str) -> None:
    if module not in TORCH:
        assert all(hasattr(importlib.import_module(module), name) for name in reference.exported_names(module))


@pytest.mark.parametrize("module", sorted(TORCH))
def test_names_of_torch_are_there(module: str) -> None:
    pytest.importorskip("torch")
    assert all(hasattr(importlib.import_module(module), name) for name in reference.exported_names(module))


def lacking(doc: str, node: ast.FunctionDef | ast.ClassDef) -> set[str]:
    """Arguments or fields that a docstring does not name in a section."""
    if isinstance(node, ast.ClassDef):
        made = [item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"]
        plain = ast.unparse(node).startswith("@dataclass")
        fields = {ast.unparse(item.target) for item in node.body if plain and isinstance(item, ast.AnnAssign)}
        wanted = fields | {name for item in made for name in arguments(item)}
    else:
        wanted = arguments(node)
    return {name for name in wanted if not re.search(rf"^    \**{name}: ", doc, re.MULTILINE)}


def arguments(node: ast.FunctionDef) -> set[str]:
    spec = node.args
    every = [*spec.posonlyargs, *spec.args, *spec.kwonlyargs, *(arg for arg in (spec.vararg, spec.kwarg) if arg)]
    return {arg.arg for arg in every} - {"self", "cls"}


def overridden(node: ast.ClassDef, module: str) -> set[str]:
    """Methods that the bases of a class document, with the arguments of what overrides them."""
    known = {name for name, source, _ in reference.imports(module) if source.startswith("antiphon.")}
    known |= {item.name for item in reference.parse_module(module).body if isinstance(item, ast.ClassDef)}
    names: set[str] = set()
    for base in {ast.unparse(base).partition("[")[0] for base in node.bases} & known:
        found = reference.definition(module, base)
        if isinstance(found.node, ast.ClassDef):
            names |= {item.name for item in reference.methods(found.node)} | overridden(found.node, found.module)
    return names


UNMADE = {
    "Kernel": "the decorator `kernel` makes it",
    "ParamCells": "`prepare_processor` makes it",
    "Stream": "the pool makes it",
}
"""Classes that a plugin's author does not make: their arguments are not documented."""


OF_EVERY_COMMAND = {"antiphon.kernel.session.commands": {"channel", "node", "when"}}
"""Fields that the docstring of the module, or of the first class that has them, documents once."""


@pytest.mark.parametrize(("module", "name"), NAMES)
def test_every_name_is_documented_with_its_arguments(module: str, name: str) -> None:
    found = reference.definition(module, name)
    assert found.doc, f"{found.module}.{found.name} has no docstring"
    parts = [found.node, *(reference.methods(found.node) if isinstance(found.node, ast.ClassDef) else [])]
    for node in parts:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef):
            continue
        doc = reference.docstring_of(node)
        assert doc, f"{found.module}.{found.name}.{node.name} has no docstring"
        if isinstance(found.node, ast.ClassDef) and node.name in overridden(found.node, found.module):
            continue
        if module not in reference.AUTHORS:
            continue  # where the signature says the rest, a sentence is enough
        if node.name not in UNMADE and node.name != "__call__":
            assert lacking(doc, node) <= OF_EVERY_COMMAND.get(found.module, set()), (
                f"{found.module}.{found.name}: {node.name}"
            )
        if isinstance(node, ast.FunctionDef) and node.returns is not None and not reference.is_property(node):
            gives = ast.unparse(node.returns) not in ("None", "Kernel[P, R]", "R")
            assert not gives or re.search(r"^(Returns|Yields):", doc, re.MULTILINE), f"{name}.{node.name}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_plugin_imports_names_of_the_api_alone(path: Path) -> None:
    offered = {module: set(reference.exported_names(module)) for module in reference.modules()}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "antiphon":
            assert node.module in offered, f"line {node.lineno}: {node.module}"
            names = {alias.name for alias in node.names}
            names -= {name for name in names if f"{node.module}.{name}" in offered}
            assert names <= offered[node.module], f"line {node.lineno}"
        if isinstance(node, ast.Import):
            assert not [alias.name for alias in node.names if alias.name.split(".")[0] == "antiphon"]


def test_the_contract_forbids_plugins_every_other_room() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    by_id = {contract["id"]: contract for contract in contracts}
    rooms = {room.strip() for row in by_id["rooms"]["layers"] for room in row.split("|")}
    forbidden = set(by_id["plugins-by-api"]["forbidden_modules"])
    assert forbidden == {f"antiphon.{room}" for room in rooms} - {"antiphon.api"}
    assert set(by_id["plugins-by-api"]["source_modules"]) == set(by_id["plugins-apart"]["modules"])


def test_hooks_and_errors_come_without_numpy() -> None:
    code = "import sys; from antiphon.api import PluginError, hookimpl; print('numpy' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(ROOT / "server")},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert done.stdout == "False\n"


def test_names_that_are_imported_late_are_those_for_type_checkers() -> None:
    api = importlib.import_module("antiphon.api")
    (block,) = [node for node in reference.parse_module("antiphon.api").body if isinstance(node, ast.If)]
    declared = {
        (node.module, alias.name) for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert declared == {(module, name) for module, names in api._LAZY.items() for name in names}
    with pytest.raises(AttributeError, match="wobble"):
        api.wobble  # noqa: B018
