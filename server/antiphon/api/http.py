"""HTTP routes of a plugin, for `antiphon_routes`: what a handler is given, and what it returns or raises."""

from __future__ import annotations

from antiphon.io.http_message import HttpRequest, Refusal, Response
from antiphon.io.http_message import answer as json_response
from antiphon.io.http_message import text as text_response

__all__ = ["HttpRequest", "Refusal", "Response", "json_response", "text_response"]
