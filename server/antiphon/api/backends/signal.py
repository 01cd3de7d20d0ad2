"""Short-time spectra, a phase vocoder's kernels, wavelet bands, monophonic pitch, scales, lyrics."""

from typing import TYPE_CHECKING

import antiphon.api._former as _former
import antiphon.kernel.runtime.importing as _importing

if TYPE_CHECKING:
    from antiphon.api._kernels import (
        PhaseSpectra,
        SpectraBuffers,
        vocoder_overlap,
        vocoder_peaks,
        vocoder_turn,
        vocoder_window,
    )
    from antiphon.kernel.signal import named_note
    from antiphon.signal.hop_spectrum import C64, LOW_FADE, SampleHistory, Spectra, SpectrumSizes, grid, windows
    from antiphon.signal.mel import hann
    from antiphon.signal.pitch import FLAT_NAMES, KEY_NAMES, KEY_PROFILES, key_name
    from antiphon.signal.wavelet import symlet_filters, wavelet_join, wavelet_split
    from antiphon.signal.yin import CENTRE, HIGHEST, HISTORY, HOP, LOWEST, Decimator, MedianPitch, Yin

__getattr__, __dir__ = _importing.import_late(__name__, _former.refuse(__name__))
