"""Work on files beside a live set: what a client of HTTP sends, asks for and gets."""

import json
import os
import signal
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from antiphon_bench.rig import ServerProcess


class Client:
    """A client with the token."""

    def __init__(self, server: ServerProcess, home: Path) -> None:
        self._base = f"http://127.0.0.1:{server.http}"
        self._token = next(home.rglob("token")).read_text().strip()

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self._token}"}
        with urllib.request.urlopen(
            urllib.request.Request(self._base + path, data, headers, method=method), timeout=300
        ) as answer:
            content = answer.read()
            return json.loads(content) if "json" in answer.headers["Content-Type"] else content

    def until(self, job: str, *states: str) -> dict[str, Any]:
        end = time.monotonic() + 120
        while time.monotonic() < end:
            try:
                found: dict[str, Any] = self.ask("GET", f"/api/jobs/{job}")
            except OSError:
                continue  # the web process is being started again
            if found["state"] in states:
                return found
            time.sleep(0.05)
        raise AssertionError(f"the job is {found['state']}, not {states}: {found}")


def served(home: Path) -> ServerProcess:
    return ServerProcess("--audio", "headless", home=home)


def test_a_killed_web_process_begins_its_job_anew_and_a_cancelled_one_ends(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        pid = server.status()["web"]["pid"]
        client = Client(server, tmp_path)
        job = client.ask("POST", "/api/render/keys", {"seconds": 8})
        client.until(job["id"], "running")
        os.kill(pid, signal.SIGKILL)
        assert client.until(job["id"], "done", "failed")["state"] == "done"
        long = client.ask("POST", "/api/render/keys", {"seconds": 3600})
        client.until(long["id"], "running")
        assert client.ask("DELETE", f"/api/jobs/{long['id']}")["state"] == "cancelled"
        assert client.until(long["id"], "cancelled")["results"] == []
        assert client.ask("DELETE", f"/api/jobs/{job['id']}")["state"] == "done"
        with pytest.raises(urllib.error.HTTPError, match="404"):
            client.ask("GET", f"/api/jobs/{job['id']}")
        assert server.status()["engine"]["state"] == "running"
