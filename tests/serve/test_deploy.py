"""A server behind a proxy's names, and jobs of HTTP over the end of a process or of the server."""

import contextlib
import http.client
import json
import os
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.waiting import until

from antiphon_bench.rig import ServerProcess

TOKEN = "0123456789abcdef0123456789abcdef"
NAME = "studio.example"
OPTIONS = ("--audio", "headless", "--patch", "through", "--synth", "null", "--proxy", NAME)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("deployed")


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[ServerProcess]:
    secret = home / "secret"
    secret.write_text(f"{TOKEN}\n")
    secret.chmod(0o444)  # as containers get theirs
    with ServerProcess(*OPTIONS, "--token-file", str(secret), home=home) as running:
        yield running


def ask(
    server: ServerProcess, method: str, path: str, body: Any = None, *, token: str = TOKEN, host: str = NAME
) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", server.http, timeout=300)
    try:
        headers = {"Host": host} | ({"Authorization": f"Bearer {token}"} if token else {})
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def test_only_the_health_is_answered_without_the_token(server: ServerProcess) -> None:
    assert server.lines[-1].endswith(f"http://0.0.0.0:{server.http}")
    assert "osc 127.0.0.1:" in server.lines[-1]
    assert ask(server, "GET", "/api/health", token="") == (200, {"health": "ok"})
    # what checks a container asks by an address of its own choice
    assert ask(server, "GET", "/api/health", token="", host="10.0.0.7:80") == (200, {"health": "ok"})
    assert ask(server, "GET", "/api/status", token="")[0] == 401
    assert ask(server, "GET", "/api/health?x", token="")[0] == 401
    assert ask(server, "GET", "/api/status")[0] == 200
    assert ask(server, "GET", "/api/status", host="other.example")[0] == 421


def test_the_token_of_the_file_is_stored_for_its_owner_alone(server: ServerProcess, home: Path) -> None:
    stored = home / "config" / "token"
    assert stored.read_text().strip() == TOKEN
    assert stored.stat().st_mode & 0o777 == 0o600


def test_a_job_is_finished_before_a_server_that_drains_ends(tmp_path: Path) -> None:
    options = (*OPTIONS, "--drain", "300")
    with ServerProcess(*options, home=tmp_path, env={"ANTIPHON_TOKEN": TOKEN}) as server:
        status, job = ask(server, "POST", "/api/render/keys", {"seconds": 2})
        assert status == 202
        until(lambda: ask(server, "GET", f"/api/jobs/{job['id']}")[1]["state"] != "waiting", 20, "the job begins")
        assert server.process is not None
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(120) == 0
    states = _jobs(tmp_path)
    assert states[job["id"]]["state"] == "done"
    assert (tmp_path / "data" / "jobs" / "results" / job["id"] / "out.wav").stat().st_size > 2 * 48000
    assert not list((tmp_path / "data" / "jobs").rglob("*.part*"))


def test_a_job_that_is_not_done_when_the_time_is_up_is_kept_for_the_next_start(tmp_path: Path) -> None:
    with ServerProcess(*OPTIONS, "--drain", "0.3", home=tmp_path, env={"ANTIPHON_TOKEN": TOKEN}) as server:
        _, job = ask(server, "POST", "/api/render/through", {"seconds": 3000})
        until(lambda: ask(server, "GET", f"/api/jobs/{job['id']}")[1]["state"] == "running", 20, "the job begins")
        assert server.process is not None
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(120) == 0
    assert not (tmp_path / "data" / "jobs" / "results" / job["id"]).exists()
    with ServerProcess(*OPTIONS, home=tmp_path, env={"ANTIPHON_TOKEN": TOKEN}) as server:
        until(lambda: ask(server, "GET", f"/api/jobs/{job['id']}")[1]["state"] == "running", 20, "it begins anew")
        assert ask(server, "DELETE", f"/api/jobs/{job['id']}")[1]["state"] == "cancelled"


def _jobs(home: Path) -> dict[str, dict[str, Any]]:
    with sqlite3.connect(home / "data" / "jobs" / "jobs.sqlite") as table:
        columns = [row[1] for row in table.execute("PRAGMA table_info(job)")]
        return {row[0]: dict(zip(columns, row, strict=True)) for row in table.execute("SELECT * FROM job")}


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
    with ServerProcess("--audio", "headless", "--patch", "through", home=tmp_path) as server:
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
