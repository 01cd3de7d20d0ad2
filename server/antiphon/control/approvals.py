"""Addresses that may send OSC, kept in the configuration folder."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from antiphon.control.osc.clients import APPROVAL_SECONDS, MAX_APPROVED
from antiphon.runtime import paths
from antiphon.wire.ip_address import plain_ip

log = logging.getLogger("antiphon.lan")

APPROVED_FILE = "approved.json"


@dataclass(slots=True)
class Approvals:
    """Addresses let in, kept for twelve hours: through a restart, not into the next venue.

    An address of another network's stranger may be the same tomorrow.
    """

    folder: Path
    clock: Callable[[], float] = time.time

    def load(self) -> dict[str, float]:
        """Addresses still let in, oldest first, with the seconds left to each. A damaged file lets nobody in."""
        now = self.clock()
        return {ip: when + APPROVAL_SECONDS - now for ip, when in self._read().items()}

    def add(self, ip: str) -> None:
        """Keeps an approval; raises `FileError`."""
        kept = self._read()
        kept.pop(ip, None)
        self._write({**kept, ip: self.clock()})

    def remove(self, ip: str) -> None:
        """Keeps an approval no longer; raises `FileError`."""
        kept = self._read()
        if kept.pop(ip, None) is not None:
            self._write(kept)

    def _write(self, kept: dict[str, float]) -> None:
        newest = dict(list(kept.items())[-MAX_APPROVED:])
        paths.write_atomic(self.folder / APPROVED_FILE, json.dumps(newest).encode(), 0o600)

    def _read(self) -> dict[str, float]:
        now = self.clock()
        try:
            data = json.loads((self.folder / APPROVED_FILE).read_bytes())
            found = {plain_ip(ip): float(when) for ip, when in data.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
            log.warning("the approvals in %s cannot be read (%s): nobody is let in", self.folder, type(error).__name__)
            return {}
        return {ip: when for ip, when in found.items() if 0 <= now - when < APPROVAL_SECONDS}
