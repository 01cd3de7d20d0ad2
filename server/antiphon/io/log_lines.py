"""The log of a process, on standard error: one line a record."""

from __future__ import annotations

import logging

from antiphon.wire.text import printable


class Line(logging.Formatter):
    """Formats a record as one printable line: names of ports, files and patches may hold any text."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = printable(record.message)
        return super().formatMessage(record)


def log_lines() -> None:
    """Prints warnings and errors to standard error, each as one line that begins with "antiphon:"."""
    logging.basicConfig(level=logging.WARNING)
    logging.getLogger().handlers[0].setFormatter(Line("antiphon: %(message)s"))
