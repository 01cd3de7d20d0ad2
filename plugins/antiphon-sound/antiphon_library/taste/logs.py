"""Listening logs (Million Playlist, Last.fm 360K), and co-played tracks."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.api import FileError
from antiphon.api.backends.files import printable_path, read_ordinary, reason_of_os_error as why
from antiphon.api.backends.runtime import shorten
from antiphon_library.taste_tables import TrackRow

MAX_TRACKS = 4000
"""Maximum compared tracks, by number of plays; memory and time are quadratic."""
COMPANIONS = 60
"""Companions per track."""
SMOOTHING_PLAYS = 20.0
"""Additive smoothing of each track's plays before comparison."""


def companions(lists: Sequence[Sequence[int]]) -> Iterator[tuple[int, int, float]]:
    """(track, other, weight) of tracks in the same lists, in both directions, weight between 0 and 1."""
    plays = Counter(track for tracks in lists for track in set(tracks))
    known = sorted(track for track, _ in plays.most_common(MAX_TRACKS))
    place = {track: n for n, track in enumerate(known)}
    counts: NDArray[np.float32] = np.zeros((len(known), len(known)), np.float32)
    for tracks in lists:
        inside = np.array(sorted({place[track] for track in tracks if track in place}), np.int64)
        counts[np.ix_(inside, inside)] += 1.0
    total = np.sqrt(counts.diagonal() + SMOOTHING_PLAYS)
    counts /= total[:, None]
    counts /= total[None]
    np.fill_diagonal(counts, 0.0)
    pairs: dict[tuple[int, int], float] = {}
    for row in range(len(known)):
        near = np.argsort(-counts[row], kind="stable")[:COMPANIONS]
        for other in near[counts[row, near] > 0.0]:
            weight = float(counts[row, other])
            pairs[known[row], known[other]] = pairs[known[other], known[row]] = weight
    for (track, other), weight in sorted(pairs.items()):
        yield track, other, weight


SLICES, PLAYS = "mpd.slice.*.json", "usersha1-artmbid-artname-plays.tsv"
"""Published file names of the data sets."""
MAX_SLICE = 256 << 20
"""Maximum bytes of a playlist file; files of the data set have 35 million."""
MAX_LINE = 65536
MAX_LISTS = 200_000
"""Default maximum of lists."""
MAX_OF_ARTIST = 20
"""Maximum tracks per artist, for a log that has only artists."""
Named = tuple[str, str]
"""Artist and title; the title is "" in a log that has only artists."""


def lists(folder: Path, most: int = MAX_LISTS) -> Iterator[list[Named]]:
    """Co-play lists of the data set in a folder, of either kind.

    A list has a playlist's tracks, or a person's artists. Files are named as in `SLICES` or `PLAYS`, or in a folder
    `data`. Raises `FileError`: there are no such files, or one is malformed.
    """
    for place in (folder, folder / "data"):
        slices = sorted(place.glob(SLICES)) if place.is_dir() else []
        if slices:
            yield from islice((one for path in slices for one in _playlists(path)), most)
            return
        if (place / PLAYS).is_file():
            yield from islice(_people(place / PLAYS), most)
            return
    if not folder.exists():
        raise FileError(f"cannot read {_name(folder)}: there is no such file or folder")
    raise FileError(f"{_name(folder)} holds no logs: neither {SLICES} (Million Playlist) nor {PLAYS} (Last.fm 360K)")


def _playlists(path: Path) -> Iterator[list[Named]]:
    try:
        data = json.loads(read_ordinary(path, MAX_SLICE, "a slice of the data set"))
        for one in data["playlists"]:
            yield [(_text(track["artist_name"]), _text(track["track_name"])) for track in one["tracks"]]
    except OSError as error:
        raise FileError(f"cannot read {_name(path)}: {why(error)}") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise FileError(
            f'{_name(path)} is no slice of the Million Playlist: {{"playlists": [{{"tracks": [{{"artist_name", '
            '"track_name"}]}]}'
        ) from None


def _people(path: Path) -> Iterator[list[Named]]:
    """Artists of each person, whose lines are adjacent."""
    person, found = "", list[Named]()
    number = 0
    try:
        with path.open("rb") as file:
            while line := file.readline(MAX_LINE):
                number += 1
                parts = line.decode("utf-8", "replace").rstrip("\r\n").split("\t")
                if len(parts) != 4:
                    raise FileError(
                        f"{_name(path)}, line {number}: four columns with tabs between: user, mbid, artist, plays"
                    )
                if parts[0] != person and found:
                    yield found
                    found = []
                person = parts[0]
                if parts[2]:
                    found.append((parts[2], ""))
    except OSError as error:
        raise FileError(f"cannot read {_name(path)}: {why(error)}") from None
    if found:
        yield found


def count_companions(
    rows: Sequence[TrackRow], played: Iterable[Sequence[Named]]
) -> tuple[int, int, list[tuple[int, int, float]]]:
    """Counts how often listeners play a catalogue's sounds together in lists.

    Returns the number of lists, the number of catalogued tracks in them, and data for `TasteTables.put_companions`.
    """
    titles: dict[Named, list[int]] = {}
    artists: dict[str, list[int]] = {}
    for row in rows:
        artist, title = _folded(row.tags.get("artist", "")), _folded(row.tags.get("title", ""))
        if artist:
            artists.setdefault(artist, []).append(row.id)
            if title:
                titles.setdefault((artist, title), []).append(row.id)
    count, matched, inside = 0, set[int](), []
    for one in played:
        count += 1
        known: dict[int, None] = {}
        for artist, title in one:
            key = _folded(artist)
            hits = titles.get((key, _folded(title)), []) if title else artists.get(key, [])[:MAX_OF_ARTIST]
            known.update(dict.fromkeys(hits))
        matched.update(known)
        if len(known) > 1:
            inside.append(list(known))
    return count, len(matched), list(companions(inside))


def _folded(text: str) -> str:
    return " ".join(text[:500].casefold().split())


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _name(path: Path) -> str:
    return shorten(printable_path(path), 120)
