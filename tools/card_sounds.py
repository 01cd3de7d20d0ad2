"""Renders what the cards of mosaic, transfer and latent let one hear and see: A, B, the result, and their spectrograms.

python tools/card_sounds.py     writes docs/sound/timbres

A and B are sets and sounds of this project alone. Each result is by the command that the card names.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from antiphon.api.files import read_sound
from antiphon.kernel.io.png import png_bytes
from antiphon.kernel.runtime.paths import write_atomic

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "sound" / "timbres"
SECONDS = 6.0
HIGHEST, LOWEST_DB = 10000.0, -80.0
"""Hz at a picture's top, and dB below its loudest point that are black."""
WINDOW, WIDTH, HEIGHT = 2048, 300, 160
"""Samples, and pixels of a spectrogram."""
SETS = {
    "voice": ["render", "through", "--in", "server/antiphon/demo/voice.ogg", "--tail", "0"],
    "trio": ["render", "patches/live/trio.py", "--bars", "6"],
    "bells": ["render", "patches/live/bells.py", "--bars", "6"],
    "dub": ["render", "patches/live/dub.py", "--bars", "6"],
}
RESULTS = {
    "mosaic": ("voice", "bells", ["run", "mosaic", "-p", "reference=bells.wav"]),
    "cello": ("voice", "", ["run", "transfer", "-p", "mode=instrument", "-p", "instrument=cello"]),
    "third": ("trio", "dub", ["run", "third", "-p", "reference=dub.wav"]),
}
LATENT = {"latent": ["-p", "z1=0"], "latent-z1": ["-p", "z1=2"]}


def antiphon(folder: Path, *words: str) -> None:
    """Runs a command in a folder."""
    subprocess.run([sys.executable, "-m", "antiphon", *words], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def spectrogram(mono: NDArray[np.float32], rate: int) -> NDArray[np.uint8]:
    """A picture `[HEIGHT, WIDTH, 3]`: time to the right, 0 to `HIGHEST` Hz upwards, level as brightness."""
    starts = np.linspace(0, max(0, len(mono) - WINDOW), WIDTH).astype(int)
    frames = np.stack([mono[n : n + WINDOW] for n in starts]) * np.hanning(WINDOW)
    level = 20 * np.log10(np.abs(np.fft.rfft(frames)) + 1e-9).T
    rows = np.linspace(HIGHEST / rate * WINDOW, 1, HEIGHT).astype(int)
    shade = np.clip((level[rows] - level.max()) / -LOWEST_DB + 1, 0, 1)
    # 16 shades are enough for the eye and halve the file
    shade = np.round(shade * 15) / 15
    return np.round(255 * np.stack([shade**1.5, shade**0.8 * shade, shade**0.6 * shade**0.5], axis=2)).astype(np.uint8)


def main() -> None:
    """Writes every sound, and a picture for each result."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    shown: dict[str, NDArray[np.uint8]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def keep(sound: str) -> None:
            heard = read_sound(folder / f"{sound}.wav")
            samples = heard.samples[:, : round(SECONDS * heard.rate)].mean(axis=0)
            samples *= 0.7 / max(float(np.abs(samples).max()), 1e-6)
            shown[sound] = spectrogram(samples, heard.rate)
            soundfile.write(FOLDER / f"{sound}.ogg", samples, heard.rate, format="OGG", subtype="VORBIS")

        for sound, words in SETS.items():
            antiphon(ROOT, *words, "--out", str(folder / f"{sound}.wav"))
            keep(sound)
        for sound, (a, _, (run, plugin, *rest)) in RESULTS.items():
            antiphon(folder, run, plugin, f"{a}.wav", f"{sound}.wav", *rest)
            keep(sound)
        antiphon(folder, "run", "generate", "tune.mid", "-p", "bars=4", "-p", "seed=1", "-p", "parts=piano")
        for sound, rest in LATENT.items():
            antiphon(folder, "run", "latent", "tune.mid", f"{sound}.wav", *rest)
            keep(sound)
    gap = np.full((HEIGHT, 4, 3), 255, np.uint8)
    rows = {name: [a, b, name] for name, (a, b, _) in RESULTS.items()} | {"latent": list(LATENT)}
    for name, parts in rows.items():
        pictures = [picture for part in parts if part for picture in (shown[part], gap)][:-1]
        write_atomic(FOLDER / f"{name}.png", png_bytes(np.concatenate(pictures, axis=1)))


if __name__ == "__main__":
    main()
