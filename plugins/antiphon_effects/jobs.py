"""File job `antiphon run stretch IN.wav OUT.wav`: time stretch at constant pitch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np

from antiphon.api import F32, UsageError
from antiphon.api.backends.files import AudioWriter, printable_path, stream_sound
from antiphon.api.jobs import FileJob, Written, fade_out
from antiphon_effects.shared import LOUDEST
from antiphon_effects.stretch import Stretcher


def stretch_file(job: FileJob) -> tuple[Written, ...]:
    """Writes the sound stretched by `factor`.

    Args:
        job: `source` and `target` are sound files.

    Raises:
        UsageError: The options do not go together.
        FileError: A file cannot be read or written.
    """
    live = [name for name in job.settings if name != "factor"]
    if live:
        raise UsageError(f"on files stretch takes factor alone; leave {', '.join(sorted(live))} out")
    factor = float(job.settings.get("factor", 1.0))
    with (
        stream_sound(job.source) as (info, blocks),
        AudioWriter(job.target, info.rate, info.channels, info.subtype, job.finish) as writer,
    ):
        whole = max(1, round((info.frames or 0) * factor))
        for samples in fade_out(stretch_blocks(blocks, info.channels, info.rate, factor), info.rate, job.fade):
            writer.write(samples)
            job.progress(min(1.0, writer.frames / whole))
    return (Written.sound(writer, printable_path(job.source), (f"{factor:g} times as long",)),)


def stretch_blocks(blocks: Iterable[F32], channels: int, rate: int, factor: float) -> Iterator[F32]:
    """Sound stretched by `factor`, float32 `[channels, n]` in blocks, `round(frames * factor)` frames in all."""
    stretcher = Stretcher(channels, rate, 1.0)
    spectra = stretcher.spectra
    size, hop, mask = spectra.size, spectra.hop, spectra.mask
    source = _pieces(blocks, size)
    age = 0
    length: int | None = None
    # frames of output that are complete, and the place in the input of the next window's centre; both begin half a
    # window before the sound
    done, place = -size, -0.5 * size / factor
    while length is None or done < round(length * factor):
        end = math.floor(place + 0.5 * size)
        while age < end:
            piece = next(source, None)
            if piece is None:
                length = age if length is None else length
                piece = np.zeros((channels, size), np.float32)
            spectra.past[:, np.arange(age, age + piece.shape[1]) & mask] = piece
            age += piece.shape[1]
        place += stretcher.step(end, factor)
        first = max(0, -done)
        last = hop if length is None else min(hop, round(length * factor) - done)
        if first < last:
            yield spectra.output[:, first:last]
        done += hop


def _pieces(blocks: Iterable[F32], size: int) -> Iterator[F32]:
    """Splits the sound into pieces of at most `size` frames, with NaN and infinity as silence."""
    for block in blocks:
        for at in range(0, block.shape[1], size):
            piece = block[:, at : at + size]
            yield np.where(np.isfinite(piece), np.clip(piece, -LOUDEST, LOUDEST), np.float32(0.0))
