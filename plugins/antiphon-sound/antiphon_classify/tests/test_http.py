"""Classifiers by HTTP: a sound that is sent, one that was sent before, one that is sent as it is made."""

import asyncio
import io
import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from tests import accepted
from tests.http_client import owner_of_server
from tests.waiting import comes

from antiphon.kernel.runtime import paths
from antiphon_classify import routes

RATE = 8000
PLUGIN = '''
import os
from antiphon.api import UsageError, hookimpl
from antiphon.api.backends.analysis import Analysis, AnalysisRun, Quantity


class Height(Analysis):
    """High or low, by zero crossings."""

    quantities = (Quantity("height", "labels"), Quantity("crossings", "number", "1/s"))
    rate, channels, shortest = 8000, 1, 0.5
    labels = ("high", "low")

    def begin(self, rate, channels):
        return HeightRun()


class HeightRun(AnalysisRun):
    def __init__(self):
        self.frames = self.crossings = 0

    def feed(self, block):
        self.frames += block.shape[1]
        self.crossings += int(((block[0, 1:] < 0) != (block[0, :-1] < 0)).sum())

    def result(self):
        if self.frames < 4000:
            raise UsageError("the sound lasts %.1f s, and at least 0.5 s are needed" % (self.frames / 8000))
        rate = 8000 * self.crossings / self.frames
        high = min(1.0, rate / 2000)
        ranked = sorted([["high", high], ["low", 1 - high]], key=lambda pair: -pair[1])
        return {"height": ranked, "crossings": rate}


class Number(Analysis):
    """No labels, but offered."""

    quantities, classifier = (Quantity("number", "number"),), True

    def begin(self, rate, channels):
        return Fixed({"number": 0.25})


class Fixed(AnalysisRun):
    def __init__(self, values):
        self.values = values

    def feed(self, block):
        pass

    def result(self):
        return self.values


class Ends(Number):
    """Ends its process, as code in C that fails would."""

    def begin(self, rate, channels):
        print("not an answer")
        os._exit(9)


class Fails(Number):
    def begin(self, rate, channels):
        raise RuntimeError("a fault of its own")


class Unlabelled(Number):
    """No classifier."""

    classifier = False


@hookimpl
def antiphon_analyses(register):
    for kind in (Height, Number, Ends, Fails, Unlabelled):
        register(kind.__name__.lower(), kind)
'''


@pytest.fixture(autouse=True)
def plugin() -> Path:
    folder = paths.plugins() / "classes"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(PLUGIN)
    return folder


def tone(hertz: float, seconds: float = 1.0, format: str = "WAV", rate: int = RATE) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate), rate, format=format)
    return file.getvalue()


client = partial(owner_of_server, plugin="antiphon_classify")


async def test_what_there_is_and_a_sound_that_is_sent(tmp_path: Path) -> None:
    async with client(tmp_path) as asking:
        status, found = await asking.get("/api/classify")
        named = {entry["name"]: entry for entry in found}
        assert status == 200
        assert "quiet" not in named
        assert (named["height"]["labels"], named["height"]["shortest"]) == (["high", "low"], 0.5)
        assert named["number"]["labels"] == []
        assert [quantity["unit"] for quantity in named["height"]["quantities"]] == ["", "1/s"]
        for format, kind in (("WAV", "audio/wav"), ("FLAC", ""), ("MP3", "application/octet-stream")):
            status, found = await asking.post("/api/classify/height", tone(1000, 2.0, format), kind)
            assert status == 200, found
            assert found["duration"] == pytest.approx(2.0, abs=0.1)
            assert found["labels"] == found["height"]
            assert found["labels"][0][0] == "high"
            assert found["crossings"] == pytest.approx(2000, rel=0.05)
        # in another rate, and chunked
        status, found = await asking.post("/api/classify/height", iter([tone(100, 1.0, rate=44100)]))
        assert (status, found["labels"][0][0]) == (200, "low")
        status, found = await asking.post("/api/classify/number", tone(100))
        assert found == {"duration": 1.0, "labels": None, "number": 0.25}
        assert not list((tmp_path / "jobs" / "classify").iterdir())
        # a file that was sent before
        status, file = await asking.post("/api/files?name=a.wav", tone(1000))
        status, found = await asking.post("/api/classify/height", {"file": file["id"]}, "application/json")
        assert (status, found["labels"][0][0]) == (200, "high")
        status, found = await asking.get("/api/status")
        counts = {name: value for name, value in found.items() if name.startswith("classify")}
        assert counts == {
            "classify_waiting": 0,
            "classify_streams": 0,
            "classify_done": 6,
            "classify_refused": 0,
        }


async def test_what_is_refused_is_refused_in_a_sentence(tmp_path: Path) -> None:
    """Of a classifier, a body and its kind; "lines" asks for a line each so many seconds."""
    names = {"tone": tone, "long": tone(100)}
    async with client(tmp_path) as asking:

        async def answer(asked: str) -> str:
            name, body, kind = eval(asked, names)
            headers = {"Accept": "application/x-ndjson"} if kind == "lines" else {}
            status, told = await asking.post(f"/api/classify/{name}", body, kind.replace("lines", ""), **headers)
            assert sorted(told) == ["error"], asked
            # which classifiers there are, and what libsndfile says, is the installation's
            return f"{status}: {told['error'].partition(' there are:')[0].partition(' (')[0]}"

        await accepted.compare_async(__file__, answer)


async def test_a_classifier_that_ends_its_process_ends_that_alone(tmp_path: Path) -> None:
    async with client(tmp_path) as asking:
        for _ in range(2):
            status, found = await asking.post("/api/classify/ends", tone(100))
            assert (status, "ended with status 9" in found["error"]) == (503, True)
            assert (await asking.post("/api/classify/height", tone(100)))[0] == 200


async def test_the_queue_is_bounded_and_counts_what_it_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "MAX_REQUESTS", 3)
    async with client(tmp_path) as asking:
        found = await asyncio.gather(*(asking.reply("/api/classify/height", tone(1000)) for _ in range(12)))
        statuses = [status for status, *_ in found]
        assert set(statuses) <= {200, 429}
        assert statuses.count(200) >= 3
        refused = [headers for status, _, headers in found if status == 429]
        assert all(headers["Retry-After"] == "5" for headers in refused)
        counts = (await asking.get("/api/status"))[1]
        assert (counts["classify_done"], counts["classify_refused"]) == (statuses.count(200), len(refused))
        monkeypatch.setattr(routes, "MAX_BYTES", 1000)
        assert (await asking.post("/api/classify/height", tone(1000)))[0] == 429
        monkeypatch.setattr(routes, "MAX_STREAMS", 0)
        headers = {"Accept": "application/x-ndjson"}
        assert (await asking.post("/api/classify/height", tone(1000), **headers))[0] == 429


async def test_a_stream_is_answered_while_it_comes(tmp_path: Path) -> None:
    """The second tone is sent only when the answer for the first has come."""
    async with client(tmp_path) as asking:
        sound = tone(1000, 2.0) + tone(100, 3.0)[44:]
        head, rest = sound[: len(sound) // 2], sound[len(sound) // 2 :]
        head = head.replace(head[40:44], b"\xff\xff\xff\xff", 1)  # as long as it comes
        reader, writer = await asyncio.open_connection("127.0.0.1", asking.server.port)
        writer.write(
            f"POST /api/classify/height?every=1 HTTP/1.1\r\nHost: 127.0.0.1:{asking.server.port}\r\n"
            f"Authorization: Bearer {asking.token}\r\nTransfer-Encoding: chunked\r\n"
            "Accept: application/x-ndjson\r\n\r\n".encode()
        )

        def send(data: bytes) -> None:
            for at in range(0, len(data), 500):
                piece = data[at : at + 500]
                writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")

        async def answer() -> dict[str, Any]:
            async with asyncio.timeout(60):
                while not (line := await reader.readline()).startswith(b"{"):
                    assert line
            return dict(json.loads(line))

        send(head)
        first = await answer()
        assert (first["start"], first["end"], first["labels"][0][0]) == (0.0, 1.0, "high")
        send(rest)
        writer.write(b"0\r\n\r\n")
        found = [await answer() for _ in range(5)]
        writer.close()
    assert [line["labels"][0][0] for line in found[:4]] == ["high", "low", "low", "low"]
    assert found[-1]["duration"] == pytest.approx(5.0, abs=0.01)


async def test_a_stream_that_is_cut_off_leaves_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[Any] = []
    start = routes.ClassifierProcess.start

    async def noted(*words: str) -> Any:
        begun.append(await start(*words))
        return begun[-1]

    monkeypatch.setattr(routes.ClassifierProcess, "start", noted)
    async with client(tmp_path) as asking:
        _, writer = await asyncio.open_connection("127.0.0.1", asking.server.port)
        sound = tone(1000, 3.0)
        writer.write(
            f"POST /api/classify/height HTTP/1.1\r\nHost: 127.0.0.1:{asking.server.port}\r\n"
            f"Authorization: Bearer {asking.token}\r\nContent-Length: {2 * len(sound)}\r\n"
            "Accept: application/x-ndjson\r\n\r\n".encode()
            + sound
        )
        await comes(lambda: begun, "a stream has begun")
        writer.transport.abort()

        async def ended() -> bool:
            return not (await asking.get("/api/status"))[1]["classify_streams"]

        await comes(ended, "the stream has ended")
        assert begun[0].child.ended
