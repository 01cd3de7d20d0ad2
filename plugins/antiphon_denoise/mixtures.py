"""Noisy recordings with known clean sound, for measuring denoisers: real noise over real music, speech, loops."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

F32 = NDArray[np.float32]
RATE = 44100
SECONDS = 5
LEAD = RATE // 2
SNRS = (0, 10, 20)


@dataclass(frozen=True, slots=True)
class Mixture:
    """One item: `clean` and `noise` `[frames]`, to be added.

    `lead`: half a second of the same noise, to be learned from.
    """

    noise_name: str
    clean_name: str
    snr: int
    clean: F32
    noise: F32
    lead: F32


def read(path: Path) -> F32:
    """A file as mono at `RATE`."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = samples.mean(axis=1)
    return np.asarray(soxr.resample(mono, rate, RATE) if rate != RATE else mono, np.float32)


def clean_sounds(data: Path) -> dict[str, dict[str, F32]]:
    """Music, speech and loops by kind and name."""
    kinds: dict[str, dict[str, F32]] = {"loop": {}, "music": {}, "speech": {}}
    for path in sorted((data / "tracks").glob("*.ogg")):
        kinds["speech" if path.stem.startswith("speech") else "music"][path.stem] = read(path)
    for path in sorted((data / "sonicpi").glob("loop_*.flac")):
        kinds["loop"][path.stem] = read(path)
    return kinds


def noise_files(data: Path, folds: str) -> dict[str, list[Path]]:
    """ESC-10 clips of these folds, by class."""
    classes: dict[str, list[Path]] = {}
    for path in sorted((data / "esc10").glob("*/*.ogg")):
        if path.name.split("-")[0] in folds:
            classes.setdefault(path.parent.name, []).append(path)
    return classes


def mixtures(data: Path, seed: int = 1, folds: str = "123", each: int = 6) -> Iterator[Mixture]:
    """`each` clips of every class, each over one clean sound at every SNR of `SNRS`.

    The SNR is that of the whole five seconds; the clean sound peaks at 0.5.
    """
    rng = np.random.default_rng(seed)
    kinds = clean_sounds(data)
    frames = SECONDS * RATE
    for turn, (name, path) in enumerate(_picked(noise_files(data, folds), each, rng)):
        kind = sorted(kinds)[turn % len(kinds)]
        names = sorted(kinds[kind])
        chosen = names[int(rng.integers(len(names)))]
        clean = _excerpt(kinds[kind][chosen], frames, rng)
        clean = clean * np.float32(0.5 / np.abs(clean).max())
        noise = read(path)
        noise = np.tile(noise, -(-(frames + LEAD) // len(noise)))[: frames + LEAD]
        sound = noise[LEAD:]
        for snr in SNRS:
            scale = np.sqrt(np.mean(clean**2) / (np.mean(sound**2) + 1e-20) / 10 ** (snr / 10))
            scaled = (noise * scale).astype(np.float32)
            yield Mixture(name, f"{kind}:{chosen}", snr, clean, scaled[LEAD:], scaled[:LEAD])


def _picked(classes: dict[str, list[Path]], each: int, rng: np.random.Generator) -> Iterator[tuple[str, Path]]:
    orders = {name: rng.permutation(len(paths)) for name, paths in sorted(classes.items())}
    # one clip of every class before the next of any: a limit keeps the classes even
    for n in range(each):
        for name, order in orders.items():
            if n < len(order):
                yield name, classes[name][order[n]]


def _excerpt(sound: F32, frames: int, rng: np.random.Generator) -> F32:
    if len(sound) <= frames:
        return np.tile(sound, -(-frames // len(sound)))[:frames]
    loud = 0.3 * float(np.sqrt(np.mean(sound**2)))
    piece = sound[:frames]
    for _ in range(50):
        at = int(rng.integers(0, len(sound) - frames + 1))
        piece = sound[at : at + frames]
        if float(np.sqrt(np.mean(piece**2))) > loud:
            break
    return piece


def si_sdr(made: F32, clean: F32) -> float:
    """Scale-invariant signal-to-distortion ratio in dB."""
    a, b = made.astype(np.float64), clean.astype(np.float64)
    scale = float(a @ b) / (float(b @ b) + 1e-20)
    rest = a - scale * b
    return float(10 * np.log10((scale**2 * float(b @ b) + 1e-20) / (float(rest @ rest) + 1e-20)))
