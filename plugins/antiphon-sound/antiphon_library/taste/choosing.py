"""Recommendation of next tracks by signals, the last track and co-play; its requests, and its prediction.

Preferences are Bayesian linear regression on likes and skips, in its dual form. A kernel gives the similarity of
tracks: in sound, artist and genre, and by co-play of other listeners. The posterior of a Gaussian process
with that kernel (Rasmussen and Williams, 2006, 2.2) gives each track a mean in closed form, for a few hundred signals
and any number of tracks.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.api import UsageError
from antiphon.api.backends.files import printable_path
from antiphon.api.backends.runtime import shorten
from antiphon.api.jobs import spell
from antiphon_library.catalogue import Catalogue
from antiphon_library.operations import SIGNALS, ChosenSounds, Next
from antiphon_library.records import SUMMARY
from antiphon_library.taste_tables import Signal, TasteTables, TrackRow

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
DIMENSIONS = 14
"""Principal components of compared vectors."""
CONTENT, ARTIST, GENRE = 0.15, 0.5, 0.3
"""Weight of content relative to co-play; within content, weights of the same artist and genre relative to 1 for the
same sound. Tuned on simulated listeners."""
NOISE = 1.0
"""Variance of a signal."""


FEW = 100
"""Number of tracks at which the components are half-way between their own variances and equal ones: few tracks tell
nothing of the directions in which they differ, and at equal variances 15 or fewer are all equally far apart."""


def components(vectors: F64, count: int = DIMENSIONS) -> F64:
    """The first principal components `[n, count]` of the directions of vectors `[n, d]`; NaN for rows of NaN.

    Their mean variance is 1; of many tracks each has nearly 1, of few (`FEW`) their distances are those of `similar`.
    """
    known = np.isfinite(vectors).all(axis=1)
    found = np.full((len(vectors), max(1, min(count, vectors.shape[1]))), np.nan)
    if known.sum() < 2:
        found[known] = 0.0
        return found
    rows = vectors[known]
    rows = rows - rows.mean(axis=0)
    rows /= rows.std(axis=0) + 1e-9
    rows /= np.linalg.norm(rows, axis=1, keepdims=True) + 1e-9
    values, axes = np.linalg.eigh(rows.T @ rows / len(rows))
    best = np.argsort(-values)[: found.shape[1]]
    axes = axes[:, best] * np.sign(axes[np.abs(axes[:, best]).argmax(axis=0), best])
    equal = len(rows) / (len(rows) + FEW)
    points = rows @ axes / np.maximum(values[best], 1e-9 * max(values[best][0], 1e-9)) ** (0.5 * equal)
    found[known] = points / max(1e-9, np.sqrt((points**2).mean()))
    return found


@dataclass(slots=True)
class TrackKernel:
    """Kernel of the Gaussian process: similarity of tracks.

    `together`: weight of co-play by other listeners, by track and other track, at most 1.
    """

    points: F64  # `components` of their vectors, `[n, d]`
    artist: I64  # A number for each artist, -1 where it is not known, `[n]`
    genre: I64  # the same for genres, `[n]`
    together: dict[int, dict[int, float]] = field(default_factory=dict)
    content: float = CONTENT

    def columns(self, others: Sequence[int]) -> F64:
        """Kernel columns `[n, others]`: all tracks against some."""
        chosen = np.asarray(others, np.int64)
        points = np.nan_to_num(self.points)
        known = np.isfinite(self.points[:, 0])
        squares = (points**2).sum(axis=1)
        distance = squares[:, None] + squares[None, chosen] - 2.0 * points @ points[chosen].T
        # a bandwidth at which two tracks chosen by chance are about e^-2 alike
        alike = np.exp(-np.maximum(distance, 0.0) / points.shape[1]) * (known[:, None] & known[None, chosen])
        for labels, weight in ((self.artist, ARTIST), (self.genre, GENRE)):
            alike += weight * ((labels[:, None] == labels[None, chosen]) & (labels[:, None] >= 0))
        # a track without a vector is as much like itself as any other
        alike[chosen, np.arange(len(chosen))] = 1.0 + ARTIST + GENRE
        found = np.asarray(self.content * alike)
        for column, other in enumerate(chosen):
            found[other, column] += 1.0 if self.together else 0.0
            for track, weight in self.together.get(int(other), {}).items():
                found[track, column] += weight
        return found

    def likeness(self, one: int, other: int) -> dict[str, float]:
        """Similarity of two tracks by component: "sound", "artist", "genre" and "together" (co-play)."""
        away = float(((self.points[one] - self.points[other]) ** 2).sum())
        found = {"sound": 0.0 if np.isnan(away) else float(np.exp(-away / self.points.shape[1]))}
        for name, labels, weight in (("artist", self.artist, ARTIST), ("genre", self.genre, GENRE)):
            found[name] = weight if labels[one] == labels[other] >= 0 else 0.0
        found = {name: self.content * weight for name, weight in found.items()}
        return {**found, "together": self.together.get(other, {}).get(one, 0.0)}


def track_preferences(kernel: TrackKernel, tracks: Sequence[int], signals: Sequence[float]) -> F64:
    """Preferences for all tracks, `[n]`, after signals: 1 for liked, negative for skipped, each of variance `NOISE`.

    `tracks`: which the signals are about, each once.
    """
    if not tracks:
        return np.zeros(len(kernel.points))
    across = kernel.columns(tracks)
    scale = NOISE * (1.0 if kernel.together else kernel.content)
    # companions are cut to the nearest, so their table may have small negative eigenvalues
    values, axes = np.linalg.eigh(across[list(tracks)])
    turned = across @ axes
    weights = 1.0 / (np.maximum(values, 0.0) + scale + 1e-9)
    return np.asarray(turned @ (weights * (axes.T @ np.asarray(signals, np.float64))))


def numbers(labels: Iterable[str]) -> I64:
    """Integer code of each distinct label, ignoring case; -1 for an empty one."""
    known: dict[str, int] = {}
    return np.array(
        [known.setdefault(folded, len(known)) if (folded := label.strip().casefold()) else -1 for label in labels],
        np.int64,
    )


VALUES = {"like": 1.0, "play": 0.6, "skip": -0.05, "dislike": -0.6}
"""Rating of each signal, -1 to 1; a skip is weak evidence about similar tracks."""
HALF_LIFE = 60 * 86400.0
"""Half-life of a signal's weight in seconds."""
REPEAT_SECONDS = 6 * 3600.0
"""Seconds for which a track is not recommended again after any signal about it."""
MAX_SIGNALS = 300
"""Maximum number of tracks with signals, newest first; the computation time is quadratic in it."""
CONTINUITY = 0.2
"""Weight of similarity to the previous track, relative to 1 for the most preferred track."""
ARTIST_PENALTY = 0.08
"""Score penalty after a recent track of the same artist, relative to 1 for the most preferred track; quadratic in the
number of recent tracks."""
ARTIST_DECAY = 0.8
"""Decay per track of an artist's recent plays."""
MAX_TRACKS = 500
"""Maximum tracks of a playlist."""


@dataclass
class TrackTable:
    """All tracks, in columns.

    `together`: (sound, other, weight) of co-play by other listeners. `samples`: sounds that are not recommended unless
    asked for: loops, one-shots, speech, ambience, and also the shipped sounds if the listener has others.
    """

    rows: list[TrackRow]
    together: list[tuple[int, int, float]] = field(default_factory=list)
    samples: frozenset[int] = frozenset()

    @classmethod
    def load(cls, tables: TasteTables) -> TrackTable:
        """Table of the tracks, signals and companions of a catalogue."""
        tracks, shipped = tables.tracks(), tables.shipped_sounds()
        notes, noises = (
            frozenset(sound for sound, kind in tables.kinds().items() if kind in kinds)
            for kinds in (("loop", "one-shot"), ("speech", "ambience"))
        )
        every = {row.id for row in tracks}
        # one's own music; without any one's own other recordings, then what ships
        choices = (notes | noises | shipped, notes | shipped, notes if every - shipped else frozenset())
        left_out = next((these for these in choices if every - these), notes)
        return cls(tracks, tables.companions(), left_out)

    @classmethod
    def of(cls, catalogue: Catalogue) -> TrackTable:
        """Returns the table of a catalogue, cached until its tracks change."""
        made_of = (catalogue.path, catalogue.taste.stamp())
        with _LOADING:
            if _kept[:1] != [made_of]:
                _kept[:] = [made_of, cls.load(catalogue.taste)]
            table: TrackTable = _kept[1]
        return table

    @cached_property
    def place(self) -> Mapping[int, int]:
        """Row by sound."""
        return {row.id: place for place, row in enumerate(self.rows)}

    @property
    def vectors(self) -> F64:
        """Vectors `[n, d]`, NaN where missing; d is the most common length."""
        lengths = [len(row.vector) for row in self.rows if row.vector is not None]
        size = max(set(lengths), key=lengths.count) if lengths else 1
        found = np.full((len(self.rows), size), np.nan)
        for place, row in enumerate(self.rows):
            if row.vector is not None and len(row.vector) == size:
                found[place] = row.vector
        return found

    @cached_property
    def kernel(self) -> TrackKernel:
        """Similarity matrix of the tracks."""
        together: dict[int, dict[int, float]] = {}
        for sound, other, weight in self.together:
            if sound in self.place and other in self.place:
                together.setdefault(self.place[sound], {})[self.place[other]] = weight
        return TrackKernel(
            components(self.vectors),
            numbers(row.tags.get("artist", "") for row in self.rows),
            numbers(row.tags.get("genre", "") for row in self.rows),
            together,
        )


_LOADING = Lock()
_kept: list[Any] = []
"""Path and version of a catalogue, and its cached table."""


@dataclass(frozen=True, slots=True)
class TrackChoice:
    """A chosen track: its expected signal, about -1 to 1, and the reason in words, if a signal had an effect."""

    row: TrackRow
    score: float
    why: str = ""


def playlist(
    table: TrackTable, signals: Sequence[Signal], count: int, after: int | None = None, now: float | None = None
) -> list[TrackChoice]:
    """At most `count` recommended tracks, in playing order.

    Equal signals, oldest first, give equal tracks. `after`: the sound that plays now; None for the last sound that was
    played or liked in the last hours.
    """
    now = time.time() if now is None else now
    kernel = table.kernel
    found = predict_preferences(table, signals, now)
    size = len(table.rows)
    allowed = np.array([row.id not in table.samples for row in table.rows], np.bool_)
    liked = {table.place[s.sound]: VALUES[s.kind] for s in signals if s.sound in table.place}
    for signal in signals:
        place = table.place.get(signal.sound)
        if place is not None and (signal.kind == "dislike" or now - signal.time < REPEAT_SECONDS):
            allowed[place] = False
    last = after if after is not None else _last(signals, now)
    at = None if last is None else table.place.get(last)
    if at is not None:
        allowed[at] = False
    score = _relative_to_best(found) + 1e-6 * np.random.default_rng(0).random(size)
    heard = _recent_artist_plays(table, signals, now)
    chosen: list[TrackChoice] = []
    while len(chosen) < min(count, MAX_TRACKS) and allowed.any():
        total = score - ARTIST_PENALTY * heard**2
        if at is not None:
            total = total + CONTINUITY * _relative_to_best(np.where(allowed, kernel.columns([at])[:, 0], 0.0))
        before, at = at, int(np.argmax(np.where(allowed, total, -np.inf)))
        allowed[at] = False
        heard = ARTIST_DECAY * heard + _same(kernel.artist, at)
        chosen.append(TrackChoice(table.rows[at], float(found[at]), _why(table, liked, at, before)))
    return chosen


_WORDS = {
    "sound": "sounds like {}",
    "artist": "by the artist of {}",
    "genre": "of the genre of {}",
    "together": "others play it with {}",
}
_MIN_REASON_SHARE = 0.1
"""Minimum share of a track's self-similarity to be a reason."""


def _why(table: TrackTable, liked: Mapping[int, float], at: int, before: int | None) -> str:
    kernel = table.kernel
    weights = {place: value for place, value in liked.items() if value > 0.0}
    if before is not None:
        weights.setdefault(before, CONTINUITY)
    others = [place for place in weights if place != at]
    if not others:
        return ""
    column = kernel.columns([at])[:, 0]
    nearest = max(others, key=lambda place: float(weights[place] * column[place]))
    likeness = kernel.likeness(at, nearest)
    reason = max(likeness, key=lambda name: likeness[name])
    name = shorten(
        table.rows[nearest].tags.get("title") or printable_path(os.fsdecode(os.path.basename(table.rows[nearest].path)))
    )
    return _WORDS[reason].format(name) if likeness[reason] > _MIN_REASON_SHARE * kernel.content else ""


def predict_preferences(table: TrackTable, signals: Sequence[Signal], now: float) -> F64:
    """Predicted preference for each track from signals, with weights decaying by age."""
    latest: dict[int, float] = {}
    for signal in signals:
        place = table.place.get(signal.sound)
        if place is not None:
            latest.pop(place, None)
            age = max(0.0, now - signal.time)
            latest[place] = VALUES[signal.kind] * math.exp2(-age / HALF_LIFE)
    kept = dict(list(latest.items())[-MAX_SIGNALS:])
    return track_preferences(table.kernel, list(kept), list(kept.values()))


def _last(signals: Sequence[Signal], now: float) -> int | None:
    recent = (s.sound for s in reversed(signals) if s.kind in ("play", "like") and now - s.time < REPEAT_SECONDS)
    return next(recent, None)


def _recent_artist_plays(table: TrackTable, signals: Sequence[Signal], now: float) -> F64:
    """Recent plays and skips of each track's artist."""
    heard = np.zeros(len(table.rows))
    for signal in signals[-20:]:
        place = table.place.get(signal.sound)
        if place is not None and now - signal.time < REPEAT_SECONDS:
            heard = ARTIST_DECAY * heard + _same(table.kernel.artist, place)
    return heard


def _relative_to_best(values: F64) -> F64:
    """Values relative to the best one, above the median."""
    above = values - np.median(values)
    most = above.max(initial=0.0)
    return np.asarray(above / most if most > 1e-12 else np.zeros_like(values))


def _same(artist: np.ndarray, place: int) -> F64:
    return np.asarray(((artist == artist[place]) & (artist >= 0)), np.float64)


MAX_FILES = 200
"""Maximum signals of one request."""


def next_summaries(catalogue: Catalogue, asked: Next) -> ChosenSounds:
    """Stores the signals of a request, and returns the recommended tracks.

    Each track has its summary, `id`, `score` (the expected signal) and `why` (reasons in words); the next track comes
    first. Raises `UsageError`: a file is not in the catalogue, or cannot be read, or there is nothing to
    choose from.
    """
    table = TrackTable.of(catalogue)
    if asked.all:
        table = replace(table, samples=frozenset())
    if not table.rows:
        raise UsageError(f"the library {catalogue.path} holds no sound; `antiphon library add FOLDER` adds some")
    if all(row.id in table.samples for row in table.rows):
        raise UsageError(
            f"the library {catalogue.path} holds only loops and one-shots, which {spell('all')} takes, and `next` is "
            "for tracks"
        )
    files = [(file, kind) for kind in SIGNALS for file in _each(getattr(asked, kind))]
    if len(files) > MAX_FILES:
        raise UsageError(f"a request has at most {MAX_FILES} files")
    given = [(catalogue_id(catalogue, file_of(catalogue, file)), kind) for file, kind in files]
    after = None if asked.after is None else catalogue_id(catalogue, file_of(catalogue, asked.after))
    new = given if after is None else [*given, (after, "play")]
    if new:
        catalogue.taste.put_signals(new)
    chosen = playlist(table, catalogue.taste.signals(), asked.count, after)
    found = []
    for choice in chosen:
        row = next(iter(catalogue.rows(path=choice.row.path, only=SUMMARY)))
        why = [choice.why] if choice.why else []
        found.append({**row.summary(), "id": choice.row.id, "score": round(choice.score, 4), "why": why})
    return ChosenSounds(found, sum(row.id in table.samples for row in table.rows))


def catalogue_id(catalogue: Catalogue, path: bytes) -> int:
    """Number of a file's sound; `UsageError` without one."""
    sound = catalogue.taste.sound_of_file(path)
    if sound is None:
        name = shorten(printable_path(os.fsdecode(path)), 120)
        raise UsageError(
            f"the library {catalogue.path} has no sound of {name}; `antiphon library list` shows what it has"
        )
    return sound


def _each(files: Any) -> tuple[str | int, ...]:
    return files if isinstance(files, tuple) else (files,)


def file_of(catalogue: Catalogue, given: str | int) -> bytes:
    """The path of a file, from a path or a track's number; `UsageError` where it can be none."""
    if isinstance(given, str) and "\0" not in given:
        try:
            return catalogue.taste.path_of(os.fsencode(os.path.abspath(given)))
        except UnicodeError:
            raise UsageError("a file is a path in UTF-8, or a track's number") from None
    if isinstance(given, int):
        path = catalogue.taste.file_of_sound(given)
        if path is None:
            raise UsageError(f"the library has no track {shorten(str(given), 20)}")
        return path
    raise UsageError("a file is a path, or a track's number")
