"""`serve --lan` with real processes: HTTPS with the token, approvals through deaths, secrets that cannot be kept."""

import http.client
import os
import signal
from pathlib import Path

import pytest
from tests.waiting import until

from antiphon.cli.running import page
from antiphon.client import http as client
from antiphon_bench.rig import TIMEOUT_SECONDS, ServerProcess

OPTIONS = ("--lan", "--announce", "none", "--audio", "headless", "--patch", "through", "--synth", "null")


def test_https_with_the_token_and_approvals_that_outlive_control_and_web(tmp_path: Path) -> None:
    folder = tmp_path / "config"
    with ServerProcess(*OPTIONS, home=tmp_path) as server:
        assert "https://" in server.lines[-1]
        plain = http.client.HTTPConnection("127.0.0.1", server.http, timeout=TIMEOUT_SECONDS)
        plain.request("GET", "/api/health")
        answer = plain.getresponse()
        assert (answer.status, b"https://" in answer.read()) == (400, True)
        plain.close()
        before = client.get_answer("/api/status", folder, server.http)
        assert page.change("approve", "192.168.77.7", folder, server.http) == "approved 192.168.77.7"
        for name in ("control", "web"):
            os.kill(before[name]["pid"], signal.SIGKILL)

        def back() -> bool:
            try:
                now = client.get_answer("/api/status", folder, server.http)
            except Exception:
                return False  # its connection was reset
            return all(now[name]["pid"] != before[name]["pid"] for name in ("control", "web"))

        until(back, 5.0, "others answer")
        assert client.get_answer("/api/surfaces", folder, server.http)["approved"] == ["192.168.77.7"]


def test_a_token_that_cannot_be_read_is_said_before_anything_plays(tmp_path: Path) -> None:
    (tmp_path / "config" / "token").mkdir(parents=True)
    with pytest.raises(RuntimeError, match=r"antiphon: the token .* cannot be read .*remove it") as refused:
        ServerProcess(*OPTIONS, home=tmp_path).start()
    assert "Traceback" not in str(refused.value)
