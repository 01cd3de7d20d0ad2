"""Runs a program that renders a MIDI file to a sound file."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TIMEOUT_SECONDS = 600.0
"""Timeout of a program in seconds, by experience: rendering here takes some seconds."""


def absent(program: str, files: Iterable[Path]) -> list[str]:
    """Names of missing programs, and paths of missing files."""
    names = [] if shutil.which(program) is not None else [program]
    return names + [str(path) for path in files if not path.is_file()]


def render(score: bytes, words: Callable[[Path, Path], Sequence[str]]) -> NDArray[np.float32]:
    """Sound float32 `[frames, channels]` of a MIDI file's bytes, rendered by a program.

    `words` of its command line come from the paths of the MIDI file and of the sound file that it writes.

    Raises `FileNotFoundError`: there is no such program. `subprocess.CalledProcessError`: it fails.
    `subprocess.TimeoutExpired`: it takes over `TIMEOUT_SECONDS` seconds.
    """
    import soundfile

    with tempfile.TemporaryDirectory() as folder:
        notes, sound = Path(folder) / "notes.mid", Path(folder) / "sound.wav"
        notes.write_bytes(score)
        subprocess.run(
            words(notes, sound), check=True, capture_output=True, timeout=TIMEOUT_SECONDS, stdin=subprocess.DEVNULL
        )
        samples, _ = soundfile.read(sound, dtype="float32", always_2d=True)
    return np.asarray(samples)
