"""Convolution with an impulse response, in partitions of two sizes.

Overlap-save in the frequency domain: the first part of the response in partitions of one block (the next power of two),
which is the latency; the rest in partitions of some 2,048 frames, whose products are spread over the blocks in which
the next one is gathered (Gardner, "Efficient convolution without input-output delay", JAES 43, 1995; García, "Optimal
filter partition for efficient convolution with short input/output delay", AES 113th Convention, 2002). So the cost per
block is almost constant.
"""

from __future__ import annotations

import logging
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

import numpy as np

from antiphon.api import F32, IO, FileError, FileUse, Param, Processor, Step, StreamSpec
from antiphon.api.backends.files import notice, printable_path, reading_file, stream_sound
from antiphon.api.kernels import (
    Audio,
    RealFft,
    address,
    address_f32,
    f32,
    f32p,
    f64,
    fft_real,
    fft_real_inverse,
    i64,
    i64p,
    kernel,
)
from antiphon_effects.shared import LOUDEST, effects_finite, effects_gain, effects_is_changed

log = logging.getLogger("antiphon.effects")
MAX_SECONDS = 20.0
"""Maximum length of an impulse response in seconds."""
LARGE = 2048
"""Minimum frames of a large partition."""
# places in `place`: frames of a partition that are gathered, small partitions of a large one
_AT, _TURN = 0, 1


class PartitionField(IntEnum):
    """Indices of the words of one partition size: numbers, then addresses of arrays."""

    CHANNELS = 0
    SIZE = 1
    COUNT = 2
    NEWEST = 3
    """Index in the ring of the newest input's spectrum."""
    DONE = 4
    """Number of partitions already multiplied into the total."""
    RESPONSE = 5
    SPECTRA = 6
    TOTAL = 7
    WINDOW = 8
    SOUND = 9
    TURNS = 10
    WORK = 11


@kernel
def effects_transform_input(part: i64p, x: f32p) -> None:
    """Transforms the next input block, `[channels, size]`, with the previous one, into the newest ring spectrum."""
    size = part[PartitionField.SIZE]
    bins = size + 1
    newest = part[PartitionField.NEWEST] + 1
    newest = 0 if newest == part[PartitionField.COUNT] else newest
    part[PartitionField.NEWEST] = newest
    part[PartitionField.DONE] = 0
    sound = address_f32(part[PartitionField.SOUND])
    for c in range(part[PartitionField.CHANNELS]):
        window = address_f32(part[PartitionField.WINDOW] + 8 * c * size)
        for n in range(size):
            window[n] = window[size + n]
            window[size + n] = x[c * size + n]
        fft_real(
            window, 2 * size, address_f32(part[PartitionField.TURNS]), address_f32(part[PartitionField.WORK]), sound
        )
        at = 2 * bins * (c * part[PartitionField.COUNT] + newest)
        spectrum = address_f32(part[PartitionField.SPECTRA] + 4 * at)
        total = address_f32(part[PartitionField.TOTAL] + 8 * c * bins)
        for k in range(bins):
            spectrum[k] = sound[2 * k]
            spectrum[bins + k] = sound[2 * k + 1]
            total[k] = 0.0
            total[bins + k] = 0.0


@kernel
def effects_add_product(total: f32p, x: f32p, h: f32p, bins: i64) -> None:
    """total ← total + product of two spectra, each `[2, bins]`, real and imaginary."""
    for i in range(bins):
        total[i] = total[i] + x[i] * h[i] - x[bins + i] * h[bins + i]
    for i in range(bins):
        total[bins + i] = total[bins + i] + x[i] * h[bins + i] + x[bins + i] * h[i]


@kernel
def effects_advance_to(part: i64p, last: i64) -> None:
    """Accumulates the products up to partition `last`."""
    bins = part[PartitionField.SIZE] + 1
    count = part[PartitionField.COUNT]
    for c in range(part[PartitionField.CHANNELS]):
        total = address_f32(part[PartitionField.TOTAL] + 8 * c * bins)
        for k in range(part[PartitionField.DONE], last):
            slot = part[PartitionField.NEWEST] - k
            slot = slot + count if slot < 0 else slot
            x = address_f32(part[PartitionField.SPECTRA] + 8 * bins * (c * count + slot))
            effects_add_product(total, x, address_f32(part[PartitionField.RESPONSE] + 8 * bins * (c * count + k)), bins)
    part[PartitionField.DONE] = last


@kernel
def effects_inverse_transform(part: i64p, out: f32p) -> None:
    """out `[channels, size]` ← inverse transform of the accumulated products."""
    size = part[PartitionField.SIZE]
    bins = size + 1
    effects_advance_to(part, part[PartitionField.COUNT])
    sound = address_f32(part[PartitionField.SOUND])
    for c in range(part[PartitionField.CHANNELS]):
        total = address_f32(part[PartitionField.TOTAL] + 8 * c * bins)
        for k in range(bins):
            sound[2 * k] = total[k]
            sound[2 * k + 1] = total[bins + k]
        fft_real_inverse(
            sound, 2 * size, address_f32(part[PartitionField.TURNS]), address_f32(part[PartitionField.WORK]), sound
        )
        for n in range(size):
            out[c * size + n] = sound[size + n]


@kernel
def effects_partition(x: f32p, y: f32p, place: i64p, head: i64p, rest: i64p, gathered: f32p, late: f32p) -> None:
    """y ← one partition, `[channels, size]`, of x filtered by the whole response. `place`: see `_TURN`."""
    effects_transform_input(head, x)
    effects_inverse_transform(head, y)
    if rest[PartitionField.COUNT] == 0:
        return
    size = head[PartitionField.SIZE]
    large = rest[PartitionField.SIZE]
    at = size * place[_TURN]
    for c in range(head[PartitionField.CHANNELS]):
        for n in range(size):
            y[c * size + n] = y[c * size + n] + late[c * large + at + n]
            gathered[c * large + at + n] = x[c * size + n]
    turns = large // size
    place[_TURN] = place[_TURN] + 1
    effects_advance_to(rest, rest[PartitionField.COUNT] * place[_TURN] // turns)
    if place[_TURN] == turns:
        place[_TURN] = 0
        effects_inverse_transform(rest, late)
        effects_transform_input(rest, gathered)


class ConvolutionState(NamedTuple):
    """Spectra of the impulse response, with its input and output buffers."""

    take: f32p
    give: f32p
    place: i64p
    head: i64p
    rest: i64p
    gathered: f32p
    late: f32p


@kernel
def effects_convolve(x: Audio, y: Audio, frames: i64, level: f32p, size: i64, s: ConvolutionState) -> None:
    """y ← x filtered by the response, `size` frames (a small partition) later, at that level (dB).

    `take` `[channels, size]` and `gathered` `[channels, large]` collect the input; `give` and `late`, of the same
    shapes, hold output. `place`: frames in `take`, small partitions in `gathered`. If `head` is empty, sound passes.
    """
    g = f32(1.0)
    for n in range(frames):
        if effects_is_changed(level, n) == 1:
            g = f32(effects_gain(f64(level[n]))) if level[n] != 0.0 else f32(1.0)
        at = s.place[_AT]
        for c in range(y.channels):
            s.take[c * size + at] = effects_finite(x[c, n])
            v = s.give[c * size + at] * g
            y[c, n] = f32(0.0) if abs(v) < f32(1e-15) else v
        at = at + 1
        if at == size:
            at = 0
            if s.head[PartitionField.COUNT] == 0:
                for i in range(size * y.channels):
                    s.give[i] = s.take[i]
            else:
                effects_partition(s.take, s.give, s.place, s.head, s.rest, s.gathered, s.late)
        s.place[_AT] = at


class Partitions:
    """Uniform partitions of a response: spectra of recent inputs, and their products with the response's spectra."""

    def __init__(self, response: F32, size: int) -> None:
        """`response`: `[channels, frames]`; an empty one has no partitions. `size`: a power of two."""
        channels, frames = response.shape
        count, bins = -(-frames // size), size + 1
        padded = np.zeros((channels, count, size), np.float32)
        padded.reshape(channels, -1)[:, :frames] = response
        spectra = np.fft.rfft(padded, 2 * size)
        fft = RealFft(2 * size)
        self._state: dict[PartitionField, F32] = {
            PartitionField.SPECTRA: np.zeros((channels, count, 2, bins), np.float32),
            PartitionField.TOTAL: np.zeros((channels, 2, bins), np.float32),
            PartitionField.WINDOW: np.zeros((channels, 2 * size), np.float32),
        }
        self._arrays: dict[PartitionField, F32] = {
            **self._state,
            PartitionField.RESPONSE: np.stack([spectra.real, spectra.imag], axis=2).astype(np.float32),
            PartitionField.SOUND: np.zeros(2 * bins, np.float32),
            PartitionField.TURNS: fft.turns,
            PartitionField.WORK: fft.work,
        }
        self.words = np.zeros(len(PartitionField), np.int64)  # what the kernels read and write, by `PartitionField`
        self.words[PartitionField.CHANNELS], self.words[PartitionField.SIZE], self.words[PartitionField.COUNT] = (
            channels,
            size,
            count,
        )
        for part, array in self._arrays.items():
            self.words[part] = address(array)

    def clear(self) -> None:
        for state in self._state.values():
            state.fill(0.0)
        self.words[PartitionField.NEWEST] = self.words[PartitionField.DONE] = 0


class Convolution(Processor):
    """Convolution reverb: filters the sound by the impulse response of a room, cabinet or filter.

    Without a file the sound passes, a block later. Each channel is convolved with the file's channel of that number, or
    with its only channel.
    """

    on_files = FileUse(needs=("impulse",), tail=True)
    params = (
        Param(
            "impulse",
            "file",
            "",
            holds="an impulse response",
            doc="The impulse response, at most 20 s; without one the sound passes.",
        ),
        Param("normalise", "switch", True, restart=True, doc="Normalises the impulse response: noise keeps its level."),
        Param("level", default=0.0, low=-60.0, high=24.0, unit="dB", smooth=0.05, doc="Output gain."),
    )

    def prepare(self, spec: StreamSpec) -> None:
        """Loads the response. Raises FileError: it cannot be read, is empty, silent, or longer than 20 s."""
        self.latency = self._size = size = 1 << max(1, (spec.block - 1).bit_length())
        large = max(LARGE, size)
        path = str(self.settings["impulse"])
        response = np.zeros((spec.channels, 0), np.float32)
        if path:
            response = read_impulse(path, spec, normalise=bool(self.settings["normalise"]))
        self._head, self._rest = Partitions(response[:, : 2 * large], size), Partitions(response[:, 2 * large :], large)
        self._sounds = [np.zeros((spec.channels, frames), np.float32) for frames in (size, size, large, large)]
        self._place = np.zeros(2, np.int64)

    def reset(self) -> None:
        self._place.fill(0)
        for sound in self._sounds:
            sound.fill(0.0)
        self._head.clear()
        self._rest.clear()

    def step(self, io: IO) -> Step:
        take, give, gathered, late = self._sounds
        state = ConvolutionState(take, give, self._place, self._head.words, self._rest.words, gathered, late)
        x, y = io.audio_in[0], io.audio_out[0]
        return effects_convolve.step(x, y, io.frames, io.curve("level"), self._size, state)


def read_impulse(path: str, spec: StreamSpec, *, normalise: bool) -> F32:
    """Impulse response `[channels, frames]` at the stream's rate and channels; for a mono stream the channels' mean.

    Raises FileError: it cannot be read, is empty, silent, or too long.
    """
    name = printable_path(Path(path).name)
    parts: list[F32] = []
    frames, most = 0, round(MAX_SECONDS * spec.rate)
    # block by block, so that an hour is refused after the first 20 s
    with stream_sound(path, rate=spec.rate) as (info, blocks):
        for block in blocks:
            parts.append(block.copy())
            frames += block.shape[1]
            if frames > most:
                length = f"{info.frames / info.rate:.3g} s" if info.frames is not None else "too"
                raise FileError(
                    f"the impulse {name} is {length} long; {MAX_SECONDS:g} s are allowed: cut it, or fade it out sooner"
                )
    sound = np.concatenate(parts, axis=1) if parts else np.zeros((1, 0), np.float32)
    if not sound.any():
        raise FileError(f"the impulse {name} is silent; give the recorded answer to a click or a sweep")
    if spec.channels != 1 and len(sound) > spec.channels:
        with reading_file("an impulse response", path):
            left = [str(number + 1) for number in range(spec.channels, len(sound))]
            notice(f"channels {', '.join(left[:-1])} and {left[-1]}" if len(left) > 1 else f"channel {left[0]}", 0)
    sound = np.clip(sound, -LOUDEST, LOUDEST)
    if spec.channels == 1 and len(sound) > 2:
        log.warning("the impulse %s has %d channels, of which their mean is used", name, len(sound))
    heard = sound.mean(axis=0, keepdims=True) if spec.channels == 1 else sound
    samples = np.stack([heard[c % len(heard)] for c in range(spec.channels)])
    if normalise:
        energy = float(np.sqrt(np.square(sound, dtype=np.float64).sum(axis=1).mean()))
        samples /= energy
    else:
        samples *= info.rate / spec.rate  # a filter of fewer samples has larger ones
    return samples.astype(np.float32)
