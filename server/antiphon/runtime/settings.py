"""What `serve` was asked for: one frozen value, handed to every process as JSON."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from antiphon.errors import UsageError
from antiphon.runtime.audio_limits import MAX_BLOCK, MIN_BLOCK, RATES
from antiphon.runtime.sound_formats import FORMATS

DEVICES = ("auto", "cpu", "cuda")
AUDIO = ("auto", "portaudio", "jack", "headless")
OSC_PORT, HTTP_PORT = 4400, 4401
DEFAULT_RATE, DEFAULT_BLOCK = 48000, 256


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    """Options of `serve`, spelled as on the command line.

    set: a set list's name, instead of a patch.
    input: a sound file to loop, or a device's name.  ahead: blocks between input and output slots,
    0 to choose by block size.  device: what models run on; auto takes a GPU where there is one.  synth: what plays
    notes.  synth_options: by option, what a synth backend takes beside.  midi: an input named
    antiphon is offered and every port heard, or, where there are any, those with one of `midi_in` in their name.
    midi_out: of the ports played to.  surface: HOST:PORT of surfaces that listen elsewhere than they send from.
    force: `record` may replace a file.
    """

    audio: str = "auto"
    input: str = ""
    output: str = ""
    record: str = ""
    session: str = ""
    osc_port: int = OSC_PORT
    http_port: int = HTTP_PORT
    patch: str = ""
    set: str = ""
    rate: int = DEFAULT_RATE
    block: int = DEFAULT_BLOCK
    channels: int = 2
    ahead: int = 0
    surface: tuple[str, ...] = ()
    lan: bool = False
    allow: tuple[str, ...] = ()
    fifo: bool = False
    mute_input: bool = False
    device: str = "auto"
    synth: str = "auto"
    synth_options: dict[str, str] = field(default_factory=dict)
    mqtt_url: str = field(default="", repr=False)
    midi: bool = False
    midi_in: tuple[str, ...] = ()
    midi_out: tuple[str, ...] = ()
    force: bool = False
    extra: dict[str, Any] = field(default_factory=dict)

    def check(self) -> ServeSettings:
        """Itself, or `UsageError` with what is allowed."""
        if self.audio not in AUDIO:
            raise UsageError(f"--audio takes {', '.join(AUDIO)}, not {self.audio!r}")
        if self.device not in DEVICES:
            raise UsageError(f"--device takes {', '.join(DEVICES)}, not {self.device!r}")
        if self.rate not in RATES:
            raise UsageError(f"--rate takes {', '.join(map(str, RATES))}, not {self.rate}")
        if not MIN_BLOCK <= self.block <= MAX_BLOCK:
            raise UsageError(f"--block takes {MIN_BLOCK} to {MAX_BLOCK} frames, not {self.block}")
        if not 0 <= self.ahead <= 16:
            raise UsageError(f"--ahead takes 1 to 16 blocks (0 chooses), not {self.ahead}")
        for name, port in (("--osc-port", self.osc_port), ("--http-port", self.http_port)):
            if not 0 <= port <= 65535:
                raise UsageError(f"{name} takes 0 to 65535, not {port}")
        if self.set and self.patch:
            raise UsageError("--set and --patch exclude each other; a set names its patches itself")
        if self.osc_port and self.osc_port == self.http_port:
            raise UsageError("--osc-port and --http-port must differ; both want TCP")
        for surface in self.surface:
            surface_address(surface)
        for option, names in (("--midi-in", self.midi_in), ("--midi-out", self.midi_out)):
            if not all(name.strip() for name in names):
                raise UsageError(f"{option} takes a part of a port's name; antiphon devices lists them")
        return self

    @property
    def input_file(self) -> Path | None:
        """The input when it is a file, not a device."""
        if not self.input:
            return None
        path = Path(self.input)
        return path if os.path.exists(path) or path.suffix.lower() in FORMATS else None

    def with_(self, **changes: Any) -> ServeSettings:
        return replace(self, **changes)

    def to_json(self) -> str:
        """All but `mqtt_url`: this is written to files and to command lines."""
        return json.dumps({name: value for name, value in asdict(self).items() if name != "mqtt_url"})

    @staticmethod
    def from_json(text: str) -> ServeSettings:
        data = json.loads(text)
        for name in ("surface", "allow", "midi_in", "midi_out"):
            data[name] = tuple(data[name])
        return ServeSettings(**data)


def surface_address(text: str) -> tuple[str, int]:
    """("host", port) of "HOST:PORT"."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise UsageError(f"--surface takes HOST:PORT, for example 192.168.0.7:9000, not {text!r}")
    return host.strip("[]"), int(port)
