"""What a check of a running server found."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal


@dataclass(frozen=True, slots=True)
class DeployFinding:
    """The result of one check.

    Attributes:
        state: "skipped" where the check could not be made.
        name: What was checked, in one or two words.
        text: What was found, one sentence.
        advice: What to do, or "".
    """

    state: Literal["ok", "failed", "skipped"]
    name: str
    text: str
    advice: str = ""


success, failure, skip = (partial(DeployFinding, state) for state in ("ok", "failed", "skipped"))
