"""Entry point of the performer, started by the supervisor with `--live`: performs scripts sent by pages.

Until a script is run it has imported nothing that performs.
"""

import json
import os
import signal
import socket
import sys
from typing import Any

from antiphon.kernel.io.log_lines import log_lines
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.processes.child_process import listening
from antiphon.web.script_link import MAX_MESSAGE_BYTES


def main(argument: str) -> int:
    """Performs until SIGTERM, or until web and supervisor have closed the socket.

    `argument`: JSON from the supervisor, with osc_port and scripts (a descriptor).
    """
    given = json.loads(argument)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT,))
    log_lines()
    sock = socket.socket(fileno=given["scripts"])
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    listening()
    while b'"run"' not in (message := sock.recv(MAX_MESSAGE_BYTES, socket.MSG_PEEK)):
        if not message:
            return 0
        sock.recv(MAX_MESSAGE_BYTES)  # a web process that starts asks for the state, which is what it takes for granted
    _perform(given, sock)
    return 0


def _perform(given: dict[str, Any], sock: socket.socket) -> None:
    from antiphon.performer.page_performer import PagePerformer

    performer = PagePerformer(sock, paths.scripts(), given["osc_port"])

    def end(_number: int, _frame: object) -> None:
        performer.ending = True

    signal.signal(signal.SIGTERM, end)
    performer.run()


if __name__ == "__main__":
    status = main(sys.stdin.read())
    sys.stdout.flush()
    os._exit(status)
