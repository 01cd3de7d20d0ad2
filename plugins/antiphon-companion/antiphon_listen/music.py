"""Analyses of tempo, beats, downbeats, key, chords and sections of a recording, and of librosa's tempo and beats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

import numpy as np

from antiphon.api import F32, F64, Samples, UsageError
from antiphon.api.backends.analysis import EACH, Analysis, AnalysisRun, Quantity, import_librosa
from antiphon.api.backends.signal import KEY_NAMES
from antiphon_listen import bars, beats, harmony, meters, signals, tables
from antiphon_listen.beats import BeatGrid
from antiphon_listen.harmony import SongChords, chord_network, find_chords
from antiphon_listen.phrases import Structure, find_structure
from antiphon_listen.signals import AttackLevel, MusicCurves, OnsetStrength, curves
from antiphon_listen.spectra import ConstantQ, NoteSpectrum, shift_into_tune

RATE = 22050
"""Sampling rate, librosa's default."""
MAX_SECONDS = 1800
"""Maximum seconds of sound (160 MB), as librosa's tracker needs all of it at once."""


class LibrosaBeats(Analysis):
    """Analysis of `antiphon library analyse --by librosa`."""

    by_name = True
    quantities = (
        Quantity("librosa_tempo", "number", "bpm", "Tempo by librosa's beat tracker (Ellis, 2007)."),
        Quantity("librosa_beats", "times", doc="Beats by the same."),
    )
    rate = RATE
    channels = 1

    def begin(self, rate: int, channels: int) -> LibrosaRun:
        import_librosa()  # one that is not installed is a reason before anything is decoded
        return LibrosaRun()


class LibrosaRun(AnalysisRun):
    """Buffers all samples of the sound."""

    def __init__(self) -> None:
        self._blocks: list[Samples] = []
        self._count = 0

    def feed(self, block: Samples) -> None:
        self._count += block.shape[1]
        if self._count > MAX_SECONDS * RATE:
            self._blocks.clear()
            raise UsageError(f"librosa's tracker takes sounds of at most {MAX_SECONDS // 60} minutes")
        self._blocks.append(block[0].copy())

    def result(self) -> Mapping[str, Any]:
        librosa = import_librosa()
        sound = np.concatenate([np.zeros(0, np.float32), *self._blocks])
        if not np.any(sound):
            return {"librosa_tempo": None, "librosa_beats": None}
        tempo, beats = librosa.beat.beat_track(y=sound, sr=RATE, units="time")
        found = float(np.atleast_1d(tempo)[0])
        return {"librosa_tempo": found or None, "librosa_beats": beats if len(beats) else None}


_SILENCE_PEAK = 1e-4
"""Peak, -80 dB of full scale, below which a sound is silent."""
_LEAD = RATE // 2
"""Frames of silence before the first sound, whatever the length of the recording's own silence, so that results do not
depend on it."""
MIN_SECONDS = 3.0
"""Minimum seconds for a tempo."""
_MIN_METER = 0.4
"""Minimum probability of a meter that is stated."""


class MusicAnalysis(Analysis):
    """Analysis of tempo, beats, key, chords and sections."""

    version = 13
    quantities = (
        Quantity("tempo", "number", "bpm", "Of the beats, by the median; none where that is not likely.", "Tempo"),
        Quantity("tempo_confidence", "number", "", "How certain the tempo is, against half, double and none; 0 to 1."),
        Quantity("beats", "times", "s", "Where a listener would tap."),
        Quantity("downbeats", "times", "s", "The beats that begin bars."),
        Quantity(
            "meter",
            "text",
            "",
            '"4/4", "3/4", "6/8" or "5/4"; none where that is not likely, or no bars are found.',
            "Meter",
        ),
        Quantity("key", "text", "", 'Of the whole recording, "C major"; none where that is not likely.', "Key"),
        Quantity("key_confidence", "number", "", "How certain the key is, by chords and pitch classes; 0 to 1."),
        Quantity("chords", "spans", "s", 'In the syntax of Harte: "C:maj", "G:sus4", "A:min7/b3", and "N" for none.'),
        Quantity("chords_confidence", "number", "", "How certain the chords are, the mean; 0 to 1."),
        Quantity(
            "sections", "spans", "s", "Phrases: chorus, verse, bridge, intro, outro, else letters; alike ones the same."
        ),
    )
    rate = signals.RATE
    channels: ClassVar[Literal[1] | None] = 1

    def begin(self, rate: int, channels: int) -> MusicRun:
        return MusicRun()


class StemMusicAnalysis(MusicAnalysis):
    """Music analysis with chords and key from the sound without drums. Slow, as the sound is separated first."""

    by_name = True
    stem = EACH
    channels = None

    def begin(self, rate: int, channels: int) -> MusicRun:
        return StemMusicRun()


@dataclass(frozen=True, slots=True)
class SongAnalysis:
    """Results of an analysis; None for missing ones. Times are those of `curves`, counted from `begin`."""

    curves: MusicCurves | None = None  # None where it is silent
    grid: BeatGrid | None = None  # its beats; None where it has none
    downbeats: F64 = field(default_factory=lambda: np.zeros(0))  # seconds
    structure: Structure | None = None  # its phrases; None where it has too few beats
    octave_share: float = 0.0  # as of `beats.octave_share`
    begin: float = 0.0  # seconds of the recording at which `curves` begin, below 0 where it begins with sound
    meter: str | None = None  # name of the meter, where it is likely
    attacks: F64 = field(default_factory=lambda: np.zeros(0))  # beats of `grid`, moved to their attacks

    def convert_to_recording_times(self) -> SongAnalysis:
        """The same results with the recording's times, except in `curves`."""
        grid, parts = self.grid, self.structure
        return replace(
            self,
            grid=None if grid is None else replace(grid, beats=self.times(grid.beats)),
            downbeats=self.times(self.downbeats),
            structure=None
            if parts is None
            else replace(parts, beats=self.times(parts.beats), seconds=parts.seconds + self.begin),
        )

    def times(self, seconds: F64) -> F64:
        """Converts times of `curves` to times of the recording, beats to their attacks."""
        if self.grid is not None and len(self.attacks):
            seconds = seconds + np.interp(seconds, self.grid.beats, self.attacks - self.grid.beats)
        return np.maximum(0.0, seconds + self.begin)


class MusicRun(AnalysisRun):
    """Stores onset strength, pitch classes and a spectrum: about 28 MB an hour."""

    def __init__(self) -> None:
        self._onsets, self._notes, self._spectrum = OnsetStrength(), NoteSpectrum(), ConstantQ()
        self._attacks = AttackLevel()
        self._frames, self._silent, self._peak = 0, 0, 0.0
        self.key: tuple[int | None, float] = (None, 0.0)  # as by `harmony.key_of`, once the chords are known

    def feed(self, block: Samples) -> None:
        self._take(block[0], block[0])

    def _take(self, whole: F32, tonal: F32) -> None:
        """Processes the next frames, and their harmonic part, from the first sound on."""
        if self._peak < _SILENCE_PEAK:
            loud = np.abs(whole) >= _SILENCE_PEAK
            first = int(np.argmax(loud)) if loud.any() else len(whole)
            self._silent += first
            if first == len(whole):
                return
            whole, tonal = (np.concatenate([np.zeros(_LEAD, np.float32), part[first:]]) for part in (whole, tonal))
        self._hear(whole, tonal)

    def _hear(self, whole: F32, tonal: F32) -> None:
        self._frames += len(whole)
        self._peak = max(self._peak, float(np.abs(whole).max(initial=0.0)))
        self._onsets.feed(whole)
        self._attacks.feed(whole)
        self._notes.feed(whole)
        self._spectrum.feed(tonal)

    def analyse(self) -> SongAnalysis:
        """Analyses all of the fed sound, from its first sound on. Called once, at the end."""
        begin = (self._silent - _LEAD) / signals.RATE
        strength, notes = self._onsets.end(), self._notes.end()
        seconds = self._frames / signals.RATE
        if self._peak < _SILENCE_PEAK or len(notes) < 2 or not notes.any():
            return SongAnalysis()
        found, fitted = replace(curves(strength, notes, seconds), drums=self._onsets.has_drums), tables.load()
        tracked = meters.track(found, fitted) if seconds >= MIN_SECONDS else None
        if tracked is None:
            return SongAnalysis(found, begin=begin)
        grid, share = tracked.grid, tracked.share
        odds, ones = bars.track_bars(found, grid, fitted, tracked.meter)
        parts = find_structure(found, grid, odds, ones, tables.load_phrases())
        meter = meters.NAMES[tracked.meter] if tracked.probability >= _MIN_METER else None
        attacks = self._attacks.move_to_attacks(grid.beats)
        return SongAnalysis(found, grid, ones, parts, share, begin, meter, attacks)

    def _harmony(self, found: MusicCurves) -> MusicCurves:
        """Curves used for chords and key."""
        return found

    def chords(self, song: SongAnalysis) -> SongChords | None:
        """Chords of the analysed sound, at the recording's times; None where it is silent. Called once."""
        if song.curves is None:
            return None
        network, spectrum = chord_network(), shift_into_tune(self._spectrum.end(), self._notes.tuning)
        tapped = np.zeros(0) if song.grid is None else song.grid.beats
        odds = None if network is None else network(spectrum)
        harmonic = self._harmony(song.curves)
        found = find_chords(harmonic, tapped, tables.load(), odds)
        self.key = harmony.key_of(found.triads, harmonic.notes, tables.load())
        return found.spell(self.key[0] or 0).shift(song.begin)

    def result(self) -> Mapping[str, Any]:
        song = self.analyse()
        return self.quantities(song, self.chords(song))

    def quantities(self, song: SongAnalysis, chords: SongChords | None) -> Mapping[str, Any]:
        """Quantities of `MusicAnalysis`, of the analysed sound and its chords."""
        found, beat_grid, ones = song.curves, song.grid, song.times(song.downbeats)
        parts = song.convert_to_recording_times().structure
        if found is None or chords is None:
            return {quantity.name: None for quantity in MusicAnalysis.quantities}
        tapped = np.zeros(0) if beat_grid is None else song.times(beat_grid.beats)
        certain = 0.0 if beat_grid is None else beats.confidence(found, beat_grid)
        has_tempo = beat_grid is not None and certain >= beats.MIN_CONFIDENCE
        key, key_certain = self.key
        return {
            "tempo": beat_grid.tempo if beat_grid is not None and has_tempo else None,
            # where half or double is as likely the tempo is shown, and as unsure as one that is shown can be
            "tempo_confidence": max(beats.MIN_CONFIDENCE, certain * song.octave_share) if has_tempo else certain,
            "beats": tapped if has_tempo else None,
            "downbeats": ones if has_tempo and len(ones) else None,
            "meter": song.meter if has_tempo and len(ones) else None,
            "key": KEY_NAMES[key] if key is not None and key_certain >= harmony.MIN_KEY else None,
            "key_confidence": key_certain,
            "chords": chords.spans,
            "chords_confidence": chords.confidence,
            "sections": None if parts is None else parts.spans(),
        }


class StemMusicRun(MusicRun):
    """Analysis of stems, drums first: beats from their sum, chords and key without the drums."""

    def __init__(self) -> None:
        super().__init__()
        self._rest = NoteSpectrum()
        self._tonal: MusicCurves | None = None

    def feed(self, block: Samples) -> None:
        self._take(block.sum(axis=0), block[1:].sum(axis=0))

    def _hear(self, whole: F32, tonal: F32) -> None:
        super()._hear(whole, tonal)
        self._rest.feed(tonal)

    def _harmony(self, found: MusicCurves) -> MusicCurves:
        if self._tonal is None:
            notes = self._rest.end()
            rest = (
                curves(np.zeros((2, 3), np.float32), notes, found.seconds) if len(notes) > 1 and notes.any() else found
            )
            self._tonal = replace(rest, strength=found.strength)
        return self._tonal
