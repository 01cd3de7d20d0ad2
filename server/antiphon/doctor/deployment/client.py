"""A client of HTTP for a server that is not trusted: each request has a limit of time and of bytes.

It follows no redirect, so that the token goes to the address that was given and to no other.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import time
from dataclasses import dataclass
from typing import Any

import h11

from antiphon.doctor.deployment.address import ServerAddress
from antiphon.errors import EngineError
from antiphon.wire.text import printable

SECONDS = 15.0
"""For one request, from the connection to the answer's last byte."""
MAX_HEADER = 32 * 1024
MAX_BODY = 4 * 1024 * 1024
"""Bytes of an answer, at most."""


class NoAnswer(EngineError):
    """The server gave no answer that can be used."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """Answer of a server: status, headers, body.

    Attributes:
        headers: By lower-case name; of repeats the last.
        seconds: From the connection to the last byte.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float

    def json(self) -> Any:
        """Reads the body as JSON; raises `NoAnswer` where it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise NoAnswer(f"the answer ({self.status}) is not JSON, so this is no Antiphon") from None

    @property
    def reason(self) -> str:
        """The sentence of a refusal, or "" where there is none."""
        try:
            data = json.loads(self.body)
        except (ValueError, RecursionError):
            return ""
        error = data.get("error") if isinstance(data, dict) else None
        return printable(error[:300]) if isinstance(error, str) else ""


@dataclass(slots=True)
class DeployClient:
    """Sends requests to one server.

    Attributes:
        token: Sent where a request asks for it; "" for none.
        seconds: For one request.
    """

    address: ServerAddress
    token: str = ""
    tls: ssl.SSLContext | None = None
    seconds: float = SECONDS

    async def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        token: str | None = None,
        most: int = MAX_BODY,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> HttpAnswer:
        """Sends one request on a connection of its own and gives the answer, of at most `most` bytes and of any status.

        `token`: None for that of the client, "" for none; `headers` are added to the request's.

        Raises:
            NoAnswer: There is none in time, it is too long, or it is not HTTP.
        """
        began = time.monotonic()
        try:
            async with asyncio.timeout(self.seconds):
                reader, writer = await self._connected()
                try:
                    used = self.token if token is None else token
                    status, fields, content = await _exchange(
                        reader, writer, method, path, self._headers(body, used, headers), body, most
                    )
                finally:
                    writer.transport.abort()
        except TimeoutError:
            raise NoAnswer(f"no answer to {method} {path} within {self.seconds:g} s") from None
        except h11.RemoteProtocolError as error:
            raise NoAnswer(f"the answer to {method} {path} is not HTTP ({printable(str(error)[:200])})") from None
        except ssl.SSLError as error:
            raise NoAnswer(f"no TLS: {printable(tls_reason(error))}") from None
        except OSError as error:
            raise NoAnswer(f"no connection ({error.strerror or type(error).__name__})") from None
        return HttpAnswer(status, fields, content, time.monotonic() - began)

    async def certificate(self) -> tuple[str, dict[str, Any]]:
        """The version of TLS and the server's certificate as Python has it; raises `NoAnswer` as `ask`."""
        try:
            async with asyncio.timeout(self.seconds):
                _, writer = await self._connected()
                try:
                    connection = writer.get_extra_info("ssl_object")
                    return str(connection.version()), dict(connection.getpeercert() or {})
                finally:
                    writer.transport.abort()
        except TimeoutError:
            raise NoAnswer(f"no TLS within {self.seconds:g} s") from None
        except ssl.SSLError as error:
            raise NoAnswer(printable(tls_reason(error))) from None
        except OSError as error:
            raise NoAnswer(f"no connection ({error.strerror or type(error).__name__})") from None

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        address = self.address
        return await asyncio.open_connection(
            address.host, address.port, ssl=self.tls, server_hostname=address.host if self.tls else None
        )

    def _headers(self, body: bytes, token: str, more: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
        headers = [("Host", self.address.authority), ("Connection", "close"), ("User-Agent", "antiphon-deploy-check")]
        if body:
            headers.append(("Content-Length", str(len(body))))
        if token:
            headers.append(("Authorization", f"Bearer {token}"))
        return headers + list(more)


async def _exchange(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    method: str,
    path: str,
    headers: list[tuple[str, str]],
    body: bytes,
    most: int,
) -> tuple[int, dict[str, str], bytes]:
    connection = h11.Connection(h11.CLIENT, MAX_HEADER)
    sent = connection.send(h11.Request(method=method, target=path, headers=headers)) or b""
    writer.write(sent)
    if body:
        writer.write(connection.send(h11.Data(body)) or b"")
    connection.send(h11.EndOfMessage())
    with contextlib.suppress(ConnectionError):  # refused before all was sent: the answer says why
        await writer.drain()
    status, fields, content = 0, {}, bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            data = await reader.read(65536)
            if not data and not status:
                raise NoAnswer(f"the connection was closed before {method} {path} was answered")
            connection.receive_data(data)
        elif isinstance(event, h11.Response):
            status = event.status_code
            fields = {name.decode("latin-1"): value.decode("latin-1") for name, value in event.headers}
        elif isinstance(event, h11.Data):
            content += event.data
            if len(content) > most:
                raise NoAnswer(f"the answer to {method} {path} is longer than {most:,} bytes")
        elif isinstance(event, h11.EndOfMessage):
            return status, fields, bytes(content)
        elif not isinstance(event, h11.InformationalResponse):
            raise NoAnswer(f"the connection was closed before {method} {path} was answered")


def tls_reason(error: ssl.SSLError) -> str:
    """Why a server's certificate or TLS is refused, in a few words."""
    message = getattr(error, "verify_message", "") or error.reason or str(error)
    return str(message).replace("_", " ").lower()[:200]
