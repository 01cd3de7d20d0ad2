"""What `antiphon run` does with its request; and a job by HTTP, without a command line."""

import contextlib
import json
import sys

from antiphon.cli import errors
from antiphon.operations.requests import RenderRequest, RunRequest, from_json


def process(asked: RunRequest) -> int:
    """Processes files by a plugin; returns the exit code, 1 if some could not be processed."""
    with errors.termination_signals():
        from antiphon.cli.files.reports import PIPED, TERMINAL
        from antiphon.kernel.plugins.loader import load
        from antiphon.operations.run import run as operation

        return int(bool(operation(asked, load(check=False), PIPED if asked.paths[-1] == "-" else TERMINAL)))


def set_priority_below_servers() -> None:
    """Gives this process a priority below that of servers of this user."""
    from antiphon.client.finding import running_servers
    from antiphon.kernel.errors import AntiphonError
    from antiphon.offline.priority import give_way

    beside = False
    with contextlib.suppress(AntiphonError):  # no folder for it: the command says so, if it needs one
        beside = bool(running_servers())
    give_way(beside=beside)


def run_job(command: str, text: str) -> int:
    """Carries out a request of `run` or `render`, as JSON data, with the exit code and the lines of the command."""
    from antiphon.kernel.runtime.processes.child_process import watch

    watch()
    errors.check_home()
    set_priority_below_servers()
    fields = json.loads(text)
    if command == "run":
        return errors.exit_code(lambda: process(from_json(RunRequest, fields)))

    def render() -> int:
        from antiphon.cli.files.reports import TERMINAL
        from antiphon.kernel.plugins.loader import load
        from antiphon.operations.render import render as operation

        with errors.termination_signals():
            return int(operation(from_json(RenderRequest, fields), load(check=False), TERMINAL))

    return errors.exit_code(render)


if __name__ == "__main__":
    sys.exit(run_job(*sys.argv[1:]))
