"""Reference of the words of scripts: a line and an executable example for each."""

from __future__ import annotations

import inspect
from dataclasses import dataclass

from antiphon import live
from antiphon.live.patterns.controls import ControlPattern
from antiphon.live.patterns.words.making import SIGNALS
from antiphon.live.patterns.words.table import WORDS, camel

_PAN = ("sine", "cosine", "saw", "isaw", "tri", "square", "rand", "perlin")
EXAMPLES = {
    **{name: f's("hh*8", pan={name})' for name in _PAN},
    "n": 'n("0 2", s="hh")',
    "node": 'node("echo").feedback = 0.4',
    "note": 'note("c4 e4 g4")',
    "on_level": '@on_level("in", above=-30)',
    "s": 's("bd sd:1")',
    "scale": 'note(scale("a3 minor", "0 2 4"))',
    "sing": 'sing("row your boat", "c4 d4 e4")',
    "slider": 's("hh*8", gain=slider(.5, 0, 1))',
    "track": 'track("beat", s("bd*4"))',
}
"""Examples of the words outside the table of words."""
CHAPTERS = {
    "script": "Scripts",
    "making": "Patterns of several",
    "patterns": "Changes",
    "time": "Time",
    "rhythm": "Rhythm",
    "layers": "Layers and cycles",
    "chance": "Chance",
    "picking": "Picking",
    "values": "Values and arithmetic",
    "harmony": "Notes, chords and scales",
    "samples": "Parts of sounds",
    "notes": "Values of a note",
    "signals": "Signals",
    "methods": "Others",
}
"""Titles of the groups, in their order."""


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
            if name in named or name.startswith("_") or not doc:
                continue
            spellings = tuple(dict.fromkeys((name, camel(name))))
            named.update(spellings)
            line = " ".join(doc.partition("\n\n")[0].split())
            found.append(Entry(spellings, group, line, EXAMPLES.get(name, "")))
    waves = dict.fromkeys(_PAN, "0 to 1") | dict.fromkeys(SIGNALS, "-1 to 1") | {"itri": "0 to 1", "envL": "0 to 1"}
    for name, reach in waves.items():
        if camel(name) == name:
            found.append(Entry((name,), "signals", f"A signal from {reach}.", EXAMPLES.get(name, f"{name}.segment(8)")))
    order = list(CHAPTERS)
    return sorted(found, key=lambda entry: (order.index(entry.group), entry.names[0].lower()))
