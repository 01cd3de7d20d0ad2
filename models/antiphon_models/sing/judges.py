"""Judges that know nothing of the singer: a pitch tracker, the rise of a vowel, a recogniser that chooses a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32, F64

Sound = F32
Flags = NDArray[np.bool_]
EDGE = 0.04
"""Seconds around a change of note in which a pitch may be on its way."""
STEP = 0.005
NEAR = 0.15
DOWN = 0.5
"""Level of a vowel's beginning beside its middle."""
BEAMS = {"beam": 1e-60, "wbeam": 1e-40, "pbeam": 1e-60}
"""Chosen by espeak-ng's speech at 80 words a minute: 23 of 25 lines, 20 by its own."""
ADDED = {
    "camptown": "K AE M P T AW N",
    "dickory": "D IH K ER IY",
    "excelsis": "EH K S EH L S IH S",
    "greensleeves": "G R IY N S L IY V Z",
    "posies": "P OW Z IY Z",
    "wenceslas": "W EH N S AH S L AA S",
}
"""Words that the dictionary of pocketsphinx lacks."""


class Sung(NamedTuple):
    """A note of the score: seconds, and its number."""

    start: float
    end: float
    number: int

    @property
    def hertz(self) -> float:
        return float(440.0 * 2.0 ** ((self.number - 69) / 12.0))


class Tracker:
    """swift-f0."""

    def __init__(self) -> None:
        from swift_f0 import SwiftF0

        self._tracker = SwiftF0()

    def in_tune(self, sound: Sound, rate: int, notes: Sequence[Sung]) -> float:
        """Share of voiced frames within 50 cents of the score."""
        times, hz, voiced = self._found(sound, rate)
        cents = [
            1200.0 * np.log2(hz[inside] / note.hertz)
            for note in notes
            for inside in [voiced & (times >= note.start + EDGE) & (times < note.end - EDGE)]
        ]
        return float((np.abs(np.concatenate(cents)) < 50.0).mean())

    def pitches(self, sound: Sound, rate: int) -> tuple[F64, Flags]:
        """Hz every 16 ms, and whether there is surely a voice there."""
        _, hz, voiced = self._found(sound, rate, 0.9)
        return hz, voiced

    def _found(self, sound: Sound, rate: int, confidence: float = 0.5) -> tuple[F64, F64, Flags]:
        import soxr

        x = soxr.resample(sound / max(1e-6, float(np.abs(sound).max())) * 0.8, rate, 16000).astype(np.float32)
        found = self._tracker.detect(x, 16000)
        return np.asarray(found.timestamps), np.asarray(found.pitch_hz), np.asarray(found.confidence) > confidence


def rises(sound: Sound, rate: int, notes: Sequence[Sung]) -> list[float]:
    """Seconds from each note's start to its vowel: where 300 to 3,500 Hz last come to half of the vowel's amplitude.

    A vowel that follows another sound without such a dip has none.
    """
    hop = round(STEP * rate)
    window = np.hanning(4 * hop)
    padded = np.pad(sound, 2 * hop)
    bands = np.fft.rfftfreq(4 * hop, 1.0 / rate)
    inside = (bands > 300.0) & (bands < 3500.0)
    starts = range(0, len(padded) - 4 * hop, hop)
    level = np.array(
        [np.sqrt((np.abs(np.fft.rfft(padded[n : n + 4 * hop] * window))[inside] ** 2).sum()) for n in starts]
    )
    found = []
    for note in notes:
        at = round(note.start / STEP)
        middle = np.median(level[at + 16 : max(at + 20, round((note.end - 0.12) / STEP))])
        first = max(0, at - round(NEAR / STEP))
        below = np.flatnonzero(level[first : at + round(NEAR / STEP)] < DOWN * middle)
        if len(below) and middle > 0.0:
            found.append((first + int(below[-1]) + 1) * STEP - note.start)
    return found


class WordJudge:
    """pocketsphinx with a grammar of a few lines, one of which it has to choose."""

    def __init__(self, lines: Sequence[str]) -> None:
        from pocketsphinx import Decoder

        self._lines = list(lines)
        self._decoder: Any = Decoder(samprate=16000, loglevel="FATAL", lm=None, **BEAMS)
        for word, phones in ADDED.items():
            self._decoder.add_word(word, phones, True)
        self._decoder.add_jsgf_string("lines", f"#JSGF V1.0; grammar lines; public <line> = {' | '.join(lines)};")
        self._decoder.activate_search("lines")

    def chooses(self, sound: Sound, rate: int) -> int:
        """The line that fits best; -1 for none."""
        import soxr

        x = soxr.resample(sound, rate, 16000)
        x = np.pad(x / max(1e-6, float(np.abs(x).max())) * 0.6, 4000)
        self._decoder.start_utt()
        self._decoder.process_raw((x * 32767.0).astype("<i2").tobytes(), full_utt=True)
        self._decoder.end_utt()
        found = self._decoder.hyp()
        return self._lines.index(found.hypstr) if found is not None and found.hypstr in self._lines else -1
