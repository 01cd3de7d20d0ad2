"""Utilities: gain, pan, mixer, filter, delay, limiter, meter, tuner, LFO, follower, tone, click, metronome, looper."""

from antiphon.api import Register, hookimpl


@hookimpl
def antiphon_processors(register: Register) -> None:
    register("gain", "antiphon_utilities.mix:Gain", "Gain: makes the sound louder or softer.")
    register("filter", "antiphon_utilities.filter:Filter", "Filter: low-pass, high-pass, band-pass or notch.")
    register("delay", "antiphon_utilities.delay:Delay", "Delay (echo) with feedback.")
    register("pan", "antiphon_utilities.mix:Pan", "Pan: between left and right at equal power.")
    register("mix", "antiphon_utilities.mix:Mix", "Mixer: adds up to four sounds, each at its level.")
    register("meter", "antiphon_utilities.modulators:Meter", "Level meter: passes the sound and reports peak and RMS.")
    register("limiter", "antiphon_utilities.limiter:Limiter", "Look-ahead limiter: keeps peaks below a ceiling.")
    register("click", "antiphon_utilities.tone:Click", "Makes a click at the exact sample of its trigger.")
    register("tone", "antiphon_utilities.tone:Tone", "Test tone: a sine or noise, for patches without an input.")
    register("metronome", "antiphon_utilities.metronome:Metronome", "Metronome: adds a click on the beats.")
    register("looper", "antiphon_utilities.looper:Looper", "Records a loop and plays it, with more on top.")
    register(
        "tuner",
        "antiphon_utilities.tuner:Tuner",
        "Tuner: passes the sound and reports its note and the deviation in cents.",
    )
    register("lfo", "antiphon_utilities.modulators:Lfo", "LFO: modulates a parameter, free or in time with the beat.")
    register(
        "follower",
        "antiphon_utilities.modulators:EnvelopeFollower",
        "Envelope follower: modulates a parameter by the level of its input.",
    )
