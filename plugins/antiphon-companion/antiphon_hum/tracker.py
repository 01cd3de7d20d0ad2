"""From hops of sound to notes: pitch, onset strength and segmentation, each a few hops late."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32, F64, IO
from antiphon.api.backends.signal import CENTRE, HIGHEST, HISTORY, HOP, LOWEST, Decimator, MedianPitch, Yin
from antiphon.api.kernels import f32p, f64, f64p, i64, i64p, kernel

# ---- Note boundaries: a hidden Markov model over notes, decoded with a fixed lag
# A note has an attack, in which any pitch near the note is likely, and a sustain, in which pitch keeps to the note
# but for a few hops; between notes there is a rest state. So vibrato and scoops cost less than a new note would, and
# a slur costs more than a new note. States and idea follow the note model of Tony (Mauch et al., 2015); here the rise
# of the spectrum's level sets the cost of beginning a note, also of repeating one.

I64 = NDArray[np.int64]
PER_NOTE = 3
"""Places per semitone: singers are not in tune with 440 Hz."""
PLACES = (HIGHEST - LOWEST + 1) * PER_NOTE
REST = 2 * PLACES
STATES = REST + 1
RANGE = float(HIGHEST - LOWEST + 1)


@dataclass(frozen=True, slots=True)
class Weights:
    """Parameters of the model: probabilities a hop, and semitones."""

    attack: float = 1.0  # standard deviation of pitch in an attack, semitones
    sustain: float = 0.44  # the same in a sustain
    astray: float = 0.5  # share of an attack's pitches that may be anywhere
    stray: float = 0.01  # share of a sustain's
    unvoiced_attack: float = 0.35  # probability of no pitch in an attack
    unvoiced_sustain: float = 0.06
    unvoiced_rest: float = 0.85
    begin: float = 1e-6  # that a note begins, times e^(rise_weight * (rise - rise_middle)) for a rise in dB
    rise_weight: float = 4.0
    rise_middle: float = 2.5
    rise_limit: float = 24.0  # upper bound of the exponent
    rise_least: float = 11.0  # lower bound of the exponent, its sign reversed
    end: float = 0.01  # that a note ends
    settle: float = 0.065  # that an attack becomes a sustain

    def table(self) -> F64:
        """The parameters in the form and order that `hum_notes` takes."""
        return np.array(
            [
                1.0 / self.attack, 1.0 / self.sustain, self.stray / RANGE,
                math.log(self.unvoiced_attack), math.log(self.unvoiced_sustain), math.log(self.unvoiced_rest),
                math.log(1 - self.unvoiced_attack), math.log(1 - self.unvoiced_sustain),
                math.log((1 - self.unvoiced_rest) / RANGE),
                math.log(self.begin), self.rise_weight, self.rise_middle, self.rise_limit,
                math.log(self.end), math.log(self.settle), math.log(1 - self.settle), 1.0 - self.stray,
                1.0 - self.astray, self.astray / RANGE, self.rise_least,
            ]
        )  # fmt: skip


class NoteGrid(NamedTuple):
    """Number of places, places per semitone, and the MIDI number of the lowest place's semitone."""

    places: i64
    per_note: i64
    lowest: f64


@kernel
def hum_notes(pitch: f64, rise: f64, best: f64p, next_best: f64p, back: i64p, w: f64p, s: NoteGrid) -> None:
    """One Viterbi step over `[2 * places + 1]` states: the attack of each place, the sustain of each place, rest.

    From log probabilities `best` it computes `next_best`, and the predecessor of each state, `back`. `pitch`: MIDI
    number, 0 for none; `rise`: onset flux in dB; `w`: `Weights.table`.
    """
    places = s.places
    rest = 2 * places
    top = best[rest]
    top_at = rest
    for g in range(places):
        if best[places + g] > top:
            top = best[places + g]
            top_at = places + g
    extra = w[10] * (rise - w[11])
    extra = w[12] if extra > w[12] else extra
    extra = -w[19] if extra < -w[19] else extra
    begin = w[9] + extra
    enter = top + begin
    silent = w[5]
    if pitch > 0.0:
        silent = w[8]
    best_ending = w[13] + top
    value = best[rest]
    origin = rest
    if best_ending > value and top_at != rest:
        value = best_ending
        origin = top_at
    next_best[rest] = value + silent
    back[rest] = origin
    for g in range(places):
        seen_attack = w[3]
        seen_sustain = w[4]
        if pitch > 0.0:
            off = pitch - (s.lowest - 0.5 + (f64(g) + 0.5) / f64(s.per_note))
            a = off * w[0]
            b = off * w[1]
            density = w[17] * 0.39894 * w[0] * math.exp(-0.5 * a * a) + w[18]
            seen_attack = w[6] + math.log(density)
            density = w[16] * 0.39894 * w[1] * math.exp(-0.5 * b * b) + w[2]
            seen_sustain = w[7] + math.log(density)
        value = best[g] + w[15]
        origin = g
        if enter > value:
            value = enter
            origin = top_at
        next_best[g] = value + seen_attack
        back[g] = origin
        value = best[places + g]
        origin = places + g
        if best[g] + w[14] > value:
            value = best[g] + w[14]
            origin = g
        next_best[places + g] = value + seen_sustain
        back[places + g] = origin
    top = next_best[rest]
    for g in range(2 * places):
        top = next_best[g] if next_best[g] > top else top
    for g in range(2 * places + 1):
        next_best[g] = next_best[g] - top


@kernel
def hum_path(best: f64p, back: i64p, states: i64, row: i64, rows: i64, path: i64p, count: i64, places: i64) -> None:
    """path ← the best path's newest `count` hops, oldest first.

    A value is the place, plus 1000 in the attack, plus 2000 at a note's first hop; -1 in a rest. `best`: `[states]` log
    probabilities of the newest hop; `back`: `[rows, states]` ring of predecessors, `row` the newest.
    """
    at = i64(0)
    for b in range(states):
        at = b if best[b] > best[at] else at
    r = row
    for n in range(count):
        before = back[r * states + at]
        mark = at if at < places else at - places
        if at < places:
            mark = mark + 1000
            mark = mark if before == at else mark + 2000 - 1000
        mark = -1 if at == 2 * places else mark
        path[count - 1 - n] = mark
        at = before
        r = rows - 1 if r == 0 else r - 1


GRID = NoteGrid(PLACES, PER_NOTE, float(LOWEST))


class Segmenter:
    """Fixed-lag Viterbi path of the newest `lag + 1` hops; the oldest value is final.

    `lag`: delay of the final value in hops; `path`: `[lag + 1]`, oldest first; see `hum_path`.
    """

    def __init__(self, lag: int) -> None:
        self.lag = lag
        self._rows = lag + 1
        self._weights = Weights().table()
        self._best: list[F64] = [np.zeros(STATES, np.float64), np.zeros(STATES, np.float64)]
        self._back: I64 = np.zeros((self._rows, STATES), np.int64)
        self._backs = [self._back[n] for n in range(self._rows)]
        self.path: I64 = np.zeros(lag + 1, np.int64)
        self.reset()

    def reset(self) -> None:
        """Clears the past and sets the state to rest."""
        for best in self._best:
            best.fill(-50.0)
            best[REST] = 0.0
        self._back.fill(REST)
        self.path.fill(-1)
        self._row = 0

    def step(self, pitch: float, rise: float) -> None:
        """Processes a hop's MIDI number, 0 for none, and its onset flux in dB, and updates `path`."""
        old, new = self._best
        self._row = row = (self._row + 1) % self._rows
        hum_notes(pitch, rise, old, new, self._backs[row], self._weights, GRID)
        self._best.reverse()
        hum_path(new, self._back, STATES, row, self._rows, self.path, self.lag + 1, PLACES)


SIZE = 512
BANDS = 24
LOW, HIGH = 150.0, 9000.0
COMPARED_HOPS = 2
"""Distance in hops of the two compared spectra."""
MAX_RISE = 20.0
SILENCE_DB = 60.0
"""Silence threshold in dB below the loudest recent band."""
DECAY_DB = 20.0
"""Decay of the loudest band in dB per second."""
BEFORE, AFTER = 5, 2
"""Hops before a peak that must be lower, and after it that must not be higher."""
DELAY = 1
"""Maximum hops from a dip to the following rise."""
LAG = DELAY + AFTER
DIP = 0.4
"""Weight of the dip relative to the rise."""
FULL_DIP_DB = 10.0
"""Dip in dB that counts in full. A larger dip counts up to three times the rise."""
MEAN_WEIGHT = 0.04
"""Smoothing coefficient per hop of the mean rise."""
_LEVELS = 32
# places in `state`: dB of the loudest band of late; memory of rises
_TOP, _MEAN, _SIZE = 0, 1, 2
IDLE_ON_FILES = (
    "expression",
    "key scale=off",
    "lead mode=yin",
    *(f"{name} mode=chords" for name in ("lead", "threshold", "patience", "correction")),
)
"""Parameters of `hum` without effect on files, as in `FileUse.idle`."""


class FluxState(NamedTuple):
    """The filter bank and the history of hops."""

    edges: i64p  # `[BANDS + 1]` first bin of each band, and the end
    bank: f64p  # `[rows, BANDS]` ring of band levels, dB
    rows: i64
    state: f64p  # `[2]` level of the loudest recent band, dB, which decays by `fall` a hop; running mean of rises
    rises: f64p  # `[2, _LEVELS]` ring of rises and of the running mean, hop `hop` newest
    levels: f64p  # `[_LEVELS]` ring of levels, dB
    fall: f64  # see `state`
    scale: f64


@kernel
def hum_onset_flux(bins: f32p, s: FluxState, row: i64, hop: i64, power: f64) -> f64:
    """Onset strength `DELAY` hops before the newest: rise and weighted dip in dB, over 1 + the recent mean rise.

    `power`: mean square of hop number `hop`.
    """
    s.state[_TOP] = s.state[_TOP] - s.fall
    for b in range(BANDS):
        total = f64(1e-12)
        for k in range(s.edges[b], s.edges[b + 1]):
            re = f64(bins[2 * k])
            im = f64(bins[2 * k + 1])
            total = total + re * re + im * im
        level = 4.342944819 * math.log(total * s.scale / f64(s.edges[b + 1] - s.edges[b]))
        s.bank[row * BANDS + b] = level
        s.state[_TOP] = level if level > s.state[_TOP] else s.state[_TOP]
    floor = s.state[_TOP] - SILENCE_DB
    before = row - COMPARED_HOPS
    before = before + s.rows if before < 0 else before
    rise = f64(0.0)
    for b in range(BANDS):
        now = s.bank[row * BANDS + b]
        then = s.bank[before * BANDS + b]
        now = floor if now < floor else now
        then = floor if then < floor else then
        step = now - then
        step = MAX_RISE if step > MAX_RISE else step
        rise = rise + step if step > 0.0 else rise
    rise = rise / f64(BANDS)
    place = hop % _LEVELS
    s.rises[place] = rise / (1.0 + s.state[_MEAN])
    s.rises[_LEVELS + place] = s.state[_MEAN]
    capped = 6.0 if rise > 6.0 else rise
    s.state[_MEAN] = s.state[_MEAN] + MEAN_WEIGHT * (capped - s.state[_MEAN])
    s.levels[place] = 4.342944819 * math.log(power + 1e-9)
    # the lowest level of late, and the highest before it and after it
    least = f64(99.0)
    least_at = i64(DELAY)
    for n in range(DELAY, DELAY + 11):
        v = s.levels[(hop + _LEVELS - n) % _LEVELS]
        if v < least:
            least = v
            least_at = n
    after = f64(-99.0)
    for n in range(least_at):
        v = s.levels[(hop + _LEVELS - n) % _LEVELS]
        after = v if v > after else after
    earlier = f64(-99.0)
    for n in range(least_at + 1, least_at + 11):
        v = s.levels[(hop + _LEVELS - n) % _LEVELS]
        earlier = v if v > earlier else earlier
    edge = after if after < earlier else earlier
    dip = edge - least
    dip = 0.0 if dip < 0.0 else dip
    place = (hop + _LEVELS - DELAY) % _LEVELS
    calmness = 1.0 + s.rises[_LEVELS + place]
    most_dip = 3.0 * s.rises[place] * calmness + FULL_DIP_DB
    dip = most_dip if dip > most_dip else dip
    return f64(s.rises[place] + DIP * dip / calmness)


class OnsetFlux:
    """Onset strength `LAG` hops before the newest if it has a peak there, else 0."""

    def __init__(self, rate: float) -> None:
        self._recent: list[float] = [0.0] * (BEFORE + AFTER + 1)
        self._window: F32 = np.hanning(SIZE + 1)[:-1].astype(np.float32)
        self._scale = 4.0 / float(self._window.sum()) ** 2
        self._framed: F32 = np.zeros(SIZE, np.float32)
        self._bins = np.zeros(SIZE // 2 + 1, np.complex64)
        self._pairs = self._bins.view(np.float32)
        hz = LOW * (min(HIGH, 0.4 * rate) / LOW) ** (np.arange(BANDS + 1) / BANDS)
        edges = np.round(hz * SIZE / rate).astype(np.int64)
        for b in range(1, BANDS + 1):
            edges[b] = max(edges[b], edges[b - 1] + 1)
        self._edges: I64 = edges
        self._rows = COMPARED_HOPS + 1
        self._bank: F64 = np.zeros((self._rows, BANDS), np.float64)
        self._rises: F64 = np.zeros((2, _LEVELS), np.float64)
        self._levels: F64 = np.zeros(_LEVELS, np.float64)
        self._state: F64 = np.zeros(_SIZE, np.float64)
        self._fall = DECAY_DB * HOP / rate
        self.reset()

    def reset(self) -> None:
        """Clears the past and sets all levels to silence."""
        self._bank.fill(-90.0)
        self._rises.fill(0.0)
        self._levels.fill(-90.0)
        self._state[_TOP] = -30.0
        self._state[_MEAN] = 0.0
        self._row = self._hop = 0
        self._recent[:] = [0.0] * len(self._recent)

    def step(self, frame: F32, power: float) -> float:
        """Processes the newest `SIZE` samples; returns onset strength in dB at a peak `LAG` hops before, else 0."""
        np.multiply(frame, self._window, out=self._framed)
        np.fft.rfft(self._framed, out=self._bins)  # type: ignore[arg-type]  # single precision is right at run time
        self._row = (self._row + 1) % self._rows
        self._hop += 1
        recent = self._recent
        recent.pop(0)
        flux = FluxState(
            self._edges, self._bank, self._rows, self._state, self._rises, self._levels, self._fall, self._scale
        )
        value: float = hum_onset_flux(self._pairs, flux, self._row, self._hop, power)
        recent.append(value)
        peak = float(recent[BEFORE])
        return peak if peak >= max(recent) else 0.0


SETTLED, FALLING = 0.45, 0.1
"""Shares of the known sustain, at its start and at its known end, excluded from the note's pitch."""
MIN_VOICED = 6
"""Minimum voiced hops of a note: 32 to 35 ms."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Measurements of a note candidate at its decision.

    `pitch`: median of its sustain, a MIDI number; `level`: level of its loudest hop, dB.
    """

    pitch: float
    level: float


def candidate(pitches: F64, sustain: NDArray[np.bool_], levels: F64, whole: bool) -> Candidate | None:
    """Candidate of `n` known hops of pitch (0: unvoiced), sustain flags, and level in dB.

    None where fewer than `MIN_VOICED` are voiced. `whole`: it ends within these hops.
    """
    voiced = pitches > 0.0
    if np.count_nonzero(voiced) < MIN_VOICED:
        return None
    sustained = voiced & sustain
    chosen = pitches[sustained] if np.count_nonzero(sustained) >= 4 else pitches[voiced]
    begin, end = int(SETTLED * len(chosen)), len(chosen) - (int(FALLING * len(chosen)) if whole else 0)
    return Candidate(_median(chosen[begin:end]), float(levels.max()))


def _median(values: F64) -> float:
    """Median of values. `numpy.median` imports a package at its first call, and this runs on the block path."""
    ordered, middle = np.sort(values), len(values) // 2
    return float(ordered[middle]) if len(values) % 2 else 0.5 * float(ordered[middle - 1] + ordered[middle])


RESTART_HOPS = 10
"""Hops after a note's start in which the same note cannot begin again."""
PITCH_LAG, NOTE_LAG = 4, 10
"""Lags of the pitch and of the segmenter, hops."""
SLUR_FLUX = 3
"""Onset flux below which a note has no attack."""
MAX_SHIFT = 2
"""Maximum shift in places of the segmenter within one note."""
RING = 64


@dataclass(frozen=True, slots=True)
class TrackerSettings:
    """Parameters of `hum` that a tracker reads; `sensitivity`, `patience`, `lead`: only in mode learned."""

    sensitivity: float = 0.5
    threshold: float = -70.0
    lowest: int = 36
    highest: int = 96
    patience: float = 100.0
    lead: bool = False


class NoteTracker:
    """Notes of one stream in mode `yin`; `corrected` is always None.

    After `step`: whether the sounding note has `ended` `lag` hops before the newest; the note that has `begun` there or
    None; the newest decided `pitch`, a MIDI number, 0 for none. `behind`: `lag` in input frames, decimation included.
    """

    def __init__(self, decimator: Decimator, track: MedianPitch | None = None) -> None:
        """Allocates buffers; the caller fills and resets the decimator. `track` is `PITCH_LAG` hops late."""
        self.lag = PITCH_LAG + NOTE_LAG
        self.hop = HOP * decimator.factor
        # a note decided at a hop's last frame began this many frames before
        self.behind = self.lag * self.hop + CENTRE * decimator.factor + decimator.lag - 1
        self._decimator = decimator
        self._yin = Yin(decimator.rate)
        self._track = track or MedianPitch(PITCH_LAG)
        self._flux = OnsetFlux(decimator.rate)
        self._segments = Segmenter(NOTE_LAG)
        self._pitches: F64 = np.zeros(RING, np.float64)
        self._levels: F64 = np.zeros(RING, np.float64)
        self._rise_ring: F64 = np.zeros(RING, np.float64)
        self._places = np.arange(RING)
        self.many = 0.0
        self.corrected: float | None = None
        self.reset()

    def reset(self) -> None:
        """Clears the past; the caller resets the decimator."""
        for part in (self._track, self._flux, self._segments):
            part.reset()
        self._rise = 0.0
        self._pitches.fill(0.0)
        self._levels.fill(-90.0)
        self._rise_ring.fill(0.0)
        self._hop = 0
        self._place = -1
        self._age = 0
        self._again = RESTART_HOPS
        self._skip_until = 0
        self._sounding = False
        self.pitch = 0.0
        self.ended = False
        self.begun: Candidate | None = None

    def step(self, settings: TrackerSettings, io: IO | None = None) -> None:
        """Processes the decimator's full hop; `io` is ignored."""
        newest = self._decimator.newest(3 * HOP)
        power = float(np.dot(newest, newest)) / len(newest)
        level = 10.0 * math.log10(power + 1e-9)
        low, high = float(settings.lowest), float(settings.highest)
        # a margin below the threshold for the parts of a note that are softer than its loudest
        loud = level >= settings.threshold - 12.0
        self.pitch = self._track.step(self._yin.find(self._decimator.body(HISTORY), low, high) if loud else 0.0)
        # aligned to the hop after the pitch's: a rise is complete when the window is full of it
        rise, self._rise = self._rise, self._flux.step(self._decimator.newest(SIZE), power)
        self._hop += 1
        place = self._hop % RING
        self._pitches[place] = self.pitch
        self._levels[place] = level
        self._rise_ring[place] = rise
        self._segments.step(self.pitch, rise)
        self._decide(settings)

    def _decide(self, settings: TrackerSettings) -> None:
        path = self._segments.path
        first = int(path[0])
        self.ended, self.begun = False, None
        self._age += 1
        if self._age <= self._skip_until:
            return
        if first < 0:
            self.ended, self._sounding = self._sounding, False
            self._place = -1
            return
        place = first % 1000
        again = first >= 2000 and self._age > self._again
        if self._place >= 0 and abs(place - self._place) <= MAX_SHIFT and not again:
            self._place = place
            return
        self._place, self._age = place, 0
        self.ended, self._sounding = self._sounding, False
        self._again, self._skip_until = RESTART_HOPS, 0
        begun = self._candidate()
        if begun is not None and begun.level > settings.threshold:
            self.begun = begun
            self._sounding = True

    def _candidate(self) -> Candidate | None:
        """The candidate that begins at the oldest hop of the path."""
        path = self._segments.path
        oldest = self._hop - self._segments.lag
        count = self._run(0)
        if count < len(path) and path[count] >= 0:
            # a short note that leads into another without an attack is the scoop of the other one
            rise = max(self._rise_ring[(oldest + n) % RING] for n in range(count - 1, count + 2))
            more = self._run(count)
            if rise < SLUR_FLUX and more >= count:
                self._place = int(path[count]) % 1000
                self._skip_until = count + 1
                self._again = RESTART_HOPS + count
                return self._known(oldest + count, count, more)
        return self._known(oldest, 0, count)

    def _run(self, first: int) -> int:
        """Length in hops of the path's note from `first` on."""
        path, count = self._segments.path, 1
        while first + count < len(path) and 0 <= path[first + count] < 2000:
            count += 1
        return count

    def _known(self, oldest: int, first: int, count: int) -> Candidate | None:
        path = self._segments.path
        places = (self._places[:count] + oldest) % RING
        # levels have no lag, pitches have the track's
        loud = (places - self._track.lag) % RING
        sustain = path[first : first + count] < 1000
        return candidate(self._pitches[places], sustain, self._levels[loud], first + count < len(path))
