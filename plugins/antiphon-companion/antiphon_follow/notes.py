"""Beats from notes: features of a frame's notes, and a recurrent network that predicts place in the bar and tempo.

The state of the network (GRU) covers all past notes; the filter turns its frames into one continuous beat.
"""

from __future__ import annotations

import math
from collections import deque
from itertools import pairwise

import numpy as np

from antiphon.api import F32, F64
from antiphon_follow.bars import METERS, BarFilter
from antiphon_follow.evidence import EDGES, PLACES, TEMPOS, BeatPredictor, IntervalCounts, network_weights

MODEL = "follow-notes"
FRAMES_PER_SECOND = 50.0
UNITS = 96
"""Units of each of the two recurrent layers."""
SLOWS = 2 * (len(EDGES) - 1) + 1
FEATURES = 22 + SLOWS
POWER, FLOOR, SHARE, TEMPO_EVERY = 0.1, 0.03, 0.05, 5
"""Weight of a frame, as neighbouring frames are similar; share of frames that could be anywhere; weight of the tempo,
and number of frames between its evaluations."""
OTHER_OCTAVE = 0.05
"""Share of a place's odds that also counts for twice and half the tempo, which a narrow range may require."""
REST_FRAMES = 40
"""Number of frames without a note after which a frame gives no evidence."""
GAIN = 0.2
"""Nats per frame by which a certain beat predicts the notes better than chance: pianists .4 to .5, random notes up to
.05."""
_RATE_SECONDS, _FOLLOW_SECONDS, _CHORD_SECONDS = 2.0, 5.0, 1.0
"""Time constants in seconds of the rate of onsets, of the counts of intervals between onsets, and of a chord."""
_ADAPTION, _BASS_MARGIN, _LOW_MARGIN = 0.08, 2, 1.0
"""Smoothing coefficient of usual pitches and loudness; semitones around the usual bass within which a note is bass."""
_REGISTERS = (43, 52, 60, 69, 79)
_AGAIN_FRAMES = 60
"""Number of frames within which an equal pitch counts as a repeated note."""
_MOST_LOUD = 2.5
LEAST_EVEN, MOST_EVEN = 6, 8
"""Onsets, and half beats from first to last, from which a line through them counts; and onsets that it rests on."""
EVEN, UNEVEN, EVEN_PERIOD, EVEN_PHASE = 0.04, 0.08, 0.06, 0.35
"""Standard deviation of onsets from their line, in beats, at which the beat is evident, and from which it is not;
relative distance of their period from the filter's, and of their line from its, in half beats, within which they
agree."""
MOST_MET, MET, MET_LINE, MET_FIRST, MORE_MET, STALE_BEATS, ACCENT = 16, 0.1, 0.15, 0.2, 0.15, 4.0, 1.1
OTHER_PERIODS = (2 / 3, 3 / 2, 3 / 4, 4 / 3)
"""Onsets of which some meet beats; distance in beats within which they do, of any line, of the filter's, of the first
onset; share by which more meet those of another line; beats after which they count no longer; times by which a line's
onsets are louder than those between, so that the line is the beat; and other periods."""
_CHORD_SPREAD = 0.04
"""Seconds after an onset within which others are of the same chord."""


class NoteIntervals:
    """Histogram of the intervals between onsets, and between bass notes, in the last seconds: `slow` `[SLOWS]`."""

    def __init__(self) -> None:
        self._rate_decay, decay = (
            math.exp(-1.0 / (FRAMES_PER_SECOND * seconds)) for seconds in (_RATE_SECONDS, _FOLLOW_SECONDS)
        )
        self._counts = IntervalCounts(2, decay, 10.0 * (1.0 - decay) * (1.0 / np.sqrt(np.diff(EDGES))))
        self.clear()

    def clear(self) -> None:
        """Clears all state."""
        self._low, self._rate = 55.0, 0.0
        self._counts.clear()

    def step(self, notes: list[tuple[int, float]]) -> None:
        """Processes the notes of a frame: number and velocity."""
        onset = np.zeros(2)
        if notes:
            lowest = min(number for number, _ in notes)
            onset[0] = min(sum(velocity for _, velocity in notes), _MOST_LOUD)
            if lowest < self._low - _LOW_MARGIN:
                onset[1] = max(velocity for _, velocity in notes)
            self._low += _ADAPTION * (lowest - self._low)
        self._rate = (self._rate + bool(notes)) * self._rate_decay
        self._counts.step(onset)

    @property
    def slow(self) -> F64:
        """Returns the sums for all onsets, then for bass notes, then the rate of onsets."""
        return np.append(self._counts.counts.ravel() / max(self._counts.known, 1e-9), self._rate / 10.0)


class NoteFrames:
    """Features of a frame's notes relative to earlier ones: `now` `[FEATURES]`."""

    def __init__(self) -> None:
        self._intervals, self._decay = NoteIntervals(), math.exp(-1.0 / (FRAMES_PER_SECOND * _CHORD_SECONDS))
        self.now: F32 = np.zeros(FEATURES, np.float32)
        self.clear()

    def clear(self) -> None:
        """Clears all state."""
        self._intervals.clear()
        self._low, self._high, self._loud, self._bass = 50.0, 72.0, 0.5, -1
        self._chord, self._struck = [0.0] * 12, [0] * 128
        self._frames = self._last = self._last_bass = 0

    def step(self, notes: list[tuple[int, float]]) -> None:
        """Processes the notes of a frame: number and velocity 0 to 1."""
        self._frames += 1
        self.now[:] = 0.0
        if notes:
            self._onset(notes)
        self.now[20:22] = self._since()
        self._intervals.step(notes)
        self.now[22:] = self._intervals.slow

    def _since(self) -> tuple[float, float]:
        """Logarithms of the times since the last onset and the last bass."""
        onset, bass = (math.log1p((self._frames - last) / 10.0) for last in (self._last, self._last_bass))
        return min(2.0, onset), min(3.0, bass)

    def _onset(self, notes: list[tuple[int, float]]) -> None:
        row, numbers = self.now, [number for number, _ in notes]
        total, loudest = sum(velocity for _, velocity in notes), max(velocity for _, velocity in notes)
        lowest, highest = min(numbers), max(numbers)
        row[0], row[1] = min(total, 4.0) / 2.0, min(len(notes), 6) / 3.0
        row[2] = max(-1.0, min(1.0, 4.0 * (loudest - self._loud)))
        for number, velocity in notes:
            row[3 + sum(number >= edge for edge in _REGISTERS)] += velocity
        row[9] = max(-2.0, min(2.0, (lowest - self._low) / 12.0))
        row[10] = max(-2.0, min(2.0, (highest - self._high) / 12.0))
        row[11] = lowest < self._low - _LOW_MARGIN
        gone = self._decay ** (self._frames - self._last)
        chord = [held * gone for held in self._chord]
        new = sum(velocity * max(0.0, 1.0 - chord[number % 12]) for number, velocity in notes)
        row[12], row[13] = new / max(total, 1e-6), min(new, 2.0)
        bass = lowest < self._low + _BASS_MARGIN
        if bass:
            row[14], row[15] = max(0.0, 1.0 - chord[lowest % 12]), lowest != self._bass
            row[16] = self._bass >= 0 and (lowest - self._bass) % 12 == 0
            self._bass = lowest
        again = (self._struck[number] > 0 and self._frames - self._struck[number] < _AGAIN_FRAMES for number in numbers)
        row[17] = sum(velocity for (_, velocity), before in zip(notes, list(again), strict=True) if before) / total
        row[18:20] = self._since()
        for number, velocity in notes:
            chord[number % 12] = min(1.0, chord[number % 12] + velocity)
            self._struck[number] = self._frames
        self._chord, self._last = chord, self._frames
        if bass:
            self._last_bass = self._frames
        self._low += _ADAPTION * (lowest - self._low)
        self._high += _ADAPTION * (highest - self._high)
        self._loud += _ADAPTION * (loudest - self._loud)


def _octave_spread_matrix() -> F64:
    """Returns the matrix `[PLACES, PLACES]` that spreads the odds of a place to twice and half the tempo."""
    place, same = np.arange(PLACES), np.eye(PLACES)
    slower = 0.5 * (same[:, place // 2] + same[:, place // 2 + PLACES // 2])
    faster = same[:, 2 * place % PLACES]
    return (1.0 - 2.0 * OTHER_OCTAVE) * same + OTHER_OCTAVE * (slower + faster)


def _met_share(beats: F64, near: float) -> float:
    """The share of whole beats, from the first to the last onset at `beats`, that an onset meets within `near`."""
    met = np.unique(np.round(beats[np.abs(beats - np.round(beats)) < near])).size
    return float(met / max(1, math.floor(beats[-1] + MET) - math.ceil(beats[0] - MET) + 1))


class EvenOnsets:
    """The last onsets, and whether they lie on an even line of half beats, as a player's who keeps a tempo do."""

    def __init__(self) -> None:
        self._times, self._longer = deque[float](maxlen=MOST_EVEN), deque[float](maxlen=MOST_MET)
        self._loud = deque[float](maxlen=MOST_MET)
        self._first = 0.0  # the first since `clear`
        self._shares: tuple[float, float] | None = None  # since the last onset

    def clear(self) -> None:
        """Forgets all onsets."""
        self._times.clear()
        self._longer.clear()
        self._loud.clear()

    def add(self, at: float) -> None:
        """Adds an onset, in seconds."""
        self._times.append(at)
        self._first = self._first if self._longer else at
        self._longer.append(at)
        self._loud.append(0.0)
        self._shares = None

    def strengthen(self, velocity: float) -> None:
        """Adds a note to the last onset."""
        self._loud[-1] += velocity

    def contradict(self, period: float, phase: float, now: float) -> bool:
        """Whether more beats of another period, or half a beat off, meet onsets than of `period` with `phase` at `now`.

        Of two lines half a beat apart that meet as many, the louder is right, else the first onset's.
        """
        times: F64 = np.array(self._longer)
        if len(times) < LEAST_EVEN or now - times[-1] > STALE_BEATS * period:
            return False
        if self._shares is None:
            own, *others = (
                max(_met_share((times - at) / (period * ratio), MET / ratio) for at in times)
                for ratio in (1.0, *OTHER_PERIODS)
            )
            self._shares = own, max(others)
        own, other = self._shares
        beats: F64 = (times - now) / period + phase
        on, off = (_met_share(beats - shift, MET_LINE) for shift in (0.0, 0.5))
        if max(other, own + off - on) > own + MORE_MET:
            return True
        first, loud = (self._first - now) / period + phase, np.array(self._loud)
        near = np.abs(beats - np.round(beats)) < 0.25
        accented = near.any() and not near.all() and loud[near].mean() > ACCENT * loud[~near].mean()
        return bool(off >= on and not accented and abs(first % 1.0 - 0.5) < MET_FIRST)

    def regular(self, beats: BarFilter, now: float) -> float:
        """How evident the beat of `beats` is by the onsets, 0 to 1; 0 where they have another period or phase."""
        times, half = self._times, beats.period / 2.0
        count = len(times)
        if count < LEAST_EVEN:
            return 0.0
        places = [0.0]
        for before, at in pairwise(times):
            places.append(places[-1] + max(1, round((at - before) / half)))
        middle, mean = sum(places) / count, sum(times) / count
        spread = sum((place - middle) ** 2 for place in places)
        step = sum((place - middle) * at for place, at in zip(places, times, strict=True)) / spread
        off = math.sqrt(
            sum((at - mean - (place - middle) * step) ** 2 for place, at in zip(places, times, strict=True)) / count
        )
        on_line = abs(
            (2.0 * (beats.phase - (now - mean - (places[-1] - middle) * step) / beats.period) + 0.5) % 1.0 - 0.5
        )
        if abs(step / half - 1.0) > EVEN_PERIOD or on_line > EVEN_PHASE or places[-1] < LEAST_EVEN:
            return 0.0
        return min(1.0, max(0.0, (UNEVEN - off / beats.period) / (UNEVEN - EVEN)))


class NoteBeats:
    """Beats in a stream of notes. `seconds`: the time up to which it is processed."""

    def __init__(self, low: float, high: float, meters: tuple[int, ...] = METERS) -> None:
        self.filter = BarFilter(FRAMES_PER_SECOND, low, high, meters, GAIN)
        self._features, self._network = NoteFrames(), BeatPredictor(network_weights(MODEL))
        self._even = EvenOnsets()
        self._tables = self.filter.tables(_octave_spread_matrix())
        self.clear()

    def clear(self) -> None:
        """Clears all state; time starts again at 0."""
        self.filter.clear()
        self._features.clear()
        self._network.clear()
        self._frames, self._quiet, self._coming = 0, 0, list[tuple[int, float]]()
        self._even.clear()
        self._onset_at = self._struck_at = -math.inf

    @property
    def seconds(self) -> float:
        return self._frames / FRAMES_PER_SECOND

    def contradict(self, period: float, phase: float, now: float) -> bool:
        """Whether the onsets fit another beat better, neither double nor half, than that of `phase` at `now`."""
        return self._even.contradict(period, phase, now)

    def skip(self, seconds: float) -> None:
        """Skips to a time without processing frames, while no note has come yet."""
        self._frames = int(seconds * FRAMES_PER_SECOND)

    def note(self, at: float, number: int, velocity: float) -> None:
        """Takes a note that begins in the coming frame, at that second."""
        if at - self._onset_at > _CHORD_SPREAD:
            self._onset_at = at
            self._even.add(at)
        self._even.strengthen(velocity)
        self._coming.append((number, velocity))

    def step(self) -> None:
        """Processes the next frame, whose notes have been added."""
        self._frames += 1
        self._quiet = 0 if self._coming else self._quiet + 1
        self._features.step(self._coming)
        self._coming.clear()
        self._network.step(self._features.now)
        if self._frames % TEMPO_EVERY == 0 and self._frames > FRAMES_PER_SECOND:
            self.filter.suggest(TEMPOS, self._network.tempos, SHARE)
        if self._quiet > REST_FRAMES:
            self.filter.step()
            return
        likely = (1.0 - FLOOR) * self._network.places + FLOOR
        self.filter.step((self._tables @ likely) ** POWER)
        if self._onset_at > self._struck_at:
            self._struck_at = self._onset_at
            self.filter.onset(self.seconds - self._onset_at)
            self.filter.regular = self._even.regular(self.filter, self.seconds)
