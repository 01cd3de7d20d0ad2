"""Trains the gate's network on real noise over real and made sound; see the package's first lines.

The loss is the SI-SDR gain of a five-second mixture, with a loss of quality weighing ten times a gain; clean
sound must pass. Clean sound is changed far more than noise is (pitch, colour, direction, loudness): what the
network has never heard is then to be left alone.
"""

from __future__ import annotations

import argparse
import queue
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax  # type: ignore[import-not-found]
import jax.numpy as jnp  # type: ignore[import-not-found]
import numpy as np
import optax  # type: ignore[import-not-found]
from numpy.typing import NDArray

from antiphon_denoise.bands import BINS
from antiphon_denoise.network import load_weights, save_weights
from antiphon_denoise.spectrum import grid, windows
from antiphon_denoise.training.files import RATE, clean_sounds, noise_files, read
from antiphon_denoise.training.model import QUIET, SOME, gains, ratio, start

F32 = NDArray[np.float32]
GRID = grid(RATE)
FRAMES, BATCH, POOL = 300, 10, 32
LENGTH = FRAMES * GRID.hop + GRID.size
LEAD = RATE // 2
FIRST = -(-LEAD // GRID.hop)
WHOLE = (LEAD - GRID.size) // GRID.hop + 1
MADE = {"pop": 0.17, "jsb": 0.10, "spk": 0.23, "seq": 0.22, "sol": 0.20, "syn": 0.08}
REAL = {"music": 0.40, "speech": 0.15, "loop": 0.45}
_analysis = windows(GRID)[0]
WINDOW = (_analysis / np.sqrt(np.sum(_analysis**2))).astype(np.float32)


class Sounds:
    """Endless clean sounds, noises and mixtures of them."""

    def __init__(self, data: Path, corpus: Path, folds: str, held: set[str], seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.real = {
            kind: [sound for name, sound in sounds.items() if name not in held]
            for kind, sounds in clean_sounds(data).items()
        }
        self.made: dict[str, list[NDArray[np.int16]]] = {}
        for path in sorted(corpus.glob("*.npy")):
            self.made.setdefault(path.name[:3], []).append(np.load(path))
        self.noises = [[read(path) for path in paths] for paths in noise_files(data, folds).values()]
        self.clean_pool = [self.clean() for _ in range(POOL)]
        self.noise_pool = [self.noise() for _ in range(POOL)]

    def _one(self, many: Sequence[Any]) -> Any:
        return many[int(self.rng.integers(len(many)))]

    def _stretch(self, sound: F32, by: float) -> F32:
        count = int(len(sound) / by)
        return np.asarray(np.interp(np.arange(count) * by, np.arange(len(sound)), sound), np.float32)

    def _fill(self, sound: F32) -> F32:
        return np.tile(sound, -(-LENGTH // len(sound)))[:LENGTH]

    def _colour(self, sound: F32, decibels: float) -> F32:
        spectrum = np.fft.rfft(sound)
        place = (np.arange(len(spectrum)) / len(spectrum)) ** 0.4
        curve = np.interp(place, np.linspace(0, 1, 5), self.rng.uniform(-decibels, decibels, 5))
        return np.fft.irfft(spectrum * 10 ** (curve / 20), len(sound)).astype(np.float32)

    def _cut(self, sound: NDArray[np.generic], frames: int) -> F32:
        if len(sound) <= frames:
            sound = np.tile(sound, frames // len(sound) + 2)
        least = 0.1 * float(np.mean(sound[::7].astype(np.float32) ** 2))
        piece = np.zeros(frames, np.float32)
        for _ in range(6):
            at = int(self.rng.integers(0, len(sound) - frames))
            piece = sound[at : at + frames].astype(np.float32)
            if float(np.mean(piece**2)) > least:
                break
        return piece

    def _spectra(self, sound: F32) -> NDArray[np.complex64]:
        frames = np.lib.stride_tricks.sliding_window_view(sound, GRID.size)[:: GRID.hop][:FRAMES]
        return np.fft.rfft(frames * WINDOW, axis=1).astype(np.complex64)

    def clean(self) -> tuple[NDArray[np.complex64], bool]:
        """Spectra `[FRAMES, BINS]` of power 1, and whether the first half second is silent."""
        rng = self.rng
        source, shares = (self.real, REAL) if rng.random() < 0.47 else (self.made, MADE)
        kind = str(rng.choice(list(shares), p=list(shares.values())))
        sounds = source[kind] or self.made["spk"]
        sound = self._cut(self._one(sounds), int(LENGTH * 1.25))
        heavy = rng.random() < 0.45
        if heavy:
            sound = self._stretch(sound, 2 ** rng.uniform(-0.7, 0.6))
            if rng.random() < 0.25:
                sound = sound[::-1]
        elif rng.random() < 0.4:
            sound = self._stretch(sound, rng.uniform(0.88, 1.15))
        sound = self._fill(sound)
        if heavy:
            sound = sound / (sound.std() + 1e-6)
            if rng.random() < 0.6:
                sound = self._colour(sound, 15)
            if rng.random() < 0.2:
                sound = np.tanh(sound * rng.uniform(0.3, 3))
            if rng.random() < 0.15:
                beat = np.sin(2 * np.pi * rng.uniform(0.3, 8) * np.arange(LENGTH) / RATE)
                sound = sound * (1 + rng.uniform(0.3, 1) * beat).astype(np.float32)
        elif rng.random() < 0.3:
            sound = self._colour(sound, 6)
        sound = sound.copy()
        if rng.random() < 0.1:
            at = int(rng.integers(0, LENGTH))
            sound[at : at + int(rng.integers(RATE // 2, 3 * RATE))] = 0
        late = bool(rng.random() < 0.55)
        if late:
            sound[:LEAD] = 0
        return self._spectra(sound / np.sqrt(np.mean(sound**2) + 1e-9)), late

    def _hiss(self) -> F32:
        """White, coloured or band-limited noise, or a hum."""
        rng, kind = self.rng, int(self.rng.integers(4))
        spectrum = np.fft.rfft(rng.standard_normal(LENGTH))
        place = np.maximum(np.arange(len(spectrum)), 20.0)
        if kind:
            spectrum *= place ** -rng.uniform(0, 1)
        if kind == 2:
            low, high = np.sort(rng.uniform(50, 15000, 2)) * LENGTH / RATE
            spectrum *= 1 / (1 + (place / high) ** 4) / (1 + (low / place) ** 4)
        sound = np.fft.irfft(spectrum, LENGTH)
        if kind == 3:
            sound /= sound.std()
            phase = 2 * np.pi * rng.choice([50, 60]) * np.arange(LENGTH) / RATE
            for h in range(1, 12):
                sound += rng.uniform(0, 1) * np.sin(h * phase + rng.uniform(0, 6))
        return sound.astype(np.float32)

    def _clip(self) -> F32:
        return np.asarray(self._one(self._one(self.noises)), np.float32)

    def noise(self) -> NDArray[np.complex64]:
        """Spectra `[FRAMES, BINS]` of power 1."""
        rng = self.rng
        if rng.random() < 0.1:
            sound = self._hiss()
        else:
            sound = self._clip()
            if rng.random() < 0.5:
                sound = self._stretch(sound, rng.uniform(0.85, 1.2))
            if rng.random() < 0.7:
                sound = np.roll(sound, int(rng.integers(len(sound))))
            sound = self._fill(sound)
            if rng.random() < 0.35:
                sound = self._colour(sound, 6)
            if rng.random() < 0.12:
                other = self._fill(self._clip())
                sound = sound / (sound.std() + 1e-6) + other / (other.std() + 1e-6) * rng.uniform(0.2, 1)
        return self._spectra(sound / (np.sqrt(np.mean(sound**2)) + 1e-6))

    def item(self) -> tuple[np.ndarray, ...]:
        """clean, mixed, shared, noise profile, known, counted frames, SNR."""
        rng = self.rng
        (clean, late), noise = self._one(self.clean_pool), self._one(self.noise_pool)
        snr = rng.uniform(-2, 23) if rng.random() < 0.5 else rng.choice([0, 10, 20, 20]) + rng.uniform(-2, 2)
        if rng.random() < 0.16:
            snr = rng.uniform(45, 70)
        loud = np.float32(10 ** (rng.uniform(-45, -8) / 20))
        clean = clean * loud
        noise = noise * (loud * np.float32(10 ** (-snr / 20)))
        mixed = clean + noise
        profile, known, counted = np.zeros(BINS, np.float32), np.zeros(FRAMES, np.float32), np.ones(FRAMES, np.float32)
        if late and rng.random() < 0.75:
            known[FIRST:] = 1
            counted[:FIRST] = 0
            profile = np.log(np.mean(np.abs(noise[:WHOLE]) ** 2, axis=0) + QUIET).astype(np.float32)
        shared = (mixed * clean.conj()).real
        return np.abs(clean) ** 2, np.abs(mixed) ** 2, shared, profile, known, counted, np.array(snr, np.float32)

    def batch(self) -> list[np.ndarray]:
        for _ in range(2):
            self.clean_pool[int(self.rng.integers(POOL))] = self.clean()
            self.noise_pool[int(self.rng.integers(POOL))] = self.noise()
        return [np.stack(part) for part in zip(*(self.item() for _ in range(BATCH)), strict=True)]


def loss(w, clean, mixed, shared, profile, known, counted, snr):  # type: ignore[no-untyped-def]
    """The batch's loss; and each item's gain in dB."""
    gain = gains(w, mixed, profile, known)
    some = clean[..., SOME], mixed[..., SOME], shared[..., SOME], counted
    after = ratio(gain, *some)
    better = after - ratio(1.0, *some)
    pure = 0.3 * jnp.maximum(42 - after, 0) + jnp.maximum(34 - after, 0)
    noisy = -0.7 * jnp.minimum(better, 15) + 10 * jnp.maximum(0.25 - better, 0)
    return jnp.where(snr > 40, pure, noisy).mean(), better


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--from", dest="first", type=Path, help="weights to go on from")
    parser.add_argument("--folds", default="1234")
    parser.add_argument("--hold", default="", help="names of clean sounds to leave out, by commas")
    parser.add_argument("--seed", type=int, default=3)
    options = parser.parse_args()
    sounds = Sounds(options.data, options.corpus, options.folds, set(options.hold.split(",")), options.seed)
    w = start(jax.random.PRNGKey(options.seed))
    if options.first:
        given = load_weights(options.first)
        if given is None:
            raise SystemExit(f"{options.first} holds no weights of the denoiser's gate")
        w = {name: jnp.asarray(value) for name, value in given.items()}
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.scale_by_adam(b2=0.99))
    state = optimizer.init(w)
    ready: queue.Queue[list[np.ndarray]] = queue.Queue(3)

    def feed() -> None:
        while True:
            ready.put(sounds.batch())

    threading.Thread(target=feed, daemon=True).start()

    @jax.jit
    def step(w, state, rate, batch):  # type: ignore[no-untyped-def]
        (value, better), slope = jax.value_and_grad(loss, has_aux=True)(w, *batch)
        move, state = optimizer.update(slope, state)
        return jax.tree.map(lambda a, b: a - rate * b, w, move), state, value, better

    began, n, recent = time.monotonic(), 0, []
    top = 2e-3 if options.first else 3e-3
    while (done := (time.monotonic() - began) / (options.minutes * 60)) < 1:
        batch = ready.get()
        rate = (top * (1 - done) + 3e-5) * min(1.0, n / 50 + 0.02)
        n += 1
        moved, moved_state, value, better = step(w, state, rate, batch)
        if not np.isfinite(value):
            print("a batch without a finite loss was left out", flush=True)
            continue
        w, state = moved, moved_state
        noisy = np.asarray(better)[batch[-1] < 40]
        recent.append((float(value), noisy.mean() if len(noisy) else 0.0, (noisy < -0.5).mean() if len(noisy) else 0.0))
        if n % 100 == 0:
            print(n, "loss {:.2f} gain {:.2f} dB harmed {:.3f}".format(*np.mean(recent, axis=0)), flush=True)
            save_weights({name: np.asarray(value) for name, value in w.items()}, options.out)
            recent.clear()
    save_weights({name: np.asarray(value) for name, value in w.items()}, options.out)


if __name__ == "__main__":
    main()
