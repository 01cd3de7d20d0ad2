"""Editor completions: words of live scripts, pattern methods, scales, chords, and sound names."""

from __future__ import annotations

import inspect
import re
from functools import cache
from typing import Any

from antiphon.kernel.errors import AntiphonError
from antiphon.kernel.runtime import paths, resources
from antiphon.kernel.runtime.sound_formats import FORMATS

MOST_SOUNDS = 4000
"""Maximum names of one folder."""
_MODULE = re.compile(r"\b(?:antiphon|collections|fractions|typing|types)(?:\.\w+)*\.")
_CLASSES = frozenset({"ControlPattern", "LiveNode", "NodeNote", "Pattern", "Scale"})


@cache
def words() -> dict[str, Any]:
    """Words as JSON data: each with its name, signature and docstring.

    Returns `words`, the methods of patterns (`changes`) and of nodes (`nodes`), the names of `scales` and `chords`, and
    all words by chapter with an example (`reference`, as `antiphon words` prints them).
    """
    from antiphon import live  # when an editor asks first: a web process without one needs none of it
    from antiphon.live.reference import CHAPTERS, entries
    from antiphon.signal.scales import CHORDS, SCALES

    patterns, nodes = (
        [_word(name, value) for name, value in inspect.getmembers(kind, callable) if not name.startswith("_")]
        for kind in (live.ControlPattern, live.LiveNode)
    )
    return {
        "words": [_word(name, getattr(live, name)) for name in live.__all__ if name not in _CLASSES],
        "changes": patterns,
        "nodes": nodes,
        "scales": sorted(SCALES),
        "chords": sorted(CHORDS),
        "reference": [one.plain() for group in CHAPTERS for one in entries() if one.group == group],
    }


def _word(name: str, value: Any) -> dict[str, str]:
    if not callable(value):
        return {"name": name, "signature": "", "doc": _variable(name) or _signals().get(name, "A signal.")}
    try:
        given = inspect.signature(value)
    except (TypeError, ValueError):
        return {"name": name, "signature": "", "doc": inspect.getdoc(value) or ""}
    kept = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in given.parameters.values()]
    shown = given.replace(
        parameters=[parameter for parameter in kept if parameter.name != "self"],
        return_annotation=inspect.Signature.empty,
    )
    return {"name": name, "signature": _MODULE.sub("", str(shown)), "doc": inspect.getdoc(value) or ""}


def _signals() -> dict[str, str]:
    from antiphon.live.reference import entries

    return {entry.names[0]: entry.doc for entry in entries() if entry.group == "signals"}


def _variable(name: str) -> str:
    """Docstring below a signal's assignment, which Python does not keep with the value."""
    from antiphon.live.patterns import pattern, signals

    source = inspect.getsource(signals) + inspect.getsource(pattern)
    found = re.search(rf'^{re.escape(name)}\b[^\n]*\n"""(.*?)"""', source, re.MULTILINE | re.DOTALL)
    return " ".join(found[1].split()) if found else ""


def sound_names(library: str) -> list[str]:
    """Sorted sound names of a sampler's folder, "" for the shipped kit; empty if it cannot be read."""
    try:
        folder = paths.folder_in_library(library, "sounds") if library else resources.folder("library") / "kit"
        names = {entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")}
        names |= {entry.stem for entry in folder.iterdir() if entry.suffix.lower() in FORMATS and entry.is_file()}
    except (OSError, AntiphonError):
        return []
    return sorted(names)[:MOST_SOUNDS]
