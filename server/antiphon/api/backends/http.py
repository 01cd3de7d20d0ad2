"""HTTP routes of a plugin, for `antiphon_routes`: what a handler is given, and what it returns or raises."""

from __future__ import annotations

from antiphon.kernel.io.http_message import (
    HttpRequest,
    Refusal,
    Response,
    answer as json_response,
    text as text_response,
)
