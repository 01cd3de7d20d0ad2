"""Processes one file of `antiphon run` by a plugin: sound or notes in, sound or notes out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np

from antiphon.files.audiofile import stream
from antiphon.files.audiowrite import AudioWriter
from antiphon.files.scores.midi_suffixes import is_midi
from antiphon.files.sound_finish import FADE, SoundFinish
from antiphon.kernel.contract.block import Samples, StreamSpec
from antiphon.kernel.contract.catalog import ProcessorInfo, defaults
from antiphon.kernel.contract.file_use import FileHearing
from antiphon.kernel.errors import FileError, UsageError
from antiphon.kernel.plugins.loader import Loaded
from antiphon.kernel.runtime.importing import import_object
from antiphon.kernel.runtime.paths import write_atomic
from antiphon.kernel.runtime.terms import path_text, spell, spell_parameter
from antiphon.offline.file_ends import choose_tail, fade_end
from antiphon.offline.file_job import Fires, transposes
from antiphon.offline.output_summary import Written
from antiphon.offline.player import FilePlayer, plugin_player
from antiphon.operations.finishing import add_source_marks, find_video_picture
from antiphon.operations.requests import Reporting

if TYPE_CHECKING:
    from antiphon.offline.note_file import TimedScore
    from antiphon.operations.file_tasks import FileTask
    from antiphon.operations.pipes import PipedSound
    from antiphon.operations.plan import FilePlan

SEGMENT_SECONDS = 0.1
"""Length in seconds of a segment for level measurement."""
PAUSES, BELOW = 0.1, 6.0
"""Fraction of the quietest segments that count as pauses, and their minimum distance in dB below the whole."""
NOTABLE_DB = 3.0
"""Level change of the whole in dB that calls for advice on keeping more."""
_SILENT, _NEXT_TO_NOTHING = 1e-10, 1e-20
"""Power of a pause below which it is digital silence, and power that 24 bits cannot represent."""


class PieceLevels:
    """Mean power of each segment of a sound, independent of block boundaries."""

    def __init__(self, rate: int) -> None:
        self._frames = max(1, round(SEGMENT_SECONDS * rate))
        self._powers: list[float] = []
        self._sum, self._filled = 0.0, 0

    def measure(self, blocks: Iterable[Samples]) -> Iterator[Samples]:
        """Yields the blocks, and measures their levels."""
        for samples in blocks:
            power = np.mean(np.square(samples, dtype=np.float64), axis=0)
            while len(power):
                part = power[: self._frames - self._filled]
                self._sum += float(part.sum())
                self._filled += len(part)
                power = power[len(part) :]
                if self._filled == self._frames:
                    self._powers.append(self._sum / self._frames)
                    self._sum, self._filled = 0.0, 0
            yield samples

    def powers(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Powers of all segments, including the incomplete one."""
        rest = [self._sum / self._filled] if self._filled else []
        return np.array([*self._powers, *rest], np.float64)


def attenuation(before: PieceLevels, after: PieceLevels) -> tuple[float, float | None]:
    """Attenuation in dB of the whole and of the pauses; None without pauses."""
    given, left = before.powers(), after.powers()
    count = min(len(given), len(left))
    given, left = given[:count], left[:count]
    if not count:
        return 0.0, None
    quiet = np.argsort(given, kind="stable")[: max(1, round(PAUSES * count))]
    there = _SILENT < given[quiet].mean() < given.mean() * 10.0 ** (-BELOW / 10.0)
    # of digital silence that much is known
    pauses = _db(given[quiet].mean(), left[quiet].mean() or _SILENT) if there else None
    return _db(given.mean(), left.mean()), pauses


def _db(power: float, under: float) -> float:
    return float(10.0 * np.log10((power + _NEXT_TO_NOTHING) / (under + _NEXT_TO_NOTHING)))


def attenuation_text(before: PieceLevels, after: PieceLevels, param: str) -> str:
    """Attenuation as text, for the closing line; `param`: the parameter that keeps more, if any."""
    whole, pauses = attenuation(before, after)
    said = f"took {max(0.0, whole):.1f} dB of the whole"
    if pauses is not None:
        said += f", {round(pauses)} dB in pauses"
    return said if whole <= NOTABLE_DB or not param else f"{said}; to keep more of it: {spell_parameter(param, 0.5)}"


MAX_LOOK_AHEAD_SECONDS = 1800.0
"""Maximum seconds of a file for a processor's look-ahead pass, which stores its analysis."""
MAX_PASSES = 4
"""Maximum analysis passes over a file, for processors that would always request another."""
RATE, CHANNELS = 48000, 2
"""Sample rate in Hz, and channels, of sound rendered from a MIDI file."""


@dataclass(frozen=True, slots=True)
class _PluginInput:
    """Input of a plugin: a sound, or notes, whose blocks are silence.

    Attributes:
        heard: The file of the sound.
        length: Length in frames at `rate`, if known.
        rest: Parts of IN that are added to the result unchanged; None for none.
        twice: Whether it can be read again, unlike a pipe.
        finish: Finish of OUT, with the tags and the picture of IN.
    """

    heard: Path
    rate: int
    channels: int
    subtype: str
    length: int | None
    blocks: Iterator[Samples]
    finish: SoundFinish
    rest: Path | None = None
    twice: bool = False
    hearing: FileHearing = field(default_factory=FileHearing)
    score: TimedScore | None = None


def _read_notes(source: Path, finish: SoundFinish) -> _PluginInput:
    from antiphon.offline import note_file

    score = note_file.read(source, RATE)
    return _PluginInput(source, RATE, CHANNELS, "", score.frames, iter(()), finish.from_notes(), score=score)


def _open_sound(
    stack: ExitStack, source: Path, plan: FilePlan, reporting: Reporting, piped: PipedSound | None
) -> _PluginInput:
    heard, rest = _split_part(stack, source, plan, reporting)
    # what is no regular file, a pipe, cannot be read twice
    twice = piped is None and source.is_file()
    hearing = _analyse_file(heard, plan) if twice else FileHearing()
    sound, blocks = stack.enter_context(
        piped.stream() if piped is not None else stream(heard, rate=hearing.rate or None)
    )
    rate, subtype, length = hearing.rate or sound.rate, sound.subtype, sound.frames
    own_rate = sound.rate if hearing.rate else 0
    length = None if length is None else length * rate // sound.rate
    finish, picture = plan.finish.with_tags(sound), find_video_picture(source, sound)
    if rest is not None:  # a part is held as float, whatever it was taken from
        with stream(source) as (given, _):
            subtype, finish = given.subtype, plan.finish.with_tags(given)
            picture = find_video_picture(source, given)
    finish = replace(finish, rate=finish.rate or own_rate, picture=picture)
    if twice:
        transposed = transposes(plan.info, {**plan.values, **hearing.values}) and not hearing.as_it_is
        finish = add_source_marks(finish, source, length, own_rate or rate, transposed)
    return _PluginInput(heard, rate, sound.channels, subtype, length, blocks, finish, rest, twice, hearing)


def process_file(
    task: FileTask, plan: FilePlan, loaded: Loaded, reporting: Reporting, piped: PipedSound | None = None
) -> Written:
    """Writes `task.target`, complete or not at all. `piped`: sound of standard input in place of the file.

    Raises AntiphonError: it cannot be written.
    """
    asked, info, source = plan.request, plan.info, task.source
    plays, writes = is_midi(source), info.first("events", "out") is not None and is_midi(task.target, written=True)
    reporting.stage("reading")
    with ExitStack() as stack:
        given = _read_notes(source, plan.finish) if plays else _open_sound(stack, source, plan, reporting, piped)
        rate, length, hearing, finish = given.rate, given.length, given.hearing, given.finish
        spec = StreamSpec(rate, asked.block, given.channels)
        writer = None
        if not writes:
            writer = stack.enter_context(AudioWriter(task.target, rate, given.channels, given.subtype, finish))
        progress = stack.enter_context(reporting.progress(source.name, length, rate))
        reporting.stage("loading")
        values = {**plan.values, **hearing.values}
        player = plugin_player(asked.plugin, loaded.catalog, loaded.make, spec, values, plan.fires, given.score)
        stack.enter_context(closing(player))
        if given.twice and not hearing.as_it_is:
            player.processor.heard(hearing.told)
            _play_passes(player, source, given.heard, length, reporting)
            beginning = info.on_files.preroll
            if beginning and (frames := round(float({**defaults(info), **values}[beginning]) * rate)):
                with stream(given.heard, rate=rate) as (_, blocks):
                    player.pass_over(blocks, frames)
        tail = choose_tail(asked.tail, info.on_files.tail and not writes)
        done, sums = 0, {"in": 0, "out": 0}
        before, after = PieceLevels(rate), PieceLevels(rate)
        played = before.measure(_checksum_blocks(given.blocks, sums, "in"))
        if not hearing.as_it_is:
            played = player.play(played, length if plays else None, progress.update, tail)
        # an OUT that ends where IN does is as long and as loud there as IN, which may be a loop
        usual = FADE if plays or info.on_files.tail else 0.0
        written = after.measure(
            _checksum_blocks(fade_end(played, rate, usual if asked.fade is None else asked.fade), sums, "out")
        )
        if given.rest is not None:
            written = _mix(written, stack.enter_context(stream(given.rest, rate=rate))[1])
        for samples in written:
            done += samples.shape[1]
            if writer is not None:
                writer.write(samples)
        if player.overflow:
            raise FileError(
                f"{path_text(source)} has more notes at once than a block takes, {player.overflow} of them too many; "
                f"give a smaller {spell('block')}"
            )
        _check_fires(plan.fires, source, done, rate)
        if plays and writer is not None and writer.silent and info.first("audio", "in") is not None:
            raise UsageError(
                f"{asked.plugin} changes sound, and {path_text(source)} has notes alone, which give silence: wire both "
                "to it in a patch, and render that"
            )
    if asked.report:
        write_atomic(Path(asked.report), json.dumps(hearing.report, indent=1).encode())
    if writer is None:
        return _write_midi_result(task, player, given.score, done, reporting)
    changed = writer.silent or finish.limit or finish.loudness is not None or sums["in"] != sums["out"]
    if changed and info.on_files.takes and given.rest is None and finish.loudness is None and task.target.is_file():
        # an integer or lossy format changes the level of pauses
        after = PieceLevels(rate)
        with stream(task.target, rate=rate) as (_, blocks):
            for _ in after.measure(blocks):
                pass
    found = _findings(info, hearing, plan.fires, (before, after) if changed else None)
    return Written.sound(writer, path_text(source), found)


def _findings(
    info: ProcessorInfo, hearing: FileHearing, fires: Fires, levels: tuple[PieceLevels, PieceLevels] | None
) -> tuple[str, ...]:
    """Findings for the closing line, and the loudness change; empty without any."""
    said = hearing.said
    if levels is None:
        triggers = [param.name for param in info.cells if param.kind == "trigger"]
        if triggers and not fires and not said:
            said = f"nothing was fired; {spell_parameter(triggers[0], 0.5)} fires {triggers[0]} at 0.5 s"
            said += f"; others are {', '.join(triggers[1:])}" if len(triggers) > 1 else ""
        return (f"unchanged by {info.type}{said and f': {said}'}",)
    if not info.on_files.takes:
        return (said,) if said else ()
    # with other parameters than were given that one may have no effect
    return (*filter(None, [said]), attenuation_text(*levels, "" if hearing.values else info.on_files.takes))


def _analyse_file(heard: Path, plan: FilePlan) -> FileHearing:
    """The plugin's analysis of the whole file, if it has one."""
    if not (hears := plan.info.on_files.hears):
        return FileHearing()
    hearing: FileHearing = import_object(hears)(heard, plan.values, {name for name, _ in plan.fires})
    return hearing


def _play_passes(player: FilePlayer, source: Path, heard: Path, length: int | None, reporting: Reporting) -> None:
    """Feeds a processor its analysis passes over the whole file. `length`: frames, if known."""
    rate, look_ahead = player.spec.rate, player.processor.look_ahead
    if length is None and look_ahead(None):
        length = _count_frames(heard, rate)
    known = length if length is not None and length <= MAX_LOOK_AHEAD_SECONDS * rate else None
    for _ in range(MAX_PASSES):
        if not look_ahead(known):
            break
        if known is None:
            longer = "is not known to be shorter" if length is None else "is longer"
            reporting.complain(f"{path_text(source)} {longer} than half an hour: {player.plugin} works as live")
            break
        with stream(heard, rate=rate) as (_, whole):
            player.pass_over(whole, known, player.latency)


def _count_frames(heard: Path, rate: int) -> int | None:
    """Counts the frames of a file that does not state them; None beyond the number for a look-ahead pass."""
    count = 0
    with stream(heard, rate=rate) as (_, blocks):
        for samples in blocks:
            count += samples.shape[1]
            if count > MAX_LOOK_AHEAD_SECONDS * rate:
                return None
    return count


def _split_part(stack: ExitStack, source: Path, plan: FilePlan, reporting: Reporting) -> tuple[Path, Path | None]:
    """Splits a file if the plugin processes a part of it; returns that part, and the rest for its result."""
    part = str(plan.values.get(plan.info.on_files.stem, "all"))
    if part == "all":
        return source, None
    from antiphon.offline.analyses import separated_file

    with reporting.progress(f"{part} of {source.name}", 1000, 1) as progress:
        return stack.enter_context(separated_file(source, part, lambda done: progress.update(round(1000 * done))))


def _mix(blocks: Iterator[Samples], others: Iterator[Samples]) -> Iterator[Samples]:
    """Sum of the blocks and another sound, for any block sizes."""
    held: Samples = np.zeros((0, 0), np.float32)
    for block in blocks:
        while held.shape[1] < block.shape[1] and (more := next(others, None)) is not None:
            held = np.concatenate([held, more], axis=1) if held.size else more.copy()
        both = min(block.shape[1], held.shape[1])
        mixed = block.copy()
        mixed[:, :both] += held[:, :both]
        held = held[:, both:]
        yield mixed


def _checksum_blocks(blocks: Iterable[Samples], sums: dict[str, int], side: str) -> Iterator[Samples]:
    """Yields the blocks, and keeps a running checksum in `sums[side]`, independent of block sizes."""
    for samples in blocks:
        sums[side] = crc32(samples.T.tobytes(), sums[side])
        yield samples


def _check_fires(fires: Fires, source: Path, frames: int, rate: int) -> None:
    """Raises UsageError for triggers after `frames`, the end."""
    for name, seconds in fires:
        if round(seconds * rate) >= frames > 0:
            end = f"after the end of {path_text(source)} ({frames / rate:g} s)"
            raise UsageError(f"{name} would fire at {round(seconds * rate) / rate:g} s, {end}")


def _write_midi_result(
    task: FileTask, player: FilePlayer, score: TimedScore | None, frames: int, reporting: Reporting
) -> Written:
    from antiphon.offline import note_file

    rate = player.spec.rate
    like = None if score is None else score.song
    count = note_file.write(task.target, player.emitted, frames, rate, like)
    if not count:
        reporting.complain(
            f"{path_text(task.source)}: {player.plugin} gives no note for it; {path_text(task.target)} holds none"
        )
    return Written(task.target, path_text(task.source), frames / rate, notes=count)
