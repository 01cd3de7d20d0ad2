"""Sounds for these tests, and what writes them."""

from pathlib import Path

import numpy as np
import soundfile

from antiphon.api import Samples, StreamSpec

RATE = 48000
SPEC = StreamSpec(RATE, 256, 2)


def burst(seed: int, frames: int = 2000) -> Samples:
    """Noise that falls off, its first frame the loudest."""
    made = np.random.default_rng(seed).uniform(-0.5, 0.5, (1, frames)) * np.exp(-np.arange(frames) / 400.0)
    made[0, 0] = 0.9
    return np.round(made * 2**20).astype(np.float32) / np.float32(2**20)


def sine(frames: int, hertz: float, rate: int = RATE, channels: int = 1) -> Samples:
    made = 0.5 * np.sin(2 * np.pi * hertz * np.arange(frames) / rate)
    return np.tile(made, (channels, 1)).astype(np.float32)


def write(path: Path, sound: Samples, rate: int = RATE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound.T, rate, subtype="FLOAT" if path.suffix == ".wav" else "PCM_16")
