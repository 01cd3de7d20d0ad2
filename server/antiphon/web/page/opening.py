"""POST /api/page/open: exchanges the secret in the owner's address for the page's key."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from antiphon.web.access import TokenGuard
from antiphon.web.http_message import HttpRequest, Refusal, Response, answer
from antiphon.web.operations import convert
from antiphon.web.page.page_secret import take_secret

EXPIRED = "this address was used before or is over ten minutes old; `antiphon page` opens another"


class OpenBody(msgspec.Struct, forbid_unknown_fields=True):
    """Request body of the page."""

    secret: str


@dataclass(frozen=True, slots=True)
class PageOpening:
    """Exchanges one-time secrets for the page's key."""

    folder: Path
    guard: TokenGuard

    def serve(self, request: HttpRequest) -> Response:
        """The key for a secret; `Refusal` unless it is the newest one and unused."""
        body: OpenBody = convert(request.json(), OpenBody)
        if not take_secret(self.folder, body.secret):
            self.guard.wrong(request.peer)
            raise Refusal(403, EXPIRED)
        return answer({"key": self.guard.page_key})
