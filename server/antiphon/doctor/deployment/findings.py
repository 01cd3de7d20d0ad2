"""What a check of a running server found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum


class CheckState(StrEnum):
    """Result of a check; skipped where it could not be made."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class DeployFinding:
    """The result of one check.

    Attributes:
        name: What was checked, in one or two words.
        advice: What to do, or "".
    """

    name: str
    state: CheckState
    text: str
    advice: str = ""

    def plain(self) -> dict[str, str]:
        """The record as a JSON object."""
        return {name: str(value) for name, value in asdict(self).items()}


def success(name: str, text: str) -> DeployFinding:
    """A check that found what it should."""
    return DeployFinding(name, CheckState.OK, text)


def failure(name: str, text: str, advice: str = "") -> DeployFinding:
    """A check that found something else."""
    return DeployFinding(name, CheckState.FAILED, text, advice)


def skip(name: str, text: str, advice: str = "") -> DeployFinding:
    """A check that could not be made."""
    return DeployFinding(name, CheckState.SKIPPED, text, advice)
