"""OSC messages to scsynth whose numbers are written into prepared bytes; frames are sent as two floats."""

import struct
from collections.abc import Sequence

from antiphon.api.backends import transports as osc


class Template:
    """Message with fixed address and names; its numbers are written into the bytes by position."""

    def __init__(self, *message: osc.Arg) -> None:
        self._bytes = bytearray(osc.encode(str(message[0]), *message[1:]))
        at = (len(str(message[0]).encode()) + 4) & -4
        at += (len(message) + 4) & -4  # the tags: a comma, one each, a zero
        self.ints: list[int] = []
        self.floats: list[int] = []
        for arg in message[1:]:
            if isinstance(arg, str):
                at += (len(arg.encode()) + 4) & -4
                continue
            (self.floats if isinstance(arg, float) else self.ints).append(at)
            at += 4
        if at != len(self._bytes):
            raise ValueError("a template takes int, float and str alone")

    def set(self, place: int, value: float) -> None:
        """Sets the float at a position among the floats, permanently."""
        struct.pack_into(">f", self._bytes, self.floats[place], value)

    def set_int(self, place: int, value: int) -> None:
        """Sets the int at a position among the ints, permanently."""
        struct.pack_into(">i", self._bytes, self.ints[place], value)

    def fill(self, node: int, values: Sequence[float], first: int = 0) -> bytes:
        """Bytes with the node's number and, from float `first` on, these values."""
        data, at = self._bytes, self.floats
        struct.pack_into(">i", data, self.ints[0], node)
        for n, value in enumerate(values, first):
            struct.pack_into(">f", data, at[n], value)
        return bytes(data)


def moment(frame: int) -> tuple[float, float]:
    """A frame as two float controls: low, high; (-1, 0) means at once, or never."""
    return (float(frame & 0xFFFFFF), float(frame >> 24)) if frame >= 0 else (-1.0, 0.0)
