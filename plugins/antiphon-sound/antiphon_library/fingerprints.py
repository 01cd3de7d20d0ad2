"""Pairs of landmarks as 32-bit hashes (after Wang, 2003), and memory-mapped index files."""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import os
import struct
import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.api import FileError
from antiphon.api.backends.files import make_folder, write_atomic
from antiphon.signal.landmarks import unpack_landmarks
from antiphon_library.catalogue import Catalogue

FRAME = 0.025
"""Time resolution in seconds."""
NEAREST, FARTHEST = 3, 56
"""Range of frames from the first landmark of a pair to the second."""
STORED, ASKED = 4, 5
"""Number of pairs per landmark, with its nearest successors: in a catalogued sound, and in a query, where noise hides
and adds landmarks."""
QUERY_PAIRS_AT_SPEED = 2
"""Pairs per landmark of a query at each of the other speeds, which are many."""
_BINS, _LINEAR = 40.0, 60.0
"""Bins per octave far above a corner frequency, and that frequency in Hz; below it bins are evenly spaced."""
_MAX_BIN_DISTANCE = 48
"""Maximum bin difference of a pair's landmarks."""
_SPAN, _TIMES = 128, 64
U32 = NDArray[np.uint32]
I64 = NDArray[np.int64]
F64 = NDArray[np.float64]


def hashes(seconds: F64, hertz: F64, pairs: int, speed: float = 1.0) -> tuple[U32, I64]:
    """Returns hashes of landmark pairs with their frames of `FRAME` seconds.

    A hash combines the first landmark's pitch, the interval, and the time between. `seconds`: ascending; `pairs`:
    maximum per first landmark; `speed`: assumed ratio of playback to recorded speed.
    """
    bins = np.rint(_BINS * np.log2(1.0 + hertz / (speed * _LINEAR))).astype(np.int64)
    frames = np.rint(seconds * (speed / FRAME)).astype(np.int64)
    begun = np.zeros(len(frames), np.int64)
    found: list[I64] = []
    times: list[I64] = []
    for step in range(1, len(frames)):
        apart = frames[step:] - frames[:-step]
        if apart.min() > FARTHEST:
            break
        interval = bins[step:] - bins[:-step]
        good = (
            (apart >= NEAREST) & (apart <= FARTHEST) & (np.abs(interval) < _MAX_BIN_DISTANCE) & (begun[:-step] < pairs)
        )
        first = np.flatnonzero(good)
        begun[first] += 1
        found.append((bins[first] * _SPAN + interval[first] + _SPAN // 2) * _TIMES + apart[first])
        times.append(frames[first])
    if not found:
        return np.zeros(0, np.uint32), np.zeros(0, np.int64)
    return np.concatenate(found).astype(np.uint32), np.concatenate(times)


FOLDER = "library.fingerprints"
SHARD_SOUNDS = 256
"""Number of sounds in a full shard; the last shard is rebuilt at each addition."""
_MAX_DELETED_SHARE = 0.25
"""Share of deleted sounds above which a shard is rebuilt."""
SOUND_GAP = 2400
"""Gap in frames between two sounds, a minute: a query may begin before a sound, or outlast it."""
_MAGIC = b"antiphon fingerprints 1\n"
_HEAD = struct.Struct("<III")
"""File header: numbers of sounds and hashes, and the CRC-32 of serials and starts."""


@dataclass(frozen=True, slots=True)
class Shard:
    """Hashes of a group of sounds."""

    path: Path
    serials: I64  # serials of its sounds' landmarks, int64 `[n]`
    starts: I64  # the frame at which each begins, int64 `[n]`
    hashes: U32  # uint32 `[m]`, ascending
    places: U32  # frames, uint32 `[m]`


@dataclass(frozen=True, slots=True)
class ShardSet:
    """The index of a catalogue. `present`: serials of existing sounds; `damaged`: number of rebuilt files."""

    shards: tuple[Shard, ...]
    present: frozenset[int]
    damaged: int = 0


def present(catalogue: Catalogue) -> ShardSet:
    """Index on disk, without damaged or missing shards."""
    shards = [_mapped(path) for path in sorted((catalogue.path.parent / FOLDER).glob("*.shard"))]
    return ShardSet(tuple(shard for shard in shards if shard is not None), catalogue.landmark_serials())


def update_shards(catalogue: Catalogue) -> ShardSet:
    """Updates the index from the catalogue: indexes new sounds, rebuilds damaged shards.

    Raises `FileError`: the database cannot be used, or a shard cannot be written.
    """
    folder = catalogue.path.parent / FOLDER
    alive = catalogue.landmark_serials()
    full: list[Shard] = []
    partial: list[Shard] = []
    damaged: list[Path] = []
    for path in sorted(folder.glob("*.shard")):
        shard = _mapped(path)
        if shard is None:
            damaged.append(path)
            continue
        count = len(alive.intersection(shard.serials.tolist()))
        is_full = count >= (1.0 - _MAX_DELETED_SHARE) * len(shard.serials) and len(shard.serials) >= SHARD_SOUNDS
        (full if is_full else partial).append(shard)
    indexed = {serial for shard in full for serial in shard.serials.tolist()}
    rest = sorted(alive - indexed)
    held = [serial for shard in partial for serial in shard.serials.tolist()]
    if len(partial) <= 1 and set(rest) <= set(held) and len(rest) >= (1.0 - _MAX_DELETED_SHARE) * len(held):
        made, old = partial, damaged
    else:
        make_folder(folder)
        made = [_write_shard(catalogue, folder, rest[n : n + SHARD_SOUNDS]) for n in range(0, len(rest), SHARD_SOUNDS)]
        old = damaged + [shard.path for shard in partial]
    for path in old:
        if path not in {shard.path for shard in made}:
            with contextlib.suppress(OSError):
                path.unlink()
    return ShardSet((*full, *made), alive, len(damaged))


def _write_shard(catalogue: Catalogue, folder: Path, serials: Sequence[int]) -> Shard:
    rows: list[U32] = []
    places: list[I64] = []
    kept, starts, at = [], [], SOUND_GAP
    for serial, data in catalogue.landmarks(serials):
        seconds, hertz = unpack_landmarks(data)
        found, frames = hashes(seconds, hertz, STORED)
        rows.append(found)
        places.append(frames + at)
        kept.append(serial)
        starts.append(at)
        at += round(float(seconds.max(initial=0.0)) / FRAME) + SOUND_GAP
    all_hashes = np.concatenate([np.zeros(0, np.uint32), *rows])
    order = np.argsort(all_hashes, kind="stable")
    table = np.array([kept, starts], "<i8").reshape(2, len(kept)).tobytes()
    content = b"".join(
        [
            _MAGIC,
            _HEAD.pack(len(kept), len(order), zlib.crc32(table)),
            table,
            all_hashes[order].astype("<u4").tobytes(),
            np.concatenate([np.zeros(0, np.int64), *places])[order].astype("<u4").tobytes(),
        ]
    )
    name = hashlib.blake2b(table, digest_size=10).hexdigest()
    path = folder / f"{name}.shard"
    write_atomic(path, content)
    shard = _mapped(path)
    if shard is None:
        raise FileError(f"{path} was written and cannot be read; is its disk well?")
    return shard


def _mapped(path: Path) -> Shard | None:
    """Memory-mapped shard; None for a damaged one."""
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            head = len(_MAGIC) + _HEAD.size
            if size < head:
                return None
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError):
        return None
    sounds, count, check = _HEAD.unpack_from(data, len(_MAGIC))
    if data[: len(_MAGIC)] != _MAGIC or size != head + 16 * sounds + 8 * count:
        return None
    table = data[head : head + 16 * sounds]
    if zlib.crc32(table) != check:
        return None
    serials, starts = np.frombuffer(table, "<i8").reshape(2, sounds)
    numbers: U32 = np.frombuffer(data, "<u4", 2 * count, head + 16 * sounds)
    return Shard(path, serials, starts, numbers[:count], numbers[count:])


def deleted_sound_rows(shard: Shard, present: Collection[int]) -> I64:
    """Rows of a shard's deleted sounds."""
    return np.flatnonzero([serial not in present for serial in shard.serials.tolist()])
