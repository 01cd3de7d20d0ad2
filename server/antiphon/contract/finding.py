"""What a check of the machine says: `antiphon doctor` shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Condition = Literal["works", "limited", "missing", "broken"]
"""works; works with a limit; not there and not needed by everybody; broken: Antiphon cannot do its work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One plain statement. subject: what was looked at.  mend: what to do about it, "" where nothing need be."""

    subject: str
    state: Condition
    said: str
    mend: str = ""
