"""`antiphon mcp` beside a real server: a session of twelve steps by the SDK's own client, over stdio."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile
from tests import forked
from tests.serve.test_api_examples import Client as HttpClient
from tests.waiting import until

from antiphon_bench.rig import ServerProcess

if TYPE_CHECKING:
    from mcp import Client

# found and not imported: every process of a run collects this file, and one runs it
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("mcp") is None, reason="the SDK is not installed: pip install 'antiphon[mcp]'"
    ),
]
SET = """\
from antiphon.live import *\n
patch("band")
tempo(120)
track("beat", s("bd ~ bd ~", gain=0.6))
track("line", note("a3 c4 e4 c4", velocity=80), on="pluck")
"""
HATS = 'track("hats", s("hh*8", gain="[0.3 0.15]*4"))'
REFUSED = [
    ({"script": SET + "track('x', s('bd ['))\n"}, "line 7"),
    ({"script": SET.replace("gain=0.6", "gain=4").replace("a3 c4 e4 c4", "[a1,a2,a3]*8")}, "the loudness changes by"),
]


class Assistant:
    """The client, by tools' names; `ask` sends the performer's OSC."""

    def __init__(self, client: Client, http: HttpClient) -> None:
        self._client, self._http = client, http

    async def call(self, tool: str, **given: Any) -> tuple[Any, str]:
        """The answer's JSON, and the sentence of an error."""
        answered = await self._client.call_tool(tool, given)
        text = answered.content[0].text  # type: ignore[union-attr]
        return ({}, text) if answered.is_error else (json.loads(text), "")

    def performer(self, address: str, *args: str) -> None:
        answered = self._http.ask("post", "/api/osc", {"address": address, "args": list(args)})
        assert answered.status == 202, answered

    def live(self) -> Any:
        return self._http.ask("get", "/api/live").json

    def playing(self) -> str:
        return str(self._http.ask("get", "/api/live/script").json["text"])

    async def land(self, **change: Any) -> None:
        proposal, fault = await self.call("propose", bars=2, **change)
        assert proposal.get("ok"), (proposal, fault)
        landed, fault = await self.call("land", id=proposal["id"], quantum=1)
        assert landed["state"] == "landed", fault
        self.settled()

    def refused(self) -> list[int]:
        """Statuses of requests with a wrong token."""
        self._http.token = "0" * 32
        asked = (("get", "/api/mcp", None), ("post", "/api/mcp/propose", {"script": SET}))
        return [self._http.ask(*one).status for one in asked]

    def coperformer(self) -> Any:
        return self._http.ask("get", "/api/mcp").json

    def values(self) -> dict[str, Any]:
        """What can be set of each node, and the tempo."""
        nodes = self._http.ask("get", "/api/graph").json["nodes"]
        found = {n["name"]: {p["name"]: p["value"] for p in n["params"] if not p["readonly"]} for n in nodes}
        return {**found, "tempo": self._http.ask("get", "/api/status").json["tempo"]}

    def waits(self) -> bool:
        return self.coperformer()["waiting"] is not None

    def settled(self) -> None:
        script = self._http.ask("get", "/api/live/script").json
        until(lambda: self.live()["version"] == script["version"], 60.0, "the version plays")


@asynccontextmanager
async def assistant(server: ServerProcess, *options: str) -> AsyncIterator[Assistant]:
    from mcp import Client, StdioServerParameters

    ports = ["--osc-port", str(server.osc), "--http-port", str(server.http)]
    env = {**os.environ, "ANTIPHON_HOME": str(server.home), "XDG_RUNTIME_DIR": str(server.home)}
    command = StdioServerParameters(command=sys.executable, args=["-m", "antiphon", "mcp", *ports, *options], env=env)
    # the handshake of before 2026 has no time limit, and a busy machine is slow to import
    async with Client(command, mode="legacy") as client:
        yield Assistant(client, HttpClient(server))


@pytest.mark.timeout(900)
async def test_a_session_of_twelve_steps(tmp_path: Path) -> None:
    with ServerProcess("--live", "--audio", "headless", "--patch", "band", home=tmp_path, wait=90.0) as server:
        async with assistant(server) as one:
            state, _ = await one.call("state")
            assert (state["patch"], state["script"]["on"], state["coperformer"]["mode"]) == ("Band", True, "on")
            await one.land(script=SET)
            for change, why in REFUSED:
                proposal, _ = await one.call("propose", bars=2, **change)
                assert not proposal["ok"]
                assert why in " ".join(proposal["why"])
                assert "speaks against it" in (await one.call("land", id=proposal["id"]))[1]
            await one.land(lines=[{"first": 7, "last": 6, "text": HATS}])
            assert one.playing() == SET[:-1] + "\n" + HATS + "\n"
            assert (await one.call("undo"))[0]["state"] == "undone"
            one.settled()
            assert one.playing() == SET
            one.performer("/mcp/lock", "beat")
            proposal, _ = await one.call("propose", script=SET.replace("bd ~ bd ~", "bd*4"), bars=2)
            assert "beat, which the performer has locked" in " ".join(proposal["why"])
            one.performer("/mcp/ask")
            proposal, _ = await one.call("propose", params={"echo.feedback": 0.5}, bars=2)
            assert (await one.call("land", id=proposal["id"]))[0]["state"] == "waiting"
            one.performer("/cue", "mcp.veto")
            until(lambda: not one.waits(), 20.0, "nothing waits")
            one.performer("/mcp/off")
            assert "switched the co-performer off" in (await one.call("propose", scene=1))[1]
            assert (await one.call("say", text="I am quiet now"))[0]["said"] == "I am quiet now"
            heard, fault = await one.call("hear", bars=1)
            assert heard.get("beats") == 4, fault


@pytest.mark.timeout(900)
async def test_a_recorded_set_is_replayed_with_its_landings_and_its_log_has_every_act(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    options = ("--live", "--audio", "headless", "--patch", "band", "--session", str(folder))
    with ServerProcess(*options, home=tmp_path, wait=90.0) as server:
        async with assistant(server) as one:
            await one.land(script=SET)
            before = one.values()
            await one.land(script=SET.replace("tempo(120)", "tempo(150)\nroom(0.4)"))
            until(lambda: one.values()["tempo"] == 150.0, 30.0, "the tempo is that of the change")
            one.performer("/mcp/undo")
            until(lambda: one.values() == before, 30.0, "tempo and macro are as before")
            proposal, _ = await one.call("propose", params={"echo.feedback": 0.5}, bars=2)
            one.performer("/mcp/land", proposal["id"])
            until(lambda: one.values()["echo"]["feedback"] == 0.5, 30.0, "the performer has landed it")
            for address in ("/mcp/hold", "/mcp/on", "/mcp/ask"):
                one.performer(address)
            one.performer("/mcp/lock", "beat")
            await one.call("say", text="done")
            until(lambda: "beat" in one.coperformer()["locked"], 20.0, "it is locked")
    log = map(json.loads, (folder / "session.jsonl").read_text().splitlines())
    cues = [line["cue"].removeprefix("mcp.") for line in log if "cue" in line]
    assert cues == [
        *("did.proposes", "did.ready", "did.landed") * 2, "undo", "did.undone",
        "did.proposes", "did.ready", "land", "did.landed", "is.hold", "is.on", "is.ask", "locked", "did.says",
    ]  # fmt: skip
    again = tmp_path / "again.wav"
    done = forked.run(
        [*forked.COMMAND, "replay", str(folder), str(again)], check=True, timeout=300, capture_output=True, text=True
    )
    assert done.stderr.count("cue at ") == len(cues)
    kept, played = (soundfile.read(path, dtype="float32")[0] for path in (folder / "output.wav", again))
    assert np.abs(kept).max() > 0.05
    np.testing.assert_array_equal(kept, played)


@pytest.mark.timeout(300)
async def test_a_server_without_live_and_a_client_without_the_token_are_refused(tmp_path: Path) -> None:
    with ServerProcess("--audio", "headless", "--patch", "through", home=tmp_path, wait=90.0) as server:
        async with assistant(server) as one:
            assert "antiphon serve --live" in (await one.call("propose", script=SET))[1]
            assert one.refused() == [403, 403]
