"""A parameter over MQTT: topics and payloads. Pure: text and bytes in, values out.

antiphon/NAME/PARAM/set    taken: one number, for a switch also true or false
antiphon/NAME/PARAM        published, retained: the plain number; of a choice its place, of a switch 1 or 0
antiphon/panic             taken: anything but 0 and false is /panic
antiphon/status            published, retained, and the last will: online or offline
"""

from __future__ import annotations

import math
import re

from antiphon.api import Param, Value
from antiphon.api.backends.transports import WireError

SETS = "antiphon/+/+/set"
"""Matches every topic that sets a parameter."""
STATUS = "antiphon/status"
PANIC = "antiphon/panic"
ONLINE, OFFLINE = b"online", b"offline"
MAX_PAYLOAD = 64
"""Most bytes of a number; the longest useful one has 24."""
_NUMBER = re.compile(rb"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_SWITCH = {b"true": True, b"false": False}


def target(topic: str) -> tuple[str, str]:
    """(node, parameter) of a topic that sets one; `WireError` for any other."""
    parts = topic.split("/")
    if len(parts) != 4 or parts[0] != "antiphon" or parts[3] != "set" or not parts[1] or not parts[2]:
        raise WireError("a parameter is set by antiphon/NAME/PARAM/set")
    return parts[1], parts[2]


def number(payload: bytes, param: Param) -> float | bool:
    """The finite number a payload is, or for a switch what true and false say; `WireError` for anything else.

    Spaces and line ends around it are let be: `echo 0.5 | mosquitto_pub -s` sends one.
    """
    if len(payload) <= MAX_PAYLOAD:
        text = payload.strip(b" \t\r\n")
        if param.kind == "switch" and text in _SWITCH:
            return _SWITCH[text]
        if _NUMBER.fullmatch(text):
            parsed = float(text)
            if math.isfinite(parsed):
                return parsed
    also = ", true or false" if param.kind == "switch" else ""
    raise WireError(f"{param.name} takes one number{also} over MQTT")


def is_press(payload: bytes) -> bool:
    """Whether a payload presses a button: 0 and false, in any case, are its release."""
    return payload[:MAX_PAYLOAD].strip(b" \t\r\n").lower() not in (b"0", b"false")


def state_topic(node: str, param: str) -> str:
    return f"antiphon/{node}/{param}"


def payload(param: Param, value: Value) -> bytes | None:
    """The payload for a value; None for one without a number: text, files, triggers, NaN of a readonly parameter."""
    if param.kind in ("text", "file", "trigger"):
        return None
    plain = param.encode(value)
    if not math.isfinite(plain):
        return None
    # seven digits are a 32-bit float's
    return (f"{plain:.7g}" if param.kind == "float" else str(int(plain))).encode()
