"""The one caller of TiMidity++: the bytes of a MIDI file to sound, by the patches of FreePats."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon_models.material.rendering import absent, render

PROGRAM = "timidity"
FREEPATS = Path("/etc/timidity/freepats.cfg")


def missing() -> list[str]:
    """What of TiMidity++ and FreePats is not on this machine, each by its name or path."""
    return absent(PROGRAM, [FREEPATS])


def programs() -> frozenset[int]:
    """The programs of General MIDI, 0 to 127, that FreePats has."""
    _, _, bank = FREEPATS.read_text().partition("bank 0")
    return frozenset(int(number) for number in re.findall(r"^\s*(\d+)\s+\S+\.pat", bank, re.MULTILINE))


def play(score: bytes, rate: int, *options: str) -> NDArray[np.float32]:
    """What TiMidity++ makes of a MIDI file's bytes, float32 `[frames, 2]`, without its reverberation and chorus.

    Raises `FileNotFoundError`: there is no timidity program. `subprocess.CalledProcessError`: it fails.
    `subprocess.TimeoutExpired`: it takes over `LONGEST` seconds.
    """
    return render(score, lambda notes, sound: [
        PROGRAM, "-c", str(FREEPATS), "-Ow", "-s", str(rate), "-EFreverb=d", "-EFchorus=d", "-A", "60",
        *options, "-o", str(sound), str(notes),
    ])  # fmt: skip
