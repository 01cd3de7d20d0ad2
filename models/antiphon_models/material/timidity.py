"""The one caller of TiMidity++: the bytes of a MIDI file to sound, by the patches of FreePats."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon_models.material.fluidsynth import LONGEST

PROGRAM = "timidity"
FREEPATS = Path("/etc/timidity/freepats.cfg")


def missing() -> list[str]:
    """What of TiMidity++ and FreePats is not on this machine, each by its name or path."""
    names = [] if shutil.which(PROGRAM) is not None else [PROGRAM]
    return names + ([] if FREEPATS.is_file() else [str(FREEPATS)])


def programs() -> frozenset[int]:
    """The programs of General MIDI, 0 to 127, that FreePats has."""
    _, _, bank = FREEPATS.read_text().partition("bank 0")
    return frozenset(int(number) for number in re.findall(r"^\s*(\d+)\s+\S+\.pat", bank, re.MULTILINE))


def play(score: bytes, rate: int, *options: str) -> NDArray[np.float32]:
    """What TiMidity++ makes of a MIDI file, without its reverberation and chorus.

    Args:
        score: The file's bytes.
        rate: Hz of the sound.
        options: Further ones of the program, as "--preserve-silence".

    Returns:
        float32 `[frames, 2]`.

    Raises:
        FileNotFoundError: There is no timidity program.
        subprocess.CalledProcessError: It fails.
        subprocess.TimeoutExpired: It takes over `LONGEST` seconds.
    """
    import soundfile

    with tempfile.TemporaryDirectory() as folder:
        notes, sound = Path(folder) / "notes.mid", Path(folder) / "sound.wav"
        notes.write_bytes(score)
        subprocess.run(
            [PROGRAM, "-c", str(FREEPATS), "-Ow", "-s", str(rate), "-EFreverb=d", "-EFchorus=d", "-A", "60",
             *options, "-o", str(sound), str(notes)],
            check=True, capture_output=True, timeout=LONGEST, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        samples, _ = soundfile.read(sound, dtype="float32", always_2d=True)
    return np.asarray(samples)
