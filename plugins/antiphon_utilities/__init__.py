"""Utilities: level, tone, echo, place, sum, meter, limit, two sources, a looper, and what a stage needs besides."""

from antiphon.api import Register, hookimpl


@hookimpl
def antiphon_processors(register: Register) -> None:
    register("gain", "antiphon_utilities.gain:Gain", "Makes it louder or softer.")
    register("filter", "antiphon_utilities.filter:Filter", "Takes away the highs, the lows, or a band.")
    register("delay", "antiphon_utilities.delay:Delay", "Repeats it after a time, softer each time.")
    register("pan", "antiphon_utilities.pan:Pan", "Places it between left and right at equal power.")
    register("mix", "antiphon_utilities.mix:Mix", "Adds up to four sounds, each at its level.")
    register("meter", "antiphon_utilities.meter:Meter", "Passes the sound and reports how loud it is.")
    register("limiter", "antiphon_utilities.limiter:Limiter", "Holds peaks below a ceiling, looking ahead.")
    register("click", "antiphon_utilities.click:Click", "Makes a click at the exact sample it is fired.")
    register("tone", "antiphon_utilities.tone:Tone", "Makes a sine or noise, for patches without an input.")
    register("metronome", "antiphon_utilities.metronome:Metronome", "Adds a click on the clock's beats.")
    register("looper", "antiphon_utilities.looper:Looper", "Records a loop and plays it, with more on top.")
    register("tuner", "antiphon_utilities.tuner:Tuner", "Passes the sound and reports its note and how far off it is.")
    register("lfo", "antiphon_utilities.lfo:Lfo", "Turns a parameter slowly to and fro, by its rate or by the clock.")
    register("follower", "antiphon_utilities.follower:EnvelopeFollower", "Turns a parameter by how loud its input is.")
