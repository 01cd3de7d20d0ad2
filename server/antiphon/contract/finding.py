"""What a check of `antiphon doctor` finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["works", "limited", "missing", "broken"]
"""works; works with a limit; not there and not needed by everybody; broken: Antiphon cannot do its work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One plain statement. subject: what was looked at.  mend: what to do about it, "" where nothing need be."""

    subject: str
    state: State
    said: str
    mend: str = ""
