"""Words of live scripts, and differing ones of Strudel and Tidal."""

import builtins
import tomllib
from pathlib import Path

from antiphon import live
from antiphon.live.patterns.controls import ControlPattern
from antiphon.live.patterns.pattern import Pattern
from antiphon.live.patterns.words.samples import PARTS
from antiphon.live.patterns.words.table import UNSUPPORTED_WORDS as UNSUPPORTED_WORDS, WORDS
from antiphon.paste.script import name_of

_TABLES = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
RENAMED: dict[str, str] = _TABLES["renamed"]
"""Our names of differently named words."""
STRUDEL: dict[str, str] = RENAMED | _TABLES["strudel"]
"""Our names of Strudel's words, whose scale differs from Tidal's."""
SILENT = frozenset(_TABLES["silent"]["words"])
"""Pattern words without audible effect: drawing or naming."""
SILENT_FUNCTIONS = frozenset(_TABLES["silent"]["functions"])
FUNCTIONS = frozenset(live.__all__)
SIGNALS = frozenset(name for name in live.__all__ if isinstance(getattr(live, name), Pattern))
WAVES = SIGNALS - {"rand", "rand2", "brand", "perlin"}
"""Signals sampled by Strudel at the beginning of an event."""
SETTERS = frozenset(name for word in WORDS.values() if word.group == "notes" for name in word.names)
"""Words with a single value."""
LISTED = frozenset(name for word in PARTS for name in WORDS[word].names)
"""Words with several values, joined by colons."""
BOUNDS: dict[str, tuple[float, float]] = _TABLES["bounds"]
"""Lower and upper bounds of values unbounded in Strudel."""
VALUE_NAMES = {name: word.name for word in WORDS.values() if word.group == "notes" for name in word.names}
"""Value names by each of their spellings."""
ROUTES = {name: '.set(on="phased")' for name, value in VALUE_NAMES.items() if value == "phaser"}
"""Links to the node of the patch that a value is heard through."""
METHODS = frozenset(
    name.removesuffix("_") for name in dir(ControlPattern) if not name.startswith("_") and name != "events"
)
"""Words of patterns."""
NAMELESS = METHODS - {
    "apply", "as", "bind", "chord", "freq", "inner_bind", "innerBind", "n", "note", "root_notes", "rootNotes", "s",
    "scale", "set", "sound", "stack", "synth", "voicing", "voicings",
}  # fmt: skip
"""Words after which a text of numbers and words still has no sound."""
TUPLES = frozenset({"arrange", "timeCat", "timecat", "stepcat", "wchoose", "wrandcat", "wchooseCycles", "polymeter"})
PATTERN_FUNCTIONS = frozenset(
    {"stack", "cat", "fastcat", "slowcat", "seq", "sequence", "randcat", "polymeter", "choose", "chooseCycles"}
)
RESERVED = frozenset(dir(builtins)) | {"math", "everything", "play_all", "pattern_"}
"""Reserved names, not available to a program's own."""


def own_name(name: str) -> str:
    """Name of the program, distinct from the words of live scripts and of Python."""
    plain = name_of(name).lstrip("_") or "own"
    return f"{plain}_" if name in FUNCTIONS or plain in RESERVED or plain[:6] == "change" else plain
