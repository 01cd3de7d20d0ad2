"""MIDI input: watches ports, and converts their messages to commands.

A note is handled like a `/note/on`, `/cc` or `/bend` by OSC, with `midi:PORT` as its source. It sounds a block and a
millisecond after its arrival, independent of this process's load: at constant latency.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Any

from antiphon.api import PEDAL, AntiphonError
from antiphon.api.backends.runtime import hear
from antiphon.api.backends.transports import (
    NOW,
    Bend,
    Command,
    Control,
    EngineEffect,
    NoteOff,
    NoteOn,
    Panic,
    Sample,
    SetParam,
    TransportServer,
    When,
)
from antiphon_midi import messages as midi
from antiphon_midi.clock.follow import SLACK
from antiphon_midi.clock.lead import MidiClock
from antiphon_midi.devices.ports import PortChanges, Ports
from antiphon_midi.input.knobs import Knobs
from antiphon_midi.input.learn import NOTES, Knob
from antiphon_midi.input.mpe import MAX_NOTES, TIMBRE, HeldNotes, LastValues, PortVoice
from antiphon_midi.options import MPE
from antiphon_midi.output import MidiOut

log = logging.getLogger("antiphon.control")

POLL_SECONDS = 1.0
"""Seconds between port scans."""
TURN_SECONDS = 0.1
"""Seconds between calls of learn, output and clock."""
CLOSING = 1.0
"""Maximum seconds for a MIDI system to close its ports."""
SENSED = 0.35
"""Seconds of silence after which a port that sends active sensing counts as disconnected; the standard says 0.3."""
PER_TURN = 256
_MODES = 120
"""First of the channel mode controllers: all sound off, reset controllers, all notes off, …"""
SOUND_OFF, RESET_CONTROLLERS, LOCAL = 120, 121, 122


class MidiInput:
    """MIDI input of the server: converts its ports' messages to commands.

    `ports`: ports to read and to write; none need be open.
    """

    def __init__(self, server: TransportServer, ports: Ports) -> None:
        self._server = server
        self.ports = ports
        self.out = MidiOut(server, ports)
        self.received = 0
        self.refused = 0
        self._bounded = self._malformed = 0
        self._reason = ""
        self._voices: dict[str, PortVoice] = {}
        self._held = HeldNotes(server.file("notes.bin"))
        self._block = 0
        self.knobs = Knobs(server, self._try)
        self._members = MAX_NOTES if server.settings.value(MPE) else 0
        self._values = LastValues()
        self.clock = MidiClock(server, ports)  # the MIDI clock that is followed or led

    def install(self) -> None:
        """Opens MIDI with the server's start."""
        server = self._server
        server.on_effect(self._effect)
        server.on_note(self.out.played, lambda: self.out.echoed)
        server.status(self.status)
        server.learner(self.knobs)
        server.service(self._serve)
        self.clock.install()

    def status(self) -> dict[str, Any]:
        """The transport's part of `GET /api/status`."""
        ports, out = self.ports, self.out
        voices = self._voices.values()
        return {
            "ports": list(ports.inputs),
            "outputs": list(ports.outputs),
            "trouble": ports.trouble,
            "system": ports.backend.name if ports.backend is not None else "",
            "clock": self.clock.status(),
            "received": self.received,
            "sent": out.sent,
            "dropped": ports.dropped + out.dropped,
            "bounded": self._bounded + sum(v.parser.bounded for v in voices),
            "malformed": self._malformed + sum(v.parser.malformed for v in voices),
            "refused": self.refused,
            "reason": self._reason,
            "learning": self.knobs.learning,
        }

    # ---- life

    async def _serve(self) -> None:
        """Runs until cancelled. Failures of MIDI are logged and do not affect the sound."""
        loop, ports, out = asyncio.get_running_loop(), self.ports, self.out
        thread = ThreadPoolExecutor(1, "midi")
        loop.add_reader(ports.bell, self._readable)
        last_trouble = ""
        self._end_leftover_notes()
        try:
            next_look = 0.0
            while True:
                if monotonic() >= next_look:
                    try:
                        # in a thread: a blocked MIDI system must not block the server
                        self._changed(await loop.run_in_executor(thread, ports.look))
                    except Exception as error:
                        self._server.fault("the MIDI ports", error)
                    next_look = monotonic() + POLL_SECONDS
                    if ports.trouble and ports.trouble != last_trouble:
                        log.warning("%s", ports.trouble)
                    last_trouble = ports.trouble
                self._server.attempt("a MIDI message", self._sense)
                self._server.attempt("MIDI learn", self.knobs.look)
                self._server.attempt("MIDI output", out.follow)
                self._server.attempt("the MIDI clock", self.clock.look)
                await asyncio.sleep(TURN_SECONDS)
        finally:
            loop.remove_reader(ports.bell)
            self.clock.close()
            out.close()
            with self._server.turn():
                for port in self._voices:
                    self.release(port)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(loop.run_in_executor(thread, ports.close), CLOSING)
            thread.shutdown(wait=False)

    def _end_leftover_notes(self) -> None:
        """Ends the hanging notes of a killed control process."""
        with self._server.turn():
            for channel, note in self._held.left():
                self._do(NoteOff(note, channel), "")

    def _changed(self, changes: PortChanges) -> None:
        if not changes.closed:
            return
        with self._server.turn():
            for port in changes.closed:
                voice = self._voices.get(port)
                self.clock.gone(port)
                if voice is not None:
                    self.release(port)
                    self._bounded += voice.parser.bounded
                    self._malformed += voice.parser.malformed
                    del self._voices[port]
                if port not in changes.opened:
                    log.warning("the MIDI port %s has gone; its notes were ended", port)

    def _sense(self) -> None:
        """Treats a port as gone if its active sensing stops, even if its system still lists it."""
        if any(v.sensing for v in self._voices.values()):
            self._readable()
        now = monotonic()
        for port, voice in self._voices.items():
            if voice.sensing and now - voice.last_received > SENSED:
                voice.sensing = False
                with self._server.turn():
                    self.release(port)

    def release(self, port: str) -> None:
        """Ends the notes of a port."""
        self.knobs.release(port)
        # not at once: a note of the port may still be on its way to its sample
        for command in self._voices[port].endings(self._when(self._server.now_ns())):
            if isinstance(command, NoteOff):
                self._held.put(command.channel, command.note, False)
            self._do(command, port)

    # ---- what comes

    def _readable(self) -> None:
        """Handles arrived messages, at most a hundred at a time, so that OSC is handled in between."""
        with contextlib.suppress(BlockingIOError):
            hear(self.ports.bell)
        messages = self.ports.take(PER_TURN)
        if not messages:
            return
        with self._server.turn():
            self._take(messages)
        if len(messages) == PER_TURN:
            asyncio.get_running_loop().call_soon(self._more)

    def _take(self, messages: list[tuple[str, int, bytes]]) -> None:
        moves: dict[str, tuple[SetParam, str]] = {}
        for port, ns, data in messages:
            voice = self._voices.get(port)
            if voice is None:
                voice = self._voices[port] = PortVoice(self._members)
            voice.last_received = monotonic()
            for message in voice.parser.feed(data):
                self.received += 1
                if isinstance(message, midi.Short):
                    self._handle(message, port, voice, ns, moves)
        for command, port in moves.values():
            self._do(command, port)
        for value, port in self._values.take(self._voices):
            self._do(value, port)

    def _more(self) -> None:
        if self.ports.backend is not None:
            self._readable()

    def _handle(
        self, message: midi.Short, port: str, voice: PortVoice, ns: int, moves: dict[str, tuple[SetParam, str]]
    ) -> None:
        channel = message.channel
        match message.kind:
            case midi.NOTE_ON | midi.NOTE_OFF if self._pad(message, port):
                return
            case midi.NOTE_ON if message.b:
                if voice.zones.manager(channel):
                    channel, values = voice.zones.begin(channel, message.a, self._when(ns))
                    for value in values:
                        self._do(value, port)
                voice.notes.add((channel, message.a))
                self._held.put(channel, message.a, True)
                self._do(NoteOn(message.a, message.b / 127, channel, "", self._when(ns)), port)
            case midi.NOTE_ON | midi.NOTE_OFF:
                if voice.zones.manager(channel):
                    channel = voice.zones.end(channel, message.a)
                    if not channel:
                        return
                voice.notes.discard((channel, message.a))
                self._held.put(channel, message.a, False)
                self._do(NoteOff(message.a, channel, "", self._when(ns)), port)
            case midi.PRESSURE | midi.KEY_PRESSURE:
                self._values.touch(message, port, voice, self._when(ns))
            case midi.BEND if voice.zones.manager(channel):
                self._values.touch(message, port, voice, self._when(ns))
            case midi.CONTROL:
                self._control(message, port, voice, ns, moves)
            case midi.BEND:
                bend = midi.bend_of(message.a, message.b)
                (voice.bent.add if bend else voice.bent.discard)(channel)
                self._do(Bend(bend, channel, "", self._when(ns)), port)
            case midi.PROGRAM:
                self._try(lambda: self._server.message("/scene/recall", message.a, source=f"midi:{port}"))
            case midi.SENSING:
                voice.sensing = True
            case midi.RESET:
                self.release(port)
                self._do(Panic(), port)
            case _:
                self.clock.message(message, port, ns)

    def _control(
        self, message: midi.Short, port: str, voice: PortVoice, ns: int, moves: dict[str, tuple[SetParam, str]]
    ) -> None:
        number, channel = message.a, message.channel
        zones, before = voice.zones, voice.zones.changes
        if zones.controller(channel, number, message.b):
            if zones.changes != before:
                self.release(port)
            return
        if zones.manager(channel) and number == TIMBRE:
            self._values.shade(message, port, voice, self._when(ns))
            return
        if number >= _MODES:
            self._mode(number, channel, port, voice)
            return
        value = message.b / 127
        if self.knobs.turn(Knob(port, number, channel), message.b, moves):
            return
        if number == PEDAL:
            (voice.pedals.add if value >= 0.5 else voice.pedals.discard)(channel)
        self._do(Control(number, value, channel, "", self._when(ns)), port)

    def _mode(self, number: int, channel: int, port: str, voice: PortVoice) -> None:
        when = self._when(self._server.now_ns())
        if number in (SOUND_OFF, RESET_CONTROLLERS):
            voice.pedals.discard(channel)
            self._do(Control(PEDAL, 0.0, channel, "", when), port)
        if number == RESET_CONTROLLERS:
            voice.bent.discard(channel)
            self._do(Bend(0.0, channel, "", when), port)
        elif number != LOCAL:
            for key in voice.notes_of(channel):
                voice.notes.discard(key)
                voice.zones.ended(*key)
                self._held.put(*key, False)
                self._do(NoteOff(key[1], key[0], "", when), port)
        if number == SOUND_OFF and not voice.zones.manager(channel):
            # last: synths cut what the note-offs have left to fade
            self._do(Control(SOUND_OFF, 0.0, channel, "", when), port)

    def _pad(self, message: midi.Short, port: str) -> bool:
        """True if a note is mapped as a pad to an address."""
        knob = Knob(port, NOTES + message.a, message.channel)
        return self.knobs.pad(knob, message.b if message.kind == midi.NOTE_ON else 0)

    def _when(self, ns: int) -> When:
        """Sample of a note that arrived at `ns`: a constant latency of a block and `SLACK`."""
        if not ns:
            return NOW
        server = self._server
        self._block = self._block or server.block
        return Sample(round(server.sample_at(ns) + SLACK * server.rate) + self._block)

    def _do(self, command: Command, port: str) -> None:
        self.out.source = port
        self._try(lambda: self._server.do(command, f"midi:{port}"))
        self.out.source = ""

    def _try(self, work: Callable[[], None]) -> None:
        """Runs `work`; failures are counted and the last one shown in the status, since MIDI has no replies."""
        try:
            work()
        except AntiphonError as error:
            self.refused += 1
            self._reason = str(error)

    # ---- what the engine is asked for

    def _effect(self, effect: EngineEffect) -> None:
        """Handles an effect sent to the engine."""
        self.out.effect(effect)
        if isinstance(effect, Panic):
            for voice in self._voices.values():
                voice.forget()
            self._held.forget()
