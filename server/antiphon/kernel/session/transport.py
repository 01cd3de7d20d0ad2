"""Transports: the base class, and the interface of the server they run in.

A transport carries commands from an external source into the server, and values and notes out of it: MIDI and MQTT are
two. A plugin registers one by the hook `antiphon_transports`. Control starts it only if the settings ask for it.

    class Wire(Transport):
        def start(self, server: TransportServer) -> None:
            server.on_value(lambda address, value: print(address, value))
            server.command(SetParam("echo", "feedback", 0.5), "wire")
"""

import re
from collections.abc import Awaitable, Iterable, Mapping
from typing import Any, ClassVar

from antiphon.kernel.contract.finding import Finding
from antiphon.kernel.contract.params import Param
from antiphon.kernel.errors import RequestError
from antiphon.kernel.runtime.settings import ServeOption, ServeSettings
from antiphon.kernel.session.transport_server import TransportServer

BUTTONS = (
    "/set/next",
    "/set/previous",
    "/patch/undo",
    "/patch/redo",
    "/transport/play",
    "/transport/stop",
    "/transport/wait",
    "/panic",
)
"""Addresses a controller button may trigger: complete actions without an argument."""
CUE, CAPTURE = "/cue", "/capture"
"""Addresses a controller button may trigger with arguments: a target is "/cue NAME" or "/capture BARS [NODE]"."""
_WITH_ARGUMENTS = re.compile(r"/cue .+|/capture \d{1,4}( \S+)?")


class Transport:
    """Base class of transports. Methods default to no operation: a transport overrides the ones it needs.

    It is created without arguments: by the command line for `serve`, `doctor` and `devices`, and in the control
    process. Its module imports no library at the top, because these import it whether it is used or not; `start` may.
    `options`: the options that it adds to `serve`. It is started where at least one of them was given; without any,
    with a table, or if it says `always`, it always is.
    `table`: a table that it adds to patches, "NAME=MODULE:FUNCTION", or "". The function gets the table as TOML has it,
    and raises `Misfit` where it is not valid: whenever a patch with that table is read, whether the transport runs or
    not.
    """

    options: ClassVar[tuple[ServeOption[Any], ...]] = ()
    table: ClassVar[str] = ""
    always: ClassVar[bool] = False

    def check(self, settings: ServeSettings) -> None:
        """Checks the settings that ask for this transport: in the command line, before anything is started.

        Raises UsageError: an option has a value that the transport cannot use.
        """

    def unasked(self) -> Mapping[str, Any]:
        """Options that `antiphon play` adds by itself, with their values; none takes anything from another program."""
        return {}

    def secrets(self, settings: ServeSettings) -> Iterable[tuple[str, str]]:
        """Command-line arguments that are overwritten in the process list, as passwords are."""
        return ()

    def findings(self) -> Iterable[Finding]:
        """Checks the machine for the transport's requirements, for `antiphon doctor`."""
        return ()

    def ports(self) -> tuple[object, Iterable[str]] | None:
        """Ports for `antiphon devices`, as data for JSON and as lines of text; None for a transport without any."""
        return None

    def start(self, server: TransportServer) -> Awaitable[None] | None:
        """Starts the transport, in the control process, after `antiphon_startup`. May be async.

        An exception is logged, and the server runs without the transport.
        """

    def stop(self) -> Awaitable[None] | None:
        """Stops the transport, before `antiphon_shutdown`. May be async; an exception is logged."""


def is_wanted(options: Iterable[str], settings: ServeSettings) -> bool:
    """True if the settings ask for a transport with options of these names."""
    names = tuple(options)
    return not names or any(settings.options.get(name) or settings.secrets.get(name) for name in names)


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


NEAR, FAR = 0.15, 1.0
"""Shares of the beat error corrected per beat: of a small one, treated as noise, and from `WIDE_ERROR` on."""
WIDE_ERROR = 0.02
"""Beat error from which it is corrected at the share `FAR`."""
MAX_TEMPO_DEVIATION = 0.1
"""Maximum relative deviation from the other clock's tempo."""
LEAP = 0.25
"""Beat error beyond which the clock jumps: catching up would take seconds at a wrong tempo."""
RESOLUTION = 1e-4
"""Relative tempo difference below which two tempos are the same."""


def steered_tempo(bpm: float, away: float) -> float:
    """Bpm at which the clock converges to another, `away` beats ahead: within `MAX_TEMPO_DEVIATION` of `bpm`."""
    share = away * (NEAR + (FAR - NEAR) * min(1.0, (away / WIDE_ERROR) ** 2))
    return bpm * (1.0 + max(-MAX_TEMPO_DEVIATION, min(MAX_TEMPO_DEVIATION, share)))


def same_tempo(one: float, other: float) -> bool:
    """True if two tempos are the same within `RESOLUTION`."""
    return abs(one - other) < RESOLUTION * other
