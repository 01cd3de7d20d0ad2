"""Text that somebody else wrote, made fit for a terminal and a log."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text on one line, with what is no printable character as its escape: a control sequence becomes `\\x1b[2J`.

    Without this whoever sends a message could clear a terminal that shows it, or forge lines of a log.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
