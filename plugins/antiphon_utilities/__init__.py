"""Utilities: level, tone, echo, place, sum, meter, limit, and two sources."""

from antiphon.hookspecs import Register, hookimpl


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
