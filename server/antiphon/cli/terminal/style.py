"""Colour on a terminal; plain text in a file or a pipe, and wherever NO_COLOR is set (no-color.org)."""

from __future__ import annotations

import os
import sys
from typing import Literal, TextIO

Role = Literal["head", "good", "warn", "bad", "faint"]
CODES: dict[Role, str] = {"head": "1", "good": "32", "warn": "33", "bad": "31", "faint": "2"}
"""SGR parameters (ECMA-48): bold, green, yellow, red, faint."""


def shows_colour(stream: TextIO) -> bool:
    """Whether what is written to `stream` is shown in colour."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def style_text(text: str, role: Role, stream: TextIO | None = None) -> str:
    """The text in the colour of its role, where the stream (standard output) shows colours."""
    return f"\033[{CODES[role]}m{text}\033[0m" if shows_colour(stream or sys.stdout) else text
