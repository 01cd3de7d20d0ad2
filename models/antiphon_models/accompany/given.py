"""Bands on given chords: whether the chords sound, whether the bass has their root, and how the voices move."""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from antiphon_accompany.band.notes import BeatNote
from antiphon_accompany.band.voicing import parallels
from antiphon_accompany.harmony.chords import Chord, read_chord
from antiphon_accompany.harmony.chordtext import ChordSpan, spans_of, timed_labels
from antiphon_models.accompany.measures import chords_of
from antiphon_models.accompany.songs import AnnotatedSong

PROGRESSIONS = (
    "| C | Am | F | G7 | Em | Am | Dm7 G7 | C |",
    "| Dm7 | G7 | Cmaj7 | A7 | Dm7 | Db7 | Cmaj7 | Cmaj7 |",
    "| Am | F | C | G | Am | Dm | E7 | Am |",
    "| Gm7 | C7 | Fmaj7 | Bbmaj7 | Em7b5 | A7 | Dm | Dm6 |",
    "| D | D/F# | G | A7sus4 | Bm | Bm/A | Em7 A7 | D |",
    "| Eb | Cm7 | Abmaj7 | Bb7 | Gm | Cm | Fm7 Bb7 | Eb6 |",
    "| F#m | E | D | C#7 | F#m | Bm7 | C#7sus4 C#7 | F#m |",
    "| C7 | F7 | C7 | C7 | F7 | F#dim7 | C7 | G7 |",
)
"""Bars of common progressions: pop, jazz, blues; sevenths, suspensions, inversions."""
MAX_FOREIGN = 0.1
"""Maximum share of the notes' time outside a chord, in which passing tones fit."""
_REPEATS, _TEMPO, _METER = 3, 100.0, 4
_LOW, _HIGH = 67, 84


def written_songs(seed: int, count: int = len(PROGRESSIONS)) -> Iterator[AnnotatedSong]:
    """Yields songs of `PROGRESSIONS`, each three times through, with melodies of chord tones drawn by seed."""
    for number, text in enumerate(PROGRESSIONS[:count]):
        rng = np.random.default_rng([seed, number])
        once = spans_of(text, float(_METER))
        length = once[-1].end
        spans = spans_of(text, float(_METER), None, 0.0, _REPEATS * length)
        melody, pitch = [], 74
        for beat in range(round(spans[-1].end)):
            chord = next(span.chord for span in spans if span.start <= beat < span.end)
            assert chord is not None
            if beat % _METER == 3 and rng.random() < 0.4:
                continue
            near = [p for p in range(max(_LOW, pitch - 5), min(_HIGH, pitch + 5) + 1) if p % 12 in chord.tones]
            pitch = int(rng.choice(near))
            melody.append(BeatNote(float(beat), beat + 0.95, pitch, 0.7))
        beats = np.asarray(60.0 / _TEMPO * np.arange(round(spans[-1].end)), np.float64)
        triads = np.array([s.chord.triad for n in range(len(beats)) for s in spans if s.start <= n < s.end and s.chord])
        labels = timed_labels(spans, lambda beat: beat * 60.0 / _TEMPO)
        yield AnnotatedSong(f"written {number + 1}", beats, _METER, 0, melody, [], triads, labels, 0)


def spans_of_song(song: AnnotatedSong) -> list[ChordSpan]:
    """Annotated chords of a song in beats, to the half, up to the end of its melody; those of unknown kinds as none."""
    numbers, last = np.arange(len(song.beats)), max(note.end for note in song.melody)
    spans = []
    for start, end, label in song.labels:
        first, stop = (round(float(np.interp(second, song.beats, numbers)) * 2.0) / 2.0 for second in (start, end))
        if first < stop <= last:
            spans.append(ChordSpan(first, stop, _readable(label)))
    return spans


def _readable(label: str) -> Chord | None:
    try:
        return read_chord(label)
    except ValueError:
        return None


def band_figures(notes: Sequence[BeatNote], spans: Sequence[ChordSpan]) -> dict[str, float]:
    """Figures of a band's notes on chords in beats, all parts but drums.

    sounded: share of beats on major and minor triads whose triad is the given one.  tones: share of chords whose root,
    third and seventh all sound, with at most `MAX_FOREIGN` of the time on other notes.  bass: share of chords whose
    bass is the first note of the bass in them.  parallels: changes in a hundred with parallel fifths or octaves between
    bass and piano, of which the outer voices count where their number changes; a note alone is none.
    """
    tuned = [n for n in notes if n.part != "drums"]
    known = [span for span in spans if span.chord is not None and span.end - span.start >= 1.0]
    triads = chords_of(tuned, math.ceil(max((span.end for span in spans), default=0.0)))
    hits = [
        triads[beat] == span.chord.triad
        for span in known
        if span.chord is not None and span.chord.kind in ("", "m")
        for beat in range(math.ceil(span.start - 1e-6), math.floor(span.end + 1e-6))
    ]
    return {
        "sounded": float(np.mean(hits)) if hits else math.nan,
        "tones": float(np.mean([_whole(tuned, span) for span in known])) if known else math.nan,
        "bass": _bass_share([n for n in notes if n.part == "bass"], known),
        "parallels": _parallel_share([n for n in notes if n.part in ("bass", "piano")], spans),
    }


def _whole(notes: Sequence[BeatNote], span: ChordSpan) -> bool:
    """Whether the chord's root, third and seventh sound in its span, and little else."""
    assert span.chord is not None
    weights = np.zeros(12)
    for note in notes:
        weights[note.pitch % 12] += max(0.0, min(note.end, span.end) - max(note.start, span.start))
    chord = span.chord
    asked = [chord.tones[n] for n in (0, 1, *range(3, min(4, len(chord.tones))))]
    own = weights[list({*chord.tones, chord.bass})].sum()
    return bool(min(weights[asked]) > 0.02 and own >= (1.0 - MAX_FOREIGN) * weights.sum())


def _bass_share(notes: Sequence[BeatNote], spans: Sequence[ChordSpan]) -> float:
    right = []
    for span in spans:
        inside = [n for n in notes if span.start - 0.02 <= n.start < span.end - 0.02]
        if inside and span.chord is not None:
            right.append(min(inside, key=lambda n: (round(n.start * 8), n.pitch)).pitch % 12 == span.chord.bass)
    return float(np.mean(right)) if right else math.nan


def _parallel_share(notes: Sequence[BeatNote], spans: Sequence[ChordSpan]) -> float:
    bad = changes = 0
    for before, after in pairwise(spans):
        if before.chord is None or after.chord is None or before.chord == after.chord:
            continue
        changes += 1
        then, now = (_sounding(notes, after.start + late) for late in (-0.1, 0.15))
        if len(then) != len(now) and min(len(then), len(now)) > 1:  # a note alone is no two voices
            then, now = ((sounds[0], sounds[-1]) for sounds in (then, now))
        bad += bool(parallels(then, now))
    return 100.0 * bad / changes if changes else math.nan


def _sounding(notes: Sequence[BeatNote], beat: float) -> tuple[int, ...]:
    return tuple(sorted(n.pitch for n in notes if n.start <= beat < n.end))
