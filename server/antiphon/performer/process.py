"""Entry point of the performer, started by the supervisor with `--live` when a page first runs a script."""

import json
import os
import signal
import socket
import sys

from antiphon.kernel.io.log_lines import log_lines
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.processes.child_process import listening
from antiphon.performer.page_performer import PagePerformer


def main(argument: str) -> int:
    """Performs until SIGTERM, or until web and supervisor have closed the socket.

    `argument`: JSON from the supervisor, with osc_port and scripts (a descriptor).
    """
    given = json.loads(argument)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT,))
    log_lines()
    performer = PagePerformer(socket.socket(fileno=given["scripts"]), paths.scripts(), given["osc_port"])

    def end(_number: int, _frame: object) -> None:
        performer.ending = True

    signal.signal(signal.SIGTERM, end)
    listening()
    performer.run()
    return 0


if __name__ == "__main__":
    status = main(sys.stdin.read())
    sys.stdout.flush()
    os._exit(status)
