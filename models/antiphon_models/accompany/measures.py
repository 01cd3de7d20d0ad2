"""Measures of an accompaniment: chord agreement, clashes with the melody, and similarity to a pianist's texture."""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from antiphon_accompany.band.notes import BeatNote
from antiphon_accompany.harmony.chords import label, tones
from antiphon_models.accompany.songs import AnnotatedSong

_STEP = 24


def agreement(song: AnnotatedSong, chords: Sequence[int]) -> float:
    """mir_eval's majmin of each beat's chord (-1: none) with the human's, weighted by time."""
    import mir_eval

    last = 2.0 * song.beats[-1] - song.beats[-2]
    edges = np.append(song.beats, last)
    ours = np.stack((edges[:-1], edges[1:]), axis=1)
    estimates = [label(c) if c >= 0 else "N" for c in chords[: len(song.beats)]]
    theirs = np.array([(start, end) for start, end, _ in song.labels if end > start])
    names = [text for start, end, text in song.labels if end > start]
    return float(mir_eval.chord.evaluate(theirs, names, ours, estimates)["majmin"])


def chords_of(notes: Sequence[BeatNote], beats: int) -> list[int]:
    """Best-fitting major or minor triad per beat, its lowest note weighted double; held over beats without notes."""
    result, before = [], -1
    for beat in range(beats):
        weights = np.zeros(12)
        inside = [n for n in notes if n.start < beat + 1 and n.end > beat]
        for note in inside:
            weights[note.pitch % 12] += min(note.end, beat + 1) - max(note.start, beat)
        if inside:
            weights[min(n.pitch for n in inside) % 12] += 0.5
            fits = [weights[list(tones(c))].sum() + 0.1 * weights[tones(c)[0]] for c in range(24)]
            before = int(np.argmax(fits))
        result.append(before)
    return result


def clash(melody: Sequence[BeatNote], notes: Sequence[BeatNote]) -> float:
    """Share of melody time in which an accompanying note is a semitone or a minor ninth from it."""
    last = math.ceil(max(n.end for n in melody)) * _STEP
    bad = total = 0
    for tune in melody:
        first, end = round(tune.start * _STEP), min(last, round(tune.end * _STEP))
        if end <= first:
            continue
        rub = np.zeros(end - first, bool)
        for note in notes:
            if abs(note.pitch - tune.pitch) in (1, 13) and note.start < tune.end and note.end > tune.start:
                rub[max(0, round(note.start * _STEP) - first) : max(0, round(note.end * _STEP) - first)] = True
        bad += int(rub.sum())
        total += end - first
    return bad / max(1, total)


@dataclass(frozen=True)
class Texture:
    """density: notes per beat.  polyphony: notes sounding at once, while any do.  height, spread: mean and standard
    deviation of pitch in semitones.  variety: entropy of the bars' rhythms on a grid of sixteenths, in bits.
    """

    density: float
    polyphony: float
    height: float
    spread: float
    variety: float


def texture(notes: Sequence[BeatNote], first: int, meter: int) -> Texture:
    """Texture of notes whose bars begin at `first` and every `meter` beats."""
    start, end = min(n.start for n in notes), max(n.end for n in notes)
    sounding = np.zeros(math.ceil((end - start) * _STEP) + 1)
    rhythms: dict[int, set[int]] = defaultdict(set)
    for note in notes:
        sounding[round((note.start - start) * _STEP) : max(1, round((note.end - start) * _STEP))] += 1
        bar, place = divmod(round((note.start - first) * 4), meter * 4)
        rhythms[bar].add(place)
    kinds = np.array(list(Counter(tuple(sorted(r)) for r in rhythms.values()).values()), float)
    share = kinds / kinds.sum()
    pitches = np.array([n.pitch for n in notes], float)
    return Texture(
        len(notes) / (end - start),
        float(sounding[sounding > 0].mean()),
        float(pitches.mean()),
        float(pitches.std()),
        float(-(share * np.log2(share)).sum()),
    )


def texture_distance(ours: Texture, theirs: Texture) -> dict[str, float]:
    """Distance of a texture from a pianist's: |log2 ratio| twice, octaves twice, a relative difference."""
    return {
        "density": abs(math.log2(ours.density / theirs.density)),
        "polyphony": abs(math.log2(ours.polyphony / theirs.polyphony)),
        "height": abs(ours.height - theirs.height) / 12.0,
        "spread": abs(ours.spread - theirs.spread) / 12.0,
        "variety": abs(ours.variety - theirs.variety) / max(theirs.variety, 0.5),
    }
