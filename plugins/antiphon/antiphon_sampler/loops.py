"""Loops and root notes of WAV files, by their chunk `smpl`; a loop unrolled so that its seam is exact."""

import math
import struct
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from antiphon.api import Samples
from antiphon.api.backends.files import Decoder
from antiphon_sampler.library import sample_name
from antiphon_sampler.samples import PAD, DecodedSample
from antiphon_sampler.slices import onsets

MAX_CHUNKS, CHUNK_BYTES = 4096, 60
"""Chunks that are looked through, and the bytes of one that are read: those of a `smpl` with one loop."""
SHORTEST = 4800
"""Frames of a loop in memory, at least; a shorter one is there several times, in tune to 0.02 cents."""
ALTERNATING = 1


class SampleMarks(NamedTuple):
    """What a WAV file says of its notes."""

    root: float = -1.0  # note at which it was recorded, with cents; -1 for none
    first: int = 0  # frames of the file between which it repeats; both 0 for none
    last: int = 0
    kind: int = 0  # 0 forwards, `ALTERNATING` to and fro


def marks_of(path: Path) -> SampleMarks:
    """Root note and first loop of a WAV file, by its chunk `smpl` before or after the sound; none of another."""
    try:
        with path.open("rb") as file:
            head = file.read(12)
            if head[:4] not in (b"RIFF", b"RF64") or head[8:] != b"WAVE":
                return SampleMarks()
            for _ in range(MAX_CHUNKS):
                kind, size = struct.unpack("<4sI", file.read(8))
                at = file.tell()
                if kind == b"smpl":
                    return _marks(file.read(min(size, CHUNK_BYTES)))
                file.seek(at + size + size % 2)
    except (OSError, struct.error):
        pass
    return SampleMarks()


def _marks(data: bytes) -> SampleMarks:
    if len(data) < 36:
        return SampleMarks()
    note, cents, _, _, loops = struct.unpack_from("<5I", data, 12)
    # writers that know no note leave 0
    root = note + cents / 2.0**32 if 0 < note < 128 else -1.0
    if not loops or len(data) < CHUNK_BYTES:
        return SampleMarks(root)
    kind, first, last = struct.unpack_from("<3I", data, 40)
    return SampleMarks(root, first, last + 1, kind) if first <= last else SampleMarks(root)


def write_looped(path: Path, sound: Samples, rate: int, first: int) -> None:
    """Writes `[channels, frames]` as WAV of 16 bits that repeats from a frame to its end; -1 for none."""
    soundfile.write(path, sound.T, rate, subtype="PCM_16")
    if first < 0:
        return
    smpl = struct.pack("<9I6I", 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, first, sound.shape[1] - 1, 0, 0)
    data = path.read_bytes() + b"smpl" + struct.pack("<I", len(smpl)) + smpl
    path.write_bytes(data[:4] + struct.pack("<I", len(data) - 8) + data[8:])


def held_of(path: Path, marks: SampleMarks, sound: Samples, rate: int) -> DecodedSample | None:
    """What a note that lasts plays of a file with a loop; None where the file ends before its loop.

    `sound`: the file at `rate`, float32 `[1 or 2, frames]`. Raises FileError: it cannot be read.
    """
    with Decoder(path, name=sample_name(path)) as stream:
        ratio = rate / stream.rate
        whole = np.concatenate([block[:2] for block in stream.blocks()], axis=1)
    loop = whole[:, marks.first : marks.last]
    if loop.shape[1] < marks.last - marks.first:
        return None
    if marks.kind == ALTERNATING:
        loop = np.concatenate([loop, loop[:, ::-1]], axis=1)
    return unrolled(sound, loop, marks.first, ratio, rate, marks.root)


def unrolled(sound: Samples, loop: Samples, first: int, ratio: float, rate: int, root: float = -1.0) -> DecodedSample:
    """Sample of what precedes a loop, the loop, and the loop again, which is the one that repeats.

    So the interpolation finds the right frames on both sides of the seam. `sound` is at `rate`; `loop`, which begins at
    its own frame `first`, is at `rate / ratio` and is resampled as what it is, a period.
    """
    length = loop.shape[1]
    least = max(1, math.ceil(SHORTEST / (length * ratio)))
    times = min(range(least, 2 * least + 16), key=lambda n: (abs(n * length * ratio - round(n * length * ratio)), n))
    if length * times > (1 << 21):
        times = 1
    frames = max(1, round(times * length * ratio))
    begin = math.ceil(first * ratio)
    spectrum = np.fft.rfft(np.tile(loop.astype(np.float64), (1, times)), axis=1)
    bins = np.arange(min(spectrum.shape[1], frames // 2 + 1))
    turn = np.exp(2j * math.pi * bins * (begin - first * ratio) / frames)
    period = np.fft.irfft(spectrum[:, : len(bins)] * turn, frames, axis=1) * frames / (length * times)
    made = np.concatenate([sound[:, :begin], period, period, period[:, np.arange(PAD) % frames]], axis=1)
    sample = in_memory(made.astype(np.float32), rate, root)
    return replace(sample, frames=begin + 2 * frames, loop=begin + frames)


def in_memory(sound: Samples, rate: int, root: float = -1.0) -> DecodedSample:
    """Sample of decoded sound, float32 `[1 or 2, frames]`."""
    channels, frames = sound.shape
    padded = np.zeros((channels, frames + 2 * PAD), np.float32)
    padded[:, PAD : PAD + frames] = sound
    address = padded.ctypes.data + PAD * padded.itemsize
    cuts = onsets(sound, rate)
    return DecodedSample(padded, address, padded.strides[0] // padded.itemsize, channels, frames, cuts, root)
