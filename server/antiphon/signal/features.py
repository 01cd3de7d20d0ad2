"""Spectral features for classifiers: our log-mel spectrograms, or librosa's features, frame by frame.

librosa is an optional package (the extra `librosa`), imported only to compute its features.
"""

from functools import cache
from typing import Any, Protocol

import numpy as np

from antiphon.kernel.runtime import extras
from antiphon.kernel.runtime.platform import lock_file
from antiphon.signal.mel import F32, FLOOR, MEL, LogMel, LogMelStream, MelSettings

CHROMA_BANDS, BINS_PER_OCTAVE = 12, 12
FEATURE_DEFAULTS: dict[str, dict[str, float]] = {
    MEL: {},
    "melspectrogram": {},
    "cqt": {"bands": 84, "low": 32.703},
    "chroma": {"bands": CHROMA_BANDS},
    "tempogram": {"bands": 192},
}
"""Differences from the defaults of `MelSettings`, by feature: seven octaves from C1; lags of a tempogram."""
PIECE_SECONDS = 30.0
"""Piece length of streams for librosa's features: the default length a pipeline takes of each sound."""


@cache
def import_librosa() -> Any:
    """Imports librosa, with its compilation at import, in one process at a time.

    numba caches that machine code beside librosa. Two processes that compile a function at the same time leave a mixed
    cache, and the next process that loads it crashes. Raises ImportError: it is not installed.
    """
    import librosa

    with open(librosa.__file__, "rb") as package:
        lock_file(package.fileno(), wait=True)
        import librosa.beat  # imports the others that compile something
    return librosa


class SpectralFeatures(Protocol):
    """Feature extractor of a whole sound."""

    def compute(self, mono: F32) -> F32:
        """The features float32 `[frames, bands]` of a sound, float32 `[samples]`."""


class FeatureStream(Protocol):
    """Feature extractor of a stream of blocks."""

    def push(self, mono: F32) -> F32:
        """Processes the next block, float32 `[samples]`; returns the completed frames, float32 `[frames, bands]`."""

    def end(self) -> F32:
        """Returns the remaining frames at the end of the sound."""


class LibrosaFeatures:
    """librosa's features, with the frame count of `LogMel` for the same sound.

    `settings`: `features` of `FEATURE_DEFAULTS`; `bands` are mel bands, semitones from `low` up, pitch classes or lags
    of the tempogram, by the feature. Raises UsageError: librosa is not installed.
    """

    def __init__(self, settings: MelSettings) -> None:
        extras.require(f"features = {settings.features!r}", ["librosa"])
        self._settings = settings

    def compute(self, mono: F32) -> F32:
        """Mel and CQT in dB, chroma and tempogram 0 to 1; for the arguments see `LogMel.compute`."""
        librosa = import_librosa()
        own = self._settings
        mono = np.pad(mono, (0, max(0, own.window - len(mono))))
        common: dict[str, Any] = {"y": mono, "sr": own.rate, "hop_length": own.hop}
        match own.features:
            case "cqt":
                found = librosa.cqt(**common, fmin=own.low, n_bins=own.bands, bins_per_octave=BINS_PER_OCTAVE)
                made = librosa.amplitude_to_db(np.abs(found), ref=1.0, amin=FLOOR**0.5, top_db=None)
            case "chroma":
                made = librosa.feature.chroma_stft(**common, n_fft=own.window)
            case "tempogram":
                made = librosa.feature.tempogram(**common, win_length=own.bands)
            case _:
                bands: dict[str, Any] = {"n_mels": own.bands, "fmin": own.low, "fmax": own.high}
                power = librosa.feature.melspectrogram(**common, n_fft=own.window, **bands)
                made = librosa.power_to_db(power, ref=1.0, amin=FLOOR, top_db=None)
        # librosa's frames are centred on multiples of the hop; the first here is the middle of the first window
        first = round(own.window / 2 / own.hop)
        count = (len(mono) - own.window) // own.hop + 1
        frames = np.arange(first, first + count).clip(max=made.shape[1] - 1)
        return np.asarray(made.T[frames], np.float32)


class LibrosaStream:
    """`LibrosaFeatures` of a stream, in pieces of `PIECE_SECONDS`."""

    def __init__(self, settings: MelSettings) -> None:
        self._features, self._settings = LibrosaFeatures(settings), settings
        self._frames = max(1, round(PIECE_SECONDS * settings.rate) // settings.hop)
        self._blocks: list[F32] = []
        self._held = 0

    def push(self, mono: F32) -> F32:
        """See `FeatureStream`."""
        self._blocks.append(mono)
        self._held += len(mono)
        own = self._settings
        piece = (self._frames - 1) * own.hop + own.window
        made = [np.zeros((0, own.bands), np.float32)]
        if self._held >= piece:
            held = np.concatenate(self._blocks)
            while len(held) >= piece:
                made.append(self._features.compute(held[:piece]))
                held = held[self._frames * own.hop :]
            self._blocks, self._held = [held.copy()], len(held)
        return np.concatenate(made)

    def end(self) -> F32:
        """See `FeatureStream`."""
        if self._held < self._settings.window:
            return np.zeros((0, self._settings.bands), np.float32)
        held, self._blocks, self._held = np.concatenate(self._blocks), [], 0
        return self._features.compute(held)


def feature_extractor(settings: MelSettings) -> SpectralFeatures:
    """Feature extractor of whole sounds. Raises the errors of `LibrosaFeatures`."""
    return LogMel(settings) if settings.features == MEL else LibrosaFeatures(settings)


def feature_stream(settings: MelSettings) -> FeatureStream:
    """Feature extractor of a stream.

    `settings`: settings of the windows and bands; `features` chooses the feature. Returns a stream, with `push` and
    `end`. Raises UsageError: librosa is needed, and not installed.
    """
    return LogMelStream(settings) if settings.features == MEL else LibrosaStream(settings)


def feature_fault(settings: MelSettings) -> str:
    """Reason why settings fit no feature, as the predicate of a sentence; "" if they do."""
    match settings.features:
        case "chroma" if settings.bands != CHROMA_BANDS:
            return f"bands {settings.bands}; chroma has {CHROMA_BANDS} pitch classes"
        case "cqt":
            top = settings.low * 2 ** (settings.bands / BINS_PER_OCTAVE)
            octaves = -(-settings.bands // BINS_PER_OCTAVE)
            if settings.low <= 0 or top > settings.rate / 2:
                return f"{settings.bands} semitones from low {settings.low:g} Hz up; they end below half of rate"
            if settings.hop % (1 << (octaves - 1)):
                return f"hop {settings.hop}; {octaves} octaves need a multiple of {1 << (octaves - 1)}"
    return ""
