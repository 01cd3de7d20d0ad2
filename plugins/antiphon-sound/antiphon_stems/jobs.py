"""File job `antiphon run stems`: writes all stems, or OUT with one or without it; the analysis `stems` measures all."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from antiphon.api import Samples
from antiphon.api.backends.analysis import EACH, AnalysisRun, Quantity, SeparatingAnalysis
from antiphon.api.backends.files import AudioWriter, printable_path, stream_sound
from antiphon.api.backends.models import ModelError, read_weights, say_instead
from antiphon.api.jobs import FileJob, Written, spell
from antiphon_stems.grids import FILE, FILE_WEIGHTS, NOMINAL, STEMS, VOICE_WEIGHTS
from antiphon_stems.hpss import Medians
from antiphon_stems.network import LEVEL_REACH, FileNetwork
from antiphon_stems.processor import DEFAULT_SEPARATOR, MEDIANS_TEXT
from antiphon_stems.voice import VoiceMasks, VoiceNetwork

# ---- Separation of a sound of any length in bounded memory, with look-ahead and a multichannel Wiener filter

MIN_SIDE_SHARE = 1e-3
"""Minimum channel difference as a share of a mix's power."""
DIFFUSE_SHARE = 1e-4
"""Share of each stem's power that counts as diffuse, which regularises the covariance."""


def refined_spectra(spectra: C64, shares: Samples) -> C64:
    """Computes spectra of stems from a mix's spectra and each stem's shares.

    For stereo, each stem's covariance per bin is estimated over the segment and used to filter the stems once. Without
    stereo differences, or for mono, the result is the mix times the shares. `spectra`: `[channels, frames,
    bins]`. `shares`: `[stems, frames, bins]`, whose sum is 1. Returns `[stems, channels, frames, bins]`.
    """
    power = np.mean(spectra.real**2 + spectra.imag**2, axis=0)
    if len(spectra) != 2 or float(np.mean(np.abs(spectra[0] - spectra[1]) ** 2)) < MIN_SIDE_SHARE * float(power.mean()):
        return np.asarray(shares[:, None] * spectra, np.complex64)
    left, right = spectra
    both = left * right.conj()
    weights = shares**2
    total = 2.0 * np.einsum("stf,tf->sf", weights, power) + 1e-12
    # covariances of trace 2 by bin: [[a, c], [c*, b]]
    a = 2.0 * np.einsum("stf,tf->sf", weights, np.abs(left) ** 2) / total + DIFFUSE_SHARE
    b = 2.0 * np.einsum("stf,tf->sf", weights, np.abs(right) ** 2) / total + DIFFUSE_SHARE
    c = 2.0 * np.einsum("stf,tf->sf", weights, both) / total
    mixed_a, mixed_b = (np.einsum("stf,sf->tf", shares, part) for part in (a, b))
    mixed_c = np.einsum("stf,sf->tf", shares, c)
    scale = mixed_a * mixed_b - np.abs(mixed_c) ** 2
    # the mix through the inverse of its covariance, and then through each stem's
    x = (mixed_b * left - mixed_c * right) / scale
    y = (mixed_a * right - mixed_c.conj() * left) / scale
    out = np.empty((len(shares), *spectra.shape), np.complex64)
    for n, share in enumerate(shares):
        out[n, 0] = share * (a[n] * x + c[n] * y)
        out[n, 1] = share * (c[n].conj() * x + b[n] * y)
    return out


C64 = NDArray[np.complex64]
Shares = Callable[[Samples, Samples], Samples]
"""Function from power and side `[frames, units]` to shares of stems `[4, frames, units]`."""


class Masks(Protocol):
    """Separator of the spectra of a segment."""

    parts: int  # number of parts, with the remainder
    core: int  # frames of a segment
    reach: int  # frames of context on either side
    sines: int  # the window is a sine to this power

    def __call__(self, spectra: C64, inside: slice) -> C64:
        """Spectra `[parts - 1, channels, frames, bins]` of the frames inside, all parts but the last.

        `spectra`: `[channels, frames, bins]`; white noise of variance 1 has power 1.
        """


class StemMasks:
    """Separates four stems by their shares and stereo positions."""

    parts, core, reach, sines = len(STEMS), 512, LEVEL_REACH, 1

    def __init__(self, shares: Shares) -> None:
        self._shares = shares

    def __call__(self, spectra: C64, inside: slice) -> C64:
        power = np.mean(spectra.real**2 + spectra.imag**2, axis=0)
        apart = np.abs(spectra[0] - spectra[1]) ** 2 / 2 if len(spectra) > 1 else np.zeros_like(power)
        shares = self._shares(_units(power), _units(apart))[:, inside]
        unit = FILE.unit_of_bin[np.minimum(np.arange(power.shape[1]), FILE.bins - 1)]
        return refined_spectra(spectra[:, inside], shares[:, :, unit])[:-1]


def _units(power: Samples) -> Samples:
    """Converts `[frames, bins]` to `[frames, units]`; zero above half of the rate."""
    missing = max(0, FILE.bins - power.shape[1])
    return FILE.means(np.pad(power, ((0, 0), (0, missing)))[:, : FILE.bins])


class Splitter:
    """Separates a sound segment by segment."""

    def __init__(self, rate: int, channels: int, masks: Masks) -> None:
        """Prepares the transform, whose bin spacing equals that at `NOMINAL` at any rate."""
        self._masks, self._channels = masks, channels
        self._hop = max(16, round(FILE.hop * rate / NOMINAL))
        self._size = 4 * self._hop
        sine = np.sin(np.pi * (np.arange(self._size) + 0.5) / self._size)
        window = (sine**masks.sines).astype(np.float32)
        norm = np.float32(np.sqrt(np.sum(window.astype(np.float64) ** 2)))
        # squared windows of frames add up to norm ** 2 / hop
        self._into, self._back = window / norm, window * (np.float32(self._hop) / norm)
        self._tail: Samples = np.zeros((masks.parts, channels, self._size - self._hop), np.float32)

    def split(self, blocks: Iterable[Samples]) -> Iterator[Samples]:
        """Yields parts `[parts, channels, n]` of blocks `[channels, n]`; the last is the remainder of the sound."""
        waiting: Samples = np.zeros((self._channels, 0), np.float32)
        skip = self._size - self._hop

        def counted() -> Iterator[Samples]:
            nonlocal waiting
            for block in blocks:
                waiting = np.concatenate([waiting, block], axis=1)
                yield block

        for parts in self._joined(self._segment_spectra(counted())):
            ready = parts[:, :, skip:]
            skip = max(0, skip - parts.shape[2])
            ready = ready[:, :, : waiting.shape[1]]
            ready[-1] = waiting[:, : ready.shape[2]] - ready[:-1].sum(axis=0)
            waiting = waiting[:, ready.shape[2] :]
            if ready.shape[2]:
                yield ready

    def _segment_spectra(self, blocks: Iterator[Samples]) -> Iterator[C64]:
        """Spectra of a segment's frames, `[channels, frames, bins]`, from a frame before the sound."""
        length, lead = self._masks.core * self._hop, self._size - self._hop
        held: Samples = np.zeros((self._channels, lead), np.float32)
        ends = np.zeros((self._channels, lead), np.float32)
        for block in chain(blocks, (ends,)):
            held = np.concatenate([held, block], axis=1)
            while held.shape[1] >= length + lead:
                yield self._spectra(held[:, : length + lead])
                held = held[:, length:]
        frames = -(-(held.shape[1] - lead) // self._hop)
        if frames > 0:
            wanted = frames * self._hop + lead
            yield self._spectra(np.pad(held, ((0, 0), (0, wanted - held.shape[1]))))

    def _spectra(self, sound: Samples) -> C64:
        frames = sliding_window_view(sound, self._size, axis=1)[:, :: self._hop]
        return np.fft.rfft(frames * self._into, axis=-1).astype(np.complex64)

    def _joined(self, stretches: Iterable[C64]) -> Iterator[Samples]:
        """Parts of every segment, with context; overlapping sound is kept for the next."""
        before: C64 | None = None
        now: C64 | None = None
        reach = self._masks.reach
        for after in chain(stretches, (None,)):
            if now is not None:
                early = now[:, :0] if before is None else before[:, -reach:]
                late = now[:, :0] if after is None else after[:, :reach]
                yield self._sound(np.concatenate([early, now, late], axis=1), early.shape[1], now.shape[1])
            before, now = now, after

    def _sound(self, spectra: C64, first: int, frames: int) -> Samples:
        masked = self._masks(spectra, slice(first, first + frames))
        hop, lead = self._hop, self._size - self._hop
        out = np.zeros((self._masks.parts, self._channels, frames * hop + lead), np.float32)
        out[:, :, :lead] = self._tail
        for n, part in enumerate(masked):
            pieces = np.fft.irfft(part, self._size, axis=-1) * self._back
            for quarter in range(4):
                at = slice(quarter * hop, quarter * hop + frames * hop)
                out[n, :, at] += pieces[:, :, quarter * hop : (quarter + 1) * hop].reshape(self._channels, -1)
        self._tail = out[:, :, frames * hop :].copy()
        return out[:, :, : frames * hop]


log = logging.getLogger("antiphon.stems")
_BATCH_SIZE = 1 << 16
VOICE, OTHER = STEMS.index("voice"), STEMS.index("other")

QUIET = 1e-4
"""Share of the energy of IN below which a part is reported as silent: -40 dB."""
ABSENT = "silent: below -40 dB"


def run(job: FileJob) -> tuple[Written, ...]:
    """Separates a sound file.

    `job`: `stems` are files of all stems; without them `target` gets the sum of the stems that `given` names as "only",
    or of all except those that it names as "without". Raises FileError: a file cannot be read or written.
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
            writer,
            f"{name}, {part}",
            found=(f"{ABSENT} of {spell('source')}",) if energy < QUIET * whole and not writer.silent else (),
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
    """Levels of the stems, computed only on request, as it takes about half of the sound's length."""

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
        return _StemLevelsRun(rate)


class _StemLevelsRun(AnalysisRun):
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
