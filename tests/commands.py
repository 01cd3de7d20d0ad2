"""What the documentation tells people to type: collected, and how the tests try each."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = tuple(
    sorted(
        path.relative_to(ROOT).as_posix()
        for pattern in (
            "README.md",
            "CONTRIBUTING.md",
            "docs/*.md",
            "docs/*/*.md",
            "plugins/*/README.md",
            "plugins/*/*/README.md",
            "models/README.md",
        )
        for path in ROOT.glob(pattern)
    )
)
COMMAND = re.compile(r"(antiphon|make|alias|PYTHONPATH=\S+|\.venv/\S+|mosquitto_\w+|python|pip|sudo) ?")
NOT_RUN = re.compile(r"<!-- not run by the tests: (.+) -->")
"""Before a block that no test types, with the reason."""
SHELL = ("", "sh")
"""What stands behind the ``` of a block that is typed into a shell."""


@dataclass(frozen=True, slots=True)
class Block:
    """A code block of a page.

    Attributes:
        lang: What stands behind its ```, "" for nothing and for a block that is indented.
        lines: As they stand.
        not_run: Why no test types it, as the comment before it says; "" where one does.
    """

    lang: str
    lines: tuple[str, ...]
    not_run: str = ""


def text(page: str) -> str:
    return (ROOT / page).read_text("utf-8")


def blocks(page: str) -> Iterator[Block]:
    """The code blocks of a page, in order."""
    lang: str | None = None
    held: list[str] = []
    before = ""
    for line in text(page).splitlines():
        if line.startswith("```"):
            if lang is None:
                lang, held = line.removeprefix("```").strip(), []
            else:
                marked = NOT_RUN.fullmatch(before)
                yield Block(lang, tuple(held), marked[1] if marked else "")
                lang = None
        elif lang is not None:
            held.append(line)
        elif line.startswith("    ") and line.strip().startswith(("antiphon ", "mosquitto_")):
            yield Block("", (line.strip(),))
        if lang is None and line.strip() and not line.startswith("```"):
            before = line.strip()


def typed(page: str) -> list[str]:
    """The lines of a page's shell blocks that are commands, without what is said of them."""
    return [
        " ".join(re.split(r"\s#\s", line)[0].split())
        for block in blocks(page)
        if block.lang in SHELL and not block.not_run
        for line in block.lines
        if COMMAND.match(line)
    ]


def inline(page: str) -> list[str]:
    """The commands that stand in sentences."""
    return re.findall(r"`(antiphon(?: [^`\n]*)?)`", re.sub(r"```.*?```", "", text(page), flags=re.DOTALL))
