"""`antiphon evaluate chords`, `key` and `tempo`: on renders, or on the user's sounds with annotations."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import soxr

from antiphon.api import UsageError
from antiphon.api.backends.files import READ_SUFFIXES, read_sound
from antiphon_models.learning.evaluation import Evaluation, EvaluationRequest, MetricValue, scored
from antiphon_models.listen.evaluation import SONGS, SYSTEMS, Listening, figures
from antiphon_models.listen.songs import RATE, SOUNDFONTS, TEST, ListenedSong, key_named, read_song
from antiphon_models.material.sounds import songs


class _OneQuantity(Evaluation):
    """Base of evaluations of one quantity by systems of `SYSTEMS`.

    Attributes:
        truth: Ending of the file with the truth, beside a sound.
    """

    truth: ClassVar[str] = ""
    folders = ("pop909",)

    def files_in(self, data: Path) -> tuple[Path, ...]:
        if not data.is_dir():
            return ()
        sounds = (path for path in sorted(data.iterdir()) if path.suffix.lower() in READ_SUFFIXES)
        return tuple(path for path in sounds if path.with_suffix(self.truth).is_file())

    def scores(self, ask: EvaluationRequest) -> Iterator[MetricValue]:
        names = {measure.name for measure in self.measures}
        for group, song in self._songs(ask):
            for name, run in ask.wanted({system.name: SYSTEMS[system.name] for system in self.systems}).items():
                found = ((measure, value) for measure, value in figures(song, run(song.sound)) if measure in names)
                yield from scored(name, song.name, found, group)

    def _songs(self, ask: EvaluationRequest) -> Iterator[tuple[str, ListenedSong]]:
        for path in ask.files[: ask.limit]:
            yield "", self._song(path)
        for soundfont in () if ask.files else SOUNDFONTS:
            for folder in songs(ask.data, TEST, ask.limit or SONGS):
                yield soundfont, read_song(folder, ask.work, soundfont)

    def _song(self, path: Path) -> ListenedSong:
        sound, truth = read_sound(path), path.with_suffix(self.truth)
        try:
            text = truth.read_text("utf-8").strip()
            beat, key = 0.5, "C major"
            chords: tuple[tuple[float, float, str], ...] = ()
            if self.truth == ".bpm":
                beat = 60.0 / float(text)
            elif self.truth == ".key":
                key = key_named(text)
            else:
                rows = [line.split()[:3] for line in text.splitlines() if line.strip()]
                chords = tuple((float(start), float(end), label) for start, end, label in rows)
        except (OSError, ValueError) as error:
            raise UsageError(f"{truth} cannot be read: {error}; {self.files_doc}") from None
        beats = beat * np.arange(64, dtype=np.float64)
        mono = np.asarray(soxr.resample(sound.samples.mean(axis=0), sound.rate, RATE), np.float32)
        return ListenedSong(path.name, mono, beats, beats[::4], chords, key, 1)


class Chords(_OneQuantity):
    """Evaluation of chords."""

    peer = "templates; crema"
    ours = "listen"
    columns = "majmin; sevenths; mirex; no chord ↓"
    note = "majmin, sevenths, mirex: mir_eval; no chord: its share of the time. crema: its network alone."
    road = Listening.road
    truth = ".lab"
    files_doc = "your sounds, each with its chords beside it, NAME.lab: lines of start, end in seconds and chord"


class Keys(_OneQuantity):
    """Evaluation of keys; one below the display threshold counts as none."""

    peer = "Krumhansl"
    ours = "listen"
    columns = "key; key or relative; key, weighted; shown"
    note = "of the keys that are shown: the right one; or its relative; weighted as MIREX. shown: of all songs."
    road = Listening.road
    truth = ".key"
    files_doc = 'your sounds, each with its key beside it, NAME.key: "A minor"'


class Tempi(_OneQuantity):
    """Evaluation of tempos."""

    peer = "librosa beats"
    ours = "listen"
    columns = "tempo; half or double"
    note = "tempo: within 4 %; half or double counts those too."
    road = Listening.road
    truth = ".bpm"
    files_doc = "your sounds, each with its tempo beside it, NAME.bpm: 120.5"
