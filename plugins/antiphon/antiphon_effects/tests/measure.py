"""Signals and measurements that the tests of the effects share."""

import numpy as np

from antiphon.api import StreamSpec

RATE = 48000
SPEC = StreamSpec(RATE, 256, 2)


def sine(hertz, seconds=0.5, level=0.5, channels=2):
    one = level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)
    return np.tile(one, (channels, 1)).astype(np.float32)


def noise(seconds=0.5, level=0.3, channels=2, seed=1):
    return np.random.default_rng(seed).normal(0, level, (channels, round(seconds * RATE))).astype(np.float32)


def impulse(seconds=0.5, at=0, height=1.0, channels=2):
    x = np.zeros((channels, round(seconds * RATE)), np.float32)
    x[:, at] = height
    return x


def db(x):
    return 20 * np.log10(np.sqrt(np.mean(np.square(x, dtype=np.float64))) + 1e-12)


def response(y, hertz):
    """Gain in dB at those frequencies of an impulse's answer `[frames]`."""
    n = np.arange(len(y))
    return np.array(
        [20 * np.log10(abs(np.sum(y * np.exp(-2j * np.pi * f * n / RATE))) + 1e-12) for f in np.atleast_1d(hertz)]
    )


def roughness(x):
    """The largest step of the second difference: what a click raises far above a low tone's own."""
    return np.abs(np.diff(x, 2)).max()


def hertz_of(y, rate=RATE):
    """The frequency of the largest line of `[frames]`, within a hundredth of a bin of its length."""
    size = 1 << (len(y) - 1).bit_length() + 4
    power = np.abs(np.fft.rfft(y * np.hanning(len(y)), size))
    k = int(np.argmax(power))
    a, b, c = np.log(power[k - 1 : k + 2])
    return (k + 0.5 * (a - c) / (a - 2 * b + c)) * rate / size
