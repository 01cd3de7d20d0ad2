"""Effects: dynamics, tone, space, modulation and pitch, each a processor with its kernels."""

from antiphon.api import Register, hookimpl


@hookimpl
def antiphon_processors(register: Register) -> None:
    def effect(name: str, kind: str, doc: str, module: str = "") -> None:
        register(name, f"antiphon_effects.{module or name}:{kind}", doc)

    effect("compressor", "Compressor", "Compressor: reduces the level above a threshold; side chain for ducking.")
    effect("gate", "Gate", "Noise gate: silences what is below a threshold; with side chain.", "compressor")
    effect("eq", "Eq", "Parametric equaliser of eight bands: peak, shelf, cut, notch.")
    effect("reverb", "Reverb", "Algorithmic reverb, from a small room to a cathedral.")
    effect("drive", "Drive", "Distortion: soft or hard clipping or a wave folder, with aliases 80 dB down.")
    effect("bitcrush", "Bitcrush", "Bitcrusher: reduces bit depth and sample rate.")
    effect("tremolo", "Tremolo", "Tremolo and auto-pan: modulates the level by an LFO, free or in time with the beat.")
    effect("ringmod", "Ringmod", "Ring modulator: multiplies the sound by a sine or by another sound.", "tremolo")
    effect("width", "Width", "Stereo width by mid and side, from mono to twice as wide, with mono bass.", "tremolo")
    effect("chorus", "Chorus", "Chorus: adds delayed voices whose pitch an LFO modulates; vibrato at mix 1.", "swept")
    effect("flanger", "Flanger", "Flanger: a comb filter swept by an LFO.", "swept")
    effect("phaser", "Phaser", "Phaser: notches of an allpass chain, swept by an LFO.", "swept")
    effect("pingpong", "Pingpong", "Stereo ping-pong tape delay, in time with the beat.")
    effect(
        "convolution",
        "Convolution",
        "Convolution reverb: a room, cabinet or filter by the file of its impulse response.",
    )
    effect("transient", "Transient", "Transient shaper: more or less attack, more or less sustain.", "compressor")
    effect("pitch", "Pitch", "Pitch shifter: transposes without changing speed; keeps formants on request.")
    effect("stretch", "Stretch", "Time stretch: slower or faster without changing pitch.")
    effect("freeze", "Freeze", "Spectral freeze: sustains the sound of a moment.")
    effect("vocoder", "Vocoder", "Vocoder: gives a carrier (a synth, a saw) the spectral envelope of a voice.")
    effect("granular", "Granular", "Granular: grains of the last seconds, at other places, pitches and densities.")
    effect("stutter", "Stutter", "Stutter (beat repeat): repeats the last part of a beat, cut on the clock.")
    effect("resonator", "Resonator", "Resonator: a comb filter that rings at a note or a frequency.")
