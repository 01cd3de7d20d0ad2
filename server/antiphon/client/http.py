"""Requests to the HTTP API of a running server on this machine, by this user's certificate and token."""

import http.client
import json
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Any

from antiphon.client import LOCAL
from antiphon.files.owner_token import CERTIFICATE_FILE, TOKEN_FILE, load_token
from antiphon.kernel.errors import EngineError, WireError
from antiphon.kernel.runtime.shortening import escape_unprintable

TIMEOUT = 5.0
"""Timeout in seconds for an answer."""
MAX_BYTES = 16 << 20
"""Maximum bytes of an answer; the others are left out."""
_NOT_HTTP = "what answers on port {port} is no HTTP port of Antiphon; --http-port names it, not the port of OSC"


def request(
    connection: http.client.HTTPConnection, method: str, path: str, data: Any = None, token: str = ""
) -> tuple[int, bytes]:
    """Sends one request and returns the status and body of its answer; closes the connection.

    `data`: sent as JSON. `token`: the owner's; "" for none. Raises OSError, HTTPException.
    """
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    body = None if data is None else json.dumps(data).encode()
    try:
        connection.request(method, path, body, {"Content-Type": "application/json", **headers})
        response = connection.getresponse()
        return response.status, response.read(MAX_BYTES)
    finally:
        connection.close()


def ask(method: str, path: str, folder: Path, port: int, data: Any = None) -> dict[str, Any]:
    """Sends a request to the running server on this machine and returns its JSON object; `data` is sent as JSON.

    If this user has the certificate of `serve --lan`, the server must show exactly that one; otherwise nothing is sent,
    since another program on the port could answer anything. Without a certificate a `GET` is sent unencrypted, on
    loopback and without the token; other methods need the token and are refused here. Raises EngineError: no server of
    this user answers. Raises WireError: the server refuses.
    """
    secure = (folder / CERTIFICATE_FILE).exists()
    if not secure and method != "GET":
        raise EngineError("surfaces are approved at a server with --lan, and none has run here; start one first")
    try:
        return _read(*(_ask_securely(method, path, folder, port, data) if secure else _get(path, port)), port)
    except (ssl.SSLError, ConnectionResetError, http.client.HTTPException):
        raise EngineError(
            f"the program on port {port} is not a server of yours with --lan; nothing was sent to it. "
            "Surfaces are approved only while `antiphon serve --lan` runs"
        ) from None


def get_answer(path: str, folder: Path, port: int) -> dict[str, Any]:
    """Returns the running server's answer to a `GET`, with or without `--lan`. Raises the errors of `ask`.

    A server without `--lan` uses plain HTTP, also if an earlier one left its certificate. The request is then sent
    unencrypted and without the token: the answer is only displayed, so a forged one does no harm.
    """
    if (folder / CERTIFICATE_FILE).exists():
        with suppress(ssl.SSLError, ConnectionResetError, http.client.HTTPException):
            return _read(*_ask_securely("GET", path, folder, port), port)
    return _read(*_get(path, port), port)


def _read(status: int, body: bytes, port: int) -> dict[str, Any]:
    """Decodes the JSON of an answer. Raises `WireError` for a refusal."""
    try:
        answer = json.loads(body)
    except ValueError:
        raise EngineError(_NOT_HTTP.format(port=port)) from None
    if status != 200 or not isinstance(answer, dict):
        reason = answer.get("error") if isinstance(answer, dict) else None
        raise WireError(escape_unprintable(f"the server refused ({status}): {reason or 'no reason given'}"))
    return answer


def _ask_securely(method: str, path: str, folder: Path, port: int, data: Any = None) -> tuple[int, bytes]:
    """Sends a request by HTTPS. Only the stored certificate is accepted, not the system's authorities.

    Raises `ssl.SSLError`, `ConnectionResetError` or `HTTPException` if the other side has no TLS, else `EngineError`.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    own = folder / CERTIFICATE_FILE
    context.load_verify_locations(own)
    connection = http.client.HTTPSConnection(LOCAL, port, timeout=TIMEOUT, context=context)
    try:
        connection.connect()
        shown = connection.sock.getpeercert(binary_form=True) or b""
        if shown != ssl.PEM_cert_to_DER_cert(own.read_text("ascii")):
            raise ssl.SSLCertVerificationError("another certificate")
        token = load_token(folder) if (folder / TOKEN_FILE).exists() else ""
        return request(connection, method, path, data, token)
    except ssl.SSLCertVerificationError:
        raise EngineError(f"what answers on port {port} is not this user's Antiphon; nothing was sent to it") from None
    except (ssl.SSLError, ConnectionResetError):
        raise
    except OSError:
        raise _absent(port) from None
    finally:
        connection.close()


def _get(path: str, port: int) -> tuple[int, bytes]:
    try:
        return request(http.client.HTTPConnection(LOCAL, port, timeout=TIMEOUT), "GET", path)
    except (ConnectionResetError, http.client.HTTPException):
        raise EngineError(_NOT_HTTP.format(port=port)) from None
    except OSError:
        raise _absent(port) from None


def _absent(port: int) -> EngineError:
    return EngineError(f"no server answers on HTTP port {port}; start `antiphon serve`, or name its --http-port")
