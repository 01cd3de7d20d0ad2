"""Writes docs/live-words.md, the reference of the words of live scripts: `python tools/live_words.py`."""

from __future__ import annotations

import sys
from pathlib import Path

from antiphon.live.patterns.words.table import NOT_HERE
from antiphon.live.reference import CHAPTERS, entries

PAGE = Path(__file__).resolve().parent.parent / "docs" / "live-words.md"
HEAD = """# The words of live scripts

Written by `tools/live_words.py`; the page's editor has the same. All words have Tidal's and Strudel's names, in
snake_case and camelCase. A word that changes a pattern is a method, `s("bd sd").linger(1/4)`, and without the pattern a
change to pass on, `every(4, linger(1/4))`; with the pattern first or last it is done at once, `rev(s("bd sd"))`. Words
that Python has taken end in an underscore (`while_`, `as_`). How they are used: [live-coding.md](live-coding.md).

"""


def page() -> str:
    """The text of the page."""
    found = entries()
    chapters = {group: title for group, title in CHAPTERS.items() if any(entry.group == group for entry in found)}
    links = [
        f"[{title}](#{title.lower().replace(',', '').replace(' ', '-')})" for title in (*chapters.values(), "Not here")
    ]
    text = f"{HEAD}On this page: {' · '.join(links)}\n\n"
    for group, title in chapters.items():
        rows = [entry for entry in found if entry.group == group]
        text += f"## {title}\n\n| word | what it does | try |\n|---|---|---|\n"
        for entry in rows:
            names = " ".join(f"`{name}`" for name in entry.names)
            example = f"`{entry.example}`" if entry.example else ""
            text += f"| {names} | {entry.doc} | {example} |\n".replace("  ", " ")
        text += "\n"
    text += "## Not here\n\nWords of Tidal and Strudel that are refused, with what is in their place.\n\n"
    text += "| word | in its place |\n|---|---|\n"
    return text + "".join(f"| `{name}` | {place} |\n" for name, place in sorted(NOT_HERE.items()))


if __name__ == "__main__":
    PAGE.write_text(page())
    sys.exit(0)
