"""Requests to an HTTP server with plugins, by its owner or by anybody."""

import asyncio
import http.client
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.web.test_lan import serving

from antiphon.web.server import HttpServer


class HttpClient:
    """Requests with a token, "" for none; the answers are JSON, or lines of it."""

    def __init__(self, server: HttpServer, token: str = "") -> None:
        self.server, self.token = server, token

    async def get(self, path: str) -> tuple[int, Any]:
        return (await self._ask("GET", path, None, {}))[:2]

    async def post(self, path: str, body: Any, kind: str = "", **headers: str) -> tuple[int, Any]:
        """Posts a body, a dictionary as JSON; `kind`: its Content-Type."""
        return (await self.reply(path, body, kind, **headers))[:2]

    async def reply(self, path: str, body: Any, kind: str = "", **headers: str) -> tuple[int, Any, Any]:
        """The same, with the answer's headers."""
        owner = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        sent = {**owner, **({"Content-Type": kind} if kind else {}), **headers}
        return await self._ask("POST", path, json.dumps(body) if isinstance(body, dict) else body, sent)

    async def _ask(self, method: str, path: str, body: Any, headers: dict[str, str]) -> tuple[int, Any, Any]:
        def blocking() -> tuple[int, Any, Any]:
            connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=300)
            try:
                connection.request(method, path, body, headers)
                reply = connection.getresponse()
                data = reply.read()
                lined = reply.headers["Content-Type"] == "application/x-ndjson"
                found = [json.loads(line) for line in data.splitlines()] if lined else json.loads(data)
                return reply.status, found, reply.headers
            finally:
                connection.close()

        return await asyncio.to_thread(blocking)


@asynccontextmanager
async def owner_of_server(folder: Path, plugin: str) -> AsyncIterator[HttpClient]:
    """A client with the token of a server with that plugin, whose files are in `folder`."""
    async with serving(folder, jobs=folder / "jobs", plugins=[plugin]) as server:
        yield HttpClient(server, (folder / "token").read_text().strip())
