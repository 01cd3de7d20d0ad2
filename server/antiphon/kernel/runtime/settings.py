"""Settings of `serve`: one frozen value, handed to every process as JSON."""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from antiphon.kernel.errors import PluginError, UsageError
from antiphon.kernel.runtime.sound_formats import READ_SUFFIXES

RATES = (44100, 48000, 96000)
"""Frames per second."""
MIN_BLOCK, MAX_BLOCK = 32, 2048
"""Frames of a block: what sound cards and JACK offer, at the least and at the most."""
RUN_BLOCK = 1024
"""Frames of a block of `antiphon run` by default: files have no latency to keep short, and longer ones cost less."""


T = TypeVar("T", str, int, float, bool, tuple[str, ...])


@dataclass(frozen=True, slots=True)
class ServeOption(Generic[T]):
    """An option of `serve` that a synth backend or a transport adds. `ServeSettings.value` gives what was asked for.

    Args:
        name: As it is spelled on the command line, without the dashes: small letters, digits and "-".
        doc: For `antiphon serve --help`.
        default: The value where it was not given. Its type is that of the option: text, a whole number, a number, a
            flag (False), or texts of an option that may be repeated (a tuple).
        envvar: The environment variable that gives the value where the command line does not; "" for none. The
            processes of the server do not inherit it.
        secret: The value may hold a password: it is left out of files that other users of the machine may read.

    Raises:
        PluginError: The name cannot be spelled so.
    """

    name: str
    doc: str
    default: T = ""  # type: ignore[assignment]
    envvar: str = ""
    secret: bool = False

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", self.name):
            raise PluginError(f"an option of serve is named by small letters, digits and -, not {self.name!r}")


DEVICES = ("auto", "cpu", "cuda")
AUDIO = ("auto", "portaudio", "jack", "headless")
OSC_PORT = 4400
"""The port of OSC unless another is asked for."""
HTTP_PORT = 4401
DEFAULT_RATE, DEFAULT_BLOCK = 48000, 256
MAX_CHANNELS = 16
"""Output channels, at most."""
RECORD_LIMIT = 20.0
"""Default maximum size of a recording in GB: 19 hours in stereo at 48 kHz."""
MAX_DRAIN = 3600.0
"""Seconds of `--drain`, at most."""
_AUTHORITY = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    """Options of `antiphon serve`, by the names they have on the command line unless said otherwise.

    Attributes:
        audio: The driver: "auto", "portaudio", "jack" or "headless" (a software clock, no device).
        input: A sound file that is looped, or part of an input device's name; "" for the default device.
        output: Part of an output device's name; "" for the default device.
        out_channels: Channels of the output device, 2 to 16, in pairs.
        cue: The pair of them that plays the cue, such as "3-4"; "" for none.
        strip_ports: Whether each strip has JACK ports of its own.
        record: The sound file that the output is recorded to, or "".
        record_limit: GB (10^9 bytes) at which a recording ends, above 0.
        session: The folder that the whole set is kept in, for `antiphon replay`; or "".
        record_tracks: The folder that the set is recorded in as tracks; or "".
        osc_port: UDP and TCP port for OSC, 0 to 65535; 0 takes a free one.
        http_port: TCP port for HTTP, 0 to 65535, another than `osc_port`; 0 takes a free one.
        patch: A patch file, or a patch's name; "" for the default patch.
        set: A set list, which names its patches itself, in place of `patch`; or "".
        rate: Frames per second: 44100, 48000 or 96000. In a running server what the driver runs at, as for `block`.
        block: Frames of a block, 32 to 2048.
        ahead: Blocks between input and output, 1 to 16; 0 chooses by `block` and by how late the machine wakes.
        surface: "HOST:PORT" of control surfaces that receive at another port than they send from (`--surface`).
        announce: With `lan`, where the server is announced by Zeroconf: "all" interfaces, "none", or the one with
            this IPv4 address.
        proxy: Names under which a reverse proxy, which has the TLS, forwards requests; with any, HTTP listens on every
            address, and all but `/api/health` needs the token.
        drain: Seconds that requests and jobs have to finish at the end, 0 to 3600.
        headphones: No microphone hears what is played: nothing is put in front of the input to take it out.
        mute_input: The input is muted at the start (`--muted`).
        device: What models run on: "auto" (a GPU where there is one), "cpu" or "cuda".
        synth: Name of the backend that plays notes, or "auto".
        options: Values of the options that synth backends and transports add, by the option's name, of those given.
        secrets: As `options`, of those that may hold a password: `repr` and `to_json` leave them out.
        force: `record` may replace a file, and `record_tracks` those in its folder, but no set.
        live: `/live/eval` is taken, with the token.
        watch_plugins: The performer's plugins are watched, and a saved one is used from the next bar on.
        extra: Values without an option of their own, by name: "jack_name" of the JACK client; "web" False where no
            process serves HTTP.
    """

    audio: str = "auto"
    input: str = ""
    output: str = ""
    out_channels: int = 2
    cue: str = ""
    strip_ports: bool = False
    record: str = ""
    record_limit: float = RECORD_LIMIT
    session: str = ""
    record_tracks: str = ""
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
    announce: str = "all"
    allow: tuple[str, ...] = ()
    proxy: tuple[str, ...] = ()
    drain: float = 0.0
    fifo: bool = False
    headphones: bool = False
    mute_input: bool = False
    device: str = "auto"
    synth: str = "auto"
    options: dict[str, Any] = field(default_factory=dict)
    secrets: dict[str, Any] = field(default_factory=dict, repr=False)
    force: bool = False
    live: bool = False
    watch_plugins: bool = True
    extra: dict[str, Any] = field(default_factory=dict)

    def check(self) -> ServeSettings:
        """Checks the options against each other and against what is allowed.

        Raises UsageError: an option has a value that is not allowed; the message says what is.
        """
        if self.audio not in AUDIO:
            raise UsageError(f"--audio takes {', '.join(AUDIO)}, not {self.audio!r}")
        if self.device not in DEVICES:
            raise UsageError(f"--device takes {', '.join(DEVICES)}, not {self.device!r}")
        if self.rate not in RATES:
            raise UsageError(f"--rate takes {', '.join(map(str, RATES))}, not {self.rate}")
        if not MIN_BLOCK <= self.block <= MAX_BLOCK:
            raise UsageError(f"--block takes {MIN_BLOCK} to {MAX_BLOCK} frames, not {self.block}")
        if self.out_channels not in range(2, MAX_CHANNELS + 1, 2):
            raise UsageError(f"--out-channels takes 2 to {MAX_CHANNELS}, in pairs, not {self.out_channels}")
        check_cue(self.cue)
        if not 0 <= self.ahead <= 16:
            raise UsageError(f"--ahead takes 1 to 16 blocks (0 chooses), not {self.ahead}")
        for name, port in (("--osc-port", self.osc_port), ("--http-port", self.http_port)):
            if not 0 <= port <= 65535:
                raise UsageError(f"{name} takes 0 to 65535, not {port}")
        if not 0.0 < self.record_limit < 1e6:
            raise UsageError(f"--record-limit takes a number of GB above 0, not {self.record_limit:g}")
        if self.set and self.patch:
            raise UsageError("--set and --patch exclude each other; a set names its patches itself")
        if self.osc_port and self.osc_port == self.http_port:
            raise UsageError("--osc-port and --http-port must differ; both want TCP")
        for surface in self.surface:
            surface_address(surface)
        _check_announce(self)
        _check_proxy(self)
        return self

    @property
    def local(self) -> bool:
        """Whether HTTP is served to this machine alone, without a proxy before it."""
        return not (self.lan or self.proxy)

    @property
    def input_file(self) -> Path | None:
        """The input's path, where it is a file and not a device; else None."""
        if not self.input:
            return None
        path = Path(self.input)
        return path if os.path.exists(path) or path.suffix.lower() in READ_SUFFIXES else None

    def value(self, option: ServeOption[T]) -> T:
        """Gives the value of an option that a plugin added."""
        value: T = (self.secrets if option.secret else self.options).get(option.name, option.default)
        return value

    def with_(self, **changes: Any) -> ServeSettings:
        """Copies the settings with other values. They are not checked."""
        return replace(self, **changes)

    def to_json(self) -> str:
        """Packs the settings for files and command lines, which other users may read: without `secrets`."""
        return json.dumps({name: value for name, value in asdict(self).items() if name != "secrets"})

    @staticmethod
    def from_json(text: str) -> ServeSettings:
        """Unpacks what `to_json` gave.

        Returns the settings, without `secrets`. Raises KeyError, TypeError, ValueError: the text is not that of this
        version's settings.
        """
        data = json.loads(text)
        for name in ("surface", "allow", "proxy"):
            data[name] = tuple(data[name])
        lists = {name: tuple(value) for name, value in data["options"].items() if isinstance(value, list)}
        data["options"].update(lists)
        return ServeSettings(**data)


def device_name(settings: ServeSettings, driver: str) -> str:
    """A device's name, as `/audio/device` takes it."""
    if driver == "jack" and (server := settings.extra.get("jack_server")):
        return f"jack:{server}"
    return (driver == "portaudio" and settings.output) or driver


def _check_announce(settings: ServeSettings) -> None:
    if settings.announce in ("all", "none"):
        return
    if not re.fullmatch(r"\d{1,3}(\.\d{1,3}){3}", settings.announce):
        raise UsageError(f"--announce takes all, none or an IPv4 address of this machine, not {settings.announce!r}")
    if not settings.lan:
        raise UsageError("--announce is about the network of --lan; give that too")


def _check_proxy(settings: ServeSettings) -> None:
    if settings.proxy and settings.lan:
        raise UsageError("--proxy and --lan exclude each other; with --proxy the TLS is the proxy's")
    for name in settings.proxy:
        if not _AUTHORITY.fullmatch(name):
            raise UsageError(f"--proxy takes a host's name as clients write it, HOST or HOST:PORT, not {name!r}")
    if not 0.0 <= settings.drain <= MAX_DRAIN:
        raise UsageError(f"--drain takes 0 to {MAX_DRAIN:g} seconds, not {settings.drain:g}")


def check_cue(cue: str) -> None:
    """Raises UsageError unless `cue` is "" or a pair of channels."""
    pairs = [f"{first}-{first + 1}" for first in range(3, MAX_CHANNELS, 2)]
    if cue and cue not in pairs:
        raise UsageError(f"--cue takes a pair of channels, {pairs[0]} to {pairs[-1]}, not {cue!r}")


def surface_address(text: str) -> tuple[str, int]:
    """(host, port) of "HOST:PORT"; a UsageError for a text of another form."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise UsageError(f"--surface takes HOST:PORT, for example 192.168.0.7:9000, not {text!r}")
    return host.strip("[]"), int(port)
