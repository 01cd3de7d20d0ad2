"""The page's files, its feed and its streams, with a stand-in for control."""

import asyncio
import base64
import gzip
import hashlib
import json
import re
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.taps import Taps
from tests.waiting import comes
from tests.web.test_http import PATIENT, running
from tests.web.test_listen import PATIENCE, Client, ControlSocket, stand_in
from tools import page_types
from wsproto import events

from antiphon.kernel.contract.catalog import Catalog, ProcessorInfo
from antiphon.kernel.contract.params import Param
from antiphon.kernel.contract.ports import AUDIO_IN, AUDIO_OUT
from antiphon.kernel.graph.io_nodes import OUT_NUMBER
from antiphon.kernel.io.tap_memory import TapMemory, TapShape
from antiphon.kernel.wire.osc import IMMEDIATELY, Double, decode, encode, encode_bundle
from antiphon.web.access import PROTOCOL, TokenGuard, add_offered_token
from antiphon.web.api import server_state
from antiphon.web.api.server_state import ServerRoutes
from antiphon.web.control_link import ControlLink
from antiphon.web.page import feed, files as page, routes as pages, routes as sound
from antiphon.web.server import HttpServer

SOURCES = Path(__file__).parents[2] / "page"
BLOCK, CHANNELS = 64, 2
INFO = ProcessorInfo(
    "gain", "Louder.", "g", (AUDIO_IN,), (AUDIO_OUT,), (Param("gain", default=1.0, high=2.0, unit="dB"),)
)
NAMES = {"a": 5, "b": 6, "c": 7, "d": 8, "out": OUT_NUMBER}


class Control(ControlLink):
    """Answers about the patch without a control process."""

    async def status(self) -> dict[str, Any]:
        return {"blocks": 7, "tempo": 120.0}

    async def graph(self) -> dict[str, Any]:
        nodes = [{"name": n, "type": "gain", "number": k, "state": "running", "reason": ""} for n, k in NAMES.items()]
        return {"patch": "p", "nodes": nodes, "wires": [["in.in", "a.in"]], "scenes": [3]}

    async def nodes(self) -> list[Any]:
        return []


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[HttpServer, ControlSocket, TapMemory]]:
    with stand_in(Control) as (link, control, _):
        server = HttpServer(control=link, limits=PATIENT)
        taps = TapMemory.create(TapShape(48000, BLOCK, CHANNELS, 64))
        pages.install(server, link, ServerRoutes(server, link, Catalog({"gain": INFO})).state, taps)
        async with running(server):
            yield server, control, taps


async def opened(server: HttpServer, path: str) -> Client:
    client = Client(server)
    accepted = await client.open(path)
    assert isinstance(accepted, events.AcceptConnection), accepted
    return client


async def said(client: Client, key: str) -> Any:
    """The part of that name of the next object that has one."""
    return (await said_all(client, key))[key]


async def block(client: Client, of: str = "<f4") -> tuple[tuple[int, ...], np.ndarray]:
    """Header and samples of the next message of a stream."""
    data = b""
    while True:
        event = await client.next()
        assert isinstance(event, events.BytesMessage), event
        data += bytes(event.data)
        if event.message_finished:
            break
    fields = sound.HEADER.unpack_from(data)
    return fields, np.frombuffer(data, of, offset=sound.HEADER.size).reshape(fields[3], CHANNELS, BLOCK)


def test_the_built_page_is_that_of_the_sources() -> None:
    names = ["build.mjs", "package-lock.json", "package.json", "tsconfig.json"]
    names += [path.relative_to(SOURCES).as_posix() for path in (SOURCES / "src").rglob("*") if path.is_file()]
    digest = hashlib.sha256()
    for name in sorted(names):
        digest.update(name.encode() + b"\0" + (SOURCES / name).read_bytes() + b"\0")
    assert page.asset("sources.sha256").decode().strip() == digest.hexdigest(), "run: make page"


@pytest.mark.needs("classify", "library")
def test_the_types_of_the_page_are_those_of_the_api() -> None:
    made = page_types.text()
    assert (SOURCES / "src/api.d.ts").read_text() == made, "run: make page"
    assert "  [path: `/api/jobs/${string}`]: Job;" in made
    assert page_types.typescript_type({"type": ["number", "null"]}) == "number | null"
    assert page_types.typescript_type({"type": "array", "items": {"enum": ["a", "b"]}}) == '("a" | "b")[]'
    with pytest.raises(ValueError, match="no type for"):
        page_types.typescript_type({"type": "tuple"})


def test_the_page_sets_text_only_as_text_and_loads_nothing() -> None:
    own = "".join(path.read_text() for path in (SOURCES / "src").rglob("*.*") if path.suffix != ".svg")
    for risky in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "http://", "https://"):
        assert risky not in own
    made = page.html()
    own_files = ("icon.svg", "icon-192.png", "manifest.webmanifest", "app.css", "app.js")
    assert re.findall(r'(?:src|href)="([^"]*)"', made) == [*(f"/page/{name}" for name in own_files), "/api/status"]
    inline = r"<script[^>]*>[^<]|<style|\son\w+="
    assert not re.search(inline, made), "nothing that the policy would have to allow inline"
    policy = dict(page.headers())["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'")
    assert "unsafe" not in policy
    assert "url(" not in page.asset("app.css").decode()
    assert all(page.asset(name) for name in page.TYPES)
    assert page.asset("app.js").decode().count("MIT License") >= 2, "the licences of what is in it"


def test_the_service_worker_keeps_each_built_file_by_its_digest_and_nothing_else() -> None:
    worker = page.asset("worker.js").decode()
    kept = dict(re.findall(r'"(/page/[^"]+)":"sha256-([^"]+)"', worker))
    assert set(kept) == {"/page/" + name for name in page.TYPES if name != "worker.js" and not name.endswith(".png")}
    for path, digest in kept.items():
        held = hashlib.sha256(page.asset(path.removeprefix("/page/"))).digest()
        assert base64.b64encode(held).decode() == digest, path
    assert "/api/" not in worker
    assert dict(page.extra("worker.js"))["Service-Worker-Allowed"] == "/"
    assert "worker-src 'self'" in dict(page.extra("index.html"))["Content-Security-Policy"]
    assert page.extra("app.js") == ()


async def test_the_first_screen_s_script_is_small_and_packed_for_those_who_unpack() -> None:
    async with serving() as (server, _, _):

        def got(*headers: tuple[str, str]) -> tuple[str | None, bytes]:
            address = f"http://127.0.0.1:{server.port}/page/app.js"
            with urllib.request.urlopen(urllib.request.Request(address, headers=dict(headers))) as reply:
                return reply.headers["Content-Encoding"], reply.read()

        plain = (await asyncio.to_thread(got))[1]
        coding, packed = await asyncio.to_thread(got, ("Accept-Encoding", "gzip, br"))
    assert coding == "gzip"
    assert gzip.decompress(packed) == plain == page.asset("app.js")
    assert len(packed) <= 110_000


def test_a_parameter_s_declaration_is_in_the_graph() -> None:
    plan = {"patch": "p", "nodes": [{"name": "a", "type": "gain"}, {"name": "x", "type": "gone"}], "wires": []}
    made = server_state.graph_object(plan, {"a": {"gain": float("inf")}}, Catalog({"gain": INFO}))
    param = next(p for p in made["nodes"][0]["params"] if p["name"] == "gain")
    wanted = {"low": 0.0, "high": 2.0, "unit": "dB", "warp": "linear", "value": None}
    assert {name: param[name] for name in wanted} == wanted
    assert made["nodes"][1]["params"] == []


async def test_pages_are_sent_what_changes_and_each_note() -> None:
    async with serving() as (server, control, _):
        one, two = await opened(server, "/api/feed"), await opened(server, "/api/feed")
        assert [(await control.heard()).address for _ in range(2)] == [b"/notify", b"/note/watch"]
        assert (await said(one, "status"))["blocks"] == 7
        packets = [encode("/node/a/gain", 0.5), encode("/node/a/gain", 0.75), encode("/meter", "a", 0.5, 0.25)]
        packets += [encode("/note/on", note, 100, 1, "hum") for note in (60, 64, 67)]
        control.send(encode_bundle(IMMEDIATELY, packets))
        for client in (one, two):
            event = await said_all(client, "values", "meters", "events")
            assert event["values"] == {"/node/a/gain": 0.75}
            assert event["meters"] == {"a": [0.5, 0.25]}
            assert event["events"] == [["/note/on", note, 100, 1, "hum"] for note in (60, 64, 67)]


async def said_all(client: Client, *keys: str) -> dict[str, Any]:
    """Objects put together until they have all keys."""
    found: dict[str, Any] = {}
    async with asyncio.timeout(PATIENCE):
        while not all(key in found for key in keys):
            event = await client.next()
            assert isinstance(event, events.TextMessage), event
            found |= json.loads(event.data)
    return found


async def test_a_page_s_message_goes_to_control_and_the_answer_to_it_alone() -> None:
    async with serving() as (server, control, _):
        one, two = await opened(server, "/api/feed"), await opened(server, "/api/feed")
        await control.heard()
        await control.heard()
        # a note that anybody plays is drawn by all
        control.send(encode("/note/event", Double(4.5), 60, 100, 1, "keys"))
        for client in (one, two):
            assert await said(client, "notes") == [[4.5, 60, 100, 1, "keys"]]
        one.send(json.dumps(["/node/a/gain", 0.5, True, "x"]))
        heard = await control.heard()
        assert heard == decode(encode("/node/a/gain", 0.5, True, "x"))
        control.send(encode("/fail", "/node/a/gain", "too loud"))
        assert await said(one, "reply") == ["/fail", "/node/a/gain", "too loud"]
        # the other got no answer before its next status
        assert "reply" not in await said_all(two, "status")


@pytest.mark.parametrize(
    "text",
    ["", "x", "{}", "[]", "[1]", '["node"]', '["/notify", 1]', '["/monitor", 1]', '["/note/watch", 1]', '["/a", [1]]',
     '["/a", null]',
     '["/a", {"b": 1}]', json.dumps(["/" + "a" * 300]), json.dumps(["/a", *range(40)]), "[" * 3000,
     '["/a", 1' + "0" * 300 + "]"],
)  # fmt: skip
async def test_what_is_no_message_is_refused_in_words(text: str) -> None:
    async with serving() as (server, control, _):
        client = await opened(server, "/api/feed")
        await control.heard()
        client.send(text)
        reply = await said(client, "reply")
        assert reply[0] == "/fail"
        assert reply[2]


async def test_the_sound_of_a_node_is_streamed_to_all_who_listen() -> None:
    async with serving() as (server, _, taps):
        engine = Taps(taps)
        clients = [await opened(server, "/api/sound?node=out") for _ in range(2)]
        await until_wanted(taps, 0, OUT_NUMBER)
        outs = np.random.default_rng(1).standard_normal((40, CHANNELS, BLOCK)).astype(np.float32)
        for n, out in enumerate(outs):
            engine.put(n, out, out, None)
        for client in clients:
            got: list[np.ndarray] = []
            next_sample = -1
            while sum(map(len, got)) < 30:
                fields, samples = await block(client)
                assert fields[:3] == (48000, BLOCK, CHANNELS)
                assert next_sample in (-1, fields[4])
                next_sample = fields[4] + fields[3] * BLOCK
                got.append(samples)
            whole = np.concatenate(got)
            np.testing.assert_array_equal(whole, outs[-len(whole) :])
        assert taps.words[1] == 0, "one tap for both"
        for client in clients:
            client.close()
        await until_wanted(taps, 0, 0)


async def test_a_listener_may_have_sixteen_bits_and_the_other_all() -> None:
    async with serving() as (server, _, taps):
        engine = Taps(taps)
        narrow = await opened(server, "/api/sound?node=out&format=int16")
        wide = await opened(server, "/api/sound?node=out")
        await until_wanted(taps, 0, OUT_NUMBER)
        out = np.linspace(-1.5, 1.5, CHANNELS * BLOCK, dtype=np.float32).reshape(CHANNELS, BLOCK)
        for n in range(40):
            engine.put(n, out, out, None)
        _, samples = await block(wide)
        np.testing.assert_array_equal(samples[0], out)
        fields, samples = await block(narrow, "<i2")
        assert fields[:3] == (48000, BLOCK, CHANNELS)
        np.testing.assert_allclose(samples[0] / 32767.0, np.clip(out, -1.0, 1.0), atol=0.5 / 32767.0)
        refused = await (await opened(server, "/api/sound?node=out&format=opus")).next()
        assert isinstance(refused, events.CloseConnection)
        assert "float32 or int16" in str(refused.reason)
    odd = np.array([np.nan, np.inf, -np.inf], np.float32)
    assert list(np.frombuffer(sound.int16(odd.tobytes()), "<i2")) == [0, 32767, -32767]


async def test_four_nodes_at_most_and_a_fifth_is_refused_in_words() -> None:
    async with serving() as (server, _, taps):
        clients = [await opened(server, f"/api/sound?node={name}") for name in ("a", "b", "c", "d")]
        await until_wanted(taps, 3, NAMES["d"])
        assert list(taps.words[:4]) == [5, 6, 7, 8]
        fifth = await (await opened(server, "/api/sound?node=out")).next()
        assert isinstance(fifth, events.CloseConnection)
        assert "4 nodes" in str(fifth.reason)
        nobody = await (await opened(server, "/api/sound?node=%2e%2e")).next()
        assert isinstance(nobody, events.CloseConnection)
        assert "there is no node" in str(nobody.reason)
        clients[1].close()
        await until_wanted(taps, 1, 0)
        clients.append(await opened(server, "/api/sound?node=out"))
        await until_wanted(taps, 1, OUT_NUMBER)


async def until_wanted(taps: TapMemory, tap: int, number: int) -> None:
    await comes(lambda: taps.words[tap] == number, f"tap {tap} is that of node {number}")


async def test_another_node_of_the_name_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sound, "NAMES_SECONDS", 0.02)
    async with serving() as (server, _, taps):
        client = await opened(server, "/api/sound?node=a")
        await until_wanted(taps, 0, 5)
        monkeypatch.setitem(NAMES, "a", 50)
        await until_wanted(taps, 0, 50)
        monkeypatch.delitem(NAMES, "a")
        await until_wanted(taps, 0, 0)
        client.close()


@pytest.mark.parametrize("path", ["/api/feed", "/api/sound?node=out", "/api/input"])
async def test_a_foreign_origin_or_host_gets_no_websocket(path: str) -> None:
    async with serving() as (server, _, _):
        foreign = ("http://evil.example", "null", f"https://127.0.0.1:{server.port}", "http://127.0.0.1:1", "file://")
        for origin in foreign:
            refused = await Client(server).open(path, Origin=origin)
            assert isinstance(refused, events.RejectConnection), origin
        # a name of another site that leads here, as DNS rebinding makes it
        port = server.port
        for host in (f"evil.example:{port}", "127.0.0.1", "127.0.0.1:1", f"127.0.0.1.evil.example:{port}"):
            refused = await offering(server, path=path, host=host)
            assert isinstance(refused, events.RejectConnection), host
            assert refused.status_code == 421
        assert server.counts["pages"]() == server.counts["sound_streams"]() == 0
        accepted = await Client(server).open(path, Origin=f"http://127.0.0.1:{server.port}")
        assert isinstance(accepted, events.AcceptConnection)


async def test_a_page_that_never_reads_delays_no_other_and_its_loss_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "PERIOD", 0.002)
    monkeypatch.setattr(feed, "QUEUE", 4)
    async with serving() as (server, control, _):
        stuck, reader = await opened(server, "/api/feed"), await opened(server, "/api/feed")
        await control.heard()
        last = 0
        text = "x" * 900
        async with asyncio.timeout(PATIENCE):
            while server.counts["page_dropped"]() == 0:
                last += 1
                control.send(encode_bundle(IMMEDIATELY, [encode("/patch/warning", f"{last} {text}")] * 40))
                while True:
                    found = await said_all(reader, "events")
                    assert "again" not in found, "the page that reads loses nothing"
                    if int(found["events"][-1][1].split()[0]) == last:
                        break
        assert server.counts["pages"]() == 2
        stuck.close()


async def offering(
    server: HttpServer, *subprotocols: str, path: str = "/api/feed", host: str | None = None
) -> events.Event:
    """The answer to a request for a WebSocket with these subprotocols."""
    client = Client(server)
    client._reader, client._writer = await asyncio.open_connection("127.0.0.1", server.port)
    host = host or f"127.0.0.1:{server.port}"
    request = events.Request(host=host, target=path, subprotocols=list(subprotocols))
    client._writer.write(client._conn.send(request))
    return await client.next()


async def test_a_websocket_s_token_is_one_of_its_subprotocols() -> None:
    token = "0123456789abcdef" * 2
    async with serving() as (server, _, _):
        server.gate.authorise = TokenGuard(token, everything=True).check
        for target in ("/api/feed", "/api/graph"):  # at other addresses a page may LISTEN
            accepted = await offering(server, PROTOCOL, f"token.{token}", path=target)
            assert isinstance(accepted, events.AcceptConnection)
            assert accepted.subprotocol == PROTOCOL, "the token is not repeated"
        for wrong in ((), (PROTOCOL,), (PROTOCOL, f"token.{token[::-1]}")):
            assert isinstance(await offering(server, *wrong), events.RejectConnection)
    both = [(b"authorization", b"Bearer x"), (b"sec-websocket-protocol", b"antiphon, token.y")]
    assert add_offered_token(both) == both, "a header of its own is not replaced"


async def test_a_browser_that_never_reads_delays_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sound, "TURN_SECONDS", 0.001)
    async with serving() as (server, _, taps):
        engine = Taps(taps)
        stuck, reader = await opened(server, "/api/sound?node=out"), await opened(server, "/api/sound?node=out")
        await until_wanted(taps, 0, OUT_NUMBER)
        out = np.full((CHANNELS, BLOCK), 0.5, np.float32)
        at = heard = 0
        async with asyncio.timeout(PATIENCE):
            while server.counts["sound_dropped"]() < 10:
                for _ in range(32):
                    engine.put(at, out, out, None)
                    at += 1
                fields, samples = await block(reader)
                assert fields[6] == 0, "the other browser loses no message"
                assert (samples == 0.5).all()
                heard += fields[3]
        assert heard > at / 2
        stuck.close()
