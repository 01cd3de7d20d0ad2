"""Controls of 14 bits, of several messages each, and endless ones, which send steps."""

from __future__ import annotations

DATA, DATA_FINE, NRPN_FINE, NRPN, RPN_FINE, RPN = 6, 38, 98, 99, 100, 101
FINE = 32
"""Offset of a controller's fine byte: of 1, which is 33, to 31, which is 63."""
PARTS = frozenset({0, 32, DATA, DATA_FINE, *range(96, 102), *range(120, 128)})
"""Controllers that are no control by themselves: bank select, parameters and their values, channel modes."""
ENDS = (0, 127)
"""Values of a button or of a fader's touch, which say nothing of what moves."""
STEPS = (1, 127, 63, 65)
"""Values of a step of an endless control, and possible ones of another."""
STEP = 1.0 / 127.0
"""Of a parameter's range."""
RELATIVE = ("relative", "twos", "offset", "sign")
"""Endless: told by its values, or two's complement (1, 127), offset by 64 (65, 63), with a bit of sign (1, 65)."""
_NONE = -1


class ChannelControls:
    """Controllers of a channel of a port, and what they are parts of.

    last: number of the last but one message.
    """

    def __init__(self) -> None:
        self.last = _NONE
        self._number = _NONE
        self._values: dict[int, int] = {}
        self._parameter = _NONE
        self._fine = False

    def take(self, number: int, value: int) -> tuple[int, float] | None:
        """Takes a controller's message.

        Returns of a pair its coarse controller, below `FINE`, or `FINE` and the number of an NRPN, with its value, 0 to
        1; None for what is neither.
        """
        self.last, self._number = self._number, number
        self._values[number] = value
        if number in (RPN, RPN_FINE):
            self._parameter = _NONE
        elif number in (NRPN, NRPN_FINE):
            self._parameter = (self._values.get(NRPN, 0) << 7 | self._values.get(NRPN_FINE, 0)) & 0x3FFF
            self._parameter = _NONE if self._parameter == 0x3FFF else self._parameter
            self._fine = False
            self._values.pop(DATA_FINE, None)
        elif number in (DATA, DATA_FINE):
            if self._parameter == _NONE:
                return None
            self._fine |= number == DATA_FINE
            return FINE + self._parameter, self._both(DATA, fine=self._fine)
        elif number % FINE and number < 2 * FINE:
            return number % FINE, self._both(number % FINE, fine=True)
        return None

    def _both(self, coarse: int, *, fine: bool) -> float:
        """A control of two bytes, of which the fine one may never come."""
        high = self._values.get(coarse, 0)
        return (high << 7 | self._values.get(coarse + FINE, 0)) / 16383.0 if fine else high / 127.0


def is_endless(first: int, value: int) -> bool:
    """Whether two values in a row are steps: no other control says a value twice, or jumps from end to end so."""
    return value in STEPS and (value == first or {first, value} in ({1, 127}, {63, 65}, {1, 65}))


def steps_of(value: int, mode: str) -> tuple[int, str]:
    """Steps of an endless control's value, and its mode, of `RELATIVE`: over 31 at a time are steps of another mode."""
    if mode == "relative":
        mode = "offset" if 32 < value <= 96 else "twos"
    elif (mode == "offset" and 0 < value <= 32) or (mode == "twos" and 64 < value <= 96):
        mode = "sign"
    if mode == "offset":
        return (value - 64 if value else 0), mode
    if value < 64:
        return value, mode
    return (value - 128 if mode == "twos" else 64 - value), mode
