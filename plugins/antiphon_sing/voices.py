"""Voices of a node: rows of numbers, and the songs whose frames they play."""

import math
from typing import NamedTuple

import numpy as np

from antiphon.api import Samples
from antiphon_sing.kernels import ROWS, SHAPES, TICK, Mode, SingerState, VoiceRow, sing_take, sing_voice
from antiphon_sing.song import TAPS, Place, Song

VOICES = 16
"""Number of rows: 8 held and 8 ending voices."""
SOFT, HARD = 0.02, 0.004
"""Fade-in in seconds of a voice that begins with a vowel, and with a consonant."""
CROSSFADE_SECONDS = 0.025
"""Crossfade in seconds between two frames."""
LOWEST = 20.0
"""Cutoff of the high-passes in Hz: two octaves below the lowest voice, which loses .5 dB."""
MAX_SPEED_UP = 2.0
"""Maximum speed-up of consonants under time pressure."""


class NewNote(NamedTuple):
    """Parameters of a new note."""

    song: Song
    place: Place
    level: float  # 0 to 1
    start: int  # sample at which it begins
    samples: int
    pace: float
    legato: bool
    pitch: float
    bend: float  # semitones
    pressure: float

    @property
    def length(self) -> int:
        """Length in samples of its syllable's end."""
        return round((self.place.end - self.place.high) * self.song.hop * self.pace)


class SingingVoices:
    """Voice bank: sings syllables of songs at pitches, mixed to mono.

    `notes`: (channel, note) of each voice; None where it has ended or its key is up.
    """

    def __init__(self, rate: int, block: int) -> None:
        self.rate = rate
        self.real = np.zeros((VOICES, ROWS))  # numbers by voice, see `VoiceRow`
        self._flat = self.real.reshape(-1)
        self.shape = np.zeros(SHAPES)  # see `Shape`
        self._ring = np.zeros(round(4.0 * TAPS * rate) + block, np.float32)
        self._at = 0
        self._keep, self._high_pass = 1.0 / (1.0 + 2.0 * math.pi * LOWEST / rate), np.zeros(4)
        self.songs: list[Song | None] = [None] * VOICES
        self.places: list[Place | None] = [None] * VOICES
        self.notes: list[tuple[int, int] | None] = [None] * VOICES
        self.begun = [-1] * VOICES  # sample at which each begins or began

    def reset(self) -> None:
        self.real.fill(0.0)
        self._ring.fill(0.0)
        self._high_pass.fill(0.0)
        self._at = 0
        for n in range(VOICES):
            self.songs[n] = self.places[n] = self.notes[n] = None
            self.begun[n] = -1

    def sounding(self, voice: int) -> bool:
        return bool(self.real[voice, VoiceRow.MODE] != Mode.OFF)

    def free(self, now: int) -> int:
        """A finished voice, none that is still to begin after the sample `now`; else the oldest."""
        best, score = 0, None
        for n in range(VOICES):
            if not self.sounding(n) and self.notes[n] is None and self.begun[n] < now:
                return n
            rank = (self.notes[n] is not None, self.begun[n])
            if score is None or rank < score:
                best, score = n, rank
        return best

    def begin(self, voice: int, begun: NewNote) -> None:
        """Begins a syllable; consonants without time are cut short."""
        row, song, place = self.real[voice], begun.song, begun.place
        row.fill(0.0)
        row[VoiceRow.PITCH] = row[VoiceRow.TARGET] = begun.pitch
        row[VoiceRow.GLIDE], row[VoiceRow.BEND], row[VoiceRow.PRESSURE] = 1.0, begun.bend, begun.pressure
        onset = (place.vowel - place.onset) * song.hop * begun.pace
        step = 1.0 / (song.hop * begun.pace)
        if 0 < begun.samples < onset:
            step *= min(MAX_SPEED_UP, onset / begun.samples)
        row[VoiceRow.MODE] = Mode.ONSET
        row[VoiceRow.STEP] = step
        row[VoiceRow.AT] = place.vowel - begun.samples * step
        row[VoiceRow.LOW], row[VoiceRow.HIGH], row[VoiceRow.END] = place.low, place.high, place.end
        row[VoiceRow.WANTED] = begun.level
        rise = CROSSFADE_SECONDS if begun.legato else SOFT if begun.samples * step < 1.0 else HARD
        row[VoiceRow.STEP_UP] = max(begun.level, 0.05) / (rise * self.rate)
        row[VoiceRow.SEED] = 1 + begun.start % 65536
        row[VoiceRow.TURN] = 0.999
        self.songs[voice], self.places[voice] = song, place

    def tune(self, voice: int, pitch: float, seconds: float) -> None:
        """Glide to `pitch`; `seconds` = 90 % settling time, 0 at once."""
        row = self.real[voice]
        row[VoiceRow.TARGET] = pitch
        if seconds <= 0.0:
            row[VoiceRow.PITCH] = pitch
            row[VoiceRow.GLIDE] = 1.0
        else:
            row[VoiceRow.GLIDE] = 1.0 - 0.1 ** (TICK / (seconds * self.rate))

    def release(self, voice: int, samples: int, pace: float) -> None:
        """Sings the end of a syllable, in at most `samples`."""
        row = self.real[voice]
        song, place = self.songs[voice], self.places[voice]
        if song is None or place is None or row[VoiceRow.MODE] in (Mode.OFF, Mode.CODA):
            return
        own = (place.end - place.high) * song.hop * pace
        step = min(MAX_SPEED_UP, max(1.0, own / max(1, samples))) / (song.hop * pace)
        start = max(place.high, place.end - samples * step)
        row[VoiceRow.FROM], row[VoiceRow.FADE] = row[VoiceRow.AT], 1.0
        row[VoiceRow.FADING] = 1.0 / (CROSSFADE_SECONDS * self.rate)
        row[VoiceRow.AT], row[VoiceRow.STEP], row[VoiceRow.MODE] = start, step, Mode.CODA
        row[VoiceRow.STEP_UP] = max(row[VoiceRow.WANTED], 0.05) / (CROSSFADE_SECONDS * self.rate)

    def fade(self, voice: int, seconds: float = CROSSFADE_SECONDS) -> None:
        """Fades out a voice without the end of its syllable."""
        row = self.real[voice]
        row[VoiceRow.STEP_UP] = max(row[VoiceRow.LEVEL], 0.05) / (seconds * self.rate)
        row[VoiceRow.WANTED] = 0.0

    def sing(self, into: Samples) -> None:
        """Writes the next samples, float32 `[frames]`."""
        count, ring, shape = into.shape[0], self._ring, self.shape
        for n in range(VOICES):
            song = self.songs[n]
            if song is not None and self.sounding(n):
                taps = song.responses.shape[1]
                state = SingerState(
                    ring, ring.shape[0], self._flat, shape, song.responses, taps, song.noise, song.hop, float(self.rate)
                )
                sing_voice(state, self._at, n * ROWS, count)
        sing_take(ring, ring.shape[0], self._at, into, count, self._keep, self._high_pass)
        self._at = (self._at + count) % ring.shape[0]
