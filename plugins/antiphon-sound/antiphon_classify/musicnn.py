"""musicnn in numpy: two networks of fifty tags each, trained on recorded music, over patches of three seconds.

Pons and Serra 2019, "musicnn: pre-trained convolutional neural networks for music audio tagging". MSD knows tags of
Last.fm's listeners, MTT those of the players of a game (MagnaTagATune).
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32, Samples, UsageError
from antiphon.api.backends.analysis import Analysis, AnalysisRun, MelSettings
from antiphon.api.backends.models import ModelError, logistic, manifest_entry, read_weights
from antiphon.signal.mel import LogMelStream

MEL = MelSettings(rate=16000, window=512, hop=256, bands=96, low=0.0, high=8000.0)
FRAMES = 187
"""Frames of a patch: 2.99 s."""
MAX_PATCHES = 8
"""Maximum number of patches of a sound: more add little, and eight take a second of processor time in both networks."""
MAX_BUFFERED_PATCHES = 128
"""Maximum number of buffered patches (9 MB); beyond it every second one is dropped."""
SILENT = 1e-7
"""Minimum mean energy per band of a patch."""
MAX_CLICK_SECONDS = 0.02
"""Maximum seconds of a sound that counts as a mere click."""
NETWORKS = ("musicnn-msd", "musicnn-mtt")
UNITS = 200
"""Units of each network's penultimate layer."""
_EPSILON = 1e-3
"""Epsilon of the batch norms' variances, as in training."""


@dataclass(frozen=True, slots=True)
class MusicnnAnswers:
    """Answers of one network to patches: logits float32 `[patches, 50]` and embeddings `[patches, 200]`."""

    logits: F32
    embedding: F32


class Musicnn:
    """One of the two networks.

    `arrays`: by their names in the original's checkpoint, without `model/`. Raises ModelError: an array is missing, or
    their shapes do not fit.
    """

    def __init__(self, arrays: Mapping[str, NDArray[Any]], name: str) -> None:
        try:
            held = {key: np.asarray(value, np.float32) for key, value in arrays.items()}
            self._input = _norm(held, 0)
            self._front = [_FrontLayer(held, n) for n in range(5)]
            self._middle = [_layer(held, n) for n in (5, 6, 7)]
            scale, shift = _norm(held, 9)
            kernel = held["dense/kernel"]
            self._dense = np.ascontiguousarray(kernel * scale[:, None]), held["dense/bias"] + shift @ kernel
            self._last = _norm(held, 10)
            self._labels = held["dense_1/kernel"], held["dense_1/bias"]
            self.answers(np.zeros((1, FRAMES, MEL.bands), np.float32))
        except (KeyError, ValueError, IndexError) as error:
            raise ModelError(f"the weights {name} are not those of musicnn: {error}") from None

    def answers(self, patches: F32) -> MusicnnAnswers:
        """Answers to patches `[n, FRAMES, bands]` in dB, as `PatchStream` gives them, n at least 1."""
        energy = np.float32(1e4) * np.float32(10.0) ** (patches / np.float32(10.0))
        pooled = np.stack([self._pool(patch) for patch in np.log10(np.float32(1.0) + energy)])
        hidden = np.maximum(pooled @ self._dense[0] + self._dense[1], 0.0) * self._last[0] + self._last[1]
        logits = hidden @ self._labels[0] + self._labels[1]
        return MusicnnAnswers(np.asarray(logits, np.float32), np.asarray(hidden, np.float32))

    def _pool(self, patch: F32) -> F32:
        """Maximum and mean over time of each channel, concatenated: `[1506]`."""
        x = patch * self._input[0] + self._input[1]
        z = np.concatenate([layer(x) for layer in self._front], axis=1)
        layers = [z]
        for n, (kernel, bias, scale, shift) in enumerate(self._middle):
            y = np.maximum(_windows(z, 7) @ kernel + bias, 0.0) * scale + shift
            z = y if n == 0 else y + z
            layers.append(z)
        whole = np.concatenate(layers, axis=1)
        return np.stack([whole.max(axis=0), whole.mean(axis=0)], axis=1).ravel()


class _FrontLayer:
    """Convolution with max pooling over all bands.

    The maximum is taken before bias, rectifier and norm, which keep the order; if the norm's scale is negative, the
    minimum is taken.
    """

    def __init__(self, held: Mapping[str, F32], number: int) -> None:
        kernel, bias, scale, shift = _layer(held, number)
        self._frames, self._bands = held[_numbered("conv2d", number) + "/kernel"].shape[:2]
        order = np.argsort(scale < 0.0, kind="stable")
        self._rising = int((scale >= 0.0).sum())
        self._kernel = np.ascontiguousarray(kernel[:, order])
        self._bias, self._scale, self._shift, self._back = bias[order], scale[order], shift[order], np.argsort(order)

    def __call__(self, x: F32) -> F32:
        """Output `[frames, channels]` of input `[frames, bands]`."""
        before = (self._frames - 1) // 2
        x = np.pad(x, ((before, self._frames - 1 - before), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(x, (self._frames, self._bands))
        count, places = windows.shape[:2]
        y = (windows.reshape(count * places, -1) @ self._kernel).reshape(count, places, -1)
        best = y.max(axis=1)
        if self._rising < best.shape[1]:
            best[:, self._rising :] = y[:, :, self._rising :].min(axis=1)
        found: F32 = (np.maximum(best + self._bias, 0.0) * self._scale + self._shift)[:, self._back]
        return found


def _windows(x: F32, span: int) -> F32:
    """Sliding windows `[frames, span · channels]` of `[frames, channels]`, centred, zero-padded."""
    padded = np.pad(x, ((span // 2, span // 2), (0, 0)))
    return np.lib.stride_tricks.sliding_window_view(padded, span, axis=0).transpose(0, 2, 1).reshape(len(x), -1)


def _numbered(name: str, number: int) -> str:
    return f"{name}_{number}" if number else name


def _norm(held: Mapping[str, F32], number: int) -> tuple[F32, F32]:
    """Scale and shift of a batch norm."""
    name = _numbered("batch_normalization", number)
    scale = held[f"{name}/gamma"] / np.sqrt(held[f"{name}/moving_variance"] + np.float32(_EPSILON))
    return scale, held[f"{name}/beta"] - held[f"{name}/moving_mean"] * scale


def _layer(held: Mapping[str, F32], number: int) -> tuple[F32, F32, F32, F32]:
    """Kernel `[inputs, channels]` and bias of a convolution; scale and shift of its norm."""
    name = _numbered("conv2d", number)
    kernel = held[f"{name}/kernel"]
    return kernel.reshape(-1, kernel.shape[-1]), held[f"{name}/bias"], *_norm(held, number + 1)


class PatchStream:
    """Streaming log-mel patches of a sound, in constant memory.

    `mel`: the spectrogram; its frames are centred on multiples of the hop. `frames`: frames of a patch.
    """

    def __init__(self, rate: int, mel: MelSettings = MEL, frames: int = FRAMES) -> None:
        self._frames, self._mel, self._half = frames, LogMelStream(mel), np.zeros(mel.window // 2, np.float32)
        self._resampled: Any = None
        if rate != mel.rate:
            import soxr

            self._resampled = soxr.ResampleStream(rate, mel.rate, 1, dtype="float32")
        self._rest = self._mel.push(self._half)
        self._held: list[F32] = []
        self._every, self._seen = 1, 0

    def push(self, mono: F32, *, last: bool = False) -> None:
        """Processes the next samples."""
        if self._resampled is not None:
            mono = self._resampled.resample_chunk(np.ascontiguousarray(mono), last=last)
        parts = [self._rest, self._mel.push(mono), *([self._mel.push(self._half)] if last else [])]
        self._rest = np.concatenate(parts)
        while len(self._rest) >= self._frames:
            patch, self._rest = self._rest[: self._frames], self._rest[self._frames :].copy()
            if is_audible(patch):
                if self._seen % self._every == 0:
                    self._held.append(patch)
                self._seen += 1
            if len(self._held) == MAX_BUFFERED_PATCHES:
                self._held, self._every = self._held[::2], 2 * self._every

    def patches(self, most: int = MAX_PATCHES) -> F32:
        """Patches `[n, frames, bands]` in dB at equal distances, at most `most`, without silent ones. Called once."""
        self.push(np.zeros(0, np.float32), last=True)
        whole = list(self._held)
        if self._every == 1 and len(self._rest) and is_audible(self._rest):
            whole.append(self._rest)
        if not whole:
            return np.zeros((0, self._frames, self._rest.shape[1]), np.float32)
        mel, length = np.concatenate(whole), self._frames
        if len(mel) < length:
            mel = np.tile(mel, (-(-length // len(mel)), 1))[:length]
        count = min(most, round(len(mel) / length))
        # each in the middle of one of as many equal parts
        starts = ((np.arange(count) + 0.5) * len(mel) / count - length / 2).round().astype(int)
        return np.stack([mel[start : start + length] for start in starts.clip(0, len(mel) - length)])


def is_audible(mel: F32) -> NDArray[np.bool_]:
    """Which excerpts, `[…, frames, bands]` in dB, are no silence: a single low tone is none."""
    return np.asarray((10.0 ** (mel / 10.0)).mean(axis=(-2, -1)) > SILENT)


@cache
def network(name: str) -> Musicnn:
    """Network of a name in `NETWORKS`; `ModelError` without its weights."""
    return Musicnn(read_weights(name), name)


@cache
def tags_of(name: str) -> tuple[str, ...]:
    """Tags of a network in `NETWORKS`, in its order."""
    return tuple(str(label) for label in manifest_entry(name)["labels"])


def answers(patches: F32) -> tuple[MusicnnAnswers, MusicnnAnswers]:
    """Answers of MSD and of MTT; those to recent sounds are cached, since several analyses need them."""
    return _answers(np.ascontiguousarray(patches, np.float32).tobytes())


@lru_cache(maxsize=4)
def _answers(patches: bytes) -> tuple[MusicnnAnswers, MusicnnAnswers]:
    given = np.frombuffer(patches, np.float32).reshape(-1, FRAMES, MEL.bands)
    msd, mtt = (network(name).answers(given) for name in NETWORKS)
    return msd, mtt


def tag_probabilities(found: Sequence[MusicnnAnswers]) -> list[dict[str, float]]:
    """Probability of each tag by name, the mean over patches, for each network of `answers`."""
    means = (logistic(one.logits).mean(axis=0).astype(np.float32).tolist() for one in found)
    return [dict(zip(tags_of(name), mean, strict=True)) for name, mean in zip(NETWORKS, means, strict=True)]


class MusicnnAnalysis(Analysis):
    """Base of the analyses that use both networks."""

    rate: ClassVar[int | None] = MEL.rate
    channels: ClassVar[Literal[1] | None] = 1
    classifier: ClassVar[bool] = True
    shortest: ClassVar[float] = 0.5

    def begin(self, rate: int, channels: int) -> AnalysisRun:
        return MusicnnRun(self, rate)

    @abstractmethod
    def values(self, msd: MusicnnAnswers, mtt: MusicnnAnswers) -> Mapping[str, Any]:
        """Quantities of a sound."""


class MusicnnRun(AnalysisRun):
    """Analysis run of one sound."""

    def __init__(self, analysis: MusicnnAnalysis, rate: int) -> None:
        self._analysis, self._rate, self._patches, self._samples = analysis, rate, PatchStream(rate), 0

    def feed(self, block: Samples) -> None:
        self._samples += block.shape[1]
        self._patches.push(np.asarray(block[0], np.float32))

    def result(self) -> Mapping[str, Any]:
        check_length(self._samples / self._rate, self._analysis.shortest)
        patches = self._patches.patches()
        if not len(patches) or self._samples < MAX_CLICK_SECONDS * self._rate:
            return {quantity.name: None for quantity in self._analysis.quantities}
        return self.values(patches)

    def values(self, patches: F32) -> Mapping[str, Any]:
        """Quantities by patches, at least one."""
        return self._analysis.values(*answers(patches))


def check_length(seconds: float, least: float) -> None:
    """Raises `UsageError` for a sound that is too short."""
    if seconds < least:
        raise UsageError(f"the sound lasts {seconds:.1f} s, and at least {least:g} s are needed")
