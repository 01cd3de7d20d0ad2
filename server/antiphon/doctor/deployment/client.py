"""A client of HTTP for a server that is not trusted: each request has a limit of time and of bytes.

It follows no redirect, so that the token goes to the address that was given and to no other.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, IncompleteRead
from threading import Timer
from typing import Any

from antiphon.doctor.deployment.address import ServerAddress
from antiphon.kernel.errors import EngineError
from antiphon.kernel.wire.text import printable

SECONDS = 15.0
"""For one request, from the connection to the answer's last byte."""
MAX_BODY = 4 * 1024 * 1024
"""Bytes of an answer, at most."""


class NoAnswer(EngineError):
    """The server gave no answer that can be used."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """Answer of a server.

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
            data = self.json()
        except NoAnswer:
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
    _answered: Any = None

    def ask(self, method: str, path: str, body: bytes = b"", *, token: str | None = None) -> HttpAnswer:
        """Sends one request on a connection of its own and gives the answer, of any status.

        `token`: None for that of the client, "" for none.

        Raises:
            NoAnswer: There is none in time, it is too long, or it is not HTTP.
        """
        headers = {"Host": self.address.authority, "Connection": "close", "User-Agent": "antiphon-deploy-check"}
        used = self.token if token is None else token
        if used:
            headers["Authorization"] = f"Bearer {used}"
        began, what = time.monotonic(), f"{method} {path}"
        with self._connected(what) as connection:
            with contextlib.suppress(ConnectionError):  # refused before all was sent: the answer says why
                connection.request(method, path, body or None, headers)
            response = connection.getresponse()
            content = response.read(MAX_BODY + 1)
            if time.monotonic() - began >= self.seconds:  # cut off: without a length that reads like an end
                raise TimeoutError
            if len(content) > MAX_BODY:
                raise NoAnswer(f"the answer to {what} is longer than {MAX_BODY:,} bytes")
            if response.length:
                raise IncompleteRead(content, response.length)
            fields = {name.lower(): value for name, value in response.getheaders()}
        return HttpAnswer(response.status, fields, content, time.monotonic() - began)

    def certificate(self) -> tuple[str, dict[str, Any]]:
        """The version of TLS and the server's certificate as Python has it; raises `NoAnswer` as `ask`."""
        with self._connected("TLS") as connection:
            sock = connection.sock
            assert isinstance(sock, ssl.SSLSocket)
            return str(sock.version()), dict(sock.getpeercert() or {})

    def _connect(self, until: float) -> socket.socket:
        """Connects to the first of a name's addresses that answers: each has its share of the time that is left.

        What answered before comes first, so that a dead address delays one request and not each.
        """
        host = self.address.host
        found = socket.getaddrinfo(host, self.address.port, type=socket.SOCK_STREAM)
        found.sort(key=lambda one: one[4] != self._answered)
        for left in range(len(found), 0, -1):
            family, kind, protocol, _, place = found[-left]
            sock = socket.socket(family, kind, protocol)
            try:
                sock.settimeout(max(0.001, until - time.monotonic()) / left)
                sock.connect(place)
                sock.settimeout(max(0.001, until - time.monotonic()))
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._answered = place
                return sock
            except OSError:
                sock.close()
                if left == 1:
                    raise
        raise OSError(f"{host} has no address")

    @contextlib.contextmanager
    def _connected(self, what: str) -> Iterator[HTTPConnection]:
        """A connection that is cut off once the time for `what` is over; raises `NoAnswer`."""
        host, port, until = self.address.host, self.address.port, time.monotonic() + self.seconds
        connection, connected = HTTPConnection(host, port), False
        try:
            sock = self._connect(until)
            connection.sock = sock if self.tls is None else self.tls.wrap_socket(sock, server_hostname=host)
            connected = True
            timer = Timer(until - time.monotonic(), socket.socket.shutdown, (connection.sock, socket.SHUT_RDWR))
            timer.daemon = True
            timer.start()
            try:
                yield connection
            finally:
                timer.cancel()
        except ssl.SSLError as error:
            message = getattr(error, "verify_message", "") or error.reason or str(error)
            raise NoAnswer(f"no TLS: {printable(str(message).replace('_', ' ').lower()[:200])}") from None
        except (OSError, HTTPException, ValueError) as error:  # ValueError: a length below 0
            if isinstance(error, TimeoutError) or time.monotonic() >= until:
                raise NoAnswer(f"no answer to {what} within {self.seconds:g} s") from None
            if not connected and isinstance(error, OSError) and error.errno is not None:
                raise NoAnswer(f"no connection ({error.strerror or type(error).__name__})") from None
            if isinstance(error, OSError | IncompleteRead):
                raise NoAnswer(f"the connection was closed before {what} was answered") from None
            raise NoAnswer(f"the answer to {what} is not HTTP ({printable(str(error)[:200])})") from None
        finally:
            connection.close()
