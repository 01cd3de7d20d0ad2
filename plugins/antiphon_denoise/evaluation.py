"""`antiphon bench denoise`: how much better a denoiser makes real mixtures, beside its peers."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.block import StreamSpec
from antiphon_denoise.harness import run
from antiphon_denoise.mixtures import LEAD, RATE, SNRS, Mixture, clean_sounds, mixtures, si_sdr
from antiphon_denoise.processor import Denoise

F32 = NDArray[np.float32]
System = Callable[[Mixture], float]
_BLOCK = 2048


class _Ours:
    """The plugin as it streams, with its latency taken out."""

    def __init__(self, mode: str) -> None:
        self._mode = mode
        self._spec = StreamSpec(RATE, _BLOCK, 1)
        self._plugin = Denoise()
        self._plugin.prepare(self._spec)

    def __call__(self, sound: F32, learn_at: int | None = None) -> F32:
        lag = self._plugin.latency
        self._plugin.reset()
        padded = np.concatenate([sound, np.zeros(lag, np.float32)])[None]
        changes = [] if learn_at is None else [(learn_at, "learn", True)]
        return run(self._plugin, padded, self._spec, changes, first={"mode": self._mode})[0, lag:]


def plain_gate(sound: F32, size: int = 1024, hop: int = 256) -> F32:
    """The textbook's: bins less than 6 dB above the quietest tenth of the file's frames go down by 12 dB."""
    window = np.hanning(size + 1)[:-1].astype(np.float32)
    padded = np.concatenate([np.zeros(size, np.float32), sound, np.zeros(2 * size, np.float32)])
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    spectra = np.fft.rfft(frames * window, axis=1)
    power = np.abs(spectra) ** 2
    loud = power.sum(axis=1)
    heard = loud > 1e-9
    quiet = power[heard & (loud <= np.quantile(loud[heard], 0.1))] if heard.any() else power[:1]
    spectra *= np.where(power < 4.0 * quiet.mean(axis=0), 0.25, 1.0)
    made = np.zeros(len(padded), np.float32)
    for n, piece in enumerate(np.fft.irfft(spectra, size, axis=1) * window * (hop / size / 0.375)):
        made[n * hop : n * hop + size] += piece.astype(np.float32)
    return made[size : size + len(sound)]


def oracle_mask(item: Mixture) -> F32:
    """What a gate that knew sound and noise apart would reach: the root of the power ratio, bin by bin."""
    from antiphon_denoise.spectrum import grid, windows

    sizes = grid(RATE)
    analysis, synthesis = windows(sizes)

    def spectra(sound: F32) -> NDArray[np.complex128]:
        padded = np.concatenate([np.zeros(sizes.size, np.float32), sound, np.zeros(sizes.size, np.float32)])
        frames = np.lib.stride_tricks.sliding_window_view(padded, sizes.size)[:: sizes.hop]
        return np.fft.rfft(frames * analysis, axis=1)

    clean, noise = spectra(item.clean), spectra(item.noise)
    wanted, rest = np.abs(clean) ** 2, np.abs(noise) ** 2
    mask = np.sqrt(wanted / (wanted + rest + 1e-12))
    frames = np.fft.irfft(mask * (clean + noise), sizes.size, axis=1)[:, -sizes.lag :] * synthesis
    made = np.zeros(len(frames) * sizes.hop + sizes.size, np.float32)
    for n, piece in enumerate(frames):
        at = n * sizes.hop + sizes.size - sizes.lag
        made[at : at + sizes.lag] += piece
    return made[sizes.size : sizes.size + len(item.clean)]


def systems() -> dict[str, System]:
    """Every system by name: the SI-SDR gain in dB it brings to one item."""
    gate, wavelet = _Ours("gate"), _Ours("wavelet")

    def gain(item: Mixture, made: F32) -> float:
        return si_sdr(made, item.clean) - si_sdr(item.clean + item.noise, item.clean)

    def taught(item: Mixture) -> float:
        whole = np.concatenate([item.lead, item.clean + item.noise])
        return gain(item, gate(whole, LEAD)[LEAD:])

    table: dict[str, System] = {
        "nothing": lambda item: gain(item, item.clean + item.noise),
        "plain gate": lambda item: gain(item, plain_gate(item.clean + item.noise)),
        "ours, gate": lambda item: gain(item, gate(item.clean + item.noise)),
        "ours, wavelet": lambda item: gain(item, wavelet(item.clean + item.noise)),
        "ours, gate, learn": taught,
        "oracle mask": lambda item: gain(item, oracle_mask(item)),
    }
    try:
        import noisereduce
    except ImportError:
        return table
    table["noisereduce"] = lambda item: gain(
        item, np.asarray(noisereduce.reduce_noise(y=item.clean + item.noise, sr=RATE), np.float32)
    )
    return table


def evaluate(data: Path, seed: int = 1, limit: int | None = None, folds: str = "123") -> dict[str, Any]:
    """Every system on the same mixtures; `limit`: at most so many of them.

    Gives, by system: n, mean gain, standard error, the worst item, how many lose over 0.5 dB, and the
    mean by class of noise and by SNR; and how clean sounds pass ours.
    """
    names = systems()
    scores: dict[str, list[float]] = {name: [] for name in names}
    labels: list[tuple[str, str, int]] = []
    for item in islice(mixtures(data, seed, folds), limit):
        labels.append((item.noise_name, item.clean_name, item.snr))
        for name, system in names.items():
            scores[name].append(system(item))
    return {
        "items": len(labels),
        "seed": seed,
        "systems": {name: _summary(np.array(gains), labels) for name, gains in scores.items()},
        "clean": _clean(data),
    }


def _summary(gains: NDArray[np.float64], labels: list[tuple[str, str, int]]) -> dict[str, Any]:
    noises = np.array([label[0] for label in labels])
    snrs = np.array([label[2] for label in labels])
    worst = int(np.argmin(gains))
    return {
        "n": len(gains),
        "mean": round(float(gains.mean()), 2),
        "error": round(float(gains.std(ddof=1) / np.sqrt(len(gains))), 2) if len(gains) > 1 else 0.0,
        "worst": round(float(gains[worst]), 2),
        "worst_item": " ".join(map(str, labels[worst])),
        "harmed": int((gains < -0.5).sum()),
        "classes": {str(name): round(float(gains[noises == name].mean()), 2) for name in np.unique(noises)},
        "snrs": {str(snr): round(float(gains[snrs == snr].mean()), 2) for snr in SNRS if (snrs == snr).any()},
    }


def _clean(data: Path) -> dict[str, float]:
    gate = _Ours("gate")
    passed = {}
    for sounds in clean_sounds(data).values():
        for name, sound in sounds.items():
            piece = sound[: 10 * RATE]
            piece = piece * np.float32(0.5 / np.abs(piece).max())
            passed[name] = round(si_sdr(gate(piece), piece), 1)
    return passed


def show(result: dict[str, Any]) -> str:
    """The table, and as last line the whole result as JSON."""
    head = f"{'system':<20}{'n':>5}{'gain dB':>9}{'± s.e.':>8}{'worst':>8}{'harmed':>8}" + "".join(
        f"{snr:>7} dB" for snr in SNRS
    )
    lines = [head]
    for name, row in result["systems"].items():
        by_snr = "".join(f"{row['snrs'].get(str(snr), float('nan')):>10.2f}" for snr in SNRS)
        lines.append(
            f"{name:<20}{row['n']:>5}{row['mean']:>9.2f}{row['error']:>8.2f}{row['worst']:>8.2f}{row['harmed']:>8}{by_snr}"
        )
    quietest = min(result["clean"], key=result["clean"].__getitem__)
    lines.append(f"clean sounds pass with {result['clean'][quietest]} dB or more (the least: {quietest})")
    lines.append(json.dumps(result))
    return "\n".join(lines)
