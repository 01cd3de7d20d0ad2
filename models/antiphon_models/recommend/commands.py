"""`antiphon library next` and `personality` over a catalogue whose tracks are made, or are those of a log."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.api import F64
from antiphon_library.catalogue import Catalogue
from antiphon_library.records import FileEntry, FileState, SoundIdentity
from antiphon_library.similarity import QUANTITY
from antiphon_library.taste.choosing import LONGEST
from antiphon_models.learning.user_commands import command
from antiphon_models.recommend.world import World

Named = tuple[str, str]
"""Artist and title; the title is "" for an artist alone."""


class NextCommand:
    """What `antiphon library next` says, as a method that scores tracks.

    Args:
        root: An empty folder, for the catalogue.
        names: Of the tracks.
        genres: Of the tracks; empty where nothing says them.
        vectors: How they sound, `[tracks, dimensions]`; None where nothing has analysed them.
        lists: What others played together, which `antiphon library learn` reads; none for a catalogue without it.
    """

    def __init__(
        self,
        root: Path,
        names: Sequence[Named],
        genres: Sequence[str] = (),
        vectors: F64 | None = None,
        lists: Sequence[Sequence[int]] = (),
    ) -> None:
        self._root, self._last = root, -1
        self._paths = [root / f"{n}.flac" for n in range(len(names))]
        self._place = {str(path): n for n, path in enumerate(self._paths)}
        root.mkdir(parents=True)
        with Catalogue(root) as catalogue:
            for n, (artist, title) in enumerate(names):
                tags = {"artist": artist, **({"title": title} if title else {})}
                tags |= {"genre": genres[n]} if genres else {}
                sound = SoundIdentity(f"{n:064x}", 200.0, 44100, 2)
                catalogue.put(FileEntry(bytes(self._paths[n]), FileState(1, 1), f"{n:064x}", sound, tags))
                if vectors is not None:
                    catalogue.put_results(sound.digest, {"timbre": (1, {QUANTITY: vectors[n].tolist()}, "")})
        if lists:
            played = [
                {"tracks": [{"artist_name": names[n][0], "track_name": names[n][1]} for n in one]} for one in lists
            ]
            (root / "mpd.slice.0-0.json").write_text(json.dumps({"playlists": played}))
            self._command("learn", root)

    def scores(self, plays: Sequence[int]) -> F64:
        """The score that each track is listed with, -1 without one, for who likes `plays` and has said nothing else."""
        liked = (word for n in plays for word in ("--like", self._paths[n]))
        found = np.full(len(self._paths), -1.0)
        for match in self._command("next", "--forget", "--count", str(LONGEST), *liked)["matches"]:
            found[self._place[match["path"]]] = match["score"]
        return found

    def following(self, heard: int, *, skipped: bool = False, first: bool = False) -> int:
        """The next track, after one that was heard or skipped; first: of a new person."""
        start = ("--forget",) if first else ()
        return self._tracks(self._command("next", *start, "--skip" if skipped else "--after", self._paths[heard]))[0]

    def questioned(self, count: int, likes: Callable[[int], bool]) -> tuple[list[int], list[int]]:
        """What a new person is asked about, and the tracks that are recommended after the answers."""
        self._command("next", "--forget")
        titles = {path.stem: n for n, path in enumerate(self._paths)}

        def answer(shown: str) -> str:
            title = shown.rstrip().rsplit("\n", 2)[-2].rpartition(" ")[2]
            return "y" if likes(titles[title.removeprefix("t")]) else "n"

        said = self._command("personality", "--silent", "--questions", str(count), answer=answer)
        return [self._place[one["path"]] for one in said["answers"]], self._tracks(said)

    def _tracks(self, said: dict[str, Any]) -> list[int]:
        return [self._place[match["path"]] for match in said["matches"]]

    def _command(self, name: str, *arguments: str | Path, answer: Callable[[str], str] | None = None) -> dict[str, Any]:
        shown = command("library", "--root", self._root, name, *arguments, "--json", answer=answer)
        return dict(json.loads(shown))


def of_world(root: Path, world: World, lists: Sequence[Sequence[int]] = ()) -> NextCommand:
    """A made catalogue; lists: what others played."""
    names = [(f"a{artist}", f"t{n}") for n, artist in enumerate(world.artist)]
    return NextCommand(root, names, [f"g{genre}" for genre in world.genre], world.sound, lists)
