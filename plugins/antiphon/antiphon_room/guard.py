"""The node `howl_guard`: lowers an input when loudspeakers and microphone feed back.

A howl is a sustained pure tone of constant frequency (van Waterschoot and Moonen, "Fifty years of acoustic feedback
control", Proceedings of the IEEE 99, 2011). A performer's tone may be one too. So the gain is lowered slowly as a test:
a howl then fades out, and a performer's tone does not.
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import ClassVar, NamedTuple

import numpy as np

from antiphon.api import AUDIO_IN, F32, IO, FileUse, Param, Port, Processor, Step, StreamSpec
from antiphon.api.kernels import Audio, RealFft, f32, f32p, f64, f64p, fft_real, i64, i64p, kernel

HOP_SECONDS = 0.01
SIZE_SECONDS = 0.04
LOWEST = 60.0
"""Frequency in Hz above which howls are detected."""
PURE = 0.35
"""Minimum share of the power in the bins of one tone for it to count as a howl."""
STEADY = 0.98
"""Cosine of the maximum deviation of a tone's phase from its prediction per hop."""
ALONE = 24.0
"""Minimum dB above its harmonics, which a voice has and a howl lacks."""
FAINT = -55.0
"""Minimum level of a tone in dBFS."""
HOPS, STAYS, GROWS = 8.0, 80.0, 3.0
"""Hops for which a tone must grow, hops for which it must last, and its growth in dB, before the gain is tested."""
FALLS = 0.1
"""Maximum fall in dB per hop of a tone that still counts as growing."""
ASKED, FADED, MOST = 0.6, 8.0, 15.0
"""In dB: step per hop of the test, fall of a level that proves a howl, and gain reduction at which the test fails."""
STRAY, WITHIN = 8.0, 3.0
"""Hops of a test in which the level stays within this many dB but is no pure tone, after which the test ends."""
SAME = 0.99
"""Minimum cosine between the phase advances per hop of two tones of equal frequency."""
SUDDEN, NEAR = 5.0, 4.0
"""Hops in which a howl cannot fade, and maximum difference in dB between gains at which it fades twice."""
BELOW = -1.0
"""Gain change in dB that a howl needs before it begins to fade."""
LOUDEST, LONG = -7.0, 40.0
"""Output level, as of a tone in dBFS, above which the gain falls; hops after which the whole signal is tested."""
COMES = 1000.0
"""Hops within which a howl must return to be confirmed."""
MARGIN = 3.0
"""Decibels below a loop gain of 1 at which the loop is held."""
RISE, SLOWLY, NEARLY = 0.2, 0.05, -12.0
"""Rise of the gain in dB per hop below, and above, the third value, a gain in dB."""
SHUT = -30.0
"""Initial gain in dB of an input that opens."""
SPARED, MOST_SPARED, LOUDER = 400.0, 6000.0, 6.0
"""Hops without another test of a performer, at first and at most, unless the level rises by this many dB."""
SOON = 50.0
"""Hops in which the gain returns after a test, so that a howl would recur at once."""
CEILING, RELEASE = 0.6, 1e-4
"""Maximum peak level of the output, and the limiter's release per frame."""
MUTED = 50.0
"""Hops of silence after which an input that was held down opens again."""
SAID = "lowered the input by {} dB, which howled through the loudspeakers; mute the input for a second to begin anew"
NEPER = math.log(10.0) / 20.0


class HowlField(IntEnum):
    """Indices of a guard's float64 state."""

    GAIN = 0  # dB
    LAST = 1  # gain of the last hop, a factor
    HELD = 2  # dB above which it is not raised
    LOWERED = 3  # the same, as it is reported
    HERTZ = 4
    BIN = 5  # of the tone that is watched
    REAL = 6  # its spectrum as a direction, and the turn of that in the last hop
    IMAG = 7
    TURN_REAL = 8
    TURN_IMAG = 9
    COUNT = 10  # hops for which it has lasted
    FIRST = 11  # its level then, dB
    MODE = 12  # 0 listens, 1 tests
    TOP = 13  # highest level while it tested, and the gain at that
    AT = 14
    BEFORE = 15  # bin that faded once, and the hops until it is forgotten
    WAIT = 16
    OWN_LEVEL = 17  # of a performer who was tested, and the hops for which he is spared, and the next time
    SPARES = 18
    PATIENCE = 19
    STILL = 20  # frames of silence
    TIMES = 21  # what faded, one after the other
    BROAD = 22  # 1 where all is tested, not a tone
    LOUD = 23  # hops for which it is loud
    BACK = 24  # hops in which the gain is back after that
    SQUARE = 25  # of what was played in this hop, and smoothed
    PLAYED = 26
    RISES = 27  # hops for which the tone has grown, its level at first, and in the last hop
    LOW = 28
    LEVEL = 29
    START = 30  # gain at which it began to test, and the turn of the tone in a hop; of the one that faded once too
    ASKED_REAL = 31
    ASKED_IMAG = 32
    BEFORE_REAL = 33
    BEFORE_IMAG = 34
    LIMIT = 35  # factor that keeps peaks below the ceiling
    FALLS = 36  # hops since the gain was lowered for the test
    FADED_AT = 37  # gain at which the one before faded
    CALM = 38  # gain at which it was last not loud
    STRAYS = 39  # hops of a test in which the tone is as strong and no tone


@kernel
def howl_level(bins: f32p, at: i64, size: i64) -> f64:
    """Level of a tone in the bins about `at`, dBFS."""
    total = f64(0.0)
    for k in range(at - 2, at + 3):
        total = total + f64(bins[2 * k]) * f64(bins[2 * k]) + f64(bins[2 * k + 1]) * f64(bins[2 * k + 1])
    full = f64(size) * f64(size) * (1.5 / 16.0)
    return 4.342945 * math.log(total / full + 1e-20)


@kernel
def howl_strongest_harmonic(bins: f32p, at: i64, size: i64) -> f64:
    """Level in dBFS of the strongest tone at other multiples of half the bin's frequency, up to three times it."""
    most = f64(-200.0)
    for part in range(1, 7):
        k = part * at // 2
        if part != 2 and k > 2 and k < size // 2 - 3:
            most = max(most, howl_level(bins, k, size))
    return most


@kernel
def howl_track_tone(bins: f32p, size: i64, low: i64, s: f64p) -> f64:
    """Tracks the strongest tone; returns the total level in dBFS."""
    total = f64(1e-20)
    most = f64(1e-20)
    at = low
    for k in range(2, size // 2 - 2):
        power = f64(bins[2 * k]) * f64(bins[2 * k]) + f64(bins[2 * k + 1]) * f64(bins[2 * k + 1])
        total = total + power
        if power > most and k >= low:
            most = power
            at = k
    level = howl_level(bins, at, size)
    tone = math.exp(level / 4.342945) * f64(size) * f64(size) * (1.5 / 16.0)
    known = i64(s[HowlField.BIN])
    same = 1 if abs(at - known) <= 1 or s[HowlField.MODE] == 1.0 else 0
    at = known if same == 1 else at
    most = f64(bins[2 * at]) * f64(bins[2 * at]) + f64(bins[2 * at + 1]) * f64(bins[2 * at + 1])
    size_of = math.sqrt(most + 1e-30)
    real = f64(bins[2 * at]) / size_of
    imag = f64(bins[2 * at + 1]) / size_of
    turn_real = real * s[HowlField.REAL] + imag * s[HowlField.IMAG]
    turn_imag = imag * s[HowlField.REAL] - real * s[HowlField.IMAG]
    course = turn_real * s[HowlField.TURN_REAL] + turn_imag * s[HowlField.TURN_IMAG]
    s[HowlField.REAL] = real
    s[HowlField.IMAG] = imag
    s[HowlField.TURN_REAL] = turn_real
    s[HowlField.TURN_IMAG] = turn_imag
    s[HowlField.BIN] = f64(at)
    lasts = (
        same == 1 and tone > PURE * total and level > FAINT and howl_strongest_harmonic(bins, at, size) < level - ALONE
    )
    lasts = lasts and (course > STEADY or s[HowlField.COUNT] < 2.0)
    s[HowlField.COUNT] = s[HowlField.COUNT] + 1.0 if lasts else 0.0
    if s[HowlField.COUNT] <= 1.0:
        s[HowlField.FIRST] = level
    s[HowlField.RISES] = (
        s[HowlField.RISES] + 1.0 if s[HowlField.COUNT] > 1.0 and level > s[HowlField.LEVEL] - FALLS else 0.0
    )
    if s[HowlField.RISES] == 0.0:
        s[HowlField.LOW] = level
    s[HowlField.LEVEL] = level
    return 4.342945 * math.log(total / (f64(size) * f64(size) * (1.5 / 16.0)))


@kernel
def howl_end_probe(at: i64, level: f64, s: f64p) -> None:
    """Ends a test: a tone that faded twice is held down; one that stayed is a performer's, and is spared."""
    broad = s[HowlField.BROAD]
    s[HowlField.MODE] = 0.0
    s[HowlField.COUNT] = 0.0
    s[HowlField.LOUD] = 0.0
    s[HowlField.BACK] = SOON
    sudden = s[HowlField.AT] > s[HowlField.START] + BELOW or (broad == 0.0 and s[HowlField.FALLS] < SUDDEN)
    if level < s[HowlField.TOP] - FADED and sudden:
        return  # a performer ended the tone himself: it did not stay until the gain was lower
    if level < s[HowlField.TOP] - FADED:
        again = s[HowlField.WAIT] > 0.0 and abs(s[HowlField.AT] - s[HowlField.FADED_AT]) < NEAR
        s[HowlField.FADED_AT] = s[HowlField.AT]
        course = s[HowlField.ASKED_REAL] * s[HowlField.BEFORE_REAL] + s[HowlField.ASKED_IMAG] * s[HowlField.BEFORE_IMAG]
        same = again and abs(f64(at) - s[HowlField.BEFORE]) <= 1.0 and (broad == 1.0 or course > SAME)
        s[HowlField.TIMES] = s[HowlField.TIMES] + 1.0 if again else 1.0
        s[HowlField.WAIT] = COMES
        s[HowlField.BEFORE] = f64(at)
        s[HowlField.BEFORE_REAL] = s[HowlField.ASKED_REAL]
        s[HowlField.BEFORE_IMAG] = s[HowlField.ASKED_IMAG]
        if same or s[HowlField.TIMES] >= 3.0:
            s[HowlField.HELD] = min(s[HowlField.HELD], s[HowlField.AT] - MARGIN)
            s[HowlField.LOWERED] = -s[HowlField.HELD]
            s[HowlField.WAIT] = 0.0
    else:
        s[HowlField.SPARES] = s[HowlField.PATIENCE]
        s[HowlField.PATIENCE] = min(2.0 * s[HowlField.PATIENCE], MOST_SPARED)
        s[HowlField.OWN_LEVEL] = level


@kernel
def howl_probe_gain(bins: f32p, size: i64, whole: f64, played: f64, s: f64p) -> None:
    """Sets the gain for a hop; lowers it in steps to test whether a sustained tone, or a loud signal, fades with it.

    `bins`: the hop's spectrum, of `size` frames; `whole`, `played`: levels of the input and of the output, dBFS.
    """
    at = i64(s[HowlField.BIN])
    tone = howl_level(bins, at, size)
    s[HowlField.WAIT] = s[HowlField.WAIT] - 1.0
    s[HowlField.SPARES] = s[HowlField.SPARES] - 1.0
    s[HowlField.BACK] = s[HowlField.BACK] - 1.0
    s[HowlField.LOUD] = s[HowlField.LOUD] + 1.0 if played > LOUDEST - GROWS else 0.0
    s[HowlField.CALM] = s[HowlField.CALM] if s[HowlField.LOUD] > 0.0 else s[HowlField.GAIN]
    if s[HowlField.MODE] == 1.0:
        level = whole if s[HowlField.BROAD] == 1.0 else tone
        if level > s[HowlField.TOP]:
            s[HowlField.TOP] = level
            s[HowlField.AT] = s[HowlField.GAIN]
        if level > s[HowlField.TOP] - 1.0 or s[HowlField.BROAD] == 1.0:
            s[HowlField.GAIN] = s[HowlField.GAIN] - ASKED
            s[HowlField.FALLS] = 0.0
        s[HowlField.FALLS] = s[HowlField.FALLS] + 1.0
        stays = s[HowlField.COUNT] == 0.0 and s[HowlField.BROAD] == 0.0 and level > s[HowlField.TOP] - WITHIN
        s[HowlField.STRAYS] = s[HowlField.STRAYS] + 1.0 if stays else s[HowlField.STRAYS]
        if s[HowlField.STRAYS] >= STRAY:
            s[HowlField.MODE] = 0.0
            s[HowlField.COUNT] = 0.0
            s[HowlField.BACK] = SOON
        elif level < s[HowlField.TOP] - FADED or s[HowlField.GAIN] < s[HowlField.AT] - MOST:
            howl_end_probe(at, level, s)
        return
    rise = RISE if s[HowlField.GAIN] < NEARLY else SLOWLY
    rise = ASKED if s[HowlField.BACK] > 0.0 and s[HowlField.GAIN] < s[HowlField.START] else rise
    s[HowlField.GAIN] = s[HowlField.GAIN] + min(max(s[HowlField.HELD] - s[HowlField.GAIN], -ASKED), rise)
    if played > LOUDEST and s[HowlField.GAIN] > s[HowlField.HELD] - MOST:
        s[HowlField.GAIN] = s[HowlField.GAIN] - max(ASKED, played - LOUDEST)
    grows = s[HowlField.RISES] >= HOPS and tone > s[HowlField.LOW] + GROWS
    lasts = grows or (s[HowlField.COUNT] >= STAYS and tone > s[HowlField.FIRST] - 1.0)
    loud = s[HowlField.LOUD] >= LONG
    own = s[HowlField.SPARES] > 0.0 and (whole if loud else tone) < s[HowlField.OWN_LEVEL] + LOUDER
    if (lasts or loud) and not own:
        s[HowlField.MODE] = 1.0
        s[HowlField.STRAYS] = 0.0
        s[HowlField.BROAD] = 1.0 if loud else 0.0
        s[HowlField.TOP] = whole if loud else tone
        s[HowlField.AT] = s[HowlField.GAIN]
        s[HowlField.START] = s[HowlField.CALM] if loud else s[HowlField.GAIN]
        s[HowlField.ASKED_REAL] = s[HowlField.TURN_REAL]
        s[HowlField.ASKED_IMAG] = s[HowlField.TURN_IMAG]


class HowlState(NamedTuple):
    """State of a guard, and its buffers. `place`: frames in the hop, newest frame of `past`."""

    state: f64p
    past: f32p
    frame: f32p
    window: f32p
    turns: f32p
    work: f32p
    bins: f32p
    place: i64p


@kernel
def room_guard(x: Audio, reference: Audio, y: Audio, frames: i64, hop: i64, size: i64, rate: f64, s: HowlState) -> None:
    """y ← x, lowered where it howls."""
    gains = s.state
    for n in range(frames):
        at = s.place[0]
        newest = s.place[1]
        share = f64(at + 1) / f64(hop)
        now = math.exp(gains[HowlField.GAIN] * NEPER) if gains[HowlField.GAIN] < 0.0 else 1.0
        g = f32(gains[HowlField.LAST] + (now - gains[HowlField.LAST]) * share)
        total = f32(0.0)
        weight = f32(1.0)
        peak = f64(0.0)
        for c in range(y.channels):
            v = x[c, n]
            v = v if abs(v) < f32(64.0) else f32(0.0)
            total = total + weight * v
            weight = f32(0.7) * weight
            peak = max(peak, f64(abs(v * g)))
            y[c, n] = v * g
        limit = gains[HowlField.LIMIT]
        limit = min(limit + (1.0 - limit) * RELEASE, CEILING / max(peak, CEILING))
        gains[HowlField.LIMIT] = limit
        for c in range(y.channels):
            y[c, n] = y[c, n] * f32(limit)
        s.past[newest] = total
        for c in range(reference.channels):
            v = reference[c, n]
            v = v if abs(v) < f32(64.0) else f32(0.0)
            gains[HowlField.SQUARE] = gains[HowlField.SQUARE] + f64(v) * f64(v) / f64(reference.channels)
        s.place[1] = newest + 1 if newest + 1 < size else 0
        gains[HowlField.STILL] = gains[HowlField.STILL] + 1.0 if total == f32(0.0) else 0.0
        s.place[0] = at + 1
        if at + 1 == hop:
            s.place[0] = 0
            gains[HowlField.LAST] = now
            for m in range(size):
                k = s.place[1] + m
                s.frame[m] = s.window[m] * s.past[k if k < size else k - size]
            fft_real(s.frame, size, s.turns, s.work, s.bins)
            bin_hertz = rate / f64(size)
            whole = howl_track_tone(s.bins, size, i64(LOWEST / bin_hertz) + 2, gains)
            gains[HowlField.PLAYED] = max(0.7 * gains[HowlField.PLAYED], 2.0 * gains[HowlField.SQUARE] / f64(hop))
            gains[HowlField.SQUARE] = 0.0
            howl_probe_gain(s.bins, size, whole, 4.342945 * math.log(gains[HowlField.PLAYED] + 1e-20), gains)
            gains[HowlField.HERTZ] = gains[HowlField.BEFORE] * bin_hertz
            if gains[HowlField.STILL] > MUTED * f64(hop) and (
                gains[HowlField.HELD] < 0.0 or gains[HowlField.WAIT] > 0.0
            ):
                gains[HowlField.GAIN] = SHUT
                gains[HowlField.HELD] = 0.0
                gains[HowlField.LOWERED] = 0.0
                gains[HowlField.MODE] = 0.0
                gains[HowlField.WAIT] = 0.0
                gains[HowlField.PATIENCE] = SPARED


class HowlGuard(Processor):
    """Passes an input, opens it slowly, and lowers it when it feeds back through the loudspeakers that play it."""

    inputs: ClassVar[tuple[Port, ...]] = (AUDIO_IN, Port("reference", channels=2))
    params: ClassVar[tuple[Param, ...]] = (
        Param(
            "lowered",
            default=0.0,
            low=0.0,
            high=120.0,
            unit="dB",
            readonly=True,
            doc="By how much the input is held down, since it howled.",
            notice=SAID,
        ),
        Param("howled", default=0.0, low=0.0, high=24000.0, unit="Hz", readonly=True, doc="What faded last."),
    )
    on_files = FileUse(changes=("level",))

    def prepare(self, spec: StreamSpec) -> None:
        self._rate = float(spec.rate)
        self._hop = round(HOP_SECONDS * spec.rate)
        self._size = size = 1 << (round(SIZE_SECONDS * spec.rate) - 1).bit_length()
        fft = RealFft(size)
        self._state = np.zeros(len(HowlField), np.float64)
        window = np.hanning(size + 1)[:size].astype(np.float32)
        past, frame, bins = (np.zeros(size + 2, np.float32) for _ in range(3))
        place = np.zeros(2, np.int64)
        self._words = HowlState(self._state, past, frame, window, fft.turns, fft.work, bins, place)
        self.reset()

    def reset(self) -> None:
        self._words.past.fill(0.0)
        self._words.place.fill(0)
        self._state.fill(0.0)
        self._state[HowlField.GAIN] = SHUT
        self._state[HowlField.LAST] = 10.0 ** (SHUT / 20.0)
        self._state[[HowlField.BIN, HowlField.BEFORE]] = -9.0
        self._state[HowlField.PATIENCE] = SPARED
        self._state[HowlField.LIMIT] = 1.0

    def pass_through(self, x: F32, played: F32, y: F32) -> None:
        """y ← a block x, each `[channels, frames]`; `played`: the output of the previous block, `[2, frames]`."""
        room_guard(x, played, y, x.shape[1], self._hop, self._size, self._rate, self._words)

    def step(self, io: IO) -> Step:
        (x, played), y = io.audio_in, io.audio_out[0]
        made = room_guard.step(x, played, y, io.frames, self._hop, self._size, self._rate, self._words)
        return made.reporting(lowered=(self._state, HowlField.LOWERED), howled=(self._state, HowlField.HERTZ))
