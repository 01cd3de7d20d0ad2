"""A soak of some seconds, as a command: what it leaves behind, and that Ctrl-C ends it with its results."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.waiting import until

from antiphon_bench.soak import processes

pytestmark = pytest.mark.real


def test_ten_seconds_and_ctrl_c(tmp_path: Path) -> None:
    out, temporary = tmp_path / "out", tmp_path / "tmp"
    temporary.mkdir()
    soak = subprocess.Popen(
        [sys.executable, "-m", "antiphon", "bench", "soak", "--hours", "0.1", "--out", str(out)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
        # a shell's background jobs have it ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        kept = out / "events.jsonl"
        until(
            lambda: soak.poll() is not None or (kept.exists() and "back" in kept.read_text()),
            20.0,
            "a killed one is back",
        )
        assert soak.poll() is None, soak.communicate()
        soak.send_signal(signal.SIGINT)
        said, _ = soak.communicate(timeout=60.0)
    finally:
        soak.kill()
    result = json.loads(said.splitlines()[-1])
    assert soak.returncode == 0
    assert "it was interrupted" in said
    assert result == {**json.loads((out / "result.json").read_text()), "bench": "soak", "machine": result["machine"]}
    assert result["ended"]["processes_left"] == 0
    assert result["ended"]["files_left"] == 0
    assert result["ended"]["osc_sent"] > 0
    assert result["refused"] == []
    samples = [json.loads(line) for line in (out / "samples.jsonl").read_text().splitlines()]
    # the last sample is taken beside the kill, so that the engine may be missing from it
    measured = set().union(*(sample["held"] for sample in samples))
    assert {"supervisor", "control", "web", "engine", "recorder", "weigher", "zygotes", "workers"} <= measured
    assert samples[-1]["counts"]["osc_received"] > 0
    assert (out / "soak.svg").read_text().startswith("<svg")
    assert list(temporary.iterdir()) == [], "the server's home is removed"
    assert not list(processes.processes_of_home(temporary))
