"""Processors `answer` and `continue`: notes in, an answer's notes out, on the engine's clock."""

import math
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from antiphon.api import (
    AUDIO_IN,
    AUDIO_OUT,
    EVENTS_IN,
    EVENTS_OUT,
    IO,
    Event,
    FileUse,
    Param,
    Processor,
    Step,
    StreamSpec,
)
from antiphon.api.kernels import NextEventTimer
from antiphon_answer.form import TURNS, PlayerTurns
from antiphon_answer.improviser import CHORD_SIXTEENTHS, Improviser
from antiphon_answer.melody_file import learn_from_folder, wish
from antiphon_answer.prior import KEYS, SCALES, installed_prior
from antiphon_answer.sounding import SoundAnswer

MODES = ("continue", "trade", "shadow", "canon", "accompany")
AHEAD = 1.0
"""Beats before its onset at which a note is drawn and published."""
_EARLY = 1e-6
"""Frames of tolerance for the rounding of a beat's frame."""
_BACK, _ON = 0.25, 4.0
"""Backward and forward jumps in beats that count as a moved clock; missed blocks also move it forward."""
_BREATH, _MIN_LEFT = 0.08, 0.25
"""Beats that a note on the beat waits for a late note-off, and the minimum length of a note that begins late."""
_NEVER = 1 << 60
_NOTHING = (0, 0)
_MIN_PHRASE_NOTES = 2
"""Minimum notes of an answered phrase."""
MAX_WAITING, MAX_SOUNDING = 256, 32
"""Maximum pending notes, and sounding ones; further ones are dropped, the oldest is ended."""


class PendingNote(NamedTuple):
    """A pending note. start, length: in beats; length below 0 while unknown."""

    start: float
    pitch: int
    velocity: float
    length: float


class Answer(Processor):
    """Learns its input and improvises on it. Each of its notes is known a beat before it is played."""

    inputs = (EVENTS_IN, AUDIO_IN)
    outputs = (EVENTS_OUT, AUDIO_OUT)
    on_files = FileUse(
        "antiphon_answer.jobs:run",
        beside=("report",),
        changes=("length", "time", "pitch", "level", "channels"),
    )
    params: ClassVar[tuple[Param, ...]] = (
        Param("mode", "choice", "continue", choices=MODES, doc="When it plays: after a pause, in turn, with you."),
        Param("bars", "int", 4, 1, 64, unit="bars", doc="Length of an answer, of a turn, and of the canon's delay."),
        Param("pause", default=0.5, low=0.25, high=16.0, unit="beats", doc="Mode continue: the pause it waits for."),
        Param("meter", "int", 4, 2, 7, unit="beats", doc="Beats of a bar; bars begin at whole multiples of it."),
        Param("key", "choice", "auto", choices=("auto", *KEYS), doc="A fixed key; auto estimates it."),
        Param("originality", "int", 0, 0, 64, unit="notes", doc="The longest run of notes it copies; 0: as people do."),
        Param("density", default=0.5, low=0.0, high=1.0, doc="Notes a bar: 0.5 as you play, 1 many."),
        Param("register", "int", 0, -36, 36, unit="semitones", doc="How far from your notes it chooses its own."),
        Param("transpose", "int", 0, -24, 24, unit="semitones", doc="Transposes what it plays."),
        Param("forget", high=256.0, unit="bars", doc="After so much playing a note counts half; 0: never."),
        Param("seed", "int", 1, 0, 65535, doc="Random seed."),
        Param("audio", "switch", False, restart=True, doc="Answers sound by beats of it, in place of notes."),
        Param(
            "corpus",
            "file",
            "",
            holds="a folder of MIDI files",
            doc="A folder of MIDI files that it has learnt before.",
        ),
        Param("next", "int", 0, 0, 127, readonly=True, doc="The note it is going to play, a beat ahead."),
        Param("beat", default=0.0, low=0.0, high=1e9, unit="beats", readonly=True, doc="The beat of that note."),
        Param("tonic", "int", 0, 0, 23, readonly=True, doc="The key: C to B major 0 to 11, minor 12 to 23."),
        Param("turn", "choice", TURNS[0], choices=TURNS, readonly=True, doc="Mode trade: whose turn it is."),
        Param("known", "int", 0, 0, 4096, unit="notes", readonly=True, doc="Notes in its memory."),
    )

    def prepare(self, spec: StreamSpec) -> None:
        self._rate = spec.rate
        self._improviser = Improviser(installed_prior())
        learn_from_folder(self._improviser, str(self.settings["corpus"]))
        self._sound = SoundAnswer(spec) if self.settings["audio"] else None
        self._sounding: dict[int, float] = {}
        self._waiting: list[PendingNote] = []
        self._held: dict[int, float] = {}
        # shadow, canon: the note that sounds of each key that is down
        self._shadows: dict[int, int] = {}
        self._all_off = False
        self._rests = NextEventTimer(spec.rate, _BACK, _ON)
        self._mode, self._meter, self._bars, self._begun = "", 4, 4, 0.0
        self._pause, self._transpose = 0.5, 0
        self._wake = self._draw = math.inf
        self._turns = PlayerTurns()
        # a chord whose highest note is not known yet; notes since the last answer, and when one was last played
        self._chord: tuple[float, int, float] = (-1.0, 0, 0.0)
        self._count, self._last, self._turn = 0, -math.inf, 0
        # the answer that is drawn, and the one that sounded since the last note: first and last slot
        self._drawn = self._heard = _NOTHING
        self._forget()

    def reset(self) -> None:
        # what sounds is ended with the next block, which has a way out for it
        self._all_off = bool(self._sounding)
        self._forget()

    def process(self, io: IO) -> None:
        if self._sound is not None:
            self._sound.process(io)
            return
        for sound in io.audio_out:
            sound.fill(0.0)
        time, events = io.time, io.events_in
        per_frame = time.tempo / 60.0 / self._rate
        moved = self._rests.moved(time.beat)
        if self._all_off or moved or not time.playing:
            self._end_all(io, 0)
            self._all_off = False
        if moved or not time.playing:
            self._drop()
            self._rest()
            self._turns.tell(io, time.beat, 1)
        if not time.playing:
            self._rests.forget()
            self._track_while_stopped(events)
            return
        self._settings(io, time.beat)
        at = 0
        # order at one frame: ends of notes, the player's, what is drawn, beginnings of notes
        while True:
            offset = events[at].offset if at < len(events) else _NEVER
            ends = min(self._sounding.values(), default=math.inf)
            starts = self._waiting[0].start if self._waiting else math.inf
            thinks = min(self._wake, self._draw, self._turns.changes)
            when = [self._rests.frame(t, time) for t in (ends, thinks, starts)]
            first = min(*when, offset)
            if first >= io.frames:
                self._rests.until(min(ends, thinks, starts), io)
                return
            if when[0] == first:
                for pitch in [p for p, end in self._sounding.items() if end <= ends]:
                    self._end(io, pitch, first)
            elif offset == first:
                self._on_event(io, events[at], time.beat + per_frame * offset)
                at += 1
            elif when[1] == first and self._turns.changes == thinks:
                self._turns.tell(io, thinks, self._bars * self._meter)
            elif when[1] == first:
                self._plan_next_note(io, thinks)
            elif (note := self._waiting.pop(0)).start >= time.beat - _BACK and not self._delay_for_player(note):
                self._play(io, first, note)

    def step(self, io: IO) -> Step | None:
        """Steps a block without events; silent until a note is drawn, begins or ends."""
        return None if self._sound is not None else self._rests.step(io)

    def _on_event(self, io: IO, event: Event, beat: float) -> None:
        number = event.number
        if event.kind == "on" and event.value > 0.0:
            self._count += 1
            self._held[number] = beat
            self._last = beat
            if self._mode == "trade" and self._turns.begin(beat, self._meter):
                self._next_turn(beat)
                self._turns.tell(io, beat, self._bars * self._meter)
            if self._mode == "continue":
                # the player goes on: whatever was planned or sounds yields
                self._drop()
                self._end_all(io, event.offset)
            self._note(4.0 * beat, number, event.value)
            self._copy(beat, number, event.value)
        elif event.kind in ("on", "off") and number in self._held:
            began = self._held.pop(number)
            self._last = beat
            self._learn_pending_note()
            self._improviser.set_length(number, 4.0 * (beat - began))
            self._set_copied_length(io, number, beat, event.offset)
            if self._mode == "continue" and not self._held and self._count >= _MIN_PHRASE_NOTES:
                self._wake = beat

    def _note(self, at: float, pitch: int, velocity: float) -> None:
        """Learns a note-on; of simultaneous notes only the highest. at: position in sixteenths."""
        begun, highest, _ = self._chord
        if begun >= 0.0 and at - begun <= CHORD_SIXTEENTHS:
            if pitch > highest:
                self._chord = begun, pitch, velocity
            return
        self._learn_pending_note()
        if at >= self._improviser.slot:
            self._chord = at, pitch, velocity

    def _learn_pending_note(self) -> None:
        at, pitch, velocity = self._chord
        if at >= 0.0:
            slot = max(round(at), self._improviser.slot)
            start, end = self._heard
            answered = max(0, min(end, slot) - max(start, self._improviser.slot))
            self._improviser.learn(slot, pitch, velocity, answered=answered, late=at - slot)
            self._chord, self._heard = (-1.0, 0, 0.0), _NOTHING

    def _copy(self, beat: float, pitch: int, velocity: float) -> None:
        """Shadow and canon: copies the note, at once or later, with the player's length."""
        if self._mode not in ("shadow", "canon") or len(self._waiting) >= MAX_WAITING:
            return
        late = self._bars * self._meter if self._mode == "canon" else 0.0
        to = self._in_key(pitch + self._transpose)
        self._waiting.append(PendingNote(beat + late, to, velocity, -1.0 - pitch))

    def _set_copied_length(self, io: IO, pitch: int, beat: float, frame: int) -> None:
        late = self._bars * self._meter if self._mode == "canon" else 0.0
        for n, note in enumerate(self._waiting):
            if note.length == -1.0 - pitch:
                self._waiting[n] = note._replace(length=max(0.0, beat + late - note.start))
                return
        # by what it began as: the key and `transpose` may have changed since
        to = self._shadows.pop(pitch, -1)
        if to not in self._sounding or to in self._shadows.values():
            return
        if late:
            self._sounding[to] = beat + late
        else:
            self._end(io, to, frame)

    def _in_key(self, pitch: int) -> int:
        """Nearest pitch of the scale, the lower of two."""
        key = self._improviser.key
        below = (pitch - key) % 12 not in SCALES[key // 12] and self._transpose != 0
        return min(127, max(0, pitch - below))

    def _settings(self, io: IO, beat: float) -> None:
        """Applies the parameters; a change of mode, meter or bars drops the planned notes."""
        now = str(io.at("mode", 0)), int(io.at("meter", 0)), int(io.at("bars", 0))
        if now != (self._mode, self._meter, self._bars):
            self._mode, self._meter, self._bars = now
            self._improviser.wishes.bar = 4 * self._meter
            self._drop()
            self._turns.first = None
            self._turns.tell(io, beat, 1)
            self._turn = math.floor(beat / self._cycle()) * self._cycle()
        if self._wake == math.inf and self._mode in ("trade", "accompany"):
            self._next_turn(beat)
        self._pause, self._transpose = float(io.at("pause", 0)), int(io.at("transpose", 0))
        wish(self._improviser, {name: io.at(name, 0) for name in _SETTING_NAMES})

    def _cycle(self) -> int:
        """Beats from one answer's start to the next."""
        return self._bars * self._meter * (2 if self._mode == "trade" else 1)

    def _next_turn(self, beat: float) -> None:
        cycle, late = self._cycle(), 0
        if self._mode == "trade":
            if self._turns.first is None:
                return
            late = self._turns.first + cycle // 2
        self._turn = cycle * math.ceil((beat + AHEAD - late) / cycle) + late
        self._wake = max(beat, self._turn - AHEAD)

    def _plan_next_note(self, io: IO, beat: float) -> None:
        """Begins an answer, or draws its next note."""
        improviser = self._improviser
        if self._wake <= beat:
            self._wake = math.inf
            self._learn_pending_note()
            bar, length = 4 * self._meter, 4 * self._bars * self._meter
            if self._mode == "continue":
                start = math.ceil(4.0 * (beat + self._pause) - _EARLY)
                end = bar * math.ceil((start + length - bar // 2) / bar)
                latest = math.floor(4.0 * (beat + 1.0))
            else:
                start = 4 * round(self._turn)
                end, latest = start + length, start if self._mode == "trade" else start + bar // 2
                self._next_turn(beat + 2 * AHEAD)
            # accompanying it goes on as long as the player does
            enough = (
                self._last > beat - self._cycle() / 2 if self._mode == "accompany" else self._count >= _MIN_PHRASE_NOTES
            )
            self._begun = beat
            if self._mode == "trade" and not enough:
                # the player rests: the form begins anew with the bar in which he comes back
                self._turns.first, self._wake = None, math.inf
                self._turns.tell(io, beat, 1)
            if not enough or not self._begin(start, end, latest):
                return
            if self._mode == "trade":
                self._count = 0
            if self._mode != "accompany":
                self._drawn = start, end
        if self._mode == "accompany":
            improviser.set_sounding(self._held)
        note = improviser.draw()
        if note is None or len(self._waiting) >= MAX_WAITING:
            self._draw = math.inf
            if self._mode == "continue":
                self._count = 0
            return
        pitch = min(127, max(0, note.pitch + self._transpose))
        self._waiting.append(PendingNote(note.at / 4.0, pitch, note.velocity, note.length / 4.0))
        io.report("next", self._waiting[-1].pitch)
        io.report("beat", self._waiting[-1].start)
        io.report("tonic", improviser.key)
        io.report("known", improviser.memory.count)
        self._draw = max(self._begun, note.at / 4.0 - AHEAD)

    def _begin(self, start: int, end: int, latest: int) -> bool:
        # what sounds along with the player is not his own melody
        return self._improviser.begin(start, end, latest, turn=self._mode == "trade", returns=self._mode != "accompany")

    def _delay_for_player(self, note: PendingNote) -> bool:
        """Delays a turn's first note to the next beat while a note of the player's last bar sounds; True if so.

        The delay is a bar or half the turn at most.
        """
        if self._mode != "trade" or self._drawn == _NOTHING:
            return False
        start, meter = self._drawn[0] / 4.0, self._meter
        # a drone, or a note whose end was lost, is no last note
        held = any(begun > start - meter for begun in self._held.values())
        if not held or note.start >= start + min(meter, self._bars * meter / 2):
            return False
        beat = note.start + _BREATH if note.start % 1.0 < 0.5 * _BREATH else math.floor(note.start) + 1.0
        left = note.start + note.length - beat
        if left >= _MIN_LEFT and not (self._waiting and self._waiting[0].start <= beat):
            self._waiting.insert(0, note._replace(start=beat, length=left))
        return True

    def _play(self, io: IO, frame: int, note: PendingNote) -> None:
        if self._mode not in ("shadow", "canon"):
            self._end_all(io, frame)
        elif note.pitch in self._sounding:
            self._end(io, note.pitch, frame)
        if len(self._sounding) >= MAX_SOUNDING:
            self._end(io, next(iter(self._sounding)), frame)
        io.emit(Event("on", frame, note.pitch, note.velocity))
        if self._drawn != _NOTHING:
            self._heard, self._drawn = self._drawn, _NOTHING
        # a shadow whose key is still down lasts until it is up
        if note.length < 0.0:
            self._shadows[round(-1.0 - note.length)] = note.pitch
        self._sounding[note.pitch] = note.start + note.length if note.length >= 0.0 else math.inf

    def _end(self, io: IO, pitch: int, frame: int) -> None:
        del self._sounding[pitch]
        io.emit(Event("off", frame, pitch))

    def _end_all(self, io: IO, frame: int) -> None:
        for pitch in list(self._sounding):
            self._end(io, pitch, frame)
        self._shadows.clear()

    def _track_while_stopped(self, events: Sequence[Event]) -> None:
        """Tracks held notes while the clock is stopped. They have no beat, so they are not learnt."""
        for event in events:
            if event.kind == "on" and event.value > 0.0:
                self._held[event.number] = self._last
            elif event.kind in ("on", "off"):
                self._held.pop(event.number, None)

    def _drop(self) -> None:
        self._waiting.clear()
        self._wake = self._draw = math.inf
        self._drawn = _NOTHING
        self._improviser.planning = False

    def _rest(self) -> None:
        """Handles a jump of the clock: learnt notes stay, their continuation ends."""
        self._chord = -1.0, 0, 0.0
        self._improviser.slot = -1
        self._heard, self._turns.first = _NOTHING, None
        self._count, self._last, self._turn = 0, -math.inf, 0

    def _forget(self) -> None:
        self._improviser.clear()
        if self._sound is not None:
            self._sound.clear()
        self._drop()
        self._rest()
        self._held.clear()
        self._mode = ""


_SETTING_NAMES = ("originality", "register", "seed", "density", "forget", "key")


class Continue(Answer):
    """The processor `answer` under the name of its file job: `antiphon run continue IN.mid OUT.mid -p bars=8`."""
