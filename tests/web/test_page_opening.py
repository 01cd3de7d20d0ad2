"""The owner's browser is known by the secret in the address that it opened: used once, soon, from the own origin."""

import json
import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.web.test_http import body, running, send, status

from antiphon.web.access import WRONG_GUESSES, TokenGuard
from antiphon.web.http_message import answer
from antiphon.web.page.files import FILE, SECONDS, page_address
from antiphon.web.page.routes import PageKeyExchange
from antiphon.web.protocol.application import Endpoint
from antiphon.web.server import HttpServer

KEY, TOKEN = "5" * 32, "7" * 32


class Rig:
    def __init__(self, server: HttpServer, folder: Path) -> None:
        self.server, self.folder = server, folder

    def secret(self) -> str:
        return page_address(self.folder, self.server.port).partition("#open=")[2]

    async def ask(self, path: str, data: object, *headers: str) -> tuple[int, dict[str, str]]:
        text = json.dumps(data).encode()
        fields = [f"Host: 127.0.0.1:{self.server.port}", "Connection: close", f"Content-Length: {len(text)}", *headers]
        reply = await send(self.server, "\r\n".join([f"POST {path} HTTP/1.1", *fields, "", ""]).encode() + text)
        return status(reply), json.loads(body(reply) or b"{}")

    async def exchange(self, secret: str, *headers: str) -> tuple[int, dict[str, str]]:
        return await self.ask("/api/page/open", {"secret": secret}, *headers)


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[Rig]:
    guard = TokenGuard(TOKEN, page_key=KEY)
    server = HttpServer(authorise=guard.check)
    server.routes.add("POST", "/api/page/open", Endpoint(PageKeyExchange(folder, guard).serve, token=False))
    server.add("POST", "/change", lambda request: answer({"done": "yes"}))
    async with running(server):
        yield Rig(server, folder)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with serving(tmp_path) as made:
        yield made


async def test_the_secret_is_exchanged_once_for_a_key_that_counts_as_the_token(tmp_path: Path, rig: Rig) -> None:
    assert (await rig.ask("/change", {}))[0] == 401
    secret = rig.secret()
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    assert await rig.exchange(secret) == (200, {"key": KEY})
    assert (await rig.ask("/change", {}, f"Authorization: Bearer {KEY}"))[0] == 200
    assert (await rig.ask("/change", {}, f"Authorization: Bearer {secret}"))[0] == 403, "the secret is no token"
    code, said = await rig.exchange(secret)
    assert code == 403
    assert "`antiphon page` opens another" in said["error"]
    assert await rig.exchange(rig.secret()) == (200, {"key": KEY}), "which the owner can make at any time"


async def test_of_two_secrets_the_older_counts_no_more(rig: Rig) -> None:
    older, newer = rig.secret(), rig.secret()
    assert (await rig.exchange(older))[0] == 403
    assert (await rig.exchange(newer))[0] == 200


@pytest.mark.parametrize("age", [SECONDS + 1, -60.0])
async def test_a_secret_expires(tmp_path: Path, age: float, rig: Rig) -> None:
    secret = rig.secret()
    made = (tmp_path / FILE).stat().st_mtime
    os.utime(tmp_path / FILE, (made - age, made - age))
    assert (await rig.exchange(secret))[0] == 403


async def test_another_origin_is_refused_and_takes_nothing(rig: Rig) -> None:
    secret, port = rig.secret(), rig.server.port
    for headers in (
        ["Origin: http://evil.example"],
        [f"Origin: http://127.0.0.1:{port + 1}"],
        ["Origin: null"],
        ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: cors"],
    ):
        assert (await rig.exchange(secret, *headers))[0] == 403
    assert (await rig.exchange(secret, f"Origin: http://127.0.0.1:{port}"))[0] == 200


async def test_guesses_are_bounded_and_lock_nobody_out(rig: Rig) -> None:
    secret = rig.secret()
    codes = [(await rig.exchange(f"{guess:032x}"))[0] for guess in range(WRONG_GUESSES + 2)]
    assert codes == [403] * WRONG_GUESSES + [429] * 2
    assert (await rig.exchange(secret))[0] == 200
    for wrong in ({}, {"secret": 5}, {"secret": secret, "more": 1}, []):
        assert (await rig.ask("/api/page/open", wrong))[0] == 400
