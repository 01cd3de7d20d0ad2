"""HTTP routes of the library: its map, next tracks, and excerpts.

Files are named by numbers of the catalogue, or by paths looked up in it; no other file is opened. Code that uses numpy
and SQLite is imported and run in a thread.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from antiphon.api import FileError, UsageError
from antiphon.api.backends.http import (
    HttpRequest,
    HttpServer,
    Refusal,
    Response,
    json_response as answer,
    list_of,
    operation,
    record,
)
from antiphon.api.backends.runtime import missing_modules, run_program
from antiphon_library.records import findings

if TYPE_CHECKING:
    from antiphon_library.catalogue import Catalogue
    from antiphon_library.records import CatalogueRow
    from antiphon_library.taste.choosing import TrackTable

PLACE: Any = {"x": float, "y": float}
MapTrack = record("MapTrack", id=int, path=str, title=str, artist=str, genre=str, **PLACE)
MapArtist = record("MapArtist", name=str, genre=str, **PLACE, tracks=int, nearest=list[str])
MapGenre = record("MapGenre", name=str, **PLACE, tracks=int)
KNOWN: Any = {"tracks": list_of(MapTrack), "artists": list_of(MapArtist), "genres": list_of(MapGenre)}
Map = record("Map", **KNOWN, unplaced=int, placed=bool, placing=bool)
Placing = record("Placing", placing=bool)
Finding = record("Finding", name=str, label=str, value=float | str, unit=str)
PlayedAs = record("PlayedAs", library=str, s=str, n=int)


Found = TypeVar("Found")
EXCERPTS = 2
"""Maximum excerpts decoded at a time."""
KEPT = "files"
"""Folder of the library into which sounds of elsewhere are put."""
NO_MAP: dict[str, Any] = {"tracks": [], "artists": [], "genres": [], "unplaced": 0}


class LibraryRoutes:
    """Library routes. The catalogue's tracks stay in memory from the first request on, until they change."""

    def __init__(self, server: HttpServer) -> None:
        """Adds the routes; nothing is opened or started before the first request."""
        self._server = server
        self._decoding = asyncio.Semaphore(EXCERPTS)
        self._making: asyncio.Future[bytes] | None = None
        self._table: TrackTable | None = None
        self._map = b""
        self._work: asyncio.Task[None] | None = None
        server.serve(self)
        server.closing.append(self.close)

    @property
    def _root(self) -> Path:
        """The performer's library; the first call imports numpy."""
        from antiphon.api.backends.files import library_folder

        return library_folder()

    async def close(self) -> None:
        """Ends the process that places tracks; the next request starts a new one."""
        if self._work is not None:
            self._work.cancel()
            await asyncio.wait({self._work})

    @operation("GET", "/api/library/map", Map)
    async def get_map(self, request: HttpRequest) -> Response:
        """The library's tracks, artists and genres in two dimensions; not `placed`: by principal components."""
        if self._making is None or self._making.done():
            self._making = asyncio.ensure_future(self._server.in_thread(self._map_body))
        body = await asyncio.shield(self._making)  # those who ask meanwhile share it
        return Response(200, body[:-1] + (b', "placing": %s}' % (b"false" if self._placed else b"true")))

    @operation("POST", "/api/library/map", Placing, 202)
    async def place(self, request: HttpRequest) -> object:
        """Place all tracks anew, in a separate process."""
        if not _has_scikit_learn():
            raise Refusal(503, missing_modules("the map", "scikit-learn", extra="map"))
        self._begin(("map", "--again"))
        return {"placing": True}

    @operation("POST", "/api/library/analyse", Placing, 202)
    async def analyse(self, request: HttpRequest) -> object:
        """Add the sound files in the library's own folder, analyse and place them."""
        await self._server.in_thread(self._make_root)
        self._begin(("add", str(self._root)), ("analyse",), *([("map", "--again")] if _has_scikit_learn() else []))
        return {"placing": True}

    def _begin(self, *steps: tuple[str, ...]) -> None:
        """Runs `antiphon library` with each step's words in sequence, unless such a run is in progress."""
        if not self._placed:
            return

        async def work() -> None:
            # a minute of one core for 10,000 tracks, which must not delay other requests
            for step in steps:
                await run_program("antiphon", "library", "--root", str(self._root), *step)

        self._work = asyncio.create_task(work(), name="library")

    @property
    def _placed(self) -> bool:
        return self._work is None or self._work.done()

    @operation("GET", "/api/library/tracks/{id}/findings", list_of(Finding), example={"id": "1"})
    async def findings(self, request: HttpRequest, id: str) -> object:
        """What analyses found in a track: the quantities that have a label."""
        return await self._server.in_thread(self._run_on_catalogue, partial(_findings, id))

    @operation("GET", "/api/library/tracks/{id}/sound", bytes, example={"id": "1"})
    async def excerpt(self, request: HttpRequest, id: str) -> Response:
        """20 s of a track as WAV, from its chorus where that is known."""
        path, start = await self._server.in_thread(self._run_on_catalogue, partial(_track, id))
        from antiphon_library import excerpt

        async with self._decoding:
            return Response(200, await asyncio.to_thread(excerpt.wav, path, start), "audio/wav")

    @operation("POST", "/api/library/tracks/{id}/keep", PlayedAs, example={"id": "1"})
    async def keep(self, request: HttpRequest, id: str) -> object:
        """Where a sampler finds a track: its `library`, `s` and `n`; copied into the folder `files` if needed."""
        path = Path(os.fsdecode((await self._server.in_thread(self._run_on_catalogue, partial(_track, id)))[0]))
        return await asyncio.to_thread(_sampler_location, path)

    def _make_root(self) -> None:
        from antiphon.api.backends.files import make_folder

        make_folder(self._root)

    def _run_on_catalogue(self, work: Callable[[Catalogue], Found]) -> Found:
        """Runs work on the catalogue, in a thread."""
        from antiphon_library.catalogue import Catalogue

        with Catalogue(self._root, make=False) as catalogue:
            return work(catalogue)

    def _map_body(self) -> bytes:
        def work(catalogue: Catalogue) -> bytes:
            from antiphon_library import chart
            from antiphon_library.taste.choosing import TrackTable

            table = TrackTable.of(catalogue)
            if table is not self._table:
                try:
                    placement = chart.place_tracks(catalogue, table, fit=False)
                except UsageError:
                    return answer({**NO_MAP, "unplaced": len(table.rows), "placed": True}).body
                unplaced = len(table.rows) - len(placement.rows)
                found = chart.chart(placement, unplaced).plain()
                self._map = answer({**found, "placed": placement.fit}).body
                self._table = TrackTable.of(catalogue)  # placing new tracks has changed what it is made of
            return self._map

        return self._run_on_catalogue(work)


def _findings(id: str, catalogue: Catalogue) -> list[dict[str, Any]]:
    """The numbers and texts that analyses found in a track and label; tempo and key as lists show them."""
    from antiphon.api.backends.analysis import analyses

    row = _row(id, catalogue)
    values = {**row.values, **findings(row.duration, row.values)}
    stated = {one.name: one for analysis in analyses().values() for one in analysis.quantities if one.label}
    return [
        {"name": name, "label": one.label, "value": values[name], "unit": one.unit}
        for name, one in stated.items()
        if isinstance(values.get(name), float | str)
    ]


def _track(id: str, catalogue: Catalogue) -> tuple[bytes, float]:
    """Path of a track, and the second at which an excerpt of it begins."""
    from antiphon_library import excerpt

    row = _row(id, catalogue, "sections")
    return row.path, excerpt.begins(row.duration or 0.0, row.values)


def _row(id: str, catalogue: Catalogue, *only: str) -> CatalogueRow:
    """Row of a track, with these quantities or all. Raises Refusal: there is no such track."""
    if not (id.isascii() and id.isdigit() and len(id) < 19):
        raise Refusal(404, "a track's address is /api/library/tracks/NUMBER, where NUMBER is its `id` on the map")
    path = catalogue.taste.file_of_sound(int(id))
    if path is None:
        raise Refusal(404, f"the library has no track {id}")
    return next(iter(catalogue.rows(path=path, only=only)))


def _sampler_location(path: Path) -> dict[str, Any]:
    """Folder, name and number by which a sampler plays a file, which is copied where it is in no folder of it."""
    from antiphon.api.backends.files import SOUND_FORMATS, built_in_folder, library_folder
    from antiphon.files.own_files import copy_into

    if path.suffix.lower() not in SOUND_FORMATS:
        raise Refusal(415, f"a pad plays {', '.join(SOUND_FORMATS)}; export {path.name} as one of these")
    shipped = built_in_folder("library")
    for root in (library_folder(), shipped):
        match path.relative_to(root).parts if path.is_relative_to(root) else ():
            case ("kit", name, _) if root == shipped:
                return {"library": "", "s": name, "n": _number(path)}
            case (folder, name, _):
                return {"library": folder, "s": name, "n": _number(path)}
            case (folder, _):
                return {"library": folder, "s": path.stem, "n": 0}
    try:
        kept = copy_into(library_folder() / KEPT, path, path.name)
    except FileError as error:
        raise Refusal(507, str(error)) from None
    return {"library": KEPT, "s": Path(kept).stem, "n": 0}


def _number(path: Path) -> int:
    """Place of a file among the sounds of its folder, which a sampler counts by name."""
    from antiphon.api.backends.files import SOUND_FORMATS

    names = sorted(entry.name for entry in path.parent.iterdir() if entry.suffix.lower() in SOUND_FORMATS)
    return names.index(path.name)


def _has_scikit_learn() -> bool:
    return find_spec("sklearn") is not None
