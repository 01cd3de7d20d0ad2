"""Operations of the library, for the command line, HTTP, OSC, assistants and Python."""

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Annotated, Any

from msgspec import UNSET, Struct, UnsetType, defstruct

from antiphon.api import UsageError
from antiphon.api.backends.runtime import HttpBesideOsc, OscForm, OscPort, Request, argument
from antiphon.cli.ports import Host
from antiphon_library.records import KINDS


class SearchRequest(Request):
    """Find files by words, key, tempo, labels and kind."""

    words: Annotated[
        tuple[str, ...], argument("Each has to stand in path or tags, in any case.", "[WORDS]...", placed=True)
    ] = ()
    key: Annotated[str, argument('As "A minor", Am or a.')] = ""
    tempo: Annotated[str, argument("As 118-124, in bpm, or one number, met within 2 %.")] = ""
    tag: Annotated[tuple[str, ...], argument("A label that was found in the sound; all of several.")] = ()
    kind: Annotated[str, argument(f"One of {', '.join(KINDS)}.", choices=KINDS)] = ""
    sure: Annotated[float, argument("Minimum confidence of what is asked for.", low=0.0, high=1.0)] | None = None
    all: Annotated[bool, argument("Also what ships, single notes, speech and ambience.")] = False


class SimilarRequest(Request):
    """List the files most like one, 1 the same sound, 0 no relation; and what else they share."""

    file: Annotated[str, argument("")]
    count: Annotated[int, argument("Files at most, 1 to 500.", low=1, high=500, flags="--count -n")] = 10


MAX_BEATS = 300
"""Most beats of a loop: a minute at the fastest tempo."""


class Fits(Request):
    """List the loops that go best with one, 1 surely, 0 not at all; and why.

    By HTTP with one of the library, by its path or its `id`; without one, with the last bars of `node`.
    """

    file: Annotated[str | int | None, argument("A loop; none with --live.", placed=True)] = None
    count: Annotated[int, argument("Files at most.", low=1, flags="--count -n")] = 10
    live: Annotated[bool, argument("With the last bars of what a server plays.")] = False
    node: Annotated[str, argument("Of it, the node; out is the output.")] = "out"
    beats: Annotated[int, argument("That FILE holds, if known.", low=0, high=MAX_BEATS)] = 0
    host: Host = "127.0.0.1"
    osc_port: OscPort = None


NAMED = argument("Sound files, and folders of them.", "[FILES]...", placed=True)


class ListRequest(Request):
    """List the files: length, tempo, key, artist and title, path."""

    files: Annotated[tuple[str, ...], NAMED] = ()
    bad: Annotated[bool, argument("Only files that cannot be read, and why.")] = False


class ShowRequest(Request):
    """Show everything known about a file: tags, and what each analysis found."""

    file: Annotated[str, argument("")]


class AddRequest(Request):
    """Add sound files, or what is new, changed or moved in folders; without any, in the library's own folder."""

    files: Annotated[tuple[str, ...], NAMED] = ()
    again: Annotated[bool, argument("Also try bad files again.")] = False
    shards: Annotated[
        str, argument("A pipeline's folder: sounds, with what its step analyse found.", "DIR", flags="--from")
    ] = ""


class AnalyseRequest(Request):
    """Analyse sounds without results: these files, which are added, or all. For one file the result is shown.

    - is standard input, which is not added.
    """

    files: Annotated[tuple[str, ...], NAMED] = ()
    only: Annotated[tuple[str, ...], argument("This analysis alone; may be given again.")] = ()
    by: Annotated[
        str, argument("librosa: also tempo and beats by librosa, to compare.", "librosa", choices=("librosa",))
    ] = ""
    again: Annotated[bool, argument("Also what has been analysed.")] = False


class IdentifyRequest(Request):
    """Say which catalogued recording a file, or the live sound, is part of, and where in it."""

    file: Annotated[str, argument("A sound file: 5 to 10 s of it are enough.", placed=True)] = ""
    live: Annotated[bool, argument("What sounds in the running server, as it changes.")] = False
    seconds: Annotated[
        float, argument("End --live after these seconds; 0: by Ctrl-C. Of a file: the seconds used.", low=0.0)
    ] = 0.0
    patches: Annotated[str, argument('TOML, "FILE" = "PATCH": a track that begins loads its patch.', "FILE")] = ""
    host: Host = "127.0.0.1"
    osc_port: OscPort = None
    http_port: HttpBesideOsc = None


class ForgetRequest(Request):
    """Remove files from the catalogue, with what is known of them. The sound files are not touched."""

    files: Annotated[tuple[str, ...], NAMED] = ()
    missing: Annotated[bool, argument("Files that are not there any more.")] = False


class MapRequest(Request):
    """Place tracks, artists and genres on a map: what sounds alike is near."""

    png: Annotated[str, argument("Draw it into this file.", "FILE")] = ""
    again: Annotated[bool, argument("Place all tracks anew, not only the new ones.")] = False


class LearnRequest(Request):
    """Learn from logs of others which of your tracks are played together; `next` uses it."""

    folder: Annotated[str, argument("Of the Million Playlist's slices, or Last.fm 360K's table of plays.")]
    most: Annotated[int, argument("Playlists or people that are read.", low=1)] = 200_000


class FoundSounds(Struct):
    """Found sound files, each with its summary and the reason for the match."""

    matches: list[dict[str, Any]]


class ChosenSounds(FoundSounds):
    """Found files of one's own music; `left_out`: number of those that `all` would have added."""

    left_out: int = 0


class ListedSounds(Struct):
    """Listed sound files, each with its summary."""

    files: list[dict[str, Any]]


class EmptyLibrary(ListedSounds):
    """The files of a library without files."""


SIGNALS = ("like", "skip", "dislike")
"""Signals about tracks."""
FILES: Any = tuple[str | int, ...] | str | int


class Next(Request):
    """Say which tracks come next, by what you liked, skipped and disliked.

    A track is a path; by HTTP also the `id` that the map gives.
    """

    count: Annotated[int, argument("Tracks of the playlist.", low=1, high=500, flags="--count -n")] = 1
    after: Annotated[str | int | None, argument("The track that was played, as the last one.", "FILE")] = None
    like: Annotated[FILES, argument("One you like; may be given again.", "FILE")] = ()
    skip: Annotated[FILES, argument("One you skipped; may be given again.", "FILE")] = ()
    dislike: Annotated[FILES, argument("One you never want; may be given again.", "FILE")] = ()
    m3u: Annotated[str, argument("Also write the tracks as a playlist.", "FILE")] = ""
    forget: Annotated[bool, argument("First forget all earlier signals.")] = False
    all: Annotated[bool, argument("Also loops, single notes, speech, ambience and what ships.")] = False


NAMES = ("title", "artist", "album", "genre")
SHOWN: Any = [
    ("path", str),
    ("duration", float | None),
    *((name, str | None) for name in NAMES),
    *((f"{name}{more}", Any) for name in ("tempo", "key", "kind") for more in ("", "_confidence")),
    ("loudness", float | None),
    ("problem", str | None),
    ("missing", bool),
    ("rate", int | None),
    ("channels", int | None),
    ("tags", dict[str, str]),
    ("analyses", dict[str, Any]),
]
ShownSound: Any = defstruct("ShownSound", SHOWN)
TRACK = [
    ("id", int),
    ("path", str),
    ("duration", float | None),
    ("score", float),
    *((name, str | None) for name in NAMES),
]
Track: Any = defstruct("Track", TRACK)
Matches = defstruct("Matches", [("matches", list[Track]), ("left_out", int)])
WHY = [("score", float), ("why", list[str]), *((name, str | None) for name in NAMES)]
FitTrack: Any = defstruct("FitTrack", [("path", str), ("duration", float | None), *WHY, ("id", int | UnsetType, UNSET)])
FitMatches = defstruct("FitMatches", [("matches", list[FitTrack])])


def next_fields_from_words(words: Sequence[Any]) -> Mapping[str, Any]:
    """Fields of `Next` from a count, and pairs of a signal and a path."""
    given: dict[str, Any] = {"count": words[0]} if words else {}
    for kind, path in zip_longest(words[1::2], words[2::2]):
        if kind not in (*SIGNALS, "after"):
            raise UsageError(f"kind is {', '.join(SIGNALS)} or after, not {str(kind)[:40]!r}")
        if path is None:
            raise UsageError("path is missing")
        given[kind] = path if kind == "after" else (*given.get(kind, ()), path)
    return given


LIST_BY_OSC = OscForm(
    "",
    "The paths of the library's files. Answers `/library/list.reply s:path…`.",
    lambda words: {},
    lambda found: [(row["path"],) for row in found.files],
)
NEXT_BY_OSC = OscForm(
    "[i:count] [s:signal]…",
    "Suggests the library's tracks that may come next. Signals, each a kind (like, skip, dislike, or after for the "
    "track that plays) and a path, are stored first. Answers `/library/next.reply s:path…`.",
    next_fields_from_words,
    lambda found: [(match["path"],) for match in found.matches],
)
FITS_BY_OSC = OscForm(
    "[i:count] [s:node]",
    "The library's loops that go best with the last four bars of a node, else of the output; the last two or one if no "
    "more are kept. Answers `/library/fits.reply s:path f:score s:why …`, the best first.",
    lambda words: dict(zip(("count", "node"), words, strict=False)),
    lambda found: [(match["path"], float(match["score"]), ", ".join(match["why"])) for match in found.matches],
    "antiphon_library.addresses:fits_in_a_process",
)


COMMANDS = "antiphon_library.commands"
KEPT = "what was {} is kept, and the same command {} the rest"
LOCAL: tuple[tuple[str, type[Request], str, str, str], ...] = (
    ("add", AddRequest, "add", "lines_of_added", "add Music"),
    ("analyse", AnalyseRequest, "analyse", "lines_of_analysis", "analyse Music --only loudness"),
    ("identify", IdentifyRequest, "identify", "lines_of_recordings", "identify excerpt.wav"),
    ("forget", ForgetRequest, "forget", "lines_of_forgotten", "forget --missing"),
    ("map", MapRequest, "chart", "lines_of_map", "map --png map.png"),
    ("learn", LearnRequest, "learn", "lines_of_pairs", "learn playlists"),
)
"""Operations of the command line and Python: word, request, function, lines and example of each."""


def add_to(operations: Any) -> None:
    """Adds the library's operations: first those of the command line and Python, then those of every door."""
    for word, asked, does, lines, example in LOCAL:
        operations.add(
            f"library {word}",
            asked,
            f"{COMMANDS}.commands:{does}",
            Any,
            lines=f"{COMMANDS}.printing:{lines}",
            local=True,
            kept={"add": KEPT.format("added", "adds"), "analyse": KEPT.format("analysed", "analyses")}.get(word, ""),
            examples=(f"antiphon library {example}",),
        )
    operations.add(
        "library list",
        ListRequest,
        "antiphon_library.searching:list_sounds",
        ListedSounds,
        lines=f"{COMMANDS}.printing:lines_of_list",
        here=("files",),
        by_osc=LIST_BY_OSC,
        examples=("antiphon library list", "antiphon library list --bad"),
    )
    operations.add(
        "library show",
        ShowRequest,
        "antiphon_library.searching:show_sound",
        ShownSound,
        lines=f"{COMMANDS}.printing:lines_of_sound",
        example={"file": "/music/night.flac"},
        examples=("antiphon library show Music/night.flac",),
    )
    operations.add(
        "library search",
        SearchRequest,
        "antiphon_library.searching:search",
        ChosenSounds,
        lines=f"{COMMANDS}.printing:lines_of_chosen",
        example={"words": ["a"]},
        examples=("antiphon library search night --tempo 118-124",),
    )
    operations.add(
        "library similar",
        SimilarRequest,
        "antiphon_library.searching:similar",
        FoundSounds,
        lines=f"{COMMANDS}.printing:lines_of_found",
        example={"file": "/music/night.flac"},
        examples=("antiphon library similar Music/night.flac -n 5",),
    )
    operations.add(
        "library fits",
        Fits,
        "antiphon_library.searching:fits",
        FitMatches,
        lines=f"{COMMANDS}.printing:fitting",
        here=("live", "beats", "host", "osc_port"),
        by_osc=FITS_BY_OSC,
        example={"file": 1},
        examples=("antiphon library fits bass.wav -n 5", "antiphon library fits --live"),
    )
    operations.add(
        "library next",
        Next,
        "antiphon_library.searching:following",
        Matches,
        lines=f"{COMMANDS}.printing:lines_of_chosen",
        here=("m3u", "forget"),
        by_osc=NEXT_BY_OSC,
        example={"count": 8, "like": 1},
        examples=("antiphon library next --count 20 --like Music/night.flac --m3u evening.m3u",),
    )
