"""Time stretch: slower or faster at the same pitch, of the sound that has just been, or of a file.

A phase vocoder: spectra are taken at one pace and given at another, and each peak's phase goes on by what it turns in a
hop of the output, which a second spectrum one hop earlier shows (Puckette, "Phase-locked vocoder", IEEE ASSP Workshop
on Applications of Signal Processing to Audio and Acoustics, 1995). Where a sound begins, spectra are taken at the pace
at which they are given, with the input's phases, and the time is made good afterwards (Duxbury, Davies and Sandler,
"Improved time-scaling of musical audio using phase locking at transients", AES 112th Convention, 2002): so an attack is
neither smeared nor repeated.
"""

from __future__ import annotations

import math

import numpy as np

from antiphon.api import IO, FileUse, Param, Processor, StreamSpec
from antiphon.api.kernels import Audio, f32, f32p, f64, i64, i64p, kernel
from antiphon_effects.phases import TAU, PhaseSpectra, effects_angle, window_size
from antiphon_effects.shared import effects_finite

WINDOW = 0.085
"""Seconds of a window: 4,096 frames at 48 kHz."""
FACTORS = (0.25, 8.0)
LONGEST = 20.0
"""Seconds of sound that a node remembers at most."""
RISE = 4.0
"""Growth of a peak's power in a hop from which on it is an attack: 6 dB."""
SHARE = 0.3
"""Share of the bins that must rise at once for an attack: in a steady noise some always do."""
FADING, FAINT = 0.9, 0.001
"""Of the loudest power: what is left of it a hop later, and the share below which nothing is an attack."""
MOST_DEBT = 2.0
"""Windows of time that may be made good at most: where one attack follows another, some are stretched."""


@kernel
def effects_attack(
    now: Audio, before: Audio, power: f32p, edges: i64p, peaks: i64p, count: i64, rises: f32p, loudest: f32p, hop: i64
) -> f64:
    """How many frames after the window's centre a sound begins; 0 where none does.

    rises: 1 for each peak of it.  loudest: the power of the last second's loudest window.
    """
    bins = now.frames // 2
    whole = f64(0.0)
    for k in range(bins):
        whole = whole + f64(power[k])
    loudest[0] = max(f64(loudest[0]) * FADING, whole)
    risen = 0
    lags = f64(0.0)
    for i in range(count):
        first = edges[i]
        last = edges[i + 1]
        here = f64(0.0)
        old = f64(0.0)
        for k in range(first, last):
            here = here + f64(power[k])
        for c in range(now.channels):
            for k in range(first, last):
                old = old + f64(before[c, 2 * k] * before[c, 2 * k] + before[c, 2 * k + 1] * before[c, 2 * k + 1])
        rises[i] = 0.0
        if here > RISE * old:
            re = f64(0.0)
            im = f64(0.0)
            for c in range(now.channels):
                for k in range(first, last - 1):
                    a = f64(now[c, 2 * k])
                    b = f64(now[c, 2 * k + 1])
                    x = f64(now[c, 2 * k + 2])
                    y = f64(now[c, 2 * k + 3])
                    re = re + a * x + b * y
                    im = im + a * y - b * x
            # where the energy lies: the slope of the phase over the bins
            lag = -effects_angle(im, re) * f64(2 * (bins - 1)) / TAU
            if lag > 0.5 * f64(hop):
                rises[i] = 1.0
                risen = risen + last - first
                lags = lags + lag * f64(last - first)
    if f64(risen) < SHARE * f64(bins) or whole < FAINT * f64(loudest[0]):
        return 0.0
    return lags / f64(risen)


@kernel
def effects_turn(
    now: Audio, before: Audio, target: Audio, edges: i64p, peaks: i64p, count: i64, rises: f32p, attack: i64
) -> None:
    """target ← now, with phases that continue those of `target` so far; the input's where a sound begins."""
    bins = now.frames // 2
    for i in range(count):
        peak = peaks[i]
        re = f64(0.0)
        im = f64(0.0)
        for c in range(now.channels):
            a = f64(before[c, 2 * peak])
            b = f64(before[c, 2 * peak + 1])
            x = f64(target[c, 2 * peak])
            y = f64(target[c, 2 * peak + 1])
            re = re + a * x + b * y
            im = im + a * y - b * x
        size = math.sqrt(re * re + im * im)
        if size < 1e-30 or (attack == 1 and rises[i] > 0.0):
            re = 1.0
            im = 0.0
            size = 1.0
        cos = re / size
        sin = im / size
        for c in range(now.channels):
            for k in range(edges[i], edges[i + 1]):
                a = f64(now[c, 2 * k])
                b = f64(now[c, 2 * k + 1])
                target[c, 2 * k] = f32(a * cos - b * sin)
                target[c, 2 * k + 1] = f32(a * sin + b * cos)
    if count == 0:
        for c in range(target.channels):
            for k in range(2 * bins):
                target[c, k] = 0.0


@kernel
def effects_stretch_frames(
    x: Audio, y: Audio, first: i64, count: i64, output: Audio, at: i64, past: Audio, mask: i64, age: i64
) -> None:
    """Frames of y ← what is ready; x is written to `past`."""
    for c in range(y.channels):
        for n in range(first, first + count):
            past[c, (age + n) & mask] = effects_finite(x[c, n])
            y[c, n] = output[c, at + n - first]


class Stretcher:
    """Phase vocoder: makes hops of output, each from the window before a place of the input.

    Attributes:
        spectra: The windows, with the input in `spectra.past`.
        debt: Frames of input by which attacks have put the pace forward (above 0) or back, to be made good.
    """

    def __init__(self, channels: int, rate: int, seconds: float) -> None:
        """Makes the buffers, which remember at least so many seconds of input."""
        size = window_size(WINDOW, rate)
        self.spectra = PhaseSpectra(channels, size, round(seconds * rate) + 2 * size)
        self._rises = np.zeros(size // 2 + 1, np.float32)
        self._loudest = np.zeros(1, np.float32)
        self.clear()

    def clear(self) -> None:
        """Forgets all sound."""
        self.spectra.clear()
        self._loudest.fill(0.0)
        self.jump()

    def jump(self) -> None:
        """Resets the phases: the next hop's place does not follow the last one's."""
        self.debt = 0.0
        # hops before an attack is given, and hops of it; the frames of input of the hop before it
        self._before = self._within = 0
        self._pace = self._back = 0.0
        self._count = 0

    def step(self, end: int, factor: float) -> float:
        """Makes `spectra.output`, the next hop of output, from the input before frame `end`.

        Args:
            end: Frame of the input.
            factor: How much longer the output is to be.

        Returns:
            Frames by which the next hop's `end` lies further on; below 0 where a sound begins.
        """
        pace = self.spectra.hop / factor
        moved = self._moved(end, pace)
        self.spectra.give()
        self.debt += moved - pace
        self._pace = moved
        return moved

    def _moved(self, end: int, pace: float) -> float:
        """Makes the target spectrum; returns how far the next one's `end` lies further on."""
        hop, size = self.spectra.hop, self.spectra.size
        lag = self._look(end)
        if self._before:
            self._before -= 1
            self._turn(begins=False)
            return 0.0 if self._before else self._back
        if self._within:
            self._within -= 1
            self._turn(begins=lag > 0.0)
            return float(hop)
        if lag == 0.0 or abs(self.debt) > MOST_DEBT * size:
            self._turn(begins=False)
            # at most half the pace is taken off or added
            return pace - max(-0.5 * pace, min(0.5 * pace, self.debt))
        self._within = size // hop
        # so that the sound begins in its time, the debt must be 0 when its first frame is given
        early = self.debt + lag * (1.0 - pace / hop)
        self._before = math.floor(early / pace)
        if self._before > 0 and self._pace > 0.0:
            self._back = self._pace
            self._look(end - math.ceil(self._pace))
            self._turn(begins=False)
            return -self._pace
        self._before = 0
        self._turn(begins=True)
        return hop + max(0.0, -early)

    def _look(self, end: int) -> float:
        """Takes the spectra of the input before `end`; returns where in the window a sound begins, or 0."""
        spectra = self.spectra
        spectra.take(end - spectra.hop, into_before=True)
        spectra.take(end)
        self._count = spectra.find()
        return effects_attack(
            spectra.now,
            spectra.before,
            spectra.power,
            spectra.edges,
            spectra.peaks,
            self._count,
            self._rises,
            self._loudest,
            spectra.hop,
        )

    def _turn(self, *, begins: bool) -> None:
        """Makes the target spectrum."""
        spectra = self.spectra
        effects_turn(
            spectra.now,
            spectra.before,
            spectra.target,
            spectra.edges,
            spectra.peaks,
            self._count,
            self._rises,
            int(begins),
        )


class Stretch(Processor):
    """Plays the recent input `factor` times as long; a factor below 1 catches up.

    Live, the sound falls behind by up to `buffer` seconds and then returns to now, as it does at `now`; at factor 1 it
    stays where it is. A file becomes `factor` times as long.
    """

    on_files = FileUse("antiphon_effects.jobs:stretch_file")
    params = (
        Param(
            "factor",
            default=1.0,
            low=FACTORS[0],
            high=FACTORS[1],
            warp="log",
            smooth=0.03,
            doc="Stretch factor: 2 is half the speed; below 1 catches up.",
        ),
        Param("buffer", default=8.0, low=0.5, high=LONGEST, unit="s", doc="Live: longest lag behind the input."),
        Param("now", "trigger", doc="Live: returns to the present."),
        Param("behind", default=0.0, low=0.0, high=LONGEST, unit="s", readonly=True, doc="Lag behind the input."),
    )

    def prepare(self, spec: StreamSpec) -> None:
        self._run = effects_stretch_frames.caller()
        self._rate = float(spec.rate)
        self._stretcher = Stretcher(spec.channels, spec.rate, LONGEST)
        self.latency = self._stretcher.spectra.size
        self._behind = 0.0
        self._return = False
        self._at = self._age = 0

    def reset(self) -> None:
        self._stretcher.clear()
        self._behind = 0.0
        self._return = False
        self._at = self._age = 0

    def process(self, io: IO) -> None:
        x, y, spectra = io.audio_in[0], io.audio_out[0], self._stretcher.spectra
        factor, fired = io.curve("factor"), io.fired("now")
        first = 0
        while first < io.frames:
            count = min(io.frames - first, spectra.hop - self._at)
            self._run(x, y, first, count, spectra.output, self._at, spectra.past, spectra.mask, self._age)
            for frame in fired:
                self._return = self._return or first <= frame < first + count
            first += count
            self._at += count
            if self._at == spectra.hop:
                self._at = 0
                limit = self._rate * float(io.at("buffer", first - 1))
                self._next(self._age + first, float(factor[first - 1]), limit)
        self._age += io.frames
        io.report("behind", min(LONGEST, self._behind / self._rate))

    def _next(self, end: int, factor: float, limit: float) -> None:
        stretcher = self._stretcher
        if self._return:
            self._return = False
            self._behind = 0.0
            stretcher.jump()
        moved = stretcher.step(end - math.floor(self._behind), factor)
        self._behind += stretcher.spectra.hop - moved
        if self._behind < 0.0:
            # it has caught up
            self._behind = 0.0
            stretcher.jump()
        elif self._behind > limit:
            self._return = True
