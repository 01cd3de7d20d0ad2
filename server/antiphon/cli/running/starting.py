"""What goes to standard output and error while a server runs in this process: its log, and the lines of plugins."""

import contextlib
import os
import sys
from collections.abc import Iterator

from antiphon.kernel.errors import AntiphonError, FileError
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.console import LOG_FILE, LOG_LEVEL, log, log_plugin_prints


@contextlib.contextmanager
def server_log(path: str, level: str) -> Iterator[None]:
    """Context in which standard error goes to a file ("" leaves it), with time and level. Raises FileError."""
    before = {name: os.environ.get(name) for name in (LOG_FILE, LOG_LEVEL)}
    error_stream = os.dup(2)
    try:
        if path:
            _redirect_stderr(path)
            os.environ[LOG_FILE] = os.path.abspath(path)
        os.environ[LOG_LEVEL] = level
        yield
    except AntiphonError as error:
        if LOG_FILE in os.environ:
            log("error", str(error))  # the command line prints it too
        raise
    finally:
        sys.stderr.flush()
        os.dup2(error_stream, 2)
        os.close(error_stream)
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _redirect_stderr(path: str) -> None:
    try:
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    except OSError as error:
        raise FileError(f"--log: cannot write {path}: {paths.os_error_text(error)}; name another file") from None
    sys.stderr.flush()
    os.dup2(file, 2)
    os.close(file)


@contextlib.contextmanager
def log_prints_by_plugin() -> Iterator[None]:
    """Context of `log_plugin_prints`."""
    before = sys.stdout, sys.stderr
    log_plugin_prints()
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
