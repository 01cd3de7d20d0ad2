"""Backends that play the notes of `synth` nodes: their description, their interface, and what a node sends them."""

from __future__ import annotations

from antiphon.errors import Unanswered
from antiphon.synth.backend import (
    INSTRUMENTS,
    MORE_INSTRUMENTS,
    VOICES,
    SynthBackend,
    SynthSettings,
    pack as pack_events,
)
from antiphon.synth.choosing import chosen as chosen_backend, use as use_backend
from antiphon.synth.controls import DIALS, FIRST_DIAL, RESERVED, Controls, Dial, parse as parse_controls
from antiphon.synth.info import NULL, BackendChoice, OfflinePasses, SynthInfo, SynthSupport
from antiphon.synth.processor import DROPPED, LEVEL, SynthProcessor
from antiphon.synth.shapes import NoteShape, NoteShapes, pressure_gain
from antiphon.synth.sounding import Sounding
from antiphon.synth.stepper import SynthStepper
