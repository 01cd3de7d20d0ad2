"""What can be asked of the library at every door: `library search` and `library similar`."""

from typing import Annotated, Any

from msgspec import Struct

from antiphon.api.backends.runtime import Request, argument
from antiphon_library.records import KINDS


class SearchRequest(Request):
    """Find files by words, key, tempo, labels and kind; with labels the most probable first."""

    words: Annotated[
        tuple[str, ...], argument("Each has to stand in path or tags, in any case.", "[WORDS]...", placed=True)
    ] = ()
    key: Annotated[str, argument('As "A minor", Am or a.')] = ""
    tempo: Annotated[str, argument("As 118-124, in bpm, or one number, met within 2 %.")] = ""
    tag: Annotated[tuple[str, ...], argument("A label that was found in the sound; all of several.")] = ()
    kind: Annotated[str, argument(f"One of {', '.join(KINDS)}.")] = ""
    sure: Annotated[float, argument("Minimum confidence of what is asked for.", low=0.0, high=1.0)] | None = None


class SimilarRequest(Request):
    """List the files most like one, 1 the same sound, 0 no relation; and what else they share."""

    file: Annotated[str, argument("")]
    count: Annotated[int, argument("Files at most, 1 to 500.", low=1, high=500, flags="-n")] = 10


class FoundSounds(Struct):
    """Sound files, each with its summary and why it was found."""

    matches: list[dict[str, Any]]


def add_to(operations: Any) -> None:
    """Adds the operations."""
    shown = "antiphon_library.commands.printing:found"
    operations.add(
        "library search",
        SearchRequest,
        "antiphon_library.searching:search",
        FoundSounds,
        lines=shown,
        example={"words": ["a"]},
        examples=("antiphon library search night --tempo 118-124",),
    )
    operations.add(
        "library similar",
        SimilarRequest,
        "antiphon_library.searching:similar",
        FoundSounds,
        lines=shown,
        example={"file": "/music/night.flac"},
        examples=("antiphon library similar Music/night.flac -n 5",),
    )
