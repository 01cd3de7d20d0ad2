"""HTTP routes of a plugin, for `antiphon_routes`: operations, and the arguments and results of their handlers."""

from antiphon.jobs.files import MAX_FILE, write_pieces
from antiphon.web.api.jobs import FILE as EXAMPLE_FILE
from antiphon.web.api.types import list_of, maybe, record
from antiphon.web.http_message import (
    HttpRefusal as Refusal,
    HttpRequest,
    Response,
    answer as json_response,
    text as text_response,
)
from antiphon.web.messages import MAX_SCRIPT_BYTES, MAX_VERSION as MAX_SCRIPT_VERSION
from antiphon.web.operations import TokenLevel, convert, operation
from antiphon.web.osc_socket import ValueSubscription as OscSubscription
from antiphon.web.server import HttpServer
