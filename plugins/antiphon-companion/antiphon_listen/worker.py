"""Worker of `listen`: one stream per slot, analysed every half second."""

import math
from dataclasses import replace

import numpy as np
import soxr

from antiphon.api import F32, F64, Samples
from antiphon.api.backends.analysis import ListeningMix
from antiphon.api.backends.workers import ReportingStepper
from antiphon_listen import beats, harmony, meters, signals, spectra, tables
from antiphon_listen.bars import LOG_ODDS_BIAS, bar_odds
from antiphon_listen.beats import BeatGrid
from antiphon_listen.harmony import ChordOdds, chord_network, find_chords
from antiphon_listen.live import CHORD, INTEGRATED, KEY, METER, MOMENTARY, NEXT, PLACE, SHORT_TERM, TEMPO
from antiphon_listen.loudness import LiveLoudness
from antiphon_listen.signals import MusicCurves, OnsetStrength, curves, divide_by_mean
from antiphon_listen.spectra import ConstantQ, NoteSpectrum, shift_into_tune
from antiphon_listen.tables import Tables

# ---- Sliding window of a stream: curves in place of a file's `MusicCurves`, its beat grid, chord and key

SHORTEST = 2.5
"""Minimum seconds of a window for beat tracking."""
_FIT_BEATS = 8
"""Beats at a grid's end used in the line fit for extrapolation."""
_SETTLE_BEATS = 4
"""Beats before the window's end beyond which downbeat odds are final."""
_METER_SHARE = 0.1
"""Weight of a new window in the odds of the meter: about twenty windows count, ten seconds."""
_CONTINUITY_BONUS = 1.5
"""Score bonus of a grid that continues the last one."""
_KEEP_CONFIDENCE = 0.3
"""Minimum confidence to keep a known tempo: hysteresis below the threshold of a new one."""
_NEAR_PERIOD, _NEAR_PHASE = 0.08, 0.17
"""Maximum deviation of period and phase, as shares of a period, of a continuing grid."""
_ODDS_DECAY = 0.985
"""Decay of the downbeat odds per beat: about 64 beats count."""


class LiveGrid:
    """Present beat estimate of a stream.

    `period`: seconds per beat; 0 without a known beat. `beat`: time in the stream, in seconds, of a beat near its end.
    `count`: that beat's number. `meter`: beats per bar. `sure`: whether the period counts as a tempo, by the threshold
    for files, since noise and speech have a most likely period too.
    """

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self.grid: BeatGrid | None = None
        self.forget()

    def forget(self) -> None:
        """Resets the grid, after silence."""
        self.period, self.beat, self.count, self.meter = 0.0, 0.0, 0, 4
        self.grid, self.sure = None, False
        self._scores = {meter: np.zeros(meter) for meter in meters.BEATS}
        self._odds = meters.MIN_ODDS * (np.array(meters.BEATS) == 4)  # mean scores of the meters
        self._weighed = 0

    def update(self, curves: MusicCurves, start: float) -> None:
        """Processes the newest window's curves, which begin at `start` seconds of the stream."""
        grids = beats.grid_candidates(curves, SHORTEST)
        if not grids:
            return
        lines = [_line(grid) for grid in grids]
        scores = beats.grid_scores(grids, self._tables)
        scores = scores + np.array(
            [_CONTINUITY_BONUS * self._continues_beat_grid(period, start + last) for period, last in lines]
        )
        best = int(np.argmax(scores))
        self._take(grids[best], *lines[best], start)
        self.sure = beats.confidence(curves, grids[best]) >= (_KEEP_CONFIDENCE if self.sure else beats.MIN_CONFIDENCE)
        self._weigh(curves, grids[best], start)

    def _continues_beat_grid(self, period: float, last: float) -> bool:
        if not self.period or abs(math.log(period / self.period)) > _NEAR_PERIOD:
            return False
        off = (last - self.beat) / self.period
        return abs(off - round(off)) < _NEAR_PHASE

    def _take(self, grid: BeatGrid, period: float, last: float, start: float) -> None:
        at = start + last
        if not self._continues_beat_grid(period, at):
            for row in self._scores.values():
                row[:] = 0.0
            self._weighed = self.count
        self.count += round((at - self.beat) / self.period) if self.period else 0
        self.grid, self.period, self.beat = grid, period, at

    def _weigh(self, curves: MusicCurves, grid: BeatGrid, start: float) -> None:
        """Accumulates the odds of beats that have become final."""
        if len(grid.beats) < 2 * _SETTLE_BEATS:
            return
        numbers = self.count + np.round((start + grid.beats - self.beat) / self.period).astype(int)
        odds = np.stack(bar_odds(curves, grid, self._tables), axis=1) + LOG_ODDS_BIAS
        for number, (four, three) in zip(numbers[:-_SETTLE_BEATS], odds[:-_SETTLE_BEATS], strict=True):
            if number > self._weighed:
                self._weighed = int(number)
                for meter, row in self._scores.items():
                    row *= _ODDS_DECAY
                    row[number % meter] += four if meter in (2, 4) else three
        odds = meters.meter_odds(curves, [grid], self._tables)[0]
        odds[meters.BEATS.index(2)] -= 0.0 if meters.has_eighths(curves, grid) else meters.SWUNG
        odds[meters.BEATS.index(4)] += meters.MIN_ODDS
        self._odds += _METER_SHARE * (odds - odds.max() - self._odds)
        self.meter = meters.BEATS[int(self._odds.argmax())]

    def next_beat(self, now: float) -> float:
        """Time in seconds of the stream of the first beat after `now`."""
        return self.beat + self.period * (math.floor((now - self.beat) / self.period) + 1.0)

    def place(self, at: float) -> int:
        """Position in its bar, from 0, of the beat at `at`."""
        number = self.count + round((at - self.beat) / self.period)
        return int((number - int(np.argmax(self._scores[self.meter]))) % self.meter)


def _line(grid: BeatGrid) -> tuple[float, float]:
    """Fits a line to the end of a grid; returns period and last beat."""
    last: F64 = grid.beats[-_FIT_BEATS:]
    places = np.arange(len(last)) - (len(last) - 1.0)
    slope, at = np.polyfit(places, last, 1, w=1.0 + 0.25 * (places + len(last)))
    return float(slope), float(at)


_MIN_CHORD_SECONDS = 0.25
"""Minimum seconds of a step for its chord to count."""
_KEY_SETTLE_SECONDS = 1.0
"""Seconds before the window's end beyond which chords count for the key."""
_KEY_HALF_LIFE = 45.0
"""Half-life in seconds of a chord's weight for the key."""
_MIN_KEY_SECONDS = 4.0
"""Minimum seconds of chords for a key."""


class LiveHarmony:
    """Chord and key estimate of a stream.

    `key`: 1 to 12 from C major on, 13 to 24 from C minor on; 0 where none is likely.
    """

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._lengths = np.zeros(harmony.NO_CHORD)
        self._until = 0.0
        self.chord = self.key = 0  # 1 to 24 as in `harmony`, one more; 0 where there is none

    def update(self, curves: MusicCurves, start: float, grid: BeatGrid | None, odds: ChordOdds | None = None) -> None:
        """Processes the newest window, which begins at `start` seconds of the stream.

        `odds`: the chord network's odds for the window; None without the network's weights.
        """
        found = find_chords(curves, np.zeros(0) if grid is None else grid.beats, self._tables, odds)
        steps, path = found.grid, found.triads
        end = len(curves.notes) / spectra.FRAMES_PER_SECOND
        begun = np.flatnonzero(steps + _MIN_CHORD_SECONDS <= end)
        if not len(begun):
            return
        now = int(path[begun[-1]])
        self.chord = 0 if now == harmony.NO_CHORD else 1 + now
        edges = start + np.append(steps, steps[-1])
        for n in begun[:-1]:
            first, last = max(self._until, float(edges[n])), float(edges[n + 1])
            if last > first and last <= start + end - _KEY_SETTLE_SECONDS:
                self._until = last
                self._lengths *= 0.5 ** ((last - first) / _KEY_HALF_LIFE)
                if path[n] != harmony.NO_CHORD:
                    self._lengths[path[n]] += last - first
        if self._lengths.sum() >= _MIN_KEY_SECONDS:
            key, sure = harmony.likely_key(self._lengths, self._tables)
            self.key = 1 + key if sure >= harmony.MIN_KEY else 0


RATE = signals.RATE
SECONDS = 14.0
"""Length of the window: 7 to 20 beats."""
_TUNED_AFTER = 10
"""Frames of pitch classes before the tuning is estimated, 0.9 s."""
_FRAME_RATIO = spectra.HOP // signals.HOP
"""Onset frames per pitch class frame."""
_FRAMES = round(SECONDS * spectra.FRAMES_PER_SECOND)


class CurveWindow:
    """Sliding window of the last `SECONDS`. `start`: its start in seconds of the stream."""

    def __init__(self) -> None:
        self._onsets, self._spectrum = OnsetStrength(), NoteSpectrum(_TUNED_AFTER)
        self._strength, self._notes = np.zeros((0, 3), np.float32), np.zeros((0, 24), np.float32)
        self._sound = np.zeros(0, np.float32)
        self.start = 0.0

    def feed(self, samples: F32) -> None:
        """Processes the next samples, `[n]`, at `RATE`."""
        self._onsets.feed(samples)
        self._spectrum.feed(samples)
        self._strength = np.concatenate([self._strength, self._onsets.pull()])
        self._notes = np.concatenate([self._notes, self._spectrum.pull()])
        self._sound = np.concatenate([self._sound, samples])
        gone = max(0, len(self._notes) - _FRAMES)
        if gone:
            self._notes, self._strength = self._notes[gone:], self._strength[gone * _FRAME_RATIO :]
            self._sound = self._sound[gone * spectra.HOP :]
            self.start += gone * spectra.HOP / RATE

    @property
    def seconds(self) -> float:
        """Length of the window's content in seconds."""
        return len(self._strength) / signals.FRAMES_PER_SECOND

    def curves(self) -> MusicCurves | None:
        """The window's curves, in seconds from `start`; None for silence."""
        if len(self._notes) < 2 or not self._notes.any() or not self._strength.any():
            return None
        found = curves(divide_by_mean(self._strength), self._notes, self.seconds)
        return replace(found, drums=self._onsets.has_drums)

    def spectrum(self) -> F32:
        """Returns the window's frames as from `ConstantQ`, corrected for tuning."""
        spectrum = ConstantQ()
        spectrum.feed(self._sound)
        return shift_into_tune(spectrum.end(), self._spectrum.tuning)


ANALYSIS_SECONDS = 0.5
"""Seconds between two analyses of the window."""
_WAKE_PEAK = 1e-3
"""Peak threshold that activates the analysis, -60 dB of full scale."""
SHORT_TERM_SECONDS = 3.0
_SILENT = -60.0
"""Short-term loudness in LUFS below which everything but the loudness is reset."""


class Listener:
    """Analysis of one stream. `rate`: its frames per second; `channels`: its channels."""

    def __init__(self, rate: int, channels: int) -> None:
        self._rate = rate
        self.loudness = LiveLoudness(rate, channels)
        self._active, self._mix = False, ListeningMix.live(rate)
        self._begin()

    def _begin(self) -> None:
        self._resampler = soxr.ResampleStream(self._rate, RATE, 1, dtype="float32", quality="HQ")
        self._window, self.grid, self.harmony = CurveWindow(), LiveGrid(tables.load()), LiveHarmony(tables.load())
        self._frames, self._looked = 0, 0

    def step(self, hop: int, sound: Samples, into: Samples) -> None:
        """Processes the next hop, and writes the estimates `live.FIELDS` at its end."""
        self.feed(sound)
        self.answer(into)

    def feed(self, sound: F32) -> None:
        """Processes the next frames, `[channels, n]`."""
        self.loudness.feed(sound)
        if not self._active:
            if float(np.abs(sound).max()) < _WAKE_PEAK:
                return
            self._active = True
            self._begin()
        self._frames += sound.shape[1]
        self._window.feed(self._resampler.resample_chunk(self._mix.take(sound)))
        if self._frames - self._looked >= ANALYSIS_SECONDS * self._rate:
            self._looked = self._frames
            self._active = self.loudness.short_term >= _SILENT or self._frames < SHORT_TERM_SECONDS * self._rate
            self._look()

    def _look(self) -> None:
        if not self._active:
            self._begin()
            return
        curves = self._window.curves()
        if curves is not None:
            self.grid.update(curves, self._window.start)
            network = chord_network()
            odds = None if network is None else network(self._window.spectrum())
            self.harmony.update(curves, self._window.start, self.grid.grid, odds)

    def answer(self, into: Samples) -> None:
        """Writes the estimates at the end of the sound so far, `[FIELDS]`."""
        grid, loudness = self.grid, self.loudness
        into.fill(0.0)
        into[METER] = grid.meter
        if grid.sure:
            now = self._frames / self._rate
            at = grid.next_beat(now)
            into[TEMPO], into[NEXT], into[PLACE] = 60.0 / grid.period, at - now, grid.place(at)
        into[KEY], into[CHORD] = self.harmony.key, self.harmony.chord
        into[MOMENTARY], into[SHORT_TERM], into[INTEGRATED] = (
            round(loudness.momentary, 1),
            round(loudness.short_term, 1),
            round(loudness.integrated, 1),
        )


class ListenStepper(ReportingStepper[Listener]):
    """`Stepper` with one stream per slot."""

    def stream(self, config: str) -> Listener:
        return Listener(self.spec.rate, self.spec.inputs[0])

    def warm(self) -> None:
        """Compiles the kernels and analyses a window once."""
        rate, (channels, hop) = self.spec.rate, self.spec.inputs
        noise = np.random.default_rng(1).uniform(-0.1, 0.1, (channels, 4 * rate)).astype(np.float32)
        listener = Listener(rate, channels)
        for first in range(0, noise.shape[1] - hop, hop):
            listener.feed(noise[:, first : first + hop])
