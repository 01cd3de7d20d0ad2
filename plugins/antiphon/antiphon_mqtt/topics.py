"""MQTT topics and payloads of parameters, and the queue of values to publish.

antiphon/NAME/PARAM/set    taken: one number, for a switch also true or false
antiphon/NAME/PARAM        published, retained: the plain number; of a choice its place, of a switch 1 or 0
antiphon/panic             taken: anything but 0 and false is /panic
antiphon/status            published, retained, and the last will: online or offline
"""

import asyncio
import math
import re

from antiphon.api import Param, Value
from antiphon.api.backends.transports import WireError

MAX_TOPICS = 16384
SLOW = 0.1
"""Minimum seconds between two values of a readonly parameter."""


class Outward:
    """Queue of topics and payloads to publish.

    `dropped`: values superseded while the broker was away, or beyond the bound. `wake`: event set by new data.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self.wake = asyncio.Event()
        self._waiting: dict[str, bytes] = {}
        self._slow: dict[str, bytes] = {}
        self._published: dict[str, bytes] = {}
        self._open = False
        self._slow_from = 0.0

    def __len__(self) -> int:
        return len(self._waiting) + len(self._slow)

    def put(self, topic: str, payload: bytes, *, slow: bool = False) -> None:
        """Sets the topic's value to `payload`. `slow`: a node's own report."""
        queue = self._slow if slow else self._waiting
        if topic in queue:
            self.dropped += not self._open
        elif len(self) >= MAX_TOPICS:
            self.dropped += 1
            return
        queue[topic] = payload
        self.wake.set()

    def begin(self, values: dict[str, bytes]) -> None:
        """Queues every value for a new connection, and empty payloads for topics that have gone."""
        self._waiting.clear()
        self._slow.clear()
        self._open = True
        removed = self._published.keys() - values.keys()
        self._published = dict.fromkeys(removed, b"?")
        self.sync(values)

    def sync(self, values: dict[str, bytes]) -> None:
        """Queues changed values after a change of nodes, and empty payloads for topics that have gone."""
        for topic in [t for t in self._published if t not in values]:
            self.put(topic, b"")
        for topic in [t for t in self._waiting if t not in values and t not in self._published]:
            del self._waiting[topic]
        for topic in [t for t in self._slow if t not in values]:
            del self._slow[topic]
        for topic, payload in values.items():
            if self._waiting.get(topic, self._published.get(topic)) != payload:
                self.put(topic, payload)

    def end(self) -> None:
        """Handles the loss of the connection."""
        self._open = False

    def take(self, most: int, now: float) -> list[tuple[str, bytes]]:
        """Up to `most` messages to publish now, the oldest first; an empty payload removes a retained one."""
        if self._slow and now >= self._slow_from:
            self._slow_from = now + SLOW
            self._waiting |= self._slow
            self._slow.clear()
        batch = [(topic, self._waiting.pop(topic)) for topic in list(self._waiting)[:most]]
        for topic, payload in batch:
            if payload:
                self._published[topic] = payload
            else:
                self._published.pop(topic, None)
        return batch

    async def wait(self, now: float) -> None:
        """Waits until `take` has data."""
        self.wake.clear()
        if self._waiting:
            return
        try:
            await asyncio.wait_for(self.wake.wait(), max(0.001, self._slow_from - now) if self._slow else None)
        except TimeoutError:
            return


SETS = "antiphon/+/+/set"
"""Topic filter of all parameter-setting topics."""
STATUS = "antiphon/status"
PANIC = "antiphon/panic"
ONLINE, OFFLINE = b"online", b"offline"
MAX_PAYLOAD = 64
"""Maximum bytes of a number; the longest useful one has 24."""
_NUMBER = re.compile(rb"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_SWITCH = {b"true": True, b"false": False}


def target(topic: str) -> tuple[str, str]:
    """(node, parameter) of a parameter-setting topic; `WireError` for any other."""
    parts = topic.split("/")
    if len(parts) != 4 or parts[0] != "antiphon" or parts[3] != "set" or not parts[1] or not parts[2]:
        raise WireError("a parameter is set by antiphon/NAME/PARAM/set")
    return parts[1], parts[2]


def number(payload: bytes, param: Param) -> float | bool:
    """Finite number of a payload, or for a switch also true and false; `WireError` for anything else.

    Surrounding spaces and line ends are ignored: `echo 0.5 | mosquitto_pub -s` sends one.
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
    """True if a payload presses a button: 0 and false, in any case, are its release."""
    return payload[:MAX_PAYLOAD].strip(b" \t\r\n").lower() not in (b"0", b"false")


def state_topic(node: str, param: str) -> str:
    return f"antiphon/{node}/{param}"


def payload(param: Param, value: Value) -> bytes | None:
    """Payload of a value; None for one without a number: text, files, triggers, NaN of a readonly parameter."""
    if param.kind in ("text", "file", "trigger"):
        return None
    plain = param.encode(value)
    if not math.isfinite(plain):
        return None
    # seven digits are a 32-bit float's
    return (f"{plain:.7g}" if param.kind == "float" else str(int(plain))).encode()
