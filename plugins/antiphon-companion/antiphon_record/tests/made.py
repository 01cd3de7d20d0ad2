"""Recordings whose stems and beats are known, prepared without a separation."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.testing import write
from antiphon_record.kernels import STEMS
from antiphon_record.preparing import write_prepared

RATE = 48000
F32 = NDArray[np.float32]


def silence(seconds: float) -> F32:
    return np.zeros((len(STEMS), 2, round(seconds * RATE)), np.float32)


def put_tone(stems: F32, stem: str, hertz: float, level: float = 0.2) -> None:
    t = np.arange(stems.shape[2]) / RATE
    stems[STEMS.index(stem)] += level * np.sin(2.0 * np.pi * hertz * t)


def put_hits(stems: F32, at: Sequence[float], stem: str = "drums") -> None:
    """Bursts of noise, of 17 ms, each another one."""
    for n, second in enumerate(at):
        first = round(second * RATE)
        count = min(4800, stems.shape[2] - first)
        hit = np.random.default_rng(n).uniform(-1.0, 1.0, (2, count)) * np.exp(-np.arange(count) / 800.0)
        stems[STEMS.index(stem), :, first : first + count] += (0.5 * hit).astype(np.float32)


def put_record(
    path: Path, stems: F32, beat: float = 0.5, sections: Sequence[tuple[int, int, str]] = (), meter: int = 4
) -> Path:
    """Writes a song of stems `[4, 2, frames]` with a beat every `beat` seconds, and what is prepared of it."""
    write(path, stems.sum(axis=0))
    places = np.arange(stems.shape[2] / RATE / beat + 2) * beat * RATE
    write_prepared(path, stems, places, meter, sections)
    return path
