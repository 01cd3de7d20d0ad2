"""Fits the tables of `listen`: `python -m antiphon_models.listen.fitting DATA WORK OUT.json`. Minutes on one core.

Chords: means and covariances of pitch classes, transposed to one root. Downbeats: logistic regression. Key: softmax
regression over 24 keys, on annotated chords of songs ending in 1 to 6, without sound. Beat grids: softmax regression
over each song's grids, with those of the best F-measure as targets.

With RECORDS after OUT.json, a folder of sounds with NAME.bpm beside them, the grids' weights are refitted from the
shipped ones, on songs, bands of many styles and the records; likewise bars of three.
"""

import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from antiphon.api import F32, F64
from antiphon.api.backends.files import READ_SUFFIXES
from antiphon_listen import bars, beats, harmony
from antiphon_listen.signals import MusicCurves, OnsetStrength, curves
from antiphon_listen.spectra import NoteSpectrum
from antiphon_listen.tables import Tables, load
from antiphon_models.listen.songs import (
    FIT,
    RATE,
    SOUNDFONTS,
    ListenedSong,
    read_harmony,
    read_song,
    render_score,
    root_of,
    triad,
)
from antiphon_models.material.sounds import mono, songs

# ---- Bands of many styles and tempi for fitting beats, meters and bars, by the program `mma` and FluidSynth
# Musical MIDI Accompaniment (Debian's package `mma`, GPL) has a hundred styles; nothing of it ships.

STYLES = Path("/usr/share/mma/lib/stdlib")
_SECONDS = 40.0
_WALTZES = """
waltz 90 180, arpeggiowaltz 90 150, broadwaywaltz 100 170, countrywaltz 90 130, fastjazzwaltz 160 200,
fastwaltz 150 190, frenchwaltz 130 190, jazzwaltz 110 180, latinwaltz 110 160, modernjazzwaltz 120 180,
rockwaltz 90 150, vienesewaltz 150 190
"""
_IN_FOUR = """
50srock 100 170, 60srock 110 150, 8beat 80 130, arpeggio44 70 120, ballad 58 85, basicrock 100 140,
beguine 90 120, blues 80 130, bluefolk 80 130, bluegrass 100 130, bossanova 110 150, boneym 100 130, calypso 90 120,
chacha 110 128, countryblues 90 140, countryswing 110 160, dsoul 90 120, easyswing 110 140, fastswing 170 198,
folk 90 130, folkballad 62 95, folkrock 100 130, foxtrot 110 130, guitarballad 60 90, hillcountry 100 150,
jazzguitar 90 140, jazzrock 90 130, jive 150 180, lfusion 90 120, lighttango 110 130, mambo 90 110, merengue 110 140,
mellowjazz 80 120, pianoballad 58 80, popballad 58 85, popspiritual 80 120, quickstep 180 198, rb 80 110,
rb-ballad 60 85, rhumba 90 120, rockballad 58 90, salsa 85 110, samba 90 115, ska 110 150, slowblues 56 75,
slowjazz 58 80, slowcountry 60 85, softrock 75 110, son 85 110, stringballad 58 85, strut 90 120, swing 120 180,
tango 110 130, trance 130 145, twist 150 170, westernswing 120 170, zydeco 100 130, bvfunk 90 115, cubanguitar 85 115,
rock-128 60 80, ballad128 58 75
"""
_IN_SIX = "68swing 200 330, arpeggio68 140 260, blues68 140 220"
_IN_FIVE = "jazz-54 110 190"
"""Names of styles, each with the range of its tempi, in six of eighths."""
_PROGRESSIONS = (
    "C Am F G", "C F G C", "Am F C G", "Dm G C Am", "C C F F", "C G Am F", "F G Em Am", "Am Dm E Am", "C7 F7 C7 G7",
    "Dm7 G7 CM7 CM7", "G D Em C", "Am G F E",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class BandSong:
    """A rendered style with its truth; `held` styles are for measuring, the others for fitting."""

    song: ListenedSong
    meter: int
    held: bool


def band_songs(work: Path) -> Iterator[BandSong]:
    """Renders each style at two tempi, by the whole band and by its drums, alternating the soundfonts."""
    for text, meter in ((_IN_FOUR, 4), (_WALTZES, 3), (_IN_SIX, 6), (_IN_FIVE, 5)):
        for number, line in enumerate(sorted(text.replace("\n", " ").split(","))):
            name, *ends = line.split()
            low, high = (float(end) for end in ends)
            rng = np.random.default_rng([number, meter])
            for half in range(2):
                # whole bpm: the program cuts others off
                tempo = int(low + (half + rng.random()) * (high - low) / 2.0)
                score, bars = _score(name, tempo, meter, rng, work)
                for drums in (False, True):
                    soundfont = list(SOUNDFONTS)[(number + half + drums) % 2]
                    part = partial(_mute_all_but_drums if drums else bytes, score)
                    sound = render_score(f"{name}-{tempo}-{drums}", part, work, soundfont)
                    beats = 60.0 / tempo * np.arange(bars * meter, dtype=np.float64)
                    if np.abs(sound).max() > 0.0:
                        song = ListenedSong(f"{name} {tempo}", sound, beats, beats[::meter], (), "", 1)
                        yield BandSong(song, meter, number % 2 == 1)


def _score(name: str, tempo: int, meter: int, rng: np.random.Generator, work: Path) -> tuple[bytes, int]:
    """Generates a MIDI file: its bytes, and its number of bars."""
    every = re.findall(r"(?im)^\s*defgroove\s+(\S+)", (STYLES / f"{name}.mma").read_text("latin-1"))
    grooves = [each for each in every if not re.search("(?i)intro|end|fill", each)]
    if not grooves:
        raise ValueError(f"the style {name} has no groove")
    bars = max(8, int(_SECONDS * tempo / 60.0 / meter)) // 4 * 4
    parts = [_PROGRESSIONS[n].split() for n in rng.integers(0, len(_PROGRESSIONS), 2)]
    lines = [f"{bar + 1} {parts[bar // 8 % 2][bar % 4]}" for bar in range(bars)]
    text, notes = work / f"{name}-{tempo}.mma", work / f"{name}-{tempo}.mid"
    text.write_text("\n".join([f"Tempo {tempo}", f"Groove {rng.choice(grooves)}", *lines, ""]))
    subprocess.run(["mma", text, "-f", notes], check=True, capture_output=True, stdin=subprocess.DEVNULL)
    return notes.read_bytes(), bars


def _mute_all_but_drums(score: bytes) -> bytes:
    """Returns the MIDI file with velocity 0 on all channels but the tenth."""
    out, at = bytearray(score), 14
    while at < len(score):
        at, end, status = at + 8, at + 8 + int.from_bytes(score[at + 4 : at + 8], "big"), 0
        while at < end:
            at = _skip_variable_number(score, at)
            if score[at] >= 0x80:
                status, at = score[at], at + 1
            if status >= 0xF0:  # a text, or an exclusive message, with its length
                at += status == 0xFF
                behind = _skip_variable_number(score, at)
                at = behind + _number(score[at:behind])
                continue
            if status >> 4 == 9 and status & 15 != 9:
                out[at + 1] = 0
            at += 1 if status >> 4 in (12, 13) else 2
    return bytes(out)


def _skip_variable_number(data: bytes, at: int) -> int:
    while data[at] >= 0x80:
        at += 1
    return at + 1


def _number(digits: bytes) -> int:
    value = 0
    for digit in digits:
        value = value << 7 | digit & 0x7F
    return value


SONGS = 150
_SHARPNESS = 10.0
"""Exponent of a grid's F-measure in its target weight."""
_GRID_DECAY, _BAR_DECAY, _KEY_DECAY = 3.0, 30.0, 1.0
"""Weight decays chosen by cross-validation over the fitted songs; that of keys on songs ending in 7."""
_MIN_F_MEASURE = 0.85
"""Minimum F-measure of a grid whose beats are used to fit downbeats."""
_ROUNDS = 400
_RECORD_SECONDS = 90


@dataclass(frozen=True, slots=True)
class PreparedSong:
    """Features and grids of a song, and its truth, without its sound."""

    name: str
    curves: MusicCurves
    grids: tuple[beats.BeatGrid, ...]
    scores: F64
    beats: F64
    downbeats: F64
    chords: tuple[tuple[float, float, str], ...]


def prepare(song: ListenedSong) -> PreparedSong:
    """Prepares the features of a song for fitting."""
    import mir_eval

    found = measure_curves(song.sound)
    grids = tuple(beats.grid_candidates(found))
    truth = mir_eval.beat.trim_beats(song.beats)
    scores = [mir_eval.beat.f_measure(truth, mir_eval.beat.trim_beats(grid.beats)) for grid in grids]
    return PreparedSong(song.name, found, grids, np.array(scores), song.beats, song.downbeats, song.chords)


def measure_curves(sound: F32) -> MusicCurves:
    """Onset strength and chroma over time of a whole sound at `RATE`, as input of beat and chord detection."""
    strength, notes = OnsetStrength(), NoteSpectrum()
    for first in range(0, len(sound), RATE):
        strength.feed(sound[first : first + RATE])
        notes.feed(sound[first : first + RATE])
    return replace(curves(strength.end(), notes.end(), len(sound) / RATE), drums=strength.has_drums)


def fit(material: Sequence[PreparedSong], folders: Sequence[Path]) -> Tables:
    """Fits the tables to songs, and keys to the annotated harmony of the songs in `folders`."""
    mean, spread, weights = _fit_grids(material)
    chord_mean, chord_precision = _fit_chords(material)
    none = np.zeros(0)
    found = (mean, spread, weights, chord_mean, chord_precision, none, none, none, fit_keys(folders))
    part = Tables(*found, pair_mean=none, pair_spread=none, pair_weights=none)
    return replace(part, bar_weights=_fit_bars(material, part))


def fit_keys(folders: Sequence[Path]) -> F64:
    """Fits the weights of `harmony.key_features` to annotated chords."""
    tables, truth = [], []
    for folder in folders:
        labels, key, _ = read_harmony(folder)
        chords = [
            (chord, end - start)
            for start, end, label in labels
            if (chord := triad(label)) is not None and chord != harmony.NO_CHORD
        ]
        if chords:
            lengths = np.bincount([chord for chord, _ in chords], [length for _, length in chords], harmony.NO_CHORD)
            tables.append(harmony.key_features(lengths, chords[0][0], chords[-1][0]))
            name, mode = key.split()
            truth.append(root_of(name) + 12 * (mode == "minor"))
    every, places, rows = np.array(tables), np.array(truth), np.arange(len(truth))

    def slope(weights: F64) -> tuple[float, F64]:
        score = every @ weights
        share = np.exp(score - score.max(axis=1, keepdims=True))
        share /= share.sum(axis=1, keepdims=True)
        loss = 0.5 * _KEY_DECAY * float(weights @ weights) - float(np.log(share[rows, places] + 1e-12).sum())
        share[rows, places] -= 1.0
        return loss, np.einsum("nk,nkf->f", share, every) + _KEY_DECAY * weights

    return _least(slope, every.shape[2])


def _fit_grids(material: Sequence[PreparedSong]) -> tuple[F64, F64, F64]:
    rows = [np.array([beats.features(grid) for grid in song.grids]) for song in material if song.grids]
    every = np.concatenate(rows)
    mean, spread = every.mean(axis=0), every.std(axis=0) + 1e-9
    tables = [(row - mean) / spread for row in rows]
    targets = [_target(song) for song in material if song.grids]
    return mean, spread, _fit_softmax_weights(tables, targets, np.zeros(len(mean)), _GRID_DECAY)


_BAND_DECAY, _WALTZ_DECAY, _DRUM_DECAY = 10.0, 10.0, 3.0
"""Decays: of grids towards the shipped weights, of waltzes and drums towards other bars' weights."""
_HALF_RIGHT, _OFF, _WRONG = 0.6, 0.3, 0.2
"""Scores of a record's grids: at half and double tempo, at its tempo but not the likeliest, and all others."""


def refit_tables(
    material: Sequence[PreparedSong], bands: Sequence[tuple[PreparedSong, int]], shipped: Tables
) -> Tables:
    """Refits grids, waltzes and drums of the shipped tables on songs in 4/4, records, and bands with their meters."""
    every = [song for song in [*material, *(song for song, _ in bands)] if song.grids]
    tables = [(np.array([beats.features(g) for g in s.grids]) - shipped.grid_mean) / shipped.grid_spread for s in every]
    weights = _fit_softmax_weights(tables, [_target(song) for song in every], shipped.grid_weights, _BAND_DECAY)
    best = [(song.grids[int(np.argmax(song.scores))], song, meter) for song, meter in bands if song.grids]
    lines = []
    for beats_a_bar, decay in ((4, _DRUM_DECAY), (3, _WALTZ_DECAY)):
        own = [(g, song) for g, song, meter in best if meter == beats_a_bar and (song.curves.drums or meter == 3)]
        table = np.concatenate([bars.features(song.curves, grid, shipped) for grid, song in own])
        on = np.concatenate([_mark_downbeats(grid, song) for grid, song in own])
        lines.append(_logistic(table, on, decay, shipped.bar_weights))
    return replace(shipped, grid_weights=weights, drum_weights=lines[0], waltz_weights=lines[1])


def prepare_by_tempo(name: str, found: MusicCurves, tempo: float, shipped: Tables) -> PreparedSong:
    """Prepares a record of which only the tempo is known: its likeliest grid of that tempo counts as right."""
    grids = tuple(beats.grid_candidates(found))
    ratio = np.array([grid.tempo / tempo for grid in grids])
    right = np.abs(ratio - 1.0) < 0.04
    octave = (np.abs(ratio - 0.5) < 0.02) | (np.abs(ratio - 2.0) < 0.08)
    scores = np.where(right, _OFF, np.where(octave, _HALF_RIGHT, _WRONG))
    if right.any():
        scores[int(np.argmax(np.where(right, beats.grid_scores(list(grids), shipped), -np.inf)))] = 1.0
    return PreparedSong(name, found, grids if right.any() else (), scores, np.zeros(0), np.zeros(0), ())


def _logistic(table: F64, truth: F64, decay: float, start: F64) -> F64:
    """Fits weights of a table's columns and a constant by logistic regression, with decay towards `start`."""
    every = np.concatenate([table, np.ones((len(table), 1))], axis=1)
    decays = np.full(every.shape[1], decay)
    decays[-1] = 0.0

    def slope(weights: F64) -> tuple[float, F64]:
        score, away = every @ weights, weights - start
        loss = float((np.logaddexp(0.0, score) - truth * score).sum() + 0.5 * (decays * away) @ away)
        return loss, every.T @ (1.0 / (1.0 + np.exp(-score)) - truth) + decays * away

    return _least(slope, every.shape[1], start)


def _mark_downbeats(grid: beats.BeatGrid, song: PreparedSong) -> F64:
    near = np.abs(grid.beats[:, None] - song.downbeats[None]).min(axis=1) < 0.1
    return np.asarray(near, np.float64)


def _target(song: PreparedSong) -> F64:
    share = np.exp(_SHARPNESS * (song.scores - song.scores.max()))
    return np.asarray(share / share.sum())


def _fit_softmax_weights(tables: Sequence[F64], targets: Sequence[F64], start: F64, decay: float) -> F64:
    """Fits weights whose softmax over each table's rows is nearest its target, with decay towards `start`."""

    def slope(weights: F64) -> tuple[float, F64]:
        away = weights - start
        loss, back = 0.5 * decay * float(away @ away), decay * away
        for table, target in zip(tables, targets, strict=True):
            score = table @ weights
            share = np.exp(score - score.max())
            share /= share.sum()
            loss -= float(target @ np.log(share + 1e-12))
            back = back + table.T @ (share - target)
        return loss, back

    return _least(slope, len(start), start)


def _fit_chords(material: Sequence[PreparedSong]) -> tuple[F64, F64]:
    rows: list[list[F64]] = [[], [], []]
    for song in material:
        grid = harmony.possible_chord_times(song.beats, song.curves.seconds)
        found = harmony.shares(song.curves.pitch_classes_by_interval(grid))
        starts = np.array([start for start, _, _ in song.chords])
        middle = grid + 0.5 * np.diff(grid, append=grid[-1] + 0.4)
        places = np.clip(np.searchsorted(starts, middle, "right") - 1, 0, len(starts) - 1)
        for row, place in zip(found, places, strict=True):
            chord = triad(song.chords[place][2])
            if chord is not None:
                kind, root = divmod(chord, 12)
                rows[kind].append(harmony.rotate_root(row[None], root if kind < 2 else 0)[0])
    means, precisions = [], []
    for turned, extra in zip(rows, (1e-3, 1e-3, 1.1e-2), strict=True):
        table = np.array(turned)
        means.append(table.mean(axis=0))
        precisions.append(np.linalg.inv(np.cov(table.T) + extra * np.eye(24)))
    return np.array(means), np.array(precisions)


def _fit_bars(material: Sequence[PreparedSong], part: Tables) -> F64:
    rows, labels = [], []
    for song in material:
        best = int(np.argmax(song.scores))
        if song.scores[best] >= _MIN_F_MEASURE:
            grid = song.grids[best]
            rows.append(bars.features(song.curves, grid, part))
            labels.append(_mark_downbeats(grid, song))
    table, truth = np.concatenate(rows), np.concatenate(labels)
    return _logistic(table, truth, _BAR_DECAY, np.zeros(table.shape[1] + 1))


def _least(slope: object, size: int, start: F64 | None = None) -> F64:
    from scipy.optimize import minimize

    begin = np.zeros(size) if start is None else start
    return np.asarray(minimize(slope, begin, jac=True, method="L-BFGS-B", options={"maxiter": _ROUNDS}).x)


def main(data: Path, work: Path, out: Path, records: Path | None = None, count: int = SONGS) -> None:
    """Fits on songs rendered with the soundfonts in turn, and writes the tables."""
    work.mkdir(parents=True, exist_ok=True)
    material = []
    for place, folder in enumerate(songs(data, FIT + "7" if records else FIT, count)):
        song = prepare(read_song(folder, work, list(SOUNDFONTS)[place % 2]))
        material.append(song)
        print(f"{place + 1} {song.name} best grid {song.scores.max(initial=0.0):.3f}", flush=True)
    if records is None:
        out.write_text(fit(material, songs(data, FIT, 0)).to_json())
        return
    shipped = load()
    for truth in sorted(records.rglob("*.bpm")):
        for path in truth.parent.glob(f"{truth.stem}.*"):
            if path.suffix in READ_SUFFIXES:
                found = measure_curves(mono(path, RATE)[: _RECORD_SECONDS * RATE])
                material.append(prepare_by_tempo(path.stem, found, float(truth.read_text()), shipped))
    bands = [(prepare(band.song), band.meter) for band in band_songs(work) if not band.held and band.meter < 5]
    out.write_text(refit_tables(material, bands, shipped).to_json())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]) if sys.argv[4:] else None)
