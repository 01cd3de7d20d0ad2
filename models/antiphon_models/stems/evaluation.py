"""`antiphon evaluate stems`: how much nearer each stem is to the truth than the mix is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import soundfile
from numpy.typing import NDArray

from antiphon.api import StreamSpec
from antiphon.api.testing import render
from antiphon_models.denoise.sdr import si_sdr
from antiphon_models.learning.evaluation import (
    Evaluation,
    EvaluationRequest,
    Example,
    MetricValue,
    measures_of,
    systems_of,
)
from antiphon_models.learning.user_commands import command
from antiphon_models.stems.material import RATE
from antiphon_models.stems.testset import StemMix, mixes
from antiphon_stems.grids import STEMS

F32 = NDArray[np.float32]
COUNT = 30
SIZE, HOP = 1024, 256
"""Of the oracle's spectra: 23 ms, as the aims are stated."""
_QUIET = 1e-5
"""RMS below which a stem is absent."""


class Separating(Evaluation):
    """Mixes of ten seconds, each stem known."""

    systems = systems_of(classical="hpss", ours="files; live", oracle="ideal mask")
    measures = measures_of("drums [dB]; bass [dB]; voice [dB]; other [dB]; absent [dB]; real time [x] ↓")
    note: ClassVar[str] = (
        "Gains in SI-SDR over the mix; absent: how far below the mix a stem is that is not in it; real time: the whole "
        "command's, or the node's, as a part of the sound's length. Singers are real people, who sing other songs than "
        "the band plays; the rest is rendered or of loops. Not to be compared with figures on MUSDB."
    )
    folders: ClassVar[tuple[str, ...]] = ("pop909", "sonicpi", "singing")
    card: ClassVar[str] = "antiphon_stems"
    road: ClassVar[str] = "`antiphon run stems SONG --out-dir D` (files), and the node in blocks of 256 (live)"

    def scores(self, ask: EvaluationRequest) -> Iterator[MetricValue]:
        ways = ask.wanted(systems(ask.work))
        for item in mixes(ask.data, ask.limit or COUNT, ask.seed):
            for name, way in ways.items():
                began = time.perf_counter()
                made = way(item)
                taken = (time.perf_counter() - began) * RATE / item.mix.shape[1]
                yield from figures(name, item, made)
                if name != "ideal mask":
                    yield MetricValue(name, "real time", item.name, taken)

    def examples(self, ask: EvaluationRequest) -> Iterator[Example]:
        ways = ask.wanted(systems(ask.work))
        for item in mixes(ask.data, ask.limit or COUNT, ask.seed):
            yield Example(item.name, "mix", item.mix.mean(axis=0), RATE)
            for name, way in ways.items():
                for stem, sound in zip(STEMS, way(item), strict=True):
                    yield Example(item.name, f"{name}, {stem}", sound.mean(axis=0), RATE)


def figures(system: str, item: StemMix, made: F32) -> Iterator[MetricValue]:
    """The gain of each stem that is there, and what is left in those that are not."""
    mix = item.mix
    for name, wanted, sound in zip(STEMS, item.stems, made, strict=True):
        if float(np.sqrt(np.mean(wanted**2))) > _QUIET:
            gain = si_sdr(sound.ravel(), wanted.ravel()) - si_sdr(mix.ravel(), wanted.ravel())
            yield MetricValue(system, name, item.name, gain)
        else:
            below = 10.0 * np.log10((np.mean(mix**2) + 1e-12) / (np.mean(sound**2) + 1e-12))
            yield MetricValue(system, "absent", f"{item.name}, {name}", float(below))


def systems(work: Path) -> dict[str, Callable[[StemMix], F32]]:
    """Everything that is measured, from a mix to its stems `[4, channels, frames]`."""
    return {
        "hpss": lambda item: by_command(item.mix, work, "hpss"),
        "files": lambda item: by_command(item.mix, work),
        "live": lambda item: by_node(item.mix),
        "ideal mask": ideal,
    }


def by_command(mix: F32, work: Path, mode: str = "learned") -> F32:
    """What `antiphon run stems` writes."""
    work.mkdir(parents=True, exist_ok=True)
    source, folder = work / "stems-mix.wav", work / "stems"
    soundfile.write(source, mix.T, RATE, "FLOAT")
    command("run", "stems", source, "--out-dir", folder, "--force", "-p", f"mode={mode}")
    return np.stack([soundfile.read(folder / f"{name}.wav", dtype="float32", always_2d=True)[0].T for name in STEMS])


def by_node(mix: F32, **settings: str) -> F32:
    """What the node plays, its latency taken out."""
    from antiphon_stems.processor import Stems

    node = Stems()
    padded = np.pad(mix, ((0, 0), (0, 4096)))
    made = render(node, StreamSpec(RATE, 256, len(mix)), padded, settings)
    return np.stack(made.audio[:4])[:, :, node.latency : node.latency + mix.shape[1]]


def ideal(item: StemMix) -> F32:
    """Each stem by its share of the magnitudes, which are known."""
    from scipy.signal import istft, stft

    spectra = [stft(stem, nperseg=SIZE, noverlap=SIZE - HOP)[2] for stem in item.stems]
    whole = np.sum([np.abs(s) for s in spectra], axis=0) + 1e-9
    mix = np.sum(spectra, axis=0)
    made = [istft(mix * np.abs(s) / whole, nperseg=SIZE, noverlap=SIZE - HOP)[1] for s in spectra]
    return np.stack(made)[:, :, : item.mix.shape[1]].astype(np.float32)
