"""The document says what is served, and what is served keeps to it, whatever is sent."""

import asyncio
import json
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from msgspec import Struct
from tests.web.test_lan import CATALOG, INFO, ask, serving as serving_web
from tools.lists import OPERATIONS

from antiphon.kernel.contract.catalog import Catalog
from antiphon.web import control_link, operations, osc_socket
from antiphon.web.http_message import HttpRefusal
from antiphon.web.operations import Operation, convert
from antiphon.web.server import HttpServer

PLUGINS = ("antiphon_classify", "antiphon_library", "antiphon_mcp")
EXAMPLES = 3
"""Requests of each operation."""


class Held(Struct):
    number: int


def test_an_answer_may_hold_structs_in_a_table_and_one_that_is_none_is_null() -> None:
    def answered(found: object, kind: Any) -> bytes:
        one = Operation("GET", "/held", lambda request: found, kind)
        request: Any = SimpleNamespace(parts={})
        return asyncio.run(one.call(one.handler, request)).body

    assert json.loads(answered({"first": [Held(1)]}, dict)) == {"first": [{"number": 1}]}
    assert answered(None, Held | None) == b"null"
    assert answered(None, None) == b""


@contextmanager
def server_thread(folder: Path) -> Iterator[tuple[str, str]]:
    """HTTP with jobs, in a thread of its own: its address and its token."""
    started, ended = threading.Event(), asyncio.Event()
    found: list[Any] = []

    async def serve() -> None:
        async with serving_web(folder, jobs=folder / "jobs", plugins=PLUGINS) as server:
            found.extend((f"http://127.0.0.1:{server.port}", asyncio.get_running_loop(), server))
            started.set()
            await ended.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(60)
    try:
        yield found[0], (folder / "token").read_text().strip()
    finally:
        found[1].call_soon_threadsafe(ended.set)
        thread.join(60)


def test_every_route_is_in_the_document_and_no_other(tmp_path: Path) -> None:
    async def routes() -> set[tuple[str, str]]:
        async with serving_web(tmp_path, jobs=tmp_path / "jobs", plugins=PLUGINS) as server:
            paths = [(path, method) for path, method in server.routes.paths() if path not in server.routes.websockets]
            return {(method, path) for path, method in paths if path.startswith("/api/")}

    assert asyncio.run(routes()) == {(operation.method, operation.path) for operation in OPERATIONS}


def test_plugins_after_a_new_catalog_are_its_types(tmp_path: Path) -> None:
    before = CATALOG.copy()

    async def names(server: HttpServer) -> list[str]:
        _, body, _ = await ask(server, "GET", "/api/plugins")
        return [plugin["name"] for plugin in json.loads(body)]

    async def answers() -> list[list[str]]:
        async with serving_web(tmp_path) as server:
            first = await names(server)
            CATALOG.take(Catalog({"louder": INFO, "gain": INFO}))
            return [first, await names(server)]

    try:
        first, second = asyncio.run(answers())
    finally:
        CATALOG.take(before)
    assert (first, len(second)) == (["gain"], 2)


def test_the_document_is_openapi() -> None:
    import schemathesis

    document = json.loads(json.dumps(operations.document(OPERATIONS)))
    schema = schemathesis.openapi.from_dict(document)
    assert len(list(schema.get_all_operations())) == len(OPERATIONS)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    with pytest.MonkeyPatch.context() as patch, server_thread(tmp_path_factory.mktemp("config")) as found:
        # there is no control process: what asks it is answered by 503, and need not wait for that as long as users do
        patch.setattr(control_link, "TIMEOUT_SECONDS", 0.2)
        patch.setattr(osc_socket, "DONE_SECONDS", 0.2)
        yield found


@cache
def described() -> list[Any]:
    import schemathesis

    return list(schemathesis.openapi.from_dict(operations.document(OPERATIONS)).get_all_operations())


@pytest.mark.parametrize("number", range(len(OPERATIONS)))
def test_whatever_is_sent_is_answered_as_the_document_says(address: tuple[str, str], number: int) -> None:
    from schemathesis.checks import response_schema_conformance

    base, token = address
    operation = described()[number].ok()

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(data=st.data())
    def ask(data: st.DataObject) -> None:
        case = data.draw(operation.as_strategy())
        response = case.call(base_url=base, headers={"Authorization": f"Bearer {token}"}, timeout=300)
        assert response.status_code < 500 or response.status_code in (503, 507), response.text
        if response.status_code >= 400:
            assert set(response.json()) == {"error"}
        else:
            case.validate_response(response, checks=[response_schema_conformance])

    ask()
    cancel_jobs(base, token)


def cancel_jobs(base: str, token: str) -> None:
    """Ends what was asked for and is not done: nobody looks at the sounds, and each takes seconds of processor time."""

    def send(method: str, path: str) -> Any:
        request = urllib.request.Request(base + path, method=method, headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=300) as answer:
            return json.load(answer)

    for job in send("GET", "/api/jobs"):
        if job["state"] in ("waiting", "running"):
            send("DELETE", f"/api/jobs/{job['id']}")


def test_without_the_token_nothing_is_changed(address: tuple[str, str]) -> None:
    base, _ = address
    for operation in OPERATIONS:
        if operation.method == "GET":
            continue
        path = operation.path.replace("{plugin}", "delay").replace("{patch}", "bed").replace("{id}", "aa")
        request = urllib.request.Request(base + path, data=b"{}", method=operation.method)
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=300)
        assert refused.value.code == 401


@pytest.mark.parametrize("stream", ["/notify", "/monitor"])
def test_a_stream_of_packets_cannot_be_asked_for(address: tuple[str, str], stream: str) -> None:
    base, token = address
    request = urllib.request.Request(
        f"{base}/api/osc", json.dumps({"address": stream, "args": [1]}).encode(), {"Authorization": f"Bearer {token}"}
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=300)
    assert refused.value.code == 400


def test_a_json_number_such_as_1_0_is_an_integer() -> None:
    assert convert({"bars": 1.0, "names": [2.0]}, dict[str, int | list[int]]) == {"bars": 1, "names": [2]}
    with pytest.raises(HttpRefusal, match="whole number"):
        convert({"bars": 1.5}, dict[str, int])
