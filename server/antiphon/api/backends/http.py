"""HTTP routes of a plugin, for `antiphon_routes`: operations, and the arguments and results of their handlers."""

from typing import TYPE_CHECKING

import antiphon.api._former as _former
from antiphon.web.api.types import list_of, record
from antiphon.web.http_message import (
    HttpRefusal as Refusal,
    HttpRequest,
    Response,
    answer as json_response,
    text as text_response,
)
from antiphon.web.operations import TokenLevel, operation
from antiphon.web.server import HttpServer

if not TYPE_CHECKING:  # a type checker would find every name
    __getattr__ = _former.refuse(__name__)
