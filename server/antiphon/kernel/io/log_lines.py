"""Log: a line per record, on standard error or by `--log` in a file, which is copied to FILE.1 and cut when full."""

import contextlib
import logging
import os
import shutil

from antiphon.kernel.runtime.console import LOG_FILE, LOG_LEVEL, LOG_TIME, stamps
from antiphon.kernel.runtime.shortening import escape_unprintable


class Line(logging.Formatter):
    """Formats a record as one printable line: names of ports, files and patches may hold any text."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = escape_unprintable(record.message)
        return super().formatMessage(record)


def log_lines() -> None:
    """Logs in lines "antiphon: …" to standard error: at the server's level, of libraries from "warning" on."""
    level = logging.getLevelNamesMapping()[os.environ.get(LOG_LEVEL, "info").upper()]
    logging.basicConfig(level=max(level, logging.WARNING))
    logging.getLogger("antiphon").setLevel(level)
    before = "%(asctime)s %(levelname)s " if stamps() else ""
    logging.getLogger().handlers[0].setFormatter(Line(f"{before}antiphon: %(message)s", LOG_TIME))


MAX_BYTES = 10_000_000
"""Size of the file in bytes from which it is copied."""
KEPT_FILES = 5
"""Number of copies, of which FILE.1 is the latest."""


def rotate() -> None:
    """Copies the log once it is full; does nothing without `--log`, or where another program moved the file."""
    path = os.environ.get(LOG_FILE)
    if path is None or (here := os.fstat(2)).st_size < MAX_BYTES:
        return
    with contextlib.suppress(OSError):  # a full disk: it grows on, or the lines are lost
        if os.path.samestat(here, os.stat(path)):
            for number in range(KEPT_FILES - 1, 0, -1):
                with contextlib.suppress(FileNotFoundError):
                    os.replace(f"{path}.{number}", f"{path}.{number + 1}")
            shutil.copy(path, f"{path}.1")
            os.truncate(path, 0)
