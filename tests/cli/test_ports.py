"""One name for a server's ports: every command takes both options, and finds one port by the other."""

import os
import re

import pytest
from click.testing import CliRunner

from antiphon.cli.commands import application
from antiphon.client import finding
from antiphon.kernel.errors import UsageError
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.processes import pidfile
from antiphon.kernel.runtime.settings import HTTP_PORT, OSC_PORT, ServeSettings

OSC = ("serve", "play", "live", "osc", "monitor", "repl")
HTTP = ("status", "surfaces", "approve", "forget", "qr")


def test_every_command_takes_both_and_the_old_name() -> None:
    for name in [*OSC, *HTTP]:
        command = application()
        for word in name.split():
            command = command.commands[word]  # type: ignore[attr-defined]
        options = {frozenset(param.opts) for param in command.params}
        names = (
            (("--osc-port", "--port"), ("--http-port",))
            if name in OSC
            else (("--osc-port",), ("--http-port", "--port"))
        )
        assert set(map(frozenset, names)) <= options


def runs(osc: int, http: int, pid: int | None = None) -> None:
    """The list of a server's processes; by default it runs."""
    settings = ServeSettings(osc_port=osc, http_port=http)
    pidfile.write(paths.make_folder(pidfile.folder(settings)), os.getpid() if pid is None else pid, {}, settings)


def test_one_port_is_found_by_the_other_of_a_server_that_runs() -> None:
    runs(4509, 4510)
    assert finding.http_port(None, 4509) == 4510
    assert finding.osc_port(None, 4510) == 4509
    assert (finding.http_port(4600, 4509), finding.http_port(4601, None)) == (4600, 4601), "what is named counts"
    with pytest.raises(UsageError, match="no server of yours with --osc-port 4511 runs"):
        finding.http_port(None, 4511)
    runs(4509, 4510, pid=2**22 + 1)
    with pytest.raises(UsageError, match="no server of yours"):
        finding.http_port(None, 4509)


def test_without_a_port_the_only_server_is_meant_and_of_several_the_usual_one() -> None:
    usual = ServeSettings()
    assert (finding.http_port(None, None), finding.osc_port(None, None)) == (HTTP_PORT, OSC_PORT)
    assert finding.find_server(usual) is None
    runs(4509, 4510)
    assert (finding.http_port(None, None), finding.osc_port(None, None)) == (4510, 4509)
    assert finding.osc_port(None, None, "192.0.2.7") == OSC_PORT, "another machine's servers are not known"
    for asked in (usual, usual.with_(osc_port=4509), usual.with_(http_port=4510)):
        one = finding.find_server(asked)
        assert one is not None
        assert one.settings.http_port == 4510
    assert finding.find_server(usual.with_(http_port=4999)) is None, "a server is started there"
    runs(4519, 4520)
    with pytest.raises(UsageError, match="2 servers of yours run; name one: --http-port 4510 or 4520"):
        finding.http_port(None, None)
    runs(OSC_PORT, HTTP_PORT)
    assert (finding.http_port(None, None), finding.osc_port(None, None)) == (HTTP_PORT, OSC_PORT)


@pytest.mark.parametrize("command", ["page", "learn"])
def test_the_page_of_a_server_at_other_ports_is_opened(command: str) -> None:
    runs(4509, 4510)
    said = CliRunner().invoke(application(), [command, "--no-open"])
    assert re.fullmatch(r"http://127\.0\.0\.1:4510/#open=[0-9a-f]{32}(&learn)?\n", said.output)
