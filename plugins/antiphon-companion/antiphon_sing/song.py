"""Installed voices, and conversion of a text to frames: pulse responses, noise, and positions of syllables."""

import itertools
import math
import re
from collections.abc import Sequence
from ctypes.util import find_library
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from antiphon.api import AntiphonError
from antiphon.signal.lyrics import LyricSyllable

REFERENCE = 220.0
"""Pulse rate in Hz at which a response has the amplitudes of its envelope."""


class VoiceError(AntiphonError):
    """A voice cannot speak a line; the message gives the reason."""


@dataclass(frozen=True, slots=True)
class Phone:
    """A phone of a line."""

    symbol: str
    word: int
    start: float  # frame at which it begins, a fraction
    end: float  # frame at which it ends
    vowel: bool = False
    glide: bool = False


@dataclass(frozen=True, slots=True)
class SpokenLine:
    """A spoken line of a voice, in frames of equal length.

    `envelope`: amplitude of harmonics, float32 `[frames, bins]`, bins from 0 to half of `rate`; 0 where unvoiced.
    """

    envelope: NDArray[np.float32]
    noise: NDArray[np.float32]  # what is no harmonic: float32 `[frames × hop]`
    hop: int  # samples of a frame
    rate: int  # Hz
    phones: Sequence[Phone]


TAPS = 0.016
"""Length of a response in seconds."""
_PAIRS = frozenset(a + b for a in "pbtdkgɡfθʃs" for b in "lɹrjw") | frozenset(f"s{c}" for c in "ptkmnf")
HELD_RMS = 0.35
"""RMS of a held vowel."""
HELD_SHARE = 0.2
"""Share of a vowel held on each side of its steadiest frame. A larger one delays the next beat."""
MAX_LEVEL, MAX_ONSET_LEVEL = 1.3, 0.4
"""Maximum level of a frame relative to a held vowel, and of one before a vowel: a louder l or r masks its start."""


class Place(NamedTuple):
    """Position of a syllable, in frames of its song."""

    onset: float  # its first frame
    sound: float
    vowel: float  # the frame at which its vowel begins
    low: float  # first frame that is held
    high: float  # last frame that is held; what follows is sung at the note's end
    end: float  # frame after its last
    word: int
    line: int
    held: bool


@dataclass(frozen=True, slots=True)
class SungText:
    """Frames of a text at a rate."""

    text: str
    responses: NDArray[np.float32]  # float32 `[frames, taps]`; frames without voice are 0
    noise: NDArray[np.float32]  # float32 `[frames × hop]`, in whole samples
    hop: float  # samples of a frame, a fraction
    places: tuple[Place, ...]


def responses(envelope: NDArray[np.float32], rate: int, to: int) -> NDArray[np.float32]:
    """Minimum-phase responses of envelopes.

    `envelope`: amplitude of harmonics for pulses of `REFERENCE` Hz, `[frames, bins]` up to half of `rate`. `to`: Hz of
    the responses. Returns float32 `[frames, taps]`; the first tap is 0.
    """
    size = 1 << int(np.ceil(np.log2(to * 0.04)))
    taps = round(TAPS * to)
    hz = np.arange(size // 2 + 1) * to / size
    own = np.arange(envelope.shape[1]) * rate / 2.0 / (envelope.shape[1] - 1)
    fall = np.exp(-np.maximum(0.0, hz - 0.47 * rate) / 400.0)
    fade = np.ones(taps)
    fade[-taps // 3 :] = np.hanning(2 * len(fade[-taps // 3 :]))[len(fade[-taps // 3 :]) :]
    found = np.zeros((len(envelope), taps), np.float32)
    for n, row in enumerate(envelope):
        if row.max() <= 0.0:
            continue
        level = np.interp(hz, own, row) * fall
        cepstrum = np.fft.irfft(np.log(np.maximum(level, level.max() * 1e-4)))
        cepstrum[1 : size // 2] *= 2.0
        cepstrum[size // 2 + 1 :] = 0.0
        response = np.fft.irfft(np.exp(np.fft.rfft(cepstrum)))[: taps - 1] * to / (2.0 * REFERENCE)
        found[n, 1:] = response * fade[1:]
    return found


def places(spoken: SpokenLine, syllables: Sequence[LyricSyllable], first: int, line: int) -> list[Place]:
    """Places of the syllables of a line among its phones. `first`: the frame of the song at which the line begins."""
    found: list[Place] = []
    words: dict[int, list[LyricSyllable]] = {}
    for syllable in syllables:
        words.setdefault(syllable.word, []).append(syllable)
    for number, (word, parts) in enumerate(words.items()):
        phones = [phone for phone in spoken.phones if phone.word == number]
        for *frames, held in _word(phones, parts, spoken.envelope):
            onset, vowel, low, high, end = (frame + first for frame in frames)
            found.append(Place(onset, onset, vowel, low, high, end, word, line, bool(held)))
    return found


def _word(
    phones: list[Phone], parts: list[LyricSyllable], envelope: NDArray[np.float32]
) -> list[tuple[float, float, float, float, float, bool]]:
    """(onset, vowel, low, high, end, held) of each syllable of a word."""
    loud = np.sqrt((envelope**2).sum(axis=1))
    nuclei = [n for n, phone in enumerate(phones) if phone.vowel] or [len(phones) // 2]
    asked = [part for part in parts if not part.held]
    nuclei = nuclei[: len(asked)]
    starts = [0, *(_boundary(phones, a, b) for a, b in itertools.pairwise(nuclei)), len(phones)]
    found: list[tuple[float, float, float, float, float, bool]] = []
    sung = -1
    for part in parts:
        held = part.held or sung + 1 >= len(nuclei)
        if not held:
            sung += 1
            vowel = phones[nuclei[sung]]
            vowel = replace(vowel, start=_rise(loud, vowel))
            low, high = _steady(envelope, vowel)
            onset, end = phones[starts[sung]].start, phones[starts[sung + 1] - 1].end
            found.append((onset, vowel.start, low, high, end, False))
        else:
            before = found[-1]
            found[-1] = (*before[:4], before[3], before[5])
            found.append((before[1], before[1], before[2], before[3], before[4], True))
    return found


def _vowel_gains(loud: NDArray[np.float32], found: Sequence[Place]) -> NDArray[np.float32]:
    """Gains that equalise the loudness of all vowels while held."""
    at, gains = [0.0], [0.0]
    for place in found:
        if not place.held:
            for frame in np.linspace(place.vowel + 0.3 * (place.low - place.vowel), place.high, 4):
                at.append(float(frame))
                gains.append(float(np.log(HELD_RMS / max(1e-9, loud[min(len(loud) - 1, round(frame))]))))
    middle = float(np.median(gains[1:])) if found else 0.0
    gains[0] = middle
    order = np.argsort(at)
    curve = np.interp(
        np.arange(len(loud)), np.array(at)[order], np.clip(np.array(gains)[order], middle - 2.0, middle + 2.0)
    )
    most = np.full(len(loud), MAX_LEVEL)
    for place in found:
        if not place.held:
            most[math.ceil(place.onset) : math.ceil(place.vowel)] = MAX_ONSET_LEVEL
    return np.asarray(np.minimum(np.exp(curve), most * HELD_RMS / np.maximum(loud, 1e-9)), np.float32)


def _rise(loud: NDArray[np.float32], vowel: Phone) -> float:
    """Frame near a vowel's beginning at which it reaches half its level."""
    first, last = max(0, int(vowel.start) - 1), min(int(vowel.end), int(vowel.start) + 4)
    most = float(loud[first : max(first + 1, int(vowel.end))].max())
    if loud[first] > 0.5 * most:
        return vowel.start
    return float(next((n for n in range(first, last) if loud[n] > 0.5 * most), vowel.start))


def _steady(envelope: NDArray[np.float32], vowel: Phone) -> tuple[float, float]:
    """Returns the frames to sustain in a vowel: around its smallest spectral change, for a diphthong in its first part.

    A single frozen frame sounds unnatural and makes words unintelligible, so a range of frames is sustained.
    """
    length = vowel.end - vowel.start
    first, last = vowel.start + 0.2 * length, vowel.start + (0.55 if vowel.glide else 0.8) * length
    inside = np.arange(max(1, int(np.ceil(first))), min(len(envelope) - 1, int(last) + 1))
    middle = (first + last) / 2.0
    if len(inside):
        level = np.log(envelope[inside[0] - 1 : inside[-1] + 2, 3:] + 1e-5)
        change = np.abs(np.diff(level, axis=0)).mean(axis=1)
        quiet = np.maximum(0.0, np.median(level.mean(axis=1)) - level[1:-1].mean(axis=1))
        middle = float(inside[np.argmin(change[1:] + change[:-1] + quiet)])
    half = max(0.5, HELD_SHARE * length)
    low = max(vowel.start + min(0.5, 0.2 * length), middle - half)
    return low, max(low, min(last, middle + half))


def _audible(loud: NDArray[np.float32], place: Place, silence: float) -> float:
    """First audible frame of an onset, or one before."""
    for frame in range(int(place.onset), int(place.vowel)):
        if loud[frame] > silence:
            return max(place.onset, frame)
    return place.vowel


def _boundary(phones: list[Phone], one: int, two: int) -> int:
    """Phone that begins the syllable of nucleus `two`."""
    if two - one <= 2:
        return one + 1
    pair = phones[two - 2].symbol[0] + phones[two - 1].symbol[0]
    return two - 2 if pair in _PAIRS else two - 1


def song(text: str, lines: Sequence[tuple[SpokenLine, Sequence[LyricSyllable]]], rate: int) -> SungText:
    """Joins lines to a song."""
    import soxr

    hop = lines[0][0].hop * rate / lines[0][0].rate
    frames, found = 0, []
    for number, (spoken, syllables) in enumerate(lines):
        found += places(spoken, syllables, frames, number)
        frames += len(spoken.envelope)
    first = lines[0][0]
    noise = np.concatenate([spoken.noise for spoken, _ in lines])
    noise = soxr.resample(noise, first.rate, rate).astype(np.float32) if first.rate != rate else noise
    envelope = np.concatenate([spoken.envelope for spoken, _ in lines])
    need = int(np.ceil((frames + 2) * hop)) + 2
    noise = np.concatenate([noise, np.zeros(max(0, need - len(noise)), np.float32)])
    gains = _vowel_gains(np.sqrt((envelope**2).sum(axis=1) / 2.0), found)
    whole = responses(envelope * gains[:, None], first.rate, rate)
    noise = (noise * np.interp(np.arange(len(noise)) / hop, np.arange(frames), gains)).astype(np.float32)
    last = np.zeros((2, whole.shape[1]), np.float32)  # the kernel reads one frame further
    loud = np.sqrt((whole[:frames] ** 2).sum(axis=1) * REFERENCE / rate)
    starts = (np.arange(frames) * hop).astype(int)
    loud += np.sqrt(np.add.reduceat(noise[: round(frames * hop)] ** 2, starts) / hop)
    silence = 0.03 * float(np.percentile(loud, 90))
    found = [place._replace(sound=_audible(loud, place, silence)) for place in found]
    return SungText(text, np.ascontiguousarray(np.concatenate([whole, last])), noise, hop, tuple(found))


NEURAL = "neural"
AUTO = "auto"
FALLBACK_VOICE = "en-us+f5"
"""espeak-ng voice for no name: a speech recogniser identifies the right line four times as often as with en-us."""
EXTRA = ("hibari", "onnx", "onnxruntime")
"""Packages of `antiphon[sing]`."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+-]{0,40}")


def voice_name(name: str) -> str:
    """Voice selected by a parameter value.

    `name`: "auto" for the best installed one, "neural", "espeak", or a voice of espeak-ng: "de", "en-us+f3". Raises
    VoiceError: the voice is not installed or unknown.
    """
    neural = all(find_spec(package) for package in EXTRA)
    if name in ("", AUTO):
        return NEURAL if neural else _check_espeak_installed(FALLBACK_VOICE)
    if name == NEURAL:
        if not neural:
            raise VoiceError("the neural voice is not installed; pip install antiphon[sing]")
        return NEURAL
    if not _NAME.fullmatch(name):
        raise VoiceError(f"voice: {name[:60]!r} is no voice; auto, neural, espeak or a voice of espeak-ng, such as de")
    return _check_espeak_installed(FALLBACK_VOICE if name == "espeak" else name)


def _check_espeak_installed(name: str) -> str:
    if find_library("espeak-ng") is None:
        raise VoiceError("no voice is installed; pip install antiphon[sing], or apt-get install espeak-ng")
    return name
