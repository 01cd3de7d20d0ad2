"""The reference of the words of scripts: what each does, in a line, and an example that can be tried."""

from __future__ import annotations

import inspect
from dataclasses import dataclass

from antiphon import live
from antiphon.live.patterns.controls import ControlPattern
from antiphon.live.patterns.words.table import WORDS, camel

EXAMPLES = {
    "add": 'note("c4 e4").add("<0 7>")', "cat": 'cat(s("bd*4"), s("sd*2"))',
    "choose": 'note(choose("c4", "e4").segment(4))', "chop": 's("bd sd").chop(4)',
    "chunk": 's("bd hh sd cp").chunk(4, put(speed=2))', "cosine": 's("hh*8", pan=cosine)',
    "degrade": 's("hh*8").degrade()', "degrade_by": 's("hh*8").degrade_by(0.3)', "early": 's("bd sd").early(1/8)',
    "echo": 's("bd sd").echo(3, 1/8, 0.6)', "euclid": 's("bd").euclid(3, 8)', "every": 's("bd sd").every(4, rev)',
    "fast": 's("bd sd").fast(2)', "fastcat": 'fastcat(s("bd*4"), s("sd*2"))', "inside": 's("bd sd hh cp").inside(4, rev)',
    "irand": 'n(irand(8).segment(4), s="hh")', "isaw": 's("hh*8", pan=isaw)', "iter": 's("bd hh sd cp").iter(4)',
    "jux": 's("bd hh sd cp").jux(rev)', "jux_by": 's("bd hh sd cp").jux_by(0.5, rev)', "late": 's("bd sd").late(1/8)',
    "map": 'mini("0 2").map(lambda v: v + 60).note()', "mask": 's("hh*8").mask("1 0 1 1")', "mini": 'mini("0 2 4").note()',
    "n": 'n("0 2", s="hh")', "note": 'note("c4 e4 g4")', "off": 'note("c4 e4").off(1/8, add(7))',
    "often": 's("hh*8").often(put(speed=2))', "palindrome": 's("bd hh sd").palindrome()',
    "perlin": 's("hh*8", pan=perlin)', "ply": 's("bd sd").ply(2)',
    "polymeter": 'polymeter(4, (3, s("bd hh sd")), (2, s("cp rs")))', "pure": "note(pure(60))",
    "put": 's("hh*8").every(2, put(speed=2))', "rand": 's("hh*8", pan=rand)', "randcat": 'randcat(s("bd*4"), s("sd*2"))',
    "range": 's("hh*8", speed=sine.range(1, 2))', "rarely": 's("hh*8").rarely(put(speed=2))', "rev": 's("bd hh sd").rev()',
    "run": 'n(run(4), s="hh")', "s": 's("bd sd:1")', "saw": 's("hh*8", pan=saw)', "scale": 'note(scale("a3 minor", "0 2 4"))',
    "segment": "note(sine.range(60, 72).segment(4).round())", "set": 's("bd*4").set(gain=0.5)', "silence": "silence()",
    "sine": 's("hh*8", pan=sine)', "slow": 's("bd sd").slow(2)', "some_cycles": 's("bd*4").some_cycles(fast(2))',
    "sometimes": 's("hh*8").sometimes(put(speed=2))', "sometimes_by": 's("hh*8").sometimes_by(0.3, put(speed=2))',
    "square": 's("hh*8", pan=square)', "stack": 'stack(s("bd*4"), s("hh*8"))', "struct": 'note("c4").struct("t f t t")',
    "superimpose": 's("bd hh sd").superimpose(rev)', "swing": 's("hh*8").swing(1/3, 4)',
    "timecat": 'timecat((3, s("bd*3")), (1, s("sd")))', "times": 's("bd*4", gain=1).times(gain=0.5)',
    "tri": 's("hh*8", pan=tri)', "when": 's("bd sd").when("<1 0>", fast(2))', "within": 's("bd hh sd cp").within(0, 1/2, fast(2))',
    "track": 'track("beat", s("bd*4"))', "node": 'node("echo").feedback = 0.4', "on_level": '@on_level("in", above=-30)',
}  # fmt: skip
"""Examples of the words that are not in the table of words."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A word in the reference.

    Attributes:
        names: Its spellings.
        group: Its chapter.
        doc: What it does.
        example: An expression that can be tried; "" for words that need a script around them.
    """

    names: tuple[str, ...]
    group: str
    doc: str
    example: str


def entries() -> list[Entry]:
    """All words, by group and name; those of scripts, as `track`, are in the group script."""
    found = [Entry(word.names, word.group, word.doc, word.example) for word in WORDS.values()]
    named = {name for entry in found for name in entry.names}
    for owner, group in ((ControlPattern, "methods"), (live, "script")):
        names = live.__all__ if owner is live else dir(ControlPattern)
        for name in sorted(names, key=lambda name: ("_" not in name, name)):
            value = getattr(owner, name)
            doc = inspect.getdoc(value) if inspect.isroutine(value) else ""
            if name in named or name.startswith("_") or not doc:
                continue
            spellings = tuple(dict.fromkeys((name, camel(name))))
            named.update(spellings)
            line = " ".join(doc.partition("\n\n")[0].split())
            found.append(Entry(spellings, group, line, EXAMPLES.get(name, "")))
    return sorted(found, key=lambda entry: (entry.group, entry.names[0].lower()))
