"""`antiphon evaluate stems`: measures the improvement of each stem over the mix."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import soundfile
import soxr

from antiphon.api import F32, AntiphonError, StreamSpec, UsageError
from antiphon.api.backends.files import read_sound
from antiphon.testing import render
from antiphon_models.denoise.evaluation import si_sdr
from antiphon_models.learning.evaluation import Evaluation, EvaluationRequest, Example, MetricValue
from antiphon_models.learning.user_commands import command
from antiphon_models.stems import material
from antiphon_models.stems.material import RATE
from antiphon_stems.grids import STEMS

# ---- Test mixes outside training and validation: other songs, another soundfont, other loops, real singers
# Or songs of anybody's, a folder each.

FILES = (
    "folders of songs, each a folder with drums, bass, voice (or vocals), other, mix (or mixture), .wav, .flac, .ogg"
)
SOUNDS = (".wav", ".flac", ".ogg")
WIDTHS = (0.3, 0.15, 0.3, 0.9)


@dataclass(frozen=True, slots=True)
class StemMix:
    """A mix at `material.RATE`. `stems`: `[4, channels, frames]`; absent ones are 0, unknown ones NaN.

    `whole`: the mix, if it differs from the sum of the stems.
    """

    name: str
    stems: F32
    whole: F32 | None = None

    @property
    def mix(self) -> F32:
        """`[channels, frames]`."""
        return np.asarray(self.stems.sum(axis=0), np.float32) if self.whole is None else self.whole


def mixes(data: Path, count: int, seed: int) -> Iterator[StemMix]:
    """Mixes of ten seconds: stem levels vary by some dB, every seventh stem is absent, a third of the mixes is mono."""
    for n in range(count):
        rnd = random.Random(f"stems-{seed}-{n}")
        scene = material.scene(data, "test", rnd, partial(material.singer, data, "test"))
        channels = 1 if n % 3 == 2 else 2
        stems = np.zeros((4, channels, material.FRAMES), np.float32)
        for k, sound in enumerate(scene):
            power = float(np.mean(sound**2))
            if power < 1e-7 or (n + 3 * k) % 7 == 0:
                continue
            level = 0.1 / np.sqrt(power) * 10 ** (rnd.gauss(0.0, 4.0) / 20)
            place = rnd.uniform(-1.0, 1.0) * WIDTHS[k] * (channels > 1)
            gains = np.array([np.cos((place + 1) * np.pi / 4), np.sin((place + 1) * np.pi / 4)]) * np.sqrt(2.0)
            stems[k] = gains[:channels, None] * level * sound if channels > 1 else level * sound
        stems *= np.float32(0.7 / max(0.7, float(np.abs(stems.sum(axis=0)).max())))
        yield StemMix(str(n + 1), stems)


def own_songs(folders: Sequence[Path], say: Callable[[str], None] = print) -> Iterator[StemMix]:
    """Reads songs from folders or their subfolders. A missing mix is the sum of the stems; missing stems are 0.

    `say`: receives a line about each unreadable song, which is left out. Raises UsageError: a folder holds no stems.
    """
    for folder in folders:
        places = (folder, *sorted(folder.iterdir())) if folder.is_dir() else ()
        songs = [place for place in places if place.is_dir() and _named(place, STEMS)]
        if not songs:
            raise UsageError(f"{folder} holds no stems; stems is evaluated on {FILES}")
        for song in songs:
            try:
                found = {name: _read(path) for name, path in _named(song, (*STEMS, "mix")).items()}
            except AntiphonError as error:
                say(f"{song.name} is left out: {error}")
                continue
            shape = max(len(x) for x in found.values()), max(x.shape[1] for x in found.values())
            found = {name: np.pad(x * np.ones((shape[0], 1), np.float32), ((0, 0), (0, shape[1] - x.shape[1])))
                     for name, x in found.items()}  # fmt: skip
            missing = np.full(shape, np.nan if "mix" in found else 0.0, np.float32)
            yield StemMix(song.name, np.stack([found.get(name, missing) for name in STEMS]), found.get("mix"))


def _named(folder: Path, names: Sequence[str]) -> dict[str, Path]:
    """Sounds of a folder by stem."""
    other = {"vocals": "voice", "mixture": "mix"}
    paths = (path for path in sorted(folder.iterdir()) if path.suffix.lower() in SOUNDS)
    named = {other.get(path.stem, path.stem): path for path in paths}
    return {name: named[name] for name in names if name in named}


def _read(path: Path) -> F32:
    """Reads a sound's first two channels at `material.RATE`, `[channels, frames]`."""
    sound = read_sound(path)
    return np.asarray(soxr.resample(sound.samples[:2].T, sound.rate, material.RATE).T, np.float32)


COUNT = 30
LOW = 180.0
"""Cutoff of the low-pass in Hz."""
SIZE, HOP = 1024, 256
"""Frame and hop of the oracle's spectra: 23 ms."""
_QUIET = 1e-5
"""RMS below which a stem is absent."""


class StemsEvaluation(Evaluation):
    """Measures mixes of ten seconds with known stems."""

    trivial = "low-pass"
    classical = "hpss"
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
        ways = ask.select(systems(ask.work))
        for item in _items(ask):
            for name, way in ways.items():
                began = time.perf_counter()
                made = way(item)
                taken = (time.perf_counter() - began) * RATE / item.mix.shape[1]
                yield from figures(name, item, made)
                if name != "ideal mask":
                    yield MetricValue(name, "real time", item.name, taken)

    def examples(self, ask: EvaluationRequest) -> Iterator[Example]:
        ways = ask.select(systems(ask.work))
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
    return {
        "low-pass": lambda item: low_pass(item.mix),
        "hpss": lambda item: by_command(item.mix, work, "mode=hpss"),
        "files": lambda item: by_command(item.mix, work),
        "files, by=own": lambda item: by_command(item.mix, work, "by=own"),
        "live": lambda item: separate_by_node(item.mix),
        "ideal mask": separate_by_known_stems,
    }


def low_pass(mix: F32) -> F32:
    """Baseline: a low-pass at 180 Hz as bass, and the rest as `other`."""
    from scipy.signal import butter, sosfiltfilt

    bass = sosfiltfilt(butter(4, LOW, fs=RATE, output="sos"), mix, axis=-1).astype(np.float32)
    none = np.full_like(mix, np.nan)
    return np.stack([none, bass, none, mix - bass])


def by_command(mix: F32, work: Path, setting: str = "mode=learned") -> F32:
    """Runs `antiphon run stems`."""
    work.mkdir(parents=True, exist_ok=True)
    source, folder = work / "stems-mix.wav", work / "stems"
    soundfile.write(source, mix.T, RATE, "FLOAT")
    command("run", "stems", source, "--out-dir", folder, "--force", "-p", setting)
    return np.stack([soundfile.read(folder / f"{name}.wav", dtype="float32", always_2d=True)[0].T for name in STEMS])


def separate_by_node(mix: F32, **settings: str) -> F32:
    """Runs the node, with its latency compensated."""
    from antiphon_stems.processor import Stems

    node = Stems()
    padded = np.pad(mix, ((0, 0), (0, 4096)))
    made = render(node, StreamSpec(RATE, 256, len(mix)), padded, settings)
    return np.stack(made.audio[:4])[:, :, node.latency : node.latency + mix.shape[1]]


def separate_by_known_stems(item: StemMix) -> F32:
    """Separates stems by their shares of the known magnitudes; NaN for unknown stems."""
    from scipy.signal import istft, stft

    spectra = [stft(stem, nperseg=SIZE, noverlap=SIZE - HOP)[2] for stem in item.stems]
    whole = np.sum([np.abs(s) for s in spectra], axis=0) + 1e-9
    mix = stft(item.mix, nperseg=SIZE, noverlap=SIZE - HOP)[2]
    made = [istft(mix * np.abs(s) / whole, nperseg=SIZE, noverlap=SIZE - HOP)[1] for s in spectra]
    return np.stack(made)[:, :, : item.mix.shape[1]].astype(np.float32)
