"""One request for what comes next, of the command line, of HTTP and of OSC: signals in, tracks out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from antiphon.api import UsageError
from antiphon.api.backends.files import printable_path
from antiphon.api.backends.runtime import is_finite_number, shorten
from antiphon_library.catalogue import Catalogue
from antiphon_library.records import SUMMARY
from antiphon_library.taste.choosing import LONGEST, TrackTable, playlist

MOST_FILES = 200
"""Signals of one request."""


@dataclass(frozen=True, slots=True)
class NextRequest:
    """A request for the next tracks, after the file that was played; signals are (file, kind), which are stored."""

    count: int = 1
    after: bytes | None = None
    signals: tuple[tuple[bytes, str], ...] = ()


def next_summaries(catalogue: Catalogue, request: NextRequest, table: TrackTable | None = None) -> list[dict[str, Any]]:
    """Stores the signals of a request, and chooses.

    For each track its summary, its `id`, its `score`, which is the expected signal, and `why`, reasons in words; the
    next one first. `table`: the catalogue's tracks where they are in memory already.

    Raises:
        UsageError: A file is not in the catalogue, or cannot be read, or there is nothing to choose from.
    """
    table = TrackTable.load(catalogue.taste) if table is None else table
    if not table.rows:
        raise UsageError(f"the library {catalogue.path} holds no sound; `antiphon library add FOLDER` adds some")
    if all(row.id in table.samples for row in table.rows):
        raise UsageError(f"the library {catalogue.path} holds only loops and one-shots, and `next` is for tracks")
    given = [(catalogue_id(catalogue, path), kind) for path, kind in request.signals]
    after = None if request.after is None else catalogue_id(catalogue, request.after)
    new = given if after is None else [*given, (after, "play")]
    if new:
        catalogue.taste.put_signals(new)
    chosen = playlist(table, catalogue.taste.signals(), request.count, after)
    found = []
    for choice in chosen:
        row = next(iter(catalogue.rows(path=choice.row.path, only=SUMMARY)))
        why = [choice.why] if choice.why else []
        found.append({**row.summary(), "id": choice.row.id, "score": round(choice.score, 4), "why": why})
    return found


def catalogue_id(catalogue: Catalogue, path: bytes) -> int:
    """The number of a file's sound; `UsageError` where there is none."""
    sound = catalogue.taste.sound_of_file(path)
    if sound is None:
        name = shorten(printable_path(os.fsdecode(path)), 120)
        raise UsageError(
            f"the library {catalogue.path} has no sound of {name}; `antiphon library list` shows what it has"
        )
    return sound


def request_of(catalogue: Catalogue, data: object) -> NextRequest:
    """A request from JSON: {"count": 5, "after": FILE, "like": FILE or [FILE, …], "skip": …, "dislike": …}.

    A file is a path, or the number that the map and `next` give as `id`.

    Raises:
        UsageError: It is something else.
    """
    known = ("count", "after", "like", "skip", "dislike")
    if not isinstance(data, Mapping) or set(data) - set(known):
        raise UsageError(f"what comes next is asked for by an object with any of {', '.join(known)}")
    count = data.get("count", 1)
    if not is_finite_number(count) or count != int(count) or not 1 <= count <= LONGEST:
        raise UsageError(f"count is a whole number from 1 to {LONGEST}")
    signals: list[tuple[bytes, str]] = []
    for kind in ("like", "skip", "dislike"):
        files = data.get(kind, [])
        signals += [(file_of(catalogue, file), kind) for file in (files if isinstance(files, list) else [files])]
        if len(signals) > MOST_FILES:
            raise UsageError(f"a request has at most {MOST_FILES} files")
    after = data.get("after")
    return NextRequest(int(count), None if after is None else file_of(catalogue, after), tuple(signals))


def file_of(catalogue: Catalogue, given: object) -> bytes:
    """The path of a file, from a path or a track's number; `UsageError` for anything else."""
    if isinstance(given, str) and "\0" not in given:
        try:
            return os.fsencode(given)
        except UnicodeError:
            raise UsageError("a file is a path in UTF-8, or a track's number") from None
    if isinstance(given, int) and not isinstance(given, bool):
        path = catalogue.taste.file_of_sound(given)
        if path is None:
            raise UsageError(f"the library has no track {shorten(str(given), 20)}")
        return path
    raise UsageError("a file is a path, or a track's number")
