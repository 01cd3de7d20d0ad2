"""Processor `accompany`: a player's notes in, a band's notes out, on the engine's clock."""

import math
from bisect import insort
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from antiphon.api import EVENTS_OUT, IO, Event, FileUse, Param, Port, Processor, Step, StreamSpec
from antiphon.api.kernels import NextEventTimer
from antiphon_accompany.band.form import CALLS, VARIATIONS, Form
from antiphon_accompany.band.parts import CHANNELS, PART_OF, VOLUME, volume
from antiphon_accompany.band.player import RESTRIKE_GAP, Band, BandSettings, PendingStrike, PlayerBend, SoundingStrikes
from antiphon_accompany.band.styles import LEFT_HAND_LANES, NAMES, PARTS, STYLES, VOICES, load, parts_of, shipped_style
from antiphon_accompany.harmony.chords import KEYS, Chord, implied_chord, recognise, triad_chord
from antiphon_accompany.harmony.chordtext import CHORDS_AHEAD, ChordSpan, GivenChords, Progression, add_seventh, cadence
from antiphon_accompany.harmony.melody import Melody
from antiphon_accompany.harmony.melody_chords import MIN_WHOLE_LOOKAHEAD, MelodyChords
from antiphon_accompany.harmony.tracker import HarmonyTracker

# ---- Parameter declarations of `accompany`

MOST_ALONE = 9999
"""Maximum number of counted notes before the first chord."""

WAITS = ("no", "chord", "note")
FOLLOW_MODES = ("melody", "chords", "both", "text", "listen")
PARAMS = (
    Param("style", "choice", "auto", choices=STYLES, doc="The pattern; auto chooses by meter, tempo and loudness."),
    Param("own", "file", "", holds="a style file", doc="A style file (TOML) of your own, played in place of `style`."),
    Param("parts", "text", "piano", doc=f"Parts that play, with commas between: {', '.join(PARTS)}."),
    Param(
        "follow",
        "choice",
        "melody",
        choices=FOLLOW_MODES,
        doc="Where its chords are from: estimated from the "
        "melody, the keys below `split`, these before the melody, `chords`, or all notes, as of a `listen`.",
    ),
    Param(
        "chords",
        "text",
        "",
        doc="Bars of chords for follow=text, as | C Am |; in files also `file`: the chords that IN has.",
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
    Param(
        "lookahead",
        "int",
        MIN_WHOLE_LOOKAHEAD,
        0,
        16,
        unit="bars",
        doc="In files: melody used ahead; from 8 on, all of it.",
    ),
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
    Param("waits", "choice", "no", choices=WAITS, readonly=True, doc="What it is silent until it gets."),
    Param(
        "alone",
        "int",
        0,
        0,
        MOST_ALONE,
        readonly=True,
        doc="Notes from `split` on before its first chord; chords are played below that (60: middle C), and the patch "
        "duo accompanies a tune without any.",
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
        for n in range(1, CHORDS_AHEAD + 1)
    ),
)


# ---- Processor `accompany`: a player's notes in, a band's notes out, on the engine's clock

_EARLY = 1e-6
"""Frames of tolerance for the rounding of a beat's frame."""
_JUMP = 0.25
"""Difference in beats between expected and actual position that counts as a jump; a smaller one is a tempo change."""
_MEMORY, _MOST = 16, 1024
"""Beats before the clock starts whose notes count, and the maximum number of their events."""
_FORESEEN = 10
"""Number of blocks before a beat over which its chord is computed."""
_NEVER = 1 << 60
_TURN, _HELD = "turn", "held"
"""Lanes of a chord change between two beats, among pending strikes: by the text, by fewer keys than a chord."""
_ROLLED, _ON_BEAT = 0.125, 0.005
"""Delay in beats after which one or two keys count as a chord; on a beat they count at once."""


class Accompany(Processor):
    """Plays a band under a melody or on chords. The notes of a beat depend on the input before it."""

    inputs = (Port("notes", "events", held=True),)
    outputs = (EVENTS_OUT, *(Port(part, "events", midi=CHANNELS[part]) for part in PARTS))
    on_files = FileUse(
        "antiphon_accompany.files.jobs:run", beside=("report", "chords-out", "roll"), chords=True, fires=CALLS
    )
    params = PARAMS

    def prepare(self, spec: StreamSpec) -> None:
        self._rate = spec.rate
        for name in NAMES:
            # none is read on the block path
            shipped_style(name)
        self._band = Band()
        self._asked = BandSettings(parts=parts_of(str(self.settings["parts"])))
        own = str(self.settings["own"])
        self._asked.own = load(Path(own)) if own else None
        self._chords = GivenChords(str(self.settings["chords"]))
        self._harmony = MelodyChords()
        self._melody = self._harmony.melody
        self._sounding = SoundingStrikes()
        self._form = Form()
        self._zone: dict[int, float] = {}
        self._waiting: deque[tuple[int, Event]] = deque()  # played while the clock stands, by sample
        self._tonic = 0
        self._unknown = False  # keys have been struck since that are no chord by themselves
        self._alone = 0  # notes beside the left hand before its first chord
        self._recount = False  # the reported number of these is of before a reset
        self._given = Progression()
        self.played: list[tuple[float, Chord | None]] = []
        self._bend = PlayerBend()
        self._all_off = False
        self._due: list[PendingStrike] = []
        self._next: int | None = None
        self._rests = NextEventTimer(spec.rate, _JUMP)
        self._clear()

    def set_melody(self, melody: Melody, ends: int, opening: int, spans: Sequence[ChordSpan], begins: float) -> None:
        """Sets a file's melody, of which `lookahead` bars are used. Call after `prepare`, before the first block.

        The same notes must also arrive as events. `ends`: beat up to which the melody is known. `opening`: up to this
        beat the melody is known in advance, unless `lookahead` is 0. `spans`: given chords, by beats of the clock; with
        them `follow` has no effect. `begins`: the melody's first beat; a form begins after an upbeat.
        """
        harmony = self._harmony
        harmony.known, harmony.ends, harmony.opening = melody, ends, opening
        self._chords.spans, self._form.begins = spans, begins

    def reset(self) -> None:
        # what sounds is ended with the next block, which has a way out for it
        self._all_off = bool(self._sounding)
        self._clear()
        self._band.reset()
        self._zone.clear()
        self._waiting.clear()
        self._given.clear()
        self._recount = self._recount or self._alone > 0
        self._alone = 0
        self._harmony.reset()
        self._bend.reset()

    def process(self, io: IO) -> None:
        time, events = io.time, io.events_in
        if self._recount:
            self._recount = False
            io.report("alone", 0)
        per_frame = time.tempo / 60.0 / self._rate
        moved = self._rests.moved(time.beat)
        if self._all_off or moved or not time.playing:
            self._sounding.end_all(io, 0)
            self._all_off = False
        if not time.playing:
            self._clear()
            for event in events:
                self._waiting.append((time.sample + event.offset, event))
            while len(self._waiting) > _MOST:
                self._on_event(io, replace(self._waiting.popleft()[1], offset=0), time.beat)
            return
        if moved:
            self._clear()
        calls = [(frame, call) for call in CALLS for frame in io.fired(call)]
        if self._next is None:
            self._next = math.ceil(time.beat - _EARLY * per_frame)
            self._begin(io, self._next)
        # the left hand is known ahead in no file
        bars = 0 if io.at("follow", 0) in ("chords", "both") else int(io.at("lookahead", 0))
        at, quiet, live = 0, True, self._harmony.is_live(bars)
        # order at one frame: ends of notes, live the player's note, the beat's chord, the player's note, beginnings
        while True:
            next_offset = events[at].offset if at < len(events) else _NEVER
            ends, starts = self._sounding.next_end_beat, self._due[0].start if self._due else math.inf
            when = [self._rests.frame(t, time) for t in (ends, self._next, starts)]
            first = min(*when, next_offset)
            if first >= io.frames:
                self._form.called.update(call for _, call in calls)
                # the block after one in which something happened has time for it
                foreseen = self._next - _FORESEEN * per_frame * io.frames
                soon = time.beat >= foreseen
                busy = not quiet or self._harmony.prepare(self._next, soon=soon)
                self._rests.until(time.beat if busy else min(ends, self._next if soon else foreseen, starts), io)
                return
            quiet = False
            if when[0] == first:
                self._sounding.end_due(io, first, ends)
            elif when[1] == first and not (live and next_offset == first):
                self._form.called.update(call for frame, call in calls if frame <= first)
                calls = [item for item in calls if item[0] > first]
                self._decide(io, first, time.tempo)
            elif next_offset == first:
                self._on_event(io, events[at], time.beat + per_frame * next_offset)
                at += 1
            else:
                self._strike(io, first, self._due.pop(0))

    def step(self, io: IO) -> Step:
        """Steps a block without events; idle until the next beat or band note."""
        return self._rests.step(io)

    def _settle(self, io: IO, frame: int) -> HarmonyTracker:
        """Reads the parameters at a frame."""
        asked = self._asked
        asked.read(io, frame)
        for key in [key for key in self._sounding if not asked.levels[PART_OF[key[0]]]]:
            self._sounding.end(io, key, frame)
        meter, tonic, bars = int(io.at("meter", frame)), str(io.at("key", frame)), int(io.at("lookahead", frame))
        return self._harmony.settle(meter, tonic, bars)

    def _begin(self, io: IO, beat: int) -> None:
        """Handles a jump of the clock; beats are silent before the notes played while it was stopped."""
        time, listener, waiting = io.time, self._band.listener, self._waiting
        per_frame = time.beats_per_frame(self._rate)
        began, first = time.beat, beat - 1
        if waiting:
            first = max(beat - _MEMORY, min(first, math.floor(began + (waiting[0][0] - time.sample) * per_frame)))
            began = float(first)
        self._settle(io, 0)
        self._harmony.begin(beat, first)
        listener.last = min(listener.last, began)
        for pitch in (*listener.sounding, *self._zone):
            self._melody.note_on(pitch, began)
            listener.last = began
        for sample, event in waiting:
            at = max(began, time.beat + (sample - time.sample) * per_frame)
            first = self._harmony.skip_beats(first, math.floor(at))
            self._on_event(io, replace(event, offset=0), at)
        if waiting:
            self._harmony.skip_beats(first, beat - 1)
            waiting.clear()
            self._due.clear()

    def _decide(self, io: IO, frame: int, tempo: float) -> None:
        """Decides chord and notes of the beat that starts, from the notes played before it."""
        beat, tracker, band = self._next, self._settle(io, frame), self._band
        assert beat is not None
        self._next = beat + 1
        meter, harmony = tracker.meter, self._harmony
        follow = str(io.at("follow", frame))
        used = follow not in ("chords", "listen") and self._chords.chords_from(beat, meter, follow) is None
        estimate = harmony.triad(tracker, beat, int(io.at("lookahead", frame)), used=used)
        bar, place = divmod(beat, meter)
        if not self._is_active(beat, bar, place, meter * int(io.at("patience", frame)), follow):
            self._form.clear()
            band.chord = None
            io.report("chord", -1)
            # a player who has stopped is not waited for
            new = math.isinf(band.listener.last) and not self._chords.spans
            io.report("waits", WAITS.index("note" if used else "chord") if new else 0)
            self._publish(io, [])
            self._sounding.end_all(io, frame)
            self._due.clear()
            return
        last = None if harmony.known is None else (harmony.ends - 1) // meter
        section, number = self._form.section(bar, place, meter, str(io.at("variation", frame)), last)
        self._tonic = tracker.key
        self._set_implied_chord(beat)
        chord, ahead = self._chord(follow, beat, meter, estimate, tracker)
        if section == "ending" and last is None and self._chords.chords_from(beat, meter, follow) is None:
            chord = cadence(number, tracker.key)
            ahead = [cadence(1, tracker.key)] if number == 0 else []
        io.report("tonic", tracker.key)
        self._publish(io, ahead)
        if chord is None and band.chord is None and follow in ("chords", "listen") and not self._chords.spans:
            io.report("chord", -1)
            io.report("waits", WAITS.index("chord"))
            return
        io.report("waits", 0)
        before = band.chord
        again = self._turn(io, frame, beat, chord)
        found = band.beat(beat, meter, tempo, section, number, self._asked)
        if place == 0 or before is None:
            self._mix(io, frame)
        # what `_turn` strikes again, and has a strike of its own on the beat, is struck once
        own = {due.part for due in found if due.start < beat + RESTRIKE_GAP}
        self._due = [due for due in self._due if due.start != beat or due.part not in own]
        if chord is not None and chord != before and section != "break":
            found += band.strikes_on_change(beat, found, again, before is not None, self._asked)
        for due in found:
            if self._asked.levels[due.part]:
                insort(self._due, due)
        for span in self._chords.chords_around(beat, meter, follow):
            if beat < span.start < beat + 1:
                insort(self._due, PendingStrike(span.start, "", _TURN, 0.0, span.end))

    def _mix(self, io: IO, frame: int) -> None:
        """Sends the levels of the style's parts at every bar: a synth may have been reset."""
        parts = self._band.style.parts
        for part in self._asked.parts:
            if part in parts:
                io.emit(Event("control", frame, VOLUME, volume(parts[part].mix), CHANNELS[part]))

    def _chord(
        self, follow: str, beat: int, meter: int, estimate: int, tracker: HarmonyTracker
    ) -> tuple[Chord | None, list[Chord]]:
        """Chord of a beat, and the coming ones."""
        if (text := self._chords.chords_from(beat, meter, follow)) is not None:
            return text
        recent = bool(self._zone) or beat - self._given.since <= meter
        if follow in ("chords", "listen") or (follow == "both" and self._given.now is not None and recent):
            return self._given.now, self._given.predict()
        sevenths = self._asked.complexity >= self._band.style.colour
        chords = [estimate, *tracker.predicted_chords(beat, 2 * meter)] if beat % 2 == 0 else [estimate]
        made = [add_seventh(c, tracker.key) if sevenths else triad_chord(c) for c in chords]
        return made[0], [b for a, b in pairwise(made) if a != b]

    def _publish(self, io: IO, ahead: Sequence[Chord]) -> None:
        for n in range(CHORDS_AHEAD):
            io.report(f"next{n + 1}", ahead[n].triad if n < len(ahead) else -1)

    def _is_active(self, beat: int, bar: int, place: int, patience: int, follow: str) -> bool:
        """Whether to play: a note came within `patience` beats, or the file has not ended."""
        if self._harmony.known is not None:
            return beat < self._harmony.ends
        text = follow == "text" and bool(self._chords.text)
        return self._form.plays_at(beat, bar, place, patience, self._band.listener.last, text=text)

    def _turn(self, io: IO, frame: int, beat: float, chord: Chord | None) -> set[str]:
        """Changes to a chord: sounding notes outside the chord end, and long ones are restruck on it."""
        band = self._band
        if chord == band.chord:
            return set()
        again: set[str] = set()
        if chord is None:
            band.chord = None
            for key in [key for key in self._sounding if PART_OF[key[0]] != "drums"]:
                self._sounding.end(io, key, frame)
        else:
            band.set_chord(chord, self._asked.register)
            io.report("chord", chord.triad)
            allowed = {*chord.tones, chord.bass}
            near = {due.part for due in self._due if due.start < beat + RESTRIKE_GAP}
            for key, note in list(self._sounding.items()):
                part = note.part
                own = band.pitches(part, note.what)
                if part == "drums" or (
                    key[1] in own
                    if note.what in LEFT_HAND_LANES
                    # a voice that kept a tone which another one has now would leave out its own
                    else key[1] % 12 in ({pitch % 12 for pitch in own} if note.what in VOICES else allowed)
                ):
                    continue
                self._sounding.end(io, key, frame)
                if note.end - beat > RESTRIKE_GAP and part not in near:
                    again.add(part)
                    insort(self._due, PendingStrike(beat, part, note.what, note.velocity, note.end))
        if self._harmony.known is not None:
            self.played.append((beat, chord))
        return again

    def _on_event(self, io: IO, event: Event, beat: float) -> None:
        number = self._bend.number(event)
        offset = min(event.offset, io.frames - 1)
        follow = str(io.at("follow", offset))
        left = follow == "listen" or (follow in ("chords", "both") and number < int(io.at("split", offset)))
        if number in self._zone or (left and event.kind == "on"):
            self._handle_left_hand_key(io, event, number, beat)
            return
        listener = self._band.listener
        if event.kind == "on" and event.value > 0.0:
            listener.note_on(number, event.value, beat)
            self._melody.note_on(number, beat)
            if follow == "chords" and self._given.now is None and self._alone < MOST_ALONE:
                self._alone += 1
                io.report("alone", self._alone)
            self._make_room(io, number, event.offset, beat)
        elif event.kind in ("on", "off"):
            listener.note_off(number, beat)
            self._melody.note_off(number, beat)
        elif event.kind in ("bend", "control") and (by := self._bend.update(event, listener.sounding)):
            # so that a note is not moved onto one that is still to be moved
            for pitch in sorted(listener.sounding, reverse=by > 0):
                listener.move(pitch, pitch + by)
                self._melody.move(pitch, pitch + by)
                self._make_room(io, pitch + by, event.offset, beat)

    def _handle_left_hand_key(self, io: IO, event: Event, number: int, beat: float) -> None:
        """Handles a left-hand key: three keys form a chord, which is played at once and kept after their release."""
        listener = self._band.listener
        listener.last = max(listener.last, beat)
        if event.kind == "on" and event.value > 0.0:
            self._zone[number] = beat
            self._melody.note_on(number, beat)
            if not listener.sounding:
                listener.loudness += 0.2 * (event.value - listener.loudness)
            if self._alone:
                self._alone = 0
                io.report("alone", 0)
            found = recognise(self._zone)
            self._unknown = found is None
            if found is None:
                insort(self._due, PendingStrike(beat + _ROLLED, "", _HELD, 0.0, beat))
            else:
                self._given.add(found, beat)
                self._change_to_hand_chord(io, event.offset, beat)
        elif event.kind in ("on", "off"):
            self._zone.pop(number, None)
            self._melody.note_off(number, beat)

    def _set_implied_chord(self, beat: float) -> None:
        """Interprets too few left-hand keys as a chord, unless more may follow."""
        age = beat - max(self._zone.values(), default=-math.inf)
        if not self._unknown or _ON_BEAT < age < _ROLLED - _ON_BEAT:
            return
        if self._zone:
            self._given.add(implied_chord(self._zone, self._tonic), beat)
        self._unknown = False

    def _change_to_hand_chord(self, io: IO, frame: int, beat: float) -> None:
        """Changes to the left hand's chord at once while the band is playing."""
        playing = self._form.begun is not None and self._form.closes > beat / max(1, self._harmony.meter)
        # a beat that begins on this frame is decided next, and turns to the chord
        begins = self._next is not None and self._rests.frame(self._next, io.time) <= frame
        if playing and not begins and self._band.chord not in (None, self._given.now):
            self._turn(io, frame, beat, self._given.now)

    def _make_room(self, io: IO, number: int, frame: int, beat: float) -> None:
        """Ends band notes that clash with a melody note; a long chord voice returns on the next beat."""
        for key, note in [(k, n) for k, n in self._sounding.items() if n.part != "drums"]:
            if key[1] == number or self._band.is_clashing(key[1]):
                self._sounding.end(io, key, frame)
                if note.what in VOICES and note.end - (back := math.floor(beat) + 1.0) > RESTRIKE_GAP:
                    insort(self._due, note._replace(start=back))

    def _strike(self, io: IO, frame: int, due: PendingStrike) -> None:
        band = self._band
        if due.what == _TURN:
            text = self._chords.chords_from(due.start, self._harmony.meter, "text")
            if text is not None:
                self._turn(io, frame, due.start, text[0])
            return
        if due.what == _HELD:
            if self._unknown:
                self._set_implied_chord(due.start)
                self._change_to_hand_chord(io, frame, due.start)
            return
        keys = band.keys_to_strike(due.part, band.root_lane(due, self._due), due, self._due)
        self._sounding.strike(io, frame, due, CHANNELS[due.part], keys)

    def _clear(self) -> None:
        """Clears the position and the pending notes."""
        self._due.clear()
        self._next = None
        self._harmony.clear()
        self._rests.forget()
        self._form.restart()
        self._band.rest()
