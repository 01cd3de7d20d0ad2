"""MIDI ports: scanned periodically and opened by name; reports for `antiphon doctor` and `antiphon devices`.

The backend is mido's: `MIDO_BACKEND` names it as for any mido program. `mido.backends.rtmidi`, the default, is the
system's MIDI, and JACK's if Linux has no ALSA sequencer; `…/UNIX_JACK` or `…/LINUX_ALSA` forces one. Libraries are
imported when a backend is created, not earlier.
"""

import importlib.util
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from antiphon.api import AntiphonError, EngineError, UsageError
from antiphon.api.backends.runtime import Finding, ServeOption, make_bell
from antiphon.api.backends.transports import ServeSettings

NO_PORTS: tuple[str, ...] = ()
MIDI = ServeOption("midi", "Offer a MIDI input named antiphon, and listen to every MIDI port there.", default=False)
MIDI_IN = ServeOption("midi-in", "Listen to MIDI ports with this in their name only; repeatable.", NO_PORTS)
MPE = ServeOption("mpe", "MIDI ports are MPE controllers, before they say so themselves.", default=False)
MIDI_OUT = ServeOption("midi-out", "Play to MIDI ports with this in their name; repeatable.", NO_PORTS)
MIDI_CLOCK = ServeOption(
    "midi-clock", "follow: take tempo and beat from a MIDI clock. lead: send one to --midi-out.", ""
)
CLOCKS = ("", "follow", "lead")


RTMIDI = "mido.backends.rtmidi"
SEQUENCER = "/dev/snd/seq"
VIRTUAL = "antiphon"
APIS = ("LINUX_ALSA", "UNIX_JACK", "MACOSX_CORE", "WINDOWS_MM")
_NUMBERS = re.compile(r" \d+:\d+$")


class Backend(Protocol):
    """MIDI ports of a system. Only the event loop's thread may call `take` and `send`, and only one other the rest."""

    name: str
    dated: bool
    """True if it can send messages with a future timestamp."""

    @property
    def drop_count(self) -> int:
        """Number of messages dropped because a buffer was full."""

    def inputs(self) -> list[str]:
        """Names of the existing input ports. Raises OSError: the MIDI system has ended."""

    def outputs(self) -> list[str]: ...
    def open_input(self, name: str) -> None:
        """Opens an input port. Raises OSError: it fails."""

    def open_output(self, name: str) -> None: ...
    def hold(self, name: str) -> bool:
        """Reconnects an open port whose other end was gone; returns True if it had to."""

    def close_input(self, name: str) -> None: ...
    def close_output(self, name: str) -> None: ...
    def close(self) -> None: ...
    def take(self, most: int) -> Iterator[tuple[str, int, bytes]]:
        """Removes and yields arrived messages: (port, ns of CLOCK_MONOTONIC, bytes)."""

    def send(self, name: str, message: bytes, ns: int = 0) -> None:
        """Sends a message of at most three bytes; if `dated`, at `ns` of CLOCK_MONOTONIC, 0 for at once.

        Timestamped messages are sent in the order of the calls.
        """


Make = Callable[[str, int, str], Backend]


def check_mido_backend() -> None:
    """Raises UsageError if MIDO_BACKEND is unknown."""
    module, _, api = os.environ.get("MIDO_BACKEND", RTMIDI).partition("/")
    if module == RTMIDI and api not in ("", *APIS):
        raise UsageError(f"MIDO_BACKEND takes {RTMIDI}/API with API one of {', '.join(APIS)}, not {api!r}")


def make_backend(client: str, bell: int, virtual: str) -> Backend:
    """Creates the backend set in the environment. Raises `EngineError`: it is unavailable.

    `client`: our name. `bell`: signals arrivals. `virtual`: name of a public input, "" for none.
    """
    module, _, api = (os.environ.get("MIDO_BACKEND") or RTMIDI).partition("/")
    if module == RTMIDI and not api and sys.platform == "linux" and not os.access(SEQUENCER, os.R_OK | os.W_OK):
        api = "UNIX_JACK"
    if module == RTMIDI and api == "UNIX_JACK":
        from antiphon_midi.jack import JackMidi

        try:
            return JackMidi(client, bell, virtual)
        except EngineError as error:
            if os.environ.get("MIDO_BACKEND"):
                raise
            raise EngineError(f"no MIDI port can be opened: there is no {SEQUENCER} (ALSA), and {error}") from error
    from antiphon_midi.libraries import Mido, RtMidi

    try:
        return RtMidi(client, bell, virtual, api) if module == RTMIDI else Mido(module, api, bell, virtual)
    except ImportError as error:
        raise EngineError(f"MIDI needs {error.name}, which cannot be imported: {error}") from error
    except Exception as error:
        # rtmidi and mido's backends raise classes of their own
        raise EngineError(f"MIDI by {module}{'/' * bool(api)}{api} cannot be had: {error}") from error


@dataclass(slots=True)
class PortChanges:
    """Ports opened and closed since the last scan, by stable names; a reconnected port is in both."""

    opened: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    outputs_opened: list[str] = field(default_factory=list)


class Ports:
    """Open ports. One thread may call `look`, the event loop's thread `take` and `send`.

    virtual: whether to offer a public input named `antiphon`, and to open every port.  inputs, outputs: wanted parts of
    port names, case-insensitive; inputs restrict the ports opened by `virtual`.
    """

    def __init__(
        self,
        client: str,
        *,
        virtual: bool,
        inputs: Sequence[str] = (),
        outputs: Sequence[str] = (),
        make: Make = make_backend,
    ) -> None:
        self._client, self._virtual, self._make = client, virtual, make
        self._wanted_in, self._wanted_out = tuple(inputs), tuple(outputs)
        self.bell = make_bell(inherited=False)
        self.backend: Backend | None = None
        self.inputs: dict[str, str] = {}
        self.outputs: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._lost = 0
        self.trouble = ""

    @property
    def drop_count(self) -> int:
        return self._lost + (self.backend.drop_count if self.backend is not None else 0)

    def look(self) -> PortChanges:
        """Scans the ports: opens new ones, closes vanished ones. Never raises; `trouble` names failures."""
        changes = PortChanges()
        self.trouble = ""
        try:
            self._look(changes)
        except EngineError as error:
            asked = ", ".join((*self._wanted_in, *self._wanted_out))
            self.trouble = f"{asked}: {error}" if asked else str(error)
        except OSError:
            for plain in list(self.inputs):
                self._closed(changes, plain)
            self.outputs.clear()
            self.trouble = "the MIDI system has gone; it is looked for once a second"
            if self.backend is not None:
                self._lost += self.backend.drop_count
                backend, self.backend = self.backend, None
                backend.close()
        return changes

    def _look(self, changes: PortChanges) -> None:
        if self.backend is None:
            self.backend = self._make(self._client, self.bell, VIRTUAL if self._virtual else "")
            if self._virtual:
                self._open(changes, VIRTUAL, VIRTUAL)
        backend = self.backend
        sources, sinks = stable(backend.inputs()), stable(backend.outputs())
        here = {
            plain: name
            for name, plain in sources.items()
            if (self._virtual and not self._wanted_in) or _contains_any(name, self._wanted_in)
        }
        for plain, name in list(self.inputs.items()):
            if (plain, name) == (VIRTUAL, VIRTUAL):
                continue
            if here.get(plain) != name:
                backend.close_input(name)
                self._closed(changes, plain)
            elif backend.hold(name):
                changes.closed.append(plain)
                changes.opened.append(plain)
        for plain, name in here.items():
            if plain not in self.inputs and self._open_port(backend.open_input, name):
                self._open(changes, plain, name)
        self._look_out(
            backend, changes, {p: name for name, p in sinks.items() if _contains_any(name, self._wanted_out)}
        )
        for side, wanted, there in (("input", self._wanted_in, sources), ("output", self._wanted_out, sinks)):
            for part in wanted:
                if not any(_contains_any(name, (part,)) for name in there):
                    known = ", ".join(there.values()) or "none"
                    self.trouble = f"there is no MIDI {side} like {part!r} now; there are: {known}"

    def _look_out(self, backend: Backend, changes: PortChanges, here: dict[str, str]) -> None:
        for plain, name in list(self.outputs.items()):
            if here.get(plain) != name:
                backend.close_output(name)
                del self.outputs[plain]
            else:
                backend.hold(name)
        for plain, name in here.items():
            if plain not in self.outputs and self._open_port(backend.open_output, name):
                self.outputs[plain] = name
                changes.outputs_opened.append(plain)

    def _open_port(self, opening: Callable[[str], None], name: str) -> bool:
        """Opens a port; if that fails, as for a port just removed or in exclusive use, the next scan retries."""
        try:
            opening(name)
        except OSError as error:
            self.trouble = f"the MIDI port {name} could not be opened: {error}"
            return False
        return True

    def _open(self, changes: PortChanges, plain: str, name: str) -> None:
        self._names[name] = plain
        self.inputs[plain] = name
        changes.opened.append(plain)

    def _closed(self, changes: PortChanges, plain: str) -> None:
        self._names.pop(self.inputs.pop(plain), None)
        changes.closed.append(plain)

    def take(self, most: int) -> list[tuple[str, int, bytes]]:
        """Removes and returns at most `most` received messages: (port, ns of CLOCK_MONOTONIC, bytes)."""
        if self.backend is None:
            return []
        return [(self._names.get(name, name), ns, data) for name, ns, data in self.backend.take(most)]

    @property
    def dated(self) -> bool:
        """True if `send` supports timestamps."""
        return self.backend is not None and self.backend.dated

    def send(self, message: bytes, but: str = "", *, only: str = "", ns: int = 0) -> None:
        """Sends a message of at most three bytes to every open output except `but`, or to `only`.

        `ns`: timestamp of CLOCK_MONOTONIC if the backend is `dated`; 0 is at once.
        """
        if self.backend is not None:
            for plain, name in list(self.outputs.items()):
                if plain != but and only in ("", plain):
                    self.backend.send(name, message, ns)

    def close(self) -> None:
        if self.backend is not None:
            self.backend.close()
            self.backend = None
        os.close(self.bell)


def ports_of(settings: ServeSettings) -> Ports:
    """Ports requested by `serve --midi`, `--midi-in` and `--midi-out`, not opened yet."""
    client = f"{settings.extra.get('jack_name', 'antiphon')}-midi"
    given = settings.value
    return Ports(client, virtual=given(MIDI), inputs=given(MIDI_IN), outputs=given(MIDI_OUT))


def _contains_any(name: str, parts: Sequence[str]) -> bool:
    return any(part.casefold() in name.casefold() for part in parts)


def stable(names: Sequence[str]) -> dict[str, str]:
    """Maps the backend's names to unique names that are kept across reconnections.

    ALSA appends changing numbers to a name; the second of two equal names becomes `NAME (2)`.
    """
    result: dict[str, str] = {}
    for name in names:
        plain = base = _NUMBERS.sub("", name)
        count = 1
        while plain in result.values():
            count += 1
            plain = f"{base} ({count})"
        result[name] = plain
    return result


@dataclass(frozen=True, slots=True)
class MidiReport:
    """State of a MIDI system."""

    system: str = ""  # its name, "" without one
    problem: str = ""  # why there is none
    sources: tuple[str, ...] = ()
    sinks: tuple[str, ...] = ()


def ask() -> MidiReport:
    """Returns the MIDI system and the ports that `serve --midi` would use now, or the problem."""
    bell = make_bell(inherited=False)
    try:
        backend = make_backend("antiphon-devices", bell, "")
        try:
            return MidiReport(backend.name, "", tuple(backend.inputs()), tuple(backend.outputs()))
        finally:
            backend.close()
    except (AntiphonError, OSError) as error:
        return MidiReport(problem=str(error))
    finally:
        os.close(bell)


def checks() -> Iterator[Finding]:
    """Yields findings on MIDI, which only `serve --midi` needs."""
    report = ask()
    if report.system:
        text = f"{report.system}, {len(report.sources)} ports to listen to, {len(report.sinks)} to play to"
        yield Finding("MIDI", "works", text)
    else:
        yield Finding("MIDI", "missing", f"none for serve --midi: {report.problem}")
    if importlib.util.find_spec("rtmidi") is None:
        text = "python-rtmidi is not installed: MIDI works through JACK alone"
        yield Finding("python-rtmidi", "limited", text, "pip install python-rtmidi (it has wheels up to Python 3.12)")


def listing(report: MidiReport) -> Iterator[str]:
    """Yields lines of text, as printed by `antiphon devices`."""
    if not report.system:
        yield f"MIDI: {report.problem}"
        return
    yield f"MIDI, {report.system}, for --midi-in and --midi-out"
    for title, names in (("in", report.sources), ("out", report.sinks)):
        for name in names:
            yield f"    {title:<4}{name}"
    if not report.sources and not report.sinks:
        yield "    no port; serve --midi offers one named antiphon"
