"""File job `antiphon run stretch IN.wav OUT.wav`: time stretch at constant pitch.

A sound is divided at its attacks: each part starts with its original samples, and the rest is stretched or compressed
more, so that no attack is smeared, shifted or lost, however near the next one is. What follows an attack in a longer
sound is soon in its time again, since notes without an attack may follow.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import numpy as np

from antiphon.api import F32, UsageError
from antiphon.api.backends.analysis import ONSETS_APART, level_rises, piece_frames
from antiphon.api.backends.files import AudioWriter, printable_path, stream_sound
from antiphon.api.jobs import FileJob, Written, fade_out
from antiphon_effects.shared import LOUDEST
from antiphon_effects.stretch import Stretcher

LOOK_BACK = range(2, 11)
"""Look-back in pieces, 4 to 20 ms, for the level rise of an attack."""
ATTACK_OCTAVES = 0.5
"""Minimum rise of an attack in octaves: half the value used elsewhere, as extra parts are hardly audible."""
SHARP = 0.3
"""Minimum level within 12 ms of an attack, relative to its highest: a swell has less."""
CHUNK = 10000
"""Pieces per batch of attack detection, 20 s."""
CROSSFADE_SECONDS = 0.003
"""Crossfade in seconds before an attack."""
MAX_SPEED = 4.0
"""Maximum compression between two attacks; the remainder is cut out."""
BACK = 3.0
"""Least time after an attack until a longer sound is in its time again, relative to what stays unchanged."""


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
    step, first, found = piece_frames(rate), 0, list[int]()
    sound = np.zeros((0, 0), np.float32)

    def look(count: int) -> None:
        # each channel: what one has against the other cancels in their mean
        rises = np.maximum.reduce([level_rises(x[: count * step], rate, LOOK_BACK, circular=False) for x in sound])
        highest = (rises >= np.append(0.0, rises[:-1])) & (rises > np.append(rises[1:], 0.0))
        for piece in (np.flatnonzero((rises > ATTACK_OCTAVES) & highest) * step).tolist():
            begin = max(0, piece - step)
            near = np.abs(sound[:, begin : begin + round(ONSETS_APART * rate)]).max(0)
            if near[: 6 * step].max() < SHARP * near.max():
                continue
            near = near[: piece + 2 * step - begin]
            place = first + int(begin + np.argmax(near > 0.5 * near.max()))
            if place - (found[-1] if found else -rate) > ONSETS_APART * rate:
                found.append(place)

    for block in blocks:
        sound = np.concatenate([sound, _clean(block)], 1) if len(sound) else _clean(block)
        if sound.shape[1] >= CHUNK * step:
            look(CHUNK)
            # what has too little before it is looked at again, by what is found already
            kept = (CHUNK - 2 * LOOK_BACK.stop) * step
            sound, first = sound[:, kept:], first + kept
    if sound.shape[1] > LOOK_BACK.stop * step:
        look(sound.shape[1] // step)
    return found, first + sound.shape[1]


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
    own = 0.5 * stretcher.spectra.size + lead
    starts = [0, *(at - ahead for at in attacks if at > max(1.0, 1.0 / factor) * ahead)]
    places = [0, *(round((start + ahead) * factor) - ahead for start in starts[1:])]

    def parts() -> Iterator[Iterator[F32]]:
        for n, (start, place) in enumerate(zip(starts, places, strict=True)):
            last = n + 1 == len(starts)
            end = length if last else starts[n + 1] + lead
            frames = round(length * factor) - place if last else places[n + 1] + lead - place
            # an attack too early for a part of its own is in the first one
            kept = own if n or len(starts) == len(attacks) else 0.0
            path = _path(end - start, frames, kept, factor, place / factor - start)
            yield _stretch_span(stretcher, source, start, end, path, last=last)

    return _crossfade_segments(parts(), channels, lead)


def _path(length: int, frames: int, own: float, factor: float, late: float) -> tuple[list[float], list[float]]:
    """Places in the output of a span, and those in the input that belong to them: from 0 to `frames` and `length`.

    `own` frames stay unchanged. A longer sound then returns to its time, in which the span would begin `late` frames of
    the input after its start; a shorter one is faster to its end.
    """
    if frames <= length:
        if frames <= own:
            return [0.0, frames], [0.0, frames]
        pace = min(max(MAX_SPEED, 1.5 * length / frames), (length - own) / (frames - own))
        return [0.0, own, frames], [0.0, own, own + (frames - own) * pace]
    own = min(own, 0.5 * length)
    back = own * max(BACK, 1.5 * factor)
    if not own < back < frames:
        return [0.0, own, frames], [0.0, own, length]
    return [0.0, own, back, frames], [0.0, own, min(back / factor + late, length), length]


def _stretch_span(
    stretcher: Stretcher,
    source: _Source,
    start: int,
    end: int,
    path: tuple[Sequence[float], Sequence[float]],
    *,
    last: bool,
) -> Iterator[F32]:
    """Stretches frames `start` to `end` along a `path`."""
    stretcher.clear()
    spectra = stretcher.spectra
    size, hop, length, frames = spectra.size, spectra.hop, end - start, int(path[0][-1])
    age, done = 0, -size
    while done < frames:
        centre = done + 0.5 * size
        at = float(np.interp(centre, *path)) + min(0.0, centre) + max(0.0, centre - frames)
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


def _crossfade_segments(parts: Iterable[Iterator[F32]], channels: int, lead: int) -> Iterator[F32]:
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
