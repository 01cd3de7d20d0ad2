"""Excerpt of a sound file as WAV, from a typical passage, for playback in a browser."""

import io
import os
import wave
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.api.backends.files import Decoder

SECONDS = 20.0
MAX_START_SECONDS = 90.0
"""Latest start of an excerpt in seconds, since everything before it is decoded."""
START_SHARE = 0.3
"""Relative start of the excerpt in a sound without a known chorus."""


def begins(duration: float, values: Mapping[str, Any]) -> float:
    """Start of an excerpt in seconds: the first chorus, else a third into a sound of `duration` seconds."""
    sections = values.get("sections") or ()
    starts = [start for start, end, label in sections if "chorus" in str(label).lower() and end - start > 4.0]
    start = starts[0] if starts and starts[0] <= MAX_START_SECONDS else min(START_SHARE * duration, MAX_START_SECONDS)
    return float(max(0.0, min(start, duration - SECONDS)))


def wav(path: bytes, start: float, seconds: float = SECONDS) -> bytes:
    """Returns at most `seconds` of a file as 16-bit WAV, one or two channels, with fades of 10 ms at its ends.

    Raises `FileError`: the file cannot be read.
    """
    pieces, at = [], 0
    with Decoder(Path(os.fsdecode(path))) as decoder:
        rate, channels = decoder.info.rate, min(decoder.info.channels, 2)
        first, last = round(start * rate), round((start + seconds) * rate)
        for block in decoder.blocks():
            frames = block.shape[1]
            inside = block[:, max(0, first - at) : max(0, last - at)]
            if inside.shape[1]:
                mixed = inside if block.shape[0] <= 2 else np.repeat(inside.mean(axis=0, keepdims=True), 2, axis=0)
                pieces.append(np.array(mixed, np.float32))
            at += frames
            if at >= last:
                break
    if not pieces and start > 0.0:
        return wav(path, 0.0, seconds)  # it is shorter by now than when it was added
    sound = np.concatenate(pieces, axis=1) if pieces else np.zeros((channels, 0), np.float32)
    fade = min(rate // 100, sound.shape[1])
    if fade:
        ramp = np.linspace(0.0, 1.0, fade, dtype=np.float32)
        sound[:, :fade] *= ramp
        sound[:, -fade:] *= ramp[::-1]
    memory = io.BytesIO()
    with wave.open(memory, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(np.nan_to_num(sound.T), -1.0, 1.0) * 32767.0).astype("<i2").tobytes())
    return memory.getvalue()
