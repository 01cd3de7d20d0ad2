"""The server's own operations of the HTTP API, in the order of the document."""

from __future__ import annotations

from antiphon.web.api.jobs import JobRoutes
from antiphon.web.api.live import LiveRoutes
from antiphon.web.api.server_state import DocumentRoute, ServerRoutes
from antiphon.web.operations import operations_of

OWNERS = (ServerRoutes, DocumentRoute, JobRoutes, LiveRoutes)
OPERATIONS = tuple(one for owner in OWNERS for one in operations_of(owner))
