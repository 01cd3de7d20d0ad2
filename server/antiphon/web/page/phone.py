"""The page's address for a phone, as a QR code: GET /api/phone, only with `--lan`.

The address ends in the token, so that scanning it opens the page. It is given to those alone who have sent the token.
"""

from __future__ import annotations

from typing import Any

import segno

from antiphon.io.http_message import HttpRequest, Refusal, Response, answer
from antiphon.web.protocol.guard import LOOPBACK
from antiphon.web.server import HttpServer


def install(server: HttpServer) -> None:
    """Adds the route."""

    def phone(request: HttpRequest) -> Response:
        if server.tls is None or not server.token:
            raise Refusal(409, "other machines cannot open the page; start the server with --lan")
        return answer({"addresses": addresses(sorted(server.hosts - LOOPBACK), server.port, server.token)})

    server.add("GET", "/api/phone", phone)


def addresses(hosts: list[str], port: int, token: str) -> list[dict[str, Any]]:
    """The page's address at each host.

    Args:
        hosts: IP addresses of this machine.
        port: Of HTTPS.
        token: The owner's.

    Returns:
        For each `host`, `url`, and `rows`: the QR code's modules, a text of 1 for dark and 0 for each row.
    """
    found = []
    for host in hosts:
        url = f"https://{host}:{port}/#token={token}"
        found.append({"host": host, "url": url, "rows": qr_rows(url)})
    return found


def qr_rows(text: str) -> list[str]:
    """The modules of a text's QR code (ISO/IEC 18004), error correction level M, without the light border.

    Args:
        text: A few hundred characters at most.

    Returns:
        A row each, a text of 1 for dark and 0 for light modules.
    """
    code = segno.make_qr(text, error="m", boost_error=False)
    return ["".join("01"[bool(module)] for module in row) for row in code.matrix]
