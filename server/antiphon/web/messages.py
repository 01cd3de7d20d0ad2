"""Messages of the web process with control, and with the performer, over sockets that preserve message boundaries.

A request to control is one JSON object of at most `MAX_REQUEST` bytes: the topic, a number that the answer repeats, and
for some topics what it is about. An answer is a JSON object in parts of at most `PART` bytes, each behind the request's
number and the count of parts still to come: `{"data": ...}`, or `{"error": sentence, "status": HTTP status}`.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from antiphon.kernel.errors import WireError

MAX_REQUEST = 1024
"""Maximum bytes of a request. The longest is an approval, 100 bytes."""
PART = 32 * 1024
"""Bytes of an answer per message: several fit into a socket's default buffer of 208 KiB."""
MAX_ANSWER = 16 * 1024 * 1024
"""Maximum bytes of an answer. The values of a patch with a session's 65,536 parameters are about 4 MiB."""
MAX_NUMBER = 2**53
_HEAD = struct.Struct("<QI")
STARTED = _HEAD.pack(0, 0)
"""Message of a control process that starts: web repeats requests left unanswered by its predecessor."""


class Topic(StrEnum):
    """The kinds of requests from web to control. NODES may name one node; APPROVE and FORGET name an IP address."""

    ABOUT = "about"
    STATUS = "status"
    NODES = "nodes"
    GRAPH = "graph"
    STORED = "stored"
    SURFACES = "surfaces"
    APPROVE = "approve"
    FORGET = "forget"


@dataclass(frozen=True, slots=True)
class WebRequest:
    """A request from web to control.

    `number`: below `MAX_NUMBER`; repeated by the answer; `about`: a node's name or an IP address, else "".
    """

    number: int
    topic: Topic
    about: str = ""

    def pack(self) -> bytes:
        """Encodes the request."""
        return json.dumps({"number": self.number, "topic": self.topic, "about": self.about}).encode()

    @staticmethod
    def unpack(data: bytes) -> WebRequest:
        """Decodes a request."""
        try:
            fields = json.loads(data)
            number, topic, about = fields["number"], Topic(fields["topic"]), fields["about"]
        except (ValueError, TypeError, KeyError, RecursionError):
            raise WireError("this is not a request of the web process") from None
        if type(number) is not int or not 0 <= number < MAX_NUMBER or not isinstance(about, str):
            raise WireError("this is not a request of the web process")
        return WebRequest(number, topic, about)


def split_answer(number: int, answer: bytes) -> Iterator[bytes]:
    """Splits an answer into messages, at least one, in order."""
    count = max(1, -(-len(answer) // PART))
    for place in range(count):
        yield _HEAD.pack(number, count - 1 - place) + answer[place * PART : (place + 1) * PART]


class Assembly:
    """Joins the parts of one request's answer, and ignores parts of others."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._parts: list[bytes] = []
        self._expected: int | None = None
        self._size = 0

    def add(self, message: bytes) -> Any:
        """Adds a part; returns the answer at the last part, else None. `WireError` for an invalid or too long one."""
        if len(message) < _HEAD.size:
            raise WireError("this is not an answer of control")
        number, left = _HEAD.unpack_from(message)
        if number != self._number:
            return None
        if self._expected is not None and left != self._expected:
            # control was restarted and answered the same request again: the later answer counts
            self._parts, self._size = [], 0
        self._expected = left - 1
        self._parts.append(message[_HEAD.size :])
        self._size += len(message) - _HEAD.size
        if self._size > MAX_ANSWER:
            raise WireError("control's answer is too long")
        return json.loads(b"".join(self._parts)) if left == 0 else None


# ---- Messages between the web process and the performer, over a socket that preserves message boundaries.
#
# Each is one JSON object. Web sends `{"do": "run", "version", "name", "by", "text", "quantum", "top", "keep", "back"}`,
# `{"do": "stop"}`, `{"do": "slide", "version", "place", "value"}`, `{"do": "tracks", "muted", "soloed"}`, `{"do":
# "rename", "version", "name"}` and `{"do": "state"}`. The performer sends `{"state": …}` on a change and on request,
# `{"steps": …, "dropped": …}` for the next steps, `{"coming": …}` for the tracks' coming events, `{"said": …}` for a
# script's output, and `{"script": …}`, the one that plays, to a web process that asks for the state.

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
