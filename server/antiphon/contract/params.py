"""Parameters, declared once: from a `Param` come OSC, OSCQuery, CLI options and the reference page."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

from antiphon.errors import ParamError
from antiphon.runtime.shortening import short_repr
from antiphon.runtime.suggestion import meant

ParamKind = Literal["float", "int", "switch", "choice", "text", "file", "trigger"]
Warp = Literal["linear", "log"]
Value: TypeAlias = float | int | bool | str

MAX_TEXT = 1024
_OFF_WORDS = {"off", "false", "no", "0"}
_ON_WORDS = {"on", "true", "yes", "1"}


@dataclass(frozen=True, slots=True)
class Param:
    """One thing a performer can turn.

    name: its last address part.  kind: see `ParamKind`.  low, high: inclusive range of numbers.
    unit: for people ("dB", "Hz", "s", "").  warp: how 0..1 maps to the range.
    smooth: seconds over which a change of a float is ramped, linearly, from its exact sample.
    restart: changing it changes latency, so it is swapped in like a patch.
    readonly: reported by the node, not set.  choices: the words a choice takes.
    """

    name: str
    kind: ParamKind = "float"
    default: Value = 0.0
    low: float = 0.0
    high: float = 1.0
    unit: str = ""
    warp: Warp = "linear"
    smooth: float = 0.0
    choices: tuple[str, ...] = ()
    restart: bool = False
    readonly: bool = False
    doc: str = ""

    def check(self, value: object) -> Value:
        """The value as this parameter keeps it, or `ParamError` naming what is allowed.

        Numbers come as whatever a client has: 1, 1.0, True and "on" all switch a switch on.
        """
        if self.readonly:
            raise ParamError(f"{self.name} is reported by its node and cannot be set")
        match self.kind:
            case "float":
                return self._ranged(self._number(value))
            case "int":
                return round(self._ranged(self._number(value)))
            case "switch":
                return self._switch(value)
            case "trigger":
                return bool(self._number(value) != 0.0) if not isinstance(value, str) else True
            case "choice":
                return self._choice(value)
            case _:
                return self._text(value)

    def typed(self, value: object) -> Value:
        """`check` for what a person wrote: a whole number is none to be rounded, as a fader's is."""
        checked = self.check(value)
        if self.kind == "int" and (number := self._number(value)) != checked:
            raise ParamError(f"{self.name} takes {self.allowed}, not {number}")
        return checked

    def to_norm(self, value: Value) -> float:
        """The value's place in its range, 0..1. Text and files have none: 0."""
        match self.kind:
            case "switch" | "trigger":
                return 1.0 if value else 0.0
            case "choice":
                return self.choices.index(str(value)) / max(1, len(self.choices) - 1)
            case "text" | "file":
                return 0.0
        number = float(value)
        if self.warp == "log":
            return math.log(number / self.low) / math.log(self.high / self.low)
        return (number - self.low) / (self.high - self.low)

    def from_norm(self, place: object) -> Value:
        """The value at a place 0..1 of the range; inverse of `to_norm`."""
        where = self._number(place)
        if not 0.0 <= where <= 1.0:
            raise ParamError(f"{self.name}/norm takes 0 to 1, not {where:g}")
        match self.kind:
            case "switch":
                return where >= 0.5
            case "trigger":
                return where > 0.0
            case "choice":
                return self.choices[round(where * (len(self.choices) - 1))]
            case "text" | "file":
                raise ParamError(f"{self.name} is {self.kind} and has no 0..1 form; send the {self.kind} itself")
        if self.warp == "log":
            number = self.low * math.pow(self.high / self.low, where)
        else:
            number = self.low + where * (self.high - self.low)
        number = min(max(number, self.low), self.high)
        return round(number) if self.kind == "int" else number

    def encode(self, value: Value) -> float:
        """The value as the one float a real-time command carries (a choice is its index)."""
        if self.kind == "choice":
            return float(self.choices.index(str(value)))
        if self.kind in ("text", "file"):
            raise ParamError(f"{self.name} is {self.kind} and does not travel as a number")
        return float(value)

    def decode(self, number: float) -> Value:
        """Inverse of `encode`."""
        match self.kind:
            case "choice":
                return self.choices[int(number)]
            case "switch" | "trigger":
                return number != 0.0
            case "int":
                return int(number)
        return number

    @property
    def glides(self) -> bool:
        """Whether its processor reads it frame by frame, so that a control wire may move it."""
        return self.kind == "float" and self.smooth > 0.0 and not (self.restart or self.readonly)

    @property
    def allowed(self) -> str:
        """What may be sent, in words: "-80 to 0 dB", "gate or wavelet", "on or off"."""
        match self.kind:
            case "choice":
                return " or ".join(self.choices)
            case "switch":
                return "on or off (1 or 0)"
            case "trigger":
                return "nothing or a number other than 0"
            case "text":
                return f"text of at most {MAX_TEXT} characters"
            case "file":
                return "a file name"
        unit = f" {self.unit}" if self.unit else ""
        whole = "whole numbers " if self.kind == "int" else ""
        return f"{whole}{self.low:g} to {self.high:g}{unit}"

    def _number(self, value: object) -> float:
        if isinstance(value, str):
            try:
                value = float(value)
            except ValueError:
                raise ParamError(f"{self.name} takes {self.allowed}, not {short_repr(value)}") from None
        if not isinstance(value, int | float):
            raise ParamError(f"{self.name} takes {self.allowed}, not {short_repr(value)}")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise ParamError(f"{self.name} takes {self.allowed}, not {number}")
        return number

    def _ranged(self, number: float) -> float:
        if not self.low <= number <= self.high:
            raise ParamError(f"{self.name} takes {self.allowed}, not {number:g}")
        return number

    def _switch(self, value: object) -> bool:
        if isinstance(value, str):
            if value.lower() in _ON_WORDS | _OFF_WORDS:
                return value.lower() in _ON_WORDS
            raise ParamError(f"{self.name} takes {self.allowed}, not {short_repr(value)}")
        return self._number(value) != 0.0

    def _choice(self, value: object) -> str:
        if isinstance(value, str):
            if value in self.choices:
                return value
        elif isinstance(value, int | float) and value in range(len(self.choices)):
            return self.choices[int(value)]
        hint = meant(value, self.choices) if isinstance(value, str) else ""
        raise ParamError(f"{self.name} takes {self.allowed}, not {short_repr(value)}{hint and f'; {hint.rstrip()}'}")

    def _text(self, value: object) -> str:
        if not isinstance(value, str) or len(value) > MAX_TEXT or "\0" in value:
            raise ParamError(f"{self.name} takes {self.allowed}, not {short_repr(value)}")
        # a file's name may be bytes of another encoding; text goes out as UTF-8 again, to surfaces and into files
        if self.kind == "text" and any("\ud800" <= c <= "\udfff" for c in value):
            raise ParamError(
                f"{self.name} takes {self.allowed}, and {short_repr(value)} holds half a character (no UTF-8)"
            )
        return value


BYPASS = Param("bypass", "switch", False, doc="Passes the input, delayed by the node's latency.")
MUTE = Param("mute", "switch", False, doc="Silences the node's output.")
WET = Param("wet", "float", 1.0, 0.0, 1.0, smooth=0.005, doc="Processed against dry, delayed alike.")
HOST_PARAMS = (BYPASS, MUTE, WET)
"""Every node's first three parameters; a processor's own follow in declared order."""
