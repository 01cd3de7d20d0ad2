"""Table of all operations of the HTTP API, in document order."""

from __future__ import annotations

from antiphon.web.api.classify import ClassifyRoutes
from antiphon.web.api.jobs import JobRoutes
from antiphon.web.api.library import LibraryRoutes
from antiphon.web.api.live import LiveRoutes
from antiphon.web.api.server_state import DocumentRoute, ServerRoutes
from antiphon.web.operations import operations_of

OWNERS = (ServerRoutes, DocumentRoute, JobRoutes, ClassifyRoutes, LibraryRoutes, LiveRoutes)
OPERATIONS = tuple(one for owner in OWNERS for one in operations_of(owner))
