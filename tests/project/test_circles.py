"""No file imports another that imports it in turn; imports inside functions and for type checkers count too."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
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


def imported(file: Path, known: Mapping[str, Path]) -> Iterator[str]:
    """The modules that a file imports anywhere."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in known else str(node.module)


def arrows(known: Mapping[str, Path]) -> Arrows:
    return {name: {other for other in imported(file, known) if other in known} for name, file in known.items()}


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
