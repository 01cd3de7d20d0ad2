"""Node `record`: a prepared recording, which plays by the beats of the clock and waits for the player."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from antiphon.api import AUDIO_OUT, F64, IO, Param, PluginError, Port, Processor, Step, StreamSpec
from antiphon.api.backends.files import printable_path
from antiphon.api.backends.workers import current_pool
from antiphon.api.kernels import fill_sound
from antiphon_record.kernels import (
    FADE,
    STEMS,
    WINDOWS,
    RecordClock,
    RecordCurves,
    RecordSource,
    RecordWord,
    StemStream,
    record_play,
)
from antiphon_record.preparing import RATE, PreparedRecord, read_prepared

_NEVER = 1e18
_NEAR_BEATS = 0.1
"""Beats before the one that it waits for, and within which a note is on a beat."""
_LATE_BEATS = 1.0
"""Beats for which it has stood within which a note is merely late; after more, the player stopped."""
_WHAT = ("the voice", "the drums", "the bass", "the rest")


class Record(Processor):
    """Plays the stems of a recording: wherever the clock stands, that place of the record sounds, at its own pitch.

    Beat 0 of the clock is the last bar line before the record's first beat.
    """

    rate = RATE
    inputs = (Port("notes", "events", overhears=True),)
    outputs = (AUDIO_OUT,)
    split = True
    params = (
        Param("file", "file", "", holds="a sound file", doc="One that `antiphon play FILE --with-me` prepared."),
        *(
            Param(name, default=1.0, low=0.0, high=2.0, smooth=0.01, doc=f"Loudness of {what}; 0 takes it out.")
            for name, what in zip(STEMS, _WHAT, strict=True)
        ),
        Param(
            "transpose", default=0.0, low=-12.0, high=12.0, unit="semitones", smooth=0.01,
            doc="Pitch of all but the drums, up or down.",
        ),
        Param(
            "give", default=1.0, low=0.0, high=1.0, smooth=0.01,
            doc="How far it goes with the clock: 0 is the record's own time.",
        ),
        Param(
            "waits", default=0.0, low=0.0, high=16.0, unit="beats",
            doc="Beats without a note of the player after which it waits at a beat for the next; 0 never waits.",
        ),
        Param("section", "text", "", doc="A section by name, which repeats from the next bar on; empty goes on."),
        Param("bar", "int", 0, low=0, high=100_000, readonly=True, doc="Its bar, from 1; 0 before it begins."),
        Param("pace", default=0.0, low=0.0, high=8.0, readonly=True, doc="Its pace; 1 is as recorded."),
        Param("waiting", "switch", False, readonly=True, doc="Whether it waits for the player."),
    )  # fmt: skip

    def prepare(self, spec: StreamSpec) -> None:
        """Maps the stems, and allocates every buffer."""
        self._words, self._before, self._sample = np.zeros(len(RecordWord)), np.zeros(len(RecordWord)), -1
        self._old: Record | None = None
        self._record: PreparedRecord | None = None
        self._sections: list[tuple[int, int]] = []
        self._streams: list[StemStream] = []
        here = current_pool()
        if here is not None and self.node:
            self._old, here.newest["record", self.node] = here.newest.get(("record", self.node)), self
        if name := str(self.settings["file"]):
            self._load(Path(name), spec)
        self._clear()

    def _load(self, source: Path, spec: StreamSpec) -> None:
        found = read_prepared(source)
        if found is None:
            name = printable_path(source.name)
            raise PluginError(f"{name} is not prepared; antiphon play {name} --with-me prepares it")
        self._record, stems = found
        self.vocabulary = {"section": tuple(dict.fromkeys(label for _, _, label in self._record.sections))}
        if wanted := str(self.settings["section"]):
            self._sections = self._record.section_spans(wanted)
        self._places: F64 = np.asarray(self._record.places)
        self._source = RecordSource(stems, self._record.frames, self._places, len(self._places), self._record.meter)
        self._streams = [
            StemStream(np.asarray(attacks, np.int64), spec.channels, RATE, seconds)
            for attacks, seconds in zip(self._record.attacks, WINDOWS, strict=True)
        ]
        self._play = record_play.caller()

    def reset(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._begun = False
        self._words.fill(0.0)
        self._words[[RecordWord.HOLD, RecordWord.AT, RecordWord.GOTO, RecordWord.AFTER]] = _NEVER
        for stream in self._streams:
            stream.clear()

    def step(self, io: IO) -> Step | None:
        """Step of silence without a recording, else None."""
        return fill_sound.step(io.audio_out[0], 0.0) if self._record is None else None

    def process(self, io: IO) -> None:
        """Plays a block, in parts between the player's notes."""
        if self._record is None:
            io.audio_out[0].fill(0.0)
            return
        if not self._begun:
            self._begin(io)
        np.copyto(self._before, self._words)
        self._sample = io.time.sample
        curves = RecordCurves._make(map(io.curve, RecordCurves._fields))
        words, at, waits = self._words, 0, float(io.value("waits"))
        if waits == 0.0:
            words[RecordWord.HOLD] = _NEVER
        for event in io.events_in:
            if event.kind == "on" and event.value > 0.0 and waits > 0.0:
                self._run(io, curves, at, event.offset)
                at = event.offset
                self._hear(io, at, waits)
        self._run(io, curves, at, io.frames)
        beat, begun = float(words[RecordWord.BEAT]), words[RecordWord.BEGUN] > 0.0
        io.report("bar", math.floor(max(0.0, beat) / self._record.meter) + 1.0 if begun else 0.0)
        io.report("waiting", float(self._waits()))
        io.report("pace", min(8.0, round(float(words[RecordWord.PACE]), 3)))

    def _begin(self, io: IO) -> None:
        """Handles the first block: goes on where a node with the same recording is, and goes to a section."""
        self._begun, words, old, self._old = True, self._words, self._old, None
        if old is not None and old._record is not None and old.settings["file"] == self.settings["file"]:
            # in a crossfade the old node may have played this block already
            np.copyto(words, old._before if old._sample == io.time.sample else old._words)
        words[[RecordWord.AT, RecordWord.GOTO, RecordWord.AFTER]] = _NEVER
        if not self._sections:
            return
        here = float(words[RecordWord.BEAT]) if words[RecordWord.BEGUN] > 0.0 else io.time.beat
        inside = [span for span in self._sections if span[0] <= here < span[1]]
        ahead = [span for span in self._sections if span[0] > here]
        first, last = (inside or ahead or self._sections)[0]
        words[[RecordWord.AT, RecordWord.GOTO, RecordWord.AFTER]] = -_NEVER, first, last

    def _hear(self, io: IO, offset: int, waits: float) -> None:
        """Sets the beat at which it waits next; where it waits, goes on from there."""
        words = self._words
        if words[RecordWord.BEGUN] == 0.0:
            return
        beat = float(words[RecordWord.BEAT])
        if self._waits():
            step = io.time.beats_per_frame(RATE)
            clock = io.time.beat + offset * step
            late = words[RecordWord.HELD] * step < _LATE_BEATS
            beat = float(words[RecordWord.HOLD if late else RecordWord.NEXT])
            place = min(max(0, round(beat)), len(self._places) - 2)
            words[RecordWord.BEAT] = beat - FADE * RATE / (self._places[place + 1] - self._places[place])
            words[RecordWord.OFFSET] = round(beat - clock)
        words[RecordWord.HOLD] = math.ceil(beat + waits - 1e-6)
        words[RecordWord.NEXT] = math.floor(beat + _NEAR_BEATS) + 1.0

    def _waits(self) -> bool:
        """Whether it waits before a beat."""
        return bool(
            self._words[RecordWord.HELD] > 0.0
            and self._words[RecordWord.HOLD] - self._words[RecordWord.BEAT] < _NEAR_BEATS
        )

    def _run(self, io: IO, curves: RecordCurves, first: int, last: int) -> None:
        if last <= first:
            return
        step = io.time.beats_per_frame(RATE)
        clock = RecordClock(
            self._words, io.time.beat + first * step, step, int(io.time.playing), first, last, float(RATE)
        )
        a, b = self._streams
        self._play(io.audio_out[0], clock, curves, self._source, a.record, a.spectra.record, b.record, b.spectra.record)
