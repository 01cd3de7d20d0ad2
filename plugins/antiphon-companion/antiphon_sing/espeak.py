"""espeak-ng voice, which needs no extra: its library speaks a line on one pitch, and the envelope is extracted."""

from __future__ import annotations

import ctypes
from contextlib import suppress
from ctypes.util import find_library
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon_sing.song import REFERENCE, Phone, SpokenLine, VoiceError

RETRIEVE, PHONES_AS_IPA = 1, 3
"""`espeak_Initialize`: sound by callback; events for phonemes, in IPA."""
UTF8 = 1
WORD, PHONE = 1, 7
"""Event types."""
RATE, PITCH, RANGE, GAP = 1, 3, 4, 7
"""Parameter numbers of `espeak_SetParameter`."""
WORDS_A_MINUTE = 115
HOP = 0.01
"""Frame length in seconds."""
VOWELS = frozenset("aeiouyøœæɐɑɒɔəɚɛɜɝɞɘɵɤɨɪʉʊʌɯᵻʏɶ")
GLIDES = VOWELS | {"ɹ"}
"""Final letters of diphthongs."""
NEAR = 6
"""Tolerance in frames."""
VOICELESS = frozenset("ptkfsθʃhxçqχʔɸħc")
MIXED = frozenset("zvðʒ")


class _EventIdentifier(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("text", ctypes.c_char * 8), ("name", ctypes.c_void_p))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("uid", ctypes.c_uint),
        ("text", ctypes.c_int),
        ("length", ctypes.c_int),
        ("ms", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user", ctypes.c_void_p),
        ("id", _EventIdentifier),
    )


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class EspeakVoice:
    """espeak-ng voices. One object per process, as the library hangs on a second initialisation."""

    def __init__(self) -> None:
        """Loads the library. Raises VoiceError: it is not installed."""
        where = find_library("espeak-ng")
        if where is None:
            raise VoiceError("espeak-ng is not installed; apt-get install espeak-ng")
        self._library = ctypes.CDLL(where)
        self.rate = self._library.espeak_Initialize(RETRIEVE, 0, None, PHONES_AS_IPA)
        if self.rate <= 0:
            raise VoiceError("espeak-ng does not start; reinstall it: apt-get install --reinstall espeak-ng-data")
        with suppress(AttributeError):  # Windows looks up names of the library alone
            self._library.srand(1)  # in a new home the sound card's client seeds the voice's noise by the clock
        self._sound: list[NDArray[np.int16]] = []
        self._events: list[tuple[int, int, str]] = []
        self._callback = _CALLBACK(self._take)  # held, for the library calls it
        self._library.espeak_SetSynthCallback(self._callback)
        self._speak("a")  # the first it says is shorter than it says the same later

    def choose(self, name: str) -> None:
        """Selects the voice of the next lines: a language, with a variant after "+".

        Raises VoiceError: there is no such voice.
        """
        if self._library.espeak_SetVoiceByName(name.encode()) != 0:
            raise VoiceError(
                f"voice: espeak-ng has no voice {name}; "
                "auto, neural, espeak and those of espeak-ng --voices are allowed, such as de or en-us+f3"
            )
        for number, value in ((RATE, WORDS_A_MINUTE), (RANGE, 0), (GAP, 0)):
            self._library.espeak_SetParameter(number, value, 0)

    def say(self, words: list[str]) -> SpokenLine:
        """Speaks a line. `words`: at least one."""
        sound, events = self._speak(" ".join(words))
        groups = _group_phones_by_word(events)
        if len(groups) != len(words):
            sound, groups = np.zeros(0, np.float32), []
            for word in words:
                part, events = self._speak(word)
                groups.append(
                    [(at + len(sound), symbol) for group in _group_phones_by_word(events) for at, symbol in group]
                )
                sound = np.concatenate([sound, part])
        hop = round(HOP * self.rate)
        frames = len(sound) // hop + 1
        sound = np.concatenate([sound, np.zeros(frames * hop - len(sound), np.float32)])
        flat = [(at / hop, symbol, n) for n, group in enumerate(groups) for at, symbol in group]
        ends = [at for at, _, _ in flat[1:]] + [frames - 1.0]
        phones = [
            Phone(symbol, n, at, end, symbol[0] in VOWELS, len(symbol) > 1 and symbol[-1] in GLIDES)
            for (at, symbol, n), end in zip(flat, ends, strict=True)
            if end > at and symbol
        ]
        return self._analyse_spoken_line(sound, hop, phones)

    def _take(self, sound: Any, count: int, events: Any) -> int:
        if count > 0 and sound:
            self._sound.append(np.ctypeslib.as_array(sound, (count,)).copy())
        n = 0
        while events[n].type:
            if events[n].type in (WORD, PHONE):
                name = events[n].id.text.decode("utf-8", "ignore") if events[n].type == PHONE else ""
                self._events.append((events[n].type, events[n].sample, name))
            n += 1
        return 0

    def _speak(self, text: str) -> tuple[NDArray[np.float32], list[tuple[int, int, str]]]:
        self._sound, self._events = [], []
        given = text.encode()
        self._library.espeak_Synth(given, len(given) + 1, 0, 1, 0, UTF8, None, None)
        self._library.espeak_Synchronize()
        sound = np.concatenate([np.zeros(0, np.int16), *self._sound])
        return sound.astype(np.float32) / 32768.0, self._events

    def _analyse_spoken_line(self, sound: NDArray[np.float32], hop: int, phones: list[Phone]) -> SpokenLine:
        frames = len(sound) // hop
        voiced, mixed = np.zeros(frames, np.float32), np.zeros(frames, np.float32)
        for phone in phones:
            a, b = round(phone.start), max(round(phone.start) + 1, round(phone.end))
            if phone.symbol[0] not in VOICELESS:
                voiced[a:b] = 1.0
            if phone.symbol[0] in MIXED:
                mixed[a:b] = 1.0
        envelope, pitched = pitch_and_envelope(sound, hop, self.rate)
        sure = np.flatnonzero(pitched * voiced)
        if len(sure):
            # a frame without a clear pitch in a voiced phone has the envelope of the nearest that has one
            nearest = sure[np.abs(sure[None, :] - np.arange(frames)[:, None]).argmin(axis=1)]
            voiced *= np.abs(nearest - np.arange(frames)) <= NEAR
            envelope = envelope[nearest]
        gate = np.repeat(np.convolve(voiced, [0.25, 0.5, 0.25], "same"), hop).astype(np.float32)
        high = sound - np.convolve(sound, np.hanning(15) / np.hanning(15).sum(), "same").astype(np.float32)
        noise = sound * (1.0 - gate) + high * gate * np.repeat(mixed, hop)
        return SpokenLine(envelope * voiced[:, None], noise.astype(np.float32), hop, self.rate, phones)


def _group_phones_by_word(events: list[tuple[int, int, str]]) -> list[list[tuple[int, str]]]:
    groups: list[list[tuple[int, str]]] = []
    for kind, at, symbol in events:
        if kind == WORD:
            groups.append([])
        elif groups and symbol.strip("ˈˌː"):
            groups[-1].append((at, symbol.strip("ˈˌ")))
    return [group for group in groups if group]


def pitch_and_envelope(
    sound: NDArray[np.float32], hop: int, rate: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Computes the spectral envelope per frame, by the first two steps of CheapTrick (Morise 2015), and voicing.

    Returns the amplitude of harmonics at `REFERENCE`, float32 `[frames, bins]`, and 1 for frames with a pitch.
    """
    size, frames = 1024, len(sound) // hop
    bins = size // 2 + 1
    padded = np.pad(sound.astype(np.float64), size)
    found, pitched = np.zeros((frames, bins)), np.zeros(frames)
    hz = np.arange(bins) * rate / size
    lags = np.arange(rate // 300, rate // 60)  # a voice between 60 and 300 Hz
    quefrency = np.arange(1, bins) / rate
    for n in range(frames):
        middle = size + n * hop + hop // 2
        x = padded[middle - 512 : middle + 512]
        auto = np.fft.irfft(np.abs(np.fft.rfft(x * np.hanning(size), 2 * size)) ** 2)
        best = lags[np.argmax(auto[lags] / (1.0 - lags / (1.2 * size)))]
        if auto[0] < 1e-5 or auto[best] < 0.25 * auto[0]:
            continue
        pitched[n] = 1.0
        f0 = rate / best
        half = round(1.5 * rate / f0)
        window = np.hanning(2 * half + 1)
        window /= np.sqrt((window**2).sum())
        power = np.abs(np.fft.rfft(padded[middle - half : middle + half + 1] * window, size)) ** 2
        # below the first harmonic the spectrum above it is mirrored
        fold = np.interp(f0 - hz, hz, power)
        power = np.where(hz < f0, power + fold, power) + 1e-12
        total = np.concatenate([[0.0], np.cumsum((power[1:] + power[:-1]) / 2.0)])
        wide = f0 / 3.0
        smooth = np.interp(hz + wide, hz, total) - np.interp(hz - wide, hz, total)
        smooth = np.maximum(smooth / (2.0 * wide * size / rate), 1e-14)
        cepstrum = np.fft.irfft(np.log(smooth))
        lifter = np.ones(bins)
        turn = np.pi * f0 * quefrency
        lifter[1:] = np.sin(turn) / turn * (1.18 - 0.18 * np.cos(2.0 * turn))
        cepstrum *= np.concatenate([lifter, lifter[-2:0:-1]])
        power = np.exp(np.fft.rfft(cepstrum).real)
        found[n] = 2.0 * np.sqrt(power * REFERENCE / rate)
    return found.astype(np.float32), pitched.astype(np.float32)
