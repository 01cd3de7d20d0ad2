"""Speech in a file and the noise beneath it, by DeepFilterNet on stretches of it.

Where little noise is, DeepFilterNet takes speech for it. What it removes in pauses is noise; where it removes far more
than that while one speaks, and what it keeps is louder, it errs, and the rest is put back.
"""

from functools import cached_property

import numpy as np

from antiphon.api import F32, F64, Samples
from antiphon.api.backends.models import load_arrays
from antiphon_denoise.deepfilter import DEEPFILTER
from antiphon_denoise.deepfilter_network import BANDS, HOP, MIN_SNR, DeepFilterNetwork, band_widths
from antiphon_denoise.floor.stretches import StretchListener

MOST = 3
"""Analysed stretches."""
PAUSES = 0.1
"""Share of the frames that are pauses: those of the lowest local signal-to-noise ratio."""
MARGIN = 8.0
"""Power of noise over its mean in pauses up to which it is removed."""
OF_BAND_DB, OF_ALL_DB = (-2.0, 8.0), (9.0, 13.0)
"""Kept over removed power up to which all that is removed is noise, and from which what is over `MARGIN` is not."""
MIN_RATIO_DB, MIN_KEPT_DB = 2.0, -8.0
"""Local ratio that a tenth of the frames of speech has at least, and power of the voice relative to the whole. Of music
a tenth of the frames has 2 dB and less, mostly.
"""
MIN_REMOVED_DB = -11.5
"""Power that is removed relative to the whole, from which there is noise where none is steady: of voices without noise
it is -12 to -31 dB, in noise at 10 dB -11 to -7.
"""
SILENT = 1e-14


class SpeechListener(StretchListener):
    """Analyses stretches of a sound at 48 kHz; what it found is asked after `end`."""

    def __init__(self, frames: int | None) -> None:
        """Loads the network. `frames`: of the sound, if known. Raises ModelError: it is not installed."""
        super().__init__(DEEPFILTER.rate, frames, MOST)
        model, shape = DEEPFILTER, (DEEPFILTER.inputs, HOP)
        network = load_arrays(model.array_network, model.weights, model.folder, shape, (1, HOP))
        assert isinstance(network, DeepFilterNetwork)
        self._network = network
        self._network.least_kept = 0.0
        self._frames: list[tuple[float, F32, F32]] = []
        self._voices: list[F32] = []

    def take(self, sound: F32) -> bool:
        """Runs the network over a stretch."""
        network, voice = self._network, np.zeros_like(sound)
        network.start()
        x: Samples = np.zeros((2, HOP), np.float32)
        for at in range(0, len(sound) - HOP + 1, HOP):
            x[0] = sound[at : at + HOP]
            network.step(x, voice[None, at : at + HOP])
            # digital silence is neither voice nor a pause with noise
            if network.kept.any() or network.removed.any():
                self._frames.append((network.snr, network.kept, network.removed))
        self._voices.append(voice)
        return True

    @property
    def sound(self) -> F32:
        """The stretches without noise, `[n]`."""
        return np.concatenate(self._voices)

    @property
    def found(self) -> bool:
        """Whether there is a voice, spoken or sung."""
        ratios, kept, removed = self._found
        share = 10.0 * np.log10((kept.sum() + SILENT) / (kept.sum() + removed.sum() + SILENT))
        return bool(np.quantile(ratios, 0.9) >= MIN_RATIO_DB and share >= MIN_KEPT_DB)

    @property
    def noisy(self) -> bool:
        """Whether more is removed than of a voice without noise."""
        _, kept, removed = self._found
        share = 10.0 * np.log10((removed.sum() + SILENT) / (kept.sum() + removed.sum() + SILENT))
        return bool(share >= MIN_REMOVED_DB)

    @property
    def noise(self) -> F32:
        """As `noise_of`, of the means of bands."""
        ratios, kept, removed = self._found
        return noise_of(ratios, kept, removed)

    @cached_property
    def _found(self) -> tuple[F64, F64, F64]:
        """Local ratios of the frames, powers kept and removed of their bands; one silent frame if none."""
        frames = self._frames or [(MIN_SNR, np.zeros(BANDS, np.float32), np.zeros(BANDS, np.float32))]
        ratios, kept, removed = (np.array(part) for part in zip(*frames, strict=True))
        return ratios, kept * band_widths(), removed * band_widths()


def noise_of(ratios: F64, kept: F64, removed: F64) -> F32:
    """Mean power of a bin up to which each band is noise, and the certainty of it, 0 to 1: `[2, BANDS]`.

    Args:
        ratios: Local signal-to-noise ratios of frames in dB, `[frames]`.
        kept: Powers that the network keeps of each band, `[frames, BANDS]`.
        removed: Powers that it removes.
    """
    pauses = ratios <= np.quantile(ratios, PAUSES)
    voice, rest = kept.mean(0), removed.mean(0)
    certain = np.maximum(_certain(voice, rest, OF_BAND_DB), _certain(voice.sum(), rest.sum(), OF_ALL_DB))
    return np.stack([MARGIN * removed[pauses].mean(0) / band_widths(), certain]).astype(np.float32)


def _certain(voice: F64 | float, rest: F64 | float, bounds: tuple[float, float]) -> F64:
    """Place of a ratio of powers between two in dB, 0 to 1."""
    ratio = 10.0 * np.log10((np.asarray(voice) + SILENT) / (np.asarray(rest) + SILENT))
    return np.asarray(np.clip((ratio - bounds[0]) / (bounds[1] - bounds[0]), 0.0, 1.0))
