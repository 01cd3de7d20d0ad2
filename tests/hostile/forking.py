"""The command line in a process that has imported it already: one child of it a command.

Reads JSON objects, one a line: args, cwd, env, out and err (files), limit (seconds). Answers each with the child's exit
code (negative: its signal), the seconds of processor it took, and the bytes that were resident at most.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# what commands import is here before the first of them
import antiphon.cli
import antiphon.cli.commands
import antiphon.offline.rendering
import antiphon.plugins.loader
import antiphon.supervisor


def become(asked: dict[str, Any]) -> None:
    """What a process that was started for this command would be."""
    sys.argv = ["antiphon", *asked["args"]]
    os.chdir(asked["cwd"])
    os.environ.update(asked["env"])
    for number, name, flags in ((0, os.devnull, os.O_RDONLY), (1, asked["out"], 1), (2, asked["err"], 1)):
        file = os.open(name, flags | (os.O_CREAT | os.O_TRUNC if number else 0), 0o600)
        os.dup2(file, number)
        os.close(file)


def ended(pid: int, limit: float) -> dict[str, float]:
    """Waits for it, and ends it when it takes longer than `limit` seconds."""
    deadline = time.monotonic() + limit
    while True:
        found, status, used = os.wait4(pid, os.WNOHANG)
        if found:
            break
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)
    code = os.waitstatus_to_exitcode(status)
    return {"code": code, "seconds": used.ru_utime + used.ru_stime, "resident": used.ru_maxrss << 10}


def main() -> None:
    requests, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    for line in requests:
        asked = json.loads(line)
        pid = os.fork()
        if pid == 0:
            # as objects: their descriptors' numbers will be those of other files
            requests.close()
            answers.close()
            become(asked)
            antiphon.cli.main()
        answers.write(json.dumps(ended(pid, asked["limit"])) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
