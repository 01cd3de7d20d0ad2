"""Effects: dynamics, tone, space, modulation and pitch, each a processor with kernels of its own."""

from antiphon.api import Register, hookimpl


@hookimpl
def antiphon_processors(register: Register) -> None:
    def effect(name: str, kind: str, doc: str) -> None:
        register(name, f"antiphon_effects.{name}:{kind}", doc)

    effect("compressor", "Compressor", "Turns loud sound down, by its own level or by another sound's.")
    effect("gate", "Gate", "Silences what is below a level.")
    effect("eq", "Eq", "Eight bands: peaks, shelves, cuts, notches.")
    effect("reverb", "Reverb", "Puts it into a room.")
    effect("drive", "Drive", "Distorts, with aliases 80 dB down.")
    effect("bitcrush", "Bitcrush", "Fewer bits, fewer samples.")
    effect("tremolo", "Tremolo", "Louder and softer, over and over, or from side to side.")
    effect("ringmod", "Ringmod", "Multiplies it with a sine or another sound.")
    effect("width", "Width", "From mono to twice as wide.")
    effect("chorus", "Chorus", "Makes several of it that drift in pitch.")
    effect("flanger", "Flanger", "Moves a comb of notches through it.")
    effect("phaser", "Phaser", "Moves a few notches through it.")
    effect("pingpong", "Pingpong", "A tape echo on the clock, from side to side.")
    effect("convolution", "Convolution", "Gives it the room whose answer to an impulse is in a file.")
    effect("transient", "Transient", "More or less attack, more or less sustain.")
    effect("pitch", "Pitch", "Higher or lower, at the same speed.")
    effect("stretch", "Stretch", "Slower or faster, at the same pitch.")
    effect("freeze", "Freeze", "Holds the sound of a moment.")
    effect("vocoder", "Vocoder", "Makes another sound speak as it does.")
