"""Runs a function in a fresh interpreter, where a process is not forked: the parent itself pickles its arguments.

Sockets and mappings of the parent are passed by their descriptors, which have to be inheritable.
"""

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
from antiphon.kernel.runtime.processes.children import Child, ChildLane, spawn


class _Pickler(pickle.Pickler):
    """A pickler that replaces sockets by their descriptors."""

    def reducer_override(self, item: Any) -> Any:
        if isinstance(item, socket.socket):
            return socket.socket, (item.family, item.type, item.proto, item.fileno())
        return NotImplemented


_prepared: dict[str, tuple[Child, int]] = {}
"""Interpreters that wait for a function, with the pipe for its answer, by the function's module."""


def prepare(module: str, *imports: str) -> None:
    """Starts an interpreter for the next function of `module` that is started, unless there is one.

    It imports that module and `imports` meanwhile, and has the descriptors that are inheritable now. If unused, it ends
    with this process. Raises OSError.
    """
    if module not in _prepared:
        _prepared[module] = _interpreter(module, *imports)


def _interpreter(*modules: str) -> tuple[Child, int]:
    receiving, giving = os.pipe()
    os.set_inheritable(giving, True)
    lane = ChildLane(subprocess.PIPE, None, None, fds=None)
    try:
        return spawn(__name__, str(giving), *modules, lane=lane, bound=False, apart=False), receiving
    except OSError:
        os.close(receiving)
        raise
    finally:
        os.close(giving)


def start_function(function: Callable[..., int | None], *args: Any) -> int:
    """Starts `function(*args)` in a separate process, a prepared one if there is one; exits like `leave`.

    Its output is this process's; its input is empty. It ignores SIGINT. Returns its pid.
    """
    pid, receiving = start_answering(function, *args, answering=False)
    os.close(receiving)
    return pid


def start_answering(function: Callable[..., int | None], *args: Any, answering: bool = True) -> tuple[int, int]:
    """Starts `function(giving, *args)` like `start_function`. Returns its pid and the read end of the pipe `giving`."""
    data = io.BytesIO()
    _Pickler(data).dump((function, args, answering))
    main = sys.modules["__main__"].__spec__ if b"__main__" in data.getvalue() else None
    module = function.__module__
    child, receiving = _prepared.pop(module) if module in _prepared else _interpreter()
    assert child.input is not None
    try:
        # all of it: a pipe takes a part only where a signal arrives meanwhile
        with io.BufferedWriter(child.input) as pipe:
            pipe.write(pickle.dumps(main.name if main is not None else ""))
            pipe.write(data.getbuffer())
    except OSError:
        pass  # it has ended, which its parent detects
    return child.pid, receiving


def _run_received_function(giving: int, *modules: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.disable()  # a tenth of the time in which modules are imported
    for module in modules:
        with contextlib.suppress(Exception):  # who needs it says what is wrong with it
            importlib.import_module(module)
    try:
        if main := pickle.load(sys.stdin.buffer):  # the module whose functions are pickled as those of __main__
            sys.modules["__main__"] = importlib.import_module(main)
        function, args, answering = pickle.load(sys.stdin.buffer)
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
    if answering:
        leave(partial(function, giving, *args))
    os.close(giving)
    leave(partial(function, *args))


if __name__ == "__main__":
    _run_received_function(int(sys.argv[1]), *sys.argv[2:])
