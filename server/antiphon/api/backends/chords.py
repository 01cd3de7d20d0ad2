"""Several notes at once in sound: Basic Pitch's network in numpy, of a whole sound and as it streams."""

from antiphon.networks.chords import (
    AHEAD,
    ANSWER,
    BEHIND,
    BINS,
    HERTZ,
    HOP,
    LATER,
    LOWEST,
    MODEL,
    PERIODS,
    PITCHES,
    RATE,
    SIZE,
    ChordLayers,
    StreamedChords,
    decibels,
    kernels,
)
