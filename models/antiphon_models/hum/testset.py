"""The test set of `hum`, by seed: songs, voices, sentences, noises and a soundfont outside every training set.

It is rendered once into a folder, then read from it. Rendering needs pyworld, mido, espeak-ng and fluidsynth.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from antiphon.api import F32, F64, UsageError, frequency
from antiphon_models.hum import corpus
from antiphon_models.hum.corpus import hum_notes
from antiphon_models.hum.material import HELD_FONT, RANGES, WINDS, colours, melody, speech, transpose, wind
from antiphon_models.material.singing import PERIOD, RATE as MADE, SecondsNote, Singer, singing as sing
from antiphon_models.material.sounds import cached_sound, mono, resample_mono
from antiphon_models.material.styles import draw_singing_style

RATE = 48000
SONGS = 24
SECONDS = 14.0
SYNTHETIC_HUMS = 8
"""Number of synthetic hums."""
NAMES = ("flute", "trumpet", "clarinet", "recorder", "sax", "oboe")
NOISES = ("rain", "sea_waves", "crackling_fire", "fire_crackling", "helicopter", "clock_tick")
"""Unpitched classes of ESC-10."""
DATA = ("pop909", "esc10", "jsb", "tracks")
OWN = (
    "Files of your own are measured without it: `antiphon evaluate hum mine.wav`, with the notes that were sung in "
    "mine.mid or mine.csv"
)
NOTELESS_KINDS = ("silence", "noise", "recorded", "many", "speech", "chainsaw")
"""Kinds of clips without notes."""


@dataclass(frozen=True, slots=True)
class Clip:
    """sound `[frames]` at `RATE`.  notes: `[n, 3]`, start and end in seconds, MIDI number.  hertz: every `PERIOD` ms, 0
    unvoiced; empty where unknown.
    """

    name: str
    sound: F32
    notes: F64
    hertz: F64

    def with_noise(self, noise: F32, ratio: float) -> Clip:
        """Clip with noise added, `ratio` dB below the sound."""
        noise = np.resize(noise, len(self.sound))
        gain = float(np.sqrt(np.mean(self.sound**2) / np.mean(noise**2))) * 10.0 ** (-ratio / 20.0)
        return replace(self, sound=(self.sound + gain * noise).astype(np.float32))


Make = Callable[[], tuple[F32, F64, F64]]
_NOTHING: tuple[F64, F64] = (np.zeros((0, 3)), np.zeros(0))


def annotated_clips(data: Path, work: Path, seed: int, limit: int | None) -> Iterator[tuple[str, Clip]]:
    """("sung", "wind" and "hum", clip) of each song, at most `limit` songs."""
    done = 0
    for place, folder in enumerate(corpus.songs(data, "test")):
        notes = melody(folder / f"{folder.name}.mid", SECONDS)
        if len(notes) < 8:
            continue
        if done == (SONGS if limit is None else min(limit, SONGS)):
            return
        voice, name = corpus.TEST_VOICES[done % len(corpus.TEST_VOICES)], NAMES[done % len(NAMES)]
        low, high = (55, 78) if voice.endswith(corpus.OCTAVE_VARIANTS) else (43, 66)
        for kind, who, made in (
            ("sung", voice, _sung(transpose(notes, low, high), voice, seed, place)),
            ("wind", name, _wind(transpose(notes, *RANGES[name]), name)),
            ("hum", "hum", _hum_maker(transpose(notes, *((43, 66) if done % 2 else (53, 76))), seed, place)),
        ):
            yield kind, _cached(work, f"{seed}-{kind}-{folder.name}-{who}", made)
        done += 1


def synthetic_hums(seed: int, limit: int | None) -> Iterator[Clip]:
    """Hums of random melodies, made without any data."""
    for n in range(SYNTHETIC_HUMS if limit is None else min(limit, SYNTHETIC_HUMS)):
        rng = np.random.default_rng((seed, 14, n))
        score, at, pitch = [], 0.5, float(rng.integers(48, 64))
        while at < SECONDS - 1.0:
            length = float(rng.choice([0.25, 0.3, 0.5, 0.75]))
            score.append(SecondsNote(at, at + length * float(rng.uniform(0.75, 1.0)), round(pitch), 0.7))
            at += length + (0.4 if rng.random() < 0.1 else 0.0)
            pitch = float(np.clip(pitch + rng.choice([-5, -4, -2, -1, 0, 1, 2, 3, 5]), 45, 74))
        sound, hertz = hum_notes(score, draw_singing_style(rng), rng, RATE)
        yield Clip(f"hum {n}", sound, _rows(tuple(score)), hertz)


def _sung(notes: tuple[SecondsNote, ...], voice: str, seed: int, place: int) -> Make:
    def make() -> tuple[F32, F64, F64]:
        rng = np.random.default_rng((seed, 11, place))
        sound, hertz = sing(notes, Singer(voice), draw_singing_style(rng), int(rng.integers(1 << 30)), MADE)
        return resample_mono(sound, MADE, RATE), _rows(notes), hertz

    return make


def _hum_maker(notes: tuple[SecondsNote, ...], seed: int, place: int) -> Make:
    def make() -> tuple[F32, F64, F64]:
        rng = np.random.default_rng((seed, 12, place))
        sound, hertz = hum_notes(notes, draw_singing_style(rng), rng, MADE)
        return resample_mono(sound, MADE, RATE), _rows(notes), hertz

    return make


def _wind(notes: tuple[SecondsNote, ...], name: str) -> Make:
    def make() -> tuple[F32, F64, F64]:
        sound = wind(name, notes, WINDS[name], HELD_FONT, RATE).sound[: round((notes[-1].end + 0.6) * RATE)]
        hertz = np.zeros(int(len(sound) / RATE * 1000 / PERIOD))
        for note in notes:
            at = slice(round(note.start * 1000 / PERIOD), round(note.end * 1000 / PERIOD))
            hertz[at] = frequency(note.pitch)
        return 0.3 * sound / max(float(np.abs(sound).max()), 1e-9), _rows(notes), hertz

    return make


def _rows(notes: tuple[SecondsNote, ...]) -> F64:
    return np.array([[n.start, n.end, n.pitch] for n in notes], np.float64)


def pink(seed: int) -> F32:
    """Ten seconds of pink noise."""
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft(rng.standard_normal(10 * RATE))
    return np.fft.irfft(spectrum / np.sqrt(np.arange(len(spectrum)) + 1.0), 10 * RATE).astype(np.float32)


def noises(data: Path, kinds: tuple[str, ...] = NOISES) -> list[tuple[str, F32]]:
    """Noise clips of ESC-10 fold 4 as (class, sound), classes in turn."""
    rows = [
        (n, path)
        for kind in kinds
        for n, path in enumerate(p for p in sorted((data / "esc10" / kind).glob("*.ogg")) if p.name[0] == "4")
    ]
    return [
        (path.parent.name, resample_mono(mono(path, MADE), MADE, RATE))
        for _, path in sorted(rows, key=lambda row: row[0])
    ]


def noteless_clips(data: Path, work: Path, seed: int, limit: int | None) -> Iterator[tuple[str, Clip]]:
    """(kind, clip) of `NOTELESS_KINDS`, without notes. limit: clips per kind."""
    most = 12 if limit is None else max(1, min(12, limit // 2))

    def clip(kind: str, n: int, sound: F32) -> tuple[str, Clip]:
        return kind, Clip(f"{kind} {n}", sound, *_NOTHING)

    yield clip("silence", 0, np.zeros(20 * RATE, np.float32))
    for n, x in enumerate(colours(20.0, seed)):
        yield clip("noise", n, resample_mono(x, MADE, RATE))
    for n, (_, x) in enumerate(noises(data)[:most]):
        yield clip("recorded", n, x)
    for n, (_, x) in enumerate(noises(data, ("chainsaw",))[:most]):
        yield clip("chainsaw", n, x)
    for n, x in enumerate(speech(most, seed + 7)):
        yield clip("speech", n, resample_mono(x, MADE, RATE))
    if (data / "tracks" / "speech_librispeech.ogg").is_file():
        yield clip("speech", most, resample_mono(mono(data / "tracks" / "speech_librispeech.ogg", MADE), MADE, RATE))
    folders = corpus.songs(data, "test")
    for n in range(min(8, most)):
        rng = np.random.default_rng((seed, 13, n))

        def chords(n: int = n, rng: np.random.Generator = rng) -> tuple[F32, F64, F64]:
            x = corpus.polyphonic_sound(data, "test", folders[n * 3 % len(folders)], n, rng, HELD_FONT)
            return resample_mono(x, corpus.RATE, RATE), *_NOTHING

        yield "many", replace(_cached(work, f"{seed}-many-{n}", chords), name=f"many {n}")


def _cached(work: Path, name: str, make: Make) -> Clip:
    path = work / f"{name.replace('+', '_')}.flac"

    def sound_of() -> F32:
        sound, notes, hertz = make()
        path.with_suffix(".json").write_text(
            json.dumps({"notes": notes.tolist(), "hertz": np.round(hertz, 3).tolist()})
        )
        return np.clip(sound, -0.99, 0.99)

    sound = mono(cached_sound(path, RATE, sound_of), RATE)
    said = json.loads(path.with_suffix(".json").read_text())
    return Clip(
        name, sound, np.asarray(said["notes"], np.float64).reshape(-1, 3), np.asarray(said["hertz"], np.float64)
    )


MOST_PITCH = 128.0
"""Maximum pitch of a note, MIDI number with a fraction."""
NOTES = (".txt", ".csv", ".mid", ".midi")
"""Suffixes of note files."""
FILES = (
    "sound files, or a folder of them (--data), each with its notes beside it: a MIDI file, or a .txt or "
    ".csv with a line a note (seconds from, to, MIDI number, which may have a fraction)"
)


def own_clip(path: Path) -> Clip:
    """Reads a user's file, with the notes of the file beside it."""
    from antiphon.api.backends.files import read_midi, read_sound

    sound = read_sound(path, rate=RATE).samples.mean(axis=0)
    for suffix in NOTES:
        beside = path.with_suffix(suffix)
        if beside.is_file():
            if suffix in (".csv", ".txt"):
                rows = _csv(beside)
            else:
                song = read_midi(beside)
                rows = [
                    (song.seconds(n.start), song.seconds(n.end), float(n.number))
                    for track in song.tracks
                    for n in track.notes
                ]
            return Clip(
                path.stem, np.ascontiguousarray(sound, np.float32), np.array(sorted(rows), np.float64), np.zeros(0)
            )
    raise UsageError(
        f"{path} has no notes beside it to be measured against: {path.stem}.mid, or {path.stem}.csv with a line a note "
        f"(seconds from, to, MIDI number). `antiphon run hum {path} {path.with_suffix('.mid')}` writes what it finds; "
        "put that right by ear first"
    )


def _csv(path: Path) -> list[tuple[float, float, float]]:
    rows = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if not line.strip():
            continue
        parts = line.replace(";", " ").replace(",", " ").split()
        try:
            start, end, pitch = (float(part) for part in parts[:3])
        except ValueError:
            if number == 1:
                continue
            raise UsageError(
                f"{path}, line {number}: three numbers are wanted, seconds from, to, MIDI number"
            ) from None
        if not 0.0 <= pitch <= MOST_PITCH:
            raise UsageError(
                f"{path}, line {number}: {pitch:g} is no MIDI number, which goes from 0 to 127; is it in Hz?"
            )
        if end > start:  # a note of no length cannot be found
            rows.append((start, end, pitch))
    if not rows:
        raise UsageError(f"{path} holds no notes; a line a note is wanted: seconds from, to, MIDI number")
    return rows
