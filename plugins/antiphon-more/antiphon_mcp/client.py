"""Requests of `antiphon mcp` to the running server, with the owner's token, on loopback."""

import http.client
import json
from typing import Any

from antiphon.api import AntiphonError
from antiphon.api.backends.cli import owner_token
from antiphon.api.backends.files import config_folder

SECONDS = 60.0
"""Timeout of an answer."""
MAX_BYTES = 16 << 20
"""Maximum bytes of an answer."""
REHEARSAL_SECONDS = 240.0


class ServerRefused(Exception):
    """A refusal of the server, or its absence, as one sentence."""


class ServerClient:
    """The HTTP API of one server."""

    def __init__(self, port: int) -> None:
        """Creates a client without a connection."""
        self._port = port

    def get(self, path: str) -> Any:
        """JSON of an answer; raises `ServerRefused`."""
        return json.loads(self._asked("GET", path, None))

    def post(self, path: str, body: Any = None) -> Any:
        """JSON of an answer to a request with a body, as `get`."""
        return json.loads(self._asked("POST", path, {} if body is None else body))

    def picture(self, path: str) -> bytes:
        """The bytes of an answer."""
        return self._asked("GET", path, None)

    def _asked(self, method: str, path: str, body: Any) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=SECONDS)
        try:
            headers = {"Authorization": f"Bearer {owner_token(config_folder())}", "Content-Type": "application/json"}
            connection.request(method, path, None if body is None else json.dumps(body).encode(), headers)
            response = connection.getresponse()
            data = response.read(MAX_BYTES)
        except AntiphonError as error:
            raise ServerRefused(str(error)) from None
        except TimeoutError:
            raise ServerRefused(f"the server took longer than {SECONDS:g} s to answer; try again") from None
        except ConnectionRefusedError:
            raise ServerRefused(f"no server is at HTTP port {self._port}; start `antiphon serve --live`") from None
        except (OSError, http.client.HTTPException):
            raise ServerRefused(
                f"the server at HTTP port {self._port} ended the request without an answer: it is busy, then try "
                "again; or it was started with --lan, then start it without"
            ) from None
        finally:
            connection.close()
        if response.status >= 400:
            raise ServerRefused(_reason(data))
        return data


def _reason(data: bytes) -> str:
    try:
        return str(json.loads(data)["error"])
    except (ValueError, KeyError, TypeError):
        return "the server refused"
