"""Backends that play the notes of `synth` nodes: their description, their interface, and what a node sends them."""

from __future__ import annotations

from antiphon.synth.backend import INSTRUMENTS, MORE_INSTRUMENTS, VOICES, SynthBackend, SynthSettings
from antiphon.synth.backend import pack as pack_events
from antiphon.synth.choosing import chosen as chosen_backend
from antiphon.synth.choosing import use as use_backend
from antiphon.synth.controls import DIALS, FIRST_DIAL, RESERVED, Controls, Dial
from antiphon.synth.controls import parse as parse_controls
from antiphon.synth.info import NULL, BackendChoice, OfflinePasses, SynthInfo, SynthSupport
from antiphon.synth.processor import DROPPED, LEVEL, SynthProcessor
from antiphon.synth.shapes import NoteShape, NoteShapes, pressure_gain
from antiphon.synth.sounding import Sounding
from antiphon.synth.stepper import SynthStepper

__all__ = [
    "DIALS",
    "DROPPED",
    "FIRST_DIAL",
    "INSTRUMENTS",
    "LEVEL",
    "MORE_INSTRUMENTS",
    "NULL",
    "RESERVED",
    "VOICES",
    "BackendChoice",
    "Controls",
    "Dial",
    "NoteShape",
    "NoteShapes",
    "OfflinePasses",
    "Sounding",
    "SynthBackend",
    "SynthInfo",
    "SynthProcessor",
    "SynthSettings",
    "SynthStepper",
    "SynthSupport",
    "chosen_backend",
    "pack_events",
    "parse_controls",
    "pressure_gain",
    "use_backend",
]
