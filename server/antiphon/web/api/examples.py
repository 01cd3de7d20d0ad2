"""An example of each operation of the OpenAPI document: the parts of its path, its query and its body.

The tests play them against a server, one after the other, and put the identifiers that it answers in the place of
`FILE` and `JOB`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

FILE, JOB = "1df5005f9868", "9d0673aa3316"
"""Identifiers of a file that was sent and of a job."""


@dataclass(frozen=True, slots=True)
class RequestExample:
    """A request.

    Attributes:
        parts: Values of the parts of the path, by name.
        query: Values of query parameters, by name.
        body: Of the request, as JSON; None for none, or for the bytes of a file.
    """

    parts: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None


EXAMPLES: Mapping[tuple[str, str], RequestExample] = {
    ("get", "/api/plugins/{name}"): RequestExample({"name": "denoise"}),
    ("post", "/api/surfaces/approve"): RequestExample(body={"ip": "192.0.2.7"}),
    ("post", "/api/surfaces/forget"): RequestExample(body={"ip": "192.0.2.7"}),
    ("post", "/api/osc"): RequestExample(body={"address": "/node/echo/feedback", "args": [0.5]}),
    ("post", "/api/files"): RequestExample(query={"name": "take.wav"}),
    ("get", "/api/files/{id}"): RequestExample({"id": FILE}),
    ("get", "/api/files/{id}/content"): RequestExample({"id": FILE}),
    ("get", "/api/files/{id}/overview"): RequestExample({"id": FILE}),
    ("delete", "/api/files/{id}"): RequestExample({"id": FILE}),
    ("post", "/api/run/{plugin}"): RequestExample(
        {"plugin": "denoise"}, body={"file": FILE, "params": {"threshold": -40}, "format": "flac"}
    ),
    ("post", "/api/render/{patch}"): RequestExample({"patch": "bed"}, body={"seconds": 4}),
    ("post", "/api/live/sets/{name}/render"): RequestExample({"name": "bells"}, body={"bars": 2, "midi": True}),
    ("get", "/api/jobs/{id}"): RequestExample({"id": JOB}),
    ("delete", "/api/jobs/{id}"): RequestExample({"id": JOB}),
    ("post", "/api/jobs/{id}/repeat"): RequestExample({"id": JOB}),
    ("get", "/api/jobs/{id}/overview"): RequestExample({"id": JOB}),
    ("get", "/api/jobs/{id}/result"): RequestExample({"id": JOB}),
    ("get", "/api/jobs/{id}/result/{name}"): RequestExample({"id": JOB, "name": "out.flac"}),
    ("post", "/api/classify/{name}"): RequestExample({"name": "instruments"}, {"every": "5"}, body={"file": FILE}),
    ("post", "/api/library/next"): RequestExample(body={"count": 8, "like": 1}),
    ("get", "/api/library/tracks/{id}/sound"): RequestExample({"id": "1"}),
    ("post", "/api/live/eval"): RequestExample(
        body={"text": 'from antiphon.live import *\n\ntrack("beat", "bd sd bd sd")\n', "version": 1}
    ),
    ("get", "/api/live/sets/{name}"): RequestExample({"name": "bells"}),
    ("put", "/api/live/sets/{name}"): RequestExample(
        {"name": "mine"},
        body={"text": 'from antiphon.live import *\n\npatch("band")\ntrack("beat", "bd sd bd sd")\n'},
    ),
}
"""By method, in small letters, and path; an operation that is not here takes nothing."""
