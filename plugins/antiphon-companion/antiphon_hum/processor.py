"""The processor `hum`: transcribes one voice, or several notes at once, live."""

import logging
from collections.abc import Callable
from typing import ClassVar

import numpy as np

from antiphon.api import (
    AUDIO_IN,
    EVENTS_OUT,
    F32,
    IO,
    Event,
    FileUse,
    Param,
    Processor,
    Step,
    StreamSpec,
    WorkerError,
    frequency,
)
from antiphon.api.backends.models import say_instead, usable
from antiphon.api.backends.signal import HIGHEST, LOWEST, Decimator
from antiphon.api.kernels import HopPlace
from antiphon_hum.chords import CHORD_MODEL, ChordTracker
from antiphon_hum.learned import HOP, PITCH_MODEL, RATE
from antiphon_hum.learned.model_tracker import ModelTracker
from antiphon_hum.quantise import GRIDS, KEYS, SCALES, KeyFinder, extra_frames, to_line
from antiphon_hum.tracker import IDLE_ON_FILES, RING, NoteTracker, TrackerSettings

log = logging.getLogger("antiphon.hum")

ROUNDING_FRAMES = 4
"""Tolerance in frames for two notes on one grid line, which each note rounds to a frame."""
MIN_NOTE_SECONDS = 0.02
"""Minimum length of a sent note in seconds."""
SOFT, LOUD = -50.0, -10.0
"""Levels in dBFS of velocity `MIN_VELOCITY` and 1."""
BEND_RANGE = 2
"""Semitones of a full pitch bend, the default of `synth` and of MIDI: larger corrections are another note."""
MIN_EXPRESSED = 0.02
"""Minimum change of a note's pitch in semitones that is sent."""
BEND_RESET_SECONDS = 0.3
"""Seconds from a note's end until its bend is reset, so that the release keeps its pitch."""
MIN_VELOCITY = 0.25
MIDDLE_VELOCITY = 0.75
_MAX_PENDING = 256
_MODE_DOC = "One voice by a network, or by YIN; or several notes at once by another network."
NO_MODEL_TEXT = (
    "Its notes are found by yin instead: of what is hummed in quiet four in five, of recorded singing less than half,"
    " and speech gives notes too"
)
"""Suffix of a warning about the missing model.

F1 on files, yin and learned (the card): hummed .80 and .98, 37 recorded songs .42 and .72.
"""


def velocity(level: float, dynamics: float) -> float:
    """Returns a level's velocity: `MIN_VELOCITY` at `SOFT` to 1 at `LOUD`; `MIDDLE_VELOCITY` if `dynamics` is 0."""
    place = min(1.0, max(0.0, (level - SOFT) / (LOUD - SOFT)))
    by_level = MIN_VELOCITY + (1.0 - MIN_VELOCITY) * place
    return MIDDLE_VELOCITY + (by_level - MIDDLE_VELOCITY) * dynamics


def available_mode(mode: str) -> str:
    """The mode, or another that plays here, with a warning, logged once: a network may not be installed."""
    if mode == "chords" and (reason := usable(CHORD_MODEL)):
        say_instead(log, f"hum has no mode chords here: {reason}. It follows one voice instead")
        mode = "learned"
    if mode == "learned" and (reason := usable(PITCH_MODEL)):
        say_instead(log, f"hum has no mode {mode} here: {reason}. {NO_MODEL_TEXT}")
        return "yin"
    return mode


class Hum(Processor):
    """Transcribes sound to events: one note at a time, `latency` frames after the sound.

    Hops are counted from the last `reset`, and a hop reads its parameters at its last frame. So any split into blocks
    gives the same notes at the same frames.
    """

    inputs = (AUDIO_IN,)
    outputs = (EVENTS_OUT,)
    on_files = FileUse("antiphon_hum.jobs:run", beside=("midi-out",), idle=IDLE_ON_FILES)
    params: ClassVar[tuple[Param, ...]] = (
        Param("mode", "choice", "learned", choices=("learned", "yin", "chords"), restart=True, doc=_MODE_DOC),
        Param("key", "choice", "auto", choices=KEYS, doc="The tonic of `scale`; auto finds it from the notes."),
        Param(
            "scale",
            "choice",
            "off",
            choices=tuple(SCALES),
            doc="Moves every note to the nearest one of the scale; auto finds major or minor from the notes.",
        ),
        Param(
            "quantise",
            "choice",
            "off",
            choices=tuple(GRIDS),
            restart=True,
            doc="Moves every note to the nearest line of the clock's grid; adds up to half a line of latency.",
        ),
        Param(
            "bpm",
            default=0.0,
            low=0.0,
            high=400.0,
            unit="bpm",
            doc="The clock of `quantise` in files, from their beginning on; 0 finds one. Live it is the server's.",
        ),
        Param("sensitivity", default=0.5, low=0.0, high=1.0, doc="Higher accepts more sounds as notes."),
        Param(
            "lead",
            "switch",
            False,
            doc="Follows the strongest of several voices, as over a band, of files the stem voice; learned mode only.",
        ),
        Param("threshold", default=-70.0, low=-90.0, high=0.0, unit="dB", doc="Level below which there is no note."),
        Param("lowest", "int", LOWEST, LOWEST, HIGHEST, doc="The lowest note to detect, a MIDI number."),
        Param(
            "highest",
            "int",
            HIGHEST,
            LOWEST,
            HIGHEST,
            doc="The highest note to detect, a MIDI number; in files whistles go beyond 96.",
        ),
        Param(
            "patience",
            default=100.0,
            low=0.0,
            high=300.0,
            unit="ms",
            doc="Longest delay of a live note until its pitch settles; 0 sends it at once and corrects it.",
        ),
        Param(
            "correction",
            "choice",
            "bend",
            choices=("bend", "note", "off"),
            doc="Corrects a live note that began on another pitch: a bend of up to 2 semitones, a note, or nothing.",
        ),
        Param(
            "expression",
            "switch",
            False,
            doc="Live: sends vibrato and glides too, as the pitch of each note, for `sing`, `synth`, `sampler`.",
        ),
        Param("dynamics", default=1.0, doc="Velocity sensitivity: how far velocity follows loudness."),
        Param("pitch", high=4000.0, unit="Hz", readonly=True, doc="Detected pitch (f0), 0 for none."),
        Param(
            "cents", low=-50.0, high=50.0, unit="cents", readonly=True, doc="How far that is from the nearest semitone."
        ),
        Param("voiced", "switch", False, readonly=True, doc="Whether there is a pitch."),
        Param("note", "int", -1, -1, 127, readonly=True, doc="The note that sounds, a MIDI number, -1 for none."),
        Param(
            "many",
            default=0.0,
            low=0.0,
            high=1.0,
            readonly=True,
            doc="Probability that several voices sound at once, which `hum` cannot separate; learned mode only.",
        ),
    )

    def prepare(self, spec: StreamSpec) -> None:
        """Allocates every buffer and starts the worker.

        The latency is that of the mode, plus half a grid line at 60 bpm if notes are quantised. If the network is
        not installed, `yin` is used, with a warning.
        """
        self._rate, self._place = spec.rate, HopPlace()
        mode = str(self.settings["mode"])
        self.mode = mode = available_mode(mode)
        self._tracker: NoteTracker | ModelTracker
        self._chords: ChordTracker | None = None
        if mode == "chords":
            if self._prepare_chord_mode(spec):
                return
            self.mode = mode = available_mode("learned")
        if mode == "learned":
            self._decimator = Decimator(spec.rate, RATE, HOP)
            try:
                self._tracker = ModelTracker(self._decimator, spec.block, self.node)
                self.parts = self._tracker.client.parts
            except WorkerError as error:
                log.warning("hum has no mode learned here: %s. %s", error, NO_MODEL_TEXT)
                self.mode = mode = "yin"
        if mode != "learned":
            self._decimator = Decimator(spec.rate)
            self._tracker = NoteTracker(self._decimator)
        self._quantise = str(self.settings["quantise"])
        self._extra = extra_frames(self._quantise, spec.rate)
        self.latency = self._tracker.behind + self._extra
        self._beats = np.zeros(RING, np.float64)
        self._tempos = np.zeros(RING, np.float64)
        self._keys = KeyFinder()
        self._stuck = -1
        self._sent = -1
        self._bent = 0
        self.reset()

    def _prepare_chord_mode(self, spec: StreamSpec) -> bool:
        """Prepares mode `chords`; returns False, with a warning, if it is not available here."""
        try:
            self._chords = ChordTracker(spec, self.node, velocity)
        except WorkerError as error:
            log.warning("hum has no mode chords here: %s. It follows one voice instead", error)
            return False
        if self.settings["quantise"] != "off":
            say_instead(log, "hum moves one voice onto a grid: with mode=chords notes are sent as they are played")
        self.parts, self.latency = self._chords.client.parts, self._chords.behind
        return True

    def reset(self) -> None:
        """Clears the sound and the pending events. A sounding note is ended at the next block."""
        self._place.clear()
        if self._chords is not None:
            self._chords.reset()
            return
        if self._sent >= 0:
            self._stuck = self._sent
        self._decimator.reset()
        self._tracker.reset()
        self._keys.reset()
        self._tempos.fill(0.0)
        self._pending: list[tuple[int, str, int, float]] = []
        self._hops = 0
        self._number = self._sent = -1
        self._straight = 0 if self._bent else -1
        self._velocity = 0.0
        self._begun, self._shift, self._since, self._unsnapped = -1, 0, 0, 0
        self._expressed = 0.0

    def on_answer(self, take: Callable[[F32 | None, float], object]) -> None:
        """Sets a callback that gets every answer of the network (None: missing) and the level of its hop in dB."""
        if self._chords is None and isinstance(self._tracker, ModelTracker):
            self._tracker.on_answer = take

    def process(self, io: IO) -> None:
        if self._chords is not None:
            self._chords.process(io)
            self._place.until()
            return
        if isinstance(self._tracker, ModelTracker):
            self._tracker.begin(io.time.sample)
        if self._stuck >= 0:
            io.emit(Event("off", 0, self._stuck))
            self._stuck = -1
        sound, start, done = io.audio_in[0], self._place.frames, 0
        while done < io.frames:
            done += self._decimator.take(sound, done, io.frames)
            if self._decimator.full:
                self._process_hop(io, done, start + done - 1)
                self._decimator.turn()
        end = start + io.frames
        while self._pending and self._pending[0][0] < end:
            at, kind, number, value = self._pending.pop(0)
            if kind in ("on", "off"):
                self._sent = number if kind == "on" else -1
            io.emit(Event(kind, max(0, at - start), number, value))
        if 0 <= self._straight < end:
            io.emit(Event("bend", max(0, self._straight - start)))
            self._bent, self._straight = 0, -1
        self._place.begin(end)
        due = [at for at, *_ in self._pending[:1]] + [self._straight] * (self._straight >= 0)
        self._place.until(*([min(due)] if due else ()))

    def step(self, io: IO) -> Step:
        """Step of a block within a hop, in which no event is due."""
        decimator = self._decimator if self._chords is None else self._chords.decimator
        return decimator.step(io.audio_in[0]).then(self._place.count(io.frames))

    def _process_hop(self, io: IO, done: int, now: int) -> None:
        """Processes a full hop; `now` is the number of its last frame, which is frame `done - 1` of the block."""
        tracker, time, last = self._tracker, io.time, done - 1
        place = self._hops % RING
        self._hops += 1
        self._beats[place] = time.beat + done * time.tempo / 60.0 / self._rate
        self._tempos[place] = time.tempo if time.playing else 0.0
        low, high = int(io.at("lowest", last)), int(io.at("highest", last))
        settings = TrackerSettings(
            float(io.at("sensitivity", last)),
            float(io.at("threshold", last)),
            min(low, high),
            max(low, high),
            float(io.at("patience", last)),
            bool(io.at("lead", last)),
        )
        tracker.step(settings, io)
        if tracker.ended:
            self._end(now)
        if tracker.begun is not None:
            begun = tracker.begun
            number = self._snap_to_scale(io, last, begun.pitch)
            self._begin(now, number, velocity(begun.level, float(io.at("dynamics", last))))
        elif tracker.corrected is not None:
            self._correct(io, now, last, tracker.corrected)
        if self._number >= 0 and tracker.pitch > 0.0 and self._begun <= now and bool(io.at("expression", last)):
            self._send_pitch_bend(now, tracker.pitch - self._unsnapped)
        pitch = self._tracker.pitch
        voiced = pitch > 0.0
        io.report("pitch", frequency(pitch) if voiced else 0.0)
        io.report("cents", 100.0 * (pitch - round(pitch)) if voiced else 0.0)
        io.report("voiced", float(voiced))
        io.report("note", float(self._number + self._bent if self._number >= 0 else -1))
        io.report("many", self._tracker.many)

    def _snap_to_scale(self, io: IO, last: int, pitch: float) -> int:
        """The MIDI number of a pitch, moved to the chosen scale."""
        self._unsnapped = min(127, max(0, round(pitch)))
        return self._keys.number(pitch, str(io.at("key", last)), str(io.at("scale", last)))

    def _begin(self, now: int, number: int, value: float) -> None:
        place = (self._hops - 1 - self._tracker.lag) % RING
        tempo = float(self._tempos[place])
        late = self._tracker.behind - self._tracker.lag * self._tracker.hop
        beat = float(self._beats[place]) - (late + 1) * tempo / 60.0 / self._rate
        self._shift = to_line(beat, self._quantise, tempo, self._rate, self._extra)
        due = now + self._extra + self._shift
        self._since = now
        if self._quantise != "off" and tempo > 0.0:
            # of two notes on one line the later goes to the next line; where that is taken too it is left out
            step = round(GRIDS[self._quantise] * 60.0 / tempo * self._rate)
            taken = self._begun + ROUNDING_FRAMES
            if self._begun >= 0 and due < taken:
                if due + step < taken:
                    return
                due += step
                self._shift += step
        elif due <= self._begun:
            return
        if self._pending and self._pending[-1][1] == "off" and self._pending[-1][0] > due:
            _, kind, before, _ = self._pending.pop()
            self._pending.append((max(due, self._begun + 1), kind, before, 0.0))
        self._strike(due, number, value)

    def _strike(self, due: int, number: int, value: float) -> None:
        if len(self._pending) >= _MAX_PENDING:
            return
        if self._bent:
            straight = self._straight if 0 <= self._straight < due else due
            self._pending.append((straight, "bend", 0, 0.0))
        self._bent, self._straight = 0, -1
        self._number, self._begun, self._velocity, self._expressed = number, due, value, 0.0
        self._pending.append((due, "on", number, value))

    def _correct(self, io: IO, now: int, last: int, pitch: float) -> None:
        """Corrects the sounding note's pitch as `correction` selects; a pending note begins on the new pitch."""
        how = str(io.at("correction", last))
        if self._number < 0 or how == "off":
            return
        number = self._snap_to_scale(io, last, pitch)
        if self._pending and self._begun > now:
            self._pending[-1] = (self._begun, "on", number, self._velocity)
            self._number = number
        elif how == "bend" and abs(number - self._number) <= BEND_RANGE:
            if number - self._number != self._bent:
                self._bent = number - self._number
                self._pending.append((now, "bend", 0, self._bent / BEND_RANGE))
        elif number != self._number:
            self._pending.append((now, "off", self._number, 0.0))
            self._strike(now, number, self._velocity)

    def _send_pitch_bend(self, now: int, semitones: float) -> None:
        """Sends the deviation from the note's pitch; beyond the bend range it is an error or another note."""
        if abs(semitones) > BEND_RANGE or abs(semitones - self._expressed) < MIN_EXPRESSED:
            return
        if len(self._pending) < _MAX_PENDING:
            self._expressed = semitones
            self._pending.append((now, "pitch", self._number, semitones))

    def _end(self, now: int) -> None:
        if self._number < 0:
            return
        self._keys.add(self._unsnapped, (now - self._since) / self._rate)
        due = max(now + self._extra + self._shift, self._begun + round(MIN_NOTE_SECONDS * self._rate))
        self._pending.append((due, "off", self._number, 0.0))
        self._straight = due + round(BEND_RESET_SECONDS * self._rate) if self._bent else -1
        self._number = -1
