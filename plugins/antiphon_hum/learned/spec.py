"""The networks of `hum` as plain data: what their workers need, and the layout of their answers."""

from __future__ import annotations

from dataclasses import replace

from antiphon.api.models import ModelInfo

RATE = 16000
"""Hz of the network's input. At a rate near it pitch and time scale together, and are scaled back."""
HOP = 160
NEAR, FAR = 3, 12
"""Hops by which the two groups of an answer's values lag the newest sample."""
LOWEST, SEMITONES = 35, 62
"""MIDI number of the lowest semitone, and number of semitones."""
# places in an answer; pitches are parts of `SEMITONES` above `LOWEST`, so that all values are of one size
PITCH, SURE, VOICED, NOTE, ONSET, KEY, KEY_SURE = range(7)
FAR_VOICED, FAR_NOTE, FAR_ONSET, FAR_KEY, FAR_SURE, MANY = range(7, 13)
FAR_KEYS = 13
"""First of `SEMITONES` values: the probability that the note `FAR` hops ago has this semitone."""
ANSWER = FAR_KEYS + SEMITONES


def pitch(value: float) -> float:
    """The MIDI number of a pitch value, 0 to 1, in an answer."""
    return LOWEST + SEMITONES * value


HUM = ModelInfo(
    name="hum-learned",
    network="antiphon_models.hum.network:PitchNetwork",
    array_network="antiphon_hum.learned.pitch_network:ArrayPitchNetwork",
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
"""Bins of the spectra that the plain network reads and writes, 15.6 Hz apart: up to 4.5 kHz."""
PLAIN_LATE = 6
"""Hops by which its output lags its input. An answer is the likeness of that output to each note of a piano."""
PLAIN = replace(
    HUM,
    name="hum-spectrogram",
    network="antiphon_models.hum.baseline_network:Painter",
    array_network="antiphon_hum.learned.painter_network:ArrayPainter",
    weights="hum-spectrogram",
    answer=SEMITONES,
)


def learned_model() -> ModelInfo:
    return HUM


def spectrogram() -> ModelInfo:
    return PLAIN
