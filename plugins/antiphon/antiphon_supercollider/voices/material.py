"""Assets of a synth node in scsynth: one of our SynthDefs or a user's own, checked, and a sound in a buffer.

scsynth does not check a compiled SynthDef (SCgf, version 2), and crashes on one that is truncated or has invalid
references. It gets the same graph under a name made of a digest of its bytes, so that it does not replace another
definition.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from antiphon.api import FileError, ParamError
from antiphon.api.backends.files import built_in_folder, read_ordinary
from antiphon.api.backends.runtime import instead
from antiphon.api.backends.synths import SynthSettings, parse_controls
from antiphon.synths.processor import RESERVED

MAX_BYTES = 1 << 20
MAX_CONTROLS, MAX_UGENS, MAX_CONSTANTS, MAX_PORTS = 1024, 8192, 8192, 1024
PREFIX = "antiphon-own-"
OUTS = {"Out": 1, "OffsetOut": 1, "ReplaceOut": 1, "XOut": 2}
"""UGens that write to audio buses, with the number of inputs before the sound."""
_CONTROL_UGENS = ("Control", "LagControl", "AudioControl", "TrigControl")


@dataclass(frozen=True, slots=True)
class Definition:
    """A user's SynthDef."""

    name: str
    title: str
    controls: Mapping[str, float]
    held: frozenset[str]
    channels: int  # most neighbouring audio buses that it writes to, 0 for none
    data: bytes  # the file's bytes under `name`
    elsewhere: str = ""  # a UGen that writes to another bus than that of the control `out`, "" for none


def load(path: Path) -> Definition:
    """Reads a file. Raises FileError: it is not one whole SynthDef of at most `MAX_BYTES`; in one sentence."""
    if not os.path.isfile(path):
        raise FileError(f"there is no SynthDef {path.name}; write it there with SynthDef.writeDefFile")
    return parse(read_ordinary(path, MAX_BYTES, "a SynthDef"), path.name)


def parse(data: bytes, shown: str) -> Definition:
    """Parses and checks a SynthDef file (SCgf 2); `shown` names it in errors. Raises FileError: it is invalid."""
    reader = _Reader(data, shown)
    if data[:4] != b"SCgf":
        raise reader.wrong("it does not begin as a compiled SynthDef does", "write it with SynthDef.writeDefFile")
    reader.at = 4
    version, count = reader.int32(), reader.int16()
    if version != 2:
        raise reader.wrong(f"it is of format {version}", "SuperCollider 3.5 and later write 2")
    if count != 1:
        raise reader.wrong(f"it holds {count} SynthDefs", "write one a file")
    begin = reader.at
    title = reader.text()
    end = reader.at
    constants = reader.floats(reader.count(MAX_CONSTANTS, "constants"))
    defaults = reader.floats(reader.count(MAX_CONTROLS, "controls"))
    controls: dict[str, float] = {}
    places: dict[str, int] = {}
    for _ in range(reader.count(MAX_CONTROLS, "control names")):
        name, place = reader.text(), reader.int32()
        if not 0 <= place < len(defaults):
            raise reader.wrong(f"its control {name!r} has no value")
        controls[name], places[name] = defaults[place], place
    mapped, channels, elsewhere = _read_ugens(reader, len(constants), len(defaults), places.get("out", -2))
    for _ in range(reader.int16()):  # variants: other defaults by name
        reader.text()
        reader.floats(len(defaults))
    if reader.at != len(data):
        raise reader.wrong("something follows its end")
    name = PREFIX + hashlib.sha256(data).hexdigest()[:16]
    written = data[:begin] + bytes([len(name)]) + name.encode() + data[end:]
    held = frozenset(name for name, place in places.items() if place in mapped)
    return Definition(name, title, controls, held, channels, written, elsewhere)


def _read_ugens(reader: _Reader, constants: int, controls: int, out: int) -> tuple[set[int], int, str]:
    """UGen summary for `Definition`: indices of held controls, channels, elsewhere. `out`: index of that control."""
    outputs: list[int] = []
    mapped: set[int] = set()
    channels, elsewhere = 0, ""
    # by UGen and output: the control it forwards
    stands: dict[tuple[int, int], int] = {}
    for number in range(reader.count(MAX_UGENS, "UGens")):
        kind, rate = reader.text(), reader.int8()
        ins, outs, special = reader.count(MAX_PORTS, "inputs"), reader.count(MAX_PORTS, "outputs"), reader.int16()
        if not 0 <= rate <= 3:
            raise reader.wrong(f"its {kind} runs at no rate there is")
        bus = -1
        for place in range(ins):
            source, port = reader.int32(), reader.int32()
            bus = stands.get((source, port), -1) if place == 0 else bus
            most = constants if source == -1 else outputs[port_of] if 0 <= (port_of := source) < number else 0
            if not 0 <= port < most:
                raise reader.wrong(f"its {kind} takes what nothing before it gives")
        for _ in range(outs):
            if not 0 <= reader.int8() <= 3:
                raise reader.wrong(f"its {kind} gives at no rate there is")
        outputs.append(outs)
        if kind in _CONTROL_UGENS:
            if not 0 <= special <= controls - outs:
                raise reader.wrong(f"its {kind} stands for controls it does not have")
            stands.update({(number, n): special + n for n in range(outs)})
            if kind in ("Control", "LagControl") and rate == 1:
                mapped.update(range(special, special + outs))
        if kind in OUTS and bus != out:
            elsewhere = kind
        if kind in OUTS and rate == 2:
            channels = max(channels, ins - OUTS[kind])
    return mapped, channels, elsewhere


class _Reader:
    def __init__(self, data: bytes, shown: str) -> None:
        self.data, self.at, self._shown = data, 0, shown

    def wrong(self, what: str, mend: str = "write it anew with SynthDef.writeDefFile") -> FileError:
        return FileError(f"{self._shown} is no SynthDef to play: {what} (byte {self.at}); {mend}")

    def _take(self, size: int) -> bytes:
        if size > len(self.data) - self.at:
            raise self.wrong("it ends in the middle")
        self.at += size
        return self.data[self.at - size : self.at]

    def int8(self) -> int:
        return int(struct.unpack(">b", self._take(1))[0])

    def int16(self) -> int:
        return int(struct.unpack(">h", self._take(2))[0])

    def int32(self) -> int:
        return int(struct.unpack(">i", self._take(4))[0])

    def count(self, most: int, what: str) -> int:
        value = self.int32()
        if not 0 <= value <= most:
            raise self.wrong(f"it claims {value} {what}, and {most} is the most")
        return value

    def floats(self, count: int) -> tuple[float, ...]:
        return struct.unpack(f">{count}f", self._take(4 * count))

    def text(self) -> str:
        size = self._take(1)[0]
        raw = self._take(size)
        if not size or not raw.isascii() or not raw.decode("ascii").isprintable():
            raise self.wrong("a name in it is not one")
        return raw.decode("ascii")


BUILT_IN = {
    name: f"antiphon_{name}"
    for name in ("piano", "bass", "pad", "pluck", "strings", "electric_piano", "organ", "sampler", "grains")
}
MONO = {"sampler": "antiphon_sampler_mono"}
"""Definitions that play a mono buffer."""
WITH_SOUND = ("sampler", "grains")
MAX_SECONDS = 600.0
MAX_CHANNELS = 2
BUFFERS = ("buffer", "bufnum", "buf")
_DRUM = "antiphon_hat"


@dataclass(frozen=True, slots=True)
class VoiceAssets:
    """Assets of a node."""

    definition: Definition | None = None  # a user's SynthDef, or None for ours
    buffer: int = -1  # number of the buffer, -1 for none
    channels: int = 0


NOTHING = VoiceAssets()


def needs(settings: SynthSettings) -> bool:
    """True if the settings need files."""
    return bool(settings.synthdef or settings.sound)


def built_in(instrument: str, channels: int = 2) -> str:
    """Name of our SynthDef for an instrument. Raises ParamError: there is none."""
    material = MONO.get(instrument) if channels == 1 else None
    material = material or BUILT_IN.get(instrument)
    if material is None:
        raise ParamError(f"scsynth plays no {instrument!r}; it plays drums, {', '.join(BUILT_IN)}")
    return material


@cache
def find_definition(name: str) -> Definition:
    """Definition of one of our SynthDefs."""
    return load(built_in_folder("supercollider") / "compiled" / f"{name}.scsyndef")


def own_synthdef(settings: SynthSettings) -> Definition:
    """The settings' own SynthDef of the user. Raises FileError: notes cannot play it."""
    synthdefs = load(Path(settings.synthdef))
    shown = Path(settings.synthdef).name
    if "out" not in synthdefs.controls:
        raise FileError(f"{shown} has no control named out, so that its sound cannot be brought here; give it one")
    if synthdefs.elsewhere:
        raise FileError(
            f"{synthdefs.elsewhere} in {shown} writes to a bus of its own; give it the control out as it is"
        )
    if not 1 <= synthdefs.channels <= MAX_CHANNELS:
        raise FileError(f"{shown} plays {synthdefs.channels} channels; a voice has 1 or {MAX_CHANNELS}")
    return synthdefs


def own_controls(settings: SynthSettings) -> tuple[str, ...]:
    """Controls that a note may set: those of the SynthDef that the server does not set itself."""
    return tuple(sorted(set(_played(settings).controls) - RESERVED))


def _played(settings: SynthSettings) -> Definition:
    if settings.synthdef:
        return own_synthdef(settings)
    return find_definition(_DRUM if settings.instrument == "drums" else built_in(settings.instrument))


def check(settings: SynthSettings) -> None:
    """Checks that scsynth can play the settings.

    Raises FileError: a file cannot be used. Raises ParamError: a setting is invalid.
    """
    definition, instrument = _played(settings), settings.instrument
    if not settings.synthdef and instrument in WITH_SOUND and not settings.sound:
        raise ParamError(f"{instrument} plays a sound: name a file of the library by the parameter sound")
    shown = definition.title if settings.synthdef else instrument
    for name in parse_controls(settings.controls).names:
        if name not in definition.controls:
            may = sorted(set(definition.controls) - RESERVED)
            raise ParamError(f"{shown} has no control {name!r}{instead(name, may, 'it has')}")
    if settings.sound:
        from antiphon.api.backends.files import Decoder

        with Decoder(settings.sound) as decoder:
            info = decoder.info
        if info.frames is not None and info.frames > MAX_SECONDS * info.rate:
            raise FileError(f"{Path(settings.sound).name} is longer than the {MAX_SECONDS:g} s that a buffer may hold")
