"""What of a sentence an approved surface may read: no names and no paths of files.

Reasons come from everywhere (a patch that cannot be read, a plugin that cannot open its sound), so they are made
discreet where they leave for a surface and not where they are made.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from antiphon.control.app import ControlApp

FILE = "(a file)"
_PART = r"""[^\s'",:;()/]+"""
_PATH = re.compile(rf"""(?P<quote>['"])(?P<quoted>/[^'"]*/[^'"]*)(?P=quote)|(?<![\w./])(?:/{_PART}){{2,}}/?""")


def discreet(app: ControlApp, text: str) -> str:
    """The text with `FILE` for every name that a parameter of kind file has, and for every absolute path."""
    for name in sorted(_names(app), key=len, reverse=True):
        text = text.replace(repr(name), FILE).replace(name, FILE)

    def hidden(found: re.Match[str]) -> str:
        # OSC addresses look like paths, and stay
        path = found["quoted"] or found[0]
        return found[0] if path.split("/")[1] in app.directory.roots else FILE

    return _PATH.sub(hidden, text)


def _names(app: ControlApp) -> set[str]:
    """The values of all parameters of kind file, those that scenes keep among them."""
    nodes = app.session.every.values()
    files = [(node, cell, p.name) for node in nodes for cell, p in enumerate(node.cells) if p.kind == "file"]
    now = [node.texts.get(cell, "") for node, cell, _ in files]
    kept = [str(scene.get(f"{node.name}.{name}", "")) for scene in app.plans.scenes.values() for node, _, name in files]
    return {name for name in (*now, *kept) if name}
