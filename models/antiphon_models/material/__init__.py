"""Synthesised sound for any model: FluidSynth and espeak-ng interfaces, MIDI bytes.

May import `antiphon.api` and `learning`, and nothing of a model or a plugin.
"""
