"""Settings of `serve`: one frozen value, handed to every process as JSON."""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

from antiphon.kernel.errors import PluginError, UsageError
from antiphon.kernel.runtime.arguments import argument, check
from antiphon.kernel.runtime.console import LOG_LEVELS
from antiphon.kernel.runtime.ports import HTTP_PORT as HTTP_PORT, OSC_PORT as OSC_PORT
from antiphon.kernel.runtime.sound_formats import READ_SUFFIXES
from antiphon.kernel.runtime.terms import spell

RATES = (44100, 48000, 96000)
"""Allowed sample rates, frames per second."""
MIN_BLOCK, MAX_BLOCK = 32, 2048
"""Minimum and maximum frames of a block: the range that sound cards and JACK offer."""
RUN_BLOCK = 1024
"""Default frames of a block of `antiphon run`: latency does not matter for files, and longer blocks cost less."""


T = TypeVar("T", str, int, float, bool, tuple[str, ...])


@dataclass(frozen=True, slots=True)
class ServeOption(Generic[T]):
    """An option of `serve` that a synth backend or a transport adds. `ServeSettings.value` returns its value.

    Args:
        name: Its name on the command line, without the dashes: small letters, digits and "-".
        doc: For `antiphon serve --help`.
        default: The value where it was not given. Its type is that of the option: text, a whole number, a number, a
            flag (False), or texts of an option that may be repeated (a tuple).
        envvar: The environment variable that gives the value where the command line does not; "" for none. The
            processes of the server do not inherit it.
        secret: The value may hold a password: it is left out of files that other users of the machine may read.

    Raises:
        PluginError: The name is malformed.
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
DEFAULT_RATE, DEFAULT_BLOCK = 48000, 256
MAX_CHANNELS = 16
"""Maximum output channels."""
RECORD_LIMIT = 20.0
"""Default maximum size of a recording in GB: 19 hours in stereo at 48 kHz."""
MAX_DRAIN = 3600.0
"""Maximum seconds of `--drain`."""
_AUTHORITY = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    """Options of `antiphon serve`, and other data that its processes share."""

    audio: Annotated[str, argument("auto, portaudio, jack or headless (a software clock).", choices=AUDIO)] = "auto"
    input: Annotated[str, argument("A sound file to loop, or an input device's name.")] = ""
    output: Annotated[str, argument("An output device's name.")] = ""
    out_channels: Annotated[int, argument("Channels of the output device, 2 to 16, in pairs.")] = 2
    cue: Annotated[str, argument("Channels that play the cue, such as 3-4.", "PAIR")] = ""
    strip_ports: Annotated[bool, argument("Play each strip at JACK ports of its own, for a studio.")] = False
    headphones: Annotated[
        bool,
        argument("No microphone picks up the output: put neither echo_cancel nor howl_guard in front of the input."),
    ] = False
    record: Annotated[str, argument("Record the output to this file (wav, flac, ogg, mp3).")] = ""
    session: Annotated[str, argument("Record the whole set in this folder, for `antiphon replay`.")] = ""
    record_tracks: Annotated[
        str, argument("Record each strip, the input and the output to files in this folder.", "DIR")
    ] = ""
    record_limit: Annotated[
        float, argument("End a recording, complete, at this size, or when a tenth of the disk is left.", "GB")
    ] = RECORD_LIMIT
    log: Annotated[str, argument("Append the log to this file: 10 MB, and five older ones, FILE.1 to .5.", "FILE")] = ""
    log_level: Annotated[
        str, argument("The least that is logged: debug, info, warning or error.", choices=LOG_LEVELS)
    ] = "info"
    osc_port: Annotated[
        int,
        argument("UDP and TCP port for OSC; 0 takes a free one.", "PORT", low=0, high=65535, flags="--osc-port --port"),
    ] = OSC_PORT
    http_port: Annotated[int, argument("TCP port for HTTP; 0 takes a free one.", low=0, high=65535)] = HTTP_PORT
    patch: Annotated[str, argument("A patch file, or the name of a built-in or own patch.", names="patches")] = ""
    set: Annotated[str, argument("A set list: several patches, and pedals to go through them.", names="sets")] = ""
    rate: Annotated[int, argument("Sample rate: 44100, 48000 or 96000.", choices=RATES)] = DEFAULT_RATE
    block: Annotated[int, argument("Frames in a block, 32 to 2048.", low=MIN_BLOCK, high=MAX_BLOCK, unit="frames")] = (
        DEFAULT_BLOCK
    )
    ahead: Annotated[
        int,
        argument(
            "Blocks between input and output, 1 to 16; 0 measures the machine.",
            low=1,
            high=16,
            unit="blocks (0 chooses)",
        ),
    ] = 0
    surface: Annotated[tuple[str, ...], argument("HOST:PORT of a control surface that listens there; repeatable.")] = ()
    lan: Annotated[bool, argument("Answer the local network too; new addresses need approval.")] = False
    announce: Annotated[
        str, argument("With --lan, where Zeroconf announces it: all, none, or one interface's IPv4 address.")
    ] = "all"
    allow: Annotated[tuple[str, ...], argument("An IP address approved from the start; repeatable.")] = ()
    proxy: Annotated[
        tuple[str, ...],
        argument(
            "A name under which a reverse proxy, which has the TLS, asks this server: HTTP on every address, and all "
            "needs the token; repeatable.",
            envvar="ANTIPHON_PROXY",
        ),
    ] = ()
    token_file: Annotated[
        str, argument("A file with the token to use, 32 hexadecimal digits.", envvar="ANTIPHON_TOKEN_FILE")
    ] = ""
    drain: Annotated[
        float,
        argument(
            "Seconds for requests and jobs to finish at the end.",
            low=0,
            high=MAX_DRAIN,
            unit="seconds",
            envvar="ANTIPHON_DRAIN",
        ),
    ] = 0.0
    fifo: Annotated[bool, argument("Real-time scheduling for the engine, where permitted.")] = False
    device: Annotated[
        str, argument("What models run on: auto (a GPU where there is one), cpu or cuda.", choices=DEVICES)
    ] = "auto"
    synth: Annotated[str, argument("The synth for notes: SYNTHS; null records them.")] = "auto"
    live: Annotated[bool, argument("Take live scripts by /live/eval, with the token, for `antiphon live`.")] = False
    mute_input: Annotated[
        bool, argument("Start with the input muted; /node/in/mute 0 unmutes it.", flags="--muted")
    ] = False
    no_watch_plugins: Annotated[bool, argument("Use plugins of yours as they are at the start, saved or not.")] = False
    force: Annotated[bool, argument("Let --record, --record-tracks replace existing files.")] = False
    channels: int = 2
    options: dict[str, Any] = field(default_factory=dict)
    """Values of given options that synth backends and transports add, by the option's name."""
    secrets: dict[str, Any] = field(default_factory=dict, repr=False)
    """Like `options`, for options that may hold a password: `repr` and `to_json` leave them out."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Values without an option of their own: "jack_name" of the JACK client; "web" False where none serves HTTP;
    "opens" True where an input that starts muted is unmuted behind a canceller; "record_last" seconds of `record` that
    are kept.
    """

    def check(self) -> ServeSettings:
        """Checks the options against each other and against what is allowed.

        Raises UsageError: an option has a value that is not allowed; the message says what is.
        """
        if self.out_channels not in range(2, MAX_CHANNELS + 1, 2):
            raise UsageError(f"{spell('out_channels')} takes 2 to {MAX_CHANNELS}, in pairs, not {self.out_channels}")
        check_cue(self.cue)
        check(self)
        if not 0.0 < self.record_limit < 1e6:
            raise UsageError(f"{spell('record_limit')} takes a number of GB above 0, not {self.record_limit:g}")
        if self.set and self.patch:
            raise UsageError(f"{spell('set')} and {spell('patch')} exclude each other; a set names its patches itself")
        if self.osc_port and self.osc_port == self.http_port:
            raise UsageError(f"{spell('osc_port')} and {spell('http_port')} must differ; both want TCP")
        for surface in self.surface:
            surface_address(surface)
        _check_announce(self)
        if self.proxy and self.lan:
            raise UsageError(
                f"{spell('proxy')} and {spell('lan')} exclude each other; with {spell('proxy')} the TLS is the proxy's"
            )
        for name in self.proxy:
            if not _AUTHORITY.fullmatch(name):
                raise UsageError(
                    f"{spell('proxy')} takes a host's name as clients write it, HOST or HOST:PORT, not {name!r}"
                )
        return self

    @property
    def local(self) -> bool:
        """Whether HTTP is served only to this machine, without a proxy in front of it."""
        return not (self.lan or self.proxy)

    @property
    def input_file(self) -> Path | None:
        """The input's path, if it is a file and not a device; else None."""
        if not self.input:
            return None
        path = Path(self.input)
        return path if os.path.exists(path) or path.suffix.lower() in READ_SUFFIXES else None

    def value(self, option: ServeOption[T]) -> T:
        """Returns the value of an option that a plugin added."""
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
        """Unpacks the result of `to_json`.

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
        raise UsageError(
            f"{spell('announce')} takes all, none or an IPv4 address of this machine, not {settings.announce!r}"
        )
    if not settings.lan:
        raise UsageError(f"{spell('announce')} is about the network of {spell('lan')}; give that too")


def check_cue(cue: str) -> None:
    """Raises UsageError unless `cue` is "" or a pair of channels."""
    pairs = [f"{first}-{first + 1}" for first in range(3, MAX_CHANNELS, 2)]
    if cue and cue not in pairs:
        raise UsageError(f"{spell('cue')} takes a pair of channels, {pairs[0]} to {pairs[-1]}, not {cue!r}")


def surface_address(text: str) -> tuple[str, int]:
    """(host, port) of "HOST:PORT"; a UsageError for a text of another form."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise UsageError(f"{spell('surface')} takes HOST:PORT, for example 192.168.0.7:9000, not {text!r}")
    return host.strip("[]"), int(port)
