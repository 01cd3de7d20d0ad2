"""`antiphon repl` at a running server, typed by a pipe."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import enumerate as threads

import numpy as np
import soundfile
from prompt_toolkit import PromptSession
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput
from tests.waiting import play_for, until

from antiphon.cli.running.conversation import PROMPT, Repl, panic_key, run_repl
from antiphon_bench.rig import ServerProcess

F12 = "\x1b[24~"
HELD = """format = 1
name = "Held"
[nodes.keys]
type = "sampler"
s = "sawtooth"
[wires]
"keys" = "out"
"""


def typed(connected: Repl, keys: str) -> list[str]:
    """What is printed for keys that are typed; the session ends with them."""
    printed: list[str] = []
    with create_pipe_input() as pipe:
        pipe.send_text(keys)
        session: PromptSession[str] = PromptSession(
            PROMPT, input=pipe, output=DummyOutput(), key_bindings=panic_key(connected, printed.append)
        )
        run_repl(connected, session, printed.append)
    return printed


def test_it_sends_asks_explains_follows_the_patch_and_f12_is_panic(tmp_path: Path) -> None:
    out, patches = tmp_path / "out.wav", tmp_path / "data" / "patches"
    patches.mkdir(parents=True)
    (patches / "held.toml").write_text(HELD)
    with ServerProcess("--audio", "headless", "--patch", "throw", "--record", str(out), home=tmp_path) as server:
        server.status()  # the web process, which begins last, answers
        connected = Repl(server.osc, server.http)
        assert "Throw" in connected.status_line()
        printed = typed(
            connected,
            "/node/echo/feedback 0.25\r/node/echo/feedback\r/node/echo/nosuch 1\rhelp '\recho 1\r# no\rquit\r",
        )
        assert printed == [
            "/node/echo/feedback 0.25",  # as it is once it is set
            "/node/echo/feedback 0.25",
            next(line for line in printed if "nosuch" in line),
            "a quote is not closed",
            "an OSC address begins with /, 'echo' does not",
        ]
        assert server.ask("/node/echo/feedback")[1] == [0.25]
        # of another patch it completes the nodes, once it is loaded
        typed(connected, "/patch/load held 0\r\x04")
        with connected.follow():
            until(lambda: "Held" in connected.status_line(), 5.0, "the other patch plays")
            until(lambda: "/node/keys/s" in connected.declared, 5.0, "its nodes")
        until(lambda: all(thread.name != "status" for thread in threads()), 5.0, "the thread has ended")
        assert "/node/echo/feedback" not in connected.declared
        server.send("/note/on", 60, 100)
        server.send("/note/on", 64, 100)
        server.sync()
        play_for(server, 0.5)
        assert typed(connected, f"half a li{F12}\x15\rquit\r") == ["panic"]
        play_for(server, 0.5)
    sound, rate = soundfile.read(out, dtype="float32")
    assert np.abs(sound).max() > 0.01
    assert np.abs(sound[-rate // 4 :]).max() < 1e-4


def test_one_port_finds_a_server_f12_waits_for_no_answer_of_http_and_its_end_is_a_sentence(tmp_path: Path) -> None:
    with ServerProcess("--audio", "headless", "--patch", "through", home=tmp_path) as server:
        server.status()
        for port in ("osc", "http"):
            words = [sys.executable, "-m", "antiphon", "repl", f"--{port}-port", str(getattr(server, port))]
            home = {"ANTIPHON_HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
            done = subprocess.run(
                words, env=os.environ | home, input="quit\n", capture_output=True, text=True, timeout=120, check=False
            )
            assert done.returncode == 0, done.stderr
            assert "help says what can be typed" in done.stdout
        connected = Repl(server.osc, server.http)
        web = server.status()["web"]["pid"]
        with connected.follow():
            os.kill(web, signal.SIGSTOP)
            try:
                assert typed(connected, f"{F12}quit\r") == ["panic"]
            finally:
                os.kill(web, signal.SIGCONT)
    # a server that ends is a sentence
    (line,) = connected.answer("/ping") or [""]
    assert "antiphon serve" in line
    connected.refresh()
    assert "antiphon serve" in connected.status_line()
    options = ("--audio", "headless", "--patch", "through")
    with ServerProcess(
        *options, "--osc-port", str(server.osc), "--http-port", str(server.http), home=tmp_path
    ):  # the same ports: it is the same server to the REPL
        until(lambda: not connected.refresh() and "Through" in connected.status_line(), 5.0, "it is back")
        assert connected.answer("/node/gain/gain 0.5") == ["/node/gain/gain 0.5"]
        assert (connected.answer("status") or [""])[0].startswith("Through")
        assert any("= 0.5 " in line for line in connected.answer("help /node/gain/gain") or [])
