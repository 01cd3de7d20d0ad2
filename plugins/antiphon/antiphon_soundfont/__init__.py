"""General MIDI through FluidSynth: the node `soundfont`, and the synth backend of that name."""

from antiphon.api import Register, hookimpl


@hookimpl
def antiphon_processors(register: Register) -> None:
    """Registers `soundfont`."""
    register(
        "soundfont",
        "antiphon_soundfont.processor:Soundfont",
        "Plays notes by a soundfont: General MIDI's instruments, by program, and drums on channel 10.",
    )


@hookimpl
def antiphon_synths(register: Register) -> None:
    """Registers `soundfont`."""
    register("soundfont", "antiphon_soundfont.info:soundfont", "FluidSynth and a General MIDI soundfont.")
