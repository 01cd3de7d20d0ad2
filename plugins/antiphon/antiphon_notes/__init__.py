"""Note processors: notes in, notes out, between note sources and synths."""

from antiphon.api import Register, hookimpl


@hookimpl
def antiphon_processors(register: Register) -> None:
    """Registers ten nodes."""
    register("transpose", "antiphon_notes.mapping:Transpose", "Transpose: moves notes by semitones and octaves.")
    register("chord", "antiphon_notes.mapping:ChordNode", "Chord: plays a chord for each note.")
    register("scale", "antiphon_notes.mapping:ScaleNode", "Scale: moves notes into a scale, or drops those outside it.")
    register("probability", "antiphon_notes.mapping:Probability", "Probability: passes each note by chance.")
    register("split", "antiphon_notes.mapping:SplitNode", "Split: low notes to one output, high notes to another.")
    register("hold", "antiphon_notes.mapping:Hold", "Hold: sustains notes after their keys are up.")
    register("arpeggiator", "antiphon_notes.timing:Arpeggiator", "Arpeggiator: held notes in turn, on the clock.")
    register("echo", "antiphon_notes.timing:EchoNode", "Note echo: repeats notes, in time with the beat.")
    register("strum", "antiphon_notes.timing:Strum", "Strum: spreads the notes of a chord in time.")
    register("humanise", "antiphon_notes.timing:Humanise", "Humanise: small deviations of time and velocity.")
