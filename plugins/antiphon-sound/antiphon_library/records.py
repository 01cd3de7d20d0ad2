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
NO_MUSIC = ("one-shot", "speech", "ambience")
"""Kinds that a search and a playlist leave out unless they are asked for."""
QUANTITIES = (
    "tempo",
    "tempo_confidence",
    "key",
    "key_confidence",
    "loop_bpm",
    "loop_seconds",
    "loop_tempo_from",
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
"""Minimum confidence of the beats' tempo that replaces a less certain one of a loop, and maximum deviation from an
octave, in octaves."""
MAX_PART_BEAT = 0.2
"""Maximum deviation in beats of a loop's length from whole bars at the beats' tempo."""
STATED_BY = ("name", "file", "user")
"""Origins of a loop's tempo that say that it is one, as of `loop_tempo_from`."""
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
    are: a quantity missing in `values` has not been analysed, a quantity of None has. A loop's tempo comes from `loop`,
    whose length is whole bars, unless its beats are surer; its key from the surer analysis, and from `music` if
    it is as long as a song. While the kind is unknown, both are the surer ones.

    `duration`: seconds; None for a bad file. `values`: results of analyses by quantity.
    """
    kind, certain = _kind(duration, values)
    tempo, key = ((values.get(name), values.get(f"{name}_confidence")) for name in ("tempo", "key"))
    unknown = (duration or 0.0) >= SHORTEST_LOOP and not _heard(values)
    if kind == "loop":
        of_loop = _loop_tempo(values, tempo, certain or 0.0)
        tempo = max(tempo, of_loop, key=_confidence) if unknown else of_loop
        if values.get("loop_key") and (duration or 0.0) < SHORTEST_SONG:
            key = max(key, (values.get("loop_key"), values.get("loop_key_sure") or 0.0), key=_confidence)
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
    """Tempo of a loop, and its confidence: its own, at most `certain`, or that of its beats where these are surer."""
    bpm, sure = values.get("loop_bpm"), values.get("loop_tempo_sure") or 0.0
    if bpm and tempo[0] and max(sure, SURE_TEMPO) <= _confidence(tempo) and not _is_stated(values):
        octaves = math.log2(tempo[0] / bpm)
        same = abs(octaves - round(octaves)) <= MAX_OCTAVE_DEVIATION
        return (bpm * 2.0 ** round(octaves) if same else tempo[0]), _confidence(tempo)
    return bpm, min(certain, sure)


def _is_stated(values: Mapping[str, Any]) -> bool:
    """True if the file or a person says that a sound is a loop."""
    return values.get("loop_tempo_from") in STATED_BY


def _has_whole_bars(duration: float, values: Mapping[str, Any]) -> bool:
    """True if a sound as long as a song is, by the beats that were heard in it, an even number of whole bars.

    Of a shorter one the loop's own analysis decides.
    """
    tempo, bpm = values.get("tempo"), values.get("loop_bpm")
    sure = values.get("tempo_confidence") or 0.0
    if duration < SHORTEST_SONG or not tempo or not bpm or sure < LIKELY or _is_stated(values):
        return True
    octaves, bars = math.log2(tempo / bpm), (values.get("loop_seconds") or duration) * tempo / 240.0
    whole = abs(bars - 2.0 * round(bars / 2.0)) <= MAX_PART_BEAT / 4.0
    return whole and abs(octaves - round(octaves)) <= MAX_OCTAVE_DEVIATION


def _confidence(found: tuple[Any, float | None]) -> float:
    return found[1] or 0.0


def _kind(duration: float | None, values: Mapping[str, Any]) -> tuple[str | None, float | None]:
    known = {name for name, value in values.items() if value is not None}
    if duration is None or (duration <= MAX_LOOP and not known & {"loop_confidence", "no_loop"}):
        return None, None
    loop, tempo, key = (values.get(f"{name}_confidence") or 0.0 for name in ("loop", "tempo", "key"))
    ending, (content, sure) = values.get("loop_ending"), _content(values)
    faded = ending is not None and ending < NO_LOOP
    if faded or content in ("speech", "voice") or not _has_whole_bars(duration, values):
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


def quantities_of(results: Mapping[str, Mapping[str, Any] | None]) -> dict[str, Any]:
    """Values by quantity of the results of several analyses, each by name, as `CatalogueRow.values`."""
    last = sorted(results, key=lambda name: (name.endswith(PERSON_SUFFIX), " " not in name))
    found: dict[str, Any] = {}
    for each in last:
        more = results[each] or {}
        found |= {name: value for name, value in more.items() if value is not None or name not in found}
    return found


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
        return quantities_of({name: values for name, (_, values, _) in self.results.items()})

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
