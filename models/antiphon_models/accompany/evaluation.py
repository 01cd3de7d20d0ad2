"""`antiphon evaluate accompany`: compares chords and piano with baselines and with the pianist of the song."""

import json
import math
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import numpy as np

from antiphon.api import Value
from antiphon.api.backends.files import read_midi
from antiphon_accompany.band.parts import BeatNote
from antiphon_accompany.band.styles import NAMES, PARTS
from antiphon_accompany.band.voicing import parallels
from antiphon_accompany.files.offline import TICKS, melody_of
from antiphon_accompany.harmony.chords import Chord, absolute, label, parse, read_chord, tones
from antiphon_accompany.harmony.chordtext import ChordSpan, spans_of, timed_labels
from antiphon_models.accompany.songs import TEST, AnnotatedSong, songs
from antiphon_models.learning.evaluation import Evaluation, EvaluationRequest, MetricValue, metric_values
from antiphon_models.learning.user_commands import command
from antiphon_models.material import part_songs

# ---- Measures of an accompaniment: chord agreement, clashes with the melody, and similarity to a pianist's texture

_STEP = 24


def agreement(song: AnnotatedSong, chords: Sequence[int]) -> float:
    """Agreement of each beat's chord (-1: none) with the human's by mir_eval's majmin score, weighted by time."""
    import mir_eval

    last = 2.0 * song.beats[-1] - song.beats[-2]
    edges = np.append(song.beats, last)
    ours = np.stack((edges[:-1], edges[1:]), axis=1)
    estimates = [label(c) if c >= 0 else "N" for c in chords[: len(song.beats)]]
    theirs = np.array([(start, end) for start, end, _ in song.labels if end > start])
    names = [text for start, end, text in song.labels if end > start]
    return float(mir_eval.chord.evaluate(theirs, names, ours, estimates)["majmin"])


def chords_of(notes: Sequence[BeatNote], beats: int) -> list[int]:
    """The best-fitting triad per beat; the lowest note counts double, and a beat without notes repeats the last."""
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
    """Distances from a pianist's texture: |log2 ratio| for two fields, octaves for two, relative difference for one."""
    return {
        "density": abs(math.log2(ours.density / theirs.density)),
        "polyphony": abs(math.log2(ours.polyphony / theirs.polyphony)),
        "height": abs(ours.height - theirs.height) / 12.0,
        "spread": abs(ours.spread - theirs.spread) / 12.0,
        "variety": abs(ours.variety - theirs.variety) / max(theirs.variety, 0.5),
    }


# ---- Songs with known chords, drawn at random, where POP909 is not at hand

DRAWN_SONGS = 24
"""Number of songs where no limit is given; standard errors are then near 0.02."""
BARS, METER = 32, 4
_SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10))
_FOLLOWING: dict[int, tuple[int, ...]] = {
    0: (5, 7, 9, 14, 16), 5: (0, 7, 14), 7: (0, 0, 9), 9: (5, 14, 7), 14: (7, 7, 5), 16: (9, 5),
    12: (17, 19, 8, 3, 10), 17: (12, 19, 10), 19: (12, 12, 8), 8: (3, 17, 10), 3: (8, 17, 10), 10: (3, 12),
}  # fmt: skip
"""Chords that may follow in the next bar, by chord relative to the tonic (12 and more: minor). The degrees are common
in popular songs; dominants mostly return to the tonic. Written by hand, and not fitted to any data."""
_RHYTHMS = ((1.0, 1.0, 1.0, 1.0), (1.0, 0.5, 0.5, 1.0, 1.0), (1.5, 0.5, 1.0, 1.0), (2.0, 1.0, 1.0), (0.5,) * 8)
"""Rhythms of a bar as note lengths in beats."""
_ON_CHORD = 0.8
"""Share of on-beat notes that are chord tones; off-beat notes are scale steps."""
_LOWEST, _HIGHEST = 60, 84


def drawn_songs(seed: int, count: int = DRAWN_SONGS) -> Iterator[AnnotatedSong]:
    """Yields `count` songs of `BARS` bars.

    Each has one key and one chord a bar. Its melody has chord tones on most beats and steps of the scale elsewhere; its
    piano plays the chord on each beat and its root in the bass on each bar.
    """
    for number in range(count):
        yield _song(np.random.default_rng([seed, number]), f"synthetic {number}")


def _song(rng: np.random.Generator, name: str) -> AnnotatedSong:
    tonic, minor = int(rng.integers(12)), bool(rng.integers(2))
    chord = 12 if minor else 0
    bars = [chord]
    while len(bars) < BARS:
        # a phrase of eight bars begins and ends on the tonic's chord
        place = len(bars) % 8
        chord = (12 if minor else 0) if place in (0, 7) else int(rng.choice(_FOLLOWING[chord]))
        bars.append(chord)
    chords = [absolute(bar, tonic) for bar in bars]
    scale = sorted({(tonic + step) % 12 for step in _SCALES[minor]})
    melody: list[BeatNote] = []
    piano: list[BeatNote] = []
    pitch = int(rng.integers(_LOWEST + 6, _HIGHEST - 6))
    for bar, played in enumerate(chords):
        first = float(METER * bar)
        at = first
        for length in _RHYTHMS[int(rng.integers(len(_RHYTHMS)))]:
            on_chord = at.is_integer() and rng.random() < _ON_CHORD
            pitch = _near(pitch, tones(played) if on_chord else scale, rng)
            melody.append(BeatNote(at, at + length, pitch, 0.7))
            at += length
        piano.append(BeatNote(first, first + METER, 36 + tones(played)[0], 0.6))
        piano += [BeatNote(first + n, first + n + 1.0, 48 + tone, 0.5) for n in range(METER) for tone in tones(played)]
    beat = 60.0 / float(rng.uniform(70.0, 140.0))
    beats = np.asarray(beat * np.arange(METER * BARS), np.float64)
    labels = [(METER * n * beat, METER * (n + 1) * beat, label(played)) for n, played in enumerate(chords)]
    key = tonic + 12 * minor
    return AnnotatedSong(name, beats, METER, 0, melody, piano, np.repeat(chords, METER), labels, key)


def _near(pitch: int, classes: tuple[int, ...] | list[int], rng: np.random.Generator) -> int:
    """Returns a pitch of these classes within a fifth of `pitch`, but not `pitch`, inside the melody's range."""
    near = [p for p in range(max(_LOWEST, pitch - 7), min(_HIGHEST, pitch + 7) + 1) if p % 12 in classes and p != pitch]
    weights = np.array([1.0 / abs(p - pitch) for p in near])
    return int(rng.choice(near, p=weights / weights.sum()))


# ---- Systems with given chords, and with those of pianists

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
"""Common progressions, one bar per field: pop, jazz and blues, with sevenths, suspensions and inversions."""
MAX_FOREIGN = 0.1
"""Maximum share of the notes' time outside a chord; leaves room for passing notes."""
_REPEATS, _TEMPO, _METER = 3, 100.0, 4
_LOW, _HIGH = 67, 84


def written_songs(seed: int, count: int = len(PROGRESSIONS)) -> Iterator[AnnotatedSong]:
    """Yields the songs of `PROGRESSIONS`, each played three times, with melodies of chord notes drawn from `seed`."""
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
    """Returns the annotated chords of a song in half beats, up to the end of its melody; None for unknown kinds."""
    numbers, last = np.arange(len(song.beats)), max(note.end for note in song.melody)
    spans = []
    for start, end, chord in song.labels:
        first, stop = (round(float(np.interp(second, song.beats, numbers)) * 2.0) / 2.0 for second in (start, end))
        if first < stop <= last:
            spans.append(ChordSpan(first, stop, _readable(chord)))
    return spans


def _readable(text: str) -> Chord | None:
    try:
        return read_chord(text)
    except ValueError:
        return None


def band_figures(notes: Sequence[BeatNote], spans: Sequence[ChordSpan]) -> dict[str, float]:
    """Measures the notes of a band against chords timed in beats, for all parts but drums.

    sounded: share of beats on major and minor triads whose triad is the given one.  tones: share of chords whose root,
    third and seventh all sound, with at most `MAX_FOREIGN` of the time on other notes.  bass: share of chords in which
    the first note of the bass part is the chord's bass.  parallels: percentage of chord changes with parallel fifths or
    octaves between voices of bass and piano that both begin a note there; where the number of voices changes only the
    outer ones count, and a single note never does.
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
    """Whether the chord's root, third and seventh sound in its span, with few other notes."""
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


_ANEW = 0.2
"""A note that begins at most this many beats before a chord change belongs to the new chord."""


def _parallel_share(notes: Sequence[BeatNote], spans: Sequence[ChordSpan]) -> float:
    bad = changes = 0
    for before, after in pairwise(spans):
        if before.chord is None or after.chord is None or before.chord == after.chord:
            continue
        changes += 1
        then, now = (_sounding(notes, after.start + late) for late in (-0.1, 0.15))
        if len(then) != len(now) and min(len(then), len(now)) > 1:  # a note alone is no two voices
            then, now = ([sounds[0], sounds[-1]] for sounds in (then, now))
        if len(then) == len(now):
            # a voice whose tone is held through the change does not move, though its rank among them may
            moved = [(a.pitch, b.pitch) for a, b in zip(then, now, strict=True) if b.start > after.start - _ANEW]
            bad += bool(parallels(tuple(a for a, _ in moved), tuple(b for _, b in moved)))
    return 100.0 * bad / changes if changes else math.nan


def _sounding(notes: Sequence[BeatNote], beat: float) -> list[BeatNote]:
    return sorted((n for n in notes if n.start <= beat < n.end), key=lambda n: n.pitch)


# ---- Baselines

_DIATONIC = ((0, 5, 7, 14, 16, 21), (3, 8, 10, 12, 17, 19))


def key_of(notes: Sequence[BeatNote]) -> int:
    """The key whose profile the melody's durations correlate with best."""
    classes, lengths = [note.pitch % 12 for note in notes], [note.end - note.start for note in notes]
    return part_songs.key_of(np.bincount(classes, lengths, 12).astype(np.float64))


def tonic(notes: Sequence[BeatNote], beats: int) -> list[int]:
    """Returns the tonic's chord for every beat."""
    return [key_of(notes)] * beats


def harmonise_by_viterbi(notes: Sequence[BeatNote], beats: int, first: int, meter: int) -> list[int]:
    """Chord per half bar, by Viterbi over the key's six plain triads: melody time on chord notes less change costs."""
    key = key_of(notes)
    chords = [c // 12 * 12 + (c % 12 + key) % 12 for c in _DIATONIC[key // 12]]
    sounds = melody_of(notes, beats).durations
    half = 2 if meter % 2 == 0 else meter
    starts = list(range(first % half - (half if first % half else 0), beats, half))
    score = np.zeros(len(chords))
    score[chords.index(key)] = 1.0
    back = []
    for start in starts:
        rows = sounds[max(0, start) : start + half].sum(axis=0)
        fit = np.array([rows[list(tones(c))].sum() - rows.sum() / 2.0 + 0.3 * rows[tones(c)[0]] for c in chords])
        moved = score[:, None] - 0.3 * (1.0 - np.eye(len(chords)))
        back.append(moved.argmax(axis=0))
        score = moved.max(axis=0) + fit
    at = int(score.argmax())
    path = []
    for step in reversed(back):
        path.append(at)
        at = int(step[at])
    path.reverse()
    result = [0] * beats
    for n, start in enumerate(starts):
        for beat in range(max(0, start), min(beats, start + half)):
            result[beat] = chords[path[n]]
    return result


EACH_STYLE = 4
"""Maximum songs on which every style is measured, beside as many of `PROGRESSIONS`."""
_OURS: Mapping[str, Mapping[str, Value]] = {"live": {"lookahead": 0}, "file": {}}
_STYLES: Mapping[str, Mapping[str, Value]] = {f"style={name}": {"style": name, "parts": "all"} for name in NAMES}


class AccompanyEvaluation(Evaluation):
    """Measures POP909's songs whose numbers end in 8 and 9: the input is the melody, with bars as annotated."""

    trivial = "held tonic"
    classical = "untuned harmoniser"
    ours = "; ".join((*_OURS, *_STYLES))
    oracle = "pianist"
    columns = (
        "chords; played; clash ↓; density ↓; polyphony ↓; height [octaves] ↓; spread [octaves] ↓; variety ↓; style ↓; "
        "sounded; tones; bass; parallels [%] ↓"
    )
    note: ClassVar[str] = (
        "chords: mir_eval's majmin of the reported chords with the annotated ones. played: the same of the notes. "
        "clash: share of melody time beside a semitone or minor ninth. density to variety: difference from the song's "
        "piano; style: their mean. Bands on given chords: sounded: share of beats on triads whose triad is the given "
        "one. tones: share of chords whose root, third and seventh sound, with at most a tenth of the time outside. "
        "bass: share whose bass begins with the chord's. parallels: changes in a hundred with parallel fifths or "
        "octaves of two voices of bass and piano that both begin a note; pianist: of the songs' own piano."
    )
    folders: ClassVar[tuple[str, ...]] = ("pop909",)
    synthetic_doc: ClassVar[str] = "songs drawn by seed: a chord a bar, and melodies of its tones"
    road: ClassVar[str] = (
        "`antiphon run accompany IN.mid OUT.mid --report FILE`, IN the melody in bars as annotated; live with "
        "`-p lookahead=0`"
    )

    def scores(self, ask: EvaluationRequest) -> Iterator[MetricValue]:
        """Yields the scores of all systems on all songs."""
        if ask.synthetic:
            material = list(drawn_songs(ask.seed, ask.limit or DRAWN_SONGS))
        else:
            material = list(songs(ask.data, TEST, ask.limit or 0))
        for song in material:
            for name, row in _rows(song, ask, pianist=not ask.synthetic):
                yield from metric_values(name, song.name, row)
        styles = ask.select(_STYLES)
        some = material[:: max(1, len(material) // EACH_STYLE)][:EACH_STYLE] if styles else []
        written = list(written_songs(ask.seed, len(some)))
        for group, chosen in (("the annotated chords", some), ("written progressions", written)):
            for song in chosen:
                if song.piano and not ask.synthetic and ask.wants("pianist"):
                    human = {"parallels": _parallel_share(song.piano, spans_of_song(song))}
                    yield from metric_values("pianist", song.name, human, f"on {group}, {len(chosen)} songs")
                for name, settings in styles.items():
                    yield from metric_values(
                        name, song.name, _given_row(song, settings), f"on {group}, {len(chosen)} songs"
                    )


def play(song: AnnotatedSong, settings: Mapping[str, Value], chords_text: str = "") -> tuple[list[BeatNote], list[int]]:
    """Runs `antiphon run accompany` on a song's melody; returns the notes and each beat's chord (-1: none).

    `chords_text`: lines of seconds after the song's first annotated beat, for `--chords`.
    """
    start = song.meter * -(-song.first // song.meter) - song.first
    with tempfile.TemporaryDirectory() as folder:
        source, target, report = (Path(folder) / name for name in ("in.mid", "out.mid", "chords.json"))
        write_melody(source, song, start)
        options = [word for name, value in settings.items() for word in ("-p", f"{name}={value}")]
        if chords_text:
            (Path(folder) / "txt").write_text(chords_text)
            options += ["--chords", str(Path(folder) / "txt")]
        command("run", "accompany", source, target, "--report", report, *options)
        tracks = [track for track in read_midi(target).tracks if track.name in PARTS]
        chords = {round(beat): parse(text) for beat, text in json.loads(report.read_text())["chords"]}
    notes = [
        BeatNote(n.start - start, n.end - start, n.number, n.velocity, track.name)
        for track in tracks
        for n in track.notes
    ]
    return sorted(notes), [chords.get(beat + start, -1) for beat in range(len(song.beats))]


def _given_row(song: AnnotatedSong, settings: Mapping[str, Value]) -> dict[str, float]:
    """Measures a style on the chords of a song, in half beats up to the end of its melody."""
    spans = spans_of_song(song)
    start, beat = song.meter * -(-song.first // song.meter) - song.first, round(6e7 / song.tempo) * 1e-6
    labels = timed_labels(spans, lambda at: (at + start) * beat)
    notes, _ = play(song, settings, "".join(f"{a:.6f} {b:.6f} {label}\n" for a, b, label in labels))
    tuned = [note for note in notes if note.part != "drums"]
    return {**band_figures(notes, spans), "clash": clash(song.melody, tuned)}


def write_melody(path: Path, song: AnnotatedSong, start: int) -> None:
    """Writes a song's melody as a MIDI file in whole bars, its first annotated beat on beat `start`."""
    import mido

    changes = [(note.end, 0, note) for note in song.melody] + [(note.start, 1, note) for note in song.melody]
    track, at = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(song.tempo))]), 0
    track.append(mido.MetaMessage("time_signature", numerator=song.meter, denominator=4))
    for beat, begins, note in sorted(changes, key=lambda change: change[:2]):
        tick, loud = max(0, round((beat + start) * TICKS)), max(1, round(127 * note.velocity))
        kind = "note_on" if begins else "note_off"
        track.append(mido.Message(kind, note=note.pitch, velocity=loud * begins, time=tick - at))
        at = tick
    mido.MidiFile(type=0, ticks_per_beat=TICKS, tracks=[track]).save(path)


def _rows(song: AnnotatedSong, ask: EvaluationRequest, *, pianist: bool) -> Iterator[tuple[str, dict[str, float]]]:
    """Yields the figures of one song. pianist: a pianist played its piano track, so textures are compared."""
    count = len(song.beats)
    if ask.wants("held tonic"):
        yield "held tonic", {"chords": agreement(song, tonic(song.melody, count))}
    if ask.wants("untuned harmoniser"):
        chords = harmonise_by_viterbi(song.melody, count, song.first, song.meter)
        yield "untuned harmoniser", {"chords": agreement(song, chords)}
    for name, settings in _OURS.items():
        if not ask.wants(name):
            continue
        notes, chords = play(song, settings)
        row = {"chords": agreement(song, chords), "played": agreement(song, chords_of(notes, count))}
        row["clash"] = clash(song.melody, notes)
        if pianist:
            human = texture(song.piano, song.first, song.meter)
            distance = texture_distance(texture(notes, song.first, song.meter), human)
            row |= {**distance, "style": float(np.mean(list(distance.values())))}
        yield name, row
    if ask.wants("pianist"):
        yield (
            "pianist",
            {"played": agreement(song, chords_of(song.piano, count)), "clash": clash(song.melody, song.piano)},
        )
