"""Reference of the words of scripts: a line and an executable example for each."""

import inspect
from dataclasses import dataclass

from antiphon import live
from antiphon.live.patterns.controls import ControlPattern
from antiphon.live.patterns.words.making import SIGNALS
from antiphon.live.patterns.words.table import WORDS, to_camel_case

_PAN = ("sine", "cosine", "saw", "isaw", "tri", "square", "rand", "perlin")
EXAMPLES = {
    **{name: f's("hh*8", pan={name})' for name in _PAN},
    "between": "note(between(48, 60))",
    "clutch": 'clutch("kick", "bd*8", 4)',
    "dialect": 'dialect("tidal")',
    "cue": '@loop(every=8)\ndef drop():\n    cue("drop")',
    "jump": 'jump("kick", "bd*8", 4)',
    "maybe": 's("cp*2" if maybe(0.3) else "~ cp")',
    "memory": '@loop(on="bell")\ndef rise():\n    my = memory(step=0)\n    my.step += 1\n'
    "    play(60 + my.step % 12)\n    yield 1",
    "meter": "meter(3)",
    "midi_out": 'midi_out("synth", "0 64 127", cc=74)',
    "mute": 'mute("hats")',
    "n": 'n("0 2", s="hh")',
    "node": 'node("echo").feedback = 0.4',
    "note": 'note("c4 e4 g4")',
    "on_level": '@on_level("in", above=-30)\ndef loud():\n    sample("cp")',
    "on_note": '@on_note("ear", on="harp")\ndef answer(note, velocity):\n    play(note + 12)',
    "once": '@loop(every=8)\ndef fill():\n    once("sn*8", beats=2)',
    "osc": 'osc("127.0.0.1:9000", "/light", "1 0")',
    "patch": 'patch("band")',
    "play": '@loop(on="bell")\ndef bells():\n    play(chord("a4 minor"), length=2)\n    yield 4',
    "s": 's("bd sd:1")',
    "sample": '@loop(every=4)\ndef clap():\n    sample("cp", gain=0.5, at=2)',
    "samples": 'samples("mysamples")',
    "scale": 'note(scale("a3 minor", "0 2 4"))',
    "seed": "seed(3)",
    "setcpm": "setcpm(30)",
    "setcps": "setcps(0.5)",
    "sing": 'track("voice", sing("row your boat", "c4 d4 e4"), on="cantor")',
    "slider": 's("hh*8", gain=slider(.5, 0, 1))',
    "solo": 'solo("kick")',
    "stop": '@loop\ndef four():\n    play("a4", on="bell")\n    yield 1\n    if turn() == 3:\n        stop()',
    "sync": '@loop\ndef answer():\n    yield sync("drop")\n    sample("cp")',
    "tempo": "tempo(124)",
    "track": 'track("beat", s("bd*4"))',
    "turn": '@loop(on="bell")\ndef tune():\n    play(["a4", "c5", "e5"][turn() % 3])\n    yield 1',
    "xfade": 'xfade("kick", "bd*8", 4)',
}
"""Examples of the words outside the table of words; they run at the end of the text with which the page begins."""
PATCHES = {"on_note": "garden", "sing": "cantor", "synth": "keys"}
"""Patches in which an example runs, if not that of the text."""
CHAPTERS = {
    "script": "Scripts", "making": "Patterns of several", "patterns": "Changes", "time": "Time", "rhythm": "Rhythm",
    "layers": "Layers and cycles", "chance": "Chance", "picking": "Picking", "values": "Values and arithmetic",
    "harmony": "Notes, chords and scales", "samples": "Parts of sounds", "notes": "Values of a note",
    "signals": "Signals", "methods": "Others",
}  # fmt: skip
"""Titles of the groups, in their order."""
FIRST = (
    "track", "s", "note", "n", "chords", "scale", "stack", "cat", "node", "tempo", "patch", "loop", "play", "sample",
)  # fmt: skip
"""Words with which a script begins: they lead their chapter."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Reference entry of a word; `example` is "" for one that needs a script around it."""

    names: tuple[str, ...]
    group: str
    doc: str
    example: str

    def plain(self) -> dict[str, object]:
        """JSON data, with the title of its chapter as `group`."""
        return {"names": list(self.names), "group": CHAPTERS[self.group], "doc": self.doc, "example": self.example}


def entries() -> list[Entry]:
    """All words, by chapter and name; those of scripts, such as `track`, come first."""
    found = [Entry(word.names, word.group, word.doc, word.example) for word in WORDS.values()]
    named = {name for entry in found for name in entry.names}
    for owner, group in ((ControlPattern, "methods"), (live, "script")):
        names = live.__all__ if owner is live else dir(ControlPattern)
        for name in sorted(names, key=lambda name: ("_" not in name, name)):
            value = getattr(owner, name)
            doc = inspect.getdoc(value) if inspect.isroutine(value) else ""
            if name in named or name.startswith("_") or name == "query" or not doc:
                continue
            same = [other for other in names if owner is live and getattr(owner, other) is value]
            spellings = tuple(dict.fromkeys((name, to_camel_case(name), *same)))
            named.update(spellings)
            line = " ".join(doc.partition("\n\n")[0].split())
            found.append(Entry(spellings, group, line, EXAMPLES.get(name, "")))
    waves = dict.fromkeys(_PAN, "0 to 1") | dict.fromkeys(SIGNALS, "-1 to 1") | {"itri": "0 to 1", "envL": "0 to 1"}
    for name, reach in waves.items():
        if to_camel_case(name) == name:
            found.append(Entry((name,), "signals", f"A signal from {reach}.", EXAMPLES.get(name, f"{name}.segment(8)")))
    order = list(CHAPTERS)
    first = {name: place for place, name in enumerate(FIRST)}

    def place(entry: Entry) -> tuple[int, int, str]:
        return order.index(entry.group), first.get(entry.names[0], len(first)), entry.names[0].lower()

    return sorted(found, key=place)
