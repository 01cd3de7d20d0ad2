"""`antiphon live` beside a real server: a script is saved again and again, and answers what others send."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path

from tests import forked
from tests.waiting import until

from antiphon.testing import sound as audio
from antiphon_bench.rig import ServerProcess, free_port

PATCH = """\
format = 1
name = "Stage"
[nodes.drums]
type = "sampler"
library = "kit"
[nodes.tone]
type = "filter"
[nodes.send]
type = "gain"
[nodes.echo]
type = "delay"
[wires]
"drums" = "tone"
"tone" = ["send", "out"]
"send" = "echo"
"echo" = "out"
"""
"""With a kit of one sound: that which ships takes each server three seconds of processor time to decode."""
SCRIPT = """\
from antiphon.live import *

patch("stage")
tempo(240)
track("beat", "bd*4")


@loop
def count():
    my = memory(k=0)
    my.k += 1
    node("send").gain = my.k / 1000
    yield 1


@loop
def answer():
    value = yield sync("drop")
    node("echo").feedback = value


@on_level("out", above=-60)
def loud():
    node("tone").wet = 0.25
"""


class Live:
    """A process of `antiphon live`, and what it has said."""

    def __init__(self, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.path, self.process, self._said = folder / "set.py", process, folder / "said"

    def said(self) -> str:
        return self._said.read_text("utf-8")

    def save(self, text: str, sentence: str) -> None:
        """Saves the script as editors do, and returns once something new is said of it."""
        before = self.said().count(sentence)
        beside = self.path.with_suffix(".new")
        beside.write_text(text)
        os.replace(beside, self.path)
        until(lambda: self.said().count(sentence) > before, 20.0, f"{sentence!r} is said")

    def hand_over(
        self, server: ServerProcess, script: str, home: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """`antiphon eval -` with a script."""
        return forked.run(
            [*forked.COMMAND, "eval", "-", "--port", str(server.osc)],
            input=script,
            text=True,
            capture_output=True,
            timeout=60,
            check=False,
            env={**os.environ, "ANTIPHON_HOME": str(home or self.path.parent)},
        )


@contextmanager
def live(folder: Path, *options: str, script: str = SCRIPT) -> Iterator[Live]:
    (folder / "set.py").write_text(script)
    for part in ("patches", "library/kit/bd"):
        (folder / "data" / part).mkdir(parents=True, exist_ok=True)
    (folder / "data" / "patches" / "stage.toml").write_text(PATCH)
    audio.write(folder / "data" / "library" / "kit" / "bd" / "a.wav", audio.clicks([0], 64))
    with (folder / "said").open("wb") as said:
        process = forked.Forked(
            [*forked.COMMAND, "live", str(folder / "set.py"), *options],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            env={**os.environ, "ANTIPHON_HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)},
        )
        try:
            yield Live(folder, process)
        finally:
            process.terminate()
            try:
                process.wait(60.0)
            finally:
                process.kill()


def value(server: ServerProcess, address: str) -> float:
    return float(server.ask(address)[1][0])


def alive(server: ServerProcess) -> int | None:
    """The control process that answers, or None."""
    try:
        return server.pids()["control"]
    except (OSError, ValueError, KeyError, HTTPException):
        return None


def counts_on(server: ServerProcess) -> None:
    """Returns once the script's loop has counted three beats more."""
    before = value(server, "/node/send/gain")
    until(lambda: value(server, "/node/send/gain") > before + 0.0025, 10.0, "the loop counts on")


def test_a_script_is_performed_at_a_server_that_runs(tmp_path: Path) -> None:
    with (
        ServerProcess("--audio", "headless", "--patch", "through", "--live", home=tmp_path) as server,
        live(tmp_path, "--osc-port", str(server.osc)) as performed,
    ):
        until(lambda: "plays from bar 1" in performed.said(), 20.0, "the first version plays")
        until(lambda: server.status()["patch"] == "Stage", 10.0, "its patch")
        until(lambda: value(server, "/tempo") == 240.0, 10.0, "its tempo")
        until(lambda: value(server, "/node/send/gain") < 0.2, 10.0, "its loop")
        counts_on(server)
        # cues from outside, and what the instrument hears of itself
        server.send("/cue", "nobody")
        server.send("/cue", "drop", 0.125)
        until(lambda: value(server, "/node/echo/feedback") == 0.125, 10.0, "the loop answers the cue")
        until(lambda: value(server, "/node/tone/wet") == 0.25, 10.0, "the loop answers the level")
        # a version with an error, one without end, one that no patch takes, and one that is good
        performed.save(SCRIPT.replace("bd*4", "[bd"), "set.py line 5: the [ is not closed")
        performed.save(SCRIPT + "while True: pass\n", "it runs without end")
        counts_on(server)
        performed.save(SCRIPT + "node('tone').nosuch = 1\n", "set.py line 25: tone has no")
        counts_on(server)
        before = value(server, "/node/send/gain")
        performed.save(SCRIPT.replace("value\n\n", "value / 2\n\n"), "plays from bar")
        until(
            lambda: (server.send("/cue", "drop", 0.5), value(server, "/node/echo/feedback") == 0.25)[1],
            10.0,
            "the new version answers",
        )
        assert value(server, "/node/send/gain") > before, "the loop goes on from its own memory"
        # a version by OSC, with the owner's token
        token = next(tmp_path.rglob("token")).read_text().strip()
        server.send("/live/eval", token, SCRIPT.replace("value\n\n", "value / 4\n\n"))
        until(
            lambda: (server.send("/cue", "drop", 0.5), value(server, "/node/echo/feedback") == 0.125)[1],
            20.0,
            "the version that was sent answers",
        )
        # the same by the command, which shows no token to those who list processes
        handed = performed.hand_over(server, SCRIPT.replace("value\n\n", "value / 8\n\n"))
        assert (handed.returncode, handed.stdout) == (0, "handed to 1 `antiphon live`\n"), handed.stderr
        until(
            lambda: (server.send("/cue", "drop", 0.5), value(server, "/node/echo/feedback") == 0.0625)[1],
            20.0,
            "the version that was handed over answers",
        )
        refused = performed.hand_over(server, "bad", home=tmp_path / "other")
        assert refused.returncode == 2
        assert "you have no token here" in refused.stderr
        # control is started again, and the script finds it
        control = server.pids()["control"]
        os.kill(control, signal.SIGKILL)
        until(lambda: alive(server) not in (None, control), 20.0, "another control")
        counts_on(server)
        server.send("/panic")
        until(lambda: "plays on in silence" in performed.said(), 10.0, "the panic")
        performed.save(SCRIPT, "plays from bar")
        # somebody chooses another patch; the next version has its own again
        assert server.ask("/patch/load", "throw")[0] == "/done"
        performed.save(SCRIPT.replace("bd*4", "bd*2"), "plays from bar")
        until(lambda: server.status()["patch"] == "Stage", 10.0, "its patch again")
        performed.process.send_signal(signal.SIGINT)
        assert performed.process.wait(60.0) == 0, performed.said()
        assert "Traceback" not in performed.said()


def test_a_server_is_started_where_none_answers(tmp_path: Path) -> None:
    osc, http = free_port(), free_port()
    options = ("--osc-port", str(osc), "--http-port", str(http), "--audio", "headless")
    with live(tmp_path, *options) as performed:
        until(lambda: "plays from bar 1" in performed.said(), 30.0, performed.said())
        server = ServerProcess(home=tmp_path)
        server.osc, server.http = osc, http
        assert server.status()["patch"] == "Stage"
        until(lambda: value(server, "/node/send/gain") < 0.2, 10.0, "its loop")
        counts_on(server)
        pid = server.status()["control"]["pid"]
        performed.process.send_signal(signal.SIGINT)
        assert performed.process.wait(60.0) == 0, performed.said()
    until(lambda: not Path(f"/proc/{pid}").exists(), 10.0, "its server has ended")


def test_a_script_that_names_no_patch_says_so_and_plays_by_the_one_that_is_given(tmp_path: Path) -> None:
    nameless = 'from antiphon.live import *\ntrack("kick", s("bd*4"))\n'
    ports = ("--osc-port", str(free_port()), "--http-port", str(free_port()), "--audio", "headless")
    with live(tmp_path, *ports, script=nameless) as performed:
        until(lambda: "set.py names no patch to start one with" in performed.said(), 30.0, "it is said")
    with live(tmp_path, *ports, "--patch", "stage", script=nameless) as performed:
        until(lambda: "patch Stage" in performed.said(), 60.0, "a server plays it")
