"""The peer: Chromaprint's fingerprints by its program `fpcalc`, and a matcher that counts bits that agree."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.api import UsageError
from antiphon_models.identify.conditions import Sound
from antiphon_models.identify.tracks import RATE

PROGRAM = "fpcalc"
SECONDS_OF_FRAME = 4096 / 3 / 11025
"""Chromaprint's hop: a third of 4,096 samples at 11,025 Hz."""
MOST_ERRORS = 0.35
"""Share of bits that differ below which a track is accepted: AcoustID's rule of thumb; chance has a half."""
U32 = NDArray[np.uint32]


def missing() -> bool:
    """Whether the program is not on this machine."""
    return shutil.which(PROGRAM) is None


def frames_of(sound: Sound) -> U32:
    """The raw fingerprint, 32 bits each 0.124 s."""
    import soundfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sound.wav"
        soundfile.write(path, sound, RATE)
        done = subprocess.run(
            [PROGRAM, "-raw", "-json", "-length", "0", str(path)],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
        )
    try:  # fpcalc 1.5 with FFmpeg 5 writes the fingerprint, and then takes the end of the file for an error
        return np.array(json.loads(done.stdout)["fingerprint"], np.uint32)
    except (ValueError, KeyError):
        raise UsageError(f"{PROGRAM} gave no fingerprint: {done.stderr.decode(errors='replace')[:200]}") from None


@dataclass(frozen=True, slots=True)
class ChromaprintMatch:
    """track: its number; -1 for none.  offset: seconds.  errors: share of bits that differ."""

    track: int
    offset: float
    errors: float


def best_match(tracks: Sequence[U32], asked: U32) -> ChromaprintMatch:
    """The track and the place with the fewest bits that differ, of all places that hold what is asked whole."""
    best = ChromaprintMatch(-1, 0.0, 1.0)
    count = len(asked)
    if count == 0:
        return best
    for number, frames in enumerate(tracks):
        if len(frames) < count:
            continue
        windows = np.lib.stride_tricks.sliding_window_view(frames, count)
        errors = np.bitwise_count(windows ^ asked).sum(axis=1) / (32.0 * count)
        place = int(errors.argmin())
        if errors[place] < best.errors:
            best = ChromaprintMatch(number, place * SECONDS_OF_FRAME, float(errors[place]))
    return best
