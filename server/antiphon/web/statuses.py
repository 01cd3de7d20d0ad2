"""HTTP status codes of the kinds of errors."""

from __future__ import annotations

from antiphon.jobs.errors import InUse, Missing, StorageFull, TooMany, Unavailable, Unreadable, UnsupportedFormat
from antiphon.kernel.errors import AntiphonError
from antiphon.web.http_message import Refusal

STATUSES: dict[type[AntiphonError], int] = {
    Missing: 404,
    InUse: 409,
    UnsupportedFormat: 415,
    Unreadable: 422,
    TooMany: 429,
    Unavailable: 503,
    StorageFull: 507,
}
"""Any other error is 400: the request's fault."""


def refusal_of(error: AntiphonError) -> Refusal:
    """Refusal sent to a client for an error."""
    if isinstance(error, Refusal):
        return error
    wait = (("Retry-After", str(error.retry_seconds)),) if isinstance(error, TooMany) else ()
    return Refusal(STATUSES.get(type(error), 400), str(error), wait)
