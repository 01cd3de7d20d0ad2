"""Clips of a patch: messages at beats, which are played once or in a loop."""

import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Self, TypeAlias

import msgspec

from antiphon.kernel.errors import AntiphonError, FileError, RequestError
from antiphon.kernel.runtime import paths, resources
from antiphon.kernel.runtime.shortening import short_repr
from antiphon.kernel.runtime.suggestion import instead

MAX_CLIPS = 64
MAX_CLIP_EVENTS = 1024
MAX_CLIP_BEATS = 1024.0
MAX_CLIP_TEXT = 1 << 17
"""Most characters of all clips of a patch, whose file may be twice as large."""
MAX_NAME, MAX_EVENT = 64, 200
_WORD = re.compile(r'(?:"[^"]*"|[^\s"]+)(?!\S)')
"""A word, or a text in quotes that may have spaces or be written as a number."""
_FULL = f"a patch holds {MAX_CLIPS} clips of {MAX_CLIP_TEXT} characters in all; delete one"
_ADDRESSES = ("/note/", "/node/", "/macro/", "/cc", "/bend", "/program", "/scene/recall")
ClipMessage: TypeAlias = tuple[float, str, tuple[int | float | str, ...]]
"""Beat from the clip's beginning, address and arguments."""


class PatchClip(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Messages at beats.

    Attributes:
        beats: Length, after which it repeats; 0 for a clip that is played once.
        events: Each event as text: beat, address and arguments, "1.5 /note/on 60 100 1 keys".
        place: Place in the page's grid, from 0; -1 for none. Of clips whose places are equal modulo 4 only one plays at
            a time.
    """

    beats: float
    events: tuple[str, ...] = ()
    place: int = -1

    @classmethod
    def of(cls, beats: float, messages: Iterable[ClipMessage], place: int = -1) -> Self:
        """Makes a clip of messages, whose numbers are kept to nine digits; `RequestError` for a text with a `"`."""
        return cls(beats, tuple(" ".join(map(_word, (at, address, *args))) for at, address, args in messages), place)

    def messages(self) -> list[ClipMessage]:
        """The events; `RequestError` for an event that no clip may hold."""
        return [_message(event) for event in self.events]


def check_clips(clips: Mapping[str, PatchClip]) -> None:
    """Raises `RequestError` for a name, length, place or event that is not allowed, and for too many of them."""
    if len(clips) > MAX_CLIPS or sum(len(event) for clip in clips.values() for event in clip.events) > MAX_CLIP_TEXT:
        raise RequestError(_FULL)
    for name, clip in clips.items():
        if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
            raise RequestError(f"a clip's name has 1 to {MAX_NAME} characters, not {short_repr(name)}")
        if not (0.0 <= clip.beats <= MAX_CLIP_BEATS and -1 <= clip.place < MAX_CLIPS):
            raise RequestError(f"a clip takes 0 to {MAX_CLIP_BEATS:g} beats and a place -1 to {MAX_CLIPS - 1}")
        if len(clip.events) > MAX_CLIP_EVENTS:
            raise RequestError(f"a clip holds {MAX_CLIP_EVENTS} events, not {len(clip.events)}")
        clip.messages()


def clip_room(clips: Mapping[str, PatchClip], name: str) -> int:
    """Maximum events of a clip of that name beside the others; `RequestError` where none fits."""
    others = {other: clip for other, clip in clips.items() if other != name}
    check_clips({**others, name: PatchClip(0.0)})
    text = MAX_CLIP_TEXT - sum(len(event) for clip in others.values() for event in clip.events)
    if text < MAX_EVENT:
        raise RequestError(_FULL)
    return min(text // MAX_EVENT, MAX_CLIP_EVENTS)


def _message(event: str) -> ClipMessage:
    """Reads an event's text; `RequestError` for an event that no clip may hold."""
    beat, _, rest = event.partition(" ")
    address, *args = _WORD.findall(rest) or ("",)
    at = _argument(beat)
    known = address.startswith(_ADDRESSES) and len(event) <= MAX_EVENT and not _WORD.sub("", rest).strip()
    if isinstance(at, str) or not 0.0 <= at <= MAX_CLIP_BEATS or not known:
        raise RequestError(
            "an event of a clip is a beat and a message of a note, a parameter, a macro or a scene, as in "
            f"'1.5 /note/on 60 100', not {short_repr(event)}"
        )
    return float(at), address, tuple(map(_argument, args))


def _word(value: int | float | str) -> str:
    if isinstance(value, float):
        return f"{value:.9g}"
    text = str(value)
    if '"' in text:
        raise RequestError(f"a text of a clip has no quotation mark, unlike {short_repr(text)}")
    return f'"{text}"' if isinstance(value, str) and (text != _argument(text) or not _WORD.fullmatch(text)) else text


def _argument(word: str) -> int | float | str:
    if word.startswith('"'):
        return word.strip('"')
    for kind in (int, float):
        try:
            number = kind(word)
        except ValueError:
            continue
        if math.isfinite(number) and abs(number) < 1 << 31:
            return number
    return word


def locate_asset(text: str, error: type[AntiphonError] = FileError) -> str:
    """Path of a library name, the performer's first; "" and absolute paths, from the command line, are unchanged."""
    if not text or Path(text).is_absolute():
        return text
    return str(_found(text, error))


def _found(text: str, error: type[AntiphonError]) -> Path:
    own = paths.in_library(text, error)
    built_in = resources.folder("library") / own.name
    return built_in if not own.exists() and built_in.exists() else own


def check_name(text: str) -> str:
    """Checks a file name sent over the network. Raises RequestError, which lists the library, without one."""
    if not text:
        return text
    if not _found(text, RequestError).exists():
        raise RequestError(f"the library holds no {text!r}{instead(text, library_names(), 'it holds')}")
    return text


def check_asset_exists(text: str) -> str:
    """Checks that a parameter's earlier value (name or absolute path) exists. Raises RequestError otherwise."""
    if text and not Path(locate_asset(text, RequestError)).exists():
        raise RequestError(f"the file {text!r} no longer exists")
    return text


def name_asset(text: str) -> str | None:
    """The library's name for an absolute path; None for a file outside it. Other values are returned unchanged."""
    path = Path(text)
    if not text or not path.is_absolute():
        return text
    inside = paths.library() / path.name
    return path.name if paths.is_same_file(path, inside) else None


def library_names() -> list[str]:
    """The names of the files in the performer's library; none where it cannot be read."""
    try:
        return sorted(p.name for p in paths.library().iterdir() if not p.name.startswith("."))
    except OSError:
        return []
