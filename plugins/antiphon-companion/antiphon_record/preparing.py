"""Preparation of a recording: its stems, beats, bars, chords, sections and attacks, kept in the library."""

from __future__ import annotations

import hashlib
import json
import mmap
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from antiphon.api import F64, FileError, PluginError, Samples
from antiphon.api.backends.analysis import analyse_file, onset_frames, separate_blocks
from antiphon.api.backends.files import (
    Decoder,
    library_folder,
    make_folder,
    printable_path,
    temporary_beside,
    write_atomic,
)
from antiphon_record.kernels import HALF_SCALE, STEMS

RATE = 48000
"""Frames per second of prepared stems."""
SHORTEST, LONGEST = 10.0, 1200.0
"""Seconds of a recording."""
_LENGTHS = f"{SHORTEST:.0f} s to {LONGEST / 60:.0f} min"
VERSION = 1
_FACTS, _STEMS = "record.json", "stems.i16"
_SILENT = 1e-4
"""Peak of a silent side, -80 dB."""
_LISTENED = 0.3
"""Share of the preparation in which beats, chords and sections are found."""
_CHUNK = 20 * RATE
_LOOK_BACK = range(2, 11)
"""Pieces of 2 ms before an attack that its level must exceed."""
_FOLDER = "records"
_STRAIGHT = 2
"""Beats on either side that a beat is fitted to: a tracker's beats jitter more than a band's."""


@dataclass(frozen=True, slots=True)
class PreparedRecord:
    """A prepared recording. Beats are counted from 0, the bar line at which the clock begins."""

    name: str  # of the file
    tempo: float  # bpm, of its first beats
    meter: int  # beats of a bar
    frames: int
    places: list[float]  # frame of each beat
    sections: list[tuple[int, int, str]]  # first and last beat, and name
    chords: list[tuple[float, float, str]]  # first and last beat, and name
    attacks: list[list[int]]  # frames, of the sound without drums and of the drums
    remarks: list[str]  # what a performer should know

    def section_spans(self, name: str) -> list[tuple[int, int]]:
        """First and last beat of the sections of a name, in order. Raises PluginError: there is none."""
        found = [(first, last) for first, last, label in self.sections if label.casefold() == name.casefold()]
        if not found:
            named = ", ".join(dict.fromkeys(label for _, _, label in self.sections)) or "none"
            raise PluginError(f"{self.name} has no section {name[:40]!r}; it has {named}")
        return found


class Records:
    """The service `record`."""

    def prepare(self, source: Path, progress: Callable[[float, str], None]) -> PreparedRecord:
        """Prepares a recording, unless it is, with `progress` of the finished share and what is done."""
        return prepare(source, progress)


def folder_of(source: Path) -> Path:
    """Folder of what belongs to a sound file, by its bytes. Raises FileError: it cannot be read."""
    try:
        with open(source, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise FileError(f"{printable_path(source)} cannot be read: {error.strerror}") from None
    return library_folder() / _FOLDER / digest[:16]


def read_prepared(source: Path) -> tuple[PreparedRecord, NDArray[np.uint8]] | None:
    """What was prepared of a sound file, and its stems as bytes, mapped from the disk; None if it was not."""
    folder = folder_of(source)
    try:
        facts: dict[str, Any] = json.loads((folder / _FACTS).read_bytes())
        if facts.pop("version") != VERSION:
            return None
        record = PreparedRecord(**facts)
        with open(folder / _STEMS, "rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError, TypeError, KeyError):
        return None
    if len(mapped) != 16 * record.frames:
        return None
    if hasattr(mmap, "MADV_WILLNEED"):  # read now, so that no block waits for the disk
        mapped.madvise(mmap.MADV_WILLNEED)
    return record, np.frombuffer(mapped, np.uint8)


def prepare(source: Path, progress: Callable[[float, str], None]) -> PreparedRecord:
    """Prepares a recording once: later it is read.

    Raises FileError: it cannot be read, is too short or too long, or has no beat. Raises PluginError: no plugin takes
    sounds apart, or finds beats.
    """
    if known := read_prepared(source):
        return known[0]
    name = printable_path(source.name)
    with Decoder(source) as decoder:
        info = decoder.info
        _check_length((info.frames or 0) / info.rate, name, known=bool(info.frames))
    whole = (info.frames or LONGEST * info.rate) / info.rate

    def listened(done: float) -> None:
        if done > LONGEST + 1.0:  # of a file that does not state its length
            raise FileError(f"{name} lasts over {LONGEST / 60:.0f} min; a record takes {_LENGTHS}")
        progress(_LISTENED * min(1.0, done / whole), "listening")

    _, values, problem = analyse_file(os.fsencode(source), ("music",), listened)["music"]
    if values is None:
        raise PluginError(f"{name}: {problem}")
    if not values["beats"] or len(values["beats"]) < 8:
        raise FileError(f"{name} has no beat that a player could lead")
    folder = make_folder(folder_of(source))
    stems = temporary_beside(folder / _STEMS)
    try:
        frames, sides = _separate(source, stems, lambda done: progress(_LISTENED + (1.0 - _LISTENED) * done, "stems"))
        _check_length(frames / RATE, name)
        remarks = [] if sides is None else [f"the {sides} side of {name} is silent: the other is played on both"]
        mapped = np.memmap(stems, np.int16, "r").reshape(-1, len(STEMS), 2)
        attacks = [find_attacks(mapped, drums=drums) for drums in (False, True)]
        del mapped
        os.replace(stems, folder / _STEMS)
    finally:
        stems.unlink(missing_ok=True)
    places, meter = beat_places(np.asarray(values["beats"]), values["downbeats"] or (), values["meter"])
    spans = _in_beats(values["sections"], places, meter), _in_beats(values["chords"], places, 0)
    return _write_facts(
        source, PreparedRecord(name, _tempo(places), meter, frames, places.tolist(), *spans, attacks, remarks)
    )


def write_prepared(
    source: Path, stems: NDArray[np.float32], places: F64, meter: int, sections: Sequence[tuple[int, int, str]] = ()
) -> PreparedRecord:
    """Prepares a sound file whose stems, `[stems, 2, frames]`, and beats, in frames, are known."""
    whole = np.ascontiguousarray(_in_steps(stems).transpose(2, 0, 1))
    (make_folder(folder_of(source)) / _STEMS).write_bytes(whole.tobytes())
    attacks = [find_attacks(whole, drums=drums) for drums in (False, True)]
    named, line = list(sections), places.tolist()
    record = PreparedRecord(source.name, _tempo(places), meter, len(whole), line, named, [], attacks, [])
    return _write_facts(source, record)


def _write_facts(source: Path, record: PreparedRecord) -> PreparedRecord:
    write_atomic(folder_of(source) / _FACTS, json.dumps({"version": VERSION, **asdict(record)}).encode())
    return record


def _tempo(places: F64) -> float:
    return 60.0 / float(np.median(np.diff(places[: 16 + 1]))) * RATE


def _in_steps(sound: NDArray[np.float32]) -> NDArray[np.int16]:
    return np.asarray(np.rint(np.clip(sound, -1.99, 1.99) / HALF_SCALE), "<i2")


def _check_length(seconds: float, name: str, *, known: bool = True) -> None:
    if known and not SHORTEST <= seconds <= LONGEST:
        long = f"{seconds:.0f} s" if seconds < 600.0 else f"{seconds / 60:.0f} min"
        raise FileError(f"{name} lasts {long}; a record takes {_LENGTHS}")


def _separate(source: Path, target: Path, progress: Callable[[float], None]) -> tuple[int, str | None]:
    """Writes stems of 16 bits, frame by frame. Returns the frames, and the silent side: "left", "right" or None."""
    with Decoder(source) as decoder, open(target, "wb") as file:
        info, peaks, done = decoder.info, np.zeros(2), 0
        resampler = soxr.ResampleStream(info.rate, RATE, 2, dtype="float32")

        def blocks() -> Iterator[Samples]:
            for block in decoder.blocks():
                two = block[:2] if block.shape[0] > 1 else np.repeat(block, 2, axis=0)
                peaks[:] = np.maximum(peaks, np.abs(two).max(axis=1, initial=0.0))
                yield _resample(resampler, two)
            yield _resample(resampler, np.zeros((2, 0), np.float32), last=True)

        names, parts = separate_blocks(blocks(), RATE, 2)
        order = [names.index(name) for name in STEMS]
        for part in parts:
            file.write(_in_steps(part[order]).transpose(2, 0, 1).tobytes())
            done += part.shape[2]
            if info.frames:
                progress(min(1.0, done / RATE / (info.frames / info.rate)))
    silent = [side for side, top in zip(("left", "right"), peaks, strict=True) if top < _SILENT < peaks.max()]
    if silent:
        both = np.memmap(target, np.int16, "r+").reshape(-1, len(STEMS), 2)
        heard = int(np.argmax(peaks))
        both[:, :, 1 - heard] = both[:, :, heard]
    return done, silent[0] if silent else None


def _resample(resampler: soxr.ResampleStream, block: Samples, *, last: bool = False) -> Samples:
    return np.ascontiguousarray(resampler.resample_chunk(np.ascontiguousarray(block.T), last=last).T)


def find_attacks(stems: NDArray[np.int16], *, drums: bool) -> list[int]:
    """Frames of the attacks of stems `[frames, stems, 2]`: of the drums, or of the other stems together."""
    chosen = [n for n, name in enumerate(STEMS) if (name == "drums") == drums]
    found: list[int] = []
    for first in range(0, len(stems), _CHUNK):
        begin = max(0, first - RATE)  # levels before an attack
        mono = stems[begin : first + _CHUNK, chosen].sum(axis=(1, 2), dtype=np.float64) * HALF_SCALE
        if np.abs(mono).max(initial=0.0) > _SILENT:
            found += [begin + at for at in onset_frames(mono, RATE, _LOOK_BACK, circular=False) if begin + at >= first]
    return found


def beat_places(beats: F64, downbeats: Sequence[float], meter: str | None) -> tuple[F64, int]:
    """Frames of a record's beats from a bar line before the first on, to a bar after the last; and beats of a bar.

    `beats`, `downbeats`: seconds. Each beat is fitted by its neighbours. The first bar line is the last one before the
    first beat, or on it.
    """
    reach = np.arange(-_STRAIGHT, _STRAIGHT + 1)
    places = np.asarray(beats, np.float64)
    inner = np.array([places[n + reach].mean() for n in range(_STRAIGHT, len(places) - _STRAIGHT)])
    smooth = np.concatenate([places[:_STRAIGHT], inner, places[len(places) - _STRAIGHT :]])
    ones = np.array([int(np.argmin(np.abs(places - one))) for one in downbeats], np.int64)
    counted = int(meter.split("/")[0]) if meter else 4
    if len(ones) > 1:
        counted = max(2, int(np.median(np.diff(ones))))
    first = int(np.bincount(ones % counted, minlength=counted).argmax()) if len(ones) else 0
    before = (counted - first) % counted
    early = smooth[0] - (smooth[1] - smooth[0]) * np.arange(before, 0, -1)
    late = smooth[-1] + (smooth[-1] - smooth[-2]) * np.arange(1, counted + 1)
    return np.concatenate([early, smooth, late]) * RATE, counted


def _in_beats(spans: Sequence[tuple[float, float, str]] | None, places: F64, meter: int) -> list[Any]:
    """Spans in seconds as spans in beats; with `meter` from bar line to bar line, and none of no length."""
    found = []
    for start, end, label in spans or ():
        edges = np.interp([start * RATE, end * RATE], places, np.arange(len(places)))
        if meter:
            first, last = (round(edge / meter) * meter for edge in edges)
            if last > first:
                found.append((first, min(last, len(places) - 1 - (len(places) - 1) % meter), label))
        else:
            found.append((round(edges[0], 3), round(edges[1], 3), label))
    return found
