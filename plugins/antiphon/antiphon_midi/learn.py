"""MIDI map: learned assignments and the patch's own; controls with several messages, pedals as buttons, and pads."""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from antiphon.api.backends.files import write_atomic
from antiphon.api.backends.transports import RequestError, TransportServer
from antiphon.joining.controllers import pressed_message

DATA, DATA_FINE, NRPN_FINE, NRPN, RPN_FINE, RPN = 6, 38, 98, 99, 100, 101
FINE_OFFSET = 32
"""Offset of a controller's fine byte: controllers 33 to 63 belong to 1 to 31."""
PARTS = frozenset({0, 32, DATA, DATA_FINE, *range(96, 102), *range(120, 128)})
"""Controllers that cannot be mapped: bank select, parameters and their values, channel modes."""
ENDS = (0, 127)
"""Values of a button or of a fader's touch sensor, which do not identify what moves."""
REACH, SURE = 16, 8
"""Largest step of an endless control turned fast, and the largest when it is turned back."""
DOUBTED, ENDS_TOLD = 4, 4
"""Number of values during which an endless control may still prove to be a fader that began slowly; and number of jumps
between the ends, with no value repeated, that only a fader makes."""
STEP = 1.0 / 127.0
"""Step of an endless controller as a share of a parameter's range."""
RELATIVE_MODES = ("relative", "twos", "offset", "sign")
"""Encodings of endless controllers: detected, two's complement (1, 127), offset by 64 (65, 63), sign bit (1, 65)."""
_NONE = -1


class ChannelControls:
    """Controllers of a port's channel, and their combinations. `last`: controller number of the message before last."""

    def __init__(self) -> None:
        self.last = _NONE
        self._number = _NONE
        self._values: dict[int, int] = {}
        self._parameter = _NONE
        self._fine = False

    def take(self, number: int, value: int) -> tuple[int, float] | None:
        """Processes a controller message.

        Returns a control and its value, 0 to 1: a pair's coarse controller, below `FINE_OFFSET`, or `FINE_OFFSET` plus
        an NRPN's number. Returns None for other controllers.
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
            return FINE_OFFSET + self._parameter, self._both(DATA, fine=self._fine)
        elif number % FINE_OFFSET and number < 2 * FINE_OFFSET:
            return number % FINE_OFFSET, self._both(number % FINE_OFFSET, fine=True)
        return None

    def _both(self, coarse: int, *, fine: bool) -> float:
        """Value of a two-byte control, 0 to 1; the fine byte may never arrive."""
        high = self._values.get(coarse, 0)
        return (high << 7 | self._values.get(coarse + FINE_OFFSET, 0)) / 16383.0 if fine else high / 127.0


def control_mode(values: Sequence[int]) -> str:
    """Mode indicated by a control's first values: "absolute", one of `RELATIVE_MODES`, or "" while undecided.

    An endless control stays near 0 or 64, and repeats a value, or turns back by more than a jitter of 1.
    """
    sizes = [size_of(value) for value in values]
    if not all(0 < size <= REACH for size in sizes):
        return "absolute"
    moved = [after - before for before, after in pairwise(values)]
    far = [abs(by) for by in moved if abs(by) > 32]
    turned = any(one * other < -1 for one, other in pairwise(moved))
    if far:  # two's complement passes 0, or a slow turn back sets the sign bit; a fast fader rarely does
        most = max(value % 64 for value in values)
        if most == 2 and min(far) <= 96 and len(values) < 3:
            return ""
        endless = max(sizes) <= SURE if min(far) > 96 else most <= 2
    elif 0 in moved:
        endless = True
    elif turned or len(moved) > 2:
        endless = turned and max(sizes) <= SURE
    else:
        return ""
    return endless_control_steps(values[0], "relative")[1] if endless else "absolute"


def is_still_endless(first: Sequence[int], then: Sequence[int]) -> bool | None:
    """Whether a control that seemed endless by its `first` values still does by the next, `then`; None if undecided.

    A knob turned at once from one end to the other sends the values of an endless control turned back. A knob is told
    by values far from 0 and 64, by a run of values, or by jumps to and fro between the ends; an endless control by a
    repeated value.
    """
    values, sizes = (*first, *then), [size_of(value) for value in then]
    moved = [after - before for before, after in pairwise(values)]
    jumps = [abs(by) > 96 for by in moved]
    if any(jumps) and 0 not in moved:
        run = moved[-2:]
        runs = len(run) == 2 and (all(0 < by <= REACH for by in run) or all(-REACH <= by < 0 for by in run))
        return False if runs or not 0 < sizes[-1] <= REACH or sum(jumps) >= ENDS_TOLD else None
    if len(sizes) > 1 and all(size > REACH for size in sizes[-2:]):
        return False  # a fader, whose first values were those of an endless control
    return True if len(sizes) >= DOUBTED and sizes[-1] <= REACH else None


def size_of(value: int) -> int:
    """Number of steps of a value, in the encoding that gives the fewest."""
    return min(value % 64, -value % 64)


def endless_control_steps(value: int, mode: str) -> tuple[int, str]:
    """Steps of an endless control's value, and its mode, of `RELATIVE_MODES`: over 31 steps mean another mode."""
    if mode == "relative":
        mode = "offset" if 32 < value <= 96 else "twos"
    elif (mode == "offset" and 0 < value <= 32) or (mode == "twos" and 64 < value <= 96):
        mode = "sign"
    if mode == "offset":
        return (value - 64 if value else 0), mode
    if value < 64:
        return value, mode
    return (value - 128 if mode == "twos" else 64 - value), mode


log = logging.getLogger("antiphon.control")

FILE = "midi.json"
FORMAT = 1
MAX_CONTROLS = 4096
"""Maximum learned controls."""
MAX_SIZE = 1 << 20
NOTES, PAIRS, NRPNS = 128, 256, 256 + FINE_OFFSET
"""Offsets of note numbers (after the controllers), of controller pairs and of NRPNs."""


class Knob(NamedTuple):
    """One control of one port.

    `number`: of a controller, or `NOTES` plus a note number, `PAIRS` plus a pair's coarse controller, `NRPNS` plus that
    of an NRPN. `channel`: 1 to 16.
    """

    port: str
    number: int
    channel: int

    @property
    def control(self) -> str:
        """Name in patch syntax: "cc 21 1"; "note 36 10" for a note, "cc14 16 1" for a pair, "nrpn 133 1"."""
        kinds = (("nrpn", NRPNS), ("cc14", PAIRS), ("note", NOTES), ("cc", 0))
        kind, first = next(item for item in kinds if self.number >= item[1])
        return f"{kind} {self.number - first} {self.channel}"


class Learned(NamedTuple):
    """Target and mode of a learned control. `mode`: "absolute", of `RELATIVE_MODES`, or "" until detected."""

    target: str
    mode: str = "absolute"


class MidiMap:
    """One-to-one map from knobs to "node.param" or an address, in a file rewritten at each change."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._targets = self._read()

    def __len__(self) -> int:
        return len(self._targets)

    def targets(self, knob: Knob, patch: Mapping[str, str]) -> Iterator[str]:
        """Possible targets of a knob by priority: learned, then the patch's [midi]."""
        learned = self._targets.get(knob)
        if learned is not None:
            yield learned.target
        for control in (knob.control, knob.control.rpartition(" ")[0]) if patch else ():
            if control in patch:
                yield patch[control]

    def assignments(self, patch: Mapping[str, str]) -> list[tuple[str, str, str]]:
        """(target, control, port) of learned assignments, then of the patch's [midi], with port ""."""
        own = [(learned.target, knob.control, knob.port) for knob, learned in self._targets.items()]
        return own + [(target, control, "") for control, target in patch.items()]

    def mode(self, knob: Knob) -> str:
        """Counting mode of a control, as `Learned.mode`; absolute for assignments of the patch."""
        return self._targets.get(knob, Learned("")).mode

    def learn(self, knob: Knob, target: str, mode: str = "absolute") -> None:
        """Maps the knob to `target` exclusively. Raises `FileError`: it cannot be saved."""
        if len(self._targets) >= MAX_CONTROLS and knob not in self._targets:
            raise RequestError(f"at most {MAX_CONTROLS} controls can be learned; /unlearn one")
        left = {k: t for k, t in self._targets.items() if t.target != target}
        self._keep({**left, knob: Learned(target, mode)})

    def unlearn(self, target: str) -> bool:
        """Removes the learned assignment of `target`; returns False if there is none."""
        left = {k: t for k, t in self._targets.items() if t.target != target}
        if len(left) == len(self._targets):
            return False
        self._keep(left)
        return True

    def _keep(self, targets: dict[Knob, Learned]) -> None:
        rows = [{**knob._asdict(), **learned._asdict()} for knob, learned in targets.items()]
        write_atomic(self._path, json.dumps({"format": FORMAT, "controls": rows}, indent=1).encode())
        self._targets = targets

    def _read(self) -> dict[Knob, Learned]:
        """Reads the saved assignments; a damaged file is reported, and kept until the next learn."""
        try:
            with self._path.open("rb") as file:
                data = json.loads(file.read(MAX_SIZE))
            if data["format"] != FORMAT:
                raise ValueError(f"format {data['format']!r} is not {FORMAT}")
            rows = [
                (
                    Knob(str(r["port"]), int(r["number"]), int(r["channel"])),
                    Learned(str(r["target"]), str(r.get("mode", "absolute"))),
                )
                for r in data["controls"]
            ]
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            log.warning("%s cannot be used (%s); controls have to be learned again", self._path, error)
            return {}
        return dict(rows[:MAX_CONTROLS])


def address_of(target: str) -> str:
    return target if target.startswith("/") else "/node/" + target.replace(".", "/", 1)


DOWN = 0.5
"""Value, 0 to 1, above which a pedal counts as pressed."""


class PedalState:
    """Pedal state of controllers: which are down."""

    def __init__(self, server: TransportServer) -> None:
        self._server = server
        self._down: set[Knob] = set()

    def remove(self, port: str) -> None:
        """Releases all pedals of a port."""
        self._down = {knob for knob in self._down if knob.port != port}

    def move(self, target: str, knob: Knob, value: float) -> None:
        """Handles a pedal at `value`, 0 to 1; raises the error its address would answer as `/fail`."""
        if value < DOWN:
            self._down.discard(knob)
        elif knob not in self._down:
            self._down.add(knob)
            address, *args = pressed_message(target)
            self._server.message(address, *args, source=f"midi:{knob.port}")
