"""What the catalogue says of a file, as plain data."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from antiphon.api.backends.files import printable_path
from antiphon.api.backends.runtime import composed
from antiphon_library.kinds import QUANTITIES, findings

SUMMARY = (*QUANTITIES, "loudness")
"""The quantities of a summary."""


@dataclass(frozen=True, slots=True)
class FileState:
    """A file as its folder shows it; `mtime` in nanoseconds since 1970."""

    size: int
    mtime: int


@dataclass(frozen=True, slots=True)
class SoundIdentity:
    """What is heard of a file, whatever its name and its tags; `duration` in seconds."""

    digest: str
    duration: float
    rate: int
    channels: int


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file's row. `sound` is None for a bad file, whose `problem` says why; `digest` is of its bytes, else ""."""

    path: bytes
    state: FileState
    digest: str
    sound: SoundIdentity | None
    tags: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""


BY_A_PERSON = " user"
"""How the name of an analysis's variant (`name variant`) ends that a person stated; others are a file's own words."""


@dataclass(frozen=True, slots=True)
class CatalogueRow:
    """A file with all that is known of its sound.

    A bad file has a `problem`, and neither duration (s), rate nor channels. `missing`: it was there, and is not any
    more. `results`: by analysis (version, values or None, problem).
    """

    path: bytes
    duration: float | None
    rate: int | None
    channels: int | None
    tags: Mapping[str, str]
    problem: str
    missing: bool
    results: Mapping[str, tuple[int, Mapping[str, Any] | None, str]]

    @property
    def values(self) -> dict[str, Any]:
        """By quantity its value, of all analyses; what a person says of a sound before what is found in it, and that
        before what the name of one of its files says.
        """
        last = sorted(self.results, key=lambda name: (name.endswith(BY_A_PERSON), " " not in name))
        return {name: value for each in last for name, value in (self.results[each][1] or {}).items()}

    def summary(self) -> dict[str, Any]:
        """What lists show: path, duration, title, artist, album, genre, `findings`, loudness, and what is wrong."""
        values = self.values
        tags = {name: self.tags.get(name) for name in ("title", "artist", "album", "genre")}
        found = {**findings(self.duration, values), "loudness": values.get("loudness")}
        wrong = {"problem": self.problem or None, "missing": self.missing}
        return {"path": printable_path(os.fsdecode(self.path)), "duration": self.duration, **tags, **found, **wrong}

    def full(self) -> dict[str, Any]:
        """All of it: the summary, rate, channels, tags, and each analysis with its version."""
        analyses = {
            name: {"version": version, "values": values, "problem": problem or None}
            for name, (version, values, problem) in sorted(self.results.items())
        }
        more = {"rate": self.rate, "channels": self.channels, "tags": dict(self.tags), "analyses": analyses}
        return {**self.summary(), **more}


def words_of(path: bytes, tags: Mapping[str, str]) -> str:
    """The text that a search looks in: path and tags, without regard to case, accents composed."""
    return composed("\n".join([printable_path(os.fsdecode(path)), *tags.values()]).casefold())


def json_of(value: Any) -> str:
    """Compact JSON for a column."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
