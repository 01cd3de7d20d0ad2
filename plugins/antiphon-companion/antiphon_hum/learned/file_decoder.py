"""Decoding of the network's answers for a whole sound to notes: Viterbi over rest and pitch, then onsets."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32, F64
from antiphon_hum import learned
from antiphon_hum.learned.decode import SECONDS

FileNote = tuple[float, float, float]
"""A note: start and end in seconds, pitch as a fractional MIDI number."""
STATES_PER_SEMITONE = 3
KEYS = learned.SEMITONES * STATES_PER_SEMITONE
BATCH_HOPS = 1000
"""Hops per batch of costs: 1.5 MB."""
EDGE_SHARE = 0.2
"""Share of a note at either end that is left out of its pitch."""
QUANTILE = 0.6
"""Quantile of a note's pitches that is reported, above the median (0.5): voices slide up into notes more than down."""
MAX_DEVIATION = 0.75
"""Maximum distance in semitones from the median of pitches considered."""
STEADY, UNSTEADY = 0.10, 0.12
"""Standard deviation in semitones within notes: maximum of an instrument, and minimum of a singer's voice."""
EARLY, LATE, LATE_JOINED = -0.009, 0.021, 0.031
"""Seconds from the network's onset to a note's start: of an instrument, a voice, a voice's legato note. Voices slide
and have consonants, and listeners place notes where the pitch is reached."""
MAX_LEGATO_GAP = 5
"""Maximum gap in hops of a legato note."""


@dataclass(frozen=True, slots=True)
class PathCosts:
    """Weights of the path through a file, fitted like `decode.Live`."""

    onset: float = 0.15  # probability of an onset at which beginning a note costs nothing besides `begin`
    begin: float = 0.6  # fixed cost of beginning a note
    onsets: float = 1.25  # weight of the log odds of an onset
    key: float = 0.4  # weight of the log likelihood of the pitch
    spread: float = 1.0  # semitones at which the likelihood of a pitch is half of its highest
    floor: float = 0.02  # likelihood of any pitch
    note: float = 0.5  # weight of the log odds of a note
    least: int = 6  # hops of a note
    # mean log odds of a note in the hops of a note, at least. `sensitivity` lowers and raises it alone: so more
    # sensitivity gives the same notes and further ones, never fewer
    sure: float = 2.0


def decode_file(answers: F32, how: PathCosts | None = None) -> list[FileNote]:
    """The likeliest notes of a whole sound's answers, `[hops, ANSWER]`."""
    how = how or PathCosts()
    # first hop and end hop of each note of the path
    path = _path(answers, how)
    edges = np.concatenate([[0], np.flatnonzero(np.diff(path)) + 1, [len(path)]])
    parts = [(int(a), int(b)) for a, b in pairwise(edges) if b - a >= how.least and path[a] < 2 * KEYS]
    starts = _onset_times(answers, parts)
    ends = [(end + 1 - learned.FAR) * SECONDS for _, end in parts]
    ends[:-1] = [min(end, start) for end, start in zip(ends[:-1], starts[1:], strict=True)]
    return [
        (start, end, _pitch(answers[slice(*part)]))
        for part, start, end in zip(parts, starts, ends, strict=True)
        if end > start and _log_odds(answers[slice(*part), learned.FAR_NOTE]).mean() >= how.sure
    ]


def _log_odds(chance: NDArray[np.floating]) -> F64:
    p = np.clip(chance.astype(np.float64), 1e-4, 1.0 - 1e-4)
    return np.asarray(np.log(p) - np.log(1.0 - p), np.float64)


def _path(answers: F32, how: PathCosts) -> NDArray[np.int32]:
    """The state of each hop: 0 to `KEYS` - 1 and again to 2 `KEYS` - 1, or 2 `KEYS` for a rest."""
    hops, rest = len(answers), 2 * KEYS
    onset = np.clip(how.onset, 1e-4, 1.0 - 1e-4)
    begin = how.onsets * (_log_odds(answers[:, learned.FAR_ONSET]) - np.log(onset / (1.0 - onset))) - how.begin
    best = np.full(rest + 1, -1e9)
    best[rest] = 0.0
    entered = np.zeros((hops, rest + 1), bool)
    firsts, seconds = np.zeros(hops, np.int32), np.zeros(hops, np.int32)
    for at in range(0, hops, BATCH_HOPS):
        costs = _costs(answers[at : at + BATCH_HOPS], how)
        for n, cost in enumerate(costs, at):
            first = int(best.argmax())
            most = best[first]
            best[first] = -1e18
            second = int(best.argmax())
            entry, own_entry = most + begin[n], best[second] + begin[n]
            best[first] = most
            # the likeliest state is entered from the second likeliest; entering a rest has no cost
            better = best < entry
            better[first] = own_entry > most
            better[rest] = first != rest and most > best[rest]
            quiet = max(most, best[rest])
            np.maximum(best, entry, out=best)
            best[first] = max(most, own_entry)
            best[rest] = quiet
            best[:KEYS] += cost
            best[KEYS:rest] += cost
            entered[n], firsts[n], seconds[n] = better, first, second
    path = np.empty(hops, np.int32)
    state = int(best.argmax())
    for n in range(hops - 1, -1, -1):
        path[n] = state
        if entered[n, state]:
            state = int(seconds[n] if state == firsts[n] else firsts[n])
    return path


def _costs(answers: F32, how: PathCosts) -> F64:
    """Log likelihood `[hops, KEYS]` of a note at each pitch against a rest."""
    pitches = learned.LOWEST - 0.5 + (np.arange(KEYS) + 0.5) / STATES_PER_SEMITONE
    sung = learned.LOWEST + learned.SEMITONES * answers[:, learned.FAR_KEY].astype(np.float64)
    sure = np.clip(answers[:, learned.FAR_SURE].astype(np.float64), 1e-4, 1.0)
    apart = (sung[:, None] - pitches) / how.spread
    likely = how.key * np.log(sure[:, None] / (1.0 + apart * apart) + how.floor)
    return np.asarray(how.note * _log_odds(answers[:, learned.FAR_NOTE])[:, None] + likely, np.float64)


def _inner_values(values: F64) -> F64:
    """Returns the values without the ends of the note."""
    cut = int(EDGE_SHARE * len(values))
    return values[cut : len(values) - cut]


def _pitch(answers: F32) -> float:
    """The pitch of a note as sung, from its answers."""
    pitches = _inner_values(learned.LOWEST + learned.SEMITONES * answers[:, learned.FAR_KEY].astype(np.float64))
    median = np.median(pitches)
    near = pitches[np.abs(pitches - median) < MAX_DEVIATION]
    # of an even number of pitches that step at the middle, none is near the mean of the middle two
    return float(np.quantile(near, QUANTILE)) if len(near) else float(median)


def pitch_deviation(answers: F32, parts: list[tuple[int, int]]) -> float:
    """Median over the notes of the standard deviation of pitch within their middle, semitones; 0 without notes."""
    back = learned.FAR - learned.NEAR
    moves = []
    for first, last in parts:
        pitches = _inner_values(answers[max(0, first - back) : last - back, learned.PITCH].astype(np.float64))
        if len(pitches) >= MAX_LEGATO_GAP:
            moves.append(learned.SEMITONES * float(pitches.std()))
    return float(np.median(moves)) if moves else 0.0


def _onset_times(answers: F32, parts: list[tuple[int, int]]) -> list[float]:
    """Onset times of notes in seconds."""
    voice = (pitch_deviation(answers, parts) - STEADY) / (UNSTEADY - STEADY)
    voice = min(1.0, max(0.0, voice))
    starts = []
    before = -learned.RATE
    for first, last in parts:
        late = LATE if first - before > MAX_LEGATO_GAP else LATE_JOINED
        starts.append(max(0.0, (first + 1 - learned.FAR) * SECONDS + EARLY + voice * (late - EARLY)))
        before = last
    return starts
