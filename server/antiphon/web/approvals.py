"""Approvals of addresses on disk, which control has again after a restart."""

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from antiphon.kernel.control.subscribers.clients import APPROVAL_SECONDS, MAX_APPROVED
from antiphon.kernel.runtime import paths
from antiphon.web.access import plain_ip

log = logging.getLogger("antiphon.lan")
APPROVED_FILE = "approved.json"


@dataclass(slots=True)
class Approvals:
    """Approved addresses with the time of their approval, valid for `APPROVAL_SECONDS`.

    They survive a restart, but not the day: in another network the same address may be a stranger's.

    `folder`: where `APPROVED_FILE` is; `clock`: seconds since the epoch.
    """

    folder: Path
    clock: Callable[[], float] = time.time

    def load(self) -> dict[str, float]:
        """Valid approvals, oldest first, with the seconds left to each; none from a damaged file."""
        now = self.clock()
        return {ip: when + APPROVAL_SECONDS - now for ip, when in self._read().items()}

    def add(self, ip: str) -> None:
        """Stores an approval; `FileError` if the file is not writable."""
        approved = self._read()
        approved.pop(ip, None)
        self._write({**approved, ip: self.clock()})

    def remove(self, ip: str) -> None:
        """Removes an approval; `FileError` if the file is not writable."""
        approved = self._read()
        if approved.pop(ip, None) is not None:
            self._write(approved)

    def _write(self, approved: dict[str, float]) -> None:
        newest = dict(list(approved.items())[-MAX_APPROVED:])
        paths.write_atomic(self.folder / APPROVED_FILE, json.dumps(newest).encode(), 0o600)

    def _read(self) -> dict[str, float]:
        now = self.clock()
        try:
            data = json.loads((self.folder / APPROVED_FILE).read_bytes())
            approved = {plain_ip(ip): float(when) for ip, when in data.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
            log.warning("the approvals in %s cannot be read (%s): none is valid", self.folder, type(error).__name__)
            return {}
        return {ip: when for ip, when in approved.items() if 0 <= now - when < APPROVAL_SECONDS}
