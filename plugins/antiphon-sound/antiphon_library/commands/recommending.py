"""What recommends tracks: learning from logs, the map, and the command `personality`, which plays and asks."""

from __future__ import annotations

import math
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from antiphon.api import UsageError
from antiphon.api.backends.cli import Json, echo_answer
from antiphon.api.backends.runtime import argument
from antiphon_library.commands.options import open_catalogue
from antiphon_library.operations import LearnRequest, MapRequest

if TYPE_CHECKING:
    from antiphon_library.catalogue import Catalogue
    from antiphon_library.map.chart import Chart
    from antiphon_library.taste.choosing import TrackTable

WORDS = {"y": "like", "yes": "like", "like": "like", "n": "dislike", "no": "dislike", "dislike": "dislike"}
SHOWN = 10
"""Number of tracks in the final list."""


def personality(
    questions: Annotated[int, argument("Questions at most.", low=1, high=100)] = 12,
    into: Annotated[Path | None, argument("Write each sound into this file; play nothing.", "FILE")] = None,
    silent: Annotated[bool, argument("Play nothing; ask by names.")] = False,
    force: Annotated[bool, argument("Let --into replace an existing file.")] = False,
    as_json: Json = False,
) -> None:
    """Find your taste: play a few collages of tracks, ask whether you like them, and keep the answers."""
    from antiphon.api.backends.cli import refuse_existing
    from antiphon_library.taste.choosing import TrackTable, playlist
    from antiphon_library.taste.personality import question, voices

    if into is not None and not silent:
        refuse_existing([("--into", into)], force=force)
    with open_catalogue() as catalogue:
        table = TrackTable.load(catalogue.taste)
        # loops and one-shots are not recommended, so nothing is asked about them
        samples = [place for place, row in enumerate(table.rows) if row.id in table.samples]
        if len(table.rows) - len(samples) < 2:
            besides = " besides loops and one-shots" if samples else ""
            raise UsageError(
                f"the library {catalogue.path} holds fewer than two sounds{besides}; `antiphon library add` adds some"
            )
    with open_catalogue(write=True) as catalogue:
        known = {table.place[signal.sound] for signal in catalogue.taste.signals() if signal.sound in table.place}
        asked, passed = sorted(known), list[int]()
        answers: list[dict[str, Any]] = []
        while len(answers) < questions:
            track = question(table.kernel, asked, [*passed, *samples])
            if track is None:
                break
            _sound(catalogue, table, voices(table.kernel, track, samples), into, silent)
            word = _answer(len(answers) + 1, questions, _title(table, track))
            if word == "q":
                break
            if word not in WORDS:
                passed.append(track)
                continue
            kind = WORDS[word]
            catalogue.taste.put_signals([(table.rows[track].id, kind)])
            asked.append(track)
            answers.append({"path": _path(table, track), "answer": kind})
        best = playlist(table, catalogue.taste.signals(), SHOWN) if answers else []
        matches = [
            {**next(iter(catalogue.rows(path=choice.row.path))).summary(), "score": round(choice.score, 4)}
            for choice in best
        ]
    from antiphon_library.commands.printing import table as lines

    head = f"{len(answers)} answers; what you would like:" if answers else "no answers"
    echo_answer(as_json, {"answers": answers, "matches": matches}, (head, *lines(matches)))


def _answer(number: int, most: int, title: str) -> str:
    sys.stderr.write(f"{number} of {most}: {title}\nDo you like it? y, n, Enter for neither, q to end: ")
    sys.stderr.flush()
    line = sys.stdin.readline()
    return line.strip().lower()[:20] if line else "q"


def _sound(catalogue: Catalogue, table: TrackTable, tracks: list[int], into: Path | None, silent: bool) -> None:
    """Plays a collage, or writes it."""
    if silent:
        return
    from antiphon.api.backends.cli import complain
    from antiphon_library.taste.personality import RATE, collage

    rows = [table.rows[track] for track in tracks]
    wanted = ("sections", "downbeats")
    known = [(row, next(iter(catalogue.rows(path=row.path, only=wanted))).values) for row in rows]
    sound = collage(known)
    if not sound.shape[1]:
        complain("none of these files can be read")
    elif into is not None:
        from antiphon.api.backends.files import AudioWriter

        with AudioWriter(into, RATE, 2) as writer:
            writer.write(sound)
        if writer.over:
            complain(writer.over)
    else:
        try:
            import sounddevice

            if sounddevice.default.device[1] < 0:
                complain("there is no sound card; --into FILE writes the sound instead, --silent asks by names alone")
                return
            sounddevice.play(sound.clip(-1.0, 1.0).T, RATE)
            time.sleep(0.1)
        except Exception as error:  # no device, no PortAudio: the question is asked all the same
            complain(f"cannot play: {' '.join(str(error).split())[:120]}; --into FILE writes the sound instead")


def _title(table: TrackTable, track: int) -> str:
    from antiphon.api.backends.files import printable_path
    from antiphon.api.backends.runtime import shorten

    tags = table.rows[track].tags
    names = " - ".join(text for text in (tags.get("artist", "")[:200], tags.get("title", "")[:200]) if text)
    return shorten(printable_path(names) if names else _path(table, track), 120)


def _path(table: TrackTable, track: int) -> str:
    from antiphon.api.backends.files import printable_path

    return printable_path(os.fsdecode(table.rows[track].path))


@dataclass(frozen=True, slots=True)
class PlacedTracks:
    """A map, its trustworthiness and that of two principal components, and the tracks that are not on it.

    `short`: those too short, by name. `pending`: number of those to be analysed first.
    """

    chart: Chart
    trust: float | None
    flat: float | None
    short: list[str]
    pending: int

    def plain(self) -> dict[str, Any]:
        """Data for JSON."""
        return {**self.chart.plain(), "trustworthiness": {"k": 10, "map": self.trust, "pca": self.flat}}


def chart(asked: MapRequest) -> PlacedTracks:
    """Places the tracks, and draws the map where that is asked for."""
    from antiphon.api.backends.files import png_bytes, printable_path, write_atomic
    from antiphon_library.map import chart as charts, picture
    from antiphon_library.taste.choosing import TrackTable

    png = Path(asked.png) if asked.png else None
    if png is not None and png.suffix.lower() != ".png":
        raise UsageError(f"cannot write {printable_path(png)}: --png ends in .png")
    with open_catalogue() as catalogue:
        tracks = TrackTable.load(catalogue.taste)
        placement = charts.place_tracks(catalogue, tracks, again=asked.again)
        without = [row for row in tracks.rows if row.vector is None]
        sounds = catalogue.taste.sounds_without_vector()
    short = [printable_path(os.fsdecode(os.path.basename(row.path))) for row in without if row.id in sounds]
    found = charts.chart(placement, len(tracks.rows) - len(placement.rows))
    trust, flat = (None if math.isnan(value) else round(value, 4) for value in placement.trust())
    if png is not None:
        write_atomic(png, png_bytes(picture.draw(found)))
    return PlacedTracks(found, trust, flat, short, len(without) - len(short))


class Learned(msgspec.Struct):
    """Numbers of lists that were read, of the library's tracks in them, and of pairs of these."""

    lists: int
    tracks: int
    pairs: int


def learn(asked: LearnRequest) -> Learned:
    """Counts which tracks are played together."""
    from antiphon_library.taste import logs

    with open_catalogue() as catalogue:
        lists = logs.lists(Path(asked.folder), asked.most)
        count, matched, pairs = logs.count_companions(catalogue.taste.tracks(), lists)
    with open_catalogue(write=bool(pairs)) as catalogue:
        catalogue.taste.put_companions(pairs)
    return Learned(count, matched, len(pairs) // 2)
