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
class Example:
    """A request.

    Attributes:
        parts: Values of the parts of the path, by name.
        query: Values of query parameters, by name.
        body: Of the request, as JSON; None for none, or for the bytes of a file.
    """

    parts: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None


EXAMPLES: Mapping[tuple[str, str], Example] = {
    ("get", "/api/plugins/{name}"): Example({"name": "denoise"}),
    ("post", "/api/surfaces/approve"): Example(body={"ip": "192.0.2.7"}),
    ("post", "/api/surfaces/forget"): Example(body={"ip": "192.0.2.7"}),
    ("post", "/api/osc"): Example(body={"address": "/node/echo/feedback", "args": [0.5]}),
    ("post", "/api/files"): Example(query={"name": "take.wav"}),
    ("get", "/api/files/{id}"): Example({"id": FILE}),
    ("get", "/api/files/{id}/content"): Example({"id": FILE}),
    ("get", "/api/files/{id}/overview"): Example({"id": FILE}),
    ("delete", "/api/files/{id}"): Example({"id": FILE}),
    ("post", "/api/run/{plugin}"): Example(
        {"plugin": "denoise"}, body={"file": FILE, "params": {"threshold": -40}, "format": "flac"}
    ),
    ("post", "/api/render/{patch}"): Example({"patch": "bed"}, body={"seconds": 4}),
    ("post", "/api/live/sets/{name}/render"): Example({"name": "bells"}, body={"bars": 2, "midi": True}),
    ("get", "/api/jobs/{id}"): Example({"id": JOB}),
    ("delete", "/api/jobs/{id}"): Example({"id": JOB}),
    ("post", "/api/jobs/{id}/repeat"): Example({"id": JOB}),
    ("get", "/api/jobs/{id}/overview"): Example({"id": JOB}),
    ("get", "/api/jobs/{id}/result"): Example({"id": JOB}),
    ("get", "/api/jobs/{id}/result/{name}"): Example({"id": JOB, "name": "out.flac"}),
    ("post", "/api/classify/{name}"): Example({"name": "instruments"}, {"every": "5"}, body={"file": FILE}),
    ("post", "/api/library/next"): Example(body={"count": 8, "like": 1}),
    ("get", "/api/library/tracks/{id}/sound"): Example({"id": "1"}),
    ("post", "/api/live/eval"): Example(
        body={"text": 'from antiphon.live import *\n\ntrack("beat", "bd sd bd sd")\n', "version": 1}
    ),
    ("get", "/api/live/sets/{name}"): Example({"name": "bells"}),
    ("put", "/api/live/sets/{name}"): Example(
        {"name": "mine"},
        body={"text": 'from antiphon.live import *\n\npatch("band")\ntrack("beat", "bd sd bd sd")\n'},
    ),
}
"""By method, in small letters, and path; an operation that is not here takes nothing."""
