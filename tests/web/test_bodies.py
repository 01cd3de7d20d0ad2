"""Bodies that no memory holds: read in pieces, sent from files, within their bounds."""

import asyncio
import io
import json
import urllib.error
import urllib.request
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from http.client import HTTPResponse
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests import accepted
from tests.clock import LoopTime
from tests.waiting import comes
from tests.web.test_http import running, send
from tests.web.test_openapi import server_thread

from antiphon.kernel.runtime import paths
from antiphon.recording.take import TakeFile
from antiphon.web.protocol import application, connection
from antiphon.web.server import HttpRequest, HttpServer, Limits, Response, answer

LIMITS = Limits(request_seconds=60.0, idle_seconds=60.0)
MOST = 4 * 1024 * 1024


class Sink:
    """A handler that counts what it reads, in `pace` seconds of the loop's time for each piece."""

    def __init__(self, pace: float = 0.0) -> None:
        self.pace, self.bytes, self.largest, self.failure = pace, 0, 0, ""

    async def __call__(self, request: HttpRequest, pieces: AsyncIterator[bytes]) -> Response:
        try:
            async for piece in pieces:
                self.bytes += len(piece)
                self.largest = max(self.largest, len(piece))
                await asyncio.sleep(self.pace)  # the pace of the handler
        except BaseException as error:
            self.failure = type(error).__name__
            raise
        return answer(self.bytes)


@asynccontextmanager
async def serving(sink: Sink, limits: Limits = LIMITS) -> AsyncIterator[HttpServer]:
    server = HttpServer(limits=limits)
    server.routes.add("POST", "/sink", application.Endpoint(sink, True, MOST))
    async with running(server):
        yield server


def head(server: HttpServer, length: int | None, *more: str, method: str = "POST", path: str = "/sink") -> bytes:
    sized = f"Content-Length: {length}" if length is not None else "Transfer-Encoding: chunked"
    lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{server.port}", sized, *more, "", ""]
    return "\r\n".join(lines).encode()


async def reply(reader: asyncio.StreamReader) -> bytes:
    return await asyncio.wait_for(reader.read(), 60)


async def get_file(server: HttpServer, *more: str, method: str = "GET") -> tuple[bytes, bytes]:
    """Head and body of the answer to a request for /file."""
    asked = head(server, 0, *more, "Connection: close", method=method, path="/file")
    start, _, body = (await send(server, asked)).partition(b"\r\n\r\n")
    return start, body


def add_file(server: HttpServer, path: Path) -> None:
    server.add("GET", "/file", lambda request: Response(200, b"", "audio/wav", (), path))


async def test_a_body_comes_in_pieces_and_the_next_request_follows() -> None:
    sink, data = Sink(), bytes(3_000_000)
    async with serving(sink) as server:
        answered = await send(server, head(server, len(data)) + data + head(server, 3, "Connection: close") + b"abc")
    assert answered.count(b"HTTP/1.1 200") == 2
    assert b"\r\n\r\n3000000HTTP" in answered.replace(b"HTTP/1.1", b"HTTP")
    assert sink.bytes == 3_000_003


async def test_a_slow_handler_holds_the_client_back() -> None:
    """What the client sends waits in the sockets, not in this process."""
    sink = Sink(pace=0.002)
    async with serving(sink) as server:
        assert b"200 OK" in await send(server, head(server, MOST, "Connection: close") + bytes(MOST))
    assert sink.bytes == MOST
    assert sink.largest < 1024 * 1024


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_that_is_too_long(chunked: bool) -> None:
    async with serving(Sink()) as server:
        chunk = b"10000\r\n" + bytes(65536) + b"\r\n"
        chunks = head(server, None, "Connection: close") + chunk * (MOST // 65536 + 1) + b"0\r\n\r\n"
        answered = await send(server, chunks if chunked else head(server, MOST + 1))
    assert b" 413 " in answered
    assert f"at most {MOST} bytes".encode() in answered


async def test_a_client_that_disconnects_ends_the_handler() -> None:
    sink = Sink()
    async with serving(sink) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(head(server, 1000) + b"half")
        await writer.drain()
        writer.transport.abort()
        await comes(lambda: sink.failure, "the handler fails")
    assert sink.failure in ("ClientDisconnect", "CancelledError")


async def test_a_client_that_sends_too_slowly_gets_408(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "AFTER", 0.0)
    monkeypatch.setattr(application, "SLOWEST", 10**12)
    async with serving(Sink()) as server:
        assert b" 408 " in await send(server, head(server, 1000) + b"slow")


async def test_each_piece_begins_the_clients_time_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """An upload takes longer than a request may, as long as pieces come."""
    monkeypatch.setattr(application, "SLOWEST", 1)
    sink, time = Sink(), LoopTime()
    async with serving(sink) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(head(server, 8 * 1000, "Connection: close"))
        for n in range(8):
            writer.write(bytes(1000))
            await comes(lambda: sink.bytes == 1000 * (n + 1), "a piece")  # noqa: B023
            time.passes(20.0)
        assert b"200 OK" in await reply(reader)
        writer.close()


async def test_the_clients_time_does_not_run_while_the_handler_works() -> None:
    sink, time = Sink(pace=100.0), LoopTime()
    async with serving(sink) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(head(server, 2000, "Connection: close") + bytes(1000))
        await comes(lambda: sink.bytes, "the first half is received")
        time.passes(70.0)
        writer.write(bytes(1000))
        await writer.drain()
        time.passes(40.0)
        await comes(lambda: sink.bytes == 2000, "the second half is received")
        time.passes(110.0)
        assert b"200 OK" in await reply(reader)
        writer.close()


async def test_a_file_is_sent_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application.FileBody, "chunk_size", 1000)
    path = tmp_path / "out.wav"
    path.write_bytes(bytes(range(250)) * 41)
    async with serving(Sink()) as server:
        add_file(server, path)
        for method, length in (("GET", 250 * 41), ("HEAD", 0)):
            start, body = await get_file(server, method=method)
            assert f"content-length: {250 * 41}".encode() in start
            assert body == path.read_bytes()[:length]


async def test_a_part_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The status of each request and the bytes that come, of 10250."""
    monkeypatch.setattr(application.FileBody, "chunk_size", 1000)
    path = tmp_path / "out.wav"
    path.write_bytes(bytes(range(250)) * 41)
    async with serving(Sink()) as server:
        add_file(server, path)

        async def answer(asked: str) -> str:
            start, body = await get_file(server, asked.encode().decode("unicode_escape"))
            fields = dict(line.lower().split(b": ", 1) for line in start.splitlines()[1:])
            assert int(fields[b"content-length"]) == len(body)
            status, told = start.split()[1].decode(), fields.get(b"content-range", b"bytes 0-10249/10250").decode()
            if status == "416":
                assert b"10250 bytes" in body
            else:
                first, last = map(int, told.removeprefix("bytes ").partition("/")[0].split("-"))
                assert fields[b"accept-ranges"] == b"bytes"
                assert body == path.read_bytes()[first : last + 1]
            return f"{status}: {told if b'content-range' in fields else 'all'}"

        await accepted.compare_async(__file__, answer)


async def test_parts_of_one_version_of_a_file(tmp_path: Path) -> None:
    """A client that goes on with a download gets the whole file where it has changed."""
    path = tmp_path / "out.wav"
    path.write_bytes(b"first version")
    async with serving(Sink()) as server:
        add_file(server, path)
        start, _ = await get_file(server)
        (tag,) = [line for line in start.splitlines() if line.lower().startswith(b"etag: ")]
        condition = f"If-Range: {tag.split(b': ')[1].decode()}"
        assert (await get_file(server, "Range: bytes=6-", condition))[1] == b"version"
        path.write_bytes(b"another version")
        start, body = await get_file(server, "Range: bytes=6-", condition)
    assert b" 200 " in start
    assert body == b"another version"


async def test_a_client_that_does_not_read_a_file_is_disconnected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "SEND_SECONDS", 0.2)
    path = tmp_path / "out.wav"
    with path.open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    async with serving(Sink()) as server:
        add_file(server, path)
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(head(server, 0, method="GET", path="/file"))
        await writer.drain()
        await comes(lambda: server.connections.busy, "a handler runs")
        await comes(lambda: not server.connections.busy, "it has ended")
        writer.close()


async def test_a_download_takes_longer_than_a_request_may(tmp_path: Path) -> None:
    path = tmp_path / "out.wav"
    with path.open("wb") as file:
        file.truncate(32 * 1024 * 1024)
    time = LoopTime()
    async with serving(Sink(), Limits(request_seconds=5.0)) as server:
        add_file(server, path)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(head(server, 0, "Connection: close", method="GET", path="/file"))
        start = await reader.readuntil(b"\r\n\r\n")
        assert b"content-length: 33554432" in start.lower()
        time.passes(6.0)
        assert len(await reader.readexactly(32 * 1024 * 1024)) == 32 * 1024 * 1024
        writer.close()


def ask_recordings(owner: tuple[str, str], path: str = "", **headers: str) -> HTTPResponse:
    """The answer to the owner, whose server's address and token are given."""
    url, token = owner
    request = urllib.request.Request(f"{url}/api/recordings{path}", headers=headers)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    found: HTTPResponse = urllib.request.urlopen(request, timeout=60)
    return found


@pytest.mark.parametrize("subtype", ["PCM_24", "FLOAT"])
def test_a_recording_that_is_still_written_comes_up_to_now(tmp_path: Path, subtype: str) -> None:
    """Its header is a second old, and it grows while it is sent: what was there when it was asked for comes, whole."""
    sound = np.sin(np.arange(48000, dtype=np.float32) / 50)[:, None] * np.array([0.5, 0.25, 0.125], np.float32)
    folder = paths.recordings() / "night"
    takes = [TakeFile(at / "out.wav", 48000, 3, subtype) for at in (folder.parent, folder)]
    for take in takes:
        take.write(sound[:10000])
        take.sync()
        take.write(sound[10000:40000])  # which no header says yet
    with server_thread(tmp_path) as owner:
        ask = partial(ask_recordings, owner)
        with ask("/out.wav") as answered:
            for take in takes:
                take.write(sound[40000:])
                take.sync()
            got = answered.read()
            assert len(got) == int(answered.headers["Content-Length"])
        with ask("/night") as answered, zipfile.ZipFile(io.BytesIO(answered.read())) as archive:
            zipped = archive.read("night/out.wav")
        with ask("/out.wav", Range="bytes=2-9") as answered:
            assert answered.status == 206
            part = answered.read()
    assert part[2:6] == (paths.recordings() / "out.wav").read_bytes()[4:8]
    for whole, frames in (got, 40000), (zipped, 48000):
        heard, rate = soundfile.read(io.BytesIO(whole), dtype="float32")
        assert rate == 48000
        np.testing.assert_allclose(heard, sound[:frames], atol=2e-7)
        assert int.from_bytes(whole[4:8], "little") == len(whole) - 8
    for take in takes:
        take.close()


@pytest.mark.parametrize(("rate", "ending"), [(48000, "mp3"), (96000, "ogg")])
def test_a_recording_comes_as_a_small_file_and_tracks_as_their_mix(tmp_path: Path, rate: int, ending: str) -> None:
    seconds = 20
    tone = 0.5 * np.sin(2 * np.pi * 440.0 * np.arange(seconds * rate) / rate).astype(np.float32)
    sound = tone[:, None] * np.array([1.0, 0.5, 0.0], np.float32)
    folder = paths.recordings() / "night"
    takes = [TakeFile(at, rate, 3, "FLOAT") for at in (folder.parent / "out.wav", folder / "output.wav")]
    (folder / "drums.wav").write_bytes(b"RIFF")
    (paths.recordings() / "mixless").mkdir()
    (paths.recordings() / "mixless" / "drums.wav").write_bytes(b"RIFF")
    for take in takes:
        take.write(sound)  # which no header says yet
    with server_thread(tmp_path) as owner:
        ask = partial(ask_recordings, owner)
        with ask() as answered:
            listed = {one["name"]: (one["seconds"], one["mix"] > 0, one["small"]) for one in json.load(answered)}
        assert listed == {
            "out.wav": (seconds, False, ending), "night": (seconds, True, ending), "mixless": (0.0, False, ""),
        }  # fmt: skip
        for name, saved in ("out.wav", f"out.{ending}"), ("night", f"night.{ending}"):
            with ask(f"/{name}?form=small") as answered:
                assert saved in answered.headers["Content-Disposition"]
                made = answered.read()
            assert len(made) < 0.06 * sound.nbytes
            heard, at = soundfile.read(io.BytesIO(made), dtype="float32")
            assert (at, heard.shape[1]) == (rate, 2)
            assert abs(len(heard) / rate - seconds) < 0.1
            level = np.sqrt(np.mean(heard[rate:-rate] ** 2, axis=0))
            np.testing.assert_allclose(level, [0.5 * 0.5**0.5, 0.25 * 0.5**0.5], rtol=0.06)  # LAME takes 0.4 dB off
        with ask("/night?form=mix") as answered:
            assert "night.wav" in answered.headers["Content-Disposition"]
            whole, _ = soundfile.read(io.BytesIO(answered.read()), dtype="float32")
        np.testing.assert_allclose(whole, sound, atol=2e-7)
        for path, status in ("/mixless?form=mix", 404), ("/mixless?form=small", 404), ("/night?form=tape", 400):
            with pytest.raises(urllib.error.HTTPError) as refused:
                ask(path)
            assert refused.value.code == status, path
    for take in takes:
        take.close()


def test_a_folder_of_tracks_comes_as_one_zip_file_and_to_its_owner_alone(tmp_path: Path) -> None:
    folder = paths.recordings() / "soirée 夜"
    folder.mkdir(parents=True)
    tracks = {"drums.wav": bytes(range(256)) * 4096, "set.rpp": b"<REAPER_PROJECT"}
    for name, content in tracks.items():
        (folder / name).write_bytes(content)
    (folder / "elsewhere.txt").symlink_to(tmp_path / "token")
    (paths.recordings() / "out.wav").write_bytes(b"RIFF")
    paths.captures().mkdir(parents=True)
    (paths.captures() / "in-now.wav").write_bytes(b"RIFF....")
    with server_thread(tmp_path) as owner:

        def ask(path: str, known: tuple[str, str] = owner) -> bytes:
            with ask_recordings(known, path) as answer:
                return answer.read()

        listed = {one["name"]: (one["tracks"], one["capture"]) for one in json.loads(ask(""))}
        assert listed == {"soirée 夜": (2, False), "out.wav": (0, False), "in-now.wav": (0, True)}
        made = zipfile.ZipFile(io.BytesIO(ask("/soir%C3%A9e%20%E5%A4%9C")))
        assert made.testzip() is None
        assert {one: made.read(one) for one in made.namelist()} == {
            f"soirée 夜/{name}": content for name, content in tracks.items()
        }
        assert ask("/out.wav") == b"RIFF"
        assert ask("/in-now.wav") == b"RIFF...."
        stranger = owner[0], ""
        for path, known, status in (
            ("", stranger, 401), ("/out.wav", stranger, 401), ("/none", owner, 404), ("/.hidden", owner, 400),
        ):  # fmt: skip
            with pytest.raises(urllib.error.HTTPError) as refused:
                ask(path, known)
            assert refused.value.code == status, path
