"""A fake backend of mido's, chosen by MIDO_BACKEND=tests.io.fake_mido: two ports, and what a test sends by them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

opened: dict[str, FakePort] = {}
sent: list[Any] = []


def get_devices(**_given: Any) -> list[dict[str, Any]]:
    return [
        {"name": "fake keys", "is_input": True, "is_output": False},
        {"name": "fake gear", "is_input": False, "is_output": True},
    ]


class FakePort:
    def __init__(self, name: str, callback: Callable[[Any], None] | None = None, virtual: bool = False, **_given: Any):
        if name == "none":
            raise OSError("no such port")
        self.name, self.callback, self.virtual, self.closed = name, callback, virtual, False
        opened[name] = self

    def send(self, message: Any) -> None:
        sent.append(message)

    def close(self) -> None:
        self.closed = True


Input = Output = FakePort
