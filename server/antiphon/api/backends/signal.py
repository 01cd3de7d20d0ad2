"""Short-time spectra, wavelet bands, monophonic pitch, scales, lyrics."""

from antiphon.kernel.signal import named_note
from antiphon.signal.harmony import CHORDS, SCALES, chord_steps, read_symbol
from antiphon.signal.hop_spectrum import C64, LOW_FADE, SampleHistory, Spectra, SpectrumSizes, grid, power_unit, windows
from antiphon.signal.lyrics import LyricSyllable, syllables
from antiphon.signal.mel import hann
from antiphon.signal.pitch import FLAT_NAMES, KEY_NAMES, key_name, root_name
from antiphon.signal.wavelet import symlet_filters, wavelet_join, wavelet_split
from antiphon.signal.yin import CENTRE, HIGHEST, HISTORY, HOP, LOWEST, Decimator, MedianPitch, Yin
