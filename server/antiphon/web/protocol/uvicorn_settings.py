"""Settings of uvicorn's two protocols, HTTP and WebSocket."""

from __future__ import annotations

import logging

QUIET = logging.getLogger("antiphon.http.protocol")
"""uvicorn's logger, silenced: it logs each request that is answered 4xx, with which a client could fill a log."""
QUIET.setLevel(logging.CRITICAL + 1)

LINGER_SECONDS = 1.0
"""Seconds for which a refused client may still send, and in which a WebSocket's client must answer a close frame."""
