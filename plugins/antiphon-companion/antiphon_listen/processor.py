"""Node `listen`: tempo, beats, key, chord and loudness of the input, as reports, notes and control signals.

The sound goes to a worker, hop by hop. Beats are predicted, so that each is output at its sample. If there are input
notes, they determine the chord.
"""

from __future__ import annotations

import math

import numpy as np

from antiphon.api import (
    AUDIO_IN,
    EVENTS_IN,
    EVENTS_OUT,
    IO,
    Event,
    FileUse,
    Param,
    Port,
    Processor,
    Samples,
    StreamSpec,
)
from antiphon.api.backends.workers import Rebuffer, WorkerClient, WorkerSpec, lead_for
from antiphon.api.kernels import f32p, f64, f64p, i64, kernel
from antiphon.signal.loudness import QUIETEST
from antiphon_listen import live as answers
from antiphon_listen.live import CHORDS, FIELDS, HOP, KEYS, LEAD, NextBeats

# ---- Processors `summary` and `compact`: parts of a song on files.
#
# Live, with an unknown end of the song, they pass audio through.

SHORTEST, LONGEST = 1.0, 3600.0
"""Range of a summary's length in seconds."""


class Summary(Processor):
    """Plays a song's chorus, verse and distinctive parts, in the song's order."""

    on_files = FileUse(
        "antiphon_listen.chord_notes:write_summary", beside=("report", "picture"), changes=("length", "time")
    )
    params = (
        Param("seconds", default=30.0, low=SHORTEST, high=LONGEST, unit="s", doc="Length; at most a bar is missing."),
    )

    def process(self, io: IO) -> None:
        np.copyto(io.audio_out[0], io.audio_in[0])


class Compact(Processor):
    """Plays every part of a song once."""

    on_files = FileUse(
        "antiphon_listen.chord_notes:write_compact", beside=("report", "picture"), changes=("length", "time")
    )

    def process(self, io: IO) -> None:
        np.copyto(io.audio_out[0], io.audio_in[0])


# ---- Chord of the notes that come in, as of a `hum` in its mode `chords`: the triad that its pitch classes fit best

SETTLE_SECONDS = 0.06
"""Seconds from a chord's first note until the chord is named; its other notes arrive within this time."""
MEMORY_SECONDS = 8.0
"""Seconds after the last note that named a chord in which the sound does not name another."""
_STRIKE_DECAY, _HELD_DECAY = 1.8, 1.0
"""Time constants in seconds of a struck note's weight, and of a sounding one's: an arpeggio is one chord."""
_WHOLE = 0.1
"""Factor on the weights of earlier notes when three pitch classes are struck at once."""
_TRIAD, _BASS, _OUTSIDE = (1.0, 1.0, 0.8), 0.8, 0.8
"""Weights of root, third and fifth, of a root in the bass and of other notes. All are chosen on chords, strums and
arpeggios of a recorded piano's and guitar's notes."""
_BASS_SECONDS, _OCTAVE = 2.0, 12
"""Seconds after its onset for which a bass note counts, and minimum semitones from a note of a chord to the melody."""
_LEAP, _STAY_SECONDS = 5, 0.5
"""Minimum downward leap in semitones to a bass note, and seconds within which a chord tone as bass is an inversion."""
_HEARD_DECAY, _FIFTHS = 15.0, 0.3
"""Time constant in seconds of the pitch class history, and weight in it of neighbours by a fifth, in the same key."""


class NoteChords:
    """Chord tracker of a stream of notes. `chord`: as in `CHORDS`, 0 for none; `due`: sample at which it is named."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._began, self._velocities = [-1.0] * 128, [0.0] * 128
        self._struck, self._fresh, self._heard = [0.0] * 12, [0.0] * 12, [0.0] * 12
        self.clear()

    def clear(self) -> None:
        self._began[:], self._struck[:], self._heard[:] = [-1.0] * 128, [0.0] * 12, [0.0] * 12
        self._last = self._first = self._bass_at = self._top_at = 0.0
        self._low = self._high = self._bass = self._before = self._top = -1
        self.chord, self.named, self.due = 0, -math.inf, math.inf

    def add(self, event: Event, sample: int) -> None:
        """Adds the beginning or end of a note, at a sample."""
        now = sample / self._rate
        if event.kind == "on" and event.value > 0.0:
            if self.due == math.inf:
                self.due = sample + round(SETTLE_SECONDS * self._rate)
                self._first, self._fresh[:] = now, [0.0] * 12
                self._low = self._high = event.number
            self._began[event.number], self._velocities[event.number] = now, event.value
            self._fresh[event.number % 12] += event.value
            self._low, self._high = min(self._low, event.number), max(self._high, event.number)
        elif event.kind in ("on", "off"):
            self._began[event.number] = -1.0

    def name(self, sample: int) -> None:
        """Names the chord at `due`."""
        now, self.due = sample / self._rate, math.inf
        leap_chord = self._find_leap_chord(now)
        together, lowest = self._together()
        weights = self._weights(now)
        total, best, found = sum(weights), 0.0, 0
        for chord in range(1, 25):
            tones = _tones(chord)
            if not self._is_chord(tones, together, lowest):
                continue
            own = [weights[pitch] for pitch in tones]
            score = sum(w * part for w, part in zip(own, _TRIAD, strict=True)) - _OUTSIDE * (total - sum(own))
            score += _BASS * own[0] * (lowest % 12 == tones[0])
            if score > best:
                best, found = score, chord
        if found or leap_chord:
            self.chord, self.named = found or leap_chord, now

    def _find_leap_chord(self, now: float) -> int:
        """Returns the chord of a bass that leaps down, as in arpeggios, with the more frequent recent third; or 0."""
        fade = math.exp(min(0.0, self._last - self._first) / _HEARD_DECAY)
        self._heard[:] = [fade * weight + new for weight, new in zip(self._heard, self._fresh, strict=True)]
        old = self._first - self._top_at > _BASS_SECONDS
        top = self._before if old else self._top
        leaps = self._low <= min(self._before - _LEAP, top - _OCTAVE)
        self._before = self._high
        if old or self._high >= top:
            self._top, self._top_at = self._high, self._first
        root = self._low % 12
        own = _tones(self.chord)
        stays = self.chord > 0 and root in own and (root == own[0] or now - self.named < _STAY_SECONDS)
        minor, major = (
            self._heard[third] + _FIFTHS * (self._heard[(third + 5) % 12] + self._heard[(third + 7) % 12])
            for third in ((root + 3) % 12, (root + 4) % 12)
        )
        chord = root + (1 if major > minor else 13)
        strange = any(weight > 0.0 and pitch not in _tones(chord) for pitch, weight in enumerate(self._fresh))
        return 0 if not leaps or stays or strange or minor == major else chord

    def _is_chord(self, tones: tuple[int, int, int], together: set[int], lowest: int) -> bool:
        """Whether a triad's tones sound together, if only root and third; those of a melody do not count."""
        if together.issuperset(tones):
            return True
        if tones[0] != lowest % 12 or not self._fresh[tones[1]]:
            return False
        # neither one note of a melody after another nor its last one, held too long
        several = sum(weight > 0.0 for weight in self._fresh) > 1
        return several or (self._began[lowest] >= 0.0 and lowest + _OCTAVE <= self._low)

    def _together(self) -> tuple[set[int], int]:
        """Pitch classes that sound, were struck now or as the bass of this chord, and the lowest of these notes."""
        fresh = {pitch for pitch, weight in enumerate(self._fresh) if weight > 0.0}
        wide = self._high >= self._low + _OCTAVE
        near = self._low < self._bass + _OCTAVE and (len(fresh) != 2 or wide)
        if self._low < self._bass or near or abs(self._first - self._bass_at) > _BASS_SECONDS or self._bass < 0:
            self._bass, self._bass_at = self._low, self._first
        sounding = [number for number, began in enumerate(self._began) if began >= 0.0]
        lowest = self._low if wide and self._bass == self._low else min([self._bass, *sounding])
        return fresh | {number % 12 for number in [self._bass, *sounding]}, lowest

    def _weights(self, now: float) -> list[float]:
        """Weights of the pitch classes of the struck notes that sound."""
        held = _WHOLE if sum(weight > 0.0 for weight in self._fresh) >= 3 else 1.0
        fade = held * math.exp(min(0.0, self._last - self._first) / _STRIKE_DECAY)
        self._last = self._first
        self._struck[:] = [fade * weight + new for weight, new in zip(self._struck, self._fresh, strict=True)]
        weights = list(self._struck)
        if self._bass_at < self._first:
            fall = math.exp(min(0.0, self._bass_at - now) / _HELD_DECAY)
            weights[self._bass % 12] += self._velocities[self._bass] * fall
        for pitch, began in enumerate(self._began):
            if began >= 0.0 and (pitch != self._bass or self._bass_at == self._first):
                share = held if began < self._first else 1.0
                weights[pitch % 12] += share * self._velocities[pitch] * math.exp(min(0.0, began - now) / _HELD_DECAY)
        return weights


def _tones(chord: int) -> tuple[int, int, int]:
    """Pitch classes of root, third and fifth of a chord, as in `CHORDS`."""
    root = (chord - 1) % 12
    return root, (root + (4 if chord <= 12 else 3)) % 12, (root + 7) % 12


PLAYED = ("chords", "roots", "beats", "off")
DOWNBEAT, BEAT = 76, 77
"""Note numbers of `beats`: high and low wood block of a General MIDI drum kit."""
CLICK = 0.05
"""Length of such a note in seconds."""
_GLIDE_SECONDS = 0.05
"""Time constant in seconds of `loudness` and `minor`."""
_MAX_MISSING_HOPS = 20
"""Hops without an answer after which all values are cleared."""
_REPORT_SECONDS = 2.0
"""Interval in seconds at which all values are reported again."""
_REPORTS = (
    ("tempo", answers.TEMPO),
    ("beat", -1),
    ("meter", answers.METER),
    ("key", answers.KEY),
    ("chord", answers.CHORD),
    ("momentary", answers.MOMENTARY),
    ("short_term", answers.SHORT_TERM),
    ("integrated", answers.INTEGRATED),
)
"""Reported parameters, with their indices in an answer; beats are reported at their time."""
_LOUDEST = -60.0
"""LUFS at which the output `loudness` is 0; at 0 LUFS it is `depth`."""
_HIGHEST = 400.0


@kernel
def listen_ramp(y: f32p, depth: f32p, first: i64, last: i64, level: f64, fall: f64) -> None:
    """y[first:last] ← depth times a level that decreases by `fall` per frame, at least 0."""
    for n in range(first, last):
        v = level - fall * f64(n - first)
        v = 0.0 if v < 0.0 else v
        y[n] = f64(depth[n]) * v


@kernel
def listen_glide(y: f32p, depth: f32p, frames: i64, state: f64p, goal: f64, share: f64) -> None:
    """y ← depth * state[0], a one-pole smoother towards `goal` with coefficient `share`."""
    for n in range(frames):
        state[0] = state[0] + (goal - state[0]) * share + 1e-20
        y[n] = f64(depth[n]) * state[0]


class Listen(Processor):
    """Analyses sound and notes. It outputs reports, notes of the present chord or of the beats, and control signals."""

    on_files = FileUse(
        "antiphon_listen.chord_notes:write_notes", beside=("chords-out", "analysis"), changes=("time", "pitch")
    )
    inputs = (AUDIO_IN, EVENTS_IN)
    outputs = (EVENTS_OUT, *(Port(name, "control") for name in ("beat", "bar", "loudness", "minor")))
    params = (
        Param(
            "play",
            "choice",
            "chords",
            choices=PLAYED,
            doc="Its notes: the chord that sounds, from the next beat on; its root, on each beat; or the beats.",
        ),
        Param("octave", "int", 4, low=0, high=8, doc="Octave of the lowest note it plays: 4 begins at middle C."),
        Param("velocity", default=0.6, low=0.05, doc="Velocity of its notes; a quarter more at the first of a bar."),
        Param(
            "depth",
            default=0.5,
            low=-1.0,
            high=1.0,
            smooth=0.02,
            doc="Modulation depth of its control outputs; below 0 inverted.",
        ),
        Param("tempo", default=0.0, low=0.0, high=_HIGHEST, unit="bpm", readonly=True, doc="0 while none is known."),
        Param("beat", "int", 0, low=0, high=6, readonly=True, doc="The beat of the bar, from 1; 0 if none is known."),
        Param("meter", "int", 4, low=1, high=6, unit="beats", readonly=True, doc="Beats of a bar."),
        Param("key", "choice", KEYS[0], choices=KEYS, readonly=True, doc="Key of the last minutes."),
        Param("chord", "choice", CHORDS[0], choices=CHORDS, readonly=True, doc="The chord that sounds, a triad."),
        Param(
            "momentary",
            default=QUIETEST,
            low=QUIETEST,
            high=24.0,
            unit="LUFS",
            readonly=True,
            doc="Loudness of the last 0.4 s (EBU R 128).",
        ),
        Param("short_term", "float", QUIETEST, QUIETEST, 24.0, "LUFS", readonly=True, doc="Loudness of the last 3 s."),
        Param(
            "integrated",
            default=QUIETEST,
            low=QUIETEST,
            high=24.0,
            unit="LUFS",
            readonly=True,
            doc="Loudness since the beginning or the last reset, gated.",
        ),
    )

    def prepare(self, spec: StreamSpec) -> None:
        """Allocates every buffer and opens the stream through the worker."""
        self._rate = spec.rate
        lead = max(LEAD, lead_for(HOP, spec.block))
        worker = WorkerSpec.of_sound("listen", "antiphon_listen.worker:ListenStepper", spec, HOP, FIELDS)
        self._client = WorkerClient(worker, 1, lead, self.node)
        self.parts = self._client.parts
        self._hops = Rebuffer(HOP, lead, spec.channels, 0, self._post, self._load)
        self._sent = np.zeros((1, spec.channels, HOP), np.float32)
        self._nothing: Samples = np.zeros((0, spec.block), np.float32)
        self._levels = np.zeros(2)
        self._share = 1.0 - float(np.exp(-1.0 / (_GLIDE_SECONDS * spec.rate)))
        self._clock = NextBeats(spec.rate)
        self._notes = NoteChords(spec.rate)
        self._reported = [0.0] * len(_REPORTS)
        self._io: IO | None = None
        self._sounding: list[int] = []
        self._end_all = False
        self._forget()

    def reset(self) -> None:
        """Resets all state; sounding notes end with the next block."""
        self._end_all = bool(self._sounding)
        self._hops.clear()
        self._client.reset()
        self._levels.fill(0.0)
        self._forget()

    def _forget(self) -> None:
        self._clock.clear()
        self._notes.clear()
        self._known = [0.0] * answers.FIELDS
        self._known[answers.METER] = 4.0
        for place in (answers.MOMENTARY, answers.SHORT_TERM, answers.INTEGRATED):
            self._known[place] = QUIETEST
        self._missing = 0
        self._unreported = 0
        self._answered = False
        self._played = 0
        self._until = -1

    def process(self, io: IO) -> None:
        self._io = io
        if self._end_all:
            self._end(io, 0)
            self._end_all = False
        self._hops.begin(io.time.sample)
        sound, first, at, notes = io.audio_in[0], 0, 0, self._notes
        while first < io.frames:  # in pieces that end where hops do, so that an answer counts from its frame on
            while at < len(io.events_in) and io.events_in[at].offset <= first:
                notes.add(io.events_in[at], io.time.sample + first)
                at += 1
            if notes.due <= io.time.sample + first:
                self._name(io, first)
            following = io.events_in[at].offset if at < len(io.events_in) else io.frames
            last = int(min(io.frames, first + HOP - self._hops.fill, following, notes.due - io.time.sample))
            self._answered = False
            self._hops.run(io, sound[:, first:last], self._nothing[:, : last - first])
            if self._answered:
                self._update_played_chord(io, first)
            self._piece(io, first, last)
            first = last
        known, depth = self._known, io.curve("depth")
        loud = min(1.0, max(0.0, 1.0 - known[answers.MOMENTARY] / _LOUDEST))
        listen_glide(io.audio_out[2][0], depth, io.frames, self._levels, loud, self._share)
        minor = 1.0 if known[answers.KEY] > 12.0 else 0.0
        listen_glide(io.audio_out[3][0], depth, io.frames, self._levels[1:], minor, self._share)
        self._report(io)

    def _piece(self, io: IO, first: int, last: int) -> None:
        """Beats and ramps of a sub-block."""
        start = io.time.sample
        while (beat := self._clock.beat_in_block(start + first, start + last)) is not None:
            at = beat - start
            self._end_click(io, at)
            self._write_ramp_outputs(io, first, at)
            self._play_beat_notes(io, at)
            first = at
        self._end_click(io, last)
        self._write_ramp_outputs(io, first, last)

    def _post(self, hop: int, sound: Samples) -> None:
        assert self._io is not None
        self._sent[0] = sound
        self._client.first = self._hops.first
        self._client.send(hop, self._sent, self._io)

    def _load(self, hop: int, out: Samples) -> None:
        """Loads the worker's answer for a hop that ended `lead` hops ago."""
        assert self._io is not None
        answer = self._client.take(hop, self._io) if hop >= self._hops.first else None
        if answer is None:
            self._missing += 1
            if self._missing == _MAX_MISSING_HOPS:
                missing = self._missing
                self._end_all = bool(self._sounding)
                self._forget()
                self._missing = missing
            return
        self._missing, self._answered = 0, True
        values, known = answer[0], self._known
        for place in range(answers.FIELDS):
            known[place] = float(values[place])
        if self._notes.chord and (hop + 1) * HOP < (self._notes.named + MEMORY_SECONDS) * self._rate:
            known[answers.CHORD] = self._notes.chord
        known[answers.TEMPO] = min(_HIGHEST, known[answers.TEMPO])
        tempo, end = known[answers.TEMPO], (hop + 1) * HOP
        self._clock.update(
            60.0 / tempo * self._rate if tempo > 0.0 else 0.0,
            end + known[answers.NEXT] * self._rate,
            int(known[answers.PLACE]),
            max(1, int(known[answers.METER])),
            float(end + self._hops.lead * HOP),
        )

    def _write_ramp_outputs(self, io: IO, first: int, last: int) -> None:
        """Writes the outputs of a sub-block without a beat."""
        clock, depth = self._clock, io.curve("depth")
        gone = (io.time.sample + first - clock.last) / clock.period if clock.period else np.inf
        level, fall = (1.0 - gone, 1.0 / clock.period) if gone < 1.0 else (0.0, 0.0)
        listen_ramp(io.audio_out[0][0], depth, first, last, level, fall)
        bar = clock.meter
        level, fall = (1.0 - (clock.place + gone) / bar, fall / bar) if gone < 1.5 else (0.0, 0.0)
        listen_ramp(io.audio_out[1][0], depth, first, last, level, fall)

    def _name(self, io: IO, offset: int) -> None:
        """Names the chord of the notes, and plays it at once, as notes name it later than the sound does."""
        self._notes.name(io.time.sample + offset)
        play, chord = str(io.at("play", offset)), self._notes.chord
        if chord and chord != self._known[answers.CHORD]:
            self._known[answers.CHORD] = chord
            if play in ("chords", "roots"):
                self._strike(io, offset, play, 1.0)

    def _update_played_chord(self, io: IO, offset: int) -> None:
        """Ends an outdated chord, and starts the new one if there is no beat to start it on."""
        play, chord = str(io.at("play", offset)), int(self._known[answers.CHORD])
        if play == "off" or (chord == 0 and play != "beats"):
            self._end(io, offset)
        elif play in ("chords", "roots") and not self._clock.period and chord != self._played:
            self._strike(io, offset, play, 1.0)

    def _end_click(self, io: IO, before: int) -> None:
        """Ends a note of `beats` due before a frame of the block."""
        until = self._until - io.time.sample
        if self._until >= 0 and until < before:
            self._end(io, max(0, until))

    def _play_beat_notes(self, io: IO, offset: int) -> None:
        play, first = str(io.at("play", offset)), self._clock.place == 0
        louder = 1.25 if first else 1.0
        if play == "beats":
            self._end(io, offset)
            self._on(io, offset, DOWNBEAT if first else BEAT, louder)
            self._until = io.time.sample + offset + round(CLICK * self._rate)
        elif play == "roots" or (play == "chords" and int(self._known[answers.CHORD]) != self._played):
            self._strike(io, offset, play, louder)

    def _strike(self, io: IO, offset: int, play: str, louder: float) -> None:
        """Ends sounding notes, and plays the chord or its root."""
        self._end(io, offset)
        chord = int(self._known[answers.CHORD])
        self._played = chord
        if chord == 0:
            return
        root = (chord - 1) % 12 + 12 * (int(io.at("octave", offset)) + 1)
        third = 4 if chord <= 12 else 3
        for step in (0,) if play == "roots" else (0, third, 7):
            self._on(io, offset, min(127, root + step), louder)

    def _on(self, io: IO, offset: int, number: int, louder: float) -> None:
        io.emit(Event("on", offset, number, min(1.0, louder * float(io.at("velocity", offset)))))
        self._sounding.append(number)

    def _end(self, io: IO, offset: int) -> None:
        for number in self._sounding:
            io.emit(Event("off", offset, number))
        self._sounding.clear()
        self._played, self._until = 0, -1

    def _report(self, io: IO) -> None:
        """Reports changed values, and periodically all of them, for a restarted control process."""
        self._unreported -= io.frames
        everything = self._unreported <= 0
        if everything:
            self._unreported = round(_REPORT_SECONDS * self._rate)
        clock, known, reported = self._clock, self._known, self._reported
        beat = clock.place + 1.0 if clock.period and clock.last >= 0.0 else 0.0
        for n, (name, place) in enumerate(_REPORTS):
            number = beat if place < 0 else known[place]
            if everything or number != reported[n]:
                reported[n] = number
                io.report(name, number)
