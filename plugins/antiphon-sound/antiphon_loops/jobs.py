"""File job `antiphon run loops LIBRARY OUT.wav`: analyses new files, renders a piece on its own clock."""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.api import IO, BlockTime, FileError, ParamError, PluginError, Samples, StreamSpec, UsageError, Value
from antiphon.api.backends.analysis import analyse_file, separate_blocks
from antiphon.api.backends.files import AudioWriter, library_folder, make_folder, printable_path, stream_sound
from antiphon.api.backends.rendering import ParamCells, prepare_processor
from antiphon.api.backends.runtime import instead
from antiphon.api.jobs import FileJob, Written, fade_out, spell
from antiphon_loops.analysis.reading import FASTEST, SLOWEST
from antiphon_loops.arrange import parse_instrument_roles
from antiphon_loops.library import AnalysedFolder, analyse, settle, tempos, uncertain_text, write_listing
from antiphon_loops.processor import Loops
from antiphon_loops.rules import Rules, load

# ---- Loops cut from a song: bars between its downbeats, of each of its stems, as a folder of loops

BARS, KEPT = 4, 3
"""Length of a loop in bars, and number of loops kept of each stem."""
MAX_BPM = 300.0
"""Tempo in bpm above which bars of three fast beats are assumed, and the tempo is halved."""
MIN_POWER_SHARE = 0.05
"""Minimum share of the power of a stem's loudest bars for a bar that sounds; and of the song's for a stem that does."""
SHORTEST, LONGEST = 1.0, 30.0
"""Range of a loop's length in seconds."""
FADE = 0.003
"""Fade time of a cut in seconds."""


@dataclass(frozen=True, slots=True)
class _StemSegment:
    """A segment of a stem. power: its mean square; like: correlation of its level contour with the previous bars'."""

    first: int
    sound: Samples
    power: float
    like: float


def cut_song(song: Path, progress: Callable[[float], None]) -> tuple[Path, float]:
    """Cuts a song to loops; returns their folder, `SONG-loops` in the library, recreated, and the song's tempo in bpm.

    The sounding bars of each stem that are most like the preceding ones are cut, as they repeat. Raises FileError: the
    song cannot be read, or has no tempo. Raises PluginError: no plugin separates sounds, or finds tempos.
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
        kept: list[list[_StemSegment]] = [[] for _ in parts]
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


def _note(kept: list[_StemSegment], first: int, sound: Samples, before: Samples | None) -> Samples:
    """Adds a segment to the list of its stem; returns its level contour."""
    edges = np.linspace(0, sound.shape[1], 16 * BARS + 1).astype(int)[:-1]
    course = np.log10(np.add.reduceat((sound**2).mean(axis=0), edges) / np.diff([*edges, sound.shape[1]]) + 1e-9)
    course = course - course.mean()
    like = 0.0
    if before is not None:
        like = float(course @ before / (np.linalg.norm(course) * np.linalg.norm(before) + 1e-9))
    power = float(np.mean(sound**2))
    kept.append(_StemSegment(first, sound.copy(), power, like))
    most = max(cut.power for cut in kept)
    kept.sort(key=lambda cut: (cut.power >= MIN_POWER_SHARE * most, cut.like), reverse=True)
    del kept[KEPT:]
    return np.asarray(course, np.float32)


def _folder(song: Path) -> Path:
    word = re.sub(r"[^A-Za-z0-9_-]+", "-", song.stem).strip("-") or "song"
    # beside the folder "loops", which would be taken for the one that ships; patches name folders of the library alone
    return library_folder() / f"{word[:60]}-loops"


def _write(folder: Path, parts: tuple[str, ...], kept: list[list[_StemSegment]], rate: int, whole: float) -> Path:
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


BLOCK = 1024
BPM = 120.0


class Piece:
    """A piece of a library's loops. `bars`: length in bars."""

    def __init__(
        self, library: Path, settings: Mapping[str, Value], rate: int, channels: int = 2, stems: Sequence[str] = ()
    ) -> None:
        """Checks the settings; bpm 0 is 120. `stems`: roles to be rendered separately, besides the sum.

        Raises UsageError: a parameter is unknown. Raises ParamError: a value is out of range.
        """
        self._values, self.bpm, self.bars = check_settings(settings)
        self._library, self._rate, self._channels = library, rate, channels
        self.frames = round(self.bars * 240.0 / self.bpm * rate)  # length in frames
        self.stems = tuple(stems)
        self.key: str | None = None  # key of what has sounded, None without one
        self.fit: float | None = None  # how well its loops go together, 0 to 1; None where that is not known
        self._used: dict[tuple[str, str], set[int]] = {}

    def used_loops(self, role: str = "") -> tuple[str, ...]:
        """Loops that sounded, of one role or all, sorted by name, each with its bars: `a.wav (bars 1-8, 17)`."""
        bars: dict[str, set[int]] = {}
        for (name, played), at in self._used.items():
            if role in ("", played):
                bars.setdefault(name, set()).update(at)
        return tuple(f"{printable_path(name)} ({_ranges(at)})" for name, at in sorted(bars.items()))

    def blocks(self) -> Iterator[Samples]:
        """Sound in blocks, float32 `[channels * (1 + stems), n]`: the sum, then each stem. Valid until the next.

        Raises PluginError: the library has no loop for the settings.
        """
        rate, channels = self._rate, self._channels
        out = np.zeros((channels * (1 + len(self.stems)), BLOCK), np.float32)
        time = BlockTime(tempo=self.bpm)
        left = self.frames
        players = [self._player(role) for role in ("", *self.stems)]
        whole = players[0][0]
        for stem, _ in players[1:]:
            stem.share_material(whole)
        try:
            while left:
                n = min(BLOCK, left)
                time.beat = time.sample * self.bpm / (60.0 * rate)
                for place, (player, cells) in enumerate(players):
                    part = out[place * channels : (place + 1) * channels, :n]
                    player.process(IO((), (part,), cells, time, n))
                if whole.has_no_loop:
                    asked = self._values.get("instruments") or "anything"
                    name = self._library.name[:80]
                    raise PluginError(f"no loop in {name!r} plays {asked}; analyse it to see what there is")
                # a bar is longer than a block: none is passed over
                for choice in whole.sounding:
                    self._used.setdefault((choice.loop.file, choice.role), set()).add(whole.bar)
                self.key, self.fit = whole.key, whole.fit
                yield out[:, :n]
                time.sample += n
                left -= n
        finally:
            for player, _ in players:
                player.close()

    def _player(self, role: str) -> tuple[Loops, ParamCells]:
        """Player of one role, or of all, and its parameters."""
        player = Loops()
        player.solo = role
        values = self._values | {"library": str(self._library.absolute()), "bpm": 0.0}
        cells = prepare_processor(player, StreamSpec(self._rate, BLOCK, self._channels), values)
        cells.render(0, BLOCK)
        return player, cells


def _ranges(bars: set[int]) -> str:
    """Bars counted from 0 as text counting from 1: "bars 1-8, 17"."""
    runs: list[list[int]] = []
    for bar in sorted(bars):
        if runs and bar == runs[-1][1] + 1:
            runs[-1][1] = bar
        else:
            runs.append([bar, bar])
    text = ", ".join(f"{a + 1}" if a == b else f"{a + 1}-{b + 1}" for a, b in runs)
    return f"bar {text}" if len(bars) == 1 else f"bars {text}"


def check_settings(settings: Mapping[str, Value]) -> tuple[dict[str, Any], float, int]:
    """Returns checked values, bpm and bars. Checks texts as well, before minutes of analysis.

    Raises UsageError: a parameter is unknown, or `instruments` names what is none. Raises ParamError: a value is out of
    range.
    """
    params = {p.name: p for p in Loops.params if not p.readonly}
    values: dict[str, Any] = {}
    for name, value in settings.items():
        if name not in params:
            raise UsageError(f"loops has no parameter {name!r}{instead(name, params, 'it has')}")
        values[name] = params[name].check(value)
    parse_instrument_roles(str(values.get("instruments", "")))
    bpm = float(values.get("bpm", 0.0)) or BPM
    if not 20.0 <= bpm <= 300.0:
        raise ParamError(f"bpm takes 20 to 300, not {bpm:g}")
    return values, bpm, int(values.get("bars", params["bars"].default))


RATE, CHANNELS = 44100, 2
ANALYSIS_SHARE = 0.5
"""Share of the progress that the analysis takes."""
SONG_SHARE = 0.4
"""Share of the analysis's progress that song cutting takes."""
MAX_PROBLEMS = 12
"""Maximum rejected files named in the report."""
MAX_QUESTIONS = 12
"""Maximum loops of uncertain tempo to ask about."""


def run(job: FileJob) -> tuple[Written, ...]:
    """Writes a piece. An unreadable file is named in a warning and skipped.

    `job`: `source` is a folder of loops, or a song that is cut into loops in `SONG-loops` of the library. Raises
    UsageError: a parameter is `library` or has an invalid value. Raises FileError: a file cannot be read or written, or
    the song has no tempo.
    """
    check_settings(job.settings)
    if "library" in job.settings:
        given = f"{spell('source')}, a folder or a song"
        raise UsageError(f"the loops are those of {given}: name the folder there, and leave library out")
    begun = 0.0
    if not job.source.is_dir():
        begun, song = SONG_SHARE, job.source
        folder, bpm = cut_song(song, lambda part: job.progress(SONG_SHARE * part))
        settings = job.settings if job.settings.get("bpm") else {**job.settings, "bpm": bpm}
        job = replace(job, source=folder, settings=settings)
        job.complain(f"the loops of {printable_path(song.name)} are in {printable_path(job.source)}")
    library = analyse(job.source, lambda n, of, _name: job.progress(begun + (ANALYSIS_SHARE - begun) * n / max(1, of)))
    more = len(library.problems) - MAX_PROBLEMS
    rest = [f"{more} more files are no loops"] if more > 1 else library.problems[MAX_PROBLEMS:]
    for sentence in (*library.problems[:MAX_PROBLEMS], *rest, *library.tempo_remarks):
        job.complain(sentence)
    _settle(job, library, load(job.source))
    if "analysis" in job.beside:
        write_listing(analyse(job.source).loops, job.beside["analysis"])
    style = str(job.settings.get("style", ""))
    if style and not any(loop.answers(style) for loop in library.loops):
        there = sorted({loop.style for loop in library.loops} | {label for x in library.loops for label in x.labels})
        job.complain(f"no loop here is {style[:40]!r}; what is known of them: {', '.join(there[:20])}, and their names")
    roles = parse_instrument_roles(str(job.settings.get("instruments", "")))
    stems = {role: path for role, path in job.stems.items() if role in roles}
    piece = Piece(job.source, job.settings, RATE, CHANNELS, tuple(stems))
    with ExitStack() as stack:
        writers = [
            stack.enter_context(AudioWriter(path, RATE, CHANNELS, finish=job.finish))
            for path in (job.target, *stems.values())
        ]
        for block in fade_out(piece.blocks(), RATE, job.fade):
            for n, writer in enumerate(writers):
                writer.write(block[n * CHANNELS : (n + 1) * CHANNELS])
            job.progress(ANALYSIS_SHARE + (1.0 - ANALYSIS_SHARE) * writers[0].frames / piece.frames)
    used = piece.used_loops()
    bars = "1 bar" if piece.bars == 1 else f"{piece.bars} bars"
    loop_count = "1 loop" if len(used) == 1 else f"{len(used)} loops"
    found = [f"{bars} at {piece.bpm:g} bpm", *([f"in {piece.key}"] if piece.key else [])]
    found += [] if piece.fit is None else [f"fit {piece.fit:.2f}"]
    written = [Written.sound(writers[0], loop_count, tuple(found), used)]
    mix = printable_path(job.target.name)
    for role, writer in zip(stems, writers[1:], strict=True):
        parts = piece.used_loops(role)
        silent = () if parts else ("silent",)
        written.append(Written.sound(writer, f"{mix}, its {role}", silent, parts))
    if "analysis" in job.beside:
        written.append(
            Written(job.beside["analysis"], f"the {len(library.loops)} loops of {printable_path(job.source)}")
        )
    return tuple(written)


def _settle(job: FileJob, library: AnalysedFolder, stacking: Rules) -> None:
    """Asks for uncertain tempos of loops; names loops without an answer in one line."""
    uncertain = library.uncertain(stacking)
    open_ones = list(uncertain)
    for loop in uncertain[:MAX_QUESTIONS]:
        answer = job.ask(
            f"{printable_path(loop.file)}: its tempo is uncertain, {tempos(loop)}. Its bpm, or Enter to leave it out: "
        ).strip()
        if not answer:
            continue
        bpm = _number(answer)
        if bpm is not None and settle(job.source, loop, bpm):
            open_ones.remove(loop)
        else:
            job.complain(f"{printable_path(loop.file)} does not make whole bars of four at {answer[:20]!r} bpm")
    if open_ones:
        job.complain(uncertain_text(open_ones))


def _number(text: str) -> float | None:
    """Tempo entered by a person; None if it is invalid."""
    try:
        bpm = float(text)
    except ValueError:
        return None
    return bpm if SLOWEST <= bpm <= FASTEST else None
