"""Loops cut from a song: bars between its downbeats, of each of its stems, as a folder of loops."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from antiphon.api import FileError, PluginError, Samples
from antiphon.api.backends.analysis import analyse_file, separate_blocks
from antiphon.api.backends.files import AudioWriter, library_folder, make_folder, printable_path, stream_sound

BARS, KEPT = 4, 3
"""Bars of a loop, and number of loops of each stem."""
MAX_BPM = 300.0
"""Beats a minute, above which a song's bars have three fast beats: half of that is taken."""
MIN_POWER_SHARE = 0.05
"""Share of the power of a stem's loudest bars below which it rests; and of the song's, below which it is absent."""
SHORTEST, LONGEST = 1.0, 30.0
"""Range of a loop's length in seconds."""
FADE = 0.003
"""Fade time of a cut in seconds."""


@dataclass(frozen=True, slots=True)
class _Cut:
    """A segment of a stem. power: its mean square; like: correlation of its level contour with the previous bars'."""

    first: int
    sound: Samples
    power: float
    like: float


def cut_song(song: Path, progress: Callable[[float], None]) -> tuple[Path, float]:
    """Folder of a song's loops, `SONG-loops` in the library, which is recreated; and the song's tempo in bpm.

    Cut are the sounding bars of each stem that are most like the preceding ones: repetition. Raises FileError: the song
    cannot be read, or no tempo is found in it. Raises PluginError: no plugin takes sounds apart, or finds tempos.
    """
    name = printable_path(song.name)
    found = analyse_file(os.fsencode(song), ["music"]).get("music", (0, None, ""))
    downbeats = (found[1] or {}).get("downbeats") or ()
    if len(downbeats) < BARS + 1:
        raise FileError(f"{name}: no {BARS} bars are found in it{f': {found[2]}' if found[2] else ''}; give loops")
    with stream_sound(song) as (info, blocks):
        rate = info.rate
        edges = [round(second * rate) for second in downbeats[::BARS]]
        parts, stems = separate_blocks(blocks, rate, info.channels)
        kept: list[list[_Cut]] = [[] for _ in parts]
        before: list[Samples | None] = [None] * len(parts)
        held = np.zeros((len(parts), info.channels, 0), np.float32)
        total, start, place, powers = 0, 0, 0, []
        for block in stems:
            held = np.concatenate([held, block], axis=2)
            total += block.shape[2]
            while place + 1 < len(edges) and edges[place + 1] <= total:
                first, last = edges[place], edges[place + 1]
                piece = held[:, :, first - start : last - start]
                powers.append(float(np.mean(piece.sum(axis=0) ** 2)))
                if SHORTEST <= (last - first) / rate <= LONGEST:
                    for n, sound in enumerate(piece):
                        before[n] = _note(kept[n], first, sound, before[n])
                held, start, place = held[:, :, last - start :], last, place + 1
            if info.frames:
                progress(min(1.0, total / info.frames))
    bpm = 240.0 * BARS * rate / float(np.median(np.diff(edges)))
    while bpm > MAX_BPM:  # bars of three fast beats
        bpm /= 2.0
    return _write(_folder(song), parts, kept, rate, float(np.mean(powers)) if powers else 0.0), round(bpm, 2)


def _note(kept: list[_Cut], first: int, sound: Samples, before: Samples | None) -> Samples:
    """Adds a segment to its stem's; returns its level contour."""
    edges = np.linspace(0, sound.shape[1], 16 * BARS + 1).astype(int)[:-1]
    course = np.log10(np.add.reduceat((sound**2).mean(axis=0), edges) / np.diff([*edges, sound.shape[1]]) + 1e-9)
    course = course - course.mean()
    like = 0.0
    if before is not None:
        like = float(course @ before / (np.linalg.norm(course) * np.linalg.norm(before) + 1e-9))
    power = float(np.mean(sound**2))
    kept.append(_Cut(first, sound.copy(), power, like))
    most = max(cut.power for cut in kept)
    kept.sort(key=lambda cut: (cut.power >= MIN_POWER_SHARE * most, cut.like), reverse=True)
    del kept[KEPT:]
    return np.asarray(course, np.float32)


def _folder(song: Path) -> Path:
    word = re.sub(r"[^A-Za-z0-9_-]+", "-", song.stem).strip("-") or "song"
    # beside the folder "loops", which would be taken for the one that ships; patches name folders of the library alone
    return library_folder() / f"{word[:60]}-loops"


def _write(folder: Path, parts: tuple[str, ...], kept: list[list[_Cut]], rate: int, whole: float) -> Path:
    """Writes the loops, replacing those of an earlier call; other files in the folder stay."""
    make_folder(folder)
    for path in folder.glob("*.wav"):
        if re.fullmatch(rf"({'|'.join(parts)})-\d+-[\d.]+bpm\.wav", path.name):
            path.unlink()
    count = 0
    for part, cuts in zip(parts, kept, strict=True):
        for n, cut in enumerate(sorted(cuts, key=lambda cut: cut.first)):
            if cut.power < MIN_POWER_SHARE * MIN_POWER_SHARE * whole:
                continue
            frames = cut.sound.shape[1]
            ramp = np.minimum(1.0, (np.arange(frames) + 1.0) / (FADE * rate)).astype(np.float32)
            bpm = 240.0 * BARS * rate / frames
            with AudioWriter(folder / f"{part}-{n + 1}-{bpm:.2f}bpm.wav", rate, len(cut.sound), "PCM_24") as writer:
                writer.write(cut.sound * ramp * ramp[::-1])
            count += 1
    if not count:
        raise PluginError(f"no stem of the song sounds; there is no loop in {folder.name}")
    return folder
