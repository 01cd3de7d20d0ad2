"""What the tests sing: a voice without any library, and measures of what comes out."""

import numpy as np

from antiphon.api import Event, StreamSpec
from antiphon.signal.lyrics import syllables
from antiphon.testing import render
from antiphon_sing import processor, song
from antiphon_sing.song import Phone, SpokenLine

RATE = 48000
SPEC = StreamSpec(RATE, 256, 1)
HZ = np.arange(257) * 24000 / 512


def vowels(words):
    """A line of "s" and a vowel of its own a syllable: 8 frames of noise, 12 of harmonics, 4 that fade."""
    count = sum(len(syllables(word)) for word in words)
    envelope = np.zeros((24 * count, 257), np.float32)
    noise = np.zeros((24 * count, 240), np.float32)
    phones, at = [], 0
    for number, word in enumerate(words):
        for _ in syllables(word):
            formant = 500.0 + 300.0 * (len(phones) // 2 % 4)
            envelope[at + 8 : at + 24] = 0.1 * np.exp(-(((HZ - formant) / 200.0) ** 2)) + 0.01 * np.exp(-HZ / 1000.0)
            envelope[at + 20 : at + 24] *= np.linspace(1.0, 0.1, 4)[:, None]
            noise[at : at + 8] = 0.01 * np.random.default_rng(1).standard_normal((8, 240))
            phones += [Phone("s", number, at, at + 8), Phone("a", number, at + 8, at + 24, True)]
            at += 24
    return SpokenLine(envelope, noise.reshape(-1), 240, 24000, phones)


class FakeTexts:
    """Makes songs of `vowels`."""

    def make(self, key):
        lines = []
        for number in dict.fromkeys(part.line for part in syllables(key[0])):
            parts = [part for part in syllables(key[0]) if part.line == number]
            words = {}
            for part in parts:
                words[part.word] = words.get(part.word, "") + ("" if part.held else part.text + "-")
            lines.append((vowels(words.values()), parts))
        return song.song(key[0], lines, key[2])


def line(numbers, seconds=0.5, start=0.5, live=False):
    """Notes one after the other."""
    events = []
    for n, number in enumerate(numbers):
        at = round((start + n * seconds) * RATE)
        events.append(Event("on", at, number, 0.8, live=live))
        events.append(Event("off", at + round(seconds * RATE), number, live=live))
    return sorted(events, key=lambda event: (event.offset, event.kind == "on"))


def sing(monkeypatch, events, seconds, blocks=None, changes=(), **settings):
    """What the node sings, float32 `[frames]`, and its last reports."""
    monkeypatch.setattr(processor, "texts", FakeTexts)
    made = render(
        processor.Sing(), SPEC, np.zeros((1, round(seconds * RATE)), np.float32), settings, changes, blocks, events
    )
    return made.audio[0][0], made.reports


def cents(sound, at, number):
    """How far the pitch from a time on is from a note, within 3 semitones, by autocorrelation."""
    x = sound[round(at * RATE) : round((at + 0.15) * RATE)]
    auto = np.fft.irfft(np.abs(np.fft.rfft(x * np.hanning(len(x)), 4 * len(x))) ** 2)
    lag = RATE / (440 * 2 ** ((number - 69) / 12))
    low, high = int(lag / 1.19), int(lag * 1.19)
    best = low + int(np.argmax(auto[low:high]))
    a, b, c = auto[best - 1 : best + 2]
    return 1200 * np.log2(lag / (best + 0.5 * (a - c) / (a - 2 * b + c)))


def level(sound, seconds, length=0.02):
    """RMS from a time on."""
    return float(np.sqrt(np.mean(sound[round(seconds * RATE) : round((seconds + length) * RATE)] ** 2)))
