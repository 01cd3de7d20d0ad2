"""The factories of `antiphon_synths`; neither imports a synth."""

from __future__ import annotations

from antiphon.synth.info import NULL, PYO, SynthInfo


def pyo() -> SynthInfo:
    return PYO


def null() -> SynthInfo:
    return NULL
