"""Parameters, declared once: from a `Param` come OSC, OSCQuery, CLI options and the reference page."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from antiphon.kernel.errors import ParamError
from antiphon.kernel.runtime.shortening import composed, short_repr
from antiphon.kernel.runtime.suggestion import instead, suggest

ParamKind = Literal["float", "int", "switch", "choice", "text", "file", "trigger"]
"""The kinds of values: a number, a whole number, on or off, one of some words, text, a file name, an impulse.
"""
Warp = Literal["linear", "log"]
"""The mapping of a fader's positions 0 to 1 to a range: linear or logarithmic."""
Value: TypeAlias = float | int | bool | str
"""A parameter's value: float, int, bool or str, by its kind."""

MAX_TEXT = 1024
"""Maximum characters of a text or file parameter."""
_OFF_WORDS = {"off", "false", "no", "0"}
_ON_WORDS = {"on", "true", "yes", "1"}


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter of a processor, declared once for OSC, OSCQuery, MIDI, the command line and the reference pages.

        Param("cutoff", default=1000.0, low=20.0, high=20000.0, unit="Hz", warp="log", doc="Of the filter.")

    Attributes:
        name: The last part of its address: `/node/NODE/NAME`.
        kind: "float", "int", "switch" (bool), "choice", "text", "file" or "trigger" (an impulse without a value).
        unit: For people: "dB", "Hz", "s", or "".
        warp: "linear" or "log": how the positions 0 to 1 are mapped to the range. A log range is above 0.
        smooth: Seconds in which a change of a float is ramped, linearly, from the exact sample of the change.
        restart: A change needs a new `prepare`, since it changes latency or buffers; the node is replaced by a
            crossfade.
        readonly: The node reports it (`IO.report`); it cannot be set.
        notice: For a readonly number: the message shown and logged when it has grown; `{}` is the number.
        holds: For a file: its content, such as "a MIDI file", for the message when it is missing.
        owners: True if surfaces neither set nor see it, like a file; for a text that names something to load or write.
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
    owners: bool = False
    holds: str = "a file"
    doc: str = ""
    notice: str = ""

    def agrees(self, other: Param) -> bool:
        """True if a value of this parameter, and its encoding, means the same in another version of the plugin."""
        same = replace(other, default=self.default, smooth=self.smooth, unit=self.unit, doc=self.doc, holds=self.holds)
        return same == self

    def check(self, value: object) -> Value:
        """Checks a value and converts it to this parameter's type.

        Numbers are taken as clients send them: 1, 1.0, True and "on" all switch a switch on, and a text that is a whole
        number may be one. A `ParamError` says what is allowed.
        """
        if self.readonly:
            raise ParamError(f"{self.name} is read-only: its node reports it")
        match self.kind:
            case "float":
                return self._check_number_range(self._number(value))
            case "int":
                return round(self._check_number_range(self._number(value)))
            case "switch":
                if isinstance(value, str):
                    if value.lower() in _ON_WORDS | _OFF_WORDS:
                        return value.lower() in _ON_WORDS
                    raise ParamError(f"{self.name} takes {self.allowed}, not {short_repr(value)}")
                return self._number(value) != 0.0
            case "trigger":
                return bool(self._number(value) != 0.0) if not isinstance(value, str) else True
            case "choice":
                return self._choice(value)
            case _:
                return self._text(value)

    def takes(self, value: object) -> bool:
        """True if `check` accepts the value."""
        try:
            self.check(value)
        except ParamError:
            return False
        return True

    def typed(self, value: object) -> Value:
        """Checks a value that a person typed: a fraction is refused for an int, where `check` rounds it."""
        checked = self.check(value)
        if self.kind == "int" and (number := self._number(value)) != checked:
            raise ParamError(f"{self.name} takes {self.allowed}, not {number}")
        return checked

    def clip(self, number: float) -> float:
        """Clips a number to the range."""
        return min(max(number, self.low), self.high)

    def to_norm(self, value: Value) -> float:
        """Converts a value to its position in the range, 0 to 1; 0 for text and files, which have none."""
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
        """Converts a position in the range, 0 to 1, to its value; the inverse of `to_norm`."""
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
        """Converts a checked value to the one float that a real-time command carries; not for text and files."""
        if self.kind == "choice":
            return float(self.choices.index(str(value)))
        if self.kind in ("text", "file"):
            raise ParamError(f"{self.name} is {self.kind} and does not travel as a number")
        return float(value)

    def decode(self, number: float) -> Value:
        """Converts the float of a real-time command to a value; the inverse of `encode`."""
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
        """True if a control wire may modulate it: the processor reads it frame by frame."""
        return self.kind == "float" and self.smooth > 0.0 and not (self.restart or self.readonly)

    @property
    def allowed(self) -> str:
        """The allowed values as text: "-80 to 0 dB", "gate or wavelet", "on or off"."""
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

    def _check_number_range(self, number: float) -> float:
        if not self.low <= number <= self.high:
            raise ParamError(f"{self.name} takes {self.allowed}, not {number:g}")
        return number

    def _choice(self, value: object) -> str:
        if isinstance(value, str):
            if value in self.choices:
                return value
        elif isinstance(value, int | float) and value in range(len(self.choices)):
            return self.choices[int(value)]
        hint = suggest(value, self.choices) if isinstance(value, str) else ""
        raise ParamError(f"{self.name} takes {self.allowed}, not {short_repr(value)}{hint and f'; {hint.rstrip()}'}")

    def _text(self, value: object) -> str:
        if self.kind == "text" and type(value) in (int, float) and value == (whole := math.trunc(self._number(value))):
            value = str(whole)  # a name that is a number, as clients and TOML have it
        if not isinstance(value, str) or len(value) > MAX_TEXT or "\0" in value:
            raise ParamError(f"{self.name} takes {self.allowed}, not {short_repr(value)}")
        # a file's name may be bytes of another encoding; text goes out as UTF-8 again, to surfaces and into files
        if self.kind == "text" and any("\ud800" <= c <= "\udfff" for c in value):
            raise ParamError(
                f"{self.name} takes {self.allowed}, and {short_repr(value)} holds half a character (no UTF-8)"
            )
        return composed(value) if self.kind == "text" else value


BYPASS = Param("bypass", "switch", False, doc="Passes the input, delayed by the node's latency.")
MUTE = Param("mute", "switch", False, doc="Silences the node's output.")
WET = Param("wet", "float", 1.0, 0.0, 1.0, smooth=0.005, doc="How much of the result, against the sound as it came in.")
HOST_PARAMS = (BYPASS, MUTE, WET)
"""Every node's first three parameters; a processor's own follow in declared order."""


def suggest_parameters(name: str, params: Iterable[Param]) -> str:
    """The known parameters, similar ones first: "; did you mean semitones? it has: semitones, cents"."""
    docs = {param.name: param.doc for param in params}
    return instead(name, docs, "it has", docs)


def clamp_rounding(param: Param, value: object) -> object:
    """Clamps a value that exceeds the range by no more than a 32-bit float's rounding (1.2e-7 of the bound)."""
    if type(value) is float and not param.low <= value <= param.high:
        for bound in (param.low, param.high):
            if abs(value - bound) <= abs(bound) * 1.2e-7:
                return bound
    return value
