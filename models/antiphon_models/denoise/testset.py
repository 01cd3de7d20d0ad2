"""The test set of the denoiser: sounds, voices, songs and noises outside every training set, chosen by seed.

It is rendered once into a folder (songs by FluidSynth, voices by espeak-ng), then read from it.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from antiphon.api import F32, UsageError
from antiphon.api.backends.files import read_sound
from antiphon_models.denoise.training import sounds
from antiphon_models.material.fluidsynth import note_off, note_on
from antiphon_models.material.sounds import cached_sound, mono

RATE = sounds.RATE
SECONDS = 5
SNRS = (0, 10, 20)
FRAMES = SECONDS * RATE
MIN_NOISE_HZ = 20.0
"""Lower corner in Hz of coloured noise."""
DATA = ("esc10", "tracks", "sonicpi", "pop909")
KINDS = ("music", "speech", "song", "solo", "loop", "cymbal")
PROGRAMS = {"trumpet": 56, "distorted": 30, "strings": 48, "piano": 0, "flute": 73, "bass": 33}


@dataclass(frozen=True, slots=True)
class TestMixture:
    """A clean sound and a noise `[frames]`, to be added, `snr` dB apart."""

    name: str
    kind: str
    snr: int
    clean: F32
    noise: F32

    @property
    def mixture(self) -> F32:
        return self.clean + self.noise


def clean_sounds(data: Path, work: Path, seed: int, say: Callable[[str], None]) -> dict[str, dict[str, F32]]:
    """Clean sounds by kind and name, each five seconds long with peak 0.5."""
    kinds: dict[str, dict[str, F32]] = {kind: {} for kind in KINDS}
    for path, first, last in sounds.tracks(data, "test"):
        whole = sounds.read(path)
        part = whole[int(first * len(whole)) : int(last * len(whole))]
        if len(part) < 2 * RATE:
            continue
        kind = "speech" if path.stem.startswith("speech") else "music"
        for n in range(min(4, max(1, len(part) // FRAMES))):
            kinds[kind][f"{path.stem}-{n}"] = part[n * FRAMES : (n + 1) * FRAMES]
    for path in sounds.loops(data, "test"):
        kinds["loop"][path.stem] = sounds.read(path)
    for path in sounds.shots(data, "test"):
        kinds["cymbal"][path.stem] = sounds.read(path)
    made: list[tuple[str, str, Callable[[random.Random], F32]]] = []
    made += [("speech", f"voice-{n}", partial(sounds.voice, "test", SECONDS)) for n in range(12)]
    other = sounds.TEST_FONTS["timgm"]
    for name, font in sounds.TEST_FONTS.items():
        made += [("song", f"{name}-{n}", partial(sounds.song, data, "test", font, SECONDS)) for n in range(8)]
    for name, number in PROGRAMS.items():
        made.append(("solo", f"timgm-{name}", partial(sounds.solo, data, "test", other, SECONDS, program=number)))
    made.append(("cymbal", "timgm-kit", partial(sounds.kit, other, SECONDS)))
    say("making what is measured" if not (work / f"{seed}-song-timgm-0.flac").exists() else "reading what is measured")
    for kind, name, maker in made:
        kinds[kind][name] = _cached(work / f"{seed}-{kind}-{name}.flac", maker, f"{seed}-{name}")
    return {kind: {name: _loop_and_normalise(sound) for name, sound in own.items()} for kind, own in kinds.items()}


def synthetic_sounds(work: Path, seed: int, say: Callable[[str], None]) -> dict[str, dict[str, F32]]:
    """Clean sounds made without data, by kind and name: the test's voices, and notes by seed on its soundfont."""
    font = sounds.TEST_FONTS["timgm"]
    made: list[tuple[str, str, Callable[[random.Random], F32]]] = []
    made += [("speech", f"voice-{n}", partial(sounds.voice, "test", SECONDS)) for n in range(12)]
    for name, number in PROGRAMS.items():
        made.append(("solo", f"notes-{name}", partial(_notes, font, number, 0.3)))
    made += [("music", f"drone-{n}", partial(_notes, font, 48 + n, SECONDS)) for n in range(4)]
    made += [
        (kind, f"{kind}-kit-{n}", partial(sounds.kit, font, SECONDS)) for kind in ("loop", "cymbal") for n in (0, 1)
    ]
    kinds: dict[str, dict[str, F32]] = {kind: {} for kind in KINDS}
    say("making or reading what is measured")
    for kind, name, maker in made:
        kinds[kind][name] = _loop_and_normalise(
            _cached(work / f"{seed}-synthetic-{name}.flac", maker, f"{seed}-{name}")
        )
    kinds["song"] = kinds["music"] | kinds["solo"]
    return kinds


def _notes(font: Path, program: int, seconds: float, rnd: random.Random) -> F32:
    """Chords of three scale tones, each `seconds` long, on one instrument."""
    scale, root, notes = (0, 2, 4, 5, 7, 9, 11), rnd.randint(40, 60), []
    at = 0.0
    while at < SECONDS:
        lowest = rnd.randint(0, 9)
        for step in (0, 2, 4)[: rnd.choice([1, 3])]:
            key = root + 12 * ((lowest + step) // 7) + scale[(lowest + step) % 7]
            notes += [(at, note_on(0, key, rnd.randint(60, 110))), (at + 0.95 * seconds, note_off(0, key))]
        at += seconds
    return sounds.render(notes, {0: program}, font, SECONDS, rnd)


def _cached(path: Path, maker: Callable[[random.Random], F32], seed: str) -> F32:
    def make() -> F32:
        for again in range(8):
            sound = maker(random.Random(f"{seed}-{again}"))
            if float(np.sqrt(np.mean(sound**2))) > 1e-3:
                break
        return np.asarray(0.5 * sound / np.abs(sound).max())

    return mono(cached_sound(path, RATE, make, subtype="PCM_24"), RATE)


def _loop_and_normalise(sound: F32) -> F32:
    sound = np.tile(sound, -(-FRAMES // len(sound)))[:FRAMES]
    return np.asarray(sound * (0.5 / np.abs(sound).max()), np.float32)


def excerpt(path: Path) -> F32:
    """Five seconds from the middle of a file, peak 0.5."""
    whole = read_sound(path, rate=RATE).samples.mean(axis=0)
    if float(np.abs(whole).max(initial=0.0)) < 1e-4:
        raise UsageError(f"{path} is silent; give a file with clean sound in it")
    at = max(0, (len(whole) - FRAMES) // 2)
    return _loop_and_normalise(whole[at : at + FRAMES])


def noises(data: Path) -> list[tuple[str, F32]]:
    """Fold 4 of ESC-10, cycling through the classes, so that any limit keeps them balanced."""
    classes: dict[str, list[Path]] = {}
    for path in sounds.clips(data, "test"):
        classes.setdefault(path.parent.name, []).append(path)
    if not classes:
        raise UsageError(f"{data / 'esc10'} holds no clips of fold 4: CLASS/4-*.ogg")
    most = max(map(len, classes.values()))
    return [(name, sounds.read(paths[n])) for n in range(most) for name, paths in classes.items() if n < len(paths)]


def synthetic_noises(seed: int) -> list[tuple[str, F32]]:
    """Noises for the user's own files where ESC-10 is missing: two steady noises of each of three colours."""
    rng = np.random.default_rng((seed, 1))
    hertz = np.fft.rfftfreq(FRAMES, 1.0 / RATE)
    made = []
    for name, slope in (("white", 0.0), ("pink", 0.5), ("brown", 1.0)) * 2:
        spectrum = np.fft.rfft(rng.standard_normal(FRAMES)) * np.maximum(hertz, MIN_NOISE_HZ) ** -slope
        noise = np.fft.irfft(spectrum, FRAMES)
        made.append((name, np.asarray(0.1 * noise / noise.std(), np.float32)))
    return made


def scale_noise_to_snr(clean: F32, noise: F32, snr: float) -> F32:
    """Noise from 0.5 s on, looped and scaled to lie `snr` dB below the clean sound over its length."""
    skip = RATE // 2
    own = np.tile(noise, -(-(len(clean) + skip) // len(noise)))[skip : len(clean) + skip]
    scale = np.sqrt(np.mean(clean**2) / (np.mean(own**2) + 1e-20) / 10 ** (snr / 10))
    return np.asarray(own * scale, np.float32)


def mixtures(kinds: dict[str, dict[str, F32]], clips: list[tuple[str, F32]], seed: int) -> Iterator[TestMixture]:
    """Yields every clip over one sound at every SNR of `SNRS`, cycling through the kinds."""
    rng = np.random.default_rng(seed)
    turn = ("music", "speech", "song", "loop", "solo")
    for n, (noise_name, noise) in enumerate(clips):
        kind = turn[(n + n // 10) % len(turn)]
        names = sorted(kinds[kind])
        name = names[int(rng.integers(len(names)))]
        clean = kinds[kind][name]
        for snr in SNRS:
            own = scale_noise_to_snr(clean, noise, snr)
            yield TestMixture(f"{noise_name} {n} on {name} {snr} dB", kind, snr, clean, own)


def mixtures_without_noise(kinds: dict[str, dict[str, F32]], limit: int | None) -> Iterator[TestMixture]:
    """Yields sounds without noise."""
    nothing, own = np.zeros(FRAMES, np.float32), {}
    for kind, sounds_of in kinds.items():
        own.update({name: (kind, sound) for name, sound in sounds_of.items()})
    for name, (kind, sound) in list(own.items())[:limit]:
        yield TestMixture(f"{name} clean", kind, 99, sound, nothing)


def pauses(
    kinds: dict[str, dict[str, F32]], clips: list[tuple[str, F32]], seed: int, limit: int | None
) -> Iterator[tuple[TestMixture, list[slice]]]:
    """Yields two phrases with pauses after them, in steady or white noise 20 dB lower, and the slices of the pauses."""
    rng = np.random.default_rng(seed)
    steady = [clip for clip in clips if clip[0] in ("rain", "sea_waves", "helicopter", "chainsaw")][:6]
    steady += [("white", rng.standard_normal(FRAMES).astype(np.float32))] * 2
    voices = sorted(name for name in kinds["speech"] if name.startswith("voice"))
    edge = np.linspace(1, 0, RATE // 100, dtype=np.float32)
    for n, (noise_name, noise) in enumerate(steady[:limit]):
        name = voices[int(rng.integers(len(voices)))]
        clean = kinds["speech"][name].copy()
        gaps = [slice(int(1.5 * RATE), int(2.5 * RATE)), slice(4 * RATE, 5 * RATE)]
        for gap in gaps:
            clean[gap] = 0.0
            clean[gap.start - len(edge) : gap.start] *= edge
        own = scale_noise_to_snr(clean, noise, 20)
        yield TestMixture(f"pauses {n} {noise_name} on {name}", "speech", 20, clean, own), gaps
