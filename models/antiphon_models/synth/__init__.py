"""How the samples of `synth` were made: a General MIDI soundfont, note by note.

May import `antiphon_synth`, `material` and `learning`, and no other model.
"""
