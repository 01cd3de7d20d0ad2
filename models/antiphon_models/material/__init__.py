"""Sound that programs make of notes and text, for any model: one caller of FluidSynth, one of espeak-ng, MIDI bytes.

May import `antiphon.api` and `learning`, and nothing of a model or a plugin.
"""
