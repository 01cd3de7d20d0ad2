"""Interface of espeak-ng: text to speech, by voice, speed and pitch."""

import io
import subprocess

import numpy as np
from numpy.typing import NDArray

PROGRAM = "espeak-ng"


def speech(text: str, voice: str, speed: int, pitch: int) -> tuple[NDArray[np.float32], int]:
    """Speaks text: mono float32 `[frames]` and its rate in Hz.

    `voice`: a language and a variant, as "en-us+f3"; `speed`: words a minute, 80 to 450; `pitch`: 0 to 99.

    Raises `FileNotFoundError`: there is no espeak-ng program. `subprocess.CalledProcessError`: it knows no such voice,
    or fails otherwise.
    """
    import soundfile

    done = subprocess.run(
        [PROGRAM, "-v", voice, "-s", str(speed), "-p", str(pitch), "--stdout", text], check=True, capture_output=True
    )
    sound, rate = soundfile.read(io.BytesIO(done.stdout), dtype="float32", always_2d=True)
    return np.asarray(sound.mean(axis=1)), int(rate)
