"""A function run in a fresh interpreter, where a process is not forked: its arguments are pickled by their own parent.

Sockets and mappings are those of the parent, by descriptors, which have to be inheritable.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import os
import pickle
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from antiphon.kernel.runtime.processes.child_process import leave
from antiphon.kernel.runtime.processes.helper_process import start_helper


class _Pickler(pickle.Pickler):
    """A pickler that gives sockets by their descriptors."""

    def reducer_override(self, item: Any) -> Any:
        if isinstance(item, socket.socket):
            return socket.socket, (item.family, item.type, item.proto, item.fileno())
        return NotImplemented


def prepare(*modules: str) -> subprocess.Popen[bytes]:
    """Starts a process that imports `modules`, then waits for its function; without one it ends with this process.

    It has the descriptors that are inheritable now.
    """
    child = start_helper(__name__, *modules, stdin=subprocess.PIPE, stdout=None, stderr=None, close_fds=False)
    child.returncode = 0  # reaped by pid; Popen must not
    return child


def start_function(
    function: Callable[..., int | None], *args: Any, prepared: subprocess.Popen[bytes] | None = None
) -> int:
    """Starts `function(*args)` in a process of its own, a `prepared` one if there is one; the status is as of `leave`.

    Its output is this process's; its input is empty. It takes no notice of SIGINT. Gives its pid.
    """
    data = io.BytesIO()
    _Pickler(data).dump((function, args))
    main = sys.modules["__main__"].__spec__ if b"__main__" in data.getvalue() else None
    child = prepared or prepare()
    assert child.stdin is not None
    try:
        # all of it: a pipe takes a part only where a signal arrives meanwhile
        with io.BufferedWriter(child.stdin) as pipe:
            pipe.write(pickle.dumps(main.name if main is not None else ""))
            pipe.write(data.getbuffer())
    except OSError:
        pass  # it has ended, which its parent detects
    return child.pid


def _main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.disable()  # a tenth of the time in which modules are imported
    for module in sys.argv[1:]:
        with contextlib.suppress(Exception):  # who needs it says what is wrong with it
            importlib.import_module(module)
    try:
        if main := pickle.load(sys.stdin.buffer):  # the module whose functions are pickled as those of __main__
            sys.modules["__main__"] = importlib.import_module(main)
        function, args = pickle.load(sys.stdin.buffer)
    except EOFError:
        return  # its parent ended before it had said what there is to do
    except pickle.UnpicklingError as error:
        if "truncated" not in str(error):
            raise
        return
    gc.enable()
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    leave(partial(function, *args))


if __name__ == "__main__":
    _main()
