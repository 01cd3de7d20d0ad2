"""Rows of the catalogue as lines for a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from antiphon.runtime.shortening import shorten

WIDEST = 60
"""Characters of a title or a path in a table."""
NARROWEST = 8
"""Characters of the names of a card at least."""


def clock(seconds: float | None) -> str:
    """ "3:07", "-" where it is not known."""
    if seconds is None:
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def table(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A line for each summary: length, tempo, key, names, what is wrong; similarity first where it has one."""
    for row in rows:
        tempo = "-" if row["tempo"] is None else f"{row['tempo']:.0f}"
        title = " - ".join(text for text in (row["artist"], row["title"]) if text)
        wrong = "missing" if row["missing"] else row["problem"] or ""
        score = f"{row['score']:5.2f}  " if "score" in row else ""
        parts = [shorten(title, WIDEST), _end_of(row["path"]), shorten(wrong, WIDEST)]
        words = "  ".join(part for part in parts if part)
        yield f"{score}{clock(row['duration']):>7}  {tempo:>4}  {row['key'] or '-':<8}  {words}"


def card(row: Mapping[str, Any]) -> Iterator[str]:
    """Lines for one file in full."""
    yield row["path"]
    lines: list[tuple[str, str]] = []
    if row["problem"]:
        lines.append(("problem", row["problem"]))
    if row["missing"]:
        lines.append(("missing", "the file is not there any more"))
    if row["duration"] is not None:
        channels = "1 channel" if row["channels"] == 1 else f"{row['channels']} channels"
        lines.append(("length", f"{clock(row['duration'])}, {row['rate']} Hz, {channels}"))
    lines += [(name, shorten(text, 100)) for name, text in row["tags"].items()]
    for name, found in row["analyses"].items():
        if found["problem"]:
            lines.append((name, found["problem"]))
        lines += [(quantity, brief(value)) for quantity, value in (found["values"] or {}).items()]
    widest = max([NARROWEST, *(len(name) for name, _ in lines)])
    yield from (f"  {name:<{widest}}  {text}" for name, text in lines)


def brief(value: Any) -> str:
    """A value in a few words: of a list how many there are and its beginning."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.2f}"
    if isinstance(value, str):
        return value
    if value and isinstance(value[0], list) and len(value[0]) == 2:
        return ", ".join(f"{label} {probability:.2f}" for label, probability in value)
    if value and isinstance(value[0], list):
        head = ", ".join(f"{clock(start)} {label}" for start, _, label in value[:6])
    else:
        head = ", ".join(f"{number:.2f}" for number in value[:6])
    return f"{len(value)}: {head}{', ...' if len(value) > 6 else ''}"


def _end_of(path: str) -> str:
    return path if len(path) <= WIDEST else "..." + path[3 - WIDEST :]
