"""Work on files beside a live set: what a client of HTTP sends, asks for and gets."""

import contextlib
import http.client
import os
import signal
from pathlib import Path
from typing import Any

from tests.waiting import until

from antiphon_bench.rig import ServerProcess


def is_in(server: ServerProcess, job: str, *states: str) -> dict[str, Any]:
    """The job, once it is in one of the states."""
    found: dict[str, Any] = {}

    def look() -> bool:
        with contextlib.suppress(OSError, http.client.HTTPException):  # the web process is being started again
            found.update(server.request("GET", job)[1])
        return found.get("state") in states

    until(look, 120.0, f"the job is {' or '.join(states)}")
    return found


def test_a_killed_web_process_begins_its_job_anew_and_a_cancelled_one_ends(tmp_path: Path) -> None:
    with ServerProcess("--audio", "headless", home=tmp_path) as server:
        pid = server.status()["web"]["pid"]
        job = f"/api/jobs/{server.request('POST', '/api/render/keys', {'seconds': 8})[1]['id']}"
        is_in(server, job, "running")
        os.kill(pid, signal.SIGKILL)
        assert is_in(server, job, "done", "failed")["state"] == "done"
        long = f"/api/jobs/{server.request('POST', '/api/render/keys', {'seconds': 3600})[1]['id']}"
        is_in(server, long, "running")
        assert server.request("DELETE", long)[1]["state"] == "cancelled"
        assert is_in(server, long, "cancelled")["results"] == []
        assert server.request("DELETE", job)[1]["state"] == "done"
        assert server.request("GET", job)[0] == 404
        assert server.status()["engine"]["state"] == "running"
