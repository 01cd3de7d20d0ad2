"""The tools as the SDK's own client has them: their schemas, wrong values, and the token of streamable HTTP."""

import json
import random
from importlib.util import find_spec
from typing import Any

import pytest

from antiphon_mcp.command import require_token

pytestmark = pytest.mark.skipif(
    find_spec("mcp") is None, reason="the SDK is not installed: pip install 'antiphon[mcp]'"
)
TOOLS = ["state", "hear", "script", "words", "sounds", "patches", "library", "propose", "land", "undo", "say"]
WRONG: list[Any] = [
    None,
    -1,
    0,
    1e9,
    float("inf"),
    "",
    "x" * 200_001,
    [],
    [1],
    {},
    {"a": []},
    True,
    "\ud83d",
    b"\0".hex(),
]


class Refusing:
    """A server that refuses all; `asked` counts."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def get(self, path: str, body: Any = None) -> Any:
        from antiphon_mcp.tools import ServerRefused

        self.asked.append(path)
        raise ServerRefused("no server answers here")

    post = get_bytes = get


def connected(to: Any, **given: Any) -> Any:
    """The SDK's client; its import takes a second, and so no process has it that runs other files."""
    from mcp import Client

    from antiphon_mcp.tools import server

    return Client(server(to, **given))


async def test_every_tool_has_a_schema_and_one_sentence() -> None:
    async with connected(Refusing()) as client:
        tools = (await client.list_tools()).tools
        prompts = (await client.list_prompts()).prompts
        resources = {str(one.uri) for one in (await client.list_resources()).resources}
        assert "antiphon live" in (await client.read_resource("antiphon://docs/live-coding")).contents[0].text
    assert [one.name for one in tools][: len(TOOLS)] == TOOLS
    assert all(one.input_schema["type"] == "object" and str(one.description).count(".\n") == 0 for one in tools)
    # the performer's to give
    assert not any(one.input_schema["properties"].keys() & {"trusted", "own"} for one in tools)
    assert [one.name for one in prompts] == ["join me", "bring it down", "answer this phrase"]
    assert {"antiphon://set", "antiphon://patch"} <= resources


@pytest.mark.needs("library")
async def test_an_operation_of_a_plugin_is_a_tool() -> None:
    async with connected(refusing := Refusing()) as client:
        tools = {one.name: one for one in (await client.list_tools()).tools}
        await client.call_tool("library_search", {"words": ["night"]})
    assert refusing.asked == ["/api/library/search"]
    found = tools["library_search"].input_schema["properties"]["key"]
    assert found["description"] == 'As "A minor", Am or a.'


async def test_a_thousand_wrong_values_are_each_an_error_of_the_tool() -> None:
    chance, refusing = random.Random(3), Refusing()
    async with connected(refusing) as client:
        tools = (await client.list_tools()).tools
        names = [(one.name, name) for one in tools for name in one.input_schema["properties"]]
        for _ in range(1000):
            tool, argument = chance.choice(names)
            answered = await client.call_tool(tool, {argument: chance.choice(WRONG)})
            assert answered.is_error
            assert "Traceback" not in answered.content[0].text


async def test_a_refusal_of_the_server_is_the_tools_error() -> None:
    async with connected(Refusing()) as client:
        answered = await client.call_tool("state", {})
    assert answered.is_error
    assert "no server answers here" in answered.content[0].text


@pytest.mark.parametrize(("given", "status"), [("", 401), ("Bearer wrong", 401), ("Bearer right", 200)])
async def test_streamable_http_needs_the_owners_token(given: str, status: int) -> None:
    sent: list[dict[str, Any]] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    headers = [(b"authorization", given.encode())] if given else []
    await require_token(application, "right")({"type": "http", "headers": headers}, None, send)
    assert sent[0]["status"] == status


async def test_a_proposal_is_waited_for_and_shown() -> None:
    class Judging:
        polls = 0

        def post(self, path: str, body: Any = None) -> Any:
            assert (path, body) == ("/api/mcp/propose", {"bars": 2, "trusted": True, "params": {"a.b": 0.5}})
            return {"id": "1f", "state": "rehearsing", "figures": {}}

        def get(self, path: str) -> Any:
            self.polls += 1
            return {"id": "1f", "state": "ready" if self.polls > 1 else "rehearsing", "figures": {"peak": -1.0}}

        def get_bytes(self, path: str) -> bytes:
            return b"\x89PNG"

    async with connected(Judging(), trust=True) as client:
        answered = await client.call_tool("propose", {"params": {"a.b": 0.5}, "bars": 2, "own": True, "trusted": 1})
    text, picture = answered.content
    assert json.loads(text.text)["state"] == "ready"
    assert picture.mime_type == "image/png"
