"""The library by HTTP and by OSC: the map, excerpts of catalogued files alone, and what comes next with the token."""

import asyncio
import json
import shutil
import threading
import time
import wave
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from tests.cli.test_osc_cli import asked
from tests.control.rig import CATALOG, Rig, rig
from tests.http_client import HttpClient, owner_of_server
from tests.waiting import comes

import antiphon_library
from antiphon.kernel.control.hooks import ServerHooks
from antiphon.kernel.errors import WireError
from antiphon.kernel.io.osc_peer import Level
from antiphon.kernel.plugins.dispatcher import HookDispatcher
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.operations.lists import ask
from antiphon.web import server as http_server
from antiphon_library import routes as library_module, scanning
from antiphon_library.catalogue import Catalogue
from antiphon_library.operations import FoundSounds, Next
from antiphon_library.records import FileEntry, FileState, SoundIdentity
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


client = partial(owner_of_server, plugin="antiphon_library")


async def test_loops_that_fit_come_first_and_say_why(tmp_path: Path, library: Path) -> None:
    with Catalogue(paths.library()) as catalogue:
        for n, (digest, *_) in enumerate(catalogue.sounds()):
            chroma = [float((place - n) % 12 in (0, 4, 7)) - 0.01 * n for place in range(12)]
            loop = {"loop_bpm": 100.0 + 20.0 * (n > 3), "loop_chroma": chroma, "loop_pattern": [1.0, 0.0] * 8}
            loop |= {"loop_confidence": 0.9, "loop_tempo_sure": 0.9}
            catalogue.put_results(digest, {"loop": (4, loop, "")})
    async with client(tmp_path) as asking:
        path = "/api/library/fits"
        assert (await HttpClient(asking.server).post(path, {"file": 1}))[0] == 401
        status, body = await asking.post(path, {"file": str(library / "0.wav"), "count": 3})
        assert status == 200
        assert {Path(match["path"]).name for match in body["matches"]} == {"1.wav", "2.wav", "3.wav"}
        why = {Path(match["path"]).name: match["why"] for match in body["matches"]}
        assert why["1.wav"] == ["same tempo", "key a semitone too high", "groove fits"]
        assert all(0.0 < match["score"] < 1.0 for match in body["matches"])
        outside = shutil.copy(library / "0.wav", tmp_path / "outside.wav")
        for wrong, reason in (
            ({"file": str(outside)}, f"has no sound of {outside}"),
            ({"file": 99}, "has no track 99"),
        ):
            status, body = await asking.post(path, wrong)
            assert (status, reason in body["error"]) == (400, True), body


async def test_the_files_are_listed_and_one_is_shown_at_every_door(tmp_path: Path, library: Path) -> None:
    names = [str(library / f"{n}.wav") for n in range(TRACKS)]
    async with client(tmp_path) as asking:
        status, body = await asking.post("/api/library/list", {})
        assert (status, [file["path"] for file in body["files"]]) == (200, names)
        assert (await asking.post("/api/library/list", {"bad": True})) == (200, {"files": []})
        status, shown = await asking.post("/api/library/show", {"file": names[0]})
        assert (status, shown["title"], list(shown["analyses"])) == (200, "Tone 0", ["tags"])
        assert (await asking.post("/api/library/list", {"files": names}))[0] == 400
    assert [file["path"] for file in ask("library list", files=[str(library)]).files] == names
    assert ask("library show", file=names[1]).tags["title"] == "Tone 1"


async def test_the_map_excerpts_and_what_comes_next(tmp_path: Path, library: Path) -> None:
    async with client(tmp_path) as asking:
        status, found = await asking.get("/api/library/map")
        assert status == 200
        assert (len(found["tracks"]), found["placed"], found["placing"]) == (TRACKS, False, False)
        assert [artist["name"] for artist in found["artists"]] == ["A0", "A1"]
        number = found["tracks"][0]["id"]
        status, _ = await HttpClient(asking.server).post("/api/library/next", {"like": number})
        assert status == 401
        status, body = await asking.post("/api/library/next", {"like": number, "count": 2})
        matches = body["matches"]
        assert status == 200
        assert matches[0]["artist"] == found["tracks"][0]["artist"]
        assert number not in [match["id"] for match in matches]
        for wrong in ({"like": "/etc/passwd"}, {"m3u": str(tmp_path / "list")}, {"forget": True}):
            assert (await asking.post("/api/library/next", wrong))[0] == 400
        assert not (tmp_path / "list").exists()
        for path in ("/api/library/tracks/999/sound", "/api/library/tracks/x/sound", f"/api/library/tracks/{number}"):
            assert (await asking.get(path))[0] == 404
        (library / "0.wav").unlink()
        assert (await asking.get(f"/api/library/tracks/{number}/sound"))[0] == 400


async def test_what_analyses_found_in_a_track_is_said_as_they_label_it(tmp_path: Path, library: Path) -> None:
    pytest.importorskip("antiphon_listen")
    music = {"tempo": 118.0, "tempo_confidence": 0.9, "key": "A:min", "key_confidence": 0.1, "beats": [0.0, 0.5]}
    with Catalogue(paths.library()) as catalogue:
        number = catalogue.taste.sound_of_file(bytes(library / "0.wav"))
        digest = next(digest for digest, path, *_ in catalogue.sounds() if path == bytes(library / "0.wav"))
        catalogue.put_results(digest, {"music": (10, music, ""), "loudness": (2, {"loudness": -14.5}, "")})
    async with client(tmp_path) as asking:
        status, found = await asking.get(f"/api/library/tracks/{number}/findings")
        assert status == 200
        assert found == [
            {"name": "loudness", "label": "Loudness", "value": -14.5, "unit": "LUFS"},
            {"name": "tempo", "label": "Tempo", "value": 118.0, "unit": "bpm"},
        ]
        assert (await asking.get("/api/library/tracks/999/findings"))[0] == 404


async def test_an_excerpt_is_wav_of_a_catalogued_file(tmp_path: Path, library: Path) -> None:
    async with client(tmp_path) as asking:
        port = asking.server.port
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        request = f"GET /api/library/tracks/1/sound HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
        writer.write(request.encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        assert head.startswith(b"HTTP/1.1 200")
        assert b"audio/wav" in head
        with wave.open(BytesIO(body)) as file:
            assert (file.getframerate(), file.getnframes()) == (8000, 8000)


async def test_a_track_of_any_folder_is_what_a_sampler_plays(tmp_path: Path, library: Path) -> None:
    own = paths.library() / "set"
    (own / "low").mkdir(parents=True)
    for n, place in enumerate((own / "one.wav", own / "low/a.wav", own / "low/b.wav")):
        soundfile.write(place, np.full(800, 0.1 + 0.1 * n), 8000)
    with Catalogue(paths.library()) as catalogue:
        scanning.add(catalogue, [own], lambda *_: None)
        tracks = {catalogue.taste.file_of_sound(n): n for n in range(1, 300)}
    async with client(tmp_path) as asking:

        async def played_as(path: Path) -> Any:
            return await asking.post(f"/api/library/tracks/{tracks[bytes(path)]}/keep", {})

        assert await played_as(own / "one.wav") == (200, {"library": "set", "s": "one", "n": 0})
        assert await played_as(own / "low/b.wav") == (200, {"library": "set", "s": "low", "n": 1})
        for _ in range(2):
            assert await played_as(library / "3.wav") == (200, {"library": "files", "s": "3", "n": 0})
        assert [one.name for one in paths.added_files_folder().iterdir()] == ["3.wav"]
        assert (await asking.post("/api/library/tracks/9999/keep", {}))[0] == 404


async def test_to_ask_an_empty_library_makes_none(tmp_path: Path) -> None:
    async with client(tmp_path) as asking:
        status, body = await asking.get("/api/library/map")
        assert (status, body["tracks"]) == (200, [])
        assert (await asking.post("/api/library/next", {}))[0] == 400
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
    async with client(tmp_path) as asking:
        maps = [asyncio.create_task(asking.get("/api/library/map")) for _ in range(4)]
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(8))
        await comes(begun.is_set, "the map is made")
        monkeypatch.setattr(http_server, "MAX_ASKED", 1)
        assert (await asking.post("/api/library/next", {"count": 1}))[0] == 503
        assert (await asking.get("/api/patches"))[0] == 200
        go.set()
        assert [status for status, _ in await asyncio.gather(*maps)] == [200] * 4
        assert len(made) <= 2  # one for those who answered while it was made


async def test_the_librarys_folder_is_added_analysed_and_placed_in_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By `antiphon library`, one step at a time; answered twice it is done once, and ends with the server."""
    begun: list[str] = []
    go_on = asyncio.Semaphore(0)

    async def run(*words: str) -> None:
        begun.append(" ".join(words[words.index("--root") + 2 :]))
        await go_on.acquire()

    monkeypatch.setattr(library_module, "run_program", run)
    async with client(tmp_path) as asking:
        assert (await HttpClient(asking.server).post("/api/library/analyse", {}))[0] == 401
        for _ in range(2):
            assert await asking.post("/api/library/analyse", {}) == (202, {"placing": True})
        for step in (f"add {paths.library()}", "analyse", "map --again"):
            await comes(lambda step=step: begun[-1:] == [step], step)
            assert (await asking.get("/api/library/map"))[1]["placing"]
            go_on.release()

        async def placed() -> bool:
            return not (await asking.get("/api/library/map"))[1]["placing"]

        await comes(placed, "all is placed")
        assert len(begun) == 3


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[Rig]:
    """Control with the addresses of this plugin."""
    dispatcher = HookDispatcher()
    hooks = {"antiphon_library": dispatcher.add("antiphon_library", antiphon_library)}
    catalog = replace(CATALOG, hooks=hooks)
    async with rig(tmp_path / "state", catalog=catalog) as made:
        await ServerHooks(catalog, ServeSettings(), fresh=True).start(made.app)
        yield made


@pytest.fixture
def files(live: Rig) -> list[str]:
    names = [f"/music/{n}.wav" for n in range(6)]
    with Catalogue(paths.library()) as catalogue:
        for n, name in enumerate(names):
            sound = SoundIdentity(f"s{n}", 10.0, 44100, 2)
            tags = {"artist": f"a{n % 2}", "genre": f"g{n % 2}"}
            catalogue.put(FileEntry(name.encode(), FileState(1, 1), f"f{n}", sound, tags))
    return names


async def test_what_comes_next_is_answered_with_paths(live: Rig, files: list[str]) -> None:
    client = live.client()
    ((address, args),) = await client.later("/library/next", 2, "like", files[0], "skip", files[1])
    assert address == "/library/next.reply"
    assert set(args) == {files[2], files[4]}
    with Catalogue(paths.library()) as catalogue:
        assert [signal.kind for signal in catalogue.taste.signals()] == ["like", "skip"]


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (("like",), "takes a whole number"),
        ((1, "after"), "path is missing"),
        ((1, "love", "x"), "kind is like"),
    ],
)
async def test_a_bad_question_is_one_sentence(
    live: Rig, files: list[str], args: tuple[object, ...], reason: str
) -> None:
    client = live.client()
    ((address, (asked, sentence)),) = await client.later("/library/next", *args)
    assert (address, asked) == ("/fail", "/library/next")
    assert reason in str(sentence)


@pytest.mark.parametrize("address", ["/library/similar", "/library/show", "/library/next 1 like"])
async def test_what_is_not_in_the_library_is_refused_alike_whether_or_not_it_is_there(
    live: Rig, files: list[str], tmp_path: Path, address: str
) -> None:
    (tmp_path / "there.wav").write_bytes(b"x")
    (tmp_path / "folder").mkdir()
    client, said = live.client(), set()
    path, *words = address.split()
    for name in ("there.wav", "folder", "gone.wav"):
        named = str(tmp_path / name)
        ((_, (_, sentence)),) = await client.later(
            path, *(int(word) if word.isdigit() else word for word in words), named
        )
        assert named in str(sentence)
        said.add(str(sentence).replace(named, "FILE"))
    assert len(said) == 1, said


async def test_it_is_for_owners_and_says_when_there_is_no_library(live: Rig) -> None:
    route = live.app.router.exact[b"/library/next"]
    assert route.level is Level.OWNER
    client = live.client()
    ((address, (_, sentence)),) = await client.later("/library/next")
    assert address == "/fail"
    assert "library add FOLDER" in str(sentence)
    assert not (paths.library() / "library.sqlite").exists()
    assert json.dumps(str(sentence))


@pytest.mark.parametrize("tcp", [False, True])
async def test_the_library_answers_when_it_has_searched(live: Rig, tcp: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WireError, match="holds no sound"):
        await asked(live, "/library/next", "2", tcp=tcp)

    def searched(asked: Next) -> FoundSounds:
        time.sleep(0.3)  # slow: longer than its `/sync` is on the way, whose `/synced` comes after
        return FoundSounds([{"path": f"/loops/{n}.wav"} for n in range(asked.count)])

    monkeypatch.setattr("antiphon_library.searching.following", searched)
    assert await asked(live, "/library/next", "2", tcp=tcp) == ["/library/next.reply /loops/0.wav /loops/1.wav"]
