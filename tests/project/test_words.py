"""Literary words stay out of comments, docstrings, messages and pages, where they hide what happens."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INSTEAD = {
    r"whoever": "name the caller, the user or the process",
    r"nobody": "name what there is none of",
    r"somebody": "name the user, another client or another process",
    r"(is|are|was|were) no more(?! than)": "say that it was removed, has ended or is not in use",
    r"stands? aside": "say that it is bypassed",
    r"let(s|ting)? go": "say that it is released or freed",
    r"goes round": "say that it is circular or repeats",
    r"c(o|a)mes? about": "say what makes it",
    r"happily|luckily|alas|once upon": "leave it out",
}
"""Patterns, and what to write in their place."""
PATTERNS = {re.compile(rf"\b({words})\b", re.IGNORECASE): instead for words, instead in INSTEAD.items()}
GENERATED = ("api.md", "osc.md")
PAGES = sorted(
    path
    for path in (*(ROOT / "docs").rglob("*.md"), *(ROOT / "plugins").glob("*/README.md"), *ROOT.glob("*.md"))
    if path.name not in (*GENERATED, "CHANGELOG.md", "THIRD_PARTY.md")
)


def comments(source: str, *, strings: bool) -> Iterator[tuple[int, str]]:
    """Lines of a module's comments and docstrings, with their numbers. strings: those of all other strings as well."""
    if not any(pattern.search(source) for pattern in PATTERNS):
        return  # to tokenise every module would take seconds
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT or (strings and token.type == tokenize.STRING):
            yield from enumerate(token.string.splitlines(), token.start[0])
    for node in ast.walk(ast.parse(source)) if not strings else ():
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield from enumerate(node.value.value.splitlines(), node.lineno)


def advice(place: str, lines: Iterator[tuple[int, str]]) -> list[str]:
    """A sentence for each line that has such a word."""
    return [
        f"{place}:{number}: {match.group()!r}: {instead}"
        for number, line in lines
        for pattern, instead in PATTERNS.items()
        if (match := pattern.search(line)) is not None
    ]


# strings in models/ hold sentences to be spoken by a synthesiser: material on which the weights depend
@pytest.mark.parametrize(
    ("folder", "strings"), [("server", True), ("plugins", True), ("models", False), ("bench", True)]
)
def test_code_has_none(folder: str, strings: bool) -> None:
    bad = []
    for path in sorted((ROOT / folder).rglob("*.py")):
        if "tests" not in path.parts:
            bad += advice(str(path.relative_to(ROOT)), comments(path.read_text(), strings=strings))
    assert not bad, "\n" + "\n".join(bad)


def test_pages_have_none() -> None:
    bad = []
    for path in PAGES:
        bad += advice(str(path.relative_to(ROOT)), enumerate(path.read_text().splitlines(), 1))
    assert not bad, "\n" + "\n".join(bad)


def test_a_word_is_detected_in_prose_and_not_in_names() -> None:
    source = 'nobody = 1\n\n\ndef f():\n    """Ends.\n\n    Whoever calls."""\n    return "let go"  # it is no more\n'
    places = [line.split(": ")[:2] for line in advice("f.py", comments(source, strings=True))]
    assert places == [["f.py:7", "'Whoever'"], ["f.py:8", "'let go'"], ["f.py:8", "'is no more'"]]
    assert [line.split(": ")[1] for line in advice("f.py", comments(source, strings=False))] == [
        "'is no more'", "'Whoever'",
    ]  # fmt: skip
