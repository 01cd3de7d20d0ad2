"""What is identified: a file, or what a running server plays, as it changes."""

from __future__ import annotations

import os
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from antiphon.api import FileError, UsageError
from antiphon.api.backends.runtime import ASKER
from antiphon_library.commands.options import open_catalogue
from antiphon_library.operations import IdentifyRequest

if TYPE_CHECKING:
    from antiphon.api.backends.analysis import IdentifiedFile
    from antiphon.api.backends.transports import Message
    from antiphon_library.fingerprints import ShardSet

NODE_TYPE = "identify"


@dataclass(frozen=True, slots=True)
class CurrentTrack:
    """The sounding track. `number`: of the sound in the catalogue; 0 for none. `position`: seconds in it, if known."""

    number: int
    position: float | None
    score: float | None


def watch(host: str, port: int, until: float, load: Callable[[int], str | None]) -> Iterator[CurrentTrack]:
    """SoundingTrack track at each change, until `until` (s, monotonic). `load`: from a track's number to a patch.

    Raises `EngineError`: no server answers; `UsageError`: it has no node of the type; `WireError`:
    it refuses.
    """
    from antiphon.api.backends.cli import closing_socket, follow
    from antiphon.api.backends.transports import encode

    with closing_socket(host, port, False) as sock:
        nodes: set[str] | None = None
        values: dict[str, float] = {}
        last = -1
        for message in follow(sock, (host, port), (encode("/notify", 1), encode("/node/list")), until):
            if message.address == b"/node/list.reply":
                nodes = _nodes(message, nodes)
            elif nodes and (reported := _reported(message, nodes)) is not None:
                values[reported[0]] = reported[1]
                number = round(values.get("track", 0.0))
                # a track's number, position and score come in one bundle, in any order
                if number != last and (number == 0 or {"position", "score"} <= set(values)):
                    last = number
                    yield CurrentTrack(number, values.get("position"), values.get("score"))
                    if (patch := load(number)) is not None:
                        sock.send(encode("/patch/load", patch))
                if number == 0:
                    values = {"track": 0.0}


def _nodes(message: Message, before: set[str] | None) -> set[str]:
    """Names of the nodes of the type, reported once they are missing from a later patch."""
    words = [str(word) for word in message.args]
    names = {name for name, kind in zip(words[::2], words[1::2], strict=False) if kind == NODE_TYPE}
    if not names and before is None:
        raise UsageError(
            f"the server has no node of the type {NODE_TYPE}; `antiphon osc /node/add {NODE_TYPE} {NODE_TYPE} in` adds "
            "one behind the input"
        )
    return names


def _reported(message: Message, nodes: set[str]) -> tuple[str, float] | None:
    """Parameter and value of a message about one of the nodes."""
    match message.address.decode("utf-8", "replace").split("/"), message.args:
        case ["", "node", name, ("track" | "position" | "score") as parameter], [float() | int() as value, *_]:
            return (parameter, float(value)) if name in nodes else None
    return None


def read_patches(path: Path) -> Mapping[str, str]:
    """TOML table from files to patches: `"Music/night.flac" = "night"`.

    Raises `FileError`: it cannot be read, or holds something else.
    """
    try:
        table = tomllib.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise FileError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from None
    except (ValueError, RecursionError) as error:
        raise FileError(f"cannot read {path}: {error}") from None
    for name, patch in table.items():
        if not isinstance(patch, str):
            raise FileError(f'{path}: {name} is no patch; a line is "FILE" = "PATCH"')
    return table


def patch_of(patches: Mapping[str, str], files: list[bytes]) -> str | None:
    """Patch of the first file with an entry in a table, by its path or its last part."""
    for file in files:
        path = Path(os.fsdecode(file))
        for name in (str(path), path.name):
            if name in patches:
                return patches[name]
        for name, patch in patches.items():
            if Path(name).absolute() == path:
                return patch
    return None


@dataclass(frozen=True, slots=True)
class Identified:
    """The recordings that a file is a part of, the best first."""

    matches: Sequence[IdentifiedFile]

    def plain(self) -> dict[str, Any]:
        """Data for JSON."""
        return {"matches": [_plain(match) for match in self.matches]}


@dataclass(frozen=True, slots=True)
class SoundingTrack:
    """The paths of a track that sounds; `position`: seconds in it, if known."""

    paths: list[str]
    position: float | None
    score: float | None

    def plain(self) -> dict[str, Any]:
        """Data for JSON."""
        return {"matches": [{"path": path, "offset": self.position, "score": self.score} for path in self.paths]}


def identify(asked: IdentifyRequest) -> Identified | Iterator[SoundingTrack]:
    """The recordings that a file is a part of; or with `live` what sounds, at each change."""
    from antiphon_library.fingerprints import update_shards
    from antiphon_library.identifying import (
        MIN_SECONDS,
        analysis_of_landmarks,
        identify_files,
        landmarks_of,
    )

    file, seconds = asked.file, asked.seconds
    if asked.live and not file:
        return _live(asked)
    if not file or asked.live:
        raise UsageError("name the file to identify, or give --live")
    if 0.0 < seconds < MIN_SECONDS:
        raise UsageError(f"--seconds takes {MIN_SECONDS:g} or more; 5 is better, and 0 reads the whole file")
    with ASKER.get().progress("listening to") as progress:
        times, hertz = landmarks_of(Path(file), lambda done: progress(round(done), 0, Path(file).name[:60]))
    chosen = times < (seconds or float("inf"))
    with open_catalogue() as catalogue:
        index = update_shards(catalogue)
        check_index(index, catalogue.path, analysis_of_landmarks())
        return Identified(identify_files(catalogue, index, times[chosen], hertz[chosen]))


def _live(asked: IdentifyRequest) -> Iterator[SoundingTrack]:
    from antiphon.api.backends.cli import osc_port
    from antiphon.api.backends.files import printable_path

    port = osc_port(asked.osc_port, asked.http_port, asked.host)
    table = read_patches(Path(asked.patches)) if asked.patches else {}
    until = time.monotonic() + (asked.seconds or float("inf"))
    with open_catalogue() as catalogue:
        for track in watch(asked.host, port, until, lambda number: patch_of(table, catalogue.files_of_sound(number))):
            paths = [printable_path(os.fsdecode(path)) for path in catalogue.files_of_sound(track.number)]
            yield SoundingTrack(paths, track.position, track.score)


def check_index(index: ShardSet, path: Path, analysis: str) -> None:
    """Warns of missing or damaged parts of an index; a UsageError if it is empty. `analysis` computes its landmarks."""
    if index.damaged:
        ASKER.get().complaints.append(
            f"{index.damaged} of the files of fingerprints beside {path} were damaged, and have been made again"
        )
    if not index.present:
        raise UsageError(
            f"the library {path} has no fingerprints: `antiphon library add FOLDER` and then "
            f"`antiphon library analyse --only {analysis}` make them"
        )


def _plain(match: IdentifiedFile) -> dict[str, str | float]:
    from antiphon.api.backends.files import printable_path

    path = printable_path(os.fsdecode(match.path))
    return {"path": path} | {name: getattr(match, name) for name in ("offset", "score", "speed", "kind")}
