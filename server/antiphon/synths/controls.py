"""SynthDef controls of a synth node beside the notes, parsed from one line of text.

    cutoff=800 density=1:200 tone=200:8000:log

A number is a constant, set with every note. A range is a *dial*: the node's parameters x1 to x8 turn the dials in their
order, 0 to 1 across the range, for sounding and later notes.
"""

import math
import re
from dataclasses import dataclass

from antiphon.kernel.errors import ParamError

DIALS = 8
"""Maximum dials of a synth node: its parameters x1 to x8."""
FIRST_DIAL = 128
"""Controller number of the first dial, above MIDI's: dials are sent as control events."""
MAX_CONTROLS = 64
LIMIT = 1e9
RESERVED = frozenset(
    [
        "out",
        "note",
        "freq",
        "midinote",
        "velocity",
        "gate",
        "bend",
        "gain",
        "buffer",
        "bufnum",
        "buf",
        "seed",
        "longest",
        "clock",
        "start",
        "start_high",
        "stop",
        "stop_high",
        "cut",
        "cut_high",
    ]
)
"""Names of SynthDef controls that `parse_controls` refuses: the server sets these itself, with every note."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}\Z")


@dataclass(frozen=True, slots=True)
class Dial:
    """SynthDef control turned by a parameter of the node."""

    name: str
    low: float  # its value at place 0
    high: float  # its value at place 1
    log: bool = False

    def value(self, place: float) -> float:
        """Converts a place to a value. `place`: 0 to 1; beyond, the nearer end is taken."""
        place = min(max(place, 0.0), 1.0)
        if self.log:
            return float(self.low * (self.high / self.low) ** place)
        return self.low + (self.high - self.low) * place


@dataclass(frozen=True, slots=True)
class Controls:
    """SynthDef controls of a synth node besides the notes."""

    fixed: tuple[tuple[str, float], ...] = ()
    dials: tuple[Dial, ...] = ()  # in the order of x1 to x8

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all controls."""
        return (*(name for name, _ in self.fixed), *(dial.name for dial in self.dials))


def parse(text: str) -> Controls:
    """Parses a node's controls: "cutoff=800 density=1:200 tone=200:8000:log".

    Raises ParamError: the text cannot be read, sets a name twice, sets one of the notes' own, or has more than 8 dials.
    """
    fixed: list[tuple[str, float]] = []
    dials: list[Dial] = []
    for word in text.split():
        name, equals, rest = word.partition("=")
        if not equals or not _NAME.match(name):
            raise ParamError(f"controls takes NAME=NUMBER or NAME=FROM:TO, a space between them, not {word[:40]!r}")
        if name in RESERVED:
            raise ParamError(f"controls cannot set {name}: it is set for every note")
        if name in (*(n for n, _ in fixed), *(d.name for d in dials)):
            raise ParamError(f"controls sets {name} twice")
        if ":" not in rest:
            fixed.append((name, _number(name, rest)))
            continue
        low, _, high = rest.partition(":")
        log = high.endswith(":log")
        dial = Dial(name, _number(name, low), _number(name, high.removesuffix(":log")), log)
        if log and (dial.low * dial.high <= 0.0):
            raise ParamError(f"controls: {name} has no equal ratios from {low}; both ends of a log range are above 0")
        dials.append(dial)
    if len(dials) > DIALS:
        raise ParamError(f"controls has {len(dials)} ranges, and there are {DIALS} dials")
    if len(fixed) + len(dials) > MAX_CONTROLS:
        raise ParamError(f"controls sets {len(fixed) + len(dials)} controls, and {MAX_CONTROLS} is the most")
    return Controls(tuple(fixed), tuple(dials))


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not abs(value) <= LIMIT:
        raise ParamError(f"controls: {name} takes a number or a range of two, not {text[:40]!r}")
    return value
