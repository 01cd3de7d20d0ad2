"""The processor `accompany`: a player's notes in, a band's notes out, on the engine's clock."""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from antiphon.api import (
    EVENTS_IN,
    EVENTS_OUT,
    IO,
    Event,
    FileUse,
    Param,
    PluginError,
    Port,
    Processor,
    StreamSpec,
)
from antiphon_accompany.chords import KEYS, Chord, recognise, triad_chord
from antiphon_accompany.chordtext import Span, spans_of
from antiphon_accompany.form import CALLS, CLOSE, VARIATIONS, Form
from antiphon_accompany.harmony import PHASES, PHASES_AHEAD, HarmonyTracker
from antiphon_accompany.melody import LIVE_BEATS, Melody
from antiphon_accompany.player import Band, BandSettings, Due
from antiphon_accompany.styles import LEFT, PARTS, STYLES, load
from antiphon_accompany.tables import installed_tables

_EARLY = 1e-6
"""Frames of tolerance for the rounding of a beat's frame."""
_JUMP = 0.25
"""Difference between expected and actual beat above which the clock was moved; a smaller one is a change of tempo."""
_NEVER = 1 << 60
BEND_REACH = 2
"""Semitones of a full pitch bend, as in MIDI."""
MOST = 64
"""Most sounding notes; the oldest is ended to make room."""
FOLLOWED = ("melody", "chords", "both", "text", "listen")
CHANNELS = {"piano": 1, "guitar": 2, "bass": 3, "drums": 10, "pad": 4}
"""The MIDI channel of each part."""
PART_OF = {channel: part for part, channel in CHANNELS.items()}
NEXT = 4
"""Chords published ahead."""
_TURN = "turn"
"""Lane of a change of chord between two beats, among the strikes to come."""
_SOON = 0.3
"""Beats before a strike of its own within which a part does not strike again for a new chord."""
_Key = tuple[int, int]
"""Channel and number of a note."""


class Accompany(Processor):
    """Plays a band under a melody or on chords. The notes of a beat are decided from what was played before it."""

    inputs = (EVENTS_IN,)
    outputs = (EVENTS_OUT, *(Port(part, "events", midi=CHANNELS[part]) for part in PARTS))
    on_files = FileUse("antiphon_accompany.jobs:run", beside=("report", "chords-out"))
    params = (
        Param("style", "choice", "auto", choices=STYLES, doc="The pattern; auto chooses by meter, tempo and loudness."),
        Param("own", "file", "", doc="A style file (TOML) of your own, played in place of `style`."),
        Param("parts", "text", "piano", doc=f"Parts that play, with commas between: {', '.join(PARTS)}."),
        Param(
            "follow",
            "choice",
            "melody",
            choices=FOLLOWED,
            doc="Where its chords are from: estimated from the "
            "melody, the keys below `split`, these before the melody, `chords`, or all notes, as of a `listen`.",
        ),
        Param(
            "chords", "text", "", doc="Bars of chords for follow=text, between vertical lines; a loop from beat 0 on."
        ),
        Param("split", "int", 60, 0, 127, doc="Keys below it are the left hand, for follow=chords and both."),
        Param("density", default=0.5, low=0.0, high=1.0, doc="Note density: 1 plays all of a pattern."),
        Param("intensity", default=0.5, low=0.0, high=1.0, doc="From the pattern's low intensity to its high one."),
        Param("complexity", default=0.5, low=0.0, high=1.0, doc="Variation between bars, and sevenths of its own."),
        Param(
            "variation",
            "choice",
            "auto",
            choices=VARIATIONS,
            doc="The section; auto alternates every 8 bars, a fill before each.",
        ),
        Param("fill", "trigger", doc="Plays a fill from the next beat to the end of the bar."),
        Param("break", "trigger", doc="Strikes once at the next bar and rests for the bar."),
        Param("ending", "trigger", doc="Ends with a cadence of two bars, from the next bar on."),
        Param("register", "int", 0, -24, 24, unit="semitones", doc="Transposes all parts but the drums."),
        Param("key", "choice", "auto", choices=("auto", *KEYS), doc="A fixed key; auto estimates it."),
        Param("meter", "int", 4, 2, 7, unit="beats", doc="Beats of a bar; bars begin at whole multiples of it."),
        Param("humanise", default=0.5, low=0.0, high=1.0, doc="Variation of velocity and timing; 0 is on the grid."),
        Param("patience", "int", 8, 1, 64, unit="bars", doc="Live: bars played on without a note, before the ending."),
        Param("lookahead", "int", 8, 0, 16, unit="bars", doc="In files: melody used ahead of the beat."),
        Param("seed", "int", 1, 0, 65535, doc="Random seed."),
        *(
            p
            for part in PARTS
            for p in (
                Param(f"{part}_level", default=1.0, low=0.0, high=2.0, doc=f"Factor of the velocities of the {part}."),
                Param(f"{part}_mute", "switch", False, doc=f"Silences the {part}."),
                Param(f"{part}_solo", "switch", False, doc=f"Silences all parts but the {part}, and others in solo."),
            )
        ),
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
        *(
            Param(
                f"next{n}",
                "int",
                -1,
                -1,
                23,
                unit="chord",
                readonly=True,
                doc=f"Chord {n} after its chord; -1: none is known.",
            )
            for n in range(1, NEXT + 1)
        ),
    )

    def prepare(self, spec: StreamSpec) -> None:
        self._rate = spec.rate
        self._tables = installed_tables()
        self._band = Band()
        self._asked = BandSettings(parts=parts_of(str(self.settings["parts"])))
        own = str(self.settings["own"])
        self._asked.own = load(Path(own)) if own else None
        text = str(self.settings["chords"])
        # a bar of the text is one of the node's; its length follows `meter`
        self._text = spans_of(text, 1.0) if text.strip() else []
        self._spans: Sequence[Span] = ()
        self._melody = Melody()
        self._known: Melody | None = None
        self._ends = self._opening = 0
        self._sounding: dict[_Key, Due] = {}
        self._tracker: HarmonyTracker | None = None
        self._held: tuple[int, str] = (0, "")
        self._form = Form()
        self._over = False
        self._zone: dict[int, float] = {}
        self._given: Chord | None = None
        self._given_at = -math.inf
        self.played: list[tuple[float, Chord | None]] = []
        self._bent = 0
        self._all_off = False
        self._due: list[Due] = []
        self._next: int | None = None
        self._expected: float | None = None
        self._known_until: int | None = None
        self._clear()

    def set_melody(self, melody: Melody, ends: int, opening: int = 0, spans: Sequence[Span] = ()) -> None:
        """Sets a file's melody, of which `lookahead` bars are used. Call after `prepare`, before the first block.

        The same notes must come in as events as well.

        Args:
            melody: The melody.
            ends: Beat up to which it is known.
            opening: Up to this beat the whole melody before it is known, unless `lookahead` is 0.
            spans: Chords that are given, by beats of the clock; with them `follow` is of no effect.
        """
        self._known, self._ends, self._opening, self._spans = melody, ends, opening, spans

    def reset(self) -> None:
        # what sounds is ended with the next block, which has a way out for it
        self._all_off = bool(self._sounding)
        self._clear()
        self._band.reset()
        self._zone.clear()
        self._given = None
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
        for call in CALLS:
            if io.fired(call):
                self._form.called.add(call)
        self._expected = time.beat + per_frame * io.frames
        if self._next is None:
            self._next = math.ceil(time.beat - _EARLY * per_frame)
            self._begin(self._next, time.beat)
        at = 0
        # order at one frame: ends of notes, the beat's chord, the player's note, beginnings of notes
        while True:
            next_offset = events[at].offset if at < len(events) else _NEVER
            ends = min((note.end for note in self._sounding.values()), default=math.inf)
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
        asked = self._asked
        asked.style = str(io.at("style", frame))
        asked.density = float(io.at("density", frame))
        asked.intensity = float(io.at("intensity", frame))
        asked.complexity = float(io.at("complexity", frame))
        asked.register = int(io.at("register", frame))
        asked.humanise = float(io.at("humanise", frame))
        asked.seed = int(io.at("seed", frame))
        solo = any(io.at(f"{part}_solo", frame) for part in PARTS)
        for part in PARTS:
            silent = io.at(f"{part}_mute", frame) or (solo and not io.at(f"{part}_solo", frame))
            asked.levels[part] = 0.0 if silent else float(io.at(f"{part}_level", frame))
        for key in [key for key in self._sounding if not asked.levels[PART_OF[key[0]]]]:
            self._end(io, key, frame)
        held = int(io.at("meter", frame)), str(io.at("key", frame))
        if self._tracker is None or held != self._held:
            self._held = held
            live = self._known is None or not int(io.at("lookahead", frame))
            phases = PHASES if live else PHASES_AHEAD
            tonic = KEYS.index(held[1]) if held[1] != "auto" else None
            self._tracker = HarmonyTracker(self._tables, held[0], tonic, phases, live=live)
            self._known_until = None
        return self._tracker

    def _begin(self, beat: int, now: float) -> None:
        """Handles a new position of the clock: the beats before it were silent."""
        self._since = 0 if self._known is not None else beat - 1
        self._known_until = None
        listener = self._band.listener
        listener.last = min(listener.last, now)
        self._melody.clear(beat - 1)
        for pitch in (*listener.sounding, *self._zone):
            self._melody.on(pitch, now)
            listener.last = now

    def _decide(self, io: IO, frame: int, tempo: float) -> None:
        """Decides chord and notes of the beat that begins, from what was played before it."""
        beat, tracker, band = self._next, self._settle(io, frame), self._band
        assert beat is not None
        self._next = beat + 1
        meter = self._held[0]
        follow = str(io.at("follow", frame))
        estimate = self._estimate(tracker, beat, int(io.at("lookahead", frame)) * meter)
        bar, place = divmod(beat, meter)
        if not self._awake(beat, bar, place, meter * int(io.at("patience", frame)), follow):
            self._form.clear()
            band.chord = None
            io.report("chord", -1)
            self._publish(io, [])
            self._end_all(io, frame)
            self._due.clear()
            return
        last = None if self._known is None else (self._ends - 1) // meter
        section, number = self._form.section(bar, place, str(io.at("variation", frame)), last)
        chord, ahead = self._chord(follow, beat, meter, estimate, tracker)
        if section == "ending" and last is None and self._text_at(beat, meter, follow) is None:
            chord = self._cadence(number, tracker.key)
            ahead = [self._cadence(1, tracker.key)] if number == 0 else []
        io.report("tonic", tracker.key)
        self._publish(io, ahead)
        if chord is None and band.chord is None and follow in ("chords", "listen") and not self._spans:
            io.report("chord", -1)
            return
        before = band.chord
        again = self._turn(io, frame, beat, chord)
        found = band.beat(beat, meter, tempo, section, number, self._asked)
        if chord is not None and chord != before:
            found += self._expressed(beat, found, again, before is not None, section)
        for due in found:
            if self._asked.levels[due.part]:
                insort(self._due, due)
        spans = self._spans or (self._loop(beat, meter) if follow == "text" else ())
        for span in spans:
            if beat < span.start < beat + 1:
                insort(self._due, Due(span.start, "", _TURN, 0.0, span.end))

    def _estimate(self, tracker: HarmonyTracker, beat: int, wanted: int) -> int:
        """The triad that fits the melody at a beat best."""
        self._melody.until(beat)
        ahead = self._ahead(beat, wanted)
        melody = self._known or self._melody
        # a new tracker (another key, another meter) is given the stored melody again
        first = max(self._since, beat - LIVE_BEATS // 4) if self._known_until is None else self._known_until
        if self._known is not None and self._known_until is None:
            first = self._since
        for past in range(first, beat + ahead):
            tracker.add_beat(melody, past)
        self._known_until = max(first, beat + ahead)
        return int(tracker.decide(melody, beat, ahead).argmax())

    def _chord(
        self, follow: str, beat: int, meter: int, estimate: int, tracker: HarmonyTracker
    ) -> tuple[Chord | None, list[Chord]]:
        """The chord of a beat, and those that come."""
        if (text := self._text_at(beat, meter, follow)) is not None:
            return text
        recent = bool(self._zone) or beat - self._given_at <= meter
        if follow in ("chords", "listen") or (follow == "both" and self._given is not None and recent):
            return self._given, []
        coloured = self._asked.complexity >= self._band.style.colour
        chords = [estimate, *tracker.forecast(beat, 2 * meter)] if beat % 2 == 0 else [estimate]
        made = [_coloured(c, tracker.key) if coloured else triad_chord(c) for c in chords]
        return made[0], [b for a, b in pairwise(made) if a != b]

    def _text_at(self, beat: float, meter: int, follow: str) -> tuple[Chord | None, list[Chord]] | None:
        """The given chord at a beat and the next ones; None where none are given."""
        spans = self._spans or (self._loop(beat, meter) if follow == "text" else ())
        if not spans:
            return None
        now = next((s.chord for s in spans if s.start <= beat + 1e-6 < s.end), None)
        ahead: list[Chord] = []
        for span in spans:
            if span.start > beat + 1e-6 and span.chord and span.chord != (ahead[-1] if ahead else now):
                ahead.append(span.chord)
                if len(ahead) == NEXT:
                    break
        return now, ahead

    def _loop(self, beat: float, meter: int) -> list[Span]:
        """The text's chords from the round in which a beat is on, for two rounds."""
        if not self._text:
            return []
        length = math.ceil(self._text[-1].end - 1e-6)
        first = math.floor(beat / meter / length) * length
        return [
            Span((s.start + shift) * meter, (s.end + shift) * meter, s.chord)
            for shift in (first, first + length)
            for s in self._text
        ]

    def _cadence(self, number: int, key: int) -> Chord:
        """Chords of an ending: the dominant, then the tonic."""
        return triad_chord(key) if number % CLOSE else Chord((key + 7) % 12, "7", (key + 7) % 12)

    def _publish(self, io: IO, ahead: Sequence[Chord]) -> None:
        for n in range(NEXT):
            io.report(f"next{n + 1}", ahead[n].triad if n < len(ahead) else -1)

    def _ahead(self, beat: int, wanted: int) -> int:
        """Beats from `beat` on for which the melody is known."""
        if self._known is None:
            return 0
        if wanted and beat < self._opening:
            wanted = max(wanted, self._opening - beat)
        return min(wanted, max(0, self._ends - beat))

    def _awake(self, beat: int, bar: int, place: int, patience: int, follow: str) -> bool:
        """Whether to play: something has been played within `patience` beats, or a file has not ended."""
        if self._known is not None:
            return beat < self._ends
        form, last = self._form, self._band.listener.last
        if bar >= form.closes + CLOSE:
            self._over = True
            # what is played from here on begins anew
            self._silent_since = float(beat)
            form.clear()
        if self._over:
            self._over = last < self._silent_since
        if self._over:
            return False
        if follow == "text" and self._text:
            return True
        # what is held for longer was most likely never ended
        if beat - last > patience and form.begun is not None and bar < form.closes:
            if place:
                return True
            form.closes = bar
        return beat - last <= patience or bar >= form.closes

    def _turn(self, io: IO, frame: int, beat: float, chord: Chord | None) -> set[str]:
        """Goes to a chord: what sounds and is not of it ends and, where it has long to go, is struck again on it.

        Returns:
            The parts that are struck again.
        """
        band = self._band
        before = band.chord
        if chord == before:
            return set()
        again: set[str] = set()
        if chord is None:
            band.chord = None
            for key in [key for key in self._sounding if PART_OF[key[0]] != "drums"]:
                self._end(io, key, frame)
        else:
            band.set_chord(chord, self._asked.register)
            io.report("chord", chord.triad)
            allowed = {*chord.tones, chord.bass}
            for key, note in list(self._sounding.items()):
                part = note.part
                if part == "drums" or (
                    key[1] in band.pitches(part, note.what) if note.what in LEFT else key[1] % 12 in allowed
                ):
                    continue
                self._end(io, key, frame)
                near = any(due.part == part and due.start < beat + _SOON for due in self._due)
                if note.end - beat > _SOON and not near:
                    again.add(part)
                    insort(self._due, Due(beat, part, note.what, note.velocity, note.end))
        self._note(beat, chord)
        return again

    def _note(self, beat: float, chord: Chord | None) -> None:
        """Keeps the chords that a file has had."""
        if self._known is not None:
            self.played.append((beat, chord))

    def _expressed(self, beat: int, found: Sequence[Due], again: set[str], going: bool, section: str) -> list[Due]:
        """Strikes for a new chord on a beat on which a part has none of its own."""
        band, made = self._band, []
        if section == "break":
            return []
        for part in band.bars:
            if part == "drums" or part in again or any(d.part == part and d.start < beat + _SOON for d in found):
                continue
            lanes = ["voice2", "voice3"] if part != "bass" and going else []
            alone = part == "bass" or (part == "piano" and "bass" not in band.bars)
            for what in (["root"] if alone else []) + lanes:
                loud = 0.9 * band.listener.loudness * 0.72 * self._asked.levels.get(part, 1.0)
                made.append(Due(float(beat), part, what, max(0.05, min(1.0, loud)), beat + 1.0))
        return made

    def _on_event(self, io: IO, event: Event, beat: float) -> None:
        number = self._bent_number(event)
        offset = min(event.offset, io.frames - 1)
        follow = str(io.at("follow", offset))
        left = follow == "listen" or (follow in ("chords", "both") and number < int(io.at("split", offset)))
        if number in self._zone or (left and event.kind == "on"):
            self._on_chord(io, event, number, beat)
            return
        listener = self._band.listener
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

    def _on_chord(self, io: IO, event: Event, number: int, beat: float) -> None:
        """A key of the left hand: once three of them are a chord, it is played at once, and stays when they go up."""
        listener = self._band.listener
        listener.last = max(listener.last, beat)
        if event.kind == "on" and event.value > 0.0:
            self._zone[number] = beat
            self._melody.on(number, beat)
            if not listener.sounding:
                listener.loudness += 0.2 * (event.value - listener.loudness)
            found = recognise(self._zone)
            if found is not None:
                self._given, self._given_at = found, beat
                playing = self._form.begun is not None and self._form.closes > beat / max(1, self._held[0])
                if playing and self._band.chord not in (None, found):
                    self._turn(io, event.offset, beat, found)
        elif event.kind in ("on", "off"):
            self._zone.pop(number, None)
            self._melody.off(number, beat)

    def _make_room(self, io: IO, number: int, frame: int) -> None:
        """Ends what clashes with a note of the melody."""
        for key in [k for k, n in self._sounding.items() if n.part != "drums"]:
            if key[1] == number or self._band.clashes(key[1]):
                self._end(io, key, frame)

    def _bent_number(self, event: Event) -> int:
        """The number of an event's note, bent as it is now, 0 to 127."""
        return min(127, max(0, event.number + self._bent))

    def _bend(self, event: Event) -> int:
        """Takes a bend; returns the semitones by which it moves what sounds."""
        before, self._bent = self._bent, round(BEND_REACH * event.value)
        sounding = self._band.listener.sounding
        by = self._bent - before
        return by if all(0 <= pitch + by <= 127 for pitch in sounding) else 0

    def _strike(self, io: IO, frame: int, due: Due) -> None:
        band = self._band
        if due.what == _TURN:
            text = self._text_at(due.start, self._held[0], "text")
            if text is not None:
                self._turn(io, frame, due.start, text[0])
            return
        channel = CHANNELS[due.part]
        for pitch in band.pitches(due.part, due.what):
            if due.part != "drums" and (band.clashes(pitch) or band.taken(pitch)):
                continue
            if (channel, pitch) in self._sounding:
                self._end(io, (channel, pitch), frame)
            elif len(self._sounding) >= MOST:
                self._end(io, next(iter(self._sounding)), frame)
            io.emit(Event("on", frame, pitch, due.velocity, channel))
            self._sounding[channel, pitch] = due

    def _end(self, io: IO, key: _Key, frame: int) -> None:
        del self._sounding[key]
        io.emit(Event("off", frame, key[1], channel=key[0]))

    def _end_due(self, io: IO, frame: int, beat: float) -> None:
        for key in [k for k, note in self._sounding.items() if note.end <= beat]:
            self._end(io, key, frame)

    def _end_all(self, io: IO, frame: int) -> None:
        for key in list(self._sounding):
            self._end(io, key, frame)

    def _while_stopped(self, events: Sequence[Event]) -> None:
        """Tracks held notes while the clock is stopped."""
        self._clear()
        listener = self._band.listener
        for event in events:
            number = self._bent_number(event)
            if event.kind == "on" and event.value > 0.0:
                listener.on(number, event.value, listener.last)
            elif event.kind in ("on", "off"):
                listener.off(number, listener.last)
                self._zone.pop(number, None)
            elif event.kind == "bend" and (by := self._bend(event)):
                for pitch in sorted(listener.sounding, reverse=by > 0):
                    listener.move(pitch, pitch + by)

    def _clear(self) -> None:
        """Clears the position and the pending notes."""
        self._due.clear()
        self._next = self._expected = self._known_until = None
        self._since = 0
        self._silent_since = 0.0
        self._over = False
        self._form.clear()
        self._band.rest()


def parts_of(text: str) -> tuple[str, ...]:
    """The parts of a text, in the order of `styles.PARTS`; all for "all". Raises PluginError for another."""
    words = {word.strip() for word in text.split(",")} - {""}
    if words == {"all"}:
        return PARTS
    if not words or (odd := sorted(words - set(PARTS))):
        raise PluginError(f"parts takes {', '.join(PARTS)} with commas between, or all, not {(odd or [text])[0]!r}")
    return tuple(part for part in PARTS if part in words)


def _coloured(triad: int, key: int) -> Chord:
    """A triad with the seventh that it has in a key; as it is where it is not of the key."""
    degree = (triad - key) % 12
    minor = key >= 12
    sevenths = {0: "maj7", 5: "maj7", 7: "7", 14: "m7", 16: "m7", 21: "m7"}
    if minor:
        sevenths = {12: "m7", 17: "m7", 19: "m7", 7: "7", 3: "maj7", 8: "maj7", 10: "7"}
    kind = sevenths.get(triad // 12 * 12 + degree)
    return triad_chord(triad) if kind is None else Chord(triad % 12, kind, triad % 12)
