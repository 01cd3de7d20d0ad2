"""Every name of `antiphon.api` is documented; plugins import nothing else of Antiphon, but what one alone uses."""

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from tests.each import each
from tools import api_reference as reference

from antiphon.api import Processor
from antiphon.api._former import UNSHARED

ROOT = Path(__file__).parents[2]
NAMES = [(module, name) for module in reference.modules() for name in reference.exported_names(module)]


def sources(folder: str) -> list[Path]:
    """Python files of a folder of the repository, without tests."""
    return [path for path in sorted((ROOT / folder).rglob("*.py")) if "tests" not in path.relative_to(ROOT).parts]


TEMPLATES = ROOT / "server" / "antiphon" / "newplugin" / "templates"
SOURCES = [
    *sources("plugins"),
    *(path for path in sorted(TEMPLATES.rglob("*.txt")) if not path.name.endswith(".md.txt")),
]
USERS = [*SOURCES, *sources("models"), *sources("bench")]
TESTING = "antiphon.testing"
"""The module for tests of plugins, for evaluations and for benches."""
AUTHORS_NAMES = 59
"""Most names on the page for authors of processors."""
BACKENDS_NAMES = 276
"""Most names on the page for backends."""
WITHOUT_IMPORT = {
    *("ArrayNetwork", "ModelFolder", "SynthBackend"),  # interfaces that a class has by its methods
    "text_response",  # of the hook antiphon_routes
}
"""Names that docs/hooks.md explains and no plugin imports outside its tests."""


def test_the_pages_do_not_grow() -> None:
    authors = [name for module, name in NAMES if module in reference.AUTHORS]
    assert len(authors) <= AUTHORS_NAMES
    assert len(NAMES) - len(authors) <= BACKENDS_NAMES
    assert len(reference.parts()["backends"]) <= 13


def test_every_name_is_used_by_a_plugin_or_the_lab() -> None:
    """A name is used where it is imported, or is an attribute of a module imported under another name."""
    used = {name for path in USERS for name in names_used(path)}
    assert {name for _, name in NAMES} - used == WITHOUT_IMPORT


@cache
def read(path: Path) -> tuple[list[ast.Import | ast.ImportFrom], set[tuple[str, str]]]:
    """The imports of a file, and the attributes of its names."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    attributes = [node for node in nodes if isinstance(node, ast.Attribute)]
    used = {(node.value.id, node.attr) for node in attributes if isinstance(node.value, ast.Name)}
    return [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)], used


def names_used(path: Path) -> Iterator[str]:
    """The names imported from modules of the API, and the attributes of such modules."""
    imports, used = read(path)
    modules = set()
    for node in imports:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("antiphon.api"):
            yield from (alias.name for alias in node.names)
            modules |= {alias.asname or alias.name for alias in node.names}
    yield from (attribute for name, attribute in used if name in modules)


def test_a_processor_has_few_attributes() -> None:
    assert len(Processor.__annotations__) <= 15


def test_the_pages_have_every_module_and_name() -> None:
    page = reference.page("authors") + reference.page("backends")
    assert [module for module in reference.modules() if f"\n## {module}\n" not in page] == []
    assert [name for _, name in NAMES if f"\n### {name}\n" not in page] == []


def test_a_name_stands_in_one_module() -> None:
    assert len({name for _, name in NAMES}) == len(NAMES) > 100


@pytest.mark.parametrize("module", reference.modules())
def test_a_module_has_the_names_it_offers(module: str) -> None:
    if module == "antiphon.api.backends.networks":
        pytest.importorskip("torch")
    assert all(hasattr(importlib.import_module(module), name) for name in reference.exported_names(module))


def arguments(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> set[str]:
    """The parameters of a function; of a class those of its `__init__`, and its annotated attributes."""
    if isinstance(node, ast.ClassDef):
        fields = {ast.unparse(item.target) for item in node.body if isinstance(item, ast.AnnAssign)}
        made = [item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"]
        return fields.union(*map(arguments, made))
    spec = node.args
    every = [*spec.posonlyargs, *spec.args, *spec.kwonlyargs, *(arg for arg in (spec.vararg, spec.kwarg) if arg)]
    return {arg.arg for arg in every} - {"self", "cls"}


def named(doc: str) -> set[str]:
    """The entries of a docstring's section Args."""
    section = re.search(r"^Args:\n((?:    .*\n?|\n)*)", doc, re.MULTILINE)
    return set(re.findall(r"^    \**(\w+)(?: \(.*?\))?:", section[1], re.MULTILINE)) if section else set()


def test_every_name_is_documented_and_no_argument_that_there_is_not() -> None:
    for module, name in NAMES:
        found = reference.definition(module, name)
        for node in [found.node, *(reference.methods(found.node) if isinstance(found.node, ast.ClassDef) else [])]:
            named_so = f"{found.module}.{name}: {getattr(node, 'name', name)}"
            if isinstance(node, ast.Assign | ast.AnnAssign):
                assert found.doc, f"{named_so} has no docstring"
                continue
            doc = reference.docstring_of(node)
            assert doc.partition("\n")[0].strip(), f"{named_so} has no docstring"
            assert named(doc) <= arguments(node), named_so


@cache
def unshared() -> dict[str, set[str]]:
    """Names by module of a room that one plugin or the lab may import, as `_former` lists them."""
    found: dict[str, set[str]] = {}
    for (_, name), place in UNSHARED.items():
        module, _, there = place.partition(":")
        found.setdefault(f"antiphon.{module}", set()).add(there or name)
    return found


def test_a_name_of_a_room_has_one_plugin_or_the_lab_as_user() -> None:
    users: dict[str, set[str]] = {}
    for path in USERS:
        for node in read(path)[0]:
            if isinstance(node, ast.ImportFrom) and node.module in unshared():
                plugin = path.relative_to(ROOT).parts[2 if path in SOURCES else 0]
                for alias in node.names:
                    users.setdefault(f"{node.module}.{alias.name}", set()).add(plugin)
    assert {name: found for name, found in users.items() if len(found) > 1} == {}


@each("path", USERS)
def test_plugins_and_the_lab_import_names_of_the_api_alone(path: Path) -> None:
    offered = unshared() | {module: set(reference.exported_names(module)) for module in reference.modules()}
    if not {"models", "bench"}.isdisjoint(path.parts) or path.suffix == ".txt":
        offered[TESTING] = set(reference.exported_names(TESTING))
    offered["antiphon"] = {"__version__"} if "bench" not in path.parts else {"__version__", "Chain"}
    for node in read(path)[0]:
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "antiphon":
            names = {alias.name for alias in node.names if f"{node.module}.{alias.name}" not in offered}
            assert names <= offered.get(node.module or "", set()), f"line {node.lineno}: {node.module}"
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


def test_api_name_is_imported_at_its_first_use() -> None:
    api = importlib.import_module("antiphon.api")
    assert {name for module, name in NAMES if module == "antiphon.api"} <= set(dir(api))
    with pytest.raises(AttributeError, match="wobble"):
        api.wobble  # noqa: B018


@each(
    "statement, said",
    [
        ("transports import NoteOn", r'use Play\(node, Event\("on", 0, note, velocity, channel\), when\)'),
        ("transports import NODE_EVENTS", r"isinstance\(effect, Play\)"),
        ("cli import by_records", "leave the decorator out"),
        ("cli import closing_socket", "OscConnection"),
        ("cli import complete_named", "names=KIND"),
        ("synths import Sounding", "use SynthMemory"),
        ("files import KeptDecoder", r"one plugin alone used it: antiphon.files.decode, where it is, is no API"),
        ("files import wobble", "cannot import name 'wobble'"),
        ("cli import wobble", "cannot import name 'wobble'"),
    ],
)
def test_import_of_a_former_name_says_what_replaces_it(statement: str, said: str) -> None:
    with pytest.raises(ImportError, match=said) as refused:
        exec(f"from antiphon.api.backends.{statement}", {})
    assert len(str(refused.value)) < 300, "as much as a failure of a plugin shows"
