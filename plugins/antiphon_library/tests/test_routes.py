"""The library by HTTP: the map, excerpts of catalogued files alone, and what comes next with the token."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
import wave
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from tests.waiting import comes
from tests.web.test_lan import serving

from antiphon.kernel.runtime import paths
from antiphon_library import routes as library_module, scanning
from antiphon_library.catalogue import Catalogue
from antiphon_library.routes import LibraryRoutes

TRACKS = 6


@pytest.fixture
def library(tmp_path: Path) -> Path:
    music = tmp_path / "music"
    music.mkdir()
    for n in range(TRACKS):
        tone = 0.3 * np.sin(2 * np.pi * (200 + 100 * n) * np.arange(8000) / 8000)
        with soundfile.SoundFile(music / f"{n}.wav", "w", 8000, 1) as file:
            file.title, file.artist = f"Tone {n}", f"A{n % 2}"
            file.write(tone)
    with Catalogue(paths.library()) as catalogue:
        scanning.add(catalogue, [music], lambda *_: None)
        for n, (digest, *_) in enumerate(catalogue.sounds()):
            catalogue.put_results(digest, {"tags": (3, {"tag_embedding": [float(n % 2), n / 7, 1.0]}, "")})
    return music


async def asked(server: Any, method: str, path: str, data: Any = None, token: str = "") -> tuple[int, Any]:
    """The status and the JSON of an answer."""

    def blocking() -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=300)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        connection.request(method, path, None if data is None else json.dumps(data), headers)
        reply = connection.getresponse()
        try:
            return reply.status, json.loads(reply.read())
        finally:
            connection.close()

    return await asyncio.to_thread(blocking)


async def test_loops_that_fit_come_first_and_say_why(tmp_path: Path, library: Path) -> None:
    with Catalogue(paths.library()) as catalogue:
        for n, (digest, *_) in enumerate(catalogue.sounds()):
            chroma = [float((place - n) % 12 in (0, 4, 7)) - 0.01 * n for place in range(12)]
            loop = {"loop_bpm": 100.0 + 20.0 * (n > 3), "loop_chroma": chroma, "loop_pattern": [1.0, 0.0] * 8}
            loop |= {"loop_confidence": 0.9, "loop_tempo_sure": 0.9}
            catalogue.put_results(digest, {"loop": (4, loop, "")})
    async with serving(tmp_path, jobs=tmp_path / "jobs", plugins=["antiphon_library"]) as server:
        token = (tmp_path / "token").read_text().strip()
        path = "/api/library/fits"
        assert (await asked(server, "POST", path, {"file": 1}))[0] == 401
        status, body = await asked(server, "POST", path, {"file": str(library / "0.wav"), "count": 3}, token)
        assert status == 200
        assert {Path(match["path"]).name for match in body["matches"]} == {"1.wav", "2.wav", "3.wav"}
        why = {Path(match["path"]).name: match["why"] for match in body["matches"]}
        assert why["1.wav"] == ["same tempo", "key a semitone too high", "groove fits"]
        assert all(0.0 < match["score"] < 1.0 for match in body["matches"])
        for wrong in ({"file": "/etc/passwd"}, {"file": 99}, {"file": 1, "count": 0}, {"node": 5}):
            assert (await asked(server, "POST", path, wrong, token))[0] == 400


async def test_the_map_excerpts_and_what_comes_next(tmp_path: Path, library: Path) -> None:
    async with serving(tmp_path, jobs=tmp_path / "jobs", plugins=["antiphon_library"]) as server:
        token = (tmp_path / "token").read_text().strip()
        status, found = await asked(server, "GET", "/api/library/map")
        assert status == 200
        assert (len(found["tracks"]), found["placed"], found["placing"]) == (TRACKS, False, False)
        assert [artist["name"] for artist in found["artists"]] == ["A0", "A1"]
        number = found["tracks"][0]["id"]
        status, _ = await asked(server, "POST", "/api/library/next", {"like": number})
        assert status == 401
        status, body = await asked(server, "POST", "/api/library/next", {"like": number, "count": 2}, token)
        matches = body["matches"]
        assert status == 200
        assert matches[0]["artist"] == found["tracks"][0]["artist"]
        assert number not in [match["id"] for match in matches]
        status, body = await asked(server, "POST", "/api/library/next", {"like": "/etc/passwd"}, token)
        assert status == 400
        for path in ("/api/library/tracks/999/sound", "/api/library/tracks/x/sound", f"/api/library/tracks/{number}"):
            assert (await asked(server, "GET", path))[0] == 404
        (library / "0.wav").unlink()
        assert (await asked(server, "GET", f"/api/library/tracks/{number}/sound"))[0] == 400


async def test_an_excerpt_is_wav_of_a_catalogued_file(tmp_path: Path, library: Path) -> None:
    async with serving(tmp_path, jobs=tmp_path / "jobs", plugins=["antiphon_library"]) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        request = (
            f"GET /api/library/tracks/1/sound HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nConnection: close\r\n\r\n"
        )
        writer.write(request.encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        assert head.startswith(b"HTTP/1.1 200")
        assert b"audio/wav" in head
        with wave.open(BytesIO(body)) as file:
            assert (file.getframerate(), file.getnframes()) == (8000, 8000)


async def test_without_a_library_there_is_none_and_none_is_made(tmp_path: Path) -> None:
    async with serving(tmp_path, jobs=tmp_path / "jobs", plugins=["antiphon_library"]) as server:
        token = (tmp_path / "token").read_text().strip()
        status, body = await asked(server, "GET", "/api/library/map")
        assert (status, body["tracks"]) == (200, [])
        assert (await asked(server, "POST", "/api/library/next", {}, token))[0] == 409
        assert (await asked(server, "POST", "/api/library/map", {}, token))[0] == 409
        assert not (paths.library() / "library.sqlite").exists()


async def test_the_library_keeps_no_other_route_waiting(
    tmp_path: Path, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of a dozen maps would else take one of the few threads in which all routes read files."""
    begun, go, made = threading.Event(), threading.Event(), []

    def slow(routes: LibraryRoutes) -> bytes:
        made.append(1)
        begun.set()
        assert go.wait(60.0)
        return b'{"tracks": []}'

    monkeypatch.setattr(LibraryRoutes, "_map_body", slow)
    async with serving(tmp_path, jobs=tmp_path / "jobs", plugins=["antiphon_library"]) as server:
        maps = [asyncio.create_task(asked(server, "GET", "/api/library/map")) for _ in range(4)]
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(8))
        await comes(begun.is_set, "the map is made")
        monkeypatch.setattr(library_module, "MAX_WAITING", 1)
        token = (tmp_path / "token").read_text().strip()
        assert (await asked(server, "POST", "/api/library/next", {"count": 1}, token))[0] == 503
        assert (await asked(server, "GET", "/api/patches"))[0] == 200
        go.set()
        assert [status for status, _ in await asyncio.gather(*maps)] == [200] * 4
        assert len(made) <= 2  # one for those who asked while it was made


async def test_the_librarys_folder_is_added_analysed_and_placed_in_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By `antiphon library`, one step at a time; asked twice it is done once, and ends with the server."""
    begun: list[str] = []
    go_on = asyncio.Semaphore(0)

    class Step:
        returncode: int | None = None

        async def wait(self) -> None:
            await go_on.acquire()
            self.returncode = 0

    async def start(words: list[str], **_: Any) -> Step:
        begun.append(" ".join(words[words.index("--root") + 2 :]))
        return Step()

    monkeypatch.setattr(library_module, "start_command", start)
    async with serving(tmp_path, jobs=tmp_path / "jobs", plugins=["antiphon_library"]) as server:
        token = (tmp_path / "token").read_text().strip()
        assert (await asked(server, "POST", "/api/library/analyse", {}))[0] == 401
        for _ in range(2):
            assert await asked(server, "POST", "/api/library/analyse", {}, token) == (202, {"placing": True})
        for step in (f"add {paths.library()}", "analyse", "map --again"):
            await comes(lambda step=step: begun[-1] == step, step)
            assert (await asked(server, "GET", "/api/library/map"))[1]["placing"]
            go_on.release()
        for _ in range(100):
            if not (await asked(server, "GET", "/api/library/map"))[1]["placing"]:
                break
        else:
            pytest.fail("it does not end")
        assert len(begun) == 3
