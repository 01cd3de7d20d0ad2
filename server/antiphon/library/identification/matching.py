"""Which catalogued sound landmarks come from: votes of pairs for a sound and a place in it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from antiphon.library.identification.fingerprints import ASKED, ASKED_AT_SPEED, F64, FRAME, I64, U32, hashes
from antiphon.library.identification.shards import GAP, Shard, ShardSet, dead_rows

SPEEDS = (1.0, 1.0075, 0.9925, 1.015, 0.985, 1.0225, 0.9775, 1.03, 0.97)
"""Speeds that are tried: in between a pair's pitches are off by a sixth of a bin at most, and 10 s by 1.5 frames."""
COMMON = 200
"""A hash that a shard has more often says little, and is left out: it bounds the time of a request."""
_CANDIDATES = 8
"""Places of each shard and speed that are looked at."""
_APART = 40
"""Frames, a second, beyond which two places in a sound are two candidates."""
_RANK = 8
"""The candidate whose votes count as those of chance."""
_CELL, _CELL_VOTES = 16, 4
"""Frames, 0.4 s, and the votes that count of them at most: two notes in common give many pairs, and prove little."""
_LEAST_VOTES = 9
_LEAST_CHANCE = 4.0
"""Votes that chance has at least: a small catalogue has little to compare with."""
_LEAST_MARGIN, _LEAST_MARGIN_OF_SPEED = 5.5, 6.0
"""Votes above those of chance, in their standard deviations by Poisson, of a match at the recorded speed and at
another one, of which many are tried. Of 320 excerpts of songs that are not among 700 tracks two had more than 5.5, and
four of a song that the data holds twice: chosen on songs that nothing is measured on."""
_CERTAIN = 12.0
"""The margin at the recorded speed above which no other is tried."""
_CLEAR_SHARE, _CLEAR_VOTES = 0.6, 30
"""Of all votes that are possible, and votes, that are enough whatever chance has: a loop agrees with itself in many
places."""


@dataclass(frozen=True, slots=True)
class FingerprintMatch:
    """A sound that is recognised.

    Attributes:
        serial: Of its landmarks.
        offset: Seconds into the sound at which what was asked begins; negative where it begins earlier.
        speed: Times as fast as the catalogued sound that what was asked is played.
        votes: Pairs of landmarks that agree on it.
        score: How far it stands out from chance, 0 to 1: 1 - votes of chance / votes, or its share of all votes.
    """

    serial: int
    offset: float
    speed: float
    votes: int
    score: float


@dataclass(frozen=True, slots=True)
class _Candidate:
    """share: of the votes that are possible.  frame: of the sound at which what is asked begins."""

    votes: int
    share: float
    serial: int
    frame: float
    speed: float


def matches(index: ShardSet, seconds: F64, hertz: F64) -> list[FingerprintMatch]:
    """Looks for the sounds that landmarks come from.

    Args:
        index: Of the catalogue.
        seconds: Of the landmarks, ascending, some 5 to 15 s of them.
        hertz: Of the landmarks.

    Returns:
        Those that stand out, the best first; none for an unknown sound. Copies of a recording are several.
    """
    found = _apart(_voted(index, seconds, hertz, SPEEDS[0]))
    if not found or _margin(found[0], _chance(found)) < _CERTAIN:
        tried = (candidate for speed in SPEEDS[1:] for candidate in _voted(index, seconds, hertz, speed))
        found = _apart([*found, *tried])
    chance = _chance(found)
    best: dict[int, FingerprintMatch] = {}
    for candidate in found[:_RANK]:
        enough = 2 * candidate.votes >= found[0].votes and _stands_out(candidate, chance)
        if enough and candidate.serial not in best:
            score = max(1.0 - chance / candidate.votes, candidate.share)
            offset = candidate.frame * FRAME
            best[candidate.serial] = FingerprintMatch(candidate.serial, offset, candidate.speed, candidate.votes, score)
    return list(best.values())


def _chance(found: Sequence[_Candidate]) -> float:
    """The votes that chance gives."""
    return max(_LEAST_CHANCE, found[_RANK - 1].votes if len(found) >= _RANK else 0.0)


def _margin(candidate: _Candidate, chance: float) -> float:
    return (candidate.votes - chance) / math.sqrt(chance)


def _stands_out(candidate: _Candidate, chance: float) -> bool:
    least = _LEAST_MARGIN if candidate.speed == 1.0 else _LEAST_MARGIN_OF_SPEED
    margin = _margin(candidate, chance)
    clear = candidate.votes >= _CLEAR_VOTES and candidate.share >= _CLEAR_SHARE
    return clear or (candidate.votes >= _LEAST_VOTES and margin >= least)


def _voted(index: ShardSet, seconds: F64, hertz: F64, speed: float) -> Iterator[_Candidate]:
    asked, frames = hashes(seconds, hertz, ASKED if speed == 1.0 else ASKED_AT_SPEED, speed)
    order = np.argsort(asked)  # neighbours in memory are looked up one after the other
    asked, frames = asked[order], frames[order]
    possible = int(np.minimum(np.bincount(frames // _CELL), _CELL_VOTES).sum()) if len(frames) else 1
    for shard in index.shards:
        voted, voters = _differences(shard, asked, frames)
        if not len(voted):
            continue
        places, counts = np.unique(voted, return_counts=True)
        near = counts.copy()
        beside = np.flatnonzero(np.diff(places) == 1)
        near[beside] += counts[beside + 1]
        near[beside + 1] += counts[beside]
        dead = set(dead_rows(shard, index.present).tolist())
        best = places[np.argsort(-near, kind="stable")[: _CANDIDATES * (1 + len(dead))]]
        # half of the gap before a sound belongs to it: what is asked may begin earlier than it
        rows = np.maximum(0, np.searchsorted(shard.starts, best + GAP // 2, "right") - 1)
        for place, row in zip(best.tolist(), rows.tolist(), strict=True):
            if row not in dead:
                chosen = np.flatnonzero(np.abs(voted - place) <= 1)
                votes = int(np.minimum(np.bincount(voters[chosen] // _CELL), _CELL_VOTES).sum())
                frame = float(voted[chosen].mean()) - float(shard.starts[row])
                yield _Candidate(votes, votes / possible, int(shard.serials[row]), frame, speed)


def _differences(shard: Shard, asked: U32, frames: I64) -> tuple[I64, I64]:
    """For each entry of a shard with one of the hashes, where what is asked would begin, and the hash's frame."""
    first = np.searchsorted(shard.hashes, asked, "left")
    count = np.searchsorted(shard.hashes, asked, "right") - first
    count[count > COMMON] = 0
    total = int(count.sum())
    ends = np.cumsum(count)
    entries = np.arange(total) + np.repeat(first - (ends - count), count)
    voters = np.repeat(frames, count)
    return shard.places[entries].astype(np.int64) - voters, voters


def _apart(candidates: Iterable[_Candidate]) -> list[_Candidate]:
    """The candidates with the most votes, each more than a second from any better one of the same sound."""
    kept: list[_Candidate] = []
    for candidate in sorted(candidates, key=lambda c: (-c.votes, c.serial, c.frame)):
        if all(c.serial != candidate.serial or abs(c.frame - candidate.frame) > _APART for c in kept):
            kept.append(candidate)
            if len(kept) >= 2 * _RANK:
                break
    return kept
