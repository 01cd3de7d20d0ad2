"""Public functions are named by what they do or give, not by a bare participle: `shown` says neither."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
LEFT = Path(__file__).with_name("participles.txt")
"""Those there are still, `path name` a line. It only gets shorter."""
IRREGULAR = frozenset(
    [
        "begun",
        "built",
        "cut",
        "done",
        "drawn",
        "given",
        "gone",
        "grown",
        "heard",
        "held",
        "kept",
        "known",
        "left",
        "lost",
        "made",
        "put",
        "said",
        "sent",
        "shown",
        "split",
        "spread",
        "taken",
        "told",
        "worn",
        "written",
    ]
)
NO_PARTICIPLES = frozenset({"embed", "feed", "need", "seed", "speed", "succeed"})


def is_participle(name: str) -> bool:
    return name in IRREGULAR or (name.endswith("ed") and "_" not in name and name not in NO_PARTICIPLES)


def participles() -> set[str]:
    """Public functions of public modules whose whole name is a participle."""
    return {
        f"{path.relative_to(ROOT)} {node.name}"
        for root in ("server", "plugins", "models", "bench")
        for path in (ROOT / root).rglob("*.py")
        if "tests" not in path.parts and not path.name.startswith("_")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and is_participle(node.name)
    }


def test_no_public_function_is_a_bare_participle() -> None:
    listed = set(LEFT.read_text().splitlines())
    found = participles()
    assert sorted(found - listed) == [], "name it by what it does or gives, as describe_param or open_catalogue"
    assert sorted(listed - found) == [], "these are mended: take them out of participles.txt"


def test_participles_are_told_from_verbs() -> None:
    assert is_participle("shown")
    assert is_participle("described")
    assert not is_participle("describe_param")
    assert not is_participle("feed")
