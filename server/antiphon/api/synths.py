"""Backends that play the notes of `synth` nodes: their description, their interface, and what a node sends them."""

from __future__ import annotations

from antiphon.synth.backend import INSTRUMENTS, SC_INSTRUMENTS, VOICES, SynthBackend, SynthSettings
from antiphon.synth.backend import pack as pack_events
from antiphon.synth.controls import DIALS, FIRST_DIAL, Controls, Dial
from antiphon.synth.controls import parse as parse_controls
from antiphon.synth.info import NULL, PYO, SUPERCOLLIDER, BackendChoice, SynthInfo
from antiphon.synth.info import chosen as chosen_backend
from antiphon.synth.info import use as use_backend
from antiphon.synth.sounding import Sounding

__all__ = [
    "DIALS",
    "FIRST_DIAL",
    "INSTRUMENTS",
    "NULL",
    "PYO",
    "SC_INSTRUMENTS",
    "SUPERCOLLIDER",
    "VOICES",
    "BackendChoice",
    "Controls",
    "Dial",
    "Sounding",
    "SynthBackend",
    "SynthInfo",
    "SynthSettings",
    "chosen_backend",
    "pack_events",
    "parse_controls",
    "use_backend",
]
