"""Loops cut from human performances: POP909's piano, its lowest notes as bass, its melody, on other instruments.

They begin at phrase boundaries annotated by listeners. Loops drawn by `patterns` are even and begin on the tonic;
these need not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

import numpy as np

from antiphon.api import SHARP_NAMES
from antiphon_models.loops import corpus
from antiphon_models.loops.corpus import KnownLoop, LoopScore
from antiphon_models.loops.patterns import PatternNote
from antiphon_models.material.sounds import songs as folders

FIT, TEST = "123456", "789"
"""Last digits of the songs for fitting and evaluation; 0 is left out of the data."""
_MAX_BEAT_DEVIATION = 0.03
"""Maximum deviation of a loop's beats in seconds."""
_FLATS = {"Db": "C#", "Eb": "D#", "Gb": "F#", "Ab": "G#", "Bb": "A#", "Cb": "B"}
_PROGRAMS = {"bass": corpus.BASSES, "chords": corpus.CHORDS, "melody": corpus.MELODIES}


def drawn(data: Path, count: int, soundfont: str, seed: int, digits: str) -> Iterator[KnownLoop]:
    """`count` loops, or as many as available: at most three of a song, kinds in turn. data: a folder with pop909/."""
    rng = np.random.default_rng(seed)
    songs = folders(data, digits)
    scores: list[LoopScore] = []
    for turn in range(3):
        for place in rng.permutation(len(songs)):
            if len(scores) < count:
                score = _score(songs[place], ("chords", "melody", "bass")[(place + turn) % 3], rng)
                scores += [score] if score is not None else []
    for first in range(0, len(scores), 48):
        yield from corpus.render_together(scores[first : first + 48], soundfont, rng)


def _score(song: Path, kind: str, rng: np.random.Generator) -> LoopScore | None:
    """Score of a phrase of the song, or its beginning; None for uneven beats, a key change or few notes."""
    from antiphon.api.backends.files import read_midi

    keys = [line.split() for line in (song / "key_audio.txt").read_text().splitlines()]
    rows = [line.split() for line in (song / "beat_midi.txt").read_text().splitlines()]
    beats = [float(row[0]) for row in rows]
    bars = [n for n, row in enumerate(rows) if float(row[2]) >= 1.0]
    if len(keys) != 1 or len(bars) < 12:
        return None
    name, mode = keys[0][2].split(":")
    lengths = [int(n) for n in re.findall(r"[A-Za-z](\d+)", (song / "human_label1.txt").read_text())]
    phrases = [(first, n) for first, n in zip(accumulate([0, *lengths]), lengths, strict=False) if n >= 2]
    file = read_midi(song / f"{song.name}.mid")
    track = next((t for t in file.tracks if t.name == ("MELODY" if kind == "melody" else "PIANO")), None)
    if track is None or not phrases:
        return None
    for place in rng.permutation(len(phrases))[:6]:
        first, most = phrases[place]
        count = int(rng.choice([n for n in (1, 2, 4, 8) if n <= most and (n > 1 or kind != "bass")]))
        if first + count >= len(bars) or bars[first + count] - bars[first] != 4 * count:
            continue
        start, end = beats[bars[first]], beats[bars[first + count]]
        bpm = 240.0 * count / (end - start)
        if (
            not 60.0 <= bpm <= 180.0
            or np.ptp(np.diff(beats[bars[first] : bars[first + count] + 1])) > _MAX_BEAT_DEVIATION
        ):
            continue
        notes = []
        for note in track.notes:
            at, over = file.seconds(note.start), file.seconds(note.start + note.length)
            if start - 0.03 <= at < end - 0.03:
                speed = max(30, round(127 * note.velocity))
                notes.append(PatternNote((at - start) * bpm / 60.0, (over - at) * bpm / 60.0, note.number, speed))
        notes = _lowest(notes) if kind == "bass" else notes
        if len(notes) >= 3 * count and len({n.pitch for n in notes}) >= 3:
            key = f"{_FLATS.get(name, name)} {'major' if mode.startswith('maj') else 'minor'}"
            if key[:-6] not in SHARP_NAMES:
                return None
            return LoopScore(bpm, count, key, kind, int(rng.choice(_PROGRAMS[kind])), notes)
    return None


def _lowest(notes: list[PatternNote]) -> list[PatternNote]:
    """Lowest of simultaneous notes, within the range of a bass."""
    low = [n for n in notes if n.pitch < 58 and n.pitch == min(m.pitch for m in notes if abs(m.start - n.start) < 0.1)]
    return [PatternNote(n.start, n.length, n.pitch - 12 if n.pitch > 48 else n.pitch, n.velocity) for n in low]
