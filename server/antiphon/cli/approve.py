"""`antiphon surfaces` and `antiphon approve IP`: who may send OSC under `--lan`, asked of the running server."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from antiphon import paths
from antiphon.control.lan import CERTIFICATE_FILE, TOKEN_FILE, load_token, plain_ip
from antiphon.errors import EngineError, UsageError, WireError

TIMEOUT = 5.0
DEFAULT_PORT = 4401

Port = Annotated[int, typer.Option("--http-port", min=1, max=65535, help="The HTTP port of the running server.")]


def register(cli: typer.Typer, folder: Callable[[], Path] = paths.config) -> None:
    """Adds both commands. folder: gives the configuration folder the server uses."""

    @cli.command("surfaces")
    def surfaces(
        http_port: Port = DEFAULT_PORT,
        as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of words.")] = False,
    ) -> None:
        """List the addresses that knock and those that were let in."""
        answer = ask("GET", "/api/surfaces", folder(), http_port)
        if as_json:
            typer.echo(json.dumps(answer))
            return
        for line in listing(answer):
            typer.echo(line)

    @cli.command("approve")
    def approve(
        ip: Annotated[str, typer.Argument(help="The surface's IP address.")], http_port: Port = DEFAULT_PORT
    ) -> None:
        """Let a surface in: its OSC is taken from now on."""
        typer.echo(f"approved {let_in(ip, folder(), http_port)}")


def let_in(ip: str, folder: Path, port: int) -> str:
    """Has the running server approve an address; returns it as the server keeps it."""
    try:
        plain = plain_ip(ip)
    except ValueError:
        raise UsageError(f"{ip!r} is not an IP address; `antiphon surfaces` lists those that knock") from None
    return str(ask("POST", "/api/surfaces/approve", folder, port, {"ip": plain})["approved"])


def listing(answer: dict[str, Any]) -> list[str]:
    """Lines for a person: "held 192.168.1.7", "approved 192.168.1.9"."""
    lines = [f"held {ip}" for ip in answer["held"]] + [f"approved {ip}" for ip in answer["approved"]]
    return lines or ["no surface has knocked"]


def ask(method: str, path: str, folder: Path, port: int, data: Any = None) -> dict[str, Any]:
    """The running server's JSON answer. Raises `EngineError` if none answers, `WireError` if it refuses.

    HTTPS is tried first, and only our own certificate believed. A server without `--lan` speaks plain
    HTTP on loopback; it is sent the token only where one is needed.
    """
    try:
        status, body = _exchange(_secure(folder, port), method, path, folder, data)
    except ssl.SSLCertVerificationError:
        raise EngineError(f"what answers on port {port} is not this user's Antiphon") from None
    except (ssl.SSLError, ConnectionResetError, http.client.HTTPException, FileNotFoundError):
        plain = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
        try:
            status, body = _exchange(plain, method, path, folder, data)
        except (OSError, http.client.HTTPException):
            raise _silent(port) from None
    except OSError:
        raise _silent(port) from None
    try:
        answer = json.loads(body)
    except ValueError:
        raise EngineError(f"what answers on port {port} is not Antiphon") from None
    if status != 200 or not isinstance(answer, dict):
        reason = answer.get("error") if isinstance(answer, dict) else None
        raise WireError(f"the server refused ({status}): {reason or 'no reason given'}")
    return answer


def _secure(folder: Path, port: int) -> http.client.HTTPSConnection:
    context = ssl.create_default_context()
    context.load_verify_locations(folder / CERTIFICATE_FILE)
    return http.client.HTTPSConnection("127.0.0.1", port, timeout=TIMEOUT, context=context)


def _exchange(
    connection: http.client.HTTPConnection, method: str, path: str, folder: Path, data: Any
) -> tuple[int, bytes]:
    connection.connect()
    headers = {"Content-Type": "application/json"}
    secure = isinstance(connection, http.client.HTTPSConnection)
    if (secure or method != "GET") and (folder / TOKEN_FILE).exists():
        headers["Authorization"] = f"Bearer {load_token(folder)}"
    try:
        connection.request(method, path, None if data is None else json.dumps(data), headers)
        response = connection.getresponse()
        return response.status, response.read(1024 * 1024)
    finally:
        connection.close()


def _silent(port: int) -> EngineError:
    return EngineError(f"no server answers on HTTP port {port}; start `antiphon serve`, or name its --http-port")
