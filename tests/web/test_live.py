"""Routes of live scripts, with a stand-in for the performer: who may evaluate, what is saved, what pages are sent."""

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests import accepted
from tests.jobs.test_board import FakePerform
from tests.waiting import comes
from tests.web.test_http import PATIENT, body, running, send, status
from tests.web.test_listen import stand_in
from tests.web.test_page import Control, opened, said

from antiphon.jobs import board
from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.errors import WireError
from antiphon.kernel.graph.graph import NodeSpec
from antiphon.kernel.runtime.processes.child_process import socket_pair
from antiphon.kernel.wire.osc import Message, encode, encode_bundle
from antiphon.operations import patch_list
from antiphon.web.access import CodeGuard, TokenGuard
from antiphon.web.api import live as live_routes
from antiphon.web.api.jobs import JobRoutes
from antiphon.web.api.lessons import _told
from antiphon.web.api.live import LiveRoutes
from antiphon.web.api.server_state import ServerRoutes
from antiphon.web.control_link import NodeValues
from antiphon.web.messages import MAX_SCRIPT_BYTES, MAX_STEPS, MAX_VERSION, pack, unpack
from antiphon.web.osc_socket import OscSocket, check_message
from antiphon.web.page import routes as pages
from antiphon.web.page.feed import EVENTS, PageFeed
from antiphon.web.performer_link import PerformerLink
from antiphon.web.protocol import guard
from antiphon.web.server import HttpServer

TOKEN = "0123456789abcdef" * 2
SCRIPT = {"text": 'track("a", "bd*4")', "version": 7, "name": "mine", "by": "one"}


class SamplerControl(Control):
    """A patch with a sampler."""

    async def nodes(self) -> list[Any]:
        return [NodeValues(NodeSpec("drums", "sampler"), {"library": ""}), NodeValues(NodeSpec("send", "gain"), {})]


@dataclass
class Rig:
    """A server and the performer's end of its socket."""

    server: HttpServer
    performer: socket.socket
    feed: PageFeed

    async def ask(
        self, method: str, path: str, data: Any = None, *, token: str = TOKEN, origin: str = ""
    ) -> tuple[int, Any]:
        text = b"" if data is None else json.dumps(data).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.server.port}\r\nConnection: close\r\n"
        head += f"Authorization: Bearer {token}\r\n" if token else ""
        head += f"Origin: {origin}\r\n" if origin else ""
        head += f"Content-Length: {len(text)}\r\n" if text or method != "GET" else ""
        reply = await send(self.server, head.encode() + b"\r\n" + text)
        return status(reply), json.loads(body(reply))

    def told(self) -> list[dict[str, Any]]:
        """What web has sent the performer."""
        found = []
        while True:
            try:
                found.append(unpack(self.performer.recv(1 << 20)))
            except BlockingIOError:
                return found


@asynccontextmanager
async def serving(*, live: bool = True, proxied: bool = False, jobs: Path | None = None) -> AsyncIterator[Rig]:
    ours, theirs = socket_pair()
    theirs.setblocking(False)
    with ours, theirs, stand_in(SamplerControl) as (link, _, _):
        server = HttpServer(control=link, limits=PATIENT)
        server.gate.authorise = TokenGuard(TOKEN).check
        feed = pages.install(server, link, ServerRoutes(server, link, Catalog({})).state, None)
        guard = CodeGuard(live, proxied)
        LiveRoutes(server, link, PerformerLink(ours if live else None, feed), guard).add()
        if jobs is not None:
            server.closing.append(JobRoutes(server, Catalog({}), jobs, guard).close)
        async with running(server):
            yield Rig(server, theirs, feed)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ANTIPHON_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with serving() as made:
        yield made


async def test_a_script_reaches_the_performer_by_the_token_alone(rig: Rig) -> None:
    assert rig.told() == [{"do": "state"}]
    assert (await rig.ask("POST", "/api/live/eval", SCRIPT, token=""))[0] == 401
    refused, reason = await rig.ask("POST", "/api/live/eval", SCRIPT, token="f" * 32)
    assert refused == 403
    assert reason == {"error": "this is not the token"}
    # a page of another site, even if it knew the token, and a browser that was sent here under a foreign name
    assert (await rig.ask("POST", "/api/live/eval", SCRIPT, origin="http://evil.example"))[0] == 403
    assert (await rig.ask("POST", "/api/live/stop", token=""))[0] == 401
    assert (await rig.ask("GET", "/api/live/script", token=""))[0] == 401
    assert rig.told() == []
    own = f"http://127.0.0.1:{rig.server.port}"
    assert await rig.ask("POST", "/api/live/eval", SCRIPT, origin=own) == (202, {"version": 7})
    assert await rig.ask("POST", "/api/live/stop") == (200, {"stopped": True})
    told = rig.told()
    assert told == [{"do": "run", **SCRIPT, "quantum": 1.0, "top": False}, {"do": "stop"}]
    assert TOKEN not in json.dumps(told)
    assert await rig.ask("GET", "/api/live/script") == (200, SCRIPT)


async def test_sliders_and_silent_tracks_reach_the_performer_by_the_token_alone() -> None:
    moved, silent = {"version": 7, "place": 30, "value": 0.25}, {"muted": ["beat", "ümlaut"], "soloed": []}
    async with serving() as rig:
        rig.told()
        for path, data in (("slider", moved), ("tracks", silent)):
            assert (await rig.ask("POST", f"/api/live/{path}", data, token=""))[0] == 401
            assert (await rig.ask("POST", f"/api/live/{path}", {**data, "more": 1}))[0] == 400
        assert (await rig.ask("POST", "/api/live/tracks", {"muted": ["x" * 65]}))[0] == 400
        assert (await rig.ask("POST", "/api/live/slider", {**moved, "value": 1e300}))[0] == 400
        assert rig.told() == []
        assert (await rig.ask("POST", "/api/live/slider", moved))[0] == 200
        assert await rig.ask("POST", "/api/live/tracks", silent) == (200, silent)
        assert rig.told() == [{"do": "slide", **moved}, {"do": "tracks", **silent}]
    async with serving(live=False) as rig:
        assert (await rig.ask("POST", "/api/live/slider", moved))[0] == 403


RENDER = "/api/live/sets/tune/render"


@pytest.mark.parametrize(
    ("live", "proxied", "peer", "stored", "reason"),
    [
        (False, False, "127.0.0.1", True, "antiphon serve --live"),
        (True, False, "192.168.1.9", False, "own machine alone"),
        (True, False, "::ffff:192.168.1.9", False, "own machine alone"),
        (True, False, "", False, "own machine alone"),
        (True, True, "127.0.0.1", False, "with --proxy"),  # that of a proxy beside it
    ],
)
async def test_a_script_that_came_by_http_is_evaluated_by_no_way(
    home: Path, monkeypatch: pytest.MonkeyPatch, live: bool, proxied: bool, peer: str, stored: bool, reason: str
) -> None:
    performed = FakePerform()
    monkeypatch.setattr(board, "perform", performed)
    monkeypatch.setattr(guard, "_address", lambda end: peer.removeprefix("::ffff:"))
    async with serving(live=live, proxied=proxied, jobs=home / "jobs") as rig:
        rig.told()
        saved = await rig.ask("PUT", "/api/live/sets/tune", {"text": "open('owned', 'w')"})
        assert saved[0] == (201 if stored else 403)
        # as it lies there from another start of the server
        (home / "data" / "live").mkdir(parents=True, exist_ok=True)
        (home / "data" / "live" / "tune.py").write_text("open('owned', 'w')")
        state = (await rig.ask("GET", "/api/live"))[1]
        assert (state["on"], reason in state["start"]) == (False, True)
        for path, data in ((RENDER, {}), ("/api/live/eval", SCRIPT), ("/api/live/sets/tu%6ee/render", {"bars": 1})):
            refused, said = await rig.ask("POST", path, data)
            assert (refused, reason in said["error"]) == (403, True), (path, said)
        assert [told for told in rig.told() if told["do"] == "run"] == []
        # one that ships is rendered; repeated, too, as long as it is the one that ships
        refused, job = await rig.ask("POST", "/api/live/sets/euclid/render", {})
        assert refused == 202
        (home / "data" / "live" / "euclid.py").write_text("open('owned', 'w')")
        assert (await rig.ask("POST", f"/api/jobs/{job['id']}/repeat"))[0] == 403
        assert str(home / "data" / "live") not in str(performed.requests)


async def test_a_script_is_rendered_for_the_owner_of_a_server_with_live(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board, "perform", FakePerform())
    async with serving(jobs=home / "jobs") as rig:
        assert (await rig.ask("PUT", "/api/live/sets/tune", {"text": "one"}))[0] == 201
        status, job = await rig.ask("POST", RENDER, {})
        assert status == 202
        assert (await rig.ask("POST", f"/api/jobs/{job['id']}/repeat"))[0] == 202


async def test_a_patch_or_a_set_that_there_is_not_is_not_found(home: Path) -> None:
    async with serving(jobs=home / "jobs") as rig:
        status, said = await rig.ask("POST", "/api/render/nope", {"seconds": 1})
        before, _, nearest = said["error"].partition("; the nearest of ")
        assert (status, before) == (404, "there is no patch 'nope'")
        assert set(nearest.partition(" are ")[2].split(", ")) < set(patch_list.names())
        assert (await rig.ask("POST", "/api/render/kesy", {"seconds": 1}))[1]["error"].startswith(
            "there is no patch 'kesy'; did you mean keys? "
        )
        assert (await rig.ask("POST", "/api/live/sets/nope/render", {}))[0] == 404
        assert (await rig.ask("POST", "/api/render/keys", {}))[0] == 400


async def test_others_are_answered_while_the_words_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(live_routes, "words", lambda: {"words": [go_on.wait(30)]})
    async with serving() as rig:
        asked = [asyncio.create_task(rig.ask("GET", "/api/live/words")) for _ in range(2)]
        assert (await rig.ask("GET", "/api/live"))[0] == 200
        go_on.set()
        assert [await one for one in asked] == [(200, {"words": [True]})] * 2


async def test_the_words_and_a_translation_are_the_same_when_they_are_asked_for_again() -> None:
    async with serving() as rig:
        words = [await rig.ask("GET", "/api/live/words") for _ in range(2)]
        made = [await rig.ask("POST", "/api/live/paste", {"text": '$: s("bd*4")'}) for _ in range(2)]
    assert words[0] == words[1]
    assert {"s", "track"} < {word["name"] for word in words[0][1]["words"]}
    for kind in ("words", "changes"):
        shown = {word["name"]: word["signature"] for word in words[0][1][kind]}
        assert (shown["stutter"], shown["ply"], shown["brak"]) == ("(times, cycles)", "(times)", "()")
    assert made[0] == made[1]
    assert "bd*4" in made[0][1]["text"]


async def test_a_script_is_handed_over_by_no_osc_message_of_a_client_of_http(rig: Rig) -> None:
    for address in ("/live/eval", "/live/join"):
        refused, said = await rig.ask("POST", "/api/osc", {"address": address, "args": [TOKEN, "code"]})
        assert (refused, "POST /api/live/eval" in said["error"]) == (400, True), said
    with pytest.raises(WireError, match="POST /api/live/eval"):
        check_message("/live/eval", [TOKEN, "code"])  # by a page's WebSocket
    link, inner = rig.server.control, encode("/live/eval", TOKEN, "code")
    assert link is not None
    for packet in (inner, encode_bundle(1, [encode("/ping"), encode_bundle(1, [inner])])):
        with pytest.raises(WireError, match="POST /api/live/eval"):
            link.forward(packet)


async def test_a_wrong_script_is_refused_in_words(rig: Rig) -> None:
    rig.told()
    bounds = {"MAX_SCRIPT_BYTES": MAX_SCRIPT_BYTES, "MAX_VERSION": MAX_VERSION}

    async def answer(change: str) -> str:
        refused, said = await rig.ask("POST", "/api/live/eval", {**SCRIPT, **eval(change, bounds)})
        return f"{refused}: {said['error']}"

    await accepted.compare_async(__file__, answer)
    assert rig.told() == []


async def test_a_performer_that_reads_nothing_is_said_and_stops_nothing(rig: Rig) -> None:
    script = {**SCRIPT, "text": "x" * MAX_SCRIPT_BYTES}
    for _ in range(200):
        answered = await rig.ask("POST", "/api/live/eval", script)
        if answered[0] == 503:
            break
    assert answered[0] == 503
    assert "try again" in answered[1]["error"]
    assert (await rig.ask("GET", "/api/live"))[0] == 200


async def test_what_a_script_sends_is_not_told_to_a_learner_as_their_own(rig: Rig) -> None:
    state = (await rig.ask("GET", "/api/live"))[1] | {"version": 7}
    rig.performer.send(pack({"state": state, "port": 4242}))
    await comes(lambda: 4242 in OscSocket.ports, "the performer's port is known")
    heard = [
        _told(Message(b"/packet", b",sb", (f"tcp:127.0.0.1:{port}", encode("/at", 4.0))), 0.0) for port in (4242, 4243)
    ]
    assert [[one.address for one, _ in each] for each in heard] == [[], ["/osc/at"]]


async def test_pages_are_sent_what_plays_and_what_failed(rig: Rig) -> None:
    client = await opened(rig.server, "/api/feed")
    state = {**(await rig.ask("GET", "/api/live"))[1], "playing": True, "version": 7, "begins": 12.0}
    rig.performer.send(pack({"state": state}))
    assert (await said(client, "live"))["begins"] == 12.0
    assert (await rig.ask("GET", "/api/live"))[1]["version"] == 7
    steps = [[12.0, 0.5, [7, 10, 12]]] * MAX_STEPS
    rig.performer.send(pack({"steps": steps, "dropped": 3}))
    rig.performer.send(pack({"said": "hello"}))
    rig.performer.send(b"no JSON")
    rig.performer.send(b"[1]")
    assert await said(client, "steps") == steps
    rig.performer.send(pack({"coming": [4.0, [[4.0, 1.0, "beat", "bd"]]]}))
    assert await said(client, "coming") == [4.0, [[4.0, 1.0, "beat", "bd"]]]
    assert rig.feed.add("steps", [1] * (EVENTS + 5)) == 5, "an object holds so many"
    await comes(lambda: rig.server.status()["live_dropped"] == 3, "three are dropped")
    assert (await rig.ask("GET", "/api/live"))[0] == 200


async def test_scripts_are_saved_beside_those_that_ship_and_replaced_only_when_asked(home: Path, rig: Rig) -> None:
    names = [entry["name"] for entry in (await rig.ask("GET", "/api/live/sets", token=""))[1]]
    assert {"euclid", "dub"} <= set(names)
    shipped = (await rig.ask("GET", "/api/live/sets/euclid", token=""))[1]
    assert "patch(" in shipped["text"]
    assert not shipped["own"]
    folder = home / "data" / "live"
    assert (await rig.ask("PUT", "/api/live/sets/tune", {"text": "one"}, token=""))[0] == 401
    assert not folder.exists()
    assert (await rig.ask("PUT", "/api/live/sets/tune", {"text": "one"}))[0] == 201
    refused, reason = await rig.ask("PUT", "/api/live/sets/tune", {"text": "two"})
    assert refused == 409
    assert "replace it" in reason["error"]
    assert (folder / "tune.py").read_text() == "one"
    assert (await rig.ask("PUT", "/api/live/sets/tune", {"text": "two", "replace": True}))[0] == 201
    assert ((folder / "tune.py").read_text(), (folder / "tune~.py").read_text()) == ("two", "one")
    assert (await rig.ask("GET", "/api/live/sets/tune"))[1] == {"name": "tune", "own": True, "text": "two"}
    own = [entry for entry in (await rig.ask("GET", "/api/live/sets"))[1] if entry["own"]]
    assert own == [{"name": "tune", "line": "", "bars": 16, "own": True}]
    assert (await rig.ask("PUT", "/api/live/sets/euclid", {"text": "mine"}))[0] == 409
    assert (await rig.ask("GET", "/api/live/sets/nothing"))[0] == 404
    (home / "secret.py").write_text("secret")
    (folder / "out.py").symlink_to(home / "secret.py")
    for name in ("..%2f..%2fsecret", ".hidden", "out", "a%00b", "x" * 200, "a/b"):
        for method, data in (("PUT", {"text": "x", "replace": True}), ("GET", None)):
            assert (await rig.ask(method, f"/api/live/sets/{name}", data))[0] in (400, 404), name
    assert (home / "secret.py").read_text() == "secret"


async def test_what_plays_has_the_name_that_it_is_saved_under(home: Path, rig: Rig) -> None:
    assert (await rig.ask("POST", "/api/live/eval", SCRIPT))[0] == 202
    body = {"text": SCRIPT["text"], "version": SCRIPT["version"]}
    assert (await rig.ask("PUT", "/api/live/sets/soir%C3%A9e", body))[0] == 201
    assert rig.told()[-1] == {"do": "rename", "version": SCRIPT["version"], "name": "soir?e"}
    assert (await rig.ask("GET", "/api/live/script"))[1]["name"] == "soir?e"
