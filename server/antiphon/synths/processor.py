"""`SynthProcessor`: base of nodes whose notes are rendered by a synth backend in a worker, one block late."""

from __future__ import annotations

import json
import math
import re
from abc import abstractmethod
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from antiphon.backends.backend import COLUMNS, VOICES, SynthSettings, pack
from antiphon.backends.info import BackendChoice
from antiphon.kernel.contract.block import Samples, StreamSpec
from antiphon.kernel.contract.event import PEDAL, Event
from antiphon.kernel.contract.file_use import FileUse
from antiphon.kernel.contract.params import Param
from antiphon.kernel.contract.ports import AUDIO_OUT, EVENTS_IN
from antiphon.kernel.contract.processor import IO
from antiphon.kernel.errors import ParamError
from antiphon.kernel.session.play import BEGIN, FIRST_WORD, LOW, MAX_NAMED, MAX_WORD, NAME, PIECE, PLAY
from antiphon.kernel.workers.spec import WorkerSpec
from antiphon.native.compiling import kernel
from antiphon.native.dsp import scale
from antiphon.native.kernel import Step, f32, f32p, i64, i64p
from antiphon.networks.hop_kernels import HopWord
from antiphon.networks.worker_processor import WorkerProcessor
from antiphon.synths.shapes import RESET, ChannelBends

# ---- SynthDef controls of a synth node beside the notes, parsed from one line of text.
#
#     cutoff=800 density=1:200 tone=200:8000:log
#
# A number is a constant, set with every note. A range is a *dial*: the node's parameters x1 to x8 turn the dials in
# their order, 0 to 1 across the range, for sounding and later notes.

DIALS = 8
"""Maximum dials of a synth node: its parameters x1 to x8."""
FIRST_DIAL = 128
"""Controller number of the first dial, above MIDI's: dials are sent as control events."""
MAX_CONTROLS = 64
LIMIT = 1e9
RESERVED = frozenset({
    "out", "note", "freq", "midinote", "velocity", "gate", "bend", "gain", "buffer", "bufnum", "buf", "seed", "longest",
    "clock", "start", "start_high", "stop", "stop_high", "cut", "cut_high",
})  # fmt: skip
"""Names of SynthDef controls that `parse_controls` refuses, since the server sets them itself with every note."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}\Z")


@dataclass(frozen=True, slots=True)
class Dial:
    """SynthDef control turned by a parameter of the node."""

    name: str
    low: float  # its value at place 0
    high: float  # its value at place 1
    log: bool = False

    def value(self, place: float) -> float:
        """Converts a dial's position to a value. `place`: 0 to 1; positions outside are clipped."""
        place = min(max(place, 0.0), 1.0)
        if self.log:
            return float(self.low * (self.high / self.low) ** place)
        return self.low + (self.high - self.low) * place


@dataclass(frozen=True, slots=True)
class Controls:
    """SynthDef controls of a synth node besides those of its notes."""

    fixed: tuple[tuple[str, float], ...] = ()
    dials: tuple[Dial, ...] = ()  # in the order of x1 to x8

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all controls."""
        return (*(name for name, _ in self.fixed), *(dial.name for dial in self.dials))


def parse(text: str) -> Controls:
    """Parses a node's controls: "cutoff=800 density=1:200 tone=200:8000:log".

    Raises ParamError: the text cannot be read, sets a name twice, sets a note's control, or has more than 8 dials.
    """
    fixed: list[tuple[str, float]] = []
    dials: list[Dial] = []
    for word in text.split():
        name, equals, rest = word.partition("=")
        if not equals or not _NAME.match(name):
            raise ParamError(f"controls takes NAME=NUMBER or NAME=FROM:TO, a space between them, not {word[:40]!r}")
        if name in RESERVED:
            raise ParamError(f"controls cannot set {name}: it is set for every note")
        if name in (*(n for n, _ in fixed), *(d.name for d in dials)):
            raise ParamError(f"controls sets {name} twice")
        if ":" not in rest:
            fixed.append((name, _number(name, rest)))
            continue
        low, _, high = rest.partition(":")
        log = high.endswith(":log")
        dial = Dial(name, _number(name, low), _number(name, high.removesuffix(":log")), log)
        if log and (dial.low * dial.high <= 0.0):
            raise ParamError(f"controls: {name} has no equal ratios from {low}; both ends of a log range are above 0")
        dials.append(dial)
    if len(dials) > DIALS:
        raise ParamError(f"controls has {len(dials)} ranges, and there are {DIALS} dials")
    if len(fixed) + len(dials) > MAX_CONTROLS:
        raise ParamError(f"controls sets {len(fixed) + len(dials)} controls, and {MAX_CONTROLS} is the most")
    return Controls(tuple(fixed), tuple(dials))


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not abs(value) <= LIMIT:
        raise ParamError(f"controls: {name} takes a number or a range of two, not {text[:40]!r}")
    return value


# ---- `SynthProcessor`: base of nodes whose notes are rendered by a synth backend in a worker, one block late

MAX_RESTORE_EVENTS = 128
"""Most events that restore a synth's state."""
MAX_NOTES = 128
"""Maximum tracked notes; the oldest is dropped first."""
_MAX_OWN = 1 + MAX_NAMED * (MAX_WORD // PIECE + 2)
_MAX_SHAPES = 40
"""Maximum pitches, pressures and timbres among restored events: 8 dials and 16 programs then leave no controllers."""


class _HeldNote(NamedTuple):
    """A held note: velocity, start sample, expression values by kind of event, and controllers of its named values."""

    velocity: float
    began: int
    shape: dict[str, float]
    own: tuple[Event, ...]


class SynthMemory:
    """Tracks sounding notes and controller positions, to restore a synth after its restart.

    At most 128 notes; the oldest is dropped first.
    """

    def __init__(self) -> None:
        self._held: dict[tuple[int, int], _HeldNote] = {}
        self._pedalled: dict[tuple[int, int], _HeldNote] = {}
        self._next: dict[tuple[int, int], dict[str, float]] = {}
        self._controls: dict[tuple[object, ...], Event] = {}
        self._bends: dict[int, float] = {}
        self._programs: dict[int, int] = {}
        self._own: dict[int, list[Event]] = {}

    def follow(self, sample: int, events: Sequence[Event]) -> None:
        """Tracks events sent to the synth. `sample`: the engine's sample at which the hop begins."""
        for event in events:
            key = (event.channel, event.number)
            match event.kind:
                case "on":
                    self._pedalled.pop(key, None)
                    self._held.pop(key, None)
                    if len(self._held) >= MAX_NOTES:
                        del self._held[next(iter(self._held))]
                    began = sample + event.offset - event.age
                    own = tuple(self._own.pop(event.channel, ()))[:_MAX_OWN]
                    self._held[key] = _HeldNote(event.value, began, self._next.pop(key, {}), own)
                case "control" if event.number == BEGIN:
                    self._own[event.channel] = [Event("control", 0, BEGIN, event.value, event.channel)]
                case "control" if event.channel in self._own and (
                    NAME <= event.number <= LOW or event.number == FIRST_WORD
                ):
                    self._own[event.channel].append(Event("control", 0, event.number, event.value, event.channel))
                case "off":
                    note = self._held.pop(key, None)
                    pedal = self._controls.get((event.channel, PEDAL))
                    if note is not None and pedal is not None and pedal.value >= 0.5:
                        if len(self._pedalled) >= MAX_NOTES:
                            del self._pedalled[next(iter(self._pedalled))]
                        self._pedalled[key] = note
                case "control":
                    if event.number == RESET:
                        self._bends.pop(event.channel, None)
                        for number in (1, 7, 11, PEDAL, 98, 99, 100, 101):
                            self._controls.pop((event.channel, number), None)
                    else:
                        ChannelBends.keep(self._controls, event)
                    if event.number == RESET or (event.number == PEDAL and event.value < 0.5):
                        for note_key in [k for k in self._pedalled if k[0] == event.channel]:
                            del self._pedalled[note_key]
                case "bend":
                    self._bends[event.channel] = event.value
                case "program":
                    self._programs[event.channel] = event.number
                case "pitch" | "pressure" | "timbre":
                    held = self._held.get(key)
                    shape = self._next.setdefault(key, {}) if held is None else held.shape
                    shape[event.kind] = event.value

    def restore_events(self, sample: int) -> list[Event]:
        """Returns the state as events: programs, controllers, bends, and the notes with their age and expression.

        `sample`: engine sample at which the next hop begins. Returns at most 128 events at offset 0: the newest notes,
        up to the number of voices, and the latest other changes.
        """
        moved = [Event("control", 0, e.number, e.value, e.channel) for e in self._controls.values()]
        dials = [event for event in moved if event.number >= FIRST_DIAL]
        events = [event for event in moved if event.number < FIRST_DIAL]
        events += [Event("bend", 0, 0, value, channel) for channel, value in self._bends.items()]
        programs = [Event("program", 0, number, 0.0, channel) for channel, number in self._programs.items()]
        notes = sorted({**self._pedalled, **self._held}.items(), key=lambda item: item[1].began)[-VOICES:]
        shapes = [
            Event(kind, 0, number, value, channel)
            for (channel, number), note in notes
            for kind, value in note.shape.items()
        ][-_MAX_SHAPES:]
        room = MAX_RESTORE_EVENTS - 2 * VOICES - len(dials) - len(programs) - len(shapes)
        own = sum(len(note.own) for _, note in notes)
        events = [*dials, *programs, *(events[-room:] if room > 0 else ()), *shapes]
        for (channel, number), note in notes:
            events += note.own if len(events) + own + 2 * len(notes) <= MAX_RESTORE_EVENTS else ()
            events.append(Event("on", 0, number, note.velocity, channel, max(1, sample - note.began)))
        events += [Event("off", 0, k[1], 0.0, k[0]) for k, _ in notes if k in self._pedalled and k not in self._held]
        return events

    def clear(self) -> None:
        """Clears all state."""
        for table in (self._held, self._pedalled, self._next, self._controls, self._bends, self._programs, self._own):
            table.clear()


class EventWord(IntEnum):
    """Indices of the words of a `SynthProcessor`."""

    SKIPPED = 0  # samples by which the clock is ahead of the hops, for blocks that were missed
    WAITING = 1  # events for later hops
    SIZE = 2


@kernel
def no_events(s: i64p, words: i64p, hop: i64, sample: i64) -> i64:
    """1 if the coming block is one hop without events, else 0. `words`: `HopWord`; `hop`: its frames."""
    if s[EventWord.WAITING] != 0 or words[HopWord.FILL] != 0:
        return 0
    return 1 if words[HopWord.NUMBER] * hop + s[EventWord.SKIPPED] == sample else 0


@kernel
def write_empty_header(head: f32p, sample: i64) -> None:
    """Writes the header of a hop without events, like `backend.pack`."""
    head[0] = f32(0.0)
    head[1] = f32(sample >> 24)
    head[2] = f32(sample & 16777215)


MAX_WAITING = 8192
MAX_NEW_EVENTS = 128
"""Maximum new events of a hop; the rest of `MAX_EVENTS` is for the state sent to a restarted worker."""
SHORT_SECONDS = 0.002
"""Block length in seconds below which the worker gets a second block's time: at 64 frames of 48 kHz, not at 128."""
_DB = math.log(10.0) / 20.0

LEVEL = Param("level", default=0.0, low=-60.0, high=12.0, unit="dB", smooth=0.005, doc="Output level.")
"""Level parameter, required of every `SynthProcessor`."""
DROPPED = Param("dropped", "int", 0, 0, 2**31 - 1, readonly=True, doc="Events there was no room for.")
"""Counter of dropped events, required of every `SynthProcessor`."""


class SynthProcessor(WorkerProcessor):
    """Events in, sound out. A block's events sound in the next block, at their offsets.

    Without its worker the node is silent (after a 10 ms fade); after a restart, sounding notes resume at their current
    position. A subclass has the parameters `LEVEL` and `DROPPED`, and the methods `backend` and `asked`.
    """

    inputs = (EVENTS_IN,)
    outputs = (AUDIO_OUT,)
    on_files = FileUse(tail=True)

    @abstractmethod
    def backend(self) -> BackendChoice:
        """Backend that renders the notes, and its settings; nodes with equal ones share a worker."""

    @abstractmethod
    def asked(self) -> SynthSettings:
        """The node's settings for the backend."""

    def turn(self, io: IO, events: list[Event]) -> None:
        """Adds events before a hop's notes. On the block path. `events`: the list to extend, empty."""

    def prepare(self, spec: StreamSpec) -> None:
        """Opens the stream and allocates every buffer.

        Raises AntiphonError: the worker is not available, or the backend does not support a setting.
        """
        self._choice = self.backend()
        self._most = max(1, min(MAX_NEW_EVENTS, int(self._choice.info.crowd * spec.block)))
        self._gain = np.zeros(spec.block, np.float32)
        asked = self.asked()
        self._trim = np.float32(0.0 if asked.synthdef else self._choice.info.trims.get(asked.instrument, 0.0))
        self._head: Samples = np.zeros(COLUMNS, np.float32)
        self._state = np.zeros(EventWord.SIZE, np.int64)
        self._skipped = 0
        self._events: deque[tuple[int, Event]] = deque(maxlen=MAX_WAITING)
        self._hop_events: list[Event] = []
        self._sounding = SynthMemory()
        self._dropped = 0
        super().prepare(spec)
        support = self._choice.info.make_support()
        settings = support.check_settings(self.asked(), instead=self._choice.instead)
        self.vocabulary = {PLAY: tuple(support.controls(settings))}

    def worker(self, spec: StreamSpec) -> WorkerSpec:
        """Spec of the backend's worker."""
        return self._choice.info.worker(spec.rate, spec.block, dict(self._choice.settings))

    def config(self) -> str:
        """Settings as the backend supports them: `SynthSettings` as JSON."""
        settings = self._choice.info.make_support().check_settings(self.asked(), instead=self._choice.instead)
        return json.dumps(settings.to_json(), ensure_ascii=False)

    def lead(self, spec: StreamSpec, hop: int) -> int:
        """Hops until the answer: 0, since a hop is a block; 1 if a block is shorter than `SHORT_SECONDS`."""
        # the engine would wait for the answer in every block: waking the worker takes a large part of so short a one
        return int(hop / spec.rate < SHORT_SECONDS)

    def behind(self, spec: StreamSpec, hop: int) -> int:
        """Latency of the backend."""
        return hop * self._choice.info.delay(spec.rate, hop)

    def process(self, io: IO) -> None:
        """Collects the block's events, posts them, and plays the answer at its level."""
        out, hops = io.audio_out[0], self.hops
        hops.begin(io.time.sample)
        start = hops.number * hops.hop + hops.fill
        # blocks that were missed: hops are counted, the clock went on
        self._skipped = io.time.sample - start
        for event in io.events_in:
            if len(self._events) == MAX_WAITING:
                self._dropped += 1
            self._events.append((start + event.offset, event))
        super().process(io)
        gain = self._gain[: io.frames]
        self._gains(io.curve("level"), gain)
        np.multiply(out, gain, out=out)
        self._state[EventWord.SKIPPED], self._state[EventWord.WAITING] = self._skipped, len(self._events)
        if self._dropped:
            io.report("dropped", self._dropped)

    def step(self, io: IO) -> Step | None:
        """Step of a block without events, whose hop holds only the sample."""
        out, hops = io.audio_out[0], self.hops
        hop = self.hop_step(None, out, self._head)
        if hop is None or hops.hop != io.frames:
            return None
        gain = np.full(io.frames, io.at("level", 0), np.float32)
        self._gains(gain, gain)
        quiet = no_events.step(self._state, hops.words, hops.hop, io.time.sample)
        head = write_empty_header.step(self._head, io.time.sample)
        return head.then(hop).then(scale.step(out, gain, io.frames)).provided(quiet)

    def _gains(self, level: Samples, out: Samples) -> None:
        """Writes gain factors of levels in dB, including the instrument's trim."""
        np.add(level, self._trim, out=out)
        np.multiply(out, np.float32(_DB), out=out)
        np.exp(out, out=out)

    def post(self, hop: int, sound: Samples) -> None:
        """Collects the hop's events, with or without a worker, and posts them."""
        size = self.hops.hop
        start, events = hop * size, self._hop_events
        events.clear()
        self.turn(self._io, events)
        # events beyond a hop's capacity wait for the next
        while self._events and self._events[0][0] < start + size and len(events) < self._most:
            at, event = self._events.popleft()
            events.append(event.moved(max(0, at - start) - event.offset))
        super().post(hop, sound)
        self._sounding.follow(start, events)

    def begin(self, hop: int) -> None:
        """Sends a new worker the sounding notes."""
        self._hop_events[:0] = self._sounding.restore_events(hop * self.hops.hop)

    def write(self, hop: int, sound: Samples, into: Samples) -> None:
        """Packs the hop's events into `into`."""
        self._dropped += pack(hop * self.hops.hop + self._skipped, self._hop_events, into[0])

    def reset(self) -> None:
        """Clears all notes."""
        super().reset()
        self._events.clear()
        self._sounding.clear()
