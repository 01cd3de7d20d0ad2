"""The network of `hum` as plain data: what its worker needs, and the layout of its answers."""

from __future__ import annotations

from antiphon.api.backends.models import ModelInfo

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


def learned_model() -> ModelInfo:
    return HUM
