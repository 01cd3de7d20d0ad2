"""Loops and slices of samples.

Loops and root notes of WAV files come from their `smpl` chunk; a loop is unrolled so that its seam is exact. Slices are
equal parts, or begin at onsets; a loop of slices is synced to the clock.
"""

import math
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from antiphon.api import BlockTime, Samples
from antiphon.api.backends.analysis import ONSET_RISE, ONSETS_APART, level_rises, listening_mono, piece_frames
from antiphon.api.backends.files import Decoder
from antiphon_sampler.library import sample_name
from antiphon_sampler.samples import PAD, DecodedSample, Sample
from antiphon_sampler.values import NoteValues

MAX_LOOPS = 16
"""Maximum simultaneous loops of a node."""
MIN_BEATS = 1.0 / 32.0
"""Minimum beats of a loop."""
BATCH_SIZE = 64
"""Maximum slices started per block; further ones start late, in the next block."""
ROUNDING_FRAMES = 1e-3
"""Frames of tolerance for a beat just before a frame, due to rounding."""


@dataclass(slots=True)
class ClockedLoop:
    """A playing loop; its slices start at beats."""

    sample: Sample
    values: NoteValues
    gain: float
    note: int
    channel: int
    begun: float  # the beat at which it began
    cuts: tuple[int, ...]  # frames of the sample at which its slices begin, then the end of the part
    next: int
    group: int

    def frame(self, time: BlockTime, rate: int) -> int:
        """Frame of the next slice in this block; 0 for a past one, beyond the block for a later one."""
        first, last = self.cuts[0], self.cuts[-1]
        turn, place = divmod(self.next, len(self.cuts) - 1)
        beat = self.begun + self.values.beats * (turn + (self.cuts[place] - first) / (last - first))
        return max(0, math.ceil((beat - time.beat) * 60.0 * rate / time.tempo - ROUNDING_FRAMES))

    def follow(self, time: BlockTime) -> None:
        """Restarts the loop if the running clock has jumped by more than its length."""
        turn, place = divmod(self.next, len(self.cuts) - 1)
        beat = self.begun + self.values.beats * turn
        if not beat - self.values.beats - MIN_BEATS <= time.beat <= beat + 2.0 * self.values.beats + MIN_BEATS:
            self.begun = time.beat - self.values.beats * turn
            self.next -= place

    def over(self) -> bool:
        """True if all its slices have started and it does not repeat."""
        return not self.values.loop and self.next >= len(self.cuts) - 1


def cuts_between(sample: Sample, first: int, last: int, mode: str) -> tuple[int, ...]:
    """Cut positions of a part of a sample, with start and end: at onsets for "onsets", none inside for "speed"."""
    if mode != "onsets":
        return first, last
    return (first, *(at for at in sample.onsets if first < at < last), last)


LOOK_BACK = range(1, 10)
"""Range in pieces of the earlier levels that an onset exceeds, 18 ms: longer than a bass drum's first period."""
MAX_SLICES = 512
"""Maximum slices of a sample."""


def onsets(sound: Samples, rate: int) -> tuple[int, ...]:
    """Onset frames, ascending, in float32 `[channels, frames]`; the first is 0.

    The level of a 2 ms piece must exceed the loudest of the preceding pieces (`level_rises`). An onset is moved back to
    the start of the rise within its piece.
    """
    step = piece_frames(rate)
    count = sound.shape[1] // step
    if count <= LOOK_BACK.stop:
        return (0,)
    mono = listening_mono(sound)[: count * step].astype(np.float64)
    rise = level_rises(mono, rate, LOOK_BACK, circular=False)
    found = [0]
    for n in np.flatnonzero(rise > ONSET_RISE):
        frame = _beginning(mono, int(n), step)
        if frame - found[-1] > ONSETS_APART * rate and len(found) < MAX_SLICES:
            found.append(frame)
    return tuple(found)


def _beginning(mono: np.ndarray[tuple[int], np.dtype[np.float64]], piece: int, step: int) -> int:
    """First frame of a piece, or of the next, above a quarter of its peak over the preceding level."""
    first = piece * step
    here = np.abs(mono[first : first + 2 * step])
    before = float(np.abs(mono[max(0, first - 2 * step) : first]).max(initial=0.0))
    over = np.flatnonzero(here > before + 0.25 * (float(here.max()) - before))
    return first + (int(over[0]) if len(over) else 0)


def slice_frames(frames: int, cuts: tuple[int, ...], slices: int, number: int) -> tuple[int, int]:
    """First frame of a slice and the frame after its last, at least one apart; `number` wraps.

    `slices`: number of equal slices; 0 cuts at the onsets `cuts`.
    """
    if slices > 0:
        place = number % slices
        first, last = frames * place // slices, frames * (place + 1) // slices
    else:
        place = number % len(cuts)
        first, last = cuts[place], cuts[place + 1] if place + 1 < len(cuts) else frames
    return first, max(first + 1, last)


def frames_of_share(first: int, last: int, begin: float, end: float) -> tuple[int, int]:
    """The part of frames `first` to `last` from the share `begin` to `end`, in either order; at least one frame."""
    begin, end = min(begin, end), max(begin, end)
    length = last - first
    at = first + min(length - 1, round(begin * length))
    return at, max(at + 1, first + round(end * length))


MAX_CHUNKS, CHUNK_BYTES = 4096, 60
"""Maximum chunks to examine, and bytes read of one: those of a `smpl` chunk with one loop."""
SHORTEST = 4800
"""Minimum frames of a loop in memory; a shorter loop is stored repeatedly, in tune to 0.02 cents."""
ALTERNATING = 1


class SampleMarks(NamedTuple):
    """Root note and loop of a WAV file's `smpl` chunk."""

    root: float = -1.0  # note at which it was recorded, with cents; -1 for none
    first: int = 0  # frames of the file between which it repeats; both 0 for none
    last: int = 0
    kind: int = 0  # 0 forwards, `ALTERNATING` to and fro


def read_sample_marks(path: Path) -> SampleMarks:
    """Root note and first loop of a WAV file's `smpl` chunk, before or after the sound; empty for other files."""
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
    """Writes `[channels, frames]` as 16-bit WAV that loops from a frame to its end; -1 for no loop."""
    soundfile.write(path, sound.T, rate, subtype="PCM_16")
    if first < 0:
        return
    smpl = struct.pack("<9I6I", 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, first, sound.shape[1] - 1, 0, 0)
    data = path.read_bytes() + b"smpl" + struct.pack("<I", len(smpl)) + smpl
    path.write_bytes(data[:4] + struct.pack("<I", len(data) - 8) + data[8:])


def build_held_sample(path: Path, marks: SampleMarks, sound: Samples, rate: int) -> DecodedSample | None:
    """Builds the sample that a held note plays from a looped file; None if the file ends before its loop.

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
    return with_repeated_loop(sound, loop, marks.first, ratio, rate, marks.root)


def with_repeated_loop(
    sound: Samples, loop: Samples, first: int, ratio: float, rate: int, root: float = -1.0
) -> DecodedSample:
    """Builds a sample of the sound before a loop, the loop, and the loop again; the second copy repeats.

    So interpolation finds the correct frames on both sides of the seam. `sound` is at `rate`; `loop`, which begins at
    its own frame `first`, is at `rate / ratio` and is resampled as periodic.
    """
    length = loop.shape[1]
    least = max(1, math.ceil(SHORTEST / (length * ratio)))
    times = min(range(least, 2 * least + 16), key=lambda n: (abs(n * length * ratio - round(n * length * ratio)), n))
    if length * times > (1 << 21):
        times = 1
    frames = max(1, round(times * length * ratio))
    begin = math.ceil(first * ratio)
    period = np.tile(loop.astype(np.float64), (1, times))
    if ratio != 1.0:
        spectrum = np.fft.rfft(period, axis=1)
        bins = np.arange(min(spectrum.shape[1], frames // 2 + 1))
        turn = np.exp(2j * math.pi * bins * (begin - first * ratio) / frames)
        period = np.fft.irfft(spectrum[:, : len(bins)] * turn, frames, axis=1) * frames / (length * times)
    made = np.concatenate([sound[:, :begin], period, period, period[:, np.arange(PAD) % frames]], axis=1)
    sample = sample_from_sound(made.astype(np.float32), rate, root)
    return replace(sample, frames=begin + 2 * frames, loop=begin + frames)


def sample_from_sound(sound: Samples, rate: int, root: float = -1.0) -> DecodedSample:
    """Builds a sample from decoded sound, float32 `[1 or 2, frames]`."""
    channels, frames = sound.shape
    padded = np.zeros((channels, frames + 2 * PAD), np.float32)
    padded[:, PAD : PAD + frames] = sound
    address = padded.ctypes.data + PAD * padded.itemsize
    cuts = onsets(sound, rate)
    return DecodedSample(padded, address, padded.strides[0] // padded.itemsize, channels, frames, cuts, root)
