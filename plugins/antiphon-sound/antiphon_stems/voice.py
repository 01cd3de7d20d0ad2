"""Voice of finished records by Spleeter's voice network (Hennequin et al., 2020), in numpy.

A U-Net over the magnitudes of two channels in blocks of 512 frames (12 s), below 11 kHz.
"""

import numpy as np
from numpy.typing import NDArray

from antiphon.api import Samples
from antiphon.api.backends.models import Weights, find_array

C64 = NDArray[np.complex64]
BINS, LAYERS, TAPS = 1024, 6, 5
"""Number of bins of a frame, of layers down and up, and width of their kernels."""
FRAME_MULTIPLE = 2**LAYERS
"""The number of frames of a block must be a multiple of this."""
SIZES = (2, 16, 32, 64, 128, 256, 512)
"""Channels before, between and after the layers down."""
SLOPE, TINY = np.float32(0.2), np.float32(1e-10)
MAGNITUDE = np.float32(np.sqrt(1536.0))
"""Magnitude of white noise of variance 1 in the network's training: the norm of a 4096-sample Hann window."""
SOFTEST, LOUDEST = 0.1, 0.14
"""Range of RMS to which a block is scaled: softer, the network misses voices; louder, it takes instruments for them."""
QUIET = np.float32(1e-6)
EDGE = 256
"""Number of bins below 11 kHz (8.3 to 11 kHz) whose mean share applies to all bins above."""


class VoiceNetwork:
    """Spleeter's U-Net: magnitudes `[frames, 1024, 2]` of a sound to those of its voice; frames a multiple of 64."""

    def __init__(self, weights: Weights) -> None:
        """Dequantises the kernels; `ModelError` if the weights do not fit."""
        self._weights = weights
        self._down = [self._layer(f"down{n}", (TAPS, TAPS, *SIZES[n : n + 2])) for n in range(LAYERS)]
        outs = (*SIZES[5:0:-1], 1)
        self._up = [self._layer(f"up{n}", (TAPS, TAPS, outs[n], SIZES[6 - n] * (2 if n else 1))) for n in range(LAYERS)]
        self._last = self._layer("last", (4, 4, 1, 2))

    def _layer(self, name: str, shape: tuple[int, ...]) -> dict[str, Samples]:
        """Returns a layer's kernel as matrices `[taps, in, out]`, its bias, and the gain and shift after it."""
        up = name.startswith("up")
        outs = shape[2] if up else shape[3]
        kernel = find_array(self._weights, f"{name}.kernel", *shape)
        if up:
            kernel = kernel.transpose(0, 3, 1, 2)
        rest = ("step", "bias") if name in ("last", f"down{LAYERS - 1}") else ("step", "bias", "gain", "shift")
        found = {part: find_array(self._weights, f"{name}.{part}", outs) for part in rest}
        kernel = kernel * found["step"]
        return {**found, "kernel": np.ascontiguousarray(kernel.reshape(shape[0], -1, TAPS * outs if up else outs))}

    def __call__(self, x: Samples) -> Samples:
        skips: list[Samples] = []
        y = x
        for n, layer in enumerate(self._down):
            z = strided_convolution(y, layer)
            skips.append(z)
            if n < LAYERS - 1:
                z = z * layer["gain"] + layer["shift"]
                y = np.maximum(z, SLOPE * z)
        y = skips.pop()
        for n, layer in enumerate(self._up):
            if n:
                y = np.concatenate([skips.pop(), y], axis=2)
            y = np.maximum(transposed_convolution(y, layer), 0.0) * layer["gain"] + layer["shift"]
        padded = np.pad(y[:, :, 0], 3)
        kernel = self._last["kernel"].reshape(4, 4, 2)
        logits = np.zeros_like(x) + self._last["bias"]
        for i, j in np.ndindex(4, 4):
            logits += padded[2 * i :, 2 * j :][: x.shape[0], : x.shape[1], None] * kernel[i, j]
        return np.asarray(x / (1.0 + np.exp(-np.clip(logits, -60.0, 60.0))), np.float32)


def strided_convolution(x: Samples, layer: dict[str, Samples]) -> Samples:
    """Convolves at every second position, a row of taps at a time."""
    high, wide, channels = x.shape[0] // 2, x.shape[1] // 2, x.shape[2]
    padded = np.pad(x, ((1, 2), (1, 2), (0, 0)))
    y = np.zeros((high * wide, len(layer["bias"])), np.float32) + layer["bias"]
    seen = np.empty((high, wide, TAPS, channels), np.float32)
    for i, kernel in enumerate(layer["kernel"]):
        for j in range(TAPS):
            seen[:, :, j] = padded[i : i + 2 * high : 2, j : j + 2 * wide : 2]
        y += seen.reshape(high * wide, -1) @ kernel
    return y.reshape(high, wide, -1)


def transposed_convolution(x: Samples, layer: dict[str, Samples]) -> Samples:
    """Convolves transposed, to twice the size, a row of taps at a time."""
    high, wide, channels = x.shape
    outs = len(layer["bias"])
    y = np.zeros((2 * high + TAPS - 1, 2 * wide + TAPS - 1, outs), np.float32)
    for i, kernel in enumerate(layer["kernel"]):
        made = (x.reshape(-1, channels) @ kernel).reshape(high, wide, TAPS, outs)
        for j in range(TAPS):
            y[i : i + 2 * high : 2, j : j + 2 * wide : 2] += made[:, :, j]
    return y[1 : 2 * high + 1, 1 : 2 * wide + 1] + layer["bias"]


class VoiceMasks:
    """Separates the voice of each pair of channels; the remainder is the accompaniment."""

    parts, core, reach, sines = 2, 448, 32, 2

    def __init__(self, network: VoiceNetwork) -> None:
        self._network = network

    def __call__(self, spectra: C64, inside: slice) -> C64:
        channels, frames, bins = spectra.shape
        used = min(bins, BINS)
        own = max(QUIET, np.sqrt(np.mean(np.abs(spectra) ** 2)))
        # at another rate a frame has other samples, and a tone another magnitude
        level = MAGNITUDE * np.sqrt(2 * BINS / (bins - 1)) * np.clip(own, SOFTEST, LOUDEST) / own
        found = np.zeros((1, channels, frames, bins), np.complex64)
        for first in range(0, channels, 2):
            both = spectra[[first, min(first + 1, channels - 1)]]
            x = np.zeros((-(-frames // FRAME_MULTIPLE) * FRAME_MULTIPLE, BINS, 2), np.float32)
            x[:frames, :used] = np.abs(both[:, :, :used]).transpose(1, 2, 0) * level
            share = _share(x, self._network(x))[:frames]
            masks = np.zeros((frames, bins, 2), np.float32)
            masks[:, :used] = share[:, :used]
            masks[:, used:] = share[:, max(0, used - EDGE) : used].mean(axis=1, keepdims=True)
            found[0, first : first + 2] = (both * masks.transpose(2, 0, 1))[: channels - first]
        return found[:, :, inside]


def _share(whole: Samples, voice: Samples) -> Samples:
    """Returns the voice's share of the power."""
    own, rest = voice**2, np.maximum(whole - voice, 0.0) ** 2
    return np.asarray(own / (own + rest + TINY), np.float32)
