"""The words of live scripts. A script begins by importing all of them from `antiphon.live`.

patch("pads")
tempo(124)
track("beat", s("bd*4, ~ cp, hh*8").every(4, fast(2)))

@loop(on="keys")
def bass():
    play(pick(["a2", "c3", "e3"]), length=1/2)
    yield 1/2
"""

from antiphon.live.listening import NodeNote, on_level, on_note, slider
from antiphon.live.patterns.controls import ControlPattern, mini, n, note, s, scale, silence, synth
from antiphon.live.patterns.harmony import Scale
from antiphon.live.patterns.pattern import Pattern, cat, fastcat, polymeter, pure, randcat, stack, timecat
from antiphon.live.patterns.signals import choose, cosine, irand, isaw, perlin, rand, run, saw, sine, square, tri
from antiphon.live.patterns.singing import sing
from antiphon.live.patterns.words import table as _table
from antiphon.live.patterns.words.making import SIGNALS as _SIGNALS
from antiphon.live.transitions import clutch, hush, jump, mute, solo, xfade
from antiphon.live.vocabulary import (
    LiveNode,
    beat,
    between,
    chord,
    cue,
    dialect,
    loop,
    maybe,
    memory,
    meter,
    midi_out,
    node,
    once,
    osc,
    patch,
    pick,
    play,
    sample,
    samples,
    seed,
    setcpm,
    setcps,
    stop,
    swing,
    sync,
    tempo,
    track,
    turn,
)

__all__ = [
    "ControlPattern", "LiveNode", "NodeNote", "Pattern", "Scale", "beat", "between", "cat", "choose", "chord", "clutch",
    "cosine", "cue", "dialect", "fastcat", "hush", "irand", "isaw", "jump", "loop", "maybe", "memory", "meter",
    "midi_out", "mini", "mute", "n", "node", "note", "on_level", "on_note", "once", "osc", "patch", "perlin", "pick",
    "play", "polymeter", "pure", "rand", "randcat", "run", "s", "sample", "samples", "saw", "scale", "seed", "setcpm",
    "setcps", "silence", "sine", "sing", "slider", "solo", "square", "stack", "stop", "swing", "sync", "synth", "tempo",
    "timecat", "track", "tri", "turn", "xfade",
]  # fmt: skip
_MORE = _table.export_words({name: globals()[name] for name in __all__}) | _SIGNALS
_MORE |= {"clutchIn": clutch, "jumpIn": jump, "xfadeIn": xfade, "nothing": silence, "cpm": setcpm}
globals().update(_MORE)
__all__ += list(_MORE)  # the table's words, by all their names
