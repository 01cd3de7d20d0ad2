"""One name for a server's ports: every command takes both options, and finds one port by the other."""

import os
from pathlib import Path

import pytest
import typer

from antiphon.cli import ports
from antiphon.cli.commands import application
from antiphon.kernel.errors import UsageError
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.processes import pidfile
from antiphon.kernel.runtime.settings import HTTP_PORT, OSC_PORT, ServeSettings

OSC = ("serve", "play", "live", "osc", "monitor", "repl")
HTTP = ("status", "surfaces", "approve", "forget", "qr")


def test_every_command_takes_both_and_the_old_name() -> None:
    for name in [*OSC, *HTTP]:
        command = typer.main.get_command(application())
        for word in name.split():
            command = command.commands[word]  # type: ignore[attr-defined]
        options = {frozenset(param.opts) for param in command.params}
        names = (
            (("--osc-port", "--port"), ("--http-port",))
            if name in OSC
            else (("--osc-port",), ("--http-port", "--port"))
        )
        assert set(map(frozenset, names)) <= options


def test_one_port_is_found_by_the_other_of_a_server_that_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTIPHON_HOME", str(tmp_path))
    settings = ServeSettings(osc_port=4509, http_port=4510)
    pidfile.write(paths.make_folder(pidfile.folder(settings)), os.getpid(), {}, settings)
    assert ports.http_port(HTTP_PORT, 4509) == 4510
    assert ports.osc_port(OSC_PORT, 4510) == 4509
    assert (ports.http_port(4600, 4509), ports.http_port(4601, None)) == (4600, 4601), "what is named counts"
    with pytest.raises(UsageError, match="no server of yours with --osc-port 4511 runs"):
        ports.http_port(HTTP_PORT, 4511)
    pidfile.write(pidfile.folder(settings), 2**22 + 1, {}, settings)
    with pytest.raises(UsageError, match="no server of yours"):
        ports.http_port(HTTP_PORT, 4509)
