"""Key by the probe-tone profiles of Krumhansl and Kessler (1982), a baseline of key detection."""

import warnings

import numpy as np
from numpy.typing import NDArray

from antiphon.api.backends.analysis import import_librosa
from antiphon.api.backends.signal import KEY_NAMES

_MAJOR = np.array((6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88))
_MINOR = np.array((6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17))


def key_of(weights: NDArray[np.floating]) -> int:
    """Key whose profile correlates best with pitch class weights `[12]`: C to B major, then minor."""
    fits = [np.corrcoef(np.roll(profile, tonic), weights)[0, 1] for profile in (_MAJOR, _MINOR) for tonic in range(12)]
    return int(np.nanargmax(fits))


def key_of_sound(sound: NDArray[np.float32], rate: int) -> str:
    """Key of a mono sound, as "A minor", by librosa's constant-Q chroma."""
    librosa = import_librosa()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of short sounds' lowest octaves
        return KEY_NAMES[key_of(librosa.feature.chroma_cqt(y=sound, sr=rate).mean(axis=1))]
