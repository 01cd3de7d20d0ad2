"""No file imports another that imports it in turn; imports inside functions and for type checkers count too.

To import p.q.r runs p and p.q before. So at its load a file also imports the packages of what it imports, except its
own: in such a circle the first import of a process meets a module that is half done, in another order it works.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOPS = ("server", "plugins", "models")
Arrows = Mapping[str, set[str]]


def modules(root: Path) -> dict[str, Path]:
    """By name, the files of all modules below a source root; tests are none."""
    found = {}
    for file in root.rglob("*.py"):
        parts = file.relative_to(root).with_suffix("").parts
        if not {"tests", "__pycache__"} & set(parts):
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


parsed = cache(ast.parse)  # each file is looked through twice


def nodes(tree: ast.AST, *, at_load: bool) -> Iterator[ast.AST]:
    """All of a tree, or what runs when its file is loaded."""
    later = (ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.iter_child_nodes(tree):
        never = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if not (at_load and (never or isinstance(node, later))):
            yield node
            yield from nodes(node, at_load=at_load)


def imported(file: Path, known: Mapping[str, Path], *, at_load: bool = False) -> Iterator[str]:
    """The modules that a file imports anywhere, or when it is loaded."""
    for node in nodes(parsed(file.read_text()), at_load=at_load):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in known else str(node.module)


def arrows(known: Mapping[str, Path]) -> Arrows:
    return {name: {other for other in imported(file, known) if other in known} for name, file in known.items()}


def arrows_at_load(known: Mapping[str, Path]) -> Arrows:
    """Imports at the load of files, with the packages that are imported for them."""
    found = {}
    for name, file in known.items():
        others = set(imported(file, known, at_load=True))
        packages = {package for other in others for package in above(other)} - {name, *above(name)}
        found[name] = (others | packages) & set(known)
    return found


def above(name: str) -> list[str]:
    """The packages that a module is in."""
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts))]


def circle(found: Arrows) -> list[str]:
    """A circle of imports as its files in order, the first again at the end; none where there is none."""
    try:
        TopologicalSorter(found).prepare()
    except CycleError as error:
        return [str(name) for name in reversed(error.args[1])]
    return []


def test_no_circle_of_files() -> None:
    known = {name: file for top in TOPS for name, file in modules(ROOT / top).items()}
    found = arrows(known)
    assert len(known) > 500 < sum(map(len, found.values())), "too few are seen to mean anything"
    assert " imports ".join(circle(found)) == ""
    assert " imports ".join(circle(arrows_at_load(known))) == ""


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("from p.a import A\n", id="at its load"),
        pytest.param("def f():\n    from p import a\n", id="inside a function"),
        pytest.param("if TYPE_CHECKING:\n    import p.a\n", id="for type checkers"),
    ],
)
def test_a_circle_is_seen(text: str, tmp_path: Path) -> None:
    folder = tmp_path / "p"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "a.py").write_text("from p import b\n")
    (folder / "b.py").write_text("import p.c\n")
    (folder / "c.py").write_text("A = 1\n")
    assert circle(arrows(modules(tmp_path))) == []
    (folder / "c.py").write_text(text)
    seen = circle(arrows(modules(tmp_path)))
    assert set(seen) == {"p.a", "p.b", "p.c"}
    assert seen[0] == seen[-1]


def test_a_circle_by_way_of_a_package_is_seen(tmp_path: Path) -> None:
    folder = tmp_path / "p"
    (folder / "q").mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "q/r.py").touch()
    (folder / "a.py").write_text("from p.q.r import A\n")
    (folder / "q/__init__.py").write_text("from p.q import r\ndef f():\n    from p import a\n")
    assert circle(arrows_at_load(modules(tmp_path))) == []
    (folder / "q/__init__.py").write_text("from p import a\n")
    assert set(circle(arrows_at_load(modules(tmp_path)))) == {"p.a", "p.q"}
