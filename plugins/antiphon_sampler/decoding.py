"""Decoding of samples: a short file whole, of a long one its length and parts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from antiphon.api import FileError, Samples
from antiphon.api.backends.files import KeptDecoder
from antiphon_sampler.library import sample_name

HOURS = 6
"""Maximum length of a file in hours."""


@dataclass(frozen=True, slots=True)
class DecodedFile:
    """Result of decoding a file."""

    sound: Samples  # float32 `[1 or 2, frames]`; of a file that is longer than asked for no frames
    frames: int  # frames of the whole file, at the stream's rate


def decode(decoder: KeptDecoder, path: Path, seconds: float) -> DecodedFile:
    """Decodes at most two channels of a file, or only measures its length if over `seconds`.

    Raises FileError: it cannot be played; the sentence names it by its folder's name and its own.
    """
    shown, rate = sample_name(path), decoder.rate
    with decoder.stream(path, shown) as stream:
        info, most = stream.info, round(seconds * rate)
        channels, own_most = min(2, info.channels), most * info.rate // rate + 1
        if info.frames is not None and info.frames > own_most:
            if info.frames > HOURS * 3600 * info.rate:
                raise FileError(f"{shown} is not played: it is longer than {HOURS} hours; cut it into parts")
            return DecodedFile(np.zeros((channels, 0), np.float32), info.frames * rate // info.rate)
        blocks = [np.zeros((channels, 0), np.float32)]
        frames = 0
        for block in stream.blocks():
            blocks.append(block[:2])
            frames += block.shape[1]
            if info.frames is None and frames > most + 2:
                raise FileError(
                    f"cannot read {shown}: it does not say how long it is; a long one has to, write it again"
                )
    if not frames:
        raise FileError(f"{shown} is not played: there is nothing in it")
    return DecodedFile(np.concatenate(blocks, axis=1), frames)
