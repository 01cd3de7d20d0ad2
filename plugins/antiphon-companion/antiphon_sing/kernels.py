"""Singing kernel: pitch pulses, each a response interpolated between two frames, plus noise."""

from __future__ import annotations

import math
from enum import IntEnum
from typing import NamedTuple

from antiphon.api.kernels import Audio, address_f32, f32p, f64, f64p, i64, i64p, kernel

VOICES = 16
"""Number of rows: 8 held and 8 ending voices."""
TICK = 32
"""Samples between pitch updates."""
HELD_SPEED = 0.4
"""Speed of a held vowel relative to speech: a frozen one is unintelligible."""
VELVET = 18.0
"""Mean samples between the impulses of breath noise."""


class VoiceRow(IntEnum):
    """Indices of a voice's numbers."""

    MODE = 0  # of `Mode`
    AT = 1  # frame
    STEP = 2  # frames a sample
    LOW = 3  # held from this frame
    HIGH = 4  # to this one
    END = 5  # silent from this one
    FROM = 6  # frame that is faded out
    FADE = 7  # its weight
    FADING = 8  # which falls by so much a sample
    NOISE = 9  # sample of the noise
    WAY = 10  # 1 or -1, in what is held
    TURN = 11  # of the pulses, 0 to 1
    PITCH = 12  # note number
    TARGET = 13  # note number that it goes to
    GLIDE = 14  # part of the way in a tick
    AGE = 15  # samples
    SWAY = 16  # turns of vibrato
    SWELL = 17  # of vibrato, 0 to 1
    LEVEL = 18  # now
    WANTED = 19  # level that it goes to
    STEP_UP = 20  # change of level in a sample
    SEED = 21
    WAIT = 22  # samples to the next impulse of breath
    PRESSURE = 23  # factor
    STEADY = 24  # samples that a vowel is held
    BEND = 25  # semitones
    RESPONSES = 26  # address of its song's responses, row by row, of `TAPS` samples; 0 without a song
    TAPS = 27
    NOISES = 28  # address of the noise beside them, of `HOP` samples in a frame
    HOP = 29


class Mode(IntEnum):
    """Playback mode of a voice."""

    OFF = 0
    ONSET = 1  # goes to `HIGH`
    HOLD = 2  # to and fro between `LOW` and `HIGH`
    CODA = 3  # goes to `END`


ROWS = 30


class Shape(IntEnum):
    """Indices of the node's numbers."""

    SIZE = 0
    BREATH = 1
    DEPTH = 2  # semitones of vibrato
    RATE = 3  # turns of it in a tick
    DELAY = 4  # samples of a held vowel before it
    CONSONANTS = 5  # factor of noise
    ROBOT = 6


SHAPES = 7


class SingerState(NamedTuple):
    """The sound so far, and the tables and state of the voices."""

    ring: f32p  # the sum, a ring of `length` samples: more than are added at once and a response
    length: i64
    real: f64p  # see `VoiceRow`
    shape: f64p  # see `Shape`
    rate: f64  # samples a second
    at: i64p  # index of the first sample in the ring
    keep: f64
    high_pass: f64p


@kernel
def sing_add(s: SingerState, r: i64, place: i64, first: f64, second: f64, offset: f64, size: f64, gain: f64) -> None:
    """Adds the response of a voice at a frame to a ring.

    `place`: index of the first sample. `first`: frame, may be fractional. `second`: if above 0, the frame is rounded
    down to a multiple of it. `offset`: samples from the pulse to the first sample, 0 to 1. `size`: samples of the
    response per sample; above 1 formants are higher.
    """
    frame = first
    if second > 0.0:
        frame = math.floor(frame / second) * second
    row = i64(frame)
    part = frame - f64(row)
    song = address_f32(i64(s.real[r + VoiceRow.RESPONSES]))
    taps = i64(s.real[r + VoiceRow.TAPS])
    base = row * taps
    left = gain * (1.0 - part)
    right = gain * part
    x = offset * size
    at = place
    while x < f64(taps - 1):
        n = i64(x)
        f = x - f64(n)
        a = f64(song[base + n]) * (1.0 - f) + f64(song[base + n + 1]) * f
        b = f64(song[base + taps + n]) * (1.0 - f) + f64(song[base + taps + n + 1]) * f
        s.ring[at] = s.ring[at] + left * a + right * b
        at = at + 1
        if at >= s.length:
            at = at - s.length
        x = x + size


@kernel
def sing_voice(s: SingerState, r: i64, count: i64) -> None:
    """Adds `count` samples of a voice to the ring."""
    place = s.at[0]
    noise = address_f32(i64(s.real[r + VoiceRow.NOISES]))
    hop = s.real[r + VoiceRow.HOP]
    mode = i64(s.real[r + VoiceRow.MODE])
    at = s.real[r + VoiceRow.AT]
    step = s.real[r + VoiceRow.STEP]
    fade = s.real[r + VoiceRow.FADE]
    sound = s.real[r + VoiceRow.NOISE]
    turn = s.real[r + VoiceRow.TURN]
    level = s.real[r + VoiceRow.LEVEL]
    wait = s.real[r + VoiceRow.WAIT]
    seed = i64(s.real[r + VoiceRow.SEED])
    age = i64(s.real[r + VoiceRow.AGE])
    held = s.real[r + VoiceRow.STEADY]
    robot = 4.0 if s.shape[Shape.ROBOT] > 0.5 else 0.0
    pace = 0.0
    hz = 440.0
    target = place
    for n in range(count):
        if age % TICK == 0 or n == 0:
            if age % TICK == 0:
                glide = s.real[r + VoiceRow.GLIDE] if robot == 0.0 else 1.0
                s.real[r + VoiceRow.PITCH] = (
                    s.real[r + VoiceRow.PITCH] + (s.real[r + VoiceRow.TARGET] - s.real[r + VoiceRow.PITCH]) * glide
                )
                rise = 1.0 if held > s.shape[Shape.DELAY] else 0.0
                s.real[r + VoiceRow.SWELL] = s.real[r + VoiceRow.SWELL] + (rise - s.real[r + VoiceRow.SWELL]) * 0.003
                s.real[r + VoiceRow.SWAY] = s.real[r + VoiceRow.SWAY] + s.shape[Shape.RATE]
            pitch = s.real[r + VoiceRow.PITCH] + s.real[r + VoiceRow.BEND]
            if robot == 0.0:
                swing = math.sin(6.283185307179586 * s.real[r + VoiceRow.SWAY])
                pitch = pitch + s.shape[Shape.DEPTH] * s.real[r + VoiceRow.SWELL] * swing
            hz = min(440.0 * math.exp2((pitch - 69.0) / 12.0), 0.2 * s.rate)
            pace = hz / s.rate
        age = age + 1
        wanted = s.real[r + VoiceRow.WANTED] * s.real[r + VoiceRow.PRESSURE]
        if level < wanted:
            level = min(wanted, level + s.real[r + VoiceRow.STEP_UP])
        else:
            level = max(wanted, level - s.real[r + VoiceRow.STEP_UP])
        # where it is in the text
        if mode == Mode.HOLD:
            held = held + 1.0
            at = at + HELD_SPEED * step * s.real[r + VoiceRow.WAY]
            sound = sound + s.real[r + VoiceRow.WAY]
            if at >= s.real[r + VoiceRow.HIGH]:
                s.real[r + VoiceRow.WAY] = -1.0
            if at <= s.real[r + VoiceRow.LOW]:
                s.real[r + VoiceRow.WAY] = 1.0
            if sound >= s.real[r + VoiceRow.HIGH] * hop or sound <= s.real[r + VoiceRow.LOW] * hop:
                sound = at * hop
        else:
            at = at + step
            sound = at * hop
            if mode == Mode.ONSET and at >= s.real[r + VoiceRow.HIGH]:
                mode = Mode.HOLD
                s.real[r + VoiceRow.WAY] = -1.0
            if mode == Mode.CODA and at >= s.real[r + VoiceRow.END]:
                s.real[r + VoiceRow.WANTED] = 0.0
                at = s.real[r + VoiceRow.END]
                step = 0.0
                if level <= 0.0:
                    mode = Mode.OFF
                    break
        if s.real[r + VoiceRow.WANTED] <= 0.0 and level <= 0.0:
            mode = Mode.OFF
            break
        # a pulse
        turn = turn + pace
        if turn >= 1.0:
            turn = turn - math.floor(turn)
            gain = level * math.sqrt(220.0 / hz)
            late = turn / pace
            sing_add(s, r, target, at, robot, late, s.shape[Shape.SIZE], gain * (1.0 - fade))
            if fade > 0.0:
                sing_add(s, r, target, s.real[r + VoiceRow.FROM], robot, late, s.shape[Shape.SIZE], gain * fade)
        fade = max(0.0, fade - s.real[r + VoiceRow.FADING])
        # noise
        m = i64(sound)
        f = sound - f64(m)
        s.ring[target] = s.ring[target] + level * s.shape[Shape.CONSONANTS] * (
            f64(noise[m]) * (1.0 - f) + f64(noise[m + 1]) * f
        )
        if s.shape[Shape.BREATH] > 0.0:
            wait = wait - 1.0
            if wait <= 0.0:
                seed = (seed * 1103515245 + 12345) % 2147483648
                wait = wait + 1.0 + f64(seed // 65536 % 1024) / 1024.0 * 2.0 * (VELVET - 1.0)
                side = 1.0 if seed // 1048576 % 2 == 0 else -1.0
                loud = side * level * s.shape[Shape.BREATH] * math.sqrt(220.0 * VELVET / s.rate)
                sing_add(s, r, target, at, robot, 0.0, s.shape[Shape.SIZE], loud)
        target = target + 1
        if target >= s.length:
            target = target - s.length
    s.real[r + VoiceRow.MODE] = f64(mode)
    s.real[r + VoiceRow.AT] = at
    s.real[r + VoiceRow.STEP] = step
    s.real[r + VoiceRow.FADE] = fade
    s.real[r + VoiceRow.NOISE] = sound
    s.real[r + VoiceRow.TURN] = turn
    s.real[r + VoiceRow.LEVEL] = level
    s.real[r + VoiceRow.WAIT] = wait
    s.real[r + VoiceRow.SEED] = f64(seed)
    s.real[r + VoiceRow.AGE] = f64(age)
    s.real[r + VoiceRow.STEADY] = held


@kernel
def sing_samples(s: SingerState, into: f32p, first: i64, count: i64) -> None:
    """into[first : first + count] ← the next samples of all voices, through two high-passes that remove their DC."""
    for v in range(VOICES):
        if i64(s.real[v * ROWS + VoiceRow.MODE]) != Mode.OFF:
            sing_voice(s, v * ROWS, count)
    state = s.high_pass
    at = s.at[0]
    for n in range(first, first + count):
        x = f64(s.ring[at])
        y = s.keep * (state[1] + x - state[0])
        z = s.keep * (state[3] + y - state[2])
        state[0] = x
        state[1] = y
        state[2] = y
        state[3] = z
        into[n] = z
        s.ring[at] = 0.0
        at = at + 1
        if at >= s.length:
            at = at - s.length
    s.at[0] = at


@kernel
def sing_out(y: Audio, gain: f32p) -> None:
    """y ← its first channel times the gain in all channels."""
    for n in range(y.frames):
        v = y[0, n] * gain[n]
        for c in range(y.channels):
            y[c, n] = v
