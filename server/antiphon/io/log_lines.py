"""The log of a process, on standard error: one line a record."""

from __future__ import annotations

import logging

from antiphon.wire.text import printable


class Line(logging.Formatter):
    """One line a record: names of ports, files and patches in it may be somebody else's text."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = printable(record.message)
        return super().formatMessage(record)


def log_lines() -> None:
    """Has warnings and errors written, each a line that begins with "antiphon:"."""
    logging.basicConfig(level=logging.WARNING)
    logging.getLogger().handlers[0].setFormatter(Line("antiphon: %(message)s"))
