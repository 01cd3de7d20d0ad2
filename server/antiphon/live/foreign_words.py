"""What a script gets wrong about words, as a sentence: unknown words, those of Tidal and Strudel, wrong arguments."""

from __future__ import annotations

import builtins
import inspect
import re
from collections.abc import Iterable

from antiphon import live
from antiphon.live.patterns.controls import ControlPattern
from antiphon.live.patterns.pattern import Pattern
from antiphon.live.vocabulary import LiveNode
from antiphon.runtime.suggestion import list_names, meant

_IN_A_NOTE = (
    "accelerate", "attack", "begin", "coarse", "crush", "cut", "end", "gain", "hpf", "legato", "length", "lpf", "n",
    "note", "pan", "release", "s", "shape", "slice", "speed", "sustain", "velocity", "vowel",
)  # fmt: skip
"""Values of a note, which in Tidal and Strudel are words of their own."""
_FOREIGN = {
    "almostAlways": "sometimes_by(0.9, …)", "almostNever": "sometimes_by(0.1, …)", "echoWith": "off",
    "firstOf": "every", "foldEvery": "every", "hurry": "fast(2).set(speed=2)", "layer": "superimpose",
    "loopAt": "set(beats=…)", "mul": "times", "overlay": "stack", "slowcat": "cat", "striate": "chop", "stut": "echo",
    "stutter": "ply", "stutWith": "off", "sub": "add with a number below 0", "timeCat": "timecat", "whenmod": "when",
}  # fmt: skip
"""Names of Tidal and Strudel whose like has another name here."""
_NAMES = {
    "bpm": "write tempo(120)",
    "hush": "take the tracks out and save, or send /panic, which ends all notes",
    "setcpm": "write tempo(120)",
    "setcps": "write tempo(120)",
    "slowcat": "write cat(…)",
    "sound": 'write s("bd")',
}
_TIDAL_TRACK = re.compile(r"d1?\d")
_EXAMPLES = {
    "every": "every(4, rev)",
    "node": 'node("echo").feedback = 0.4',
    "off": "off(1/8, fast(2))",
    "track": 'track("beat", s("bd*4"))',
    "on_level": '@on_level("in", above=-30)',
}
_CALL = re.compile(r"(?:\w+\.)*(\w+)\(\) (?:takes|missing|got)\b")


def of_attribute(error: AttributeError) -> str:
    """The sentence for an attribute that a pattern or a node lacks; "" where it is of something else."""
    name, owner = error.name, error.obj
    if name is None:
        return ""
    if isinstance(owner, LiveNode):
        called = object.__getattribute__(owner, "_name")
        return f'a parameter of a node is set by =, as in node("{called}").{name} = 0.5, and cannot be read or called'
    if isinstance(owner, Pattern):
        known = [word for word in dir(owner) if not word.startswith("_") and word != "events"]
        if name in _IN_A_NOTE or name == "sound":
            value = "s" if name == "sound" else name
            return f"a pattern has no word {name}: values of its notes are given by set, as in .set({value}=…)"
        return f"a pattern has no word {name}; {_suggested(name, known) or 'it has ' + list_names(known)}"
    return ""


def of_name(error: NameError) -> str:
    """The sentence for a name that is defined nowhere."""
    name = error.name
    if not name or isinstance(error, UnboundLocalError):
        return ""
    if _TIDAL_TRACK.fullmatch(name):
        return f'there is no {name} here; write track("{name}", s("bd*4"))'
    if name in _NAMES:
        return f"there is no {name} here; {_NAMES[name]}"
    known = [*live.__all__, *(word for word in dir(builtins) if word.islower() and not word.startswith("_"))]
    missing = "" if name not in live.__all__ else f"; begin the script with: from antiphon.live import {name}"
    return f"there is no {name} here{missing or _after(_suggested(name, known))}"


def of_call(error: TypeError) -> str:
    """The sentence for a word that was called with the wrong arguments; "" for another error."""
    found = _CALL.match(str(error))
    if found is None:
        return ""
    name = found[1]
    method = "." in str(error).partition("(")[0]
    word = getattr(ControlPattern, name, None) or getattr(LiveNode, name, None) if method else None
    word = word or getattr(live, name, None)
    # a function of the script's own may have the name of none of the words
    if word is None or not callable(word):
        return ""
    if name == "track":
        return f"a track has a name first, then a pattern, as in {_EXAMPLES['track']}"
    parameters = [p for p in inspect.signature(word).parameters.values() if p.name != "self"]
    written = ", ".join(_written(p) for p in parameters)
    takes = f"is written {'.' if method else ''}{name}({written})" if written else f"takes nothing: write {name}()"
    example = f", as in {_EXAMPLES[name]}" if name in _EXAMPLES else ""
    return f"{name} {takes}{example}"


def _written(parameter: inspect.Parameter) -> str:
    if parameter.kind is parameter.VAR_POSITIONAL:
        return f"{parameter.name}…"
    if parameter.kind is parameter.VAR_KEYWORD:
        return "NAME=…"
    return parameter.name if parameter.default is parameter.empty else f"{parameter.name}={parameter.default!r}"


def _suggested(name: str, known: Iterable[str]) -> str:
    """What may be meant: the like of a foreign word, or the nearest names of ours, whose words have underscores."""
    words = tuple(known)
    plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    if plain in words:
        return f"did you mean {plain}?"
    if name in _FOREIGN:
        return f"write {_FOREIGN[name]} here"
    return meant(plain, words).strip()


def _after(suggestion: str) -> str:
    return f"; {suggestion}" if suggestion else ""
