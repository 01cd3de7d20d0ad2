"""The group `antiphon library` with its option, and its interactive command, which is no operation."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from antiphon.api import UsageError
from antiphon.api.backends.cli import CommandGroup, Json, command_group, echo_answer, epilog
from antiphon.api.backends.runtime import argument
from antiphon_library.commands.options import ROOT, open_catalogue

if TYPE_CHECKING:
    from antiphon_library.catalogue import Catalogue
    from antiphon_library.taste.choosing import TrackTable


class _RootOptionGroup(CommandGroup):
    """The group, which also accepts --root after the name of a command."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Moves --root and its folder to the front of the arguments, and parses them."""
        for place, word in enumerate(args[: args.index("--")] if "--" in args else args):
            if word.partition("=")[0] == "--root":
                end = place + (1 if "=" in word else 2)
                if end > len(args):
                    ctx.fail("--root takes a folder")
                return super().parse_args(ctx, [*args[place:end], *args[:place], *args[end:]])
        return super().parse_args(ctx, args)


def application() -> CommandGroup:
    """Returns the group of commands, with the interactive one, which is no operation."""
    app = command_group("library", _library.__doc__ or "", _library, _RootOptionGroup)
    app.command(epilog=epilog("antiphon library personality"))(personality)
    return app


def _library(
    root: Annotated[
        Path | None,
        argument("The folder of the catalogue; else your library of sound files.", "DIR"),
    ] = None,
) -> None:
    """Catalogue sound files: what they are called, what is in them, which are alike."""
    ROOT.set(root)


WORDS = {"y": "like", "yes": "like", "like": "like", "n": "dislike", "no": "dislike", "dislike": "dislike"}
SHOWN = 10
"""Number of tracks in the list at the end."""


def personality(
    questions: Annotated[int, argument("Questions at most.", low=1, high=100)] = 12,
    into: Annotated[Path | None, argument("Write each sound into this file; play nothing.", "FILE")] = None,
    silent: Annotated[bool, argument("Play nothing; ask by names.")] = False,
    force: Annotated[bool, argument("Let --into replace an existing file.")] = False,
    as_json: Json = False,
) -> None:
    """Find your taste: play a few collages of tracks, ask whether you like them, and keep the answers."""
    from antiphon.offline.file_job import check_free as refuse_existing
    from antiphon_library.taste.choosing import TrackTable, playlist
    from antiphon_library.taste.personality import most_informative_track, voices

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
            track = most_informative_track(table.kernel, asked, [*passed, *samples])
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
    """Plays a collage, or writes it to a file."""
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
