"""Catalogue records of files as plain data, and the classification of sounds by kind."""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from antiphon.api.backends.runtime import composed

KINDS = ("loop", "one-shot", "song", "excerpt", "voice", "speech", "ambience")
"""Kinds of sounds. An excerpt is music too short for a song, or without tempo or key; a voice is solo singing."""
QUANTITIES = (
    "tempo",
    "tempo_confidence",
    "key",
    "key_confidence",
    "loop_bpm",
    "loop_tempo_sure",
    "loop_key",
    "loop_key_sure",
    "loop_confidence",
    "loop_ending",
    "no_loop",
    "content",
    "content_sure",
    "speechiness",
    "instrumentalness",
)
LIKELY, LIKELY_LOOP, LIKELY_KEY = 0.5, 0.3, 0.25
"""Minimum confidence of a tempo, a loop, and a song's key. The card of the plugin `listen` has the figures."""
SURE_TEMPO, MAX_OCTAVE_DEVIATION = 0.7, 0.03
"""Minimum confidence of a tempo that decides the octave of a loop's tempo below `LIKELY`, and maximum deviation from an
octave, in octaves."""
MIN_SHOWN_CONFIDENCE = {"tempo": 0.3, "key": 0.5}
"""Minimum confidence of a displayed tempo or key; at least four in five of those above it are right."""
SPOKEN, PLAYED = 0.9, 0.9
"""Minimum speechiness at which noise counts as speech, and minimum instrumentalness at which a voice counts as noise:
no noise of 36 reaches the first, no singer the second."""
SHORTEST_LOOP, MAX_LOOP, MAX_SHOT, SHORTEST_SONG = 1.0, 60.0, 12.0, 20.0
"""Length limits of kinds, in seconds."""
DECAYED, NO_LOOP = -12.0, -20.0
"""Level thresholds of the last quarter, in dB below the loudest: below the first a sound that is no loop has faded out,
below the second nothing is a loop."""


UNHEARD = dict.fromkeys(("content", "speechiness", "instrumentalness"))
"""Values of a sound for a kind that is provisional while `genre` and `character` are pending."""


def findings(duration: float | None, values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns kind, one of `KINDS`, tempo (bpm) and key ("A minor") of a sound, each with its confidence, 0 to 1.

    A value is None if unknown or below `MIN_SHOWN_CONFIDENCE`. The kind is known once all quantities that decide it
    are: a quantity missing in `values` has not been analysed, a quantity of None has. A loop's tempo and key come from
    `loop`, whose length is whole bars, with the tempo in the sure octave; while the kind is unknown, the surer ones.

    `duration`: seconds; None for a bad file. `values`: results of analyses by quantity.
    """
    kind, certain = _kind(duration, values)
    tempo, key = ((values.get(name), values.get(f"{name}_confidence")) for name in ("tempo", "key"))
    unknown = (duration or 0.0) >= SHORTEST_LOOP and not _heard(values)
    if kind == "loop":
        of_loop = _loop_tempo(values, tempo, certain or 0.0)
        tempo = max(tempo, of_loop, key=_confidence) if unknown else of_loop
        if values.get("loop_key"):
            of_loop = values.get("loop_key"), values.get("loop_key_sure") or 0.0
            key = max(key, of_loop, key=_confidence) if unknown else of_loop
    if unknown:
        kind, certain = None, None
    found: dict[str, Any] = {}
    for name, (value, confidence) in {"tempo": tempo, "key": key, "kind": (kind, certain)}.items():
        if (confidence or 0.0) < MIN_SHOWN_CONFIDENCE.get(name, 0.0):
            value = None
        elif name == "key" and value:
            from antiphon.api.backends.signal import key_name  # with numpy, which a list of commands does without

            value = key_name(value)
        found |= {name: value, f"{name}_confidence": None if value is None else confidence}
    return found


def _loop_tempo(
    values: Mapping[str, Any], tempo: tuple[Any, float | None], certain: float
) -> tuple[float | None, float]:
    """Tempo of a loop, and its confidence, at most `certain`."""
    bpm, sure = values.get("loop_bpm"), values.get("loop_tempo_sure") or 0.0
    if bpm and tempo[0] and sure < LIKELY and _confidence(tempo) >= SURE_TEMPO:
        octaves = math.log2(tempo[0] / bpm)
        if abs(octaves - round(octaves)) <= MAX_OCTAVE_DEVIATION:
            bpm, sure = bpm * 2.0 ** round(octaves), _confidence(tempo)
    return bpm, min(certain, sure)


def _confidence(found: tuple[Any, float | None]) -> float:
    return found[1] or 0.0


def _kind(duration: float | None, values: Mapping[str, Any]) -> tuple[str | None, float | None]:
    known = {name for name, value in values.items() if value is not None}
    if duration is None or (duration <= MAX_LOOP and not known & {"loop_confidence", "no_loop"}):
        return None, None
    loop, tempo, key = (values.get(f"{name}_confidence") or 0.0 for name in ("loop", "tempo", "key"))
    ending, (content, sure) = values.get("loop_ending"), _content(values)
    if (ending is not None and ending < NO_LOOP) or content in ("speech", "voice"):
        loop = 0.0
    if loop >= LIKELY_LOOP:
        return "loop", loop
    if content == "speech" and duration >= SHORTEST_LOOP:
        return content, sure
    if ending is not None and (duration < SHORTEST_LOOP or (duration <= MAX_SHOT and ending < DECAYED)):
        return "one-shot", round(1.0 - loop, 4)
    if content in ("speech", "voice"):
        return content, sure
    if duration >= SHORTEST_SONG:
        if tempo >= LIKELY or key >= LIKELY_KEY:
            return "song", max(tempo, key)
        if "tempo_confidence" not in known:
            return None, None
    if not known >= {"tempo_confidence", "content"}:  # of silence there are none
        return None, None
    return ("excerpt", sure) if content == "music" else ("ambience", round(1.0 - max(loop, tempo, key), 4))


def _heard(values: Mapping[str, Any]) -> bool:
    """True if every value that separates noise, speech, voice and music is known."""
    decides = {"noise": "speechiness", "speech": "instrumentalness", "voice": "instrumentalness"}
    return "content" in values and decides.get(values["content"] or "", "content") in values


def _content(values: Mapping[str, Any]) -> tuple[str | None, float | None]:
    """Returns the content, by tags and, from 3 s on, by pauses and singing, and its certainty."""
    content, sure = values.get("content"), values.get("content_sure")
    spoken, played = (values.get(name) or 0.0 for name in ("speechiness", "instrumentalness"))
    if content == "noise" and spoken >= SPOKEN:
        return "speech", spoken
    return ("noise", played) if content in ("speech", "voice") and played >= PLAYED else (content, sure)


SUMMARY = (*QUANTITIES, "loudness")
"""Quantities of a summary."""


@dataclass(frozen=True, slots=True)
class FileState:
    """File metadata of a folder entry; `mtime` in nanoseconds since 1970."""

    size: int
    mtime: int


@dataclass(frozen=True, slots=True)
class SoundIdentity:
    """Content identity of a sound, independent of name and tags; `duration` in seconds."""

    digest: str
    duration: float
    rate: int
    channels: int


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file's row. `sound`: None for a bad file, with a reason in `problem`; `digest`: of its bytes, else ""."""

    path: bytes
    state: FileState
    digest: str
    sound: SoundIdentity | None
    tags: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""


PERSON_SUFFIX = " user"
"""Suffix of an analysis variant (`name variant`) stated by a person; other variants come from the file."""


@dataclass(frozen=True, slots=True)
class CatalogueRow:
    """Row of a file with all results of its sound.

    A bad file has a `problem`, and no duration (s), rate or channels. `missing`: the file no longer exists. `results`:
    by analysis (version, values or None, problem).
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
        """Values of all analyses by quantity; a person's entries override analyses, which override the file name's."""
        last = sorted(self.results, key=lambda name: (name.endswith(PERSON_SUFFIX), " " not in name))
        found: dict[str, Any] = {}
        for each in last:
            more = self.results[each][1] or {}
            found |= {name: value for name, value in more.items() if value is not None or name not in found}
        return found

    def summary(self) -> dict[str, Any]:
        """Summary for lists: path, duration, title, artist, album, genre, `findings`, loudness, and problem."""
        values = self.values
        tags = {name: self.tags.get(name) for name in ("title", "artist", "album", "genre")}
        found = {**findings(self.duration, values), "loudness": values.get("loudness")}
        wrong = {"problem": self.problem or None, "missing": self.missing}
        from antiphon.api.backends.files import printable_path  # with numpy, which `--help` needs not

        return {"path": printable_path(os.fsdecode(self.path)), "duration": self.duration, **tags, **found, **wrong}

    def full(self) -> dict[str, Any]:
        """Complete row: the summary, rate, channels, tags, and each analysis with its version."""
        analyses = {
            name: {"version": version, "values": values, "problem": problem or None}
            for name, (version, values, problem) in sorted(self.results.items())
        }
        more = {"rate": self.rate, "channels": self.channels, "tags": dict(self.tags), "analyses": analyses}
        return {**self.summary(), **more}


def words_of(path: bytes, tags: Mapping[str, str]) -> str:
    """Search text of a file: path and tags, case-folded, accents composed."""
    from antiphon.api.backends.files import printable_path

    return composed("\n".join([printable_path(os.fsdecode(path)), *tags.values()]).casefold())


def to_compact_json(value: Any) -> str:
    """Compact JSON for a column."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
