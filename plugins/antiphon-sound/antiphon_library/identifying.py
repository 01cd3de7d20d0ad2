"""Identification of a sound: searches its landmarks in the catalogue's index, window by window."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.api import UsageError
from antiphon.api.backends.analysis import IdentifiedFile, analyse_file, analyses
from antiphon.signal.landmarks import unpack_landmarks
from antiphon_library.catalogue import Catalogue
from antiphon_library.fingerprints import (
    ASKED,
    F64,
    FRAME,
    I64,
    QUERY_PAIRS_AT_SPEED,
    SOUND_GAP,
    U32,
    Shard,
    ShardSet,
    deleted_sound_rows,
    hashes,
)

# ---- Search of a sound by landmarks: votes of pairs for an offset, and agreement of landmarks at it

_SECONDS = 0.03
"""Time tolerance in seconds of matching landmarks; a step of the spectrum is 0.025 s."""
_SHARE, _HERTZ = 0.008, 4.0
"""Frequency tolerances of agreeing landmarks: a seventh of a semitone, or half a bin of the spectrum."""
_SHIFTS = (-1.47, -1.13, -0.79, -0.47, 0.33, 0.61, 0.97, 1.31)
"""Time shifts in seconds for measuring chance, not multiples of one another as beats are."""
_MIN_COPY_SHARE = 0.6
"""Share of matching landmarks above which two sounds are copies of one recording. Of the two best matches of 500
unknown sounds 1 % shared more than 0.45; of ten songs with two soundfonts none shared more than 0.51."""


_SCATTER, _SCATTER_ERROR, _MIN_COUNT = 0.19, 0.2, 12
"""Frequencies of matching landmarks, in parts of the tolerance. First, maximum spread: a recording in noise at 0 dB has
.11 to .18 (40 excerpts), the song with another soundfont or tempo .17 to .32 (160). Second, deduction over the root of
their number, as few may seem even by chance. Third, minimum number."""
_FEW, _SCATTER_OF_FEW = 40, 0.05
"""Number of matching landmarks below which the spread must be that of a clean recording (.01 to .02). A plucked melody
of the song, with 22 to 64 matches, had .11 and .12 in two of 17 excerpts; recordings in noise have 112 and more."""
_PIECE_SCORE = 0.5
"""Factor on the score of a piece, since it is another recording than the catalogued one."""


@dataclass(frozen=True, slots=True)
class SoundLandmarks:
    """Landmarks of a sound. `seconds`: `[n]`, ascending; `hertz`: `[n]`."""

    seconds: F64
    hertz: F64

    def excerpt(self, first: float, last: float) -> SoundLandmarks:
        """Landmarks between two times in seconds."""
        chosen = slice(*np.searchsorted(self.seconds, (first, last)))
        return SoundLandmarks(self.seconds[chosen], self.hertz[chosen])

    def shift(self, offset: float, speed: float) -> SoundLandmarks:
        """Landmarks shifted to `offset` in a sound played at `speed`."""
        return SoundLandmarks(offset + self.seconds * speed, self.hertz / speed)


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement of landmarks with a catalogued sound at one offset."""

    excess: float
    share: float
    beside: float = 0.0  # the excess of the best moment beside that place: music agrees with itself a beat away


def agreement(asked: SoundLandmarks, sound: SoundLandmarks) -> Agreement:
    """Compares `placed` query landmarks with a sound's, at that offset and at shifted ones."""
    if not len(asked.seconds):
        return Agreement(0.0, 0.0)
    first, last = float(asked.seconds[0]), float(asked.seconds[-1])
    near = sound.excerpt(first - 2.0, last + 2.0)
    count = int(_agreement_mask(asked, near).sum())
    moments = [int(_agreement_mask(asked.shift(shift, 1.0), near).sum()) for shift in _SHIFTS]
    chance = float(np.mean(moments))
    spread = float(np.sqrt(chance + 1.0))
    most = min(len(asked.seconds), len(near.excerpt(first, last).seconds))
    return Agreement(
        (count - chance) / spread, (count - chance) / max(1.0, most - chance), (max(moments) - chance) / spread
    )


def is_recording(asked: SoundLandmarks, sound: SoundLandmarks) -> bool:
    """Whether a `placed` query is the recording itself, and not its notes on other instruments.

    Peaks of another rendering are near, as the notes are the same, but not at equal frequencies. If too few match for a
    decision, the result is False, so that a cover is not reported as the song.
    """
    first = np.searchsorted(sound.seconds, asked.seconds - _SECONDS)
    last = np.searchsorted(sound.seconds, asked.seconds + _SECONDS)
    off = []
    for hertz, begin, end in zip(asked.hertz, first, last, strict=True):
        apart = (sound.hertz[begin:end] - hertz) / max(_HERTZ, _SHARE * hertz)
        off += [apart[np.argmin(np.abs(apart))]] if len(apart) and np.abs(apart).min() < 1.0 else []
    # a speed that is nearly right moves all frequencies alike
    if len(off) < _MIN_COUNT:
        return False
    most = _SCATTER_OF_FEW if len(off) < _FEW else _SCATTER - _SCATTER_ERROR / math.sqrt(len(off))
    return float(np.abs(off - np.median(off)).mean()) < most


def is_copy(one: SoundLandmarks, other: SoundLandmarks) -> bool:
    """Whether two aligned excerpts are of the same recording."""
    total = len(one.seconds) + len(other.seconds)
    return 2.0 * float(_agreement_mask(one, other).sum()) > _MIN_COPY_SHARE * max(1, total)


def _agreement_mask(asked: SoundLandmarks, sound: SoundLandmarks) -> NDArray[np.bool_]:
    """Mask of query landmarks with a near one in the sound."""
    first = np.searchsorted(sound.seconds, asked.seconds - _SECONDS)
    last = np.searchsorted(sound.seconds, asked.seconds + _SECONDS)
    found = np.zeros(len(asked.seconds), np.bool_)
    within = np.maximum(_HERTZ, _SHARE * asked.hertz)
    for step in range(int((last - first).max(initial=0))):
        place = np.minimum(first + step, len(sound.seconds) - 1)
        found |= (first + step < last) & (np.abs(sound.hertz[place] - asked.hertz) < within)
    return found


SPEEDS = (1.0, 1.0075, 0.9925, 1.015, 0.985, 1.0225, 0.9775, 1.03, 0.97)
"""Tested playback speeds; between them, a pair's pitches are off by a sixth of a bin at most, 10 s by 1.5 frames."""
MAX_OCCURRENCES = 200
"""Maximum occurrences of a hash in a shard; more frequent ones carry little information, and would slow the query."""
_CANDIDATES = 8
"""Maximum candidate positions per shard and speed."""
_MIN_DISTANCE = 40
"""Minimum distance in frames, a second, of two candidates in one sound."""
_RANK = 8
"""Rank of the candidate whose votes estimate chance; better candidates are compared landmark by landmark."""
_CELL, _CELL_VOTES = 16, 4
"""Cell length in frames, 0.4 s, and maximum votes per cell: two common notes give many pairs but little evidence."""
_MIN_VOTES = 5
"""Minimum votes of a candidate, regardless of its landmarks: one more than `_MIN_CHANCE`."""
_MIN_CHANCE = 4.0
"""Lower bound of the votes by chance, as a small catalogue has little for comparison."""
_WEIGHTS = (0.903, -1.940, 15.758, 0.709)
_INTERCEPT = -4.058
"""Intercept of `_log_odds`, fitted to 360 excerpts, in noise and by phone in a room, of 120 tracks of a catalogue of
1,080, and to 495 of tracks outside it; none of songs or chorales used for evaluation."""
_MIN_ODDS = 0.5
"""Minimum log odds of a match: .6 % of those 495 exceed it, each left out of its fit, and 1 % in a catalogue of 20."""
_DENSE, _SPARSE_SHARE, _SPARSE_ODDS = 40.0, 0.4, 4.0
"""Landmarks per second above which noise may hide those of a track. Below that, minimum share that must match, and log
odds that suffice without it. Clean excerpts match by .78 and more (95), excerpts in a room by .27 (53), and a passage
that two songs share by .18 to .35."""
_CERTAIN_ODDS = 3.0
"""Log odds at the recorded speed above which no other speed is tested."""
_MAX_SHARE, _MAX_MARGIN = 0.5, 8.0
"""Clipping limits of the features."""
_CLEAR_SHARE, _CLEAR_VOTES = 0.6, 30
"""Share of possible votes, and number of votes, that suffice at any level of chance, as a loop matches itself often."""


@dataclass(frozen=True, slots=True)
class FingerprintMatch:
    """Match of a query."""

    serial: int
    offset: float  # seconds into the sound at which what was asked begins; negative where it begins earlier
    speed: float
    votes: int
    score: (
        float  # how far it stands out from chance, 0 to 1: 1 - votes of chance / votes, or its share; of a piece half
    )
    kind: str  # "recording", or "piece": the same notes in time, of other instruments


@dataclass(frozen=True, slots=True)
class _Candidate:
    """Candidate position. `share`: of the possible votes. `frame`: of the sound at the query's start."""

    votes: int
    share: float
    serial: int
    frame: float
    speed: float


@dataclass(frozen=True, slots=True)
class _Compared:
    candidate: _Candidate
    agreement: Agreement


LandmarkReader = Callable[[int], SoundLandmarks]
"""Function from a serial number to landmarks."""


def matches(index: ShardSet, seconds: F64, hertz: F64, landmarks: LandmarkReader) -> list[FingerprintMatch]:
    """Matching sounds of query landmarks (ascending seconds, Hz; some 5 to 15 s of them).

    Returns the best one that stands out, and its copies; none for an unknown sound.
    """
    asked = SoundLandmarks(seconds, hertz)
    landmarks = cache(landmarks)
    found = _separate_candidates(_candidates_by_votes(index, seconds, hertz, SPEEDS[0]))
    best, odds = _judged(found, asked, landmarks)
    if odds < _CERTAIN_ODDS:
        tried = (candidate for speed in SPEEDS[1:] for candidate in _candidates_by_votes(index, seconds, hertz, speed))
        found = _separate_candidates([*found, *tried])
        best, odds = _judged(found, asked, landmarks)
    if not best or not (_is_clear(best[0].candidate) or odds > _least_odds(asked, best[0].agreement)):
        return []
    chance = _chance_votes(found)
    kept: dict[int, FingerprintMatch] = {}
    for compared in best:
        candidate = compared.candidate
        if candidate.votes < _MIN_VOTES or candidate.serial in kept:
            continue
        if compared is best[0] or _are_copies(best[0].candidate, candidate, asked, landmarks):
            score = max(1.0 - chance / candidate.votes, candidate.share)
            offset = candidate.frame * FRAME
            same = is_recording(asked.shift(offset, candidate.speed), landmarks(candidate.serial))
            kind, likely = ("recording", score) if same else ("piece", _PIECE_SCORE * score)
            kept[candidate.serial] = FingerprintMatch(
                candidate.serial, offset, candidate.speed, candidate.votes, likely, kind
            )
    return list(kept.values())


def _judged(
    found: Sequence[_Candidate], asked: SoundLandmarks, landmarks: LandmarkReader
) -> tuple[list[_Compared], float]:
    compared = [
        _Compared(each, agreement(asked.shift(each.frame * FRAME, each.speed), landmarks(each.serial)))
        for each in found[:_RANK]
    ]
    compared.sort(key=lambda each: -each.agreement.excess)
    if not compared or compared[0].candidate.votes < _MIN_VOTES:
        return compared, -math.inf
    best = compared[0].candidate
    others = (each for each in compared[1:] if each.candidate.serial != best.serial)
    rival = next((each for each in others if not _are_copies(best, each.candidate, asked, landmarks)), None)
    second = max(compared[0].agreement.beside, 0.0 if rival is None else rival.agreement.excess)
    chance = _chance_votes(found)
    margin = (best.votes - chance) / math.sqrt(chance)
    return compared, _log_odds(compared[0].agreement, second, margin)


def _least_odds(asked: SoundLandmarks, best: Agreement) -> float:
    """Log odds above which a match is one."""
    seconds = float(asked.seconds[-1] - asked.seconds[0]) if len(asked.seconds) else 0.0
    return _SPARSE_ODDS if len(asked.seconds) < _DENSE * seconds and best.share < _SPARSE_SHARE else _MIN_ODDS


def _log_odds(best: Agreement, second: float, margin: float) -> float:
    """Log odds of a match: by its agreement, that of the runner-up, its share, and votes above chance."""
    share = min(_MAX_SHARE, max(0.0, best.share))
    values = (math.sqrt(max(0.0, best.excess)), math.sqrt(second), share, min(margin, _MAX_MARGIN))
    return _INTERCEPT + sum(weight * value for weight, value in zip(_WEIGHTS, values, strict=True))


def _are_copies(one: _Candidate, other: _Candidate, asked: SoundLandmarks, landmarks: LandmarkReader) -> bool:
    """Whether two candidates are the same recording at the same position."""
    length = float(asked.seconds[-1]) if len(asked.seconds) else 0.0
    stretches = [
        landmarks(each.serial)
        .excerpt(each.frame * FRAME, each.frame * FRAME + length * each.speed)
        .shift(-each.frame * FRAME, 1.0)
        .shift(0.0, 1.0 / each.speed)
        for each in (one, other)
    ]
    return is_copy(*stretches)


def _chance_votes(found: Sequence[_Candidate]) -> float:
    return max(_MIN_CHANCE, found[_RANK - 1].votes if len(found) >= _RANK else 0.0)


def _is_clear(candidate: _Candidate) -> bool:
    return candidate.votes >= _CLEAR_VOTES and candidate.share >= _CLEAR_SHARE


def _candidates_by_votes(index: ShardSet, seconds: F64, hertz: F64, speed: float) -> Iterator[_Candidate]:
    asked, frames = hashes(seconds, hertz, ASKED if speed == 1.0 else QUERY_PAIRS_AT_SPEED, speed)
    order = np.argsort(asked)  # neighbours in memory are looked up one after the other
    asked, frames = asked[order], frames[order]
    possible = int(np.minimum(np.bincount(frames // _CELL), _CELL_VOTES).sum()) if len(frames) else 1
    for shard in index.shards:
        voted, voters = _matching_query_starts(shard, asked, frames)
        if not len(voted):
            continue
        places, counts = np.unique(voted, return_counts=True)
        near = counts.copy()
        beside = np.flatnonzero(np.diff(places) == 1)
        near[beside] += counts[beside + 1]
        near[beside + 1] += counts[beside]
        dead = set(deleted_sound_rows(shard, index.present).tolist())
        best = places[np.argsort(-near, kind="stable")[: _CANDIDATES * (1 + len(dead))]]
        # half of the gap before a sound belongs to it: what is asked may begin earlier than it
        rows = np.maximum(0, np.searchsorted(shard.starts, best + SOUND_GAP // 2, "right") - 1)
        for place, row in zip(best.tolist(), rows.tolist(), strict=True):
            if row not in dead:
                chosen = np.flatnonzero(np.abs(voted - place) <= 1)
                votes = int(np.minimum(np.bincount(voters[chosen] // _CELL), _CELL_VOTES).sum())
                frame = float(voted[chosen].mean()) - float(shard.starts[row])
                yield _Candidate(votes, votes / possible, int(shard.serials[row]), frame, speed)


def _matching_query_starts(shard: Shard, asked: U32, frames: I64) -> tuple[I64, I64]:
    """Start of the query for each matching entry of a shard, with the hash's frame."""
    first = np.searchsorted(shard.hashes, asked, "left")
    count = np.searchsorted(shard.hashes, asked, "right") - first
    count[count > MAX_OCCURRENCES] = 0
    total = int(count.sum())
    ends = np.cumsum(count)
    entries = np.arange(total) + np.repeat(first - (ends - count), count)
    voters = np.repeat(frames, count)
    return shard.places[entries].astype(np.int64) - voters, voters


def _separate_candidates(candidates: Iterable[_Candidate]) -> list[_Candidate]:
    """Candidates with the most votes, each over a second from any better one of the same sound."""
    kept: list[_Candidate] = []
    for candidate in sorted(candidates, key=lambda c: (-c.votes, c.serial, c.frame)):
        if all(c.serial != candidate.serial or abs(c.frame - candidate.frame) > _MIN_DISTANCE for c in kept):
            kept.append(candidate)
            if len(kept) >= 2 * _RANK:
                break
    return kept


WINDOW = 12.0
"""Length of a query window in seconds."""
_WINDOWS = 8
"""Maximum windows of a longer sound, until one is recognised."""
MIN_SECONDS = 1.0
"""Minimum length of a recognisable sound in seconds."""


def analysis_of_landmarks() -> str:
    """Name of the analysis with landmarks. Raises `UsageError`: no plugin has one."""
    for name, analysis in analyses().items():
        if any(quantity.kind == "landmarks" for quantity in analysis.quantities):
            return name
    raise UsageError("no plugin has an analysis that gives landmarks; `antiphon plugins` says which plugins there are")


def compute_file_landmarks(path: Path, progress: Callable[[float], None] = lambda _: None) -> tuple[F64, F64]:
    """Landmarks of a file in seconds and Hz; `progress` is called with processed seconds.

    Raises `FileError`: it cannot be read; `UsageError`: it is too short, silent, or its analysis failed; the sentence
    says which.
    """
    name = analysis_of_landmarks()
    lasted = 0.0

    def note(seconds: float) -> None:
        nonlocal lasted
        lasted = seconds
        progress(seconds)

    _, values, problem = analyse_file(os.fsencode(path), [name], note)[name]
    if values is None:
        raise UsageError(problem)
    data = next((value for value in values.values() if isinstance(value, bytes)), b"")
    shown = path.name[:120]
    if lasted < MIN_SECONDS:
        raise UsageError(
            f"{shown} lasts {lasted:.2f} s; {MIN_SECONDS:g} s are needed to recognise a sound, 5 s are better"
        )
    if not data:
        raise UsageError(f"{shown} is silent, and cannot be recognised")
    return unpack_landmarks(data)


def identify_files(catalogue: Catalogue, index: ShardSet, seconds: F64, hertz: F64) -> list[IdentifiedFile]:
    """Returns the catalogued files that landmarks come from, best first; `seconds`: ascending.

    `offset` of each: position in the file of second 0 of the landmarks.
    """

    def landmarks(serial: int) -> SoundLandmarks:
        rows = [unpack_landmarks(data) for _, data in catalogue.landmarks([serial])]
        return SoundLandmarks(*rows[0]) if rows else SoundLandmarks(np.zeros(0), np.zeros(0))

    for begin in _windows(seconds):
        chosen = slice(*np.searchsorted(seconds, (begin, begin + WINDOW)))
        found = matches(index, seconds[chosen] - begin, hertz[chosen], landmarks)
        if found:
            return [file for match in found for file in _files(catalogue, match, begin)]
    return []


def _windows(seconds: F64) -> list[float]:
    """Starts of windows, spread over the sound, each with landmarks."""
    if not len(seconds):
        return []
    last = max(float(seconds[0]), float(seconds[-1]) - WINDOW)
    count = min(_WINDOWS, 1 + int(np.ceil((last - float(seconds[0])) / WINDOW)))
    return [float(begin) for begin in np.linspace(float(seconds[0]), last, count)]


def _files(catalogue: Catalogue, match: FingerprintMatch, begin: float) -> list[IdentifiedFile]:
    number, paths = catalogue.files_of(match.serial)
    offset = round(match.offset - begin * match.speed, 3)
    return [IdentifiedFile(path, offset, round(match.score, 4), match.speed, number, match.kind) for path in paths]
