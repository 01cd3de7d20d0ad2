"""Spoken line of a voice: sound, envelopes and phones, the input of frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from antiphon.api import AntiphonError

REFERENCE = 220.0
"""Pulse rate in Hz at which a response has the amplitudes of its envelope."""


class VoiceError(AntiphonError):
    """A voice cannot speak a line; the reason."""


@dataclass(frozen=True, slots=True)
class Phone:
    """A phone of a line."""

    symbol: str
    word: int
    start: float  # frame at which it begins, a fraction
    end: float  # frame at which it ends
    vowel: bool = False
    glide: bool = False


@dataclass(frozen=True, slots=True)
class Spoken:
    """A spoken line of a voice, in frames of equal length.

    `envelope`: amplitude of harmonics, float32 `[frames, bins]`, bins from 0 to half of `rate`; 0 where unvoiced.
    """

    envelope: NDArray[np.float32]
    noise: NDArray[np.float32]  # what is no harmonic: float32 `[frames × hop]`
    hop: int  # samples of a frame
    rate: int  # Hz
    phones: Sequence[Phone]
