"""`antiphon mcp`: connects assistants to a running server by the Model Context Protocol."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Annotated, Any

from antiphon.api.backends.cli import epilog, http_port as port_of_http
from antiphon.api.backends.runtime import HttpBesideOsc, OscPort, argument, require_modules, say as tell
from antiphon.files.owner_token import load_token as owner_token

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer

EXAMPLES = epilog("antiphon mcp", "antiphon mcp --http --listen-port 4403")
LISTEN_PORT = 4403
Scope = MutableMapping[str, Any]
Application = Callable[[Scope, Any, Any], Awaitable[None]]


def mcp(
    osc: OscPort = None,
    http_port: HttpBesideOsc = None,
    http: Annotated[bool, argument("Streamable HTTP on loopback, in place of stdio.")] = False,
    listen: Annotated[int, argument("TCP port of --http.", low=1, high=65535, flags="--listen-port")] = LISTEN_PORT,
    trust: Annotated[
        bool,
        argument("Let land what the rehearsal speaks against, and scripts that are not music."),
    ] = False,
) -> None:
    """Let an assistant play along: it listens to the server, and its proposals are rehearsed before they land."""
    require_modules("antiphon mcp", ["mcp"])
    from antiphon_mcp.tools import ServerClient, server

    made = server(ServerClient(port_of_http(http_port, osc)), trust=trust)
    if http:
        _serve(made, listen)
    else:
        made.run("stdio")


def _serve(made: MCPServer[None], port: int) -> None:
    import uvicorn

    from antiphon.api.backends.files import config_folder  # numpy comes with it, and help needs none

    token = owner_token(config_folder())
    tell(f"mcp http://127.0.0.1:{port}/mcp, with the owner's token")
    uvicorn.run(require_token(made.streamable_http_app(), token), host="127.0.0.1", port=port, log_level="warning")


def require_token(application: Application, token: str) -> Application:
    """Wraps an ASGI application so that requests without the token get 401."""
    wanted = f"Bearer {token}".encode()

    async def served(scope: Scope, receive: Any, send: Any) -> None:
        given = dict(scope.get("headers", ())).get(b"authorization", b"")
        if scope["type"] != "http" or hmac.compare_digest(given, wanted):
            await application(scope, receive, send)
            return
        headers = [(b"content-type", b"text/plain"), (b"www-authenticate", b"Bearer")]
        await send({"type": "http.response.start", "status": 401, "headers": headers})
        await send({"type": "http.response.body", "body": b"this needs the owner's token\n"})

    return served
