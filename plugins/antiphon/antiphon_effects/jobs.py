"""File job `antiphon run stretch IN.wav OUT.wav`: time stretch at constant pitch.

A sound is divided at its attacks: each part starts with its original samples, and the rest is stretched or compressed
more, so that no attack is smeared, shifted or lost, however near the next one is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import numpy as np

from antiphon.api import F32, UsageError
from antiphon.api.backends.analysis import ONSETS_APART, ListeningMix, level_rises, piece_frames
from antiphon.api.backends.files import AudioWriter, printable_path, stream_sound
from antiphon.api.jobs import FileJob, Written, fade_out
from antiphon_effects.shared import LOUDEST
from antiphon_effects.stretch import Stretcher

LOOK_BACK = range(2, 11)
"""Look-back in pieces, 4 to 20 ms, for the level rise of an attack."""
ATTACK_OCTAVES = 0.5
"""Minimum rise of an attack in octaves: half the value used elsewhere, as extra parts are hardly audible."""
CHUNK = 10000
"""Pieces per batch of attack detection, 20 s."""
CROSSFADE_SECONDS = 0.003
"""Crossfade in seconds before an attack."""
MAX_SPEED = 4.0
"""Maximum compression between two attacks; the remainder is cut out."""


def stretch_file(job: FileJob) -> tuple[Written, ...]:
    """Writes the sound stretched by `factor`.

    `job`: `source` and `target` are sound files. Raises UsageError: the options contradict each other. Raises
    FileError: a file cannot be read or written.
    """
    live = [name for name in job.settings if name != "factor"]
    if live:
        raise UsageError(f"on files stretch takes factor alone; leave {', '.join(sorted(live))} out")
    factor = float(job.settings.get("factor", 1.0))
    with stream_sound(job.source) as (info, blocks):
        attacks, length = find_attacks(blocks, info.rate)
    with (
        stream_sound(job.source) as (info, blocks),
        AudioWriter(job.target, info.rate, info.channels, info.subtype, job.finish) as writer,
    ):
        whole = max(1, round((info.frames or 0) * factor))
        stretched = stretch_blocks(blocks, info.channels, info.rate, factor, attacks, length)
        for samples in fade_out(stretched, info.rate, job.fade):
            writer.write(samples)
            job.progress(min(1.0, writer.frames / whole))
    return (Written.sound(writer, printable_path(job.source), (f"{factor:g} times as long",)),)


def find_attacks(blocks: Iterable[F32], rate: int) -> tuple[list[int], int]:
    """Attack frames in order, and the length of the sound in frames."""
    step, mix = piece_frames(rate), ListeningMix()
    mono, first, found = np.zeros(0, np.float32), 0, list[int]()

    def look(count: int) -> None:
        rises = level_rises(mono[: count * step], rate, LOOK_BACK, circular=False)
        highest = (rises >= np.append(0.0, rises[:-1])) & (rises > np.append(rises[1:], 0.0))
        for piece in (np.flatnonzero((rises > ATTACK_OCTAVES) & highest) * step).tolist():
            begin = max(0, piece - step)
            near = np.abs(mono[begin : piece + 2 * step])
            place = first + int(begin + np.argmax(near > 0.5 * near.max()))
            if place - (found[-1] if found else -rate) > ONSETS_APART * rate:
                found.append(place)

    for block in blocks:
        mono = np.concatenate([mono, np.nan_to_num(mix.take(block))])
        if len(mono) >= CHUNK * step:
            look(CHUNK)
            # what has too little before it is looked at again, by what is found already
            kept = (CHUNK - 2 * LOOK_BACK.stop) * step
            mono, first = mono[kept:], first + kept
    if len(mono) > LOOK_BACK.stop * step:
        look(len(mono) // step)
    return found, first + len(mono)


def stretch_blocks(
    blocks: Iterable[F32], channels: int, rate: int, factor: float, attacks: Sequence[int], length: int
) -> Iterator[F32]:
    """Stretches sound by `factor`: blocks of float32 `[channels, n]`, `round(length * factor)` frames in all.

    Each attack lies at `factor` times its original time.
    """
    lead = round(CROSSFADE_SECONDS * rate)
    # an attack may begin in the piece before the one in which the level rises most
    ahead = lead + piece_frames(rate)
    source, stretcher = _Source(blocks, channels, rate), Stretcher(channels, rate, 1.0)
    starts = [0, *(at - ahead for at in attacks if at > 4 * ahead)]
    places = [0, *(round((start + ahead) * factor) - ahead for start in starts[1:])]

    def parts() -> Iterator[Iterator[F32]]:
        for n, (start, place) in enumerate(zip(starts, places, strict=True)):
            last = n + 1 == len(starts)
            end = length if last else starts[n + 1] + lead
            frames = round(length * factor) - place if last else places[n + 1] + lead - place
            yield _stretch_span(stretcher, source, start, end, frames, lead, last=last)

    return _joined(parts(), channels, lead)


def _stretch_span(
    stretcher: Stretcher, source: _Source, start: int, end: int, frames: int, lead: int, *, last: bool
) -> Iterator[F32]:
    """Stretches frames `start` to `end` to `frames`: half a window stays unchanged, the rest is faster or slower."""
    stretcher.clear()
    spectra = stretcher.spectra
    size, hop, length = spectra.size, spectra.hop, end - start
    own = 0.5 * size + lead
    pace = 1.0
    if frames > length:
        own = min(own, 0.5 * length)
    if frames > own:
        pace = min(max(MAX_SPEED, 1.5 * length / frames), (length - own) / (frames - own))
    age, done = 0, -size
    while done < frames:
        centre = done + 0.5 * size
        inner = min(centre, frames)
        at = min(inner, own) + max(0.0, inner - own) * pace + max(0.0, centre - frames)
        until = math.floor(at + 0.5 * size)
        while age < until:
            if age < length:
                piece = source.read(start + age, min(start + until, end))
            elif last:
                piece = np.zeros((len(spectra.past), until - age), np.float32)
            else:  # it goes on as its mirror image, so that it does not fade before the next attack
                end_of = source.read(max(start, end - size), end)
                count = end_of.shape[1]
                places = np.arange(age - length, until - length) % (2 * count)
                piece = end_of[:, np.where(places < count, count - 1 - places, places - count)]
            spectra.past[:, np.arange(age, age + piece.shape[1]) & spectra.mask] = piece
            age += piece.shape[1]
        stretcher.vocoder_hop(until)
        first = max(0, -done)
        if first < min(hop, frames - done):
            yield spectra.output[:, first : frames - done]
        done += hop


def _joined(parts: Iterable[Iterator[F32]], channels: int, lead: int) -> Iterator[F32]:
    """Joins segments by crossfades of `lead` frames before the end of each."""
    nothing = np.zeros((channels, 0), np.float32)
    up = np.linspace(0.0, 1.0, lead, dtype=np.float32)
    over = nothing
    for part in parts:
        held = nothing
        for piece in chain(part, [nothing]):
            held = np.concatenate([held, piece], axis=1)
            # the last piece, of none, ends the part
            if held.shape[1] <= (2 * lead if piece.shape[1] else lead):
                continue
            if over.shape[1]:
                held[:, :lead] = held[:, :lead] * up + over * (1.0 - up)
                over = nothing
            yield held[:, :-lead]
            held = held[:, -lead:]
        over = held
    yield over


class _Source:
    """Sequential reader of a sound, with at most a second of look-back."""

    def __init__(self, blocks: Iterable[F32], channels: int, rate: int) -> None:
        self._blocks, self._kept = iter(blocks), rate
        self._held, self._first = np.zeros((channels, 0), np.float32), 0

    def read(self, first: int, last: int) -> F32:
        """Frames `first` to `last`, or to the sound's end."""
        while self._first + self._held.shape[1] < last and (block := next(self._blocks, None)) is not None:
            self._held = np.concatenate([self._held, _clean(block)], axis=1)
        drop = max(0, min(first - self._kept - self._first, self._held.shape[1]))
        self._held, self._first = self._held[:, drop:], self._first + drop
        return self._held[:, max(0, first - self._first) : max(0, last - self._first)]


def _clean(block: F32) -> F32:
    return np.where(np.isfinite(block), np.clip(block, -LOUDEST, LOUDEST), np.float32(0.0))
