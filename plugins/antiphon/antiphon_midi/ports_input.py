"""MIDI input: watches ports, and converts their messages to commands.

A note is handled like a `/note/on`, `/cc` or `/bend` by OSC, with `midi:PORT` as its source. It sounds a block and a
millisecond after its arrival, at constant latency whatever this process's load.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Any

from antiphon.api import PEDAL, AntiphonError, Event
from antiphon.api.backends.files import config_folder
from antiphon.api.backends.runtime import hear
from antiphon.api.backends.transports import (
    NOW,
    Command,
    EngineEffect,
    Panic,
    Play,
    RequestError,
    Sample,
    SetParam,
    TransportServer,
    When,
)
from antiphon.joining.controllers import pressable, settable
from antiphon_midi import messages as midi
from antiphon_midi.clock import SLACK, midi_clock
from antiphon_midi.learn import (
    ENDS,
    FINE_OFFSET,
    NOTES,
    NRPNS,
    PAIRS,
    PARTS,
    REACH,
    RELATIVE_MODES,
    STEP,
    ChannelControls,
    Knob,
    MidiMap,
    PedalState,
    address_of,
    control_mode,
    endless_control_steps,
    is_still_endless,
)
from antiphon_midi.mpe import MAX_NOTES, TIMBRE, HeldNotes, LastValues, PortVoice
from antiphon_midi.output import MidiOut
from antiphon_midi.ports import MPE, PortChanges, Ports

# ---- MIDI control mappings: controllers and pads to parameters and button addresses; MIDI learn

WAIT = 1.0
"""Seconds to wait for other movement before a control that only sends 0 or 127 is learned."""
Moves = dict[str, tuple[SetParam, str]]


class _PendingLearn:
    """A pending `/learn`. `mode`: as of `Learned`. `heard`: values of the controls that moved, in their order."""

    def __init__(self, target: str, done: Callable[[str], None], mode: str) -> None:
        self.target, self.done, self.mode = target, done, mode
        self.heard: dict[Knob, int] = {}
        self.due = 0.0


class Knobs:
    """Controls of all ports; a `Learner` of the server.

    `server`: owner of the targets; `attempt`: calls a function and counts its errors, as MIDI has no replies.
    """

    def __init__(self, server: TransportServer, attempt: Callable[[Callable[[], None]], None]) -> None:
        self._server, self._try = server, attempt
        self._learned = MidiMap(config_folder())
        self._lesson: _PendingLearn | None = None
        self._taught: tuple[Knob, _PendingLearn, float] | None = None
        self._channels: dict[tuple[str, int], ChannelControls] = {}
        self._untold: dict[Knob, list[int]] = {}
        self._told: dict[Knob, tuple[list[int], list[int]]] = {}  # what told an endless control, and came after it
        self._places: dict[str, tuple[object, float]] = {}
        self._presses = PedalState(server)

    @property
    def learning(self) -> str:
        """Target waiting for a control to be learned, or ""."""
        return self._lesson.target if self._lesson is not None else ""

    def learn(self, target: str, done: Callable[[str], None], how: str = "") -> None:
        """Maps the control that moves next to `target`, "node.param"; `done` is called with its name.

        `how`: one of `COUNTING_MODES`, or "" to detect it from the values.
        """
        self._lesson = _PendingLearn(target, done, how)

    def unlearn(self, target: str) -> None:
        if waited := self.learning == target:
            self._lesson = None
        if not self._learned.unlearn(target) and not waited:
            raise RequestError(f"no control was learned for {target}")
        self._server.event("/unlearned", address_of(target))

    def assignments(self) -> list[tuple[str, str, str]]:
        return self._learned.assignments(self._server.controls())

    def release(self, port: str) -> None:
        """Releases all controls of a port."""
        self._presses.remove(port)

    def look(self) -> None:
        """Learns a control that only sent 0 or 127, once nothing else has moved for a while."""
        if self._lesson is not None and self._lesson.heard and monotonic() > self._lesson.due:
            with self._server.turn():
                self._learn(next(reversed(self._lesson.heard)))

    def turn(self, knob: Knob, value: int, moves: Moves) -> bool:
        """Handles a controller at `value`, 0 to 127; returns True if it is mapped, so that the synths do not get it.

        `moves` collects (command, port) by target: the last command of a turn counts.
        """
        channel = self._channels.setdefault((knob.port, knob.channel), ChannelControls())
        wide = channel.take(knob.number, value)
        whole = (
            knob
            if wide is None
            else knob._replace(number=(PAIRS if wide[0] < FINE_OFFSET else NRPNS - FINE_OFFSET) + wide[0])
        )
        if self._lesson is not None:
            self._hear(self._lesson, knob, value, whole, channel.last)
        elif self._taught is not None and wide is not None:
            self._widen(knob, whole, channel.last)
        if wide is not None and (target := self._target(whole)):
            self._apply(target, whole, wide[1], moves)
            return True
        target = self._target(knob)
        if target and (place := self._target_position(target, knob, value, moves)) is not None:
            self._apply(target, knob, place, moves)
        return bool(target)

    def pad(self, knob: Knob, velocity: int) -> bool:
        """Triggers the address mapped to a note, and completes a pending learn; returns False for other notes."""
        if velocity and pressable(self.learning):
            self._learn(knob)
        target = self._target(knob)
        if not target.startswith("/"):
            return False
        # a pad is down however softly it is hit
        self._try(lambda: self._presses.move(target, knob, 1.0 if velocity else 0.0))
        return True

    def _target(self, knob: Knob) -> str:
        """Target of the knob in the current patch, "" for none."""
        nodes = self._server.nodes()
        for target in self._learned.targets(knob, self._server.controls()):
            if pressable(target):
                return target
            node, _, name = target.partition(".")
            known = nodes.get(node)
            if known is not None and name in known.index:
                return target
        return ""

    def _hear(self, lesson: _PendingLearn, knob: Knob, value: int, whole: Knob, last: int) -> None:
        """Learns the moving control: of several, the one with more values than a button or a touch sensor sends."""
        if whole.number >= NRPNS:
            self._learn(whole)
        elif knob.number in PARTS:
            return
        elif self._pairs(knob, whole, last) and knob._replace(number=last) in lesson.heard:
            self._learn(whole)
        elif pressable(lesson.target) or value not in ENDS or knob in lesson.heard:
            self._learn(knob)
        else:
            lesson.heard[knob], lesson.due = value, monotonic() + WAIT

    def _widen(self, knob: Knob, whole: Knob, last: int) -> None:
        """Learns a controller pair instead of its first controller, if the other one follows immediately."""
        assert self._taught is not None
        taught, lesson, until = self._taught
        if monotonic() > until:
            self._taught = None
        elif self._pairs(knob, whole, last) and taught == knob._replace(number=last):
            self._lesson = lesson
            self._learn(whole)

    @staticmethod
    def _pairs(knob: Knob, whole: Knob, last: int) -> bool:
        return whole is not knob and abs(knob.number - last) == FINE_OFFSET

    def _learn(self, knob: Knob) -> None:
        assert self._lesson is not None
        lesson, self._lesson = self._lesson, None
        self._taught = (knob, lesson, monotonic() + WAIT)
        self._untold[knob] = [lesson.heard[knob]] if knob in lesson.heard else []
        self._told.pop(knob, None)
        endless = knob.number < PAIRS and not pressable(lesson.target)

        def keep() -> None:
            self._learned.learn(knob, lesson.target, lesson.mode if endless else "absolute")
            lesson.done(knob.control)
            self._server.event("/learned", address_of(lesson.target), knob.control, knob.port)

        self._try(keep)

    def _target_position(self, target: str, knob: Knob, value: int, moves: Moves) -> float | None:
        """New position of a controller's target, 0 to 1; None while a single value cannot tell whether it is a step."""
        mode, steps = self._learned.mode(knob), 0
        told = mode
        if not mode:
            values = self._untold.setdefault(knob, [])
            values.append(value)
            told = control_mode(values)
            if not told:
                return None
            del self._untold[knob]
            if told in RELATIVE_MODES:
                self._told[knob] = values, []
        elif knob in self._told:
            self._told[knob][1].append(value)
            endless = is_still_endless(*self._told[knob])
            if endless is False:
                told = "absolute"
            if endless is not None or len(self._told[knob][1]) > REACH:
                del self._told[knob]
        if told in RELATIVE_MODES:
            steps, told = endless_control_steps(value, told)
        if told != mode:
            self._try(lambda: self._learned.learn(knob, target, told))
        return self._place_after_steps(target, steps, target in moves) if told in RELATIVE_MODES else value / 127.0

    def _place_after_steps(self, target: str, steps: int, moving: bool) -> float:
        """The target's place after steps, finer than the values of a parameter that has few."""
        node, _, name = target.partition(".")
        state, cell = self._server.param(node, name)
        value = self._server.value_at(state, cell)
        kept, place = self._places.get(target, (None, 0.0))
        if kept != value and not moving:
            place = state.cells[cell].to_norm(value)
        return min(1.0, max(0.0, place + steps * STEP))

    def _apply(self, target: str, knob: Knob, place: float, moves: Moves) -> None:
        if target.startswith("/"):
            self._try(lambda: self._presses.move(target, knob, place))
        else:
            self._try(lambda: moves.update({target: (self._move(target, place), knob.port)}))

    def _move(self, target: str, place: float) -> SetParam:
        """Command that sets the parameter to a place, 0 to 1 of its range."""
        node, _, name = target.partition(".")
        state, cell = self._server.param(node, name)
        settable(state.cells[cell], target)
        value = state.cells[cell].from_norm(place)
        self._places[target] = (value, place)
        return SetParam(node, name, value)


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
        self.clock = midi_clock(server, ports)

    def install(self) -> None:
        """Opens MIDI with the server's start."""
        server = self._server
        server.on_effect(self._effect)
        server.on_note(self.out.echo, lambda: self.out.echoed)
        server.on_leave(self.out.leave)
        server.on_event(self._event)
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
            "dropped": ports.drop_count + out.dropped,
            "bounded": self._bounded + sum(v.parser.bounded for v in voices),
            "malformed": self._malformed + sum(v.parser.malformed for v in voices),
            "refused": self.refused,
            "reason": self._reason,
            "learning": self.knobs.learning,
        }

    async def _serve(self) -> None:
        """Runs until cancelled. MIDI failures are logged and do not affect the audio."""
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
                self._server.attempt("a MIDI message", self._check_active_sensing)
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
        """Ends notes that a killed control process left sounding."""
        with self._server.turn():
            for channel, note in self._held.take_left_notes():
                self._do(Play("", Event("off", 0, note, 0.0, channel)), "")

    def _changed(self, changes: PortChanges) -> None:
        if not changes.closed:
            return
        with self._server.turn():
            for port in changes.closed:
                voice = self._voices.get(port)
                self.clock.lose_port(port)
                if voice is not None:
                    self.release(port)
                    self._bounded += voice.parser.bounded
                    self._malformed += voice.parser.malformed
                    del self._voices[port]
                if port not in changes.opened:
                    log.warning("the MIDI port %s has gone; its notes were ended", port)

    def _check_active_sensing(self) -> None:
        """Treats a port as disconnected if its active sensing stops, even if its system still lists it."""
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
            if command.event.kind == "off":
                self._held.put(command.event.channel, command.event.number, False)
            self._do(command, port)

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
                self._play(Event("on", 0, message.a, message.b / 127, channel), self._when(ns), port)
            case midi.NOTE_ON | midi.NOTE_OFF:
                if voice.zones.manager(channel):
                    channel = voice.zones.end(channel, message.a)
                    if not channel:
                        return
                voice.notes.discard((channel, message.a))
                self._held.put(channel, message.a, False)
                self._play(Event("off", 0, message.a, 0.0, channel), self._when(ns), port)
            case midi.PRESSURE | midi.KEY_PRESSURE:
                self._values.touch(message, port, voice, self._when(ns))
            case midi.BEND if voice.zones.manager(channel):
                self._values.touch(message, port, voice, self._when(ns))
            case midi.CONTROL:
                self._control(message, port, voice, ns, moves)
            case midi.BEND:
                bend = midi.bend_of(message.a, message.b)
                (voice.bent.add if bend else voice.bent.discard)(channel)
                self._play(Event("bend", 0, 0, bend, channel), self._when(ns), port)
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
            self._values.touch(message, port, voice, self._when(ns))
            return
        if number >= _MODES:
            self._mode(number, channel, port, voice)
            return
        value = message.b / 127
        if self.knobs.turn(Knob(port, number, channel), message.b, moves):
            return
        if number == PEDAL:
            (voice.pedals.add if value >= 0.5 else voice.pedals.discard)(channel)
        self._play(Event("control", 0, number, value, channel), self._when(ns), port)

    def _mode(self, number: int, channel: int, port: str, voice: PortVoice) -> None:
        when = self._when(self._server.now_ns())
        if number in (SOUND_OFF, RESET_CONTROLLERS):
            voice.pedals.discard(channel)
            self._play(Event("control", 0, PEDAL, 0.0, channel), when, port)
        if number == RESET_CONTROLLERS:
            voice.bent.discard(channel)
            self._play(Event("bend", 0, 0, 0.0, channel), when, port)
        elif number != LOCAL:
            for key in voice.notes_of(channel):
                voice.notes.discard(key)
                voice.zones.end_note(*key)
                self._held.put(*key, False)
                self._play(Event("off", 0, key[1], 0.0, key[0]), when, port)
        if number == SOUND_OFF and not voice.zones.manager(channel):
            # last: synths cut what the note-offs have left to fade
            self._play(Event("control", 0, SOUND_OFF, 0.0, channel), when, port)

    def _play(self, event: Event, when: When, port: str) -> None:
        self._do(Play("", event, when), port)

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
        """Calls `work`; failures are counted, and the status shows the last one, as MIDI has no replies."""
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

    def _event(self, event: dict[str, Any]) -> None:
        """Handles the start of another engine."""
        if event["kind"] == "engine":
            self._server.attempt("MIDI output", self.out.restart)
