"""Sockets, shared memory and bells that the supervisor creates before it starts a child, and that outlive each."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from antiphon.kernel.engine.drivers.probe import Found
from antiphon.kernel.engine.shared import HeaderWord, MappingShape, Shared
from antiphon.kernel.errors import AntiphonError
from antiphon.kernel.io.capture_memory import CaptureMemory, CaptureShape
from antiphon.kernel.io.tap_memory import TapMemory, TapShape
from antiphon.kernel.runtime.console import say
from antiphon.kernel.runtime.platform import free_memory, make_bell
from antiphon.kernel.runtime.processes.child_process import socket_pair
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.kernel.workers import devices, zygote
from antiphon.kernel.workers.arena import Arena, Bells

Sockets = tuple[socket.socket, socket.socket, socket.socket]


@dataclass(frozen=True, slots=True)
class Parts:
    """Sockets, mappings and bells.

    `capture`: the last minutes of all nodes, from the engine to the recorder; None where memory is short. `performer`,
    `scripts`: with `--live`, the two ends of the socket between the performer and web.
    """

    settings: ServeSettings
    found: Found
    device: devices.Device
    sockets: Sockets
    shared: Shared
    arena: Arena  # memory in which engine and workers exchange hops
    bells: Bells
    bell: int  # by which the engine wakes control
    engine: socket.socket
    control: socket.socket
    recorder: socket.socket
    asking: socket.socket
    parent: socket.socket
    child: socket.socket
    weigher: socket.socket
    asking_weigher: socket.socket
    web: socket.socket
    answering_web: socket.socket
    taps: TapMemory
    capture: CaptureMemory | None
    performer: socket.socket | None
    scripts: socket.socket | None

    @staticmethod
    def make(settings: ServeSettings, found: Found, device: devices.Device, sockets: Sockets) -> Parts:
        """Creates all parts; `settings` must already have the ports, the rate and the block."""
        shared = Shared.create(MappingShape.of(settings.rate, settings.block, settings.channels))
        shared.words[HeaderWord.STRIPS] = settings.strip_ports
        bell = make_bell()
        engine, control = socket_pair()
        recorder, asking = socket_pair()
        parent, child = socket_pair()
        # a control that keeps dying before it reads must not block the supervisor on a full socket
        parent.setblocking(False)
        weigher, asking_weigher = socket_pair()
        web, answering_web = socket_pair()
        performer, scripts = socket_pair() if settings.live else (None, None)
        kept = CaptureShape.of(settings.rate, settings.block, free_memory())
        return Parts(
            settings, found, device, sockets, shared, Arena.create(zygote.HANG), Bells.make(), bell,
            engine, control, recorder, asking, parent, child, weigher, asking_weigher, web, answering_web,
            TapMemory.create(TapShape.for_audio(settings.rate, settings.block, settings.channels)),
            CaptureMemory.create(kept) if kept else None, performer, scripts,
        )  # fmt: skip


class SupervisorFaults:
    """The error count of one supervisor, `supervisor_faults` in the status."""

    def __init__(self, words: memoryview) -> None:
        self._words, self._last_text = words, ""

    def add(self, text: str) -> None:
        """Counts an error, and prints its text unless it is the same as the last one's."""
        self._words[HeaderWord.SUPERVISOR_FAULTS] += 1
        if text != self._last_text:
            say(text)
        self._last_text = text

    def clear(self) -> None:
        """Forgets the last text, so that the same error is printed again when it recurs."""
        self._last_text = ""


def cause_line(error: Exception) -> str:
    """The cause as one line of text, without a traceback."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) if isinstance(error, AntiphonError) else f"{type(error).__name__}: {error}"
