"""What the networks of `hum` are, as plain data: what the worker is asked to be, and what its answers hold."""

from __future__ import annotations

from dataclasses import replace

from antiphon.api.models import ModelInfo

RATE = 16000
"""Hz of the sound the network hears. At another rate near it pitch and time are moved together, and moved back."""
HOP = 160
NEAR, FAR = 3, 12
"""Hops by which the two sets of an answer's values lag the newest sample."""
LOWEST, SEMITONES = 35, 62
"""MIDI number of the first of the semitones, and how many."""
# places in an answer; pitches are parts of `SEMITONES` above `LOWEST`, so that all values are of one size
PITCH, SURE, VOICED, NOTE, ONSET, KEY, KEY_SURE = range(7)
FAR_VOICED, FAR_NOTE, FAR_ONSET, FAR_KEY, FAR_SURE, MANY = range(7, 13)
FAR_KEYS = 13
"""From here on: the probability of every semitone to be that of the note, `FAR` hops ago."""
ANSWER = FAR_KEYS + SEMITONES


def pitch(value: float) -> float:
    """The MIDI number of a pitch in an answer."""
    return LOWEST + SEMITONES * value


HUM = ModelInfo(
    name="hum-learned",
    network="antiphon_models.hum.network:PitchNetwork",
    weights="hum-learned",
    plugin="hum",
    rate=RATE,
    hop=HOP,
    inputs=1,
    outputs=1,
    slots=1,
    answer=ANSWER,
)

BINS = 288
"""Lines of a spectrum that the plain network sees and paints, 15.6 Hz apart: up to 4.5 kHz."""
PLAIN_LATE = 6
"""Hops by which what it paints lags what it sees. An answer is how like each semitone's note of a piano that is."""
PLAIN = replace(
    HUM,
    name="hum-spectrogram",
    network="antiphon_models.hum.baseline_network:Painter",
    weights="hum-spectrogram",
    answer=SEMITONES,
)


def learned() -> ModelInfo:
    """A factory of `antiphon_models`."""
    return HUM


def spectrogram() -> ModelInfo:
    """A factory of `antiphon_models`."""
    return PLAIN
