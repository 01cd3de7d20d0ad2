"""A small library whose truth is known: struck noise, a plucked bass, chords and a line, made here."""

import contextlib
import json
import shutil
import sqlite3
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import soundfile

from antiphon.api import SHARP_NAMES, Samples, Value
from antiphon.api.backends.files import library_folder
from antiphon.kernel.runtime.paths import HOME as HOME_VARIABLE
from antiphon_loops.jobs import Piece
from antiphon_loops.library import analyse
from antiphon_loops.maker import MaterialMaker
from antiphon_loops.rules import Rules

RATE = 44100
CATALOGUE = "library.sqlite"
TRUTH: dict[str, tuple[str, float, int, int | None]] = {
    # role, bpm, bars, tonic
    "a.wav": ("drums", 104.0, 2, None),
    "b.wav": ("drums", 96.0, 2, None),
    "c.wav": ("bass", 100.0, 4, 0),
    "d.wav": ("chords", 110.0, 4, 0),
    "e.wav": ("melody", 92.0, 2, 2),
    "f.wav": ("chords", 104.0, 4, 5),
    "g.wav": ("bass", 116.0, 4, 9),
    "h.wav": ("drums", 120.0, 4, None),
}


def render(library: Path, settings: Mapping[str, Value], rate: int = RATE, channels: int = 2) -> Samples:
    """A whole piece, float32 `[channels, frames]`."""
    return np.concatenate([block.copy() for block in Piece(library, settings, rate, channels).blocks()], axis=1)


def hit(frames: int, low: float, noise: float, decay: float, rng: np.random.Generator) -> np.ndarray:
    t = np.arange(frames) / RATE
    sweep = np.sin(2 * np.pi * (low * t + 60 * (1 - np.exp(-t * 40)) / 40))
    return (sweep * (1 - noise) + noise * rng.uniform(-1, 1, frames)) * np.exp(-t / decay)


def drums(bpm: float, bars: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    beat = 60 / bpm * RATE
    out = np.zeros(round(bars * 4 * beat))
    for step in range(bars * 8):
        for on, low, noise, decay, level in (
            (step % 4 == 0 or (seed % 2 and step % 8 == 5), 55.0, 0.02, 0.12, 0.8),
            (step % 4 == 2, 190.0, 0.8, 0.09, 0.5),
            (True, 8000.0, 1.0, 0.02, 0.15),
        ):
            at = round(step * beat / 2)
            n = min(int(0.25 * RATE), len(out) - at)
            if on:
                out[at : at + n] += level * hit(n, low, noise, decay, rng)
    return out


def note(pitch: int, frames: int, partials: int, decay: float) -> np.ndarray:
    t = np.arange(frames) / RATE
    f = 440 * 2 ** ((pitch - 69) / 12)
    tone = sum(np.sin(2 * np.pi * k * f * t) / k**1.5 for k in range(1, partials + 1))
    return tone * np.exp(-t / decay) * np.minimum(1, t / 0.004) * np.minimum(1, t[::-1] / 0.01)


def tune(bpm: float, bars: int, notes: list[tuple[float, float, int]], partials: int, decay: float) -> np.ndarray:
    beat = 60 / bpm * RATE
    out = np.zeros(round(bars * 4 * beat))
    for start, length, pitch in notes:
        at, n = round(start * beat), round(length * beat)
        n = min(n, len(out) - at)
        out[at : at + n] += 0.2 * note(pitch, n, partials, decay)
    return out


def bass(bpm: float, bars: int, tonic: int) -> np.ndarray:
    roots = [0, 5, 7, 0]
    return tune(bpm, bars, [(s / 2, 0.5, 33 + tonic + roots[s // 8 % 4]) for s in range(bars * 8)], 5, 0.5)


def chords(bpm: float, bars: int, tonic: int) -> np.ndarray:
    roots = [0, 5, 7, 0]
    notes = [(b * 2.0, 2.0, 57 + tonic + roots[b // 2 % 4] + k) for b in range(bars * 2) for k in (0, 4, 7)]
    return tune(bpm, bars, notes, 6, 1.5)


def line(bpm: float, bars: int, tonic: int) -> np.ndarray:
    steps = [0, 2, 4, 7, 9, 7, 4, 2]
    return tune(bpm, bars, [(s / 2, 0.5, 69 + tonic + steps[s % 8]) for s in range(bars * 8)], 6, 0.4)


def seven() -> np.ndarray:
    """Seven hits in 5.177 s, which may be 2 bars at 92.7 bpm or 3 at 139.1: an uncertain tempo."""
    rng = np.random.default_rng(1)
    out = np.zeros(round(5.177 * RATE))
    for count in range(7):
        at = round(count * len(out) / 7)
        n = min(RATE // 4, len(out) - at)
        out[at : at + n] += 0.6 * hit(n, (60.0, 190.0, 400.0)[count % 3], 0.3, 0.1, rng)
    return out


@pytest.fixture(autouse=True)
def home_of_its_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test has analysed is news to the next."""
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path_factory.mktemp("home")))


@pytest.fixture(scope="session")
def analysed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The library's folder, and that of the catalogue that has its analysis."""
    folder = tmp_path_factory.mktemp("loops")
    make = {"bass": bass, "chords": chords, "melody": line}
    for seed, (name, (role, bpm, bars, tonic)) in enumerate(TRUTH.items()):
        sound = drums(bpm, bars, seed) if tonic is None else make[role](bpm, bars, (tonic + 3) % 12)
        soundfile.write(folder / name, sound, RATE)
    root = tmp_path_factory.mktemp("root")
    analyse(folder, root=root)
    _tell(root / CATALOGUE)
    return folder, root


def _tell(store: Path) -> None:
    """Puts the truth where analysis may have erred: what is stacked from it is another test's matter."""
    with contextlib.closing(sqlite3.connect(store)) as base:
        rows = "SELECT f.path, r.sound, r.data FROM files f JOIN results r ON r.sound = f.sound WHERE analysis = 'loop'"
        for path, sound, data in base.execute(rows).fetchall():
            role, bpm, bars, tonic = TRUTH[Path(path.decode()).name]
            loop = json.loads(data)
            key = None if tonic is None else f"{SHARP_NAMES[tonic]} major"
            sure = 0.9 if key else 0.0
            truth = {"role": role, "bpm": bpm, "bars": bars, "key": key, "key_sure": sure, "tempo_sure": 0.9}
            truth |= {"instrument": role if role in ("drums", "bass") else "harmonic", "levels": [0.0] * bars}
            loop |= {f"loop_{name}": value for name, value in truth.items()}
            base.execute("UPDATE results SET data = ? WHERE sound = ? AND analysis = 'loop'", (json.dumps(loop), sound))
        base.commit()


@pytest.fixture(scope="session")
def maker(analysed: tuple[Path, Path]) -> MaterialMaker:
    """One for all tests at 48 kHz: what one has had made is there for the next."""
    folder, root = analysed
    return MaterialMaker(folder, analyse(folder, root=root).loops, Rules(), 48000)


@pytest.fixture
def library(analysed: tuple[Path, Path]) -> Path:
    """The library's folder, its analysis already in this test's catalogue."""
    folder, root = analysed
    shutil.copytree(root, library_folder(), dirs_exist_ok=True)
    return folder
