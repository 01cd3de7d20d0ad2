"""The HTTP status of each kind of error."""

from __future__ import annotations

from antiphon.jobs.errors import InUse, Missing, StorageFull, TooMany, Unavailable, Unreadable, UnsupportedFormat
from antiphon.kernel.errors import AntiphonError
from antiphon.kernel.io.http_message import Refusal

STATUSES: dict[type[AntiphonError], int] = {
    Missing: 404,
    InUse: 409,
    UnsupportedFormat: 415,
    Unreadable: 422,
    TooMany: 429,
    Unavailable: 503,
    StorageFull: 507,
}
"""Every other is 400: the request's fault."""


def refusal_of(error: AntiphonError) -> Refusal:
    """An error as the refusal that a client is sent."""
    if isinstance(error, Refusal):
        return error
    wait = (("Retry-After", str(error.retry_seconds)),) if isinstance(error, TooMany) else ()
    return Refusal(STATUSES.get(type(error), 400), str(error), wait)
