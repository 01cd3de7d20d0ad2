"""The processor `accompany`: a melody's notes in, piano notes out, on the engine's clock."""

from __future__ import annotations

import math
from collections.abc import Sequence

from antiphon.api import EVENTS_IN, EVENTS_OUT, IO, Event, FileUse, Param, Processor, StreamSpec
from antiphon_accompany.chords import KEYS, tones
from antiphon_accompany.harmony import PHASES, PHASES_AHEAD, HarmonyTracker
from antiphon_accompany.melody import LIVE_BEATS, Melody
from antiphon_accompany.player import Pianist, PianistSettings, Struck
from antiphon_accompany.styles import STYLES
from antiphon_accompany.tables import installed

_EARLY = 1e-6
"""Frames of tolerance for the rounding of a beat's frame."""
_JUMP = 0.25
"""Difference between expected and actual beat above which the clock was moved; a smaller one is a change of tempo."""
_NEVER = 1 << 60
BEND_REACH = 2
"""Semitones of a full pitch bend, as in MIDI."""
MOST = 16
"""Most sounding notes; the oldest is ended to make room."""


class Accompany(Processor):
    """Plays piano under a melody. The notes of a beat are decided from the melody before it."""

    inputs = (EVENTS_IN,)
    outputs = (EVENTS_OUT,)
    on_files = FileUse("antiphon_accompany.jobs:run", beside=("report",))
    params = (
        Param("style", "choice", "auto", choices=STYLES, doc="The pattern; auto chooses by meter, tempo and loudness."),
        Param("density", default=0.5, low=0.0, high=1.0, doc="Notes: 0.5 is a pianist's, 1 over twice as many."),
        Param("register", "int", 0, -24, 24, unit="semitones", doc="Moves both hands."),
        Param("key", "choice", "auto", choices=("auto", *KEYS), doc="A fixed key; auto estimates it."),
        Param("meter", "int", 4, 2, 7, unit="beats", doc="In a bar; bars begin at whole multiples of it."),
        Param("humanise", default=0.5, low=0.0, high=1.0, doc="Variation of velocity; timing is not changed."),
        Param("patience", "int", 8, 1, 64, unit="bars", doc="Live: bars played on without a melody."),
        Param("lookahead", "int", 8, 0, 16, unit="bars", doc="In files: melody used ahead of the beat."),
        Param("seed", "int", 1, 0, 65535, doc="Of the random choices."),
        Param(
            "chord",
            "int",
            0,
            -1,
            23,
            unit="chord",
            readonly=True,
            doc="Its chord: C to B major 0 to 11, minor 12 to 23.",
        ),
        Param("tonic", "int", 0, 0, 23, unit="chord", readonly=True, doc="The estimated key, in the same numbers."),
    )

    def prepare(self, spec: StreamSpec) -> None:
        self._rate = spec.rate
        self._tables = installed()
        self._player = Pianist()
        self._manner = PianistSettings()
        self._melody = Melody()
        self._known: Melody | None = None
        self._ends = self._opening = 0
        self._sounding: dict[int, float] = {}
        self._tracker: HarmonyTracker | None = None
        self._held: tuple[int, str] = (0, "")
        self._bent = 0
        self._all_off = False
        self._due: list[Struck] = []
        self._next: int | None = None
        self._expected: float | None = None
        self._known_until: int | None = None
        self._clear()

    def set_melody(self, melody: Melody, ends: int, opening: int = 0) -> None:
        """Sets a file's melody, of which `lookahead` bars are used. Call after `prepare`, before the first block.

        The same notes must come in as events as well.

        Args:
            melody: The melody.
            ends: Beat up to which it is known.
            opening: Up to this beat the whole melody before it is known, unless `lookahead` is 0.
        """
        self._known, self._ends, self._opening = melody, ends, opening

    def reset(self) -> None:
        # what sounds is ended with the next block, which has a way out for it
        self._all_off = bool(self._sounding)
        self._clear()
        self._player.reset()
        self._tracker = None

    def process(self, io: IO) -> None:
        time, events = io.time, io.events_in
        per_frame = time.tempo / 60.0 / self._rate
        moved = self._expected is not None and abs(time.beat - self._expected) > _JUMP
        if self._all_off or moved or not time.playing:
            self._end_all(io, 0)
            self._all_off = False
        if not time.playing:
            self._while_stopped(events)
            return
        if moved:
            self._clear()
        self._expected = time.beat + per_frame * io.frames
        if self._next is None:
            self._next = math.ceil(time.beat - _EARLY * per_frame)
            self._begin(self._next, time.beat)
        at = 0
        # order at one frame: ends of notes, the beat's chord, the melody's note, beginnings of notes
        while True:
            next_offset = events[at].offset if at < len(events) else _NEVER
            ends = min(self._sounding.values(), default=math.inf)
            starts = self._due[0].start if self._due else math.inf
            when = [self._frame(t, time.beat, per_frame) for t in (ends, self._next, starts)]
            first = min(*when, next_offset)
            if first >= io.frames:
                return
            if when[0] == first:
                self._end_due(io, first, ends)
            elif when[1] == first:
                self._decide(io, first, time.tempo)
            elif next_offset == first:
                self._on_event(io, events[at], time.beat + per_frame * next_offset)
                at += 1
            else:
                self._strike(io, first, self._due.pop(0))

    def _frame(self, beat: float, now: float, per_frame: float) -> int:
        if beat == math.inf:
            return _NEVER
        return max(0, math.ceil((beat - now) / per_frame - _EARLY))

    def _settle(self, io: IO, frame: int) -> HarmonyTracker:
        """Reads the parameters at a frame."""
        manner = self._manner
        manner.style = str(io.at("style", frame))
        manner.density = float(io.at("density", frame))
        manner.register = int(io.at("register", frame))
        manner.humanise = float(io.at("humanise", frame))
        manner.seed = int(io.at("seed", frame))
        held = int(io.at("meter", frame)), str(io.at("key", frame))
        if self._tracker is None or held != self._held:
            self._held = held
            phases = PHASES_AHEAD if self._known is not None and int(io.at("lookahead", frame)) else PHASES
            key = KEYS.index(held[1]) if held[1] != "auto" else None
            self._tracker = HarmonyTracker(self._tables, held[0], key, phases)
            self._known_until = None
        return self._tracker

    def _begin(self, beat: int, now: float) -> None:
        """Handles a new position of the clock: the beats before it were silent."""
        self._since = 0 if self._known is not None else beat - 1
        self._known_until = None
        self._player.listener.last = min(self._player.listener.last, now)
        self._melody.clear(beat - 1)
        for pitch in self._player.listener.sounding:
            self._melody.on(pitch, now)
            self._player.listener.last = now

    def _decide(self, io: IO, frame: int, tempo: float) -> None:
        """Decides chord and notes of the beat that begins, from the melody before it."""
        beat, tracker, player = self._next, self._settle(io, frame), self._player
        assert beat is not None
        self._next = beat + 1
        meter = self._held[0]
        self._melody.until(beat)
        ahead = self._ahead(beat, int(io.at("lookahead", frame)) * meter)
        melody = self._known or self._melody
        # a new tracker (another key, another meter) is given the stored melody again
        first = max(self._since, beat - LIVE_BEATS // 4) if self._known_until is None else self._known_until
        if self._known is not None and self._known_until is None:
            first = self._since
        for past in range(first, beat + ahead):
            tracker.add_beat(melody, past)
        self._known_until = max(first, beat + ahead)
        chances = tracker.decide(melody, beat, ahead)
        if not self._awake(beat, meter * int(io.at("patience", frame))):
            player.chord = None
            io.report("chord", -1)
            return
        chord = int(chances.argmax())
        io.report("chord", chord)
        io.report("tonic", tracker.key)
        if chord != player.chord:
            self._end_strange(io, frame, chord)
        self._due += player.beat(beat, meter, tempo, chord, self._manner)

    def _ahead(self, beat: int, wanted: int) -> int:
        """Beats from `beat` on for which the melody is known."""
        if self._known is None:
            return 0
        if wanted and beat < self._opening:
            wanted = max(wanted, self._opening - beat)
        return min(wanted, max(0, self._ends - beat))

    def _awake(self, beat: int, patience: int) -> bool:
        """Whether to play: a melody has been played within `patience` beats, or a file has not ended."""
        if self._known is not None:
            return beat < self._ends
        # what is held for longer was most likely never ended
        return beat - self._player.listener.last <= patience

    def _on_event(self, io: IO, event: Event, beat: float) -> None:
        listener = self._player.listener
        number = self._bent_number(event)
        if event.kind == "on" and event.value > 0.0:
            listener.on(number, event.value, beat)
            self._melody.on(number, beat)
            self._make_room(io, number, event.offset)
        elif event.kind in ("on", "off"):
            listener.off(number, beat)
            self._melody.off(number, beat)
        elif event.kind == "bend" and (by := self._bend(event)):
            # so that a note is not moved onto one that is still to be moved
            for pitch in sorted(listener.sounding, reverse=by > 0):
                listener.move(pitch, pitch + by)
                self._melody.move(pitch, pitch + by)
                self._make_room(io, pitch + by, event.offset)

    def _make_room(self, io: IO, number: int, frame: int) -> None:
        """Ends what clashes with a note of the melody."""
        for pitch in [p for p in self._sounding if p == number or self._player.clashes(p)]:
            self._end(io, pitch, frame)

    def _bent_number(self, event: Event) -> int:
        """The number of an event's note, bent as it is now, 0 to 127."""
        return min(127, max(0, event.number + self._bent))

    def _bend(self, event: Event) -> int:
        """Takes a bend; returns the semitones by which it moves what sounds."""
        before, self._bent = self._bent, round(BEND_REACH * event.value)
        sounding = self._player.listener.sounding
        by = self._bent - before
        return by if all(0 <= pitch + by <= 127 for pitch in sounding) else 0

    def _strike(self, io: IO, frame: int, note: Struck) -> None:
        if self._player.clashes(note.pitch) or self._player.taken(note.pitch):
            return
        if note.pitch in self._sounding:
            self._end(io, note.pitch, frame)
        elif len(self._sounding) >= MOST:
            self._end(io, next(iter(self._sounding)), frame)
        io.emit(Event("on", frame, note.pitch, note.velocity))
        self._sounding[note.pitch] = note.end

    def _end(self, io: IO, pitch: int, frame: int) -> None:
        del self._sounding[pitch]
        io.emit(Event("off", frame, pitch))

    def _end_due(self, io: IO, frame: int, beat: float) -> None:
        for pitch in [p for p, end in self._sounding.items() if end <= beat]:
            self._end(io, pitch, frame)

    def _end_strange(self, io: IO, frame: int, chord: int) -> None:
        """Ends sounding notes that are not tones of the chord."""
        belongs = tones(chord)
        for pitch in [p for p in self._sounding if p % 12 not in belongs]:
            self._end(io, pitch, frame)

    def _end_all(self, io: IO, frame: int) -> None:
        for pitch in list(self._sounding):
            self._end(io, pitch, frame)

    def _while_stopped(self, events: Sequence[Event]) -> None:
        """Tracks held notes while the clock is stopped."""
        self._clear()
        for event in events:
            number = self._bent_number(event)
            if event.kind == "on" and event.value > 0.0:
                self._player.listener.on(number, event.value, self._player.listener.last)
            elif event.kind in ("on", "off"):
                self._player.listener.off(number, self._player.listener.last)
            elif event.kind == "bend" and (by := self._bend(event)):
                for pitch in sorted(self._player.listener.sounding, reverse=by > 0):
                    self._player.listener.move(pitch, pitch + by)

    def _clear(self) -> None:
        """Clears the position and the pending notes."""
        self._due.clear()
        self._next = self._expected = self._known_until = None
        self._since = 0
        self._player.rest()
