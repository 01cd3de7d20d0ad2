"""Sound files to catalogue: short, with tags, and of known content."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

RATE = 22050
MakeFile = Callable[..., Path]


@pytest.fixture
def music(tmp_path: Path) -> Path:
    folder = tmp_path / "music"
    folder.mkdir()
    return folder


@pytest.fixture
def make(music: Path) -> MakeFile:
    """Writes a tone of 0.3 s: `make("a.wav", 440.0, title="A")`."""

    def write(name: str, frequency: float = 440.0, *, folder: Path = music, **tags: str) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        tone = 0.5 * np.sin(2 * np.pi * frequency * np.arange(round(0.3 * RATE)) / RATE)
        kind = {"format": "FLAC", "subtype": "PCM_16"} if path.suffix == ".flac" else {}
        with soundfile.SoundFile(path, "w", RATE, 1, **kind) as file:
            for tag, text in tags.items():
                setattr(file, tag, text)
            file.write(tone)
        return path

    return write
