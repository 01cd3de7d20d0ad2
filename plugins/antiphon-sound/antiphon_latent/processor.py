"""The processor `latent`: a synth that plays notes from a learned space of timbres."""

from typing import ClassVar

import numpy as np

from antiphon.api import AUDIO_OUT, EVENTS_IN, IO, PEDAL, Event, FileUse, Param, Processor, Step, StreamSpec
from antiphon.api.backends.synths import ChannelBends, NoteShapes, pressure_gain
from antiphon_latent.decoder import AXES, AXIS_RANGE, load, place_of
from antiphon_latent.voices import ROWS, TICK, LatentVoices, latent_block, latent_out, latent_rests, latent_sounding

ALL_SOUND_OFF, RESET, ALL_NOTES_OFF = 120, 121, 123
REACH = 3.0
"""Range of an axis; 1 is a standard deviation of the training notes."""
AXIS_DOC = (
    "dark to bright",
    "clean to noisy",
    "plucked to slow",
    "full to hollow, with odd partials alone",
    "damped to ringing on after the key",
    "noise from rumbling to hissing",
    "closing to opening: brighter while it is held",
    "round to nasal: partials 4 to 8",
)
NAMES = tuple(f"z{n}" for n in range(1, AXES + 1))


class Latent(Processor):
    """Plays up to `VOICES` notes whose timbre is a position in a learned space, movable while they sound."""

    inputs = (EVENTS_IN,)
    outputs = (AUDIO_OUT,)
    on_files = FileUse(tail=True)
    params: ClassVar[tuple[Param, ...]] = (
        *(
            Param(name, default=0.0, low=-REACH, high=REACH, smooth=0.02, doc=f"Axis of timbre: {doc}.")
            for name, doc in zip(NAMES, AXIS_DOC, strict=True)
        ),
        Param(
            "like",
            "file",
            "",
            holds="a sound file",
            doc="A note as a sound file; the axes are then counted from the place most like it.",
        ),
        Param(
            "notes",
            "file",
            "",
            holds="a file of antiphon train notes",
            doc="A model of your own sounds, made by antiphon train notes FOLDER.",
        ),
        Param("sensitivity", default=0.6, low=0.0, high=1.0, doc="Velocity sensitivity of the level."),
        Param("bend", default=2.0, low=0.0, high=24.0, unit="semitones", doc="Pitch-bend range."),
        Param("level", default=0.0, low=-60.0, high=12.0, unit="dB", smooth=0.005, doc="Output level."),
        Param("unlike", default=0.0, low=0.0, high=80.0, unit="dB", readonly=True, doc="Distance left to `like`."),
        Param("sounding", "int", 0, 0, ROWS, readonly=True, doc="Voices that sound now."),
        Param("dropped", "int", 0, 0, 2**31 - 1, readonly=True, doc="Notes for which no voice was free."),
    )

    def prepare(self, spec: StreamSpec) -> None:
        """Loads the model, and finds the latent position of `like`.

        Raises ModelError: there is no such model. Raises FileError: `like` cannot be read, or is silent.
        """
        self._rate = spec.rate
        decoder = load(str(self.settings["notes"]))
        self._voices = LatentVoices(decoder, spec.rate)
        like = str(self.settings["like"])
        self._from, self._unlike = place_of(like, decoder) if like else (np.zeros(AXES, np.float32), 0.0)
        self._place = np.zeros(AXES, np.float32)
        self._made = np.zeros(spec.block, np.float32)
        self._left, self._sounding = np.zeros(1, np.int64), np.zeros(1)
        self._shapes = NoteShapes()
        self._bends = ChannelBends()
        self._pedal = [False] * 17
        self._gains, self._tuned = [0.0] * ROWS, [0.0] * ROWS
        self._pedalled = [False] * ROWS
        self.reset()

    def reset(self) -> None:
        """Silences all notes; the model stays."""
        self._voices.reset()
        self._shapes.clear()
        self._bends.reset()
        self._dropped = self._left[0] = 0
        for n in range(17):
            self._pedal[n] = False

    def process(self, io: IO) -> None:
        made, at = self._made[: io.frames], 0
        made.fill(0.0)
        for event in io.events_in:
            self._play(io, at, event.offset)
            at = max(at, event.offset)
            self._event(io, event)
        self._play(io, at, io.frames)
        latent_out(made, io.curve("level"), io.audio_out[0])
        io.report("unlike", self._unlike)
        io.report("sounding", latent_sounding(self._voices.rows.real))
        io.report("dropped", self._dropped)

    def _play(self, io: IO, at: int, end: int) -> None:
        """Plays frames `at` to `end`; every `TICK` samples since the last `reset` the rows get new targets."""
        while at < end:
            if self._left[0] == 0:
                self._left[0] = TICK
                self._read(io, at)
                for n in range(ROWS):
                    if self._voices.sounding(n):
                        self._voices.set_targets(n, self._place, TICK)
            count = min(end - at, int(self._left[0]))
            self._voices.play(self._made, at, count)
            self._left[0] -= count
            at += count

    def step(self, io: IO) -> Step:
        """Step of a block without notes, in which no note gets a new target."""
        level, rows, out = io.curve("level"), self._voices.rows, io.audio_out[0]
        block = latent_block.step(self._made, self._left, rows, level, out, self._sounding)
        rests = latent_rests.step(self._left, rows.real, io.frames)
        return block.provided(rests).reporting(sounding=(self._sounding, 0))

    def _read(self, io: IO, at: int) -> None:
        for n, name in enumerate(NAMES):
            self._place[n] = min(max(self._from[n] + float(io.at(name, at)), -AXIS_RANGE), AXIS_RANGE)

    def _event(self, io: IO, event: Event) -> None:
        channel, key = event.channel, (event.channel, event.number)
        if event.kind in ("bend", "control") and self._bends.follow(event, float(io.at("bend", event.offset))):
            for n in range(ROWS):
                if self._voices.key[n][0] == channel:
                    self._tune(n)
        match event.kind:
            case "on":
                self._on(io, event)
            case "off":
                for n in self._rows(key):
                    if self._pedal[channel]:
                        self._pedalled[n] = True
                    else:
                        self._release(io, n, event.offset)
            case "pitch" | "pressure" | "timbre":
                rows = self._rows(key)
                if not rows:
                    self._shapes.put(event.kind, event.number, channel, event.value)
                for n in rows:
                    if event.kind == "pitch":
                        self._tuned[n] = event.value
                        self._tune(n)
                    elif event.kind == "pressure":
                        self._voices.level[n] = self._gains[n] * pressure_gain(event.value)
                    else:
                        self._voices.shift[n] = _shift(event.value)
            case "control":
                lifted = event.number == RESET or (event.number == PEDAL and event.value < 0.5)
                if lifted or event.number == PEDAL:
                    self._pedal[channel] = not lifted
                if lifted or event.number in (ALL_SOUND_OFF, ALL_NOTES_OFF):
                    for n in range(ROWS):
                        if self._voices.key[n][0] == channel and (not lifted or self._pedalled[n]):
                            self._release(io, n, event.offset)

    def _rows(self, key: tuple[int, int]) -> list[int]:
        return [n for n in range(ROWS) if self._voices.key[n] == key]

    def _on(self, io: IO, event: Event) -> None:
        channel, key = event.channel, (event.channel, event.number)
        for n in self._rows(key):
            self._release(io, n, event.offset)
        shape = self._shapes.take(event.number, channel)
        sensitivity = float(io.at("sensitivity", event.offset))
        gain = 1.0 - sensitivity + sensitivity * event.value**2
        n = self._voices.begin(
            key,
            event.number + self._bends.semitones[channel] + shape.pitch,
            event.value,
            gain * pressure_gain(shape.pressure),
            _shift(shape.timbre),
        )
        if n < 0:
            self._dropped += 1
            return
        self._gains[n], self._tuned[n], self._pedalled[n] = gain, shape.pitch, False
        self._aim(io, n, event.offset)

    def _tune(self, n: int) -> None:
        channel, number = self._voices.key[n]
        self._voices.pitch[n] = number + self._bends.semitones[channel] + self._tuned[n]

    def _release(self, io: IO, n: int, at: int) -> None:
        self._voices.release(n)
        self._aim(io, n, at)

    def _aim(self, io: IO, n: int, at: int) -> None:
        """Sets a row's target at the end of the present tick, if one has begun."""
        if left := int(self._left[0]):
            self._read(io, at)
            self._voices.set_targets(n, self._place, left)


def _shift(timbre: float) -> float:
    """Offset of the first axis by MPE's timbre, 0 to 1."""
    return (2.0 * timbre - 1.0) * REACH
