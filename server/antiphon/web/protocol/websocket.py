"""The WebSocket protocol of the server: uvicorn's, on wsproto."""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.websockets.wsproto_impl import WSProtocol

from antiphon.web.protocol.uvicorn_settings import LINGER_SECONDS, QUIET


class ListenProtocol(WSProtocol):
    """uvicorn's protocol without log lines about clients' errors, and with a short wait for their close frames."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.logger = QUIET
        self.close_timeout = LINGER_SECONDS
