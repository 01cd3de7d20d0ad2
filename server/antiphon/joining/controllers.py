"""What the controllers of a transport may move or trigger, and how they count."""

import re

from antiphon.kernel.contract.params import Param
from antiphon.kernel.errors import RequestError

BUTTONS = (
    "/set/next", "/set/previous", "/patch/undo", "/patch/redo", "/transport/play", "/transport/stop", "/transport/wait",
    "/panic",
)  # fmt: skip
"""Addresses a controller button may trigger: complete actions without an argument."""
CUE, CAPTURE = "/cue", "/capture"
"""Addresses a controller button may trigger with arguments: a target is "/cue NAME" or "/capture BARS [NODE]"."""
_WITH_ARGUMENTS = re.compile(r"/cue .+|/capture \d{1,4}( \S+)?")


def pressable(target: str) -> bool:
    """True for a target of `Learner.learn` of `BUTTONS`, "/cue NAME" or "/capture BARS [NODE]"."""
    return target in BUTTONS or _WITH_ARGUMENTS.fullmatch(target) is not None


def pressed_message(target: str) -> tuple[str, *tuple[str | int, ...]]:
    """Address and arguments of a target that is `pressable`: the cue's name, or the bars and the node of a capture."""
    address, _, rest = target.partition(" ")
    if address == CAPTURE:
        bars, _, node = rest.partition(" ")
        return (address, int(bars), node) if node else (address, int(bars))
    return (address, rest) if rest else (address,)


COUNTING_MODES = ("absolute", "relative", "twos", "offset", "sign")
"""Encodings of a controller: absolute, or of an endless one detected, two's complement, offset by 64, or sign bit."""


def settable(param: Param, address: str) -> None:
    """Raises RequestError where a controller cannot move a parameter: a readonly, text or file parameter."""
    if param.readonly or param.kind in ("text", "file"):
        raise RequestError(f"{address} is {'readonly' if param.readonly else param.kind}; a control cannot set it")
