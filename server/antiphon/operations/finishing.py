"""Finish of a written sound: loudness, limit, tags, and the parts of its source that it keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from antiphon.files.containers.chunks import is_aiff, read_marks
from antiphon.files.containers.id3 import NAMES
from antiphon.files.containers.tags import ESTIMATED_TAGS, cover_of
from antiphon.files.sound_finish import SoundFinish, SoundMarks, VideoPicture
from antiphon.kernel.errors import FileError, Refusal
from antiphon.kernel.runtime.arguments import check
from antiphon.kernel.runtime.suggestion import instead
from antiphon.kernel.runtime.terms import spell
from antiphon.operations.requests import FinishRequest

if TYPE_CHECKING:
    from antiphon.files.decode import AudioInfo
    from antiphon.kernel.contract.block import Samples

MAX_TAG_LETTERS = 200
"""Maximum characters of a tag."""


def convert_finish_request(asked: FinishRequest, rate: int = 0) -> SoundFinish:
    """Converts a requested finish; `rate`: Hz, 0 for that of the source. Raises Refusal: a value is not allowed."""
    check(asked)
    tags: dict[str, str] = {}
    wished = []
    for given in asked.tag:
        name, equals, text = given.partition("=")
        text = " ".join(text.split())
        if name not in (*NAMES, *ESTIMATED_TAGS):
            raise Refusal("tag", f"{spell('tag')} knows no {name!r}{instead(name, (*NAMES, *ESTIMATED_TAGS))}")
        if not equals and name in ESTIMATED_TAGS:
            wished.append(name)
        elif not text or len(text) > MAX_TAG_LETTERS or (name == "bpm" and not _is_tempo(text)):
            takes = f"text, as {spell('tag', f'{name}=…')} of {MAX_TAG_LETTERS} characters"
            takes = f"a tempo, as {spell('tag', 'bpm=120')}" if name == "bpm" else takes
            raise Refusal("tag", f"{spell('tag', name)} takes {takes}, not {text[:40]!r}")
        else:
            tags[name] = f"{float(text):.2f}" if name == "bpm" else text
    return SoundFinish(rate, asked.limit, asked.normalise, tags, partial(_MusicTagger, wished) if wished else None)


def _is_tempo(text: str) -> bool:
    try:
        return 10.0 <= float(text) <= 999.0
    except ValueError:
        return False


class _MusicTagger:
    """Estimates tempo and key of a sound, by the analysis `music`."""

    def __init__(self, names: list[str], rate: int, channels: int) -> None:
        from antiphon.offline.analyses import AnalysisFeed, analyses, named_analyses

        named_analyses(["music"])
        self._names, self._feed = names, AnalysisFeed("music", analyses()["music"], rate, channels)

    def take(self, block: Samples) -> None:
        self._feed.take(block)

    def tags(self) -> Mapping[str, str]:
        values = self._feed.end()[1] or {}
        tags = {}
        if "bpm" in self._names and values.get("tempo"):
            tags["bpm"] = f"{values['tempo']:.2f}"
        if "key" in self._names and values.get("key"):
            tonic, _, mode = values["key"].partition(" ")
            tags["key"] = tonic + "m" * (mode == "minor")
        return tags


def add_source_tags(finish: SoundFinish, source: Path) -> SoundFinish:
    """Adds the tags and the marks of a sound file to a finish; other files leave it unchanged."""
    from antiphon.files.decode import Decoder

    try:
        with Decoder(source) as decoder:
            info = decoder.info
        marked = add_source_marks(finish, source, info.frames, info.rate)
    except (FileError, OSError):
        return finish
    return replace(marked.with_tags(info), picture=find_video_picture(source, info))


def find_video_picture(source: Path, info: AudioInfo) -> VideoPicture | None:
    """The picture and the chapters of a file that was read; None without both."""
    seconds = 0.0 if info.frames is None else info.frames / info.rate
    some = info.picture or info.chapters
    return VideoPicture(source.absolute(), info.begins, info.picture, seconds) if some else None


def add_source_marks(
    finish: SoundFinish, source: Path, frames: int | None, rate: int, transposed: bool = False
) -> SoundFinish:
    """Adds the marks of a sound file of `frames` to a finish. `transposed`: whether its pitch changes."""
    finish = replace(finish, cover=cover_of(source))
    if frames is None or (chunks := read_marks(source)) is None:
        return finish
    with open(source, "rb") as file:
        aiff = is_aiff(file.read(12))
    return replace(finish, marks=SoundMarks(chunks, frames, rate, transposed, aiff))
