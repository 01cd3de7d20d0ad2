"""No file or folder imports another that imports it in turn; inside functions and for type checkers counts too.

To import p.q.r runs p and p.q before. So at its load a file also imports the packages of what it imports, except its
own: in such a circle the first import of a process meets a module that is half done, in another order it works.
"""

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOPS = ("server", "plugins", "models", "bench")
Arrows = Mapping[str, set[str]]


def modules(root: Path) -> dict[str, Path]:
    """By name, the files of all modules below a source root; tests are none."""
    found = {}
    for file in root.rglob("*.py"):
        parts = file.relative_to(root).with_suffix("").parts
        if not {"tests", "__pycache__"} & set(parts):
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def statements(tree: ast.AST, *, at_load: bool = True) -> Iterator[tuple[ast.AST, bool]]:
    """All statements of a file, and whether each runs when it is loaded. Expressions hold no import."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.stmt | ast.ExceptHandler | ast.match_case):
            yield node, at_load
            never = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
            later = never or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            yield from statements(node, at_load=at_load and not later)


def imported(file: Path, known: Mapping[str, Path]) -> Iterator[tuple[str, bool]]:
    """The modules that a file imports anywhere, and whether it does when it is loaded."""
    for node, at_load in statements(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, at_load) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in known else str(node.module), at_load


def arrows(known: Mapping[str, Path]) -> tuple[Arrows, Arrows]:
    """All imports of files; and those at their load, with the packages that are imported for them."""
    every, loads = {}, {}
    for name, file in known.items():
        found = list(imported(file, known))
        others = {other for other, at_load in found if at_load}
        packages = {package for other in others for package in above(other)} - {name, *above(name)}
        every[name] = {other for other, _ in found} & set(known)
        loads[name] = (others | packages) & set(known)
    return every, loads


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


def inside(package: str, found: Arrows) -> Arrows:
    """The imports between what lies directly in a package, its folders and files."""
    parts: dict[str, set[str]] = {}
    for name, others in found.items():
        if name.startswith(f"{package}."):
            part = child(package, name)
            near = {child(package, other) for other in others if other.startswith(f"{package}.")}
            parts.setdefault(part, set()).update(near - {part})
    return parts


def child(package: str, name: str) -> str:
    """The part of a package that a module is in."""
    return f"{package}.{name.removeprefix(f'{package}.').split('.')[0]}"


def test_no_circle_of_files() -> None:
    known = {name: file for top in TOPS for name, file in modules(ROOT / top).items()}
    found, at_load = arrows(known)
    assert len(known) > 500 < sum(map(len, found.values())), "too few are seen to mean anything"
    assert " imports ".join(circle(found)) == ""
    assert " imports ".join(circle(at_load)) == ""
    packages = [name for name, file in known.items() if file.name == "__init__.py"]
    assert [" imports ".join(circle(inside(package, found))) for package in packages] == [""] * len(packages)


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
    assert circle(arrows(modules(tmp_path))[0]) == []
    (folder / "c.py").write_text(text)
    seen = circle(arrows(modules(tmp_path))[0])
    assert set(seen) == {"p.a", "p.b", "p.c"}
    assert seen[0] == seen[-1]
