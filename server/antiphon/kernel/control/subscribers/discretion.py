"""Removes names and paths of files from sentences that are sent to an approved surface."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable

from antiphon.kernel.session.graph_state import GraphState
from antiphon.kernel.session.scenes import Scene

FILE = "(a file)"
_PART = r"""[^\s'",:;()/]+"""
_PATH = re.compile(rf"""(?P<quote>['"])(?P<quoted>/[^'"]*/[^'"]*)(?P=quote)|(?<![\w./])(?:/{_PART}){{2,}}/?""")


def discreet(text: str, state: GraphState, scenes: Iterable[Scene], roots: Container[str]) -> str:
    """Replaces the values of `file` parameters, and all absolute paths, by `FILE`.

    `roots`: first parts of OSC addresses, which look like paths and are kept.
    """
    for name in sorted(_names(state, scenes), key=len, reverse=True):
        text = text.replace(repr(name), FILE).replace(name, FILE)

    def hidden(match: re.Match[str]) -> str:
        path = match["quoted"] or match[0]
        return match[0] if path.split("/")[1] in roots else FILE

    return _PATH.sub(hidden, text)


def _names(state: GraphState, scenes: Iterable[Scene]) -> set[str]:
    nodes = state.every.values()
    files = [(node, cell, p.name) for node in nodes for cell, p in enumerate(node.cells) if p.kind == "file"]
    present = [node.texts.get(cell, "") for node, cell, _ in files]
    stored = [str(scene.get(f"{node.name}.{name}", "")) for scene in scenes for node, _, name in files]
    return {name for name in (*present, *stored) if name}
