"""The words of a live script: a script begins by importing all of them from `antiphon.live`.

patch("pads")
tempo(124)
track("beat", s("bd*4, ~ cp, hh*8").every(4, fast(2)))

@loop(on="keys")
def bass():
    play(pick(["a2", "c3", "e3"]), length=1/2)
    yield 1/2
"""

from antiphon.live.listening import NodeNote, on_level, on_note
from antiphon.live.patterns.changes import (
    add,
    chop,
    degrade,
    degrade_by,
    early,
    echo,
    euclid,
    every,
    fast,
    late,
    mask,
    off,
    palindrome,
    ply,
    put,
    rev,
    slow,
    struct,
)
from antiphon.live.patterns.controls import ControlPattern, mini, n, note, s, scale
from antiphon.live.patterns.harmony import Scale
from antiphon.live.patterns.pattern import Pattern, cat, fastcat, polymeter, pure, randcat, silence, stack, timecat
from antiphon.live.patterns.signals import choose, cosine, irand, isaw, perlin, rand, run, saw, sine, square, tri
from antiphon.live.patterns.singing import sing
from antiphon.live.vocabulary import (
    LiveNode,
    beat,
    between,
    chord,
    cue,
    loop,
    maybe,
    memory,
    meter,
    node,
    once,
    patch,
    pick,
    play,
    sample,
    seed,
    stop,
    swing,
    sync,
    tempo,
    track,
    turn,
)

__all__ = [
    "ControlPattern", "LiveNode", "NodeNote", "Pattern", "Scale", "add", "beat", "between", "cat", "choose", "chop",
    "chord", "cosine", "cue", "degrade", "degrade_by", "early", "echo", "euclid", "every", "fast", "fastcat", "irand",
    "isaw", "late", "loop", "mask", "maybe", "memory", "meter", "mini", "n", "node", "note", "off", "on_level",
    "on_note", "once", "palindrome", "patch", "perlin", "pick", "play", "ply", "polymeter", "pure", "put", "rand",
    "randcat", "rev", "run", "s", "sample", "saw", "scale", "seed", "silence", "sine", "sing", "slow", "square",
    "stack", "stop", "struct", "swing", "sync", "tempo", "timecat", "track", "tri", "turn",
]  # fmt: skip
