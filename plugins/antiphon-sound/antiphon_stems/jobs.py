"""File job `antiphon run stems`: all stems, or OUT with one or without it; the analysis `stems` measures each."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from antiphon.api import Samples
from antiphon.api.backends.analysis import EACH, AnalysisRun, Quantity, SeparatingAnalysis
from antiphon.api.backends.files import AudioWriter, printable_path, stream_sound
from antiphon.api.backends.models import ModelError, read_weights, say_instead
from antiphon.api.jobs import FileJob, Written
from antiphon_stems.grids import FILE, FILE_WEIGHTS, STEMS, VOICE_WEIGHTS
from antiphon_stems.hpss import Medians
from antiphon_stems.network import FileNetwork
from antiphon_stems.processor import DEFAULT_SEPARATOR, MEDIANS_TEXT
from antiphon_stems.splitting import Shares, Splitter, StemMasks
from antiphon_stems.voice import VoiceMasks, VoiceNetwork

log = logging.getLogger("antiphon.stems")
_BATCH_SIZE = 1 << 16
VOICE, OTHER = STEMS.index("voice"), STEMS.index("other")

QUIET = 1e-4
"""Share of the energy of IN below which a part is reported as silent: -40 dB."""
ABSENT = "silent: below -40 dB of IN"


def run(job: FileJob) -> tuple[Written, ...]:
    """Separates a sound file.

    `job`: `stems` are files of all stems; without them `target` gets the sum of those that `given` names as "only", or
    of the others than those that it names as "without". Raises FileError: a file cannot be read or written.
    """
    gains = np.array([float(job.settings.get(name, 1.0)) for name in STEMS], np.float32)
    solo = str(job.settings.get("solo", "none"))
    if solo != "none":
        gains *= np.array([name == solo for name in STEMS], np.float32)
    with stream_sound(job.source) as (sound, blocks), ExitStack() as stack:
        files = _files(job)
        mode, by = str(job.settings.get("mode", "learned")), str(job.settings.get("by", DEFAULT_SEPARATOR))
        parts = separate(_whole(blocks), sound.rate, sound.channels, mode, by)
        writers = [
            stack.enter_context(AudioWriter(path, sound.rate, sound.channels, sound.subtype, job.finish))
            for path, _, _ in files
        ]
        done, whole, energies = 0, 0.0, [0.0] * len(writers)
        for stems in parts:
            whole += _energy(stems.sum(axis=0))
            stems *= gains[:, None, None]
            for n, ((_, _, chosen), writer) in enumerate(zip(files, writers, strict=True)):
                made = np.asarray(stems[chosen].sum(axis=0), np.float32)
                energies[n] += _energy(made)
                writer.write(made)
            done += stems.shape[2]
            if sound.frames:
                job.progress(done / sound.frames)
    name = printable_path(job.source.name)
    return tuple(
        Written.sound(
            writer, f"{name}, {part}", found=(ABSENT,) if energy < QUIET * whole and not writer.silent else ()
        )
        for (_, part, _), writer, energy in zip(files, writers, energies, strict=True)
    )


def _energy(samples: Samples) -> float:
    return float(np.square(samples, dtype=np.float64).sum())


def separate(
    blocks: Iterable[Samples], rate: int, channels: int, mode: str = "learned", by: str = DEFAULT_SEPARATOR
) -> Iterator[Samples]:
    """Yields stems `[4, channels, n]` of blocks `[channels, n]`, which add up to the sound."""
    own = Splitter(rate, channels, StemMasks(_shares(mode)))
    network = _voice_network() if (mode, by) == ("learned", DEFAULT_SEPARATOR) else None
    if network is None:
        yield from own.split(blocks)
        return
    held: Samples = np.zeros((2, channels, 0), np.float32)

    def rest() -> Iterator[Samples]:
        nonlocal held
        for both in Splitter(rate, channels, VoiceMasks(network)).split(blocks):
            held = np.concatenate([held, both], axis=2)
            yield both[1]

    for stems in own.split(rest()):
        voice, accompaniment = held[:, :, : stems.shape[2]]
        held = held[:, :, stems.shape[2] :]
        # what ours still takes for a voice is part of the rest
        stems[VOICE] = voice
        stems[OTHER] = accompaniment - stems[:VOICE].sum(axis=0)
        yield stems


def _voice_network() -> VoiceNetwork | None:
    try:
        return VoiceNetwork(read_weights(VOICE_WEIGHTS))
    except ModelError as error:
        say_instead(
            log, f"stems has no by={DEFAULT_SEPARATOR} here: {error}. It works by=own instead, which leaks more"
        )
        return None


def _shares(mode: str) -> Shares:
    """Separator: the network for files, or medians on request or without its weights."""
    if mode == "learned":
        try:
            weights = read_weights(FILE_WEIGHTS)
            return FileNetwork({name: np.asarray(array, np.float32) for name, array in weights.items()}).shares
        except ModelError as error:
            say_instead(log, f"stems has no mode learned here: {error}. {MEDIANS_TEXT}")
    return Medians(FILE).shares


def _files(job: FileJob) -> list[tuple[Path, str, list[int]]]:
    """Output files, their descriptions, and the numbers of the stems summed in each."""
    if job.stems:
        return [(path, name, [STEMS.index(name)]) for name, path in job.stems.items()]
    only, without = job.given.get("only", ""), job.given.get("without", "")
    left = without.split(",")
    chosen = [n for n, name in enumerate(STEMS) if (not only or name in only.split(",")) and name not in left]
    said = only.replace(",", ", ") or (f"without {without.replace(',', ', ')}" if without else "all")
    return [(job.target, said, chosen)]


def _whole(blocks: Iterator[Samples]) -> Iterator[Samples]:
    """Blocks of some thousand frames, copied."""
    held: list[Samples] = []
    for block in blocks:
        held.append(np.array(block, np.float32))
        if sum(piece.shape[1] for piece in held) >= _BATCH_SIZE:
            yield np.concatenate(held, axis=1)
            held.clear()
    if held:
        yield np.concatenate(held, axis=1)


QUIETEST = -120.0
SEGMENT_SECONDS = 0.5
"""Segment length in seconds of the vocal detection."""
MIN_VOICE_SHARE = 0.06
"""Minimum energy share of the voice in a vocal segment."""


class StemLevels(SeparatingAnalysis):
    """Slow: about half of the sound's length, so it is computed only on request."""

    version = 2
    by_name = True
    stem = EACH
    parts: ClassVar[tuple[str, ...]] = STEMS
    quantities = (
        *(Quantity(name, "number", "dB", f"Mean power of the {name} below that of the sound.") for name in STEMS),
        Quantity("sung", "spans", doc="Where the voice has a part of the sound."),
    )

    def separate(self, blocks: Iterable[Samples], rate: int, channels: int) -> Iterator[Samples]:
        return separate(blocks, rate, channels)

    def begin(self, rate: int, channels: int) -> AnalysisRun:
        return _Levels(rate)


class _Levels(AnalysisRun):
    def __init__(self, rate: int) -> None:
        self._step, self._rate = round(SEGMENT_SECONDS * rate), rate
        self._rest: Samples = np.zeros((len(STEMS), 0), np.float32)
        self._energies: list[NDArray[np.float64]] = []
        self._frames = 0

    def feed(self, block: Samples) -> None:
        held = np.concatenate([self._rest, block], axis=1)
        self._frames += block.shape[1]
        whole = held.shape[1] // self._step * self._step
        for piece in np.split(held[:, :whole], whole // self._step, axis=1) if whole else ():
            self._energies.append(_energies(piece))
        self._rest = held[:, whole:].copy()

    def result(self) -> Mapping[str, Any]:
        energies = np.array([*self._energies, _energies(self._rest)])
        parts, whole = energies[:, :-1], energies[:, -1]
        if not whole.sum() > 0.0:
            return dict.fromkeys((*STEMS, "sung"))
        share = parts.sum(axis=0) / whole.sum()
        levels = {name: max(QUIETEST, 10.0 * np.log10(one + 1e-12)) for name, one in zip(STEMS, share, strict=True)}
        sung = parts[:, STEMS.index("voice")] > np.maximum(MIN_VOICE_SHARE * whole, 1e-4 * whole.mean())
        edges = np.flatnonzero(np.diff(np.concatenate([[False], sung, [False]]).astype(int))) * SEGMENT_SECONDS
        ends = np.minimum(edges, self._frames / self._rate)
        return {**levels, "sung": [(a, b, "voice") for a, b in zip(ends[::2], ends[1::2], strict=True)]}


def _energies(piece: Samples) -> NDArray[np.float64]:
    """Energies of all parts and of their sum."""
    return np.append((piece.astype(np.float64) ** 2).sum(axis=1), (piece.astype(np.float64).sum(axis=0) ** 2).sum())
