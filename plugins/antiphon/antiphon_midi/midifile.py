"""Processor `midifile`: plays a MIDI file as notes into the graph, on the clock or at the file's own tempo."""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from antiphon.api import EVENTS_OUT, IO, PEDAL, Event, FileError, Param, Port, Processor, StreamSpec
from antiphon.api.backends.files import (
    MidiSong,
    MidiTimes,
    MidiTrack,
    notice,
    printable_path,
    read_midi,
    reading_file,
)
from antiphon.api.backends.synths import ChannelBends

# ---- A MIDI file as one list of events in order of time, for the node `midifile`

MAX_SECONDS = 6 * 3600.0
"""Maximum length of a file in seconds at its own tempo; as for `antiphon run` and `render`."""
FAMILIES = (
    "piano", "bells", "organ", "guitar", "bass", "strings", "ensemble", "brass", "reed", "pipe", "lead", "pad",
    "effects", "ethnic", "percussive", "sounds",
)  # fmt: skip
"""The families of General MIDI, eight programs each (General MIDI System Level 1, MMA)."""
_ORDER = {"off": 0, "program": 1, "control": 1, "bend": 1, "on": 2}
"""Order of events at one time: note-offs before note-ons, and an instrument or a pedal before its note."""
EACH = 256
"""Number of controller, bend and program changes between stored states."""
_SHORTEST = 0.25
"""Minimum beats per bar, so that no loop is shorter, whatever the file says."""
_BAR = 4.0
"""Default beats of a bar."""


class SongEvent(NamedTuple):
    """An event of a MIDI file."""

    beat: float
    seconds: float
    kind: str  # as in `Event`
    number: int  # as in `Event`
    value: float  # as in `Event`
    channel: int  # 1 to 16
    part: int  # the part it belongs to, from 1; 0 for what belongs to none, as a controller of a track without notes
    family: int  # place of its instrument in `FAMILIES`, or -1 for drums


State = dict[tuple[object, ...], SongEvent]
"""The last event by controller and channel, or by kind and channel."""


@dataclass(frozen=True, slots=True)
class SongScore:
    """A MIDI file prepared for playback."""

    events: tuple[SongEvent, ...]
    parts: tuple[str, ...]
    times: MidiTimes  # beats to seconds, at its own tempo, and back
    length: float  # beats to the end of its last bar
    states: tuple[State, ...]  # where every so many of its controllers, bends and programs stand; see `state`
    changes: tuple[int, ...]  # places of these events among `events`
    drums: frozenset[int]  # channels of rhythm parts, 1 to 16

    def place(self, position: float, *, beats: bool) -> int:
        """Index of the first event at or after a position, in beats or in seconds of the file."""
        return bisect_left(self.events, position, key=_beat if beats else _seconds)

    def state(self, place: int) -> State:
        """Last program, bend and controller values before an event, replaying at most `EACH` changes."""
        count = bisect_left(self.changes, place)
        whole = count // EACH
        state = dict(self.states[whole])
        for change in self.changes[whole * EACH : count]:
            _put(state, self.events[change])
        return state


def _put(state: State, event: SongEvent) -> None:
    if event.kind == "control":
        ChannelBends.keep(state, event)
    else:
        state[event.kind, event.channel] = event


_beat, _seconds = attrgetter("beat"), attrgetter("seconds")


def load(path: Path) -> SongScore:
    """Reads a MIDI file. Raises FileError: it cannot be read, has no notes, or is too long."""
    song = read_midi(path)
    with reading_file("a MIDI file", path):
        if song.tunings:
            notice("tuning of the octave")
    parts = _parts(song.tracks)
    if not parts:
        raise FileError(f"cannot play {printable_path(path)}: there are no notes in it")
    end = max(song.length, max(note.end for track in song.tracks for note in track.notes))
    at, bar = max(((at, bar) for at, bar in song.meters if at < end and bar >= _SHORTEST), default=(0.0, _BAR))
    length = at + max(1, math.ceil((end - at) / bar - 1e-9)) * bar
    times = MidiTimes(song.tempo)
    if times.seconds(length) > MAX_SECONDS:
        raise FileError(f"cannot play {printable_path(path)}: it lasts longer than {MAX_SECONDS / 3600:g} h; cut it")
    events = _events(song, parts, times)
    changes = tuple(place for place, event in enumerate(events) if event.kind not in ("on", "off"))
    states: list[State] = [{}]
    for first in range(0, len(changes), EACH):
        states.append(dict(states[-1]))
        for change in changes[first : first + EACH]:
            _put(states[-1], events[change])
    return SongScore(events, tuple(parts.values()), times, length, tuple(states), changes, song.drums)


def _parts(tracks: Sequence[MidiTrack]) -> dict[tuple[int, int], str]:
    """(track, channel) of each part, channel 0 for a whole track, in order, with its name."""
    sounding = [number for number, track in enumerate(tracks) if track.notes]
    if len(sounding) != 1:
        return {(number, 0): tracks[number].name for number in sounding}
    (number,) = sounding
    channels = sorted({note.channel for note in tracks[number].notes})
    if len(channels) == 1:
        return {(number, 0): tracks[number].name}
    return {(number, channel): f"channel {channel}" for channel in channels}


def _events(song: MidiSong, parts: dict[tuple[int, int], str], times: MidiTimes) -> tuple[SongEvent, ...]:
    places = {key: place for place, key in enumerate(parts, 1)}
    raw: list[tuple[float, int, str, int, float, int, int]] = []
    for number, track in enumerate(song.tracks):

        def part(channel: int, number: int = number) -> int:
            return places.get((number, 0), 0) or places.get((number, channel), 0)

        for note in track.notes:
            at = part(note.channel)
            raw.append((note.start, _ORDER["on"], "on", note.number, note.velocity, note.channel, at))
            raw.append((note.end, _ORDER["off"], "off", note.number, 0.0, note.channel, at))
        for control in track.controls:
            raw.append(
                (
                    control.at,
                    _ORDER[control.kind],
                    control.kind,
                    control.number,
                    control.value,
                    control.channel,
                    part(control.channel),
                )
            )
    raw.sort(key=lambda row: row[:2])
    programs = [0] * 17
    events = []
    for beat, _, kind, event_number, value, channel, at in raw:
        if kind == "program":
            programs[channel] = event_number
        family = -1 if channel in song.drums else programs[channel] // 8
        events.append(SongEvent(beat, times.seconds(beat), kind, event_number, value, channel, at, family))
    return tuple(events)


JUMP_BEATS = 0.05
"""Beat error that counts as a clock jump; a tempo ramp causes less."""
ROUNDING_FRAMES = 1e-3
"""Frames of tolerance for rounding."""
RHYTHM = 10
"""Channel of a file's only or first rhythm part."""
SWITCHES = 16
"""Number of parts with their own switch."""
MAX_EVENTS = 980
"""Maximum events in a block: the limit is 1024, including the ends of pedals and bends."""
MIN_BEATS = 1.0 / 32.0
"""Minimum beats from `begin` to `end`; a shorter part is empty."""
_NEVER = 1 << 60
_MUTES = tuple(f"mute{n}" for n in range(1, SWITCHES + 1))
Key = tuple[int, int, int]
"""Part, channel and number of a note as in the file."""


class MidiFile(Processor):
    """Plays a file's notes, controllers, bends and programs from the next bar on.

    A position is in beats of the file if it follows the clock, in seconds of the file at its own tempo.
    """

    inputs = ()
    outputs = (EVENTS_OUT, Port("pitched", "events", midi=-RHYTHM), Port("drums", "events", midi=RHYTHM))
    split = True
    params = (
        Param(
            "file",
            "file",
            "",
            holds="a MIDI file",
            doc="A MIDI file; over the network, the name of one in the library.",
        ),
        Param("tempo", "choice", "clock", choices=("clock", "file"), doc="Follows the clock, or the file's own tempo."),
        Param("loop", "switch", True, doc="Begins again at the end of the file's last bar, or ends there."),
        Param("speed", default=1.0, low=0.25, high=4.0, warp="log", doc="Factor of the tempo: 0.5 is half as fast."),
        Param("transpose", "int", 0, -48, 48, unit="semitones", doc="Moves the notes; drums stay."),
        Param("velocity", default=1.0, low=0.0, high=2.0, doc="Factor of the velocities; they stay within 0 to 1."),
        Param("track", "int", 0, 0, 1024, doc="Plays this part alone, from 1; 0 plays all. Parts are tracks with "
              "notes, or the channels of the only one."),
        Param("channel", "int", 0, 0, 16, doc="Plays this channel alone; 0 plays all."),
        Param("instruments", "choice", "all", choices=("all", "drums", "pitched", *FAMILIES),
              doc="Plays what these play: by the file's programs, drums by its rhythm parts."),
        *(Param(f"mute{n}", "switch", False, doc=f"Leaves part {n} out.") for n in range(1, SWITCHES + 1)),
        Param("begin", default=0.0, low=0.0, high=1e6, unit="beats", doc="Where it starts, and a loop returns to."),
        Param("end", default=0.0, low=0.0, high=1e6, unit="beats", doc="Where it ends or loops; 0 is the file's end."),
        Param("bar", default=4.0, low=0.0, high=64.0, unit="beats",
              doc="A start waits for the clock's next multiple of it; 0 starts at once."),
        Param("beat", default=0.0, low=0.0, high=64.0, unit="beats", doc="Beat of that bar on which it starts."),
        Param("start", "trigger", doc="Starts from begin, on the next bar."),
        Param("stop", "trigger", doc="Ends its notes and stays silent."),
        Param("position", default=0.0, low=-1e6, high=1e6, unit="beats", readonly=True, doc="Where it is in the file."),
        Param("parts", "int", 0, 0, 1024, readonly=True, doc="How many parts it has."),
        Param("dropped", "int", 0, 0, 2**31 - 1, readonly=True, doc="Events there was no room for in a block."),
    )  # fmt: skip

    def prepare(self, spec: StreamSpec) -> None:
        self._rate, self._block = spec.rate, spec.block
        path = str(self.settings["file"])
        self._score: SongScore | None = load(Path(path)) if path else None
        self._drums = self._score.drums if self._score else frozenset[int]()
        self._sounding: dict[Key, tuple[int, int]] = {}
        self._pedals: set[int] = set()
        self._bent: set[int] = set()
        self._dropped = 0
        self._all_off = False
        self._clear()

    def _clear(self) -> None:
        self._playing, self._over, self._wanted = False, False, True
        self._next = 0
        self._place = self._at = self._passed = 0.0
        self._speed, self._step = 1.0, 0.0
        self._beats = True
        self._expected = math.inf
        self._filter: tuple[object, ...] = ()

    def reset(self) -> None:
        # sounding notes are ended in the next block, which can emit events
        self._all_off = bool(self._sounding or self._pedals or self._bent)
        self._clear()

    def process(self, io: IO) -> None:
        score, time = self._score, io.time
        if score is None:
            return
        if self._all_off:
            self._all_off = False
            self._end_all(io, 0)
        self._step = time.tempo / (60.0 * self._rate)
        self._settle(score, io)
        if not time.playing:
            self._stop_with_clock(io)
            return
        if self._beats and self._playing and abs(time.beat - self._expected) > JUMP_BEATS:
            self._jump(score, io)
        self._expected = time.beat + self._step * io.frames
        at = 0
        starts, stops = io.fired("start"), io.fired("stop")
        for frame in sorted({*starts, *stops, io.frames}):
            self._run(score, io, at, frame)
            at = frame
            if frame in stops:
                self._end_all(io, frame)
                self._playing = self._wanted = False
            if frame in starts:
                self._wanted = True
        if self._playing:
            place = self._position(io, io.frames)
            io.report("position", place if self._beats else score.times.beat(place))
        io.report("parts", len(score.parts))
        if self._dropped:
            io.report("dropped", self._dropped)

    def _stop_with_clock(self, io: IO) -> None:
        """Stops the file when the clock stops, even if it plays at its own tempo."""
        if math.isfinite(self._expected):
            self._end_all(io, 0)
            if not self._beats:
                self._set_position_origin(io)
        if not self._beats:
            self._at = float(io.time.sample + io.frames)
        self._expected = math.inf
        if io.fired("stop"):
            self._playing = self._wanted = False
        if io.fired("start"):
            self._wanted = True

    def _position(self, io: IO, frame: float) -> float:
        """File position at a frame of this call, in beats or seconds of the file."""
        if self._beats:
            return self._place + (io.time.beat - self._at + frame * self._step) * self._speed
        return self._place + (io.time.sample + frame - self._at) / self._rate * self._speed

    def _set_position_origin(self, io: IO, place: float | None = None) -> None:
        """Sets the origin of positions at the first frame, to its present position or a given one.

        `_at` is a beat of the clock or, for exactness, a sample.
        """
        self._place = self._position(io, 0.0) if place is None else place
        self._at = io.time.beat if self._beats else float(io.time.sample)

    def _frame(self, io: IO, position: float) -> int:
        """Frame of this call, or of a later one, at which a position is reached."""
        away = position - self._position(io, 0.0)
        if self._beats:
            away /= self._step * self._speed
            return max(0, math.ceil(away - ROUNDING_FRAMES)) if away < _NEVER else _NEVER
        away *= self._rate / self._speed
        # rounded as `antiphon render` places the notes of a file
        return max(0, math.floor(away + 0.5 + ROUNDING_FRAMES)) if away < _NEVER else _NEVER

    def _part(self, score: SongScore, io: IO) -> tuple[float, float]:
        """Start and end positions of the played part."""
        begin, end = float(io.value("begin")), float(io.value("end"))
        begin = min(begin, score.length)
        end = min(end, score.length) if end >= begin + MIN_BEATS else score.length
        return (begin, end) if self._beats else (score.times.seconds(begin), score.times.seconds(end))

    def _jump(self, score: SongScore, io: IO) -> None:
        """Handles a clock jump: continues at the new position."""
        self._end_all(io, 0)
        begin, end = self._part(score, io)
        self._place, self._passed, self._over = self._place + self._passed, 0.0, False
        place = self._position(io, 0.0)
        if io.value("loop") and place >= end > begin:
            self._passed = (place - begin) // (end - begin) * (end - begin)
            self._place -= self._passed
        # a jump within a block is seen with the next one: what began between the two is played late, not left out
        back = -self._block if math.isfinite(self._expected) else 0
        self._next = score.place(max(begin, self._position(io, back)), beats=self._beats)
        self._chase(score, io, 0)

    def _settle(self, score: SongScore, io: IO) -> None:
        """Applies parameter changes; the host splits blocks there."""
        beats, speed = io.value("tempo") == "clock", float(io.value("speed"))
        if self._playing and (speed, beats) != (self._speed, self._beats):
            place = self._position(io, 0.0)
            if beats != self._beats:
                place = score.times.beat(place) if beats else score.times.seconds(place)
                self._passed = 0.0
            self._beats, self._speed = beats, speed
            self._set_position_origin(io, place)
        self._beats, self._speed = beats, speed
        chosen = (io.value("track"), io.value("channel"), io.value("instruments"), *(io.value(name) for name in _MUTES))
        if chosen != self._filter:
            self._filter = chosen
            for key in [key for key, (_, family) in self._sounding.items() if not self._plays(key[0], key[1], family)]:
                self._end(io, key, 0)

    def _plays(self, part: int, channel: int, family: int) -> bool:
        track, only, instruments, *mutes = self._filter
        if (track and part != track) or (only and channel != only) or (0 < part <= SWITCHES and mutes[part - 1]):
            return False
        match instruments:
            case "all":
                return True
            case "drums":
                return channel in self._drums
            case "pitched":
                return channel not in self._drums
        return family >= 0 and FAMILIES[family] == instruments

    def _run(self, score: SongScore, io: IO, first: int, last: int) -> None:
        """Plays frames `first` to `last` of this call, including a start due there."""
        if first == last:
            return
        if self._wanted:
            bar = float(io.value("bar"))
            here = io.time.beat + first * self._step
            # a start on a frame just behind the bar is on it
            beat = float(io.value("beat"))
            due = here if bar <= 0.0 else math.ceil((here - beat - 0.999 * self._step) / bar) * bar + beat
            frame = max(first, math.ceil((due - io.time.beat) / self._step - ROUNDING_FRAMES))
            if frame < last:
                self._play_on(score, io, first, frame)
                self._end_all(io, frame)
                self._playing, self._over, self._wanted, self._passed = True, False, False, 0.0
                self._place = self._part(score, io)[0]
                # on the clock the origin is the beat itself
                self._at = due if self._beats else float(io.time.sample + frame)
                self._next = score.place(self._place, beats=self._beats)
                self._chase(score, io, frame)
                first = frame
        self._play_on(score, io, first, last)

    def _play_on(self, score: SongScore, io: IO, first: int, last: int) -> None:
        if not self._playing or self._over:
            return
        events = score.events
        begin, end = self._part(score, io)
        while True:
            event = events[self._next] if self._next < len(events) else None
            at = math.inf if event is None else event.beat if self._beats else event.seconds
            # note-offs at the end still belong to it
            ended = at > end or (at == end and event is not None and event.kind != "off")
            frame = max(first, self._frame(io, end if ended else at))
            if frame >= last:
                return
            if not ended and event is not None:
                self._next += 1
                self._play(io, event, frame)
                continue
            self._end_all(io, frame)
            if not io.value("loop") or end <= begin:
                self._over = True
                return
            self._place -= end - begin
            self._passed += end - begin
            self._next = score.place(begin, beats=self._beats)
            self._chase(score, io, frame)

    def _play(self, io: IO, event: SongEvent, frame: int) -> None:
        channel = event.channel
        key = (event.part, channel, event.number)
        match event.kind:
            case "on":
                number = event.number if channel in self._drums else event.number + int(io.value("transpose"))
                velocity = min(1.0, event.value * float(io.value("velocity")))
                if key in self._sounding:
                    self._end(io, key, frame)
                if not 0 <= number <= 127 or velocity <= 0.0 or not self._plays(event.part, channel, event.family):
                    return
                if self._emit(io, Event("on", frame, number, velocity, channel)):
                    self._sounding[key] = number, event.family
            case "off":
                if key in self._sounding:
                    self._end(io, key, frame)
            case kind:
                if event.part and not self._plays(event.part, channel, event.family):
                    return
                if not self._emit(io, Event(kind, frame, event.number, event.value, channel)):
                    return
                if kind == "bend":
                    (self._bent.add if event.value else self._bent.discard)(channel)
                elif kind == "control" and event.number == PEDAL:
                    (self._pedals.add if event.value else self._pedals.discard)(channel)

    def _chase(self, score: SongScore, io: IO, frame: int) -> None:
        """Chases state: sends the programs, controllers and bends set by skipped events."""
        for event in score.state(self._next).values():
            self._play(io, event, frame)

    def _end(self, io: IO, key: Key, frame: int) -> None:
        number = self._sounding.pop(key)[0]
        for other, held in self._sounding.items():
            if other[1] == key[1] and held[0] == number:
                return  # another part holds the key
        # space is reserved by `_emit`
        io.emit(Event("off", frame, number, 0.0, key[1]))

    def _end_all(self, io: IO, frame: int) -> None:
        """Ends notes, releases pedals and centres bends."""
        for key in list(self._sounding):
            self._end(io, key, frame)
        for channel in sorted(self._pedals):
            io.emit(Event("control", frame, PEDAL, 0.0, channel))
        for channel in sorted(self._bent):
            io.emit(Event("bend", frame, 0, 0.0, channel))
        self._pedals.clear()
        self._bent.clear()

    def _emit(self, io: IO, event: Event) -> bool:
        """Emits an event; False if the block is full. A note-on also reserves its note-off."""
        if len(io.events_out) + len(self._sounding) + (2 if event.kind == "on" else 1) > MAX_EVENTS:
            self._dropped += 1
            return False
        io.emit(event)
        return True
