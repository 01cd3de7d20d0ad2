"""The log of a process, on standard error: one line a record."""

from __future__ import annotations

import logging
import os

from antiphon.kernel.runtime.console import LOG_LEVEL, LOG_TIME, stamps
from antiphon.kernel.wire.text import printable


class Line(logging.Formatter):
    """Formats a record as one printable line: names of ports, files and patches may hold any text."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = printable(record.message)
        return super().formatMessage(record)


def log_lines() -> None:
    """Prints the log to standard error, each record as one line "antiphon: …"; see `antiphon.kernel.runtime.console`.

    The level is that of the server for Antiphon's own loggers, and "warning" at least for those of libraries.
    """
    level = logging.getLevelNamesMapping()[os.environ.get(LOG_LEVEL, "info").upper()]
    logging.basicConfig(level=max(level, logging.WARNING))
    logging.getLogger("antiphon").setLevel(level)
    before = "%(asctime)s %(levelname)s " if stamps() else ""
    logging.getLogger().handlers[0].setFormatter(Line(f"{before}antiphon: %(message)s", LOG_TIME))
