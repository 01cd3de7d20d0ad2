"""What of a sentence an approved surface may read: no names and no paths of files.

Reasons come from everywhere (a patch that cannot be read, a plugin that cannot open its sound), so they are made
discreet where they leave for a surface and not where they are made.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable

from antiphon.session.scenes import Scene
from antiphon.session.session import Session

FILE = "(a file)"
_PART = r"""[^\s'",:;()/]+"""
_PATH = re.compile(rf"""(?P<quote>['"])(?P<quoted>/[^'"]*/[^'"]*)(?P=quote)|(?<![\w./])(?:/{_PART}){{2,}}/?""")


def discreet(text: str, session: Session, scenes: Iterable[Scene], roots: Container[str]) -> str:
    """The text with `FILE` for every name that a parameter of kind file has, and for every absolute path.

    Args:
        text: A sentence.
        session: Whose nodes' files are hidden.
        scenes: Whose values are hidden too.
        roots: First parts of OSC addresses, which look like paths and stay.
    """
    for name in sorted(_names(session, scenes), key=len, reverse=True):
        text = text.replace(repr(name), FILE).replace(name, FILE)

    def hidden(found: re.Match[str]) -> str:
        path = found["quoted"] or found[0]
        return found[0] if path.split("/")[1] in roots else FILE

    return _PATH.sub(hidden, text)


def _names(session: Session, scenes: Iterable[Scene]) -> set[str]:
    """The values of all parameters of kind file, those that scenes keep among them."""
    nodes = session.every.values()
    files = [(node, cell, p.name) for node in nodes for cell, p in enumerate(node.cells) if p.kind == "file"]
    now = [node.texts.get(cell, "") for node, cell, _ in files]
    kept = [str(scene.get(f"{node.name}.{name}", "")) for scene in scenes for node, _, name in files]
    return {name for name in (*now, *kept) if name}
