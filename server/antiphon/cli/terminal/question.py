"""A question to the person at the terminal."""

from __future__ import annotations

import sys

from antiphon.cli.terminal.progress import clear


def ask(question: str) -> str:
    """Puts a question on standard error and reads a line; "" without a terminal, and at the end of input."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return ""
    clear()
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline().rstrip("\n")
