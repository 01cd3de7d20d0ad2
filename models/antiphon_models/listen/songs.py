"""Renders POP909's songs with two soundfonts, and reads their beats, downbeats, chords and key."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F64
from antiphon.api.backends.files import read_midi
from antiphon.api.backends.signal import KEY_NAMES, named_note
from antiphon_models.material.fluidsynth import FLUID, TIM, FluidSettings, play
from antiphon_models.material.sounds import cached_sound, mono

FIT, TEST = "123456", "89"
"""Last digits of the songs for fitting and evaluation; 7 is for tuning, 0 is unused."""
RATE = 22050
SOUNDFONTS = {"FluidR3": FLUID, "TimGM6mb": TIM}
_LOW = 20.0
"""Percentile of a piano's pitches up to which a note counts as low."""


@dataclass(frozen=True, slots=True)
class ListenedSong:
    """A song with its truth.

    Attributes:
        sound: float32 `[frames]`, at `RATE`.
        beats: Seconds.
        downbeats: Seconds.
        key: "C major", that of the longest part.
        bars_hold: As of `bars_hold`.
    """

    name: str
    sound: NDArray[np.float32]
    beats: NDArray[np.float64]
    downbeats: NDArray[np.float64]
    chords: tuple[tuple[float, float, str], ...]
    key: str
    keys: int
    bars_hold: bool = True


def read_song(folder: Path, work: Path, soundfont: str) -> ListenedSong:
    """A song of a folder with its truth; renders by one of `SOUNDFONTS` are stored in `work` as 16-bit FLAC."""
    table = np.loadtxt(folder / "beat_midi.txt", ndmin=2)
    chords, key, keys = read_harmony(folder)
    return ListenedSong(
        f"{folder.name} {soundfont}",
        render_song(folder, work, soundfont),
        table[:, 0],
        table[table[:, 2] == 1, 0],
        chords,
        key,
        keys,
        bars_hold(folder, table[:, 0], table[:, 2] == 1),
    )


def bars_hold(folder: Path, beats: F64, on_bar: NDArray[np.bool_]) -> bool:
    """Whether the piano's low notes fall more often on annotated downbeats than on the beats beside them.

    `on_bar`: mask of the downbeats. The result is False for 28 of 182 songs for evaluation.
    """
    song = read_midi(folder / f"{folder.name}.mid")
    notes = [note for track in song.tracks if track.name.strip() == "PIANO" for note in track.notes]
    limit = np.percentile([note.number for note in notes], _LOW)
    low = [song.seconds(note.start) for note in notes if note.number <= limit]
    nearest = np.abs(beats[:, None] - np.array(low)[None]).argmin(axis=0)
    ones = np.maximum.accumulate(np.where(on_bar, np.arange(len(beats)), 0))
    counts = np.bincount((nearest - ones[nearest])[nearest >= np.argmax(on_bar)], minlength=2)
    return bool(counts[0] >= counts[1::2].max())


def read_harmony(folder: Path) -> tuple[tuple[tuple[float, float, str], ...], str, int]:
    """Chords of a song, the key of its longest part, and the number of annotated keys."""
    chords = [line.split() for line in (folder / "chord_midi.txt").read_text().splitlines() if line.strip()]
    keys = [line.split() for line in (folder / "key_audio.txt").read_text().splitlines() if line.strip()]
    longest = max(keys, key=lambda row: float(row[1]) - float(row[0]))
    return tuple((float(start), float(end), label) for start, end, label in chords), key_named(longest[2]), len(keys)


def render_song(folder: Path, work: Path, soundfont: str) -> NDArray[np.float32]:
    """Renders a song like `rendered`."""
    return render_score(folder.name, lambda: (folder / f"{folder.name}.mid").read_bytes(), work, soundfont)


def render_score(name: str, score: Callable[[], bytes], work: Path, soundfont: str) -> NDArray[np.float32]:
    """Renders a MIDI file's bytes with one of `SOUNDFONTS`, cached in `work`: mono, peak 0.5."""

    def make() -> NDArray[np.float32]:
        sound = play(score(), SOUNDFONTS[soundfont], RATE, FluidSettings(0.5, True))
        return np.asarray(sound.mean(axis=1) / max(1.0, np.abs(sound).max()))

    sound = mono(cached_sound(work / f"{name}-{soundfont}.flac", RATE, make), RATE)
    return np.asarray(0.5 * sound / max(1e-9, np.abs(sound).max()), np.float32)


def root_of(label: str) -> int:
    """Pitch class of a chord's or key's root: 1 for "Db:maj"."""
    return named_note(label.partition(":")[0]) % 12


def key_named(label: str) -> str:
    """Converts "A#:min" or "A# minor" to the analyses' spelling, "Bb minor"."""
    root = label.replace(":", " ").split(" ")[0]
    return KEY_NAMES[root_of(root) + 12 * ("min" in label)]


def triad(label: str) -> int | None:
    """Chord number of `antiphon_listen.harmony`; None if it is neither major, minor nor "no chord"."""
    if label in ("N", "X"):
        return 24 if label == "N" else None
    kind = label.partition(":")[2].partition("/")[0].partition("(")[0]
    if kind.startswith("min"):
        return 12 + root_of(label)
    return root_of(label) if kind.startswith("maj") or kind in ("", "7", "9") else None
