"""The material of `bench soak`: sounds generated from a seed, and patches, written into a server's home."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.api import frequency

RATE = 48000
INPUT_SECONDS = 16
"""Seconds of the looped input."""
LOOP_BPM, LOOP_BEATS = 100, 8
LIBRARY, REFERENCE = "soak", "soak.wav"
_SCALE = (57, 60, 62, 64, 65, 67, 69)


def _patch(nodes: str, wires: str) -> str:
    """Text of a patch with the given nodes and the common ones `keys`, `voice` and `limiter`."""
    return f"""
{nodes}
[nodes.keys]
type = "synth"
[nodes.voice]
type = "gain"
[nodes.limiter]
[wires]
{wires}
"voice" = "limiter"
"keys" = "limiter"
"limiter" = "out"
"""


PATCHES: dict[str, str] = {
    "answer": "",
    "soak-learned": _patch(
        '[nodes.denoise]\nmode = "learned"\n[nodes.hum]\nmode = "learned"',
        '"in" = "denoise"\n"denoise" = ["hum", "voice"]\n"hum.notes" = "keys"',
    ),
    "soak-loops": _patch(
        f'[nodes.loops]\nlibrary = "{LIBRARY}"\nbars = 4\n[nodes.denoise]',
        '"in" = "denoise"\n"denoise" = "voice"\n"loops" = "limiter"',
    ),
    "soak-transfer": _patch(f'[nodes.transfer]\nreference = "{REFERENCE}"', '"in" = "transfer"\n"transfer" = "voice"'),
    "soak-duo": _patch(
        '[nodes.accompany]\n[nodes.band]\ntype = "synth"',
        '"in" = "voice"\n"accompany.notes" = "band"\n"band" = "limiter"',
    ),
}
"""The patches in turn. `answer` ships with Antiphon; all have the nodes `keys`, `voice` and `limiter`."""

Mono = NDArray[np.float64]


def write(home: Path, seed: int) -> Path:
    """Writes patches, loops and the reference into the home's data folder; returns the path of the input sound."""
    patches, library = home / "data" / "patches", home / "data" / "library"
    for folder in (patches, library / LIBRARY):
        folder.mkdir(parents=True, exist_ok=True)
    for name, text in PATCHES.items():
        if text:
            (patches / f"{name}.toml").write_text(f'format = 1\nname = "{name}"\ntempo = {LOOP_BPM}\n{text}')
    random = np.random.default_rng(seed)
    _store(home / "input.wav", melody(random, INPUT_SECONDS) + 0.003 * random.standard_normal(INPUT_SECONDS * RATE))
    _store(library / REFERENCE, melody(random, 4, partials=14))
    for name, sound in loops(random).items():
        _store(library / LIBRARY / f"{name}.wav", sound)
    return home / "input.wav"


def melody(random: np.random.Generator, seconds: int, partials: int = 6) -> Mono:
    """A monophonic melody of half-second notes with rests between them."""
    sound = np.zeros(seconds * RATE)
    t = np.arange(round(0.45 * RATE)) / RATE
    shape = np.minimum(1.0, np.minimum(t / 0.03, (t[-1] - t) / 0.08))
    for at in range(0, sound.size - t.size + 1, RATE // 2):
        if random.random() < 0.2:
            continue
        hertz = frequency(int(random.choice(_SCALE)))
        tone = sum(np.sin(2 * np.pi * k * hertz * t) / k for k in range(1, partials + 1))
        sound[at : at + t.size] += 0.12 * shape * tone
    return sound


def loops(random: np.random.Generator) -> dict[str, Mono]:
    """Drums, bass and chords of `LOOP_BEATS` beats at `LOOP_BPM`."""
    beat = RATE * 60 // LOOP_BPM
    drums, bass, chords = (np.zeros(LOOP_BEATS * beat) for _ in range(3))
    t = np.arange(beat) / RATE
    for n in range(LOOP_BEATS):
        here = slice(n * beat, (n + 1) * beat)
        drums[here] += 0.6 * np.sin(2 * np.pi * 60 * t) * np.exp(-t * 18) if n % 2 == 0 else 0.0
        drums[here] += 0.25 * random.standard_normal(beat) * np.exp(-t * (40 if n % 2 == 0 else 16))
        root = (45, 41, 48, 43)[n // 2 % 4]
        bass[here] += 0.3 * np.sin(2 * np.pi * frequency(root) * t) * np.exp(-t * 3)
        for step in (12, 16, 19):
            chords[here] += 0.1 * np.sin(2 * np.pi * frequency(root + step) * t) * np.exp(-t * 2)
    return {"drums": drums, "bass": bass, "chords": chords}


def _store(path: Path, sound: Mono) -> None:
    import soundfile

    soundfile.write(path, np.stack([sound, sound], 1).astype(np.float32), RATE, "PCM_16")
