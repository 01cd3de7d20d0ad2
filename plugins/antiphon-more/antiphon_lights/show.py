"""Frames of light as a function of the clock and of values. Nothing here reads a clock or sends."""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from antiphon_lights.table import Rig, Wave, WaveSource

RATE = 44.0
"""Most frames a second: a universe of DMX512 takes 22.7 ms on its wire."""
STROBE = 10.0
"""Most flashes a second of a channel, unless the owner asks for more."""
FLASH = 26
"""Steps of 255 by which a channel rises, after it fell as far, for a flash: a tenth."""
MAX_PENDING, MAX_STRUCK = 16, 64


@dataclass(frozen=True, slots=True)
class Clock:
    """Musical time of a frame. `seconds`: on the engine's sample clock, which runs on where the beat stands."""

    beat: float
    seconds: float
    bpm: float = 120.0
    bar: int = 4
    playing: bool = True


@dataclass(frozen=True, slots=True)
class Fade:
    """A look and the beats over which it comes."""

    look: str
    beat: float
    beats: float


class LightShow:
    """What is shown. Its frames depend on nothing else but the clock.

    `dark`: whether all is. `levels`: 0 to 1, of drives by values. `struck`: (seconds, velocity of 0 to 1) of the last
    notes and of those to come, by note and node. `section`: the beat at which the section began.
    """

    def __init__(self, rig: Rig, strobe: float = STROBE) -> None:
        """The rig's first look, at once. `strobe`: flashes a second, at most."""
        self.rig, self.strobe, self.dark, self.section = rig, strobe, False, -math.inf
        self.levels: dict[WaveSource, float] = {}
        self.struck: dict[tuple[int, str], list[tuple[float, float]]] = {}
        self._fades = [Fade(next(iter(rig.looks), ""), -math.inf, 0.0)]

    @property
    def look(self) -> str:
        """Name of the look that was chosen last."""
        return self._fades[-1].look

    def show(self, look: str, beat: float, beats: float) -> None:
        """Fades to a look from a beat on, in place of those that would begin later; ends a blackout."""
        kept = [fade for fade in self._fades if fade.beat <= beat]
        self._fades = [*kept[-MAX_PENDING:], Fade(look, beat, beats)]
        self.dark = False

    def strike(self, note: int, node: str, seconds: float, velocity: float) -> None:
        """Begins a note for the effects that it drives, now or later."""
        if any(_drives(wave, note, node) for wave in self.rig.waves):
            times = self.struck.setdefault((note, node), [])
            times.append((seconds, velocity))
            del times[:-MAX_STRUCK]

    def moved(self) -> None:
        """Handles a jump of the beat: fades end at once, and a section begins nowhere."""
        self._fades = [Fade(self.look, -math.inf, 0.0)]
        self.section = -math.inf

    def frame(self, clock: Clock) -> NDArray[np.uint8]:
        """Values of all channels, 0 to 255, before the limit on flashes."""
        if self.dark:
            return np.zeros(self.rig.slots, np.uint8)
        level = self._base(clock)
        for wave in self.rig.waves:
            level[wave.slots] *= 1.0 - wave.depth + wave.depth * self._height(wave, clock)
        return np.asarray(np.rint(255.0 * np.clip(level, 0.0, 1.0)), np.uint8)

    def _base(self, clock: Clock) -> NDArray[np.float32]:
        level = np.zeros(self.rig.slots, np.float32)
        first = 0
        for place, fade in enumerate(self._fades):
            if fade.beat > clock.beat and clock.playing:
                break
            later = self._fades[place + 1 :]
            # what the next fade begins from stays as it is then
            until = min(clock.beat, later[0].beat) if later else clock.beat
            done = until - fade.beat
            share = 1.0 if not clock.playing or done >= fade.beats else done / fade.beats
            look = self.rig.looks.get(fade.look)
            level = level * (1.0 - share) + (share * look if look is not None else 0.0)
            first = place if share >= 1.0 else first
        # a target with a longer latency asks later: what it may still show has to stay
        if len(self._fades) > MAX_PENDING:
            del self._fades[:first]
        return level.astype(np.float32)

    def _height(self, wave: Wave, clock: Clock) -> float | NDArray[np.float64]:
        """Height of a wave, 0 to 1; of a chase for each of its channels."""
        drive, fastest = wave.drive, clock.bpm / 60.0 / self.strobe
        match drive.kind:
            case "value":
                return self.levels.get(drive, 0.0)
            case "note":
                found = [at for (note, node), times in self.struck.items() if _drives(wave, note, node)
                         for at in times if at[0] <= clock.seconds]  # fmt: skip
                begun, velocity = max(found, default=(-math.inf, 0.0))
                gone = (clock.seconds - begun) * clock.bpm / 60.0 / wave.every
                return velocity * _shape(wave, gone) if gone < 1.0 else 0.0
            case "section":
                gone = (clock.beat - self.section) / wave.every
                return _shape(wave, gone) if 0.0 <= gone < 1.0 else _shape(wave, 1.0)
        every = max(wave.every * (clock.bar if drive.kind == "bar" else 1), fastest)
        return _shape(wave, clock.beat / every % 1.0)


def _drives(wave: Wave, note: int, node: str) -> bool:
    return wave.drive.note == note and wave.drive.node in ("", node)


def _shape(wave: Wave, phase: float) -> float | NDArray[np.float64]:
    match wave.shape:
        case "fall":
            return 1.0 - phase
        case "rise":
            return phase
        case "sine":
            return 0.5 - 0.5 * math.cos(2.0 * math.pi * phase)
        case "strobe":
            return float(phase < 0.5)
    count = len(wave.slots)
    return np.asarray(np.arange(count) == min(int(phase * count), count - 1), float)


class FlashLimit:
    """Limit on the flashes of each channel of one receiver, whatever they come from.

    A flash is a rise by more than a tenth after a fall by as much. One that comes too soon after the last is held at a
    tenth above its lowest point.
    """

    def __init__(self, slots: int, most: float) -> None:
        """Dark before the first frame. `most`: flashes a second."""
        self._gap = 1.0 / most
        self._low, self._high = np.zeros(slots, np.int16), np.zeros(slots, np.int16)
        self._fallen = np.ones(slots, bool)
        self._rose, self._seconds = np.full(slots, -math.inf), -math.inf

    def limited(self, frame: NDArray[np.uint8], seconds: float) -> NDArray[np.uint8]:
        """The frame, with what rises too soon held."""
        if seconds < self._seconds:
            self._rose[:] = -math.inf  # another engine, whose clock began anew
        self._seconds = seconds
        out = frame.astype(np.int16)
        rises = self._fallen & (out >= self._low + FLASH)
        # a frame may come some µs before the gap is over, by rounding
        soon = rises & (seconds - self._rose < self._gap - 1e-6)
        out[soon] = self._low[soon] + FLASH - 1
        risen = rises & ~soon
        self._rose[risen] = seconds
        self._fallen[risen] = False
        self._high[risen] = out[risen]
        np.maximum(self._high, out, out=self._high, where=~self._fallen)
        falls = ~self._fallen & (out <= self._high - FLASH)
        self._fallen |= falls
        self._low[falls] = out[falls]
        np.minimum(self._low, out, out=self._low, where=self._fallen)
        return out.astype(np.uint8)


def placed(clock: Clock, count: int) -> Clock:
    """The clock at the last multiple of 1 / `count` beats: what is sent is dated by it, however late it is."""
    place = math.floor(clock.beat * count + 1e-9) / count
    return replace(clock, beat=place, seconds=clock.seconds - (clock.beat - place) * 60.0 / clock.bpm)


def steps(bpm: float) -> int:
    """Frames of a beat at a tempo, at most `RATE` a second: a multiple of 4 where there are 12 or more.

    Frames are dated by the beat, so that one falls on it, and the frames of a replay are those of the performance.
    """
    most = max(1, int(60.0 * RATE / bpm))
    return most - most % 4 if most >= 12 else most
