"""`GET /api/synth/told`: the last of what the null synth was told, as it wrote it down."""

from __future__ import annotations

import json
from collections import deque
from pathlib import Path

from antiphon.io.http import HttpRequest, HttpServer, Response, answer

MOST = 1000


def install(server: HttpServer, path: Path) -> None:
    """path: the file the null synth writes, a JSON object a line; it need not exist."""

    def told(_request: HttpRequest) -> Response:
        try:
            with path.open(encoding="utf-8") as file:
                lines = deque(file, maxlen=MOST)
        except FileNotFoundError:
            return answer([])
        return answer([json.loads(line) for line in lines if line.endswith("\n")])

    server.add("GET", "/api/synth/told", told)
