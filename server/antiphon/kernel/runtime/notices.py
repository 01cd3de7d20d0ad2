"""What a reader of files meets and does not use: one record, one sentence, in the closing line of each command.

Every reader of a file in a format of others opens `reading_file(KIND, FILE)` and calls `notice` for whatever it
recognises and does not use, does not know (once, with a count), or has to mend:

    with reading_file("a MIDI file", path):
        notice("lyric", count=12)
        notice("chunk", place="XFIH", manner="unknown")
        notice("channels 3 and 4", count=0)

Operations collect the notices (`collect`), and the line of the file that they write ends with `without 12 lyrics, 1
unknown chunk (XFIH) and channels 3 and 4 of IN`; so do Python's `Result.said`, the answer of a job by HTTP and the
page. Outside an operation, as in a server, they are one warning in the log, once per file. Readers in other processes
send their notices as data (`Notice.plain`). A test walks over all kinds of `reading_file` and gives each a file with
something made up.
"""

from __future__ import annotations

import functools
import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal, TypeAlias

from antiphon.kernel.runtime.shortening import count_of, escape_unprintable, shorten
from antiphon.kernel.runtime.terms import spell

log = logging.getLogger("antiphon.files")
Manner: TypeAlias = Literal["unused", "beside", "unknown", "mended"]
MAX_PLACES, MAX_PLACE = 4, 40
"""Maximum number of places that are named for one kind of thing, and maximum characters of each."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something in a file that its reader does not use, does not know, or has mended.

    Attributes:
        what: A noun, in the singular where it is counted: "chapter"; else as it is read: "channels 3 and 4".
        count: How many; 0 where nothing is counted.
        place: Where, or which: "at 3.020 s", "XFIH"; "" for none.
        manner: "unused" where the reader knows what it is; "beside" where it does not touch what is read, as a cover,
            which only a written file may lack; "unknown"; or "mended": used, and not as it was.
    """

    what: str
    count: int = 1
    place: str = ""
    manner: Manner = "unused"

    @property
    def plain(self) -> list[str | int]:
        """The notice as data for another process, in the order of its fields."""
        return [self.what, self.count, self.place, self.manner]


class Notices:
    """Notices of the files that an operation reads, each once however often its file is read."""

    def __init__(self) -> None:
        self._files: dict[str, dict[Notice, int]] = {}

    def add(self, name: str, found: dict[Notice, int]) -> None:
        """Adds the notices of one reading of a file, each with its total count."""
        held = self._files.setdefault(name, {})
        for one, count in found.items():
            held[one] = max(held.get(one, 0), count)

    def take(self, source: str = "", carried: Iterable[str] = (), *, beside: bool = True) -> tuple[str, ...]:
        """Returns the notices as phrases, a file each, and forgets them.

        `source`: the name of the file called IN. `carried`: what the written file has of them, by `Notice.what`, one
        each. `beside`: whether those are included that do not touch what is read.
        """
        files, self._files = self._files, {}
        phrases = []
        for name, found in files.items():
            kept = _without(found, Counter(carried))
            if text := _phrase(kept if beside else _touching(kept)):
                phrases.append(f"{text} of {spell('source') if name == source else os.path.basename(name)}")
        return tuple(phrases)


def _without(found: dict[Notice, int], carried: Counter[str]) -> dict[Notice, int]:
    """The notices without what was carried, each once for each time that it is named there."""
    left: dict[Notice, int] = {}
    for one, count in found.items():
        taken = min(count, carried[one.what])
        carried[one.what] -= taken
        if count > taken or (not count and not carried[one.what]):
            left[one] = count - taken
    return left


_collected: ContextVar[Notices | None] = ContextVar("collected", default=None)
_met: ContextVar[dict[Notice, int] | None] = ContextVar("met", default=None)


@contextmanager
def collect() -> Iterator[Notices]:
    """Context in which notices are collected, in this thread and in those that inherit its context."""
    found = Notices()
    token = _collected.set(found)
    try:
        yield found
    finally:
        _collected.reset(token)


@contextmanager
def reading_file(kind: str, file: str | os.PathLike[str]) -> Iterator[None]:
    """Context of a reader, whose notices are of one file. `kind`: as in "a MIDI file"; `file`: its path, or name."""
    name = escape_unprintable(os.fspath(file))
    met: dict[Notice, int] = {}
    token = _met.set(met)
    try:
        yield
    finally:
        _met.reset(token)
        if met and (found := _collected.get()) is not None:
            found.add(name, met)
        elif text := _phrase(_touching(met)):
            _log(name, text)


def notice(what: str, count: int = 1, place: str = "", manner: Manner = "unused") -> None:
    """Notes what the present reader does not use, does not know or has mended; see `Notice`. Equal ones add up."""
    met = _met.get()
    assert met is not None, "no reader is at work: open `reading_file` around it"
    one = Notice(what, min(count, 1), shorten(escape_unprintable(place), MAX_PLACE), manner)
    met[one] = met.get(one, 0) + count


def _touching(found: dict[Notice, int]) -> dict[Notice, int]:
    return {one: count for one, count in found.items() if one.manner != "beside"}


def _phrase(found: dict[Notice, int]) -> str:
    """The notices of one file: "without 3 chapters and 1 unknown chunk (XFIH), with 1 gap (1.0 s at 3.0 s)"."""
    groups: dict[tuple[str, Manner], tuple[int, list[str]]] = {}
    for one, count in found.items():
        total, places = groups.setdefault((one.what, one.manner), (0, []))
        groups[one.what, one.manner] = total + count, places + [one.place] * bool(one.place)
    without, mended = list[str](), list[str]()
    for (what, manner), (total, places) in groups.items():
        text = count_of(total, f"unknown {what}" if manner == "unknown" else what) if total else what
        more = ", …" * (len(places) > MAX_PLACES)
        (mended if manner == "mended" else without).append(
            f"{text} ({', '.join(places[:MAX_PLACES])}{more})" if places else text
        )
    return ", ".join(f"{word} {_enumerated(each)}" for word, each in (("without", without), ("with", mended)) if each)


def _enumerated(words: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


@functools.lru_cache(4096)
def _log(name: str, phrase: str) -> None:
    """Logs the notices of a file once, however often it is read."""
    log.warning("%s is read %s", name, phrase)
