"""Runs the checks, and formats their findings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from antiphon.kernel.contract.finding import Finding
from antiphon.kernel.wire.text import printable

Check = Callable[[], Iterable[Finding]]


def findings(checks: Iterable[Check]) -> Iterator[Finding]:
    """Yields the findings of all checks; a check that raises gives a finding too."""
    for check in checks:
        try:
            yield from check()
        except Exception as error:
            name = getattr(check, "__name__", "check").replace("_", " ")
            yield Finding(name, "limited", f"could not be checked: {type(error).__name__}: {error}")


def either(subject: str, good: bool, works: str, else_text: str = "", mend: str = "") -> Finding:
    """A finding that works, or is limited, with its text and what mends it."""
    return Finding(subject, "works", works) if good else Finding(subject, "limited", else_text, mend)


def lines(finding: Finding) -> Iterator[str]:
    """Yields the lines to print for a finding."""
    yield printable(f"{finding.state:<8} {finding.subject}: {finding.text}")
    if finding.mend:
        yield f"{'':<8}   mend: {finding.mend}"
