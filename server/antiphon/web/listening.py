"""A WebSocket's protocol: uvicorn's on wsproto, within the bounds that its server has."""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.websockets.wsproto_impl import WSProtocol

from antiphon.web.connection import LINGER_SECONDS, QUIET


class ListenProtocol(WSProtocol):
    """As uvicorn's; what a client does wrong is no line in the log, and one that leaves is not waited for."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.logger = QUIET
        self.close_timeout = LINGER_SECONDS
