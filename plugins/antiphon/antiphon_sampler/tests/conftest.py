"""What these tests share: sounds, and a small library whose samples are known to the frame."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from antiphon.api import Event, Samples, StreamSpec
from antiphon.kernel.contract.harness import Rendered
from antiphon.testing import render
from antiphon_sampler.library import folder_of
from antiphon_sampler.processor import Sampler
from antiphon_sampler.sounds import sounds_of

RATE = 48000
SPEC = StreamSpec(RATE, 256, 2)


def on(at: int, note: int = 36, velocity: float = 1.0, channel: int = 1) -> Event:
    return Event("on", at, note, velocity, channel)


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


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sounds") / "kit"
    write(folder / "bd" / "b.wav", burst(2))
    write(folder / "bd" / "a.wav", burst(1))
    write(folder / "oh" / "0.wav", sine(RATE, 1000.0))
    write(folder / "hh" / "0.wav", burst(3))
    write(folder / "sd" / "0_v2.wav", burst(5))
    write(folder / "sd" / "0_v1.wav", burst(4))
    write(folder / "tone" / "0.wav", np.concatenate([sine(RATE, 500.0), sine(RATE, 700.0)]))
    write(folder / "slow" / "0.wav", sine(22050, 1000.0, 22050), 22050)
    four = np.concatenate([burst(10 + n, 12000) for n in range(4)], axis=1)
    write(folder / "four" / "0.wav", four)
    return folder


@pytest.fixture(scope="session", autouse=True)
def decoded(library: Path):
    """Keeps what is decoded, also of the kit that ships: a node alone would forget it with itself."""
    return sounds_of(library, RATE), sounds_of(folder_of(""), RATE)


@pytest.fixture
def play(library: Path):
    """Renders notes of the library; `values` are those of the node."""

    def played(notes: list[Event], frames: int, blocks=None, spec: StreamSpec = SPEC, events=(), **values) -> Rendered:
        values.setdefault("library", str(library))
        return render(
            Sampler(), spec, np.zeros((spec.channels, frames), np.float32), values, events, blocks, notes=notes
        )

    return played
