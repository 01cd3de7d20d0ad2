"""Escapes text from outside for a terminal and a log."""


def printable(text: str) -> str:
    """The text on one line, with characters that are not printable as escapes: a control sequence becomes `\\x1b[2J`.

    Unescaped, a sender could clear the terminal that shows its message, or forge lines of a log.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
