"""Writes the tracks of a set: a wave file for each strip, the input and the output, all of equal length at any time.

Silence is stored as a hole, which takes no disk space. The sound is read from the ring of captures, so that after a
recorder is killed, another one continues where the files end.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import struct
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.kernel.contract.block import Samples, missed_fade_out
from antiphon.kernel.errors import FileError
from antiphon.kernel.graph.io_nodes import IN_NUMBER, OUT_NUMBER
from antiphon.kernel.io.capture_memory import CHANNELS, CaptureMemory
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.typed import parse_json
from antiphon.recording.note import LIST
from antiphon.recording.take import MIN_FREE_BYTES, SYNC_SECONDS, RecordedTake, describe_take

# ---- Reading the ring of captures block by block, as files of tracks and strips at ports do


class CaptureReader:
    """Finds the slots of blocks, searching near the last ones found."""

    def __init__(self, memory: CaptureMemory) -> None:
        self._memory, self._place = memory, -1

    def slots(self, first: int, count: int) -> NDArray[np.int64]:
        """Slots of `count` blocks, as far as the ring still holds them."""
        found = self._among(first, count)
        if self._place >= 0 and len(np.unique(self._memory.tags[found])) < count:  # a gap, or the ring went round
            self._place = -1
            found = self._among(first, count)
        if len(found):
            tags = self._memory.tags[found]
            self._place = int(found[tags == tags.max()].max()) + 1
        return found

    def _among(self, first: int, count: int) -> NDArray[np.int64]:
        size, end, at = self._memory.shape.slots, int(self._memory.place[0]), self._place
        spans = [(0, size)] if at < 0 else [(at, end)] if at <= end else [(at, size), (0, end)]
        slots = np.concatenate([np.arange(*span) for span in spans])
        tags = self._memory.tags[slots]
        found: NDArray[np.int64] = slots[(tags > first) & (tags <= first + count)]
        return found


# ---- Tracks of a set: a wave file for each strip, the input and the output, all as long as each other at any time

LOG, GAP = "session.jsonl", "gap"
"""Names of the log beside the tracks and their `LIST`, and of the cue that marks a gap, with its frames."""
MAX_TRACKS = 256
HEADER = 92
"""Bytes before the sound: RIFF, room for the 64-bit lengths of RF64, format and frames."""
_FORMAT = slice(48, 76)
"""Slice of the header that describes the format, equal at any length."""
TURN = 64
"""Blocks written at once; the files of a killed recorder may differ by as many."""
_MAX_LIST = 16 << 20
_WAVE = re.compile(r"[^/\\\0]+\.wav")
"""File name of a track beside the list."""
_UNHEARD = re.compile(r'\{"unheard": (\d+)\}\n')
"""Line of the log on a block that was computed too late to be played."""
_TOLERANCE, _MAX_STEP = 1e-3, 17.0
"""Tolerance in beats, and maximum beats per second of any tempo."""
ENDS = ((IN_NUMBER, "input"), (OUT_NUMBER, "output"))
"""Numbers and names of the input and the output."""


def wave_header(rate: int, channels: int, frames: int) -> bytes:
    """Returns the `HEADER` bytes of a float32 wave file, as RF64 from 4 GiB on."""
    size = frames * channels * 4
    long = size + HEADER - 8 >= 1 << 32
    lengths = struct.pack("<QQQI", size + HEADER - 8, size, frames, 0) if long else bytes(28)
    most = (1 << 32) - 1
    return b"".join((
        struct.pack("<4sI4s", b"RF64" if long else b"RIFF", most if long else size + HEADER - 8, b"WAVE"),
        struct.pack("<4sI", b"ds64" if long else b"JUNK", 28), lengths,
        struct.pack("<4sIHHIIHH", b"fmt ", 16, 3, channels, rate, rate * channels * 4, channels * 4, 32),
        struct.pack("<4sII", b"fact", 4, min(frames, most)), struct.pack("<4sI", b"data", most if long else size),
    ))  # fmt: skip


def file_name(name: str, taken: Iterable[str]) -> str:
    """Makes a file name, without suffix, from any text: neither one of `taken`, nor a device name of Windows."""
    base = re.sub(r"[^\w. -]+", "_", name).strip(". ")[:80] or "track"
    base = f"{base}_" if re.fullmatch(r"(?i)(con|prn|aux|nul|(com|lpt)\d)(\..*)?", base) else base
    stems = {file.rpartition(".")[0].casefold() for file in taken}
    found, number = base, 2
    while found.casefold() in stems:
        found, number = f"{base}-{number}", number + 1
    return found


@dataclass(slots=True)
class Track:
    """One file. `mixed`: whether it is part of the mix, the sum of all such tracks."""

    name: str
    file: str
    channels: int
    mixed: bool
    fd: int = -1


class TrackFiles:
    """The wave files of one folder, and their list. `frames`: length of each, including holes."""

    def __init__(self, folder: Path, rate: int, tracks: Sequence[Track] = (), frames: int = 0) -> None:
        self.folder, self.rate, self.frames, self.size = folder, rate, frames, 0
        self.tracks: list[Track] = []
        self._synced = time.monotonic()
        try:
            for track in tracks:
                self._open(track)
        except BaseException:
            self.close()
            raise

    def add(self, name: str, channels: int, *, mixed: bool) -> Track | None:
        """Returns the track of that name and role; adds a silent one if missing; None if there are too many."""
        for track in self.tracks[len(ENDS) :]:  # a node may be called as an end is
            if (track.name, track.mixed) == (name, mixed):
                return track
        if len(self.tracks) == MAX_TRACKS:
            return None
        file = f"{file_name(name, (track.file for track in self.tracks))}.wav"
        (self.folder / file).unlink(missing_ok=True)  # it may be a link
        return self._open(Track(name, file, channels, mixed))

    def _open(self, track: Track) -> Track:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        track.fd = os.open(self.folder / track.file, flags, paths.PRIVATE)
        self.tracks.append(track)
        self.size += os.fstat(track.fd).st_blocks * 512
        self._fit(track)
        return track

    def write(
        self,
        sounds: Sequence[tuple[Track, Samples]],
        count: int,
        missing: Sequence[int] = (),
        late: Collection[int] = (),
        block: int = 1,
    ) -> None:
        """Appends `count` frames to every track: the sum of its `sounds`, `[frames, any]`, or silence.

        `missing`: which of the blocks, `block` frames long, were not computed, and `late`: which of them, in addition,
        were computed too late to be played. Every track fades to silence there, in a late block all but the input's.
        `sounds` may be changed where there are such blocks.
        """
        sums: dict[int, Samples] = {}
        for track, sound in sounds:
            if sound.any():
                own = fit_channels(sound, track.channels)
                sums[track.fd] = sums[track.fd] + own if track.fd in sums else own
        fall = missed_fade_out(block, self.rate)[:, None]
        for n in sorted((*missing, *late)):
            for track in self.tracks[n in late :]:  # the first is the input's, as of `ENDS`
                if n == 0:
                    last = self._last(track)
                elif track.fd in sums:
                    last = sums[track.fd][n * block - 1]
                else:
                    continue
                if last.any() or track.fd in sums:
                    into = sums.setdefault(track.fd, np.zeros((count, track.channels), np.float32))
                    into[n * block : (n + 1) * block] = 0.0
                    into[n * block : n * block + len(fall)] = last * fall
        for fd, own in sums.items():
            data, at = np.ascontiguousarray(own, "<f4").tobytes(), HEADER + self.frames * own.shape[1] * 4
            while data:
                done = os.pwrite(fd, data, at)
                data, at, self.size = data[done:], at + done, self.size + done
        self.frames += count
        for track in self.tracks:
            os.ftruncate(track.fd, HEADER + self.frames * track.channels * 4)
        if time.monotonic() - self._synced > SYNC_SECONDS:
            self.sync()

    def _last(self, track: Track) -> Samples:
        """The last frame of a file, `[channels]`; silence if it has none."""
        size, end = track.channels * 4, HEADER + self.frames * track.channels * 4
        frame = os.pread(track.fd, size, end - size) if self.frames else b""
        return np.frombuffer(frame.ljust(size, b"\0"), "<f4")

    def write_list(self, first: int, by_number: Mapping[int, Track | None]) -> None:
        """Writes the list of the tracks, for `read_list`; `first`: sample of the first frame."""
        told = [{"name": t.name, "file": t.file, "channels": t.channels, "mixed": t.mixed} for t in self.tracks]
        numbers = {number: self.tracks.index(track) for number, track in by_number.items() if track is not None}
        listed = {"rate": self.rate, "first": first, "tracks": told, "numbers": numbers}
        paths.write_atomic(self.folder / LIST, json.dumps(listed, indent=1).encode(), paths.PRIVATE)

    def sync(self) -> None:
        """Writes the lengths into the headers."""
        self._synced = time.monotonic()
        for track in self.tracks:
            self._fit(track)

    def _fit(self, track: Track) -> None:
        """Sets a file to the common length, also after a failed write or a killed recorder."""
        os.ftruncate(track.fd, HEADER + self.frames * track.channels * 4)
        os.pwrite(track.fd, wave_header(self.rate, track.channels, self.frames), 0)

    def close(self) -> None:
        """Ends all files, complete to their last common frame."""
        for track in self.tracks:
            with contextlib.suppress(OSError):
                self._fit(track)
            os.close(track.fd)


def fit_channels(sound: Samples, channels: int) -> Samples:
    """Adapts `[frames, any]` to `[frames, channels]` as a wire does."""
    have = sound.shape[1]
    if have == channels:
        return sound
    if channels == 1:
        mono: Samples = sound.mean(axis=1, keepdims=True)
        return mono
    if have == 1:
        return np.repeat(sound, channels, axis=1)
    return sound[:, :channels] if have > channels else np.pad(sound, ((0, 0), (0, channels - have)))


class BeatPoints:
    """Breakpoints of the beat over the sample, accurate to `_TOLERANCE` beats, as lines of the log."""

    def __init__(self) -> None:
        self._from: tuple[int, float] | None = None
        self._step, self._last = 0.0, (0, 0.0)  # beats a sample; the last sample and beat

    def add(self, sample: int, beat: float, rate: int) -> dict[str, Any] | None:
        """Adds the beat at a sample, in order; returns the line of a breakpoint before it."""
        begins, self._last, before = self._from, (sample, beat), self._last
        if begins is None:
            self._from = sample, beat
            return None
        if begins == before:
            step = (beat - begins[1]) / (sample - begins[0])
        else:
            if abs(begins[1] + (sample - begins[0]) * self._step - beat) <= _TOLERANCE:
                return None
            self._from, step = before, (beat - before[1]) / (sample - before[0])
        at, place = self._from or before
        if not 0.0 <= step * rate <= _MAX_STEP:  # a jump
            at, place, step = sample, beat, self._step
        self._from, self._step = (at, place), step
        return {"sample": at, "beat_line": place, "bpm": step * rate * 60.0}


class TrackTake(RecordedTake):
    """Writes tracks and a log, from the block at which the set begins according to the journal."""

    def __init__(self, folder: Path, memory: CaptureMemory, channels: int, header: Mapping[str, Any]) -> None:
        """Begins in an empty folder, or continues the tracks of a killed recorder if the folder has them."""
        super().__init__(folder, f"the tracks in {folder} end here", f"the tracks in {folder} may lack their end")
        self._memory, self._block = memory, memory.shape.block
        self._late: set[int] = set()  # blocks still to be written that were computed too late to be played
        self._by_number: dict[int, Track | None] = {}
        self.first, self._reader = -1, CaptureReader(memory)  # block of the first frame
        self._beats, self._lost = BeatPoints(), (0, 0)
        log = folder / LOG
        if (folder / LIST).exists():
            self._log = log.open("a", encoding="utf-8")
            self.files, held = read_tracks(folder, self._block)
            self.first, self._by_number = held.first // self._block, dict(held.numbers)
            # those of which a killed recorder wrote the line, and not the block
            with log.open(encoding="utf-8", errors="replace") as told:
                self._late.update(int(found[1]) // self._block for line in told if (found := _UNHEARD.match(line)))
            return
        paths.reserve(log, MIN_FREE_BYTES, paths.PRIVATE)
        self.files = TrackFiles(folder, memory.shape.rate)
        try:
            for number, name in ENDS:
                self._by_number[number] = self.files.add(name, channels, mixed=False)
            self.files.write_list(self.first * self._block, self._by_number)
            self._log = log.open("w", encoding="utf-8")
            self._log.write(json.dumps(header) + "\n")
        except BaseException:  # the name is free again
            self.files.close()
            for name in (LOG, LIST, *(track.file for track in self.files.tracks)):
                (folder / name).unlink(missing_ok=True)
            raise

    def rewind(self, logged: int) -> None:
        self._log.truncate(logged)

    @property
    def log_size(self) -> int:
        self._log.flush()
        return os.fstat(self._log.fileno()).st_size

    def read(self, lines: Sequence[dict[str, Any]]) -> None:
        for line in lines:
            self.line(line)

    def line(self, line: dict[str, Any]) -> None:
        """Logs a line of the journal, or a cue."""
        if "tracks" in line:
            for number, name, channels, mixed in line["tracks"]:
                if number not in self._by_number:
                    self._by_number[number] = self.files.add(name, channels, mixed=mixed)
            self.files.write_list(self.first * self._block, self._by_number)
            return
        if self.first < 0 and "engine" in line:
            self.first = line["sample"] // self._block
            self.files.write_list(self.first * self._block, self._by_number)
        elif self.first < 0 or line.get("engine") == "joined":  # of a set before, or of a session beside this one
            return
        if "unheard" in line:
            self._late.add(line["unheard"] // self._block)
        self._log.write(json.dumps(line) + "\n")

    def turn(self, end: int, most: int = TURN) -> None:
        """Writes the blocks before `end`, at most `most` at a time."""
        while self.first >= 0 and (first := self.first + self.files.frames // self._block) < end:
            self._write(first, min(most, end - first))
        self._log.flush()

    def _write(self, first: int, count: int) -> None:
        memory, block = self._memory, self._block
        slots = self._reader.slots(first, count)
        tags = memory.tags_of(slots)
        there = (tags > first) & (tags <= first + count)  # the engine may have come round since
        slots, tags = slots[there], tags[there]
        at, sounding = tags - 1 - first, memory.rows[slots] >= 0
        numbers, channels = np.divmod(memory.owners[slots], CHANNELS)
        heard = np.zeros(count, bool)
        heard[at] = True
        sounds = []
        for number in np.unique(numbers[sounding]).tolist():
            track = self._by_number.get(number)
            if track is not None:
                rows = numbers == number
                sound = np.zeros((count, block, channels[rows].max() + 1), np.float32)
                own = rows & sounding
                sound[at[own], :, channels[own]] = memory.sound_of(slots[own])
                sounds.append((track, sound))
        heard[at[memory.tags_of(slots) != tags]] = False  # overwritten while they were read
        flat = [(track, sound.reshape(count * block, -1)) for track, sound in sounds]
        late = {n for n in range(count) if heard[n] and first + n in self._late}
        self._late = {n for n in self._late if n >= first + count}
        self.files.write(flat, count * block, np.flatnonzero(~heard).tolist(), late, block)
        self._note(first, heard)

    def _note(self, first: int, heard: NDArray[np.bool_]) -> None:
        """Logs the beat, and gaps."""
        memory, block = self._memory, self._block
        for n in range(len(heard)):
            number = first + n
            place = number % memory.shape.slots
            if not heard[n]:
                if not self._lost[1]:
                    self._lost = number * block, 0
                self._lost = self._lost[0], self._lost[1] + block
                continue
            if self._lost[1]:
                self.line({"sample": self._lost[0], "cue": GAP, "values": [self._lost[1]]})
                self._lost = 0, 0
            if memory.beat_tags[place] == number + 1:
                line = self._beats.add(number * block, float(memory.beats[place]), self.files.rate)
                if line is not None:
                    self.line(line)

    @property
    def size(self) -> int:
        """Bytes used on disk."""
        return self.files.size

    def __str__(self) -> str:
        seconds = self.files.frames / self.files.rate
        return f"{describe_take(self.name, seconds, self.size)}, {len(self.files.tracks)} tracks"

    def close(self) -> None:
        """Ends all files, complete to their last common frame."""
        try:
            if self._lost[1]:
                self.line({"sample": self._lost[0], "cue": GAP, "values": [self._lost[1]]})
            self._log.close()
        finally:
            self.files.close()


@dataclass(frozen=True, slots=True)
class TrackList:
    """Tracks of a folder by number, and the sample of their first frame, from its list `content`."""

    folder: Path
    content: bytes
    rate: int
    first: int
    tracks: list[Track]
    numbers: dict[int, Track]

    def frames(self, block: int, *, force: bool = False) -> int:
        """Number of frames in the blocks that all files have.

        Raises FileError: a file was changed; or, without `force`, lacks more than a killed recorder loses.
        """
        counts = {track.file: self._count(track) for track in self.tracks}
        short, long = (which(counts, key=counts.__getitem__, default="") for which in (min, max))
        if counts and not force and counts[long] - counts[short] > 2 * TURN * block:
            raise FileError(
                f"{self.folder / short} has {counts[short]:,} frames, and {long} {counts[long]:,}: a track was cut "
                "or replaced; bring the recorded files back, or end all with the shortest by `antiphon export --force`"
            )
        return counts[short] // block * block if counts else 0

    def _count(self, track: Track) -> int:
        path = self.folder / track.file
        try:
            with open(path, "rb", opener=lambda name, flags: paths.open_ordinary(name, flags | os.O_NOFOLLOW)) as file:
                header, size = file.read(HEADER), os.fstat(file.fileno()).st_size
        except OSError as error:
            raise FileError(f"cannot read {path}: {paths.os_error_text(error)}") from None
        if len(header) < HEADER or header[_FORMAT] != wave_header(self.rate, track.channels, 0)[_FORMAT]:
            raise FileError(f"{path} is not the file that was recorded there; bring that back")
        return (size - HEADER) // (4 * track.channels)


def read_list(folder: Path) -> TrackList:
    """Reads the list of a folder's tracks, without opening their files. Raises FileError: the list is invalid."""
    content = paths.read_ordinary(folder / LIST, _MAX_LIST, "a list of tracks")
    try:
        held = parse_json(content)
        tracks = [Track(str(t["name"]), str(t["file"]), int(t["channels"]), bool(t["mixed"])) for t in held["tracks"]]
        numbers = {int(number): tracks[place] for number, place in held["numbers"].items()}
        found = TrackList(folder, content, int(held["rate"]), int(held["first"]), tracks, numbers)
        if not 0 < found.rate < 1 << 20 or len({track.file.casefold() for track in tracks}) < len(tracks):
            raise ValueError
        if any(not _WAVE.fullmatch(track.file) or not 0 < track.channels < CHANNELS for track in tracks):
            raise ValueError
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError, RecursionError):
        raise FileError(f"{folder / LIST} lists no tracks; record them again") from None
    return found


def read_tracks(folder: Path, block: int, *, force: bool = False) -> tuple[TrackFiles, TrackList]:
    """Opens a folder's tracks, cut to their common blocks. Raises FileError as `TrackList.frames`; then none is cut."""
    held = read_list(folder)
    return TrackFiles(folder, held.rate, held.tracks, held.frames(block, force=force)), held
