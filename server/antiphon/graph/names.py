"""The names that a node can have."""

from __future__ import annotations

import re

IN, OUT, MACRO = "in", "out", "macro"
RESERVED = frozenset({"add", "remove", "move", "connect", "disconnect", "list", IN, OUT, MACRO})
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
