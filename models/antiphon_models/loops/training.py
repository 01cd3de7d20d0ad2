"""Fits `tables.json`: `python -m antiphon_models.loops.training DATA`. Uses ridge regression in closed form.

The material is random loops and loops cut from songs. The shipped tables are fitted on both soundfonts; the figures of
`evaluation` are fitted on one, and measured on the other with other loops and songs.
"""

import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np

from antiphon.api import F64, SHARP_NAMES
from antiphon_loops.analysis import tables, tempo
from antiphon_loops.analysis.spectrum import RATE, Picture, picture
from antiphon_loops.analysis.tables import FILE, LinearScore, LoopTables
from antiphon_loops.record import ROLES
from antiphon_models.loops import corpus
from antiphon_models.loops.corpus import RATE as RENDERED, KnownLoop, LoopScore, PatternNote
from antiphon_models.material.sounds import songs as folders

FIT, TEST = "123456", "789"
"""Last digits of the songs for fitting and evaluation; 0 is unused."""
_MAX_BEAT_DEVIATION = 0.03
"""Maximum deviation in seconds of a loop's beats from even ones."""
_FLATS = {"Db": "C#", "Eb": "D#", "Gb": "F#", "Ab": "G#", "Bb": "A#", "Cb": "B"}
_PROGRAMS = {"bass": corpus.BASSES, "chords": corpus.CHORDS, "melody": corpus.MELODIES}


def render_loops(data: Path, count: int, soundfont: str, seed: int, digits: str) -> Iterator[KnownLoop]:
    """Renders up to `count` loops, at most three per song, cycling through the kinds. data: a folder with pop909/."""
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
    """Keeps the lowest of simultaneous notes, moved into the range of a bass."""
    low = [n for n in notes if n.pitch < 58 and n.pitch == min(m.pitch for m in notes if abs(m.start - n.start) < 0.1)]
    return [PatternNote(n.start, n.length, n.pitch - 12 if n.pitch > 48 else n.pitch, n.velocity) for n in low]


COUNT, SONGS = 1056, 240
"""Numbers of random loops and of loops from songs per soundfont, for the shipped tables."""
SEEDS = {
    "fluidr3": {31: 192, 102: 192, 202: 192, 302: 240, 312: 240},
    "timgm6mb": {31: 192, 101: 192, 201: 192, 301: 240, 311: 240},
}
"""Seeds of the fitted loops, and number of loops of each; evaluation uses another seed and other songs."""
_SONGS = 31
_RIDGE = {"tempo": 0.3, "key": 10.0, "family": 10.0}


@dataclass(frozen=True, slots=True)
class LabelledLoop:
    """Features of a known loop with its truth. key: its index in `tables.LABELS`, -1 for none."""

    role: str
    bars: int
    key: int
    candidates: list[int]
    tempo: F64
    harmony: F64
    family: F64


def item(seen: Picture, role: str, bars: int, key_name: str | None) -> LabelledLoop:
    options = tempo.candidates(seen.seconds)
    place = -1 if key_name is None else tables.LABELS.index(key_name)
    tempi, harmony = tempo.features(seen, options), tables.key_features(seen.notes)
    return LabelledLoop(role, bars, place, options, tempi, harmony, tables.features(seen))


def items(loops: Iterable[KnownLoop]) -> Iterable[LabelledLoop]:
    import soxr

    for known in loops:
        mono = soxr.resample(known.samples.mean(axis=0), RENDERED, RATE).astype(np.float32)
        seen = picture(mono, known.samples.shape[1] / RENDERED)
        yield item(seen, known.kind, known.bars, known.key)


def loops(soundfont: str, count: int, data: Path | None, cut: int) -> Iterator[KnownLoop]:
    """Renders the fitting material: `count` random loops, and `cut` loops of songs if available."""
    for seed, most in SEEDS[soundfont].items():
        yield from corpus.render_loops(min(count, most), soundfont, seed)
        count = max(0, count - most)
    if data is not None:
        yield from render_loops(data, cut, soundfont, _SONGS, FIT)


def fit(known: Sequence[LabelledLoop]) -> LoopTables:
    return LoopTables(
        {role: _tempo([x for x in known if x.role == role]) for role in ROLES},
        {role: _key([x for x in known if x.role == role]) for role in ROLES if role != "drums"},
        _family(known),
    )


def _tempo(known: Sequence[LabelledLoop]) -> LinearScore:
    """Fits a linear score to the feature differences of the right candidate from each wrong one."""
    rows = np.vstack([x.tempo for x in known])
    mean, spread = rows.mean(axis=0), rows.std(axis=0) + 1e-3
    pairs = []
    for x in known:
        if x.bars in x.candidates:
            z = (x.tempo - mean) / spread
            right = x.candidates.index(x.bars)
            pairs += [z[right] - z[n] for n in range(len(z)) if n != right]
    a = np.array(pairs)
    ridge = _RIDGE["tempo"] * len(known) * np.eye(a.shape[1])
    return LinearScore(mean, spread, np.linalg.solve(a.T @ a + ridge, a.sum(axis=0)))


def _key(known: Sequence[LabelledLoop]) -> F64:
    left: F64 | float = 0.0
    right: F64 | float = 0.0
    for x in known:
        if x.key >= 0:
            rows = tables.design(x.harmony)
            rows = rows - rows.mean(axis=0)
            left = left + rows.T @ rows
            right = right + rows[x.key]
    assert isinstance(left, np.ndarray)
    return np.asarray(np.linalg.solve(left + _RIDGE["key"] * np.eye(len(left)), right))


def _family(known: Sequence[LabelledLoop]) -> LinearScore:
    rows = np.array([x.family for x in known])
    mean, spread = rows.mean(axis=0), rows.std(axis=0) + 1e-6
    a = tables.expand_features(rows, mean, spread)
    wanted = np.eye(len(ROLES))[[ROLES.index(x.role) for x in known]]
    ridge = _RIDGE["family"] * np.eye(a.shape[1])
    return LinearScore(mean, spread, np.asarray(np.linalg.solve(a.T @ a + ridge, a.T @ wanted), np.float64))


def main(data: Path) -> None:
    known = [x for soundfont in SEEDS for x in items(loops(soundfont, COUNT, data, SONGS))]
    FILE.write_text(json.dumps(fit(known).to_json(), separators=(",", ":")) + "\n")
    print(f"{FILE.name}: {FILE.stat().st_size} bytes, from {len(known)} loops")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
