"""The factories of `antiphon_synths`; neither imports a synth."""

from __future__ import annotations

from antiphon.api.synths import NULL, PYO, SUPERCOLLIDER, SynthInfo


def pyo() -> SynthInfo:
    return PYO


def supercollider() -> SynthInfo:
    return SUPERCOLLIDER


def null() -> SynthInfo:
    return NULL
