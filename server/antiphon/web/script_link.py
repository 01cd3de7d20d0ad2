"""Messages between the web process and the performer, over a socket that preserves message boundaries.

Each is one JSON object. Web sends `{"do": "run", "version", "name", "by", "text", "quantum", "top", "keep", "back"}`,
`{"do": "stop"}`, `{"do": "slide", "version", "place", "value"}`, `{"do": "tracks", "muted", "soloed"}`,
`{"do": "rename", "version", "name"}` and `{"do": "state"}`.
The performer sends `{"state": …}` on a change and on request, `{"steps": …, "dropped": …}` for the next steps,
`{"coming": …}` for the tracks' coming events, `{"said": …}` for a script's output, and `{"script": …}`, the one that
plays, to a web process that asks for the state.
"""

import json
from typing import Any

from antiphon.kernel.errors import WireError

MAX_MESSAGE_BYTES = 120_000
"""Maximum bytes of a message: a socket's default buffer has 208 KiB."""
MAX_SCRIPT_BYTES = 100_000
"""Maximum bytes of a page's script, as UTF-8."""
MAX_VERSION = 2**53 - 1
"""Largest version number: the largest integer that JavaScript holds exactly."""
MAX_QUANTUM = 4096.0
"""Maximum quantum in beats, at whose multiples a version begins."""
MAX_STEPS = 128
"""Maximum steps of a message."""


def pack(message: dict[str, Any]) -> bytes:
    """Encodes a message; `WireError` if it is too long."""
    data = json.dumps(message, ensure_ascii=False).encode("utf-8", "replace")
    if len(data) > MAX_MESSAGE_BYTES:
        raise WireError(f"a message to the performer has at most {MAX_MESSAGE_BYTES:,} bytes, not {len(data):,}")
    return data


def unpack(data: bytes) -> dict[str, Any]:
    """Decodes a message; `WireError` if it is invalid."""
    try:
        message = json.loads(data)
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict):
        raise WireError("a message between web and performer is a JSON object")
    return message
