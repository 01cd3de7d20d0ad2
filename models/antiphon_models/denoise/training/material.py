"""Training sounds, made once into a folder of small files, and loaded from it.

Files are mono Ogg Vorbis at 48 kHz, `PART-KIND-NNN.ogg`. Making them needs FluidSynth and espeak-ng.
"""

import json
import os
import random
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import soundfile

from antiphon.api import F32
from antiphon.api.backends.files import write_atomic
from antiphon_models.denoise.training import sounds
from antiphon_models.denoise.training.sounds import RATE
from antiphon_models.material.sounds import save_ogg

# ---- Random studio effects: echo, chorus, ring, crush, gate, reverse, grains, reverb
# Mono float32 at `RATE` in and out, of the same length. None of it makes noise of its own.


def apply_effects(sound: F32, rnd: random.Random) -> F32:
    """Applies one to three random effects in series."""
    for effect in rnd.sample(EFFECTS, rnd.choice([1, 1, 2, 3])):
        sound = effect(sound / (float(np.abs(sound).max(initial=0.0)) + 1e-6), rnd)
    return sound.astype(np.float32)


def _echo(sound: F32, rnd: random.Random) -> F32:
    delay, keep = int(rnd.uniform(0.05, 0.6) * RATE), rnd.uniform(0.2, 0.7)
    out = sound.astype(np.float64)
    for at in range(delay, len(out), delay):
        size = min(delay, len(out) - at)
        out[at : at + size] += keep * out[at - delay : at - delay + size]
    return out.astype(np.float32)


def _chorus(sound: F32, rnd: random.Random) -> F32:
    t = np.arange(len(sound))
    out = sound.astype(np.float64)
    deep, rate = rnd.uniform(0.0005, 0.006) * RATE, rnd.uniform(0.1, 3.0)
    for _ in range(rnd.choice([1, 2, 3])):
        wave = 1.0 + np.sin(2 * np.pi * rate * t / RATE + rnd.uniform(0, 6))
        out = out + rnd.choice([0.7, -0.7]) * np.interp(t - deep * wave, t, sound, left=0.0)
    return out.astype(np.float32)


def _ring(sound: F32, rnd: random.Random) -> F32:
    hertz, depth = float(np.exp(rnd.uniform(np.log(20), np.log(2000)))), rnd.uniform(0.5, 1.0)
    wave = np.sin(2 * np.pi * hertz * np.arange(len(sound)) / RATE)
    return (sound * (1.0 - depth + depth * wave)).astype(np.float32)


def _reduce_rate_and_overdrive(sound: F32, rnd: random.Random) -> F32:
    hold = rnd.choice([1, 2, 3, 6])
    held = np.repeat(sound[::hold], hold)[: len(sound)]
    return np.asarray(np.tanh(held * rnd.uniform(1.0, 12.0)), np.float32)


def _gated(sound: F32, rnd: random.Random) -> F32:
    """Gates the sound by a step pattern."""
    step, pattern = int(rnd.uniform(0.06, 0.2) * RATE), [rnd.random() < 0.6 for _ in range(8)]
    level = np.repeat(np.resize(np.array(pattern, np.float32), len(sound) // step + 2), step)
    smooth = np.convolve(level, np.ones(240, np.float32) / 240, "same")[: len(sound)]
    return np.asarray(sound * smooth, np.float32)


def _backwards(sound: F32, rnd: random.Random) -> F32:
    return sound[::-1].copy()


def _grains(sound: F32, rnd: random.Random) -> F32:
    """Granulates the sound; some grains are reversed or resampled."""
    size = int(rnd.uniform(0.03, 0.3) * RATE)
    window = np.hanning(size).astype(np.float32)
    out, spread = np.zeros(len(sound) + size, np.float32), rnd.uniform(0.02, 1.0) * RATE
    speed, back = rnd.choice([0.5, 1.0, 1.0, 1.5, 2.0]), rnd.random() * 0.5
    for at in range(0, len(sound), max(1, size // rnd.choice([2, 3, 4]))):
        place = int(min(max(0.0, at + rnd.gauss(0, spread)), max(0, len(sound) - 2 * size)))
        piece = sound[place : place + 2 * size]
        taken = np.interp(np.arange(size) * speed, np.arange(len(piece)), piece, right=0.0)
        grain = taken[::-1] if rnd.random() < back else taken
        out[at : at + size] += window * grain
    return out[: len(sound)]


def _room(sound: F32, rnd: random.Random) -> F32:
    count = int(rnd.uniform(0.3, 3.0) * RATE)
    noise = np.random.default_rng(rnd.getrandbits(32)).standard_normal(count)
    tail = noise * np.exp(-6.9 * np.arange(count) / count)
    size = 1 << (len(sound) + count).bit_length()
    wet = np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(tail / np.sqrt(np.sum(tail**2)), size), size)
    return (sound + rnd.uniform(0.2, 2.0) * wet[: len(sound)]).astype(np.float32)


EFFECTS: tuple[Callable[[F32, random.Random], F32], ...] = (
    _echo,
    _chorus,
    _ring,
    _reduce_rate_and_overdrive,
    _gated,
    _backwards,
    _grains,
    _room,
)


VERSION = 2
SONG, SHORT = 10.0, 6.0
SILENT, TRIES = 1e-4, 8
COUNTS: dict[str, dict[sounds.Part, int]] = {
    "song": {"train": 400, "valid": 8},
    "solo": {"train": 500, "valid": 10},
    "chorale": {"train": 80, "valid": 3},
    "kit": {"train": 80, "valid": 3},
    "voice": {"train": 300, "valid": 8},
    "patch": {"train": 500, "valid": 8},
    "mangled": {"train": 300, "valid": 8},
}
KINDS = (*COUNTS, "loop", "shot", "track", "noise")
_NOISE_LEVEL, _CLEAN_LEVEL = 0.75, 0.65
Make = Callable[[random.Random], F32]


def pieces(data: Path) -> Iterator[tuple[str, Make]]:
    """Yields the name and the maker of every file."""
    for part in ("train", "valid"):
        makers: dict[str, Make] = {
            "song": partial(sounds.song, data, part, sounds.TRAIN_FONT, SONG),
            "solo": partial(sounds.solo, data, part, sounds.TRAIN_FONT, SHORT),
            "chorale": partial(sounds.chorale, data, part, sounds.TRAIN_FONT, SONG),
            "kit": partial(sounds.kit, sounds.TRAIN_FONT, SHORT),
            "voice": partial(sounds.voice, part, SONG),
            "patch": partial(sounds.patch, data, part, SHORT),
        }
        makers["mangled"] = partial(
            _with_random_effects, [*makers.values(), partial(_loop, data, part), partial(_loop, data, part)]
        )
        for kind, maker in makers.items():
            for n in range(COUNTS[kind][part]):
                yield f"{part}-{kind}-{n:03d}", maker
        files = {"noise": sounds.clips(data, part), "loop": sounds.loops(data, part), "shot": sounds.shots(data, part)}
        for kind, paths in files.items():
            for n, path in enumerate(paths):
                yield f"{part}-{kind}-{n:03d}", partial(_file, path)
        n = 0
        for path, first, last in sounds.tracks(data, part):
            for piece in range(64):
                if (sound := _piece(path, first, last, piece)) is None:
                    break
                yield f"{part}-track-{n:03d}", partial(_given, sound)
                n += 1


def _with_random_effects(makers: list[Make], rnd: random.Random) -> F32:
    """Applies effects to a random other sound, or a loop."""
    return apply_effects(rnd.choice(makers)(rnd), rnd)


def _loop(data: Path, part: sounds.Part, rnd: random.Random) -> F32:
    return _file(rnd.choice(sounds.loops(data, part)), rnd)


def _given(sound: F32, rnd: random.Random) -> F32:
    return sound


def _file(path: Path, rnd: random.Random) -> F32:
    return sounds.read(path)[: int(10 * sounds.RATE)]


def _piece(path: Path, first: float, last: float, number: int) -> F32 | None:
    """Ten seconds of the range `first` to `last` of a recording; None beyond its end."""
    whole = sounds.read(path)
    stretch = whole[int(first * len(whole)) : int(last * len(whole))]
    size = int(10 * sounds.RATE)
    piece = stretch[number * size : (number + 1) * size]
    return piece if len(piece) > sounds.RATE // 2 else None


def make(data: Path, folder: Path, seed: int, say: Callable[[str], None], few: Mapping[str, int] | None = None) -> None:
    """Makes missing material. few: number of training sounds of the kinds named in it."""
    done = folder / "material.json"
    mark = {"version": VERSION, "seed": seed}
    if done.is_file() and {k: v for k, v in json.loads(done.read_text()).items() if k in mark} == mark:
        return
    folder.mkdir(parents=True, exist_ok=True)
    begun = folder / "begun.json"
    if not (begun.is_file() and json.loads(begun.read_text()) == mark):
        # sounds of another version or seed have the same names
        for old in folder.glob("*.ogg"):
            old.unlink()
        write_atomic(begun, json.dumps(mark).encode())
    todo = list(pieces(data))
    if few is not None:
        todo = [(name, maker) for name, maker in todo if _among(few, *name.split("-"))]
    say(f"making {len(todo)} sounds in {folder}")
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for n, _ in enumerate(pool.map(lambda pair: _make(folder, seed, *pair), todo)):
            if n % 50 == 49:
                say(f"{n + 1} of {len(todo)} sounds")
    if few is None:
        write_atomic(done, json.dumps({**mark, "files": [name for name, _ in todo]}).encode())


def _among(few: Mapping[str, int], part: str, kind: str, number: str) -> bool:
    return part == "train" and int(number) < few.get(kind, 0)


def _make(folder: Path, seed: int, name: str, maker: Make) -> None:
    path = folder / f"{name}.ogg"
    if path.is_file():
        return
    sound = np.zeros(0, np.float32)
    for again in range(TRIES):
        sound = maker(random.Random(f"{seed}-{name}-{again}"))
        if float(np.sqrt(np.mean(sound**2))) > SILENT:
            break
    peak = float(np.abs(sound).max(initial=0.0))
    sound = sound * np.float32(0.7 / max(peak, 1e-3))
    save_ogg(path, sound, sounds.RATE, _NOISE_LEVEL if "-noise-" in name else _CLEAN_LEVEL)


def load(folder: Path, part: sounds.Part) -> dict[str, list[F32]]:
    """The part's sounds by kind, in the order of their names."""
    paths = sorted(folder.glob(f"{part}-*.ogg"))
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        read = list(pool.map(lambda path: soundfile.read(path, dtype="float32")[0], paths))
    kinds: dict[str, list[F32]] = {kind: [] for kind in KINDS}
    for path, sound in zip(paths, read, strict=True):
        kinds[path.stem.split("-")[1]].append(np.asarray(sound, np.float32))
    return kinds
