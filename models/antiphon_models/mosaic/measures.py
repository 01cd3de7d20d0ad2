"""How far a mosaic follows its target: onsets, loudness, chroma, MFCC. Onsets and MFCC are librosa's."""

from __future__ import annotations

import warnings

import numpy as np

from antiphon.api import F32, F64
from antiphon.kernel.signal.features import import_librosa
from antiphon_models.material.sounds import of_length, resampled

RATE, HOP = 22050, 512
NEAR = 0.05
"""Seconds by which an onset may be off."""
DEPTH = 50.0
"""dB below the loudest frame at which levels are clipped, and from which a frame of the target counts."""


def measure(output: F32, target: F32, rate: int) -> dict[str, float]:
    """Onsets, rises of level (F1), loudness (correlation), chroma (cosine), and the distance of MFCC in dB."""
    librosa = import_librosa()
    import mir_eval

    warnings.filterwarnings("ignore", module="mir_eval")
    y, t = (resampled(sound, rate, RATE) for sound in (output, target))
    y = of_length(y, len(t))
    found, wanted = (librosa.onset.onset_detect(y=sound, sr=RATE, units="time") for sound in (y, t))
    onsets = mir_eval.onset.f_measure(wanted, found, window=NEAR)[0]
    rises = mir_eval.onset.f_measure(_rises(t), _rises(y), window=NEAR)[0]
    levels = [_levels(sound) for sound in (y, t)]
    loud = levels[1] > -DEPTH
    cepstra = [librosa.feature.mfcc(y=sound, sr=RATE, n_mfcc=13, hop_length=HOP)[1:].T for sound in (y, t)]
    away = np.linalg.norm(cepstra[0] - cepstra[1], axis=1)
    classes = [
        librosa.feature.chroma_stft(y=sound, sr=RATE, n_fft=4096, hop_length=HOP, norm=2, tuning=0.0).T
        for sound in (y, t)
    ]
    return {
        "onsets": float(onsets),
        "rises": float(rises),
        "loudness": _correlation(*levels),
        "chroma": float(np.mean(np.sum(classes[0] * classes[1], axis=1)[loud])),
        "MFCC": float(away[loud].mean()),
    }


def _levels(sound: F32) -> F64:
    librosa = import_librosa()
    level = 20.0 * np.log10(librosa.feature.rms(y=sound, hop_length=HOP)[0] + 1e-9)
    return np.asarray(np.maximum(level - level.max(), -DEPTH), np.float64)


def _rises(sound: F32) -> F64:
    """Seconds at which the level of 46 ms rises by 2 dB in 30 ms over the mean of the 200 ms around."""
    librosa = import_librosa()
    level = 20.0 * np.log10(librosa.feature.rms(y=sound, frame_length=1024, hop_length=220)[0] + 1e-9)
    level = np.maximum(level - level.max(), -DEPTH)
    rise = np.pad(np.maximum(0.0, level[3:] - level[:-3]), (3, 0))
    peaks = librosa.util.peak_pick(rise, pre_max=3, post_max=4, pre_avg=10, post_avg=10, delta=2.0, wait=5)
    return np.asarray(peaks * (220.0 / RATE), np.float64)


def _correlation(a: F64, b: F64) -> float:
    return float(np.corrcoef(a, b)[0, 1]) if a.std() > 1e-9 and b.std() > 1e-9 else 0.0
