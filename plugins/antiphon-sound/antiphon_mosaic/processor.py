"""Processor `mosaic`: units of a reference follow a sound, notes and a finger."""

from __future__ import annotations

import math
from enum import IntEnum
from operator import itemgetter
from typing import ClassVar, NamedTuple

import numpy as np

from antiphon.api import (
    AUDIO_IN,
    AUDIO_OUT,
    EVENTS_IN,
    EVENTS_OUT,
    F32,
    IO,
    Event,
    FileUse,
    Param,
    Processor,
    Step,
    StreamSpec,
)
from antiphon.api.backends.analysis import MelSettings, mel_bank
from antiphon.api.kernels import HopPlace, f32, f32p, f64, f64p, i64, kernel
from antiphon_mosaic.corpus import (
    CLUSTERS,
    LEVEL,
    LEVEL_SPREAD,
    MAX_STEPS,
    MAX_UNITS,
    SILENT,
    Describer,
    Grid,
    OnsetFinder,
    UnitChooser,
    corpus,
    read,
)
from antiphon_mosaic.third import GENRES

# ---- Unit playback: a pool of windowed segments of the corpus, at any speed, overlap-added

GRAINS = 24
PI = math.pi


class Grain(IntEnum):
    """Indices of a grain's numbers."""

    AT = 0
    """Position in the corpus in samples, fractional."""
    SPEED = 1
    """Playback speed, corpus samples per sample."""
    AGE = 2
    """Samples since its start; below 0 it is pending."""
    ATTACK = 3
    """Samples of its attack."""
    LENGTH = 4
    """Total length in samples; 0: the grain is free."""
    RELEASE = 5
    """Samples of its release."""
    GAIN = 6
    FADE = 7
    """Decrease of `LEVEL` per sample."""
    LEVEL = 8
    NUMBERS = 9


@kernel
def mosaic_grains(sound: f32p, frames: i64, rows: f64p, out: f32p, count: i64) -> None:
    """Adds `count` samples of all grains of the corpus `sound`, `frames` samples, to `out`, `[count]`."""
    for v in range(GRAINS):
        r = v * Grain.NUMBERS
        length = rows[r + Grain.LENGTH]
        if length > 0.0:
            at = rows[r + Grain.AT]
            age = rows[r + Grain.AGE]
            level = rows[r + Grain.LEVEL]
            attack = rows[r + Grain.ATTACK]
            release = rows[r + Grain.RELEASE]
            for n in range(count):
                if age >= 0.0 and length > 0.0:
                    i = i64(at)
                    if age >= length or i + 1 >= frames or level <= 0.0:
                        length = 0.0
                    else:
                        f = at - f64(i)
                        g = rows[r + Grain.GAIN] * level
                        if age < attack:
                            g = g * (0.5 - 0.5 * math.cos(PI * age / attack))
                        if length - age < release:
                            g = g * (0.5 - 0.5 * math.cos(PI * (length - age) / release))
                        out[n] = f32(f64(out[n]) + g * (f64(sound[i]) * (1.0 - f) + f64(sound[i + 1]) * f))
                        at = at + rows[r + Grain.SPEED]
                        level = level - rows[r + Grain.FADE]
                age = age + 1.0
            rows[r + Grain.AT] = at
            rows[r + Grain.AGE] = age
            rows[r + Grain.LENGTH] = length
            rows[r + Grain.LEVEL] = level


class Window(NamedTuple):
    """Attack, total length and release of a grain in samples."""

    attack: float
    length: float
    release: float


class GrainPool:
    """Starts, fades and mixes grains; without a free one the oldest is replaced."""

    def __init__(self, sound: F32) -> None:
        self._sound = sound
        self._rows = np.zeros((GRAINS, Grain.NUMBERS))
        self._owner = np.full(GRAINS, -1)
        self._mix = mosaic_grains.caller()

    def reset(self) -> None:
        self._rows.fill(0.0)

    def begin(
        self, at: float, wait: int, window: Window, *, gain: float = 1.0, speed: float = 1.0, owner: int = -1
    ) -> None:
        """Starts a grain in `wait` samples, from the first frame of `mix`; other arguments as in `Grain`."""
        row = int(np.argmin(np.where(self._rows[:, Grain.LENGTH] > 0.0, 1e9 - self._rows[:, Grain.AGE], 0.0)))
        self._rows[row] = (at, speed, -wait, *window, gain, 0.0, 1.0)
        self._owner[row] = owner

    def fade(self, samples: float, owner: int = -1) -> None:
        """Fades out an owner's grains."""
        own = self._owner == owner
        self._rows[own, Grain.FADE] = 1.0 / samples

    def mix(self, out: F32) -> None:
        """Adds all grains to contiguous `[n]`."""
        self._mix(self._sound, len(self._sound), self._rows, out, len(out))


# ---- Level matching of a mosaic to its input, over time and in bands, with limiting

PIECES = 4
"""Gain segments per hop."""
HALF_WIDTH = 2
"""Segments before and after one in its energy average."""
MAX_GAIN = 30.0
CEILING = 0.98
BANDS, MAX_FIT = 14, 18.0


class LevelMatcher:
    """Computes gains for the second of three hops of both sounds."""

    def __init__(self, hop: int) -> None:
        self._piece = hop // PIECES
        shape = np.array([1.0, 2.0, 3.0, 2.0, 1.0])
        first, count = PIECES - 1, PIECES + 2
        self._smooth = np.zeros((3 * PIECES, count))
        for n in range(count):
            self._smooth[first + n - HALF_WIDTH : first + n + HALF_WIDTH + 1, n] = shape / shape.sum()
        centre = (np.arange(hop) + 0.5) / self._piece + 0.5
        self._between = np.maximum(0.0, 1.0 - np.abs(centre - np.arange(count)[:, None])).astype(np.float32)

    def apply(self, dry: F32, made: F32, amount: float, out: F32) -> None:
        """out `[channels, hop]` ← the second hop of `made` `[3 * hop]` at the level of `dry` `[channels, 3 * hop]`."""
        hop, count, first = out.shape[1], self._smooth.shape[1], PIECES - 1
        pieces = made.reshape(-1, self._piece)
        own = np.square(pieces).mean(axis=1) @ self._smooth + 1e-10
        peak = np.abs(pieces).max(axis=1)
        most = CEILING / np.maximum(np.max([peak[n : n + count] for n in (first - 1, first, first + 1)], axis=0), 1e-9)
        for channel, result in zip(dry, out, strict=False):
            wanted = np.square(channel.reshape(-1, self._piece)).mean(axis=1) @ self._smooth
            gain = np.minimum(np.minimum(np.sqrt(wanted / own), MAX_GAIN) ** amount, most)
            np.multiply(gain.astype(np.float32) @ self._between, made[hop : 2 * hop], out=result)


class BandFitter:
    """Matches the spectrum of a mosaic to the input's, in `BANDS` mel bands by at most `MAX_FIT` dB; a hop late."""

    def __init__(self, grid: Grid) -> None:
        size = 2 * grid.hop
        settings = MelSettings(grid.rate, size, grid.hop, BANDS, 40.0, 0.45 * grid.rate)
        bank = mel_bank(settings)
        self._gather = np.ascontiguousarray(bank.T)
        peak = bank / bank.max(axis=1, keepdims=True)
        peak[0, : peak[0].argmax()] = peak[-1, peak[-1].argmax() :] = 1.0
        self._spread = (peak / np.maximum(peak.sum(axis=0), 1e-6)).astype(np.float32)
        self._window = np.sqrt(0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(size) / size)).astype(np.float32)
        self._rest = np.zeros(grid.hop, np.float32)

    def reset(self) -> None:
        self._rest.fill(0.0)

    def apply(self, dry: F32, made: F32, amount: float, out: F32) -> None:
        """out `[hop]` ← first hop of `made` `[2 * hop]`, matched by `amount` 0 to 1 to `dry` `[2 * hop]`."""
        hop = len(out)
        spectrum = np.fft.rfft(made * self._window)
        wanted = np.fft.rfft(dry * self._window)
        levels = [np.log10((s.real**2 + s.imag**2) @ self._gather + 1e-9) for s in (wanted, spectrum)]
        gain = np.clip(amount * 10.0 * (levels[0] - levels[1]), -MAX_FIT, MAX_FIT)
        frame = np.fft.irfft(spectrum * (10.0 ** (gain / 20.0) @ self._spread)) * self._window
        np.add(self._rest, frame[:hop], out=out)
        self._rest[:] = frame[hop:]


NOTES = 8
"""Maximum simultaneous notes; the finger is one more stream."""
FINGER = NOTES
ATTACK, CUT = 0.002, 0.006
"""Attack in seconds of a unit on an onset, and release of the units before it."""
ALL_OFF = (120, 123)
ROOT, CHANNELS, CURVE = 60, 16, 1.5
"""Sampler settings of `notes`: key of the file's original pitch, channels, and exponent from velocity to level."""


_SAMPLE_OF = itemgetter(0)


class UnitStream:
    """Sequence of units for a note or the finger."""

    def __init__(self) -> None:
        self.stop()

    def stop(self) -> None:
        self.key = (-1, -1)
        self.gain = 0.0
        self.due = -1
        self.last = -1
        self.next = 0.0


class Mosaic(Processor):
    """Follows the input with units of the reference. Hops count from the last `reset`: any block size gives the same.

    A sound is analysed with `grid.ahead` samples of look-ahead, so that each unit fits the sound at its time. Notes and
    the finger need none: live ones are played a hop later, scheduled ones with the latency.
    """

    inputs = (AUDIO_IN, EVENTS_IN)
    outputs = (AUDIO_OUT, EVENTS_OUT)
    on_files = FileUse(needs=("reference",), changes=("pitch", "time", "level", "channels"))
    params: ClassVar[tuple[Param, ...]] = (
        Param(
            "reference",
            "file",
            "",
            holds="a sound file, or a folder of them",
            doc="A sound file, or a folder of them; without one there is silence.",
        ),
        Param("size", default=50.0, low=20.0, high=80.0, unit="ms", restart=True, doc="Length of a unit."),
        Param("pitch", default=1.0, low=0.0, high=4.0, doc="Weight of pitch: chroma, of notes their number."),
        Param("timbre", default=1.0, low=0.0, high=4.0, doc="Weight of timbre: MFCC."),
        Param("loudness", default=0.1, low=0.0, high=4.0, doc="Weight of the level that a unit has of its own."),
        Param("position", default=0.0, low=0.0, high=4.0, doc="Weight of the place x, y on the map."),
        Param("continuity", default=0.3, low=0.0, high=4.0, doc="What a unit that continues the last one gains."),
        Param("x", default=0.5, low=0.0, high=1.0, doc="Place on the map: dark to bright, mostly."),
        Param("y", default=0.5, low=0.0, high=1.0, doc="Place on the map: soft to loud, mostly."),
        Param("touch", default=0.0, low=0.0, high=1.0, doc="Level of a finger that plays the units at x, y."),
        Param("cluster", "int", 0, 0, CLUSTERS, doc="Plays one cluster of units alone, 1 dark to 8 bright; 0 all."),
        Param("transpose", "int", 6, 0, MAX_STEPS, unit="semitones", doc="How far units are moved to fit the chroma."),
        Param("fit", default=0.5, low=0.0, high=1.0, doc="How far units get the input's levels in 14 bands."),
        Param("follow", default=1.0, low=0.0, high=1.0, doc="1: at the input's level; 0: units at their own."),
        Param("level", default=0.0, low=-60.0, high=12.0, unit="dB", doc="Output level."),
        Param("units", "int", 0, 0, MAX_UNITS, readonly=True, doc="Units of the reference."),
        Param("unit_x", default=0.0, low=0.0, high=1.0, readonly=True, doc="Place of the unit played last."),
        Param("unit_y", default=0.0, low=0.0, high=1.0, readonly=True, doc="Likewise."),
    )

    def prepare(self, spec: StreamSpec) -> None:
        """Reads the reference and cuts it into units. Raises FileError: it is unreadable, silent or empty."""
        grid = Grid(spec.rate, round(float(self.settings["size"]) * spec.rate / 1000.0))
        self._grid, hop = grid, grid.hop
        self.latency = grid.latency
        path = str(self.settings["reference"])
        self._corpus = corpus(read(path, spec.rate), grid) if path else None
        self._keep = 2 * grid.window + grid.latency
        self._past = np.zeros((spec.channels, self._keep + hop), np.float32)
        self._mono = np.zeros(self._keep + hop, np.float32)
        self._made = np.zeros(3 * hop, np.float32)
        self._out = np.zeros((spec.channels, hop), np.float32)
        self._place, self._hops_in_play = HopPlace(hop), (self._past[:, self._keep :], self._out)
        self._played = np.zeros(hop, np.float32)
        self._window = np.zeros((1, 2 * grid.window), np.float32)
        self._describer, self._onsets, self._level = Describer(grid), OnsetFinder(grid), LevelMatcher(hop)
        self._fitter, self._raw = BandFitter(grid), np.zeros(2 * hop, np.float32)
        self._streams = [UnitStream() for _ in range(NOTES + 1)]
        self._events: list[tuple[int, Event]] = []
        self._notes: list[tuple[int, Event]] = []
        self._due: list[int] = []
        if self._corpus is not None:
            self._chooser = UnitChooser(self._corpus, grid)
            self._following, self._playing = GrainPool(self._corpus.sound), GrainPool(self._corpus.sound)
        self.reset()

    def reset(self) -> None:
        """Clears the input and all sounding units; the reference stays."""
        for buffer in (self._past, self._mono, self._made, self._out, self._raw):
            buffer.fill(0.0)
        self._onsets.reset()
        self._fitter.reset()
        if self._corpus is not None:
            self._following.reset()
            self._playing.reset()
        for stream in self._streams:
            stream.stop()
        self._events.clear()
        self._notes.clear()
        self._due.clear()
        self._hops = self._told = 0
        self._place.clear()
        self._next = 0
        self._last = -1
        self._begun, self._from, self._speed = 0, 0.0, 1.0
        self._shown = (0.0, 0.0)

    def process(self, io: IO) -> None:
        sound, out = io.audio_in[0], io.audio_out[0]
        hop, at = self._grid.hop, 0
        first = self._hops * hop + self._place.frames
        for event in io.events_in:
            self._events.append((first + event.offset + (hop if event.live else self.latency), event))
        while at < io.frames:
            at = self._place.swap(sound, *self._hops_in_play, out, at)
            if self._place.frames == hop:
                self._place.begin()
                self._hop(io, at - 1)
        while self._notes and self._notes[0][0] < first + io.frames:
            sample, event = self._notes.pop(0)
            io.emit(event.moved(sample - first))
        self._place.until(*(sample - self._hops * hop for sample, _ in self._notes[:1]))
        corpus = self._corpus
        io.report("units", 0 if corpus is None else len(corpus.starts))
        io.report("unit_x", self._shown[0])
        io.report("unit_y", self._shown[1])

    def step(self, io: IO) -> Step:
        """Step of a block within a hop, in which no note is due."""
        return self._place.step(io.audio_in[0], *self._hops_in_play, io.audio_out[0])

    def _hop(self, io: IO, at: int) -> None:
        """Computes the next output hop, from the values at frame `at` of the block."""
        hop, grid = self._grid.hop, self._grid
        np.mean(self._past[:, self._keep :], axis=0, out=self._mono[self._keep :])
        self._hops += 1
        self._out.fill(0.0)
        if self._corpus is not None:
            self._made[: 2 * hop] = self._made[hop:]
            self._raw[:hop] = self._raw[hop:]
            self._raw[hop:] = 0.0
            self._follow(io, at)
            end = self._keep + hop - grid.look_ahead
            fit = float(io.at("fit", at))
            self._fitter.apply(self._mono[end - 2 * hop : end], self._raw, fit, self._made[2 * hop :])
            end -= hop
            self._level.apply(self._past[:, end - 3 * hop : end], self._made, float(io.at("follow", at)), self._out)
            self._played.fill(0.0)
            self._play(io, at)
            np.add(self._out, self._played, out=self._out)
            self._out *= np.float32(10.0 ** (float(io.at("level", at)) / 20.0))
        for past in (self._past, self._mono[None]):
            past[:, :-hop] = past[:, hop:]

    def _note(self, wait: int, start: float, steps: float, level: float) -> None:
        """Queues a unit as a note for a sampler with the reference; the event's `age` is the unit's start.

        `wait`: samples from the next output sample. `start`: sample of the reference. `steps`: semitones up. `level`:
        dB relative to the reference.
        """
        self._told += 1
        sample, channel, number = self._hops * self._grid.hop + wait, self._told % CHANNELS + 1, ROOT + round(steps)
        value = min(1.0, 10.0 ** (level / 20.0 / CURVE))
        self._notes += (
            (sample, Event("pitch", 0, number, steps - round(steps), channel)),
            (sample, Event("on", 0, number, value, channel, max(1, round(start)))),
            (sample + self._grid.size // 2, Event("off", 0, number, 0.0, channel)),
        )
        self._notes.sort(key=_SAMPLE_OF)

    def _follow(self, io: IO, at: int) -> None:
        """Starts the units of a hop that follow the input, and mixes them. Samples count from the input's first."""
        grid, hop = self._grid, self._grid.hop
        if self._onsets.push(self._mono[-2 * hop :]):
            self._due.append((self._hops - 1 - self._onsets.after) * hop)
        last = self._hops * hop - grid.look_ahead
        first = last - hop
        while True:
            onset = bool(self._due) and self._due[0] < last and self._due[0] <= self._next
            begin = self._due.pop(0) if onset else self._next
            if begin >= last:
                break
            self._unit(io, at, max(begin, first), first, onset=onset)
            self._next = max(begin, first) + grid.size // 2
        self._following.mix(self._raw[hop:])

    def _unit(self, io: IO, at: int, begin: int, first: int, *, onset: bool) -> None:
        grid, corpus = self._grid, self._corpus
        assert corpus is not None
        end = self._keep + grid.hop - (self._hops * grid.hop - (begin + grid.look_ahead))
        self._window[0] = self._mono[end - 2 * grid.window : end]
        target = self._describer.describe(self._window)[0]
        if target[LEVEL] * LEVEL_SPREAD < SILENT:
            self._last = -1
            return
        chooser = self._chooser
        chooser.set_weights(float(io.at("timbre", at)), float(io.at("loudness", at)))
        number = float(self._describer.pitch(self._window, grid.rate)[0])
        chooser.follow(target, number, float(io.at("pitch", at)), int(io.at("transpose", at)), onset=onset)
        to = 0.0
        if self._last >= 0:
            to = self._from + (begin - self._begun) * self._speed
        best = chooser.choose(
            float(io.at("x", at)),
            float(io.at("y", at)),
            float(io.at("position", at)),
            int(io.at("cluster", at)),
            self._last,
            to,
            0.0 if onset else float(io.at("continuity", at)),
        )
        half = grid.size / 2.0
        if onset:
            self._following.fade(CUT * grid.rate)
        # exact to the sample, so that continued units are seamless
        self._from = to if chooser.continues and not onset else float(corpus.starts[best])
        self._last, self._begun = best, begin
        self._speed = 2.0 ** (chooser.steps / 12.0)
        window = Window(ATTACK * grid.rate if onset else half, grid.size, half)
        self._following.begin(self._from, begin - first, window, speed=self._speed)
        level = float(io.at("follow", at)) * float(target[LEVEL] - corpus.features[best, LEVEL]) * LEVEL_SPREAD
        # the sound of what follows is two hops later, for its level
        self._note(begin - first + 2 * grid.hop, self._from, chooser.steps, level)
        self._shown = float(corpus.place[best, 0]), float(corpus.place[best, 1])

    def _play(self, io: IO, at: int) -> None:
        """Plays a hop of notes and finger."""
        first = self._hops * self._grid.hop
        last = first + self._grid.hop
        while self._events and self._events[0][0] < last:
            sample, event = self._events.pop(0)
            self._event(event, sample)
        finger, touch = self._streams[FINGER], float(io.at("touch", at))
        if touch > 0.0 and finger.due < 0:
            finger.due = first
        elif touch == 0.0 and finger.due >= 0:
            finger.stop()
        finger.gain = touch
        for n, stream in enumerate(self._streams):
            while 0 <= stream.due < last:
                self._stream(io, at, n, stream, first)
        self._playing.mix(self._played)

    def _stream(self, io: IO, at: int, n: int, stream: UnitStream, first: int) -> None:
        grid, corpus, chooser = self._grid, self._corpus, self._chooser
        assert corpus is not None
        chooser.note(max(0.0, float(stream.key[1])), max(0.1, float(io.at("pitch", at))))
        best = chooser.choose(
            float(io.at("x", at)),
            float(io.at("y", at)),
            max(1.0, float(io.at("position", at))),
            int(io.at("cluster", at)),
            stream.last,
            stream.next,
            float(io.at("continuity", at)),
        )
        speed = 2.0 ** (chooser.steps / 12.0)
        half = grid.size / 2.0
        start = stream.next if chooser.continues else float(corpus.starts[best])
        begun = stream.last >= 0
        window = Window(half if begun else ATTACK * grid.rate, grid.size, half)
        self._playing.begin(start, stream.due - first, window, gain=stream.gain, speed=speed, owner=n)
        self._note(stream.due - first, start, chooser.steps, 20.0 * math.log10(max(1e-6, stream.gain)))
        stream.last, stream.next = best, start + half * speed
        stream.due += grid.size // 2
        self._shown = float(corpus.place[best, 0]), float(corpus.place[best, 1])

    def _event(self, event: Event, sample: int) -> None:
        key = (event.channel, event.number)
        match event.kind:
            case "on":
                stream = next((s for s in self._streams[:NOTES] if s.key == key), None)
                if stream is None:
                    stream = min(self._streams[:NOTES], key=lambda s: s.due)
                stream.stop()
                stream.key, stream.gain, stream.due = key, event.value**2, sample
            case "off":
                for stream in self._streams[:NOTES]:
                    if stream.key == key:
                        stream.stop()
            case "control" if event.number in ALL_OFF:
                for stream in self._streams[:NOTES]:
                    if stream.key[0] == event.channel:
                        stream.stop()


class Third(Mosaic):
    """`mosaic` as the file job `antiphon run third A OUT -p reference=B`."""

    on_files = FileUse(
        job="antiphon_mosaic.third:run",
        needs=("reference",),
        exempt=tuple(f"genre={name}" for name in GENRES),
        changes=("pitch", "time", "level", "channels"),
    )
    params: ClassVar[tuple[Param, ...]] = (
        *Mosaic.params,
        Param("tempo", default=0.0, low=0.0, high=300.0, unit="bpm", doc="On files: the tempo of OUT; 0: that of IN."),
        Param(
            "genre",
            "choice",
            "own",
            choices=("own", *GENRES),
            doc="On files: a band of this genre under IN's melody and chords, in the sound of the reference if any.",
        ),
    )
