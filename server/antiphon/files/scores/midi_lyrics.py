"""Lyrics of MIDI files: events of lyrics (FF 05), or karaoke texts (FF 01), as syllables of words."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from antiphon.signal.lyrics import sung_letters

Lyrics = tuple[tuple[float, str], ...]
"""(beat, syllable) in order; a syllable within a word ends with a hyphen, and a hyphen alone holds the one before."""
_TAG = re.compile(r"\{[^{}]*\}")
"""Braces around what is said of the song, as {@LATIN}."""
_BREAKS = re.compile(r"[\r\n/\\]")
"""Ends of lines and verses in a text, of which karaoke files have / and \\ before a line's first syllable."""
_REACH = 0.06
"""Maximum beats between a text and its note."""


def lyrics_of(tracks: Sequence[Sequence[Any]], ticks: int) -> list[Lyrics]:
    """Lyrics of each track: of the kind of event that has more words in the file, FF 05 of two that have as many.

    `tracks`: mido's messages. `ticks`: of a beat.
    """
    starts = [_note_starts(track) for track in tracks]
    every = sorted({at for own in starts for at in own})
    kinds = [
        [_read(track, own or every, ticks, kind) for track, own in zip(tracks, starts, strict=True)]
        for kind in ("lyrics", "text")
    ]
    return max(kinds, key=lambda read: sum(map(len, read)))


def _note_starts(track: Sequence[Any]) -> list[int]:
    at, found = 0, []
    for message in track:
        at += message.time
        if message.type == "note_on" and message.velocity:
            found.append(at)
    return found


def _read(track: Sequence[Any], starts: Sequence[int], ticks: int, kind: str) -> Lyrics:
    """Lyrics of a track in events of a kind; of "text" those from the first that begins a line on."""
    at, found = 0, list[tuple[int, str]]()
    begun = kind == "lyrics"
    for message in track:
        at += message.time
        if message.type != kind or message.text.startswith("@"):
            continue
        text = _TAG.sub("", message.text)
        begun = begun or text[:1] in ("/", "\\")
        if begun and text.strip("\r\n/\\"):
            found.append((at, text))
        elif begun and text and found:
            found[-1] = found[-1][0], f"{found[-1][1]}\n"  # a line's end by itself
    spaced = any(text.strip(" ") != text for _, text in found)
    texts = [(at, _BREAKS.sub(" ", text)) for at, text in found]
    result = []
    for (begin, text), (end, after) in pairwise([*texts, (0, " ")]):
        whole = not spaced or text.endswith(" ") or after.startswith(" ")
        if kind == "text" and not whole:
            # without a hyphen, a syllable over several notes is its word's last
            reach = _REACH * ticks
            whole = bisect_right(starts, begin + reach) < bisect_left(starts, end - reach)
        bare = sung_letters(text, "-_").replace("_", "-")
        goes_on = text.endswith("-") or not whole
        result.append((begin / ticks, "-" if not bare.strip("-") else bare.rstrip("-") + "-" * goes_on))
    return tuple(result)
